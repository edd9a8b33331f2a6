"""Distributions of PyMC's names and arguments as those of SciPy: their quantiles and moments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from bmsem.errors import ModelError, did_you_mean
from bmsem.spec import Prior


@dataclass(frozen=True)
class Family:
    """A distribution: PyMC's argument names, those that are positive, SciPy's frozen distribution.

    ``given`` are arguments that are not found from statements; ``start`` makes arguments from a centre
    and a spread.
    """

    arguments: tuple[str, ...]
    positive: tuple[str, ...]
    frozen: Callable[..., Any]
    start: Callable[[float, float], tuple[float, ...]]
    given: tuple[str, ...] = ()


def _beta_start(centre: float, spread: float) -> tuple[float, float]:
    centre = min(max(centre, 0.01), 0.99)
    total = max(centre * (1 - centre) / spread**2 - 1, 1.0)
    return centre * total, (1 - centre) * total


def _gamma_start(centre: float, spread: float) -> tuple[float, float]:
    centre = max(centre, 1e-3 * spread)
    return (centre / spread) ** 2, centre / spread**2


def _inverse_gamma_start(centre: float, spread: float) -> tuple[float, float]:
    centre = max(centre, 1e-3 * spread)
    alpha = (centre / spread) ** 2 + 2
    return alpha, centre * (alpha - 1)


def _log_normal_start(centre: float, spread: float) -> tuple[float, float]:
    centre = max(centre, 1e-3 * spread)
    return float(np.log(centre)), min(spread / centre, 2.0)


FAMILIES: dict[str, Family] = {
    "Normal": Family(("mu", "sigma"), ("sigma",), stats.norm, lambda c, s: (c, s)),
    "StudentT": Family(
        ("mu", "sigma"), ("sigma",), lambda mu, sigma, nu: stats.t(nu, mu, sigma),
        lambda c, s: (c, s), ("nu",),
    ),
    "Laplace": Family(("mu", "b"), ("b",), stats.laplace, lambda c, s: (c, s)),
    "Cauchy": Family(("alpha", "beta"), ("beta",), stats.cauchy, lambda c, s: (c, s)),
    "LogNormal": Family(
        ("mu", "sigma"), ("sigma",), lambda mu, sigma: stats.lognorm(sigma, scale=np.exp(mu)),
        _log_normal_start,
    ),
    "Gamma": Family(
        ("alpha", "beta"), ("alpha", "beta"), lambda a, b: stats.gamma(a, scale=1 / b), _gamma_start
    ),
    "InverseGamma": Family(
        ("alpha", "beta"), ("alpha", "beta"), lambda a, b: stats.invgamma(a, scale=b),
        _inverse_gamma_start,
    ),
    "Beta": Family(("alpha", "beta"), ("alpha", "beta"), stats.beta, _beta_start),
    "HalfNormal": Family(
        ("sigma",), ("sigma",), lambda s: stats.halfnorm(0, s), lambda c, s: (max(c, s),)
    ),
    "HalfStudentT": Family(
        ("sigma",), ("sigma",), lambda s, nu: _HalfStudentT(nu, s), lambda c, s: (max(c, s),),
        ("nu",),
    ),
    "HalfCauchy": Family(
        ("beta",), ("beta",), lambda b: stats.halfcauchy(0, b), lambda c, s: (max(c, s),)
    ),
    "Exponential": Family(
        ("lam",), ("lam",), lambda lam: stats.expon(scale=1 / lam), lambda c, s: (1 / max(c, s),)
    ),
    "Uniform": Family(
        ("lower", "upper"), (), lambda a, b: stats.uniform(a, b - a),
        lambda c, s: (c - 2 * s, c + 2 * s),
    ),
}  # fmt: skip


class _HalfStudentT:
    """Student's t folded at zero: what is asked of a frozen distribution here."""

    def __init__(self, nu: float, sigma: float) -> None:
        self._t = stats.t(nu, 0.0, sigma)
        self._nu, self._sigma = nu, sigma

    def cdf(self, x: Any) -> Any:
        return np.where(np.asarray(x) > 0, 2 * self._t.cdf(x) - 1, 0.0)

    def ppf(self, q: Any) -> Any:
        return self._t.ppf(0.5 + np.asarray(q) / 2)

    def support(self) -> tuple[float, float]:
        return 0.0, np.inf

    def mean(self) -> float:
        return float(self._t.expect(np.abs)) if self._nu > 1 else np.inf

    def std(self) -> float:
        if self._nu <= 2:
            return np.inf
        second = self._sigma**2 * self._nu / (self._nu - 2)
        return float(np.sqrt(second - self.mean() ** 2))


def family(name: str) -> Family:
    """The family of a name.

    Raises
    ------
    ModelError
        If it is not one of `FAMILIES`.
    """
    if name not in FAMILIES:
        raise ModelError(
            f"'{name}' is not a family that can be used here. {did_you_mean(name, FAMILIES)} "
            f"There are: {', '.join(FAMILIES)}."
        )
    return FAMILIES[name]


def frozen(prior: Prior) -> Any:
    """SciPy's distribution of a prior, before any cutting off.

    Raises
    ------
    ModelError
        If the family or an argument is not known.
    """
    found = family(prior.distribution)
    # PyMC's order has what is given, such as nu, first.
    names = (*found.given, *found.arguments)
    values: dict[str, float] = {}
    for i, (word, value) in enumerate(prior.arguments):
        key = word or (names[i] if i < len(names) else "")
        if key not in names or key in values:
            raise ModelError(f"{prior.distribution} takes {', '.join(names)}, unlike {prior}.")
        values[key] = value
    missing = [n for n in names if n not in values]
    if missing:
        raise ModelError(f"{prior} lacks {', '.join(missing)}.")
    return found.frozen(*(values[n] for n in (*found.arguments, *found.given)))
