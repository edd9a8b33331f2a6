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

    The name is that of a PyMC distribution and is checked when the model is built. ``place`` says
    where the text stands, with ``place.start`` the offset of its first character.

    Raises
    ------
    ModelSyntaxError
        If the text is not a name with numbers in brackets.

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
    arguments = []
    inside = match["arguments"]
    for part in inside.split(",") if inside.strip() else []:
        argument = _ARGUMENT.fullmatch(part)
        if argument is None:
            raise ModelSyntaxError(
                f"'{part.strip()}' is not an argument of a prior",
                where,
                expected="a number, or name=number",
            )
        arguments.append((argument["word"] or "", float(argument["number"])))
    on = cast(Literal["parameter", "sd", "correlation"], match["on"] or "parameter")
    return Prior(match["name"], tuple(arguments), on)
