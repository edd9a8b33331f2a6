"""The values that a distribution can take, and those that a parameter can."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bmsem.priors.given import family_of
from bmsem.spec import On, Prior

Range = tuple[float, float]

_LINE: Range = (-math.inf, math.inf)
_HALF: Range = (0.0, math.inf)
_UNIT: Range = (0.0, 1.0)

# Families whose range is the same whatever their arguments are.
_FIXED: dict[str, Range] = {
    **dict.fromkeys(
        ("AsymmetricLaplace", "Cauchy", "ExGaussian", "Flat", "Gumbel", "Laplace", "Logistic",
         "Moyal", "Normal", "SkewNormal", "SkewStudentT", "StudentT"), _LINE),
    **dict.fromkeys(
        ("ChiSquared", "Exponential", "Gamma", "HalfCauchy", "HalfFlat", "HalfNormal",
         "HalfStudentT", "InverseGamma", "LogNormal", "Lognormal", "PolyaGamma", "Rice",
         "Weibull"), _HALF),
    **dict.fromkeys(("Beta", "Kumaraswamy", "LogitNormal"), _UNIT),
    "VonMises": (-math.pi, math.pi),
}  # fmt: skip


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
}  # fmt: skip

# PyMC's distributions of one continuous number whose arguments are numbers.
DISTRIBUTIONS = (*_FIXED, *_BY_ARGUMENT)


def support(prior: Any) -> Range | None:
    """The range of a prior's values; ``None`` for an object of which only PyMC can tell.

    Examples
    --------
    >>> support(Prior("Uniform", (("", -2.0), ("", -1.0))))
    (-2.0, -1.0)
    """
    name = family_of(prior)
    if name in _FIXED:
        return _FIXED[name]
    if not isinstance(prior, Prior) or name not in _BY_ARGUMENT:
        return None
    words, bounds = _BY_ARGUMENT[name]
    given = {}
    for i, (word, value) in enumerate(prior.arguments):
        given[word or (words[i] if i < len(words) else "")] = value
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
