"""Prior distributions written as text."""

from __future__ import annotations

import re
from typing import cast

from bmsem.errors import ModelSyntaxError, Place
from bmsem.spec import On, Prior

_PRIOR = re.compile(
    r"\s*(?:(?P<on>sd|correlation|icc|r_square|parameter)"
    r"(?:\s+of\s+(?P<total>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+))?\s*~\s*)?(?P<name>[A-Za-z_]\w*)\s*"
    r"\((?P<arguments>[^()]*)\)\s*"
)
_ARGUMENT = re.compile(
    r"\s*(?:(?P<word>[A-Za-z_]\w*)\s*=\s*)?(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*"
)


def parse_prior(text: str, place: Place | None = None) -> Prior:
    """Read a prior such as ``Normal(0, 1)``, ``Gamma(alpha=2, beta=1)`` or ``sd ~ HalfNormal(2)``.

    The name is that of a PyMC distribution and is checked when the model is built. What
    `str(Prior)` writes reads back as the same prior.

    Parameters
    ----------
    text
        The prior. ``sd ~`` in front makes it the prior of the square root of a variance,
        ``correlation ~`` that of a covariance's correlation, ``icc ~`` that of the intraclass
        correlation of which a between variance is part, ``r_square ~`` (``r_square of 40 ~``) that of
        the R-square that a residual variance leaves. ``LKJ(eta)`` and ``InverseWishart(S, d)`` are
        priors of a whole correlation or covariance matrix, given to its elements.
    place
        Where it stands in a larger text, for error messages; ``place.start`` is the offset of
        ``text[0]``.

    Raises
    ------
    ModelSyntaxError
        If the text is not a name with numbers in brackets, or a positional argument follows a
        named one.

    Examples
    --------
    >>> prior = parse_prior("sd ~ HalfNormal(sigma=2)")
    >>> prior.distribution, prior.arguments, prior.on
    ('HalfNormal', (('sigma', 2.0),), 'sd')
    """
    where = place or Place(text, 0, max(1, len(text)), "prior")
    match = _PRIOR.fullmatch(text)
    if match is None:
        raise ModelSyntaxError(
            f"'{text.strip()}' is not a prior",
            where,
            expected="the name of a PyMC distribution with numbers in brackets",
            hint='For example Normal(0, 1), Gamma(alpha=2, beta=1), or "sd ~ HalfNormal(2)".',
        )
    arguments: list[tuple[str, float]] = []
    at = match.start("arguments")
    for part in match["arguments"].split(",") if match["arguments"].strip() else []:
        start = where.start + at + len(part) - len(part.lstrip())
        end = max(start + 1, where.start + at + len(part.rstrip()))
        at += len(part) + 1
        argument = _ARGUMENT.fullmatch(part)
        if argument is None:
            raise ModelSyntaxError(
                f"'{part.strip()}' is not an argument of a prior"
                if part.strip()
                else "an argument is missing",
                Place(where.text, start, end, where.source),
                expected="a number, or name=number",
            )
        word = argument["word"] or ""
        if (not word and any(k for k, _ in arguments)) or (word and word in dict(arguments)):
            raise ModelSyntaxError(
                f"'{part.strip()}' stands after a named argument"
                if not word
                else f"the argument '{word}' is given twice",
                Place(where.text, start, end, where.source),
            )
        arguments.append((word, float(argument["number"])))
    on = cast(On, match["on"] or "parameter")
    total = float(match["total"]) if match["total"] else None
    if total is not None and on != "r_square":
        raise ModelSyntaxError("only an r_square is a share 'of' a total", where)
    name = {"IW": "InverseWishart"}.get(match["name"], match["name"])
    if name in _MATRICES:
        arguments = _matrix_arguments(name, arguments, where)
        on = "correlation" if name == "LKJ" else on
    return Prior(name, tuple(arguments), on, total)


# The arguments of priors of whole matrices, which PyMC knows in another form.
_MATRICES = {"LKJ": ("eta",), "InverseWishart": ("S", "d")}


def _matrix_arguments(
    name: str, given: list[tuple[str, float]], place: Place
) -> list[tuple[str, float]]:
    wanted = _MATRICES[name]
    words = [word or wanted[min(i, len(wanted) - 1)] for i, (word, _) in enumerate(given)]
    if sorted(words) != sorted(wanted):
        raise ModelSyntaxError(
            f"{name} takes {len(wanted)} number{'s' if len(wanted) > 1 else ''}", place,
            expected=f"{name}({', '.join(wanted)})",
            hint="The diagonal element of a scale matrix is S, the degrees of freedom d."
            if name == "InverseWishart" else None,
        )  # fmt: skip
    values = dict(zip(words, (v for _, v in given), strict=True))
    if name == "LKJ" and not values["eta"] > 0:
        raise ModelSyntaxError(
            f"LKJ({values['eta']:g}) is no distribution", place, expected="a shape above zero"
        )
    return [(word, values[word]) for word in wanted]
