"""From what a person knows to a distribution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import least_squares

from bmsem.errors import ModelError
from bmsem.language import parse_prior
from bmsem.priors.families import Family, family, frozen
from bmsem.priors.statements import Said, check_statements, read_statements
from bmsem.spec import Prior

Array = NDArray[np.float64]

# After rounding the arguments, probabilities hold to this and moments to this share of the spread.
_PRECISION = 0.002


def elicit(
    statement: str | None = None,
    family: str = "Normal",
    *,
    between: tuple[float, float] | None = None,
    probability: float = 0.95,
    below: tuple[float, float] | None = None,
    above: tuple[float, float] | None = None,
    mean: float | None = None,
    median: float | None = None,
    mode: float | None = None,
    sd: float | None = None,
    **given: float,
) -> Prior:
    """The distribution of a family that agrees with what is known.

    There must be as many statements as the family has arguments; they are then met exactly. An interval
    counts as two, with the same probability on either side of it; one that begins or ends where the
    family does, such as one from 0 for a half-normal or up to 1 for a beta, counts as one, because
    there is nothing on one side of it.

    Parameters
    ----------
    statement
        Text: ``"between 0 and 10 with 95% probability"``, ``"mean 3, and below 0 with 2%"``.
    family
        ``Normal``, ``StudentT`` (with ``nu=``), ``Laplace``, ``Cauchy``, ``LogNormal``, ``Gamma``,
        ``InverseGamma``, ``Beta``, ``HalfNormal``, ``HalfStudentT`` (with ``nu=``), ``HalfCauchy``,
        ``Exponential`` or ``Uniform``.
    between, probability
        An interval and the probability that the quantity lies in it.
    below, above
        A limit and the probability that the quantity lies beyond it: ``below=(0, 0.02)``.
    mean, median, mode, sd
        Moments.
    **given
        Arguments of the family that are known.

    Returns
    -------
    Prior
        Arguments rounded to four digits; usable wherever a prior is.

    Raises
    ------
    ModelSyntaxError
        If the text cannot be read; with a caret.
    ModelError
        If statements are too few, too many, contradict each other, or cannot be met by the family.

    Examples
    --------
    >>> print(elicit("between 0 and 10 with 95% probability"))
    Normal(mu = 5, sigma = 2.551)
    >>> print(elicit("between 0.05 and 0.2 with 90%", "Beta"))
    Beta(alpha = 5.426, beta = 41.49)
    >>> print(elicit(family="HalfNormal", below=(2, 0.95)))
    HalfNormal(sigma = 1.02)
    """
    said = read_statements(statement) if statement is not None else []
    if between is not None:
        said.append(Said("between", float(between[0]), float(between[1]), probability))
    if below is not None:
        said.append(Said("below", float(below[0]), 0.0, below[1]))
    if above is not None:
        said.append(Said("above", float(above[0]), 0.0, above[1]))
    for what, value in (("mean", mean), ("median", median), ("mode", mode), ("sd", sd)):
        if value is not None:
            said.append(Said(what, float(value)))  # type: ignore[arg-type]
    if not said:
        raise ModelError("Say something: elicit('between 0 and 10 with 95% probability').")
    return _solve(family, said, given)


def describe_prior(prior: Prior | str) -> pd.Series:
    """Mean, SD and quantiles of a prior, to see what it says.

    Examples
    --------
    >>> describe_prior("Normal(5, 2.5)").round(2).to_dict()["97.5%"]
    9.9
    """
    given = parse_prior(prior) if isinstance(prior, str) else prior
    found = frozen(given)
    values = {"mean": float(found.mean()), "sd": float(found.std())}
    for q in (0.025, 0.25, 0.5, 0.75, 0.975):
        values[f"{100 * q:g}%"] = float(found.ppf(q))
    return pd.Series(values, name=str(given))


def _solve(name: str, said: list[Said], given: dict[str, float]) -> Prior:
    found = family(name)
    wrong = [k for k in given if k not in found.given]
    missing = [k for k in found.given if k not in given]
    if wrong or missing:
        what = f"'{wrong[0]}' is not one" if wrong else f"{', '.join(missing)} is missing"
        takes = ", ".join(found.given) or "none"
        raise ModelError(f"The arguments of {name} that can be given are: {takes}; {what}.")
    known = tuple(float(given[k]) for k in found.given)
    centre, spread = _guess(said)
    begin, end = _ends(found, known, centre, spread)
    _require_inside(name, said, begin, end)
    stated, said = said, [_one_tailed(name, one, begin, end) for one in said]
    check_statements(said)
    targets = [t for one in said for t in _targets(one, spread, name)]
    need = len(found.arguments)
    if len(targets) != need:
        more = "Say more, its mean or its median perhaps."
        if stated != said:
            more = f"An interval that goes up to an end of the {name} counts as one. {more}"
        raise ModelError(
            f"A {name} has {need} argument(s) to find ({', '.join(found.arguments)}), and the "
            f"statements say {len(targets)} thing(s): {'; '.join(map(str, said))}. "
            f"{more if len(targets) < need else 'Say less, or choose another family.'}"
        )
    best = None
    for factor in (1.0, 0.3, 3.0):
        for shift in (0.0, 1.0, -1.0):
            start = found.start(centre + shift * factor * spread, factor * spread)
            result = _minimise(found, start, known, targets)
            if result is not None and (best is None or result[1] < best[1]):
                best = result
        if best is not None and best[1] < 1e-12:
            break
    values = None
    if best is not None:
        values = tuple(
            _rounded(v, spread, n not in found.positive)
            for n, v in zip(found.arguments, best[0], strict=True)
        )
    if values is None or max(abs(t(found.frozen(*values, *known))) for t in targets) > _PRECISION:
        raise ModelError(
            f"No {name} agrees with: {'; '.join(map(str, said))}. Choose another family, or change the "
            f"statements."
        )
    arguments = [(k, float(given[k])) for k in found.given]
    arguments += list(zip(found.arguments, values, strict=True))
    return Prior(name, tuple(arguments))


def _rounded(value: float, spread: float, location: bool) -> float:
    """Four digits; what is zero but for rounding is zero."""
    if abs(value) < 1e-9 * spread:
        return 0.0
    if not location:
        return float(f"{value:.4g}")
    # As many digits as the spread needs: a year among years has more than four.
    size = max(abs(value) / spread, 1.0) if spread < abs(value) else 1.0
    return float(f"{value:.{4 + int(np.log10(size))}g}")


Target = Callable[[Any], float]


def _targets(one: Said, spread: float, name: str) -> list[Target]:
    """Functions of a distribution that are zero where the statement holds."""

    def below(at: float, p: float) -> Target:
        return lambda d: float(d.cdf(at)) - p

    match one.what:
        case "between":
            tail = (1 - one.share) / 2
            return [below(one.value, tail), below(one.high, 1 - tail)]
        case "below":
            return [below(one.value, one.share)]
        case "above":
            return [below(one.value, 1 - one.share)]
        case "median":
            return [below(one.value, 0.5)]
        case "mean":
            return [lambda d: _finite(d.mean() - one.value) / spread]
        case "sd":
            return [lambda d: _finite(d.std() - one.value) / one.value]
        case _:
            return [lambda d: (_mode(name, d) - one.value) / spread]


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else 1e3


def _mode(name: str, distribution: Any) -> float:
    """In closed form where it is not the median."""
    arguments = (*distribution.args, *distribution.kwds.values()) if name not in _SYMMETRIC else ()
    match name:
        case "Gamma":
            a, scale = arguments
            return max(a - 1, 0.0) * scale
        case "InverseGamma":
            a, scale = arguments
            return scale / (a + 1)
        case "Beta":
            a, b = arguments
            return (a - 1) / (a + b - 2) if a > 1 and b > 1 else (0.0 if a <= b else 1.0)
        case "LogNormal":
            s, scale = arguments
            return float(scale * np.exp(-(s**2)))
        case _ if name in _SYMMETRIC:
            return float(distribution.ppf(0.5))
        case _:
            raise ModelError(f"The mode of a {name} says nothing about it: say something else.")


_SYMMETRIC = ("Normal", "StudentT", "Laplace", "Cauchy")


def _guess(said: list[Said]) -> tuple[float, float]:
    """About where the quantity lies and how far it spreads."""
    centres, limits = [], []
    spread = 0.0
    for one in said:
        match one.what:
            case "between":
                limits += [one.value, one.high]
            case "below" | "above":
                limits.append(one.value)
            case "sd":
                spread = one.value
            case _:
                centres.append(one.value)
    points = [*centres, *limits]
    centre = float(np.mean(centres)) if centres else float(np.mean(points)) if points else 0.0
    if not spread and len(set(points)) > 1:
        spread = (max(points) - min(points)) / (2.0 if centres else 4.0)
    return centre, spread or max(abs(centre), 1.0) / 2


def _ends(
    found: Family, known: tuple[float, ...], centre: float, spread: float
) -> tuple[float, float]:
    """Where a family with fixed ends begins and ends."""
    if not found.positive:
        return -np.inf, np.inf
    low, high = found.frozen(*found.start(centre, spread), *known).support()
    return float(low), float(high)


def _one_tailed(name: str, one: Said, begin: float, end: float) -> Said:
    """An interval that begins or ends where the family does, as the one limit that it states."""
    if one.what != "between" or (one.value > begin and one.high < end):
        return one
    if one.value <= begin and one.high >= end:
        raise ModelError(
            f"'{one}': a {name} always lies between {begin:g} and {end:g}. Give a narrower interval."
        )
    if one.value <= begin:
        return Said("below", one.high, 0.0, one.share)
    return Said("above", one.value, 0.0, one.share)


def _require_inside(name: str, said: list[Said], begin: float, end: float) -> None:
    for one in said:
        values = [one.value, one.high] if one.what == "between" else [one.value]
        outside = [v for v in values if v < begin or v > end]
        if one.what != "sd" and outside:
            raise ModelError(
                f"'{one}': a {name} lies between {begin:g} and {end:g}, and {outside[0]:g} does not. "
                f"Choose another family."
            )


def _minimise(
    found: Family, start: tuple[float, ...], known: tuple[float, ...], targets: list[Target]
) -> tuple[Array, float] | None:
    positive = np.array([n in found.positive for n in found.arguments])

    def natural(x: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.where(positive, np.exp(np.minimum(x, 50.0)), x)

    def off(x: Array) -> Array:
        distribution = found.frozen(*natural(x), *known)
        values = np.array([t(distribution) for t in targets])
        return np.nan_to_num(values, nan=1e3, posinf=1e3, neginf=-1e3)

    begin = np.array(start, dtype=float)
    begin = np.where(positive, np.log(np.maximum(begin, 1e-8)), begin)
    with np.errstate(all="ignore"):
        try:
            result = least_squares(off, begin, xtol=1e-13, ftol=1e-13, gtol=1e-13)
        except ValueError:
            return None
        return natural(result.x), float(result.cost)
