"""The values that a distribution can take, and those that a parameter can."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bmsem.spec import On, Prior

Range = tuple[float, float]

_LINE: Range = (-math.inf, math.inf)
_HALF: Range = (0.0, math.inf)
_UNIT: Range = (0.0, 1.0)

_POSITIVE = (
    "HalfNormal", "HalfCauchy", "HalfStudentT", "HalfFlat", "Gamma", "InverseGamma", "Exponential",
    "LogNormal", "Weibull", "ChiSquared", "Rice",
)  # fmt: skip


def _bounded(words: tuple[str, ...], default: Range) -> Callable[[dict[str, float]], Range]:
    low, high = words
    return lambda given: (given.get(low, default[0]), given.get(high, default[1]))


# Families whose range depends on their arguments: the arguments' names in order, and which bound it.
_BY_ARGUMENT: dict[str, tuple[tuple[str, ...], Callable[[dict[str, float]], Range]]] = {
    "Uniform": (("lower", "upper"), _bounded(("lower", "upper"), _UNIT)),
    "Triangular": (("lower", "upper", "c"), _bounded(("lower", "upper"), _UNIT)),
    "TruncatedNormal": (
        ("mu", "sigma", "tau", "lower", "upper"), _bounded(("lower", "upper"), _LINE)
    ),
    "Pareto": (("alpha", "m"), _bounded(("m", "_"), _HALF)),
    "Wald": (("mu", "lam", "phi", "alpha"), _bounded(("alpha", "_"), _HALF)),
    "Beta": ((), lambda given: _UNIT),
    "Kumaraswamy": ((), lambda given: _UNIT),
    "LogitNormal": ((), lambda given: _UNIT),
}  # fmt: skip


def support(prior: Any) -> Range:
    """The range of a prior's values, `Prior` or PyMC distribution.

    The whole line for a family that is not known here: its name is checked elsewhere.

    Examples
    --------
    >>> support(Prior("Uniform", (("", -2.0), ("", -1.0))))
    (-2.0, -1.0)
    """
    if not isinstance(prior, Prior):
        # Only those who have PyMC's objects need PyMC.
        from bmsem.graph.distributions import range_of

        return range_of(prior)
    if prior.distribution in _POSITIVE:
        return _HALF
    if prior.distribution not in _BY_ARGUMENT:
        return _LINE
    words, bounds = _BY_ARGUMENT[prior.distribution]
    given = {}
    for i, (word, value) in enumerate(prior.arguments):
        name = word or (words[i] if i < len(words) else "")
        given[name] = value
    return bounds(given)


def natural_range(kind: str, on: On) -> Range:
    """The values that a parameter of a kind, or the quantity with the prior, can take."""
    match on:
        case "icc" | "r_square":
            return _UNIT
        case "correlation":
            return (-1.0, 1.0)
        case "sd":
            return _HALF
        case _:
            return _HALF if kind == "variance" else _LINE


def overlap(first: Range, second: Range) -> Range | None:
    """What two ranges share; ``None`` if that is nothing but a point."""
    low, high = max(first[0], second[0]), min(first[1], second[1])
    return (low, high) if low < high else None
