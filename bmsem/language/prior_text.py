"""Prior distributions written as text."""

from __future__ import annotations

import re
from typing import Literal, cast

from bmsem.errors import ModelSyntaxError, Place
from bmsem.spec import Prior

_PRIOR = re.compile(
    r"\s*(?:(?P<on>sd|correlation|parameter)\s*~\s*)?(?P<name>[A-Za-z_]\w*)\s*"
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
        ``correlation ~`` that of a covariance's correlation.
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
    >>> parse_prior("sd ~ HalfNormal(sigma=2)")
    Prior(distribution='HalfNormal', arguments=(('sigma', 2.0),), on='sd')
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
    on = cast(Literal["parameter", "sd", "correlation"], match["on"] or "parameter")
    return Prior(match["name"], tuple(arguments), on)
