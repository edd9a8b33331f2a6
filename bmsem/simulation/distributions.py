"""Distributions of covariates and sizes written as text: ``Normal(0, 1)``, ``Bernoulli(0.5)``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsem.errors import ModelError, ModelSyntaxError, did_you_mean
from bmsem.language.prior_text import parse_prior

Array = NDArray[np.float64]

# By PyMC's names and arguments; `s` is scipy.stats, which is imported when it is needed.
_MAKERS: dict[str, Callable[..., Any]] = {
    "Normal": lambda s, mu=0.0, sigma=1.0: s.norm(mu, sigma),
    "HalfNormal": lambda s, sigma=1.0: s.halfnorm(0.0, sigma),
    "TruncatedNormal": lambda s, mu=0.0, sigma=1.0, lower=-np.inf, upper=np.inf: s.truncnorm(
        (lower - mu) / sigma, (upper - mu) / sigma, mu, sigma
    ),
    "SkewNormal": lambda s, mu=0.0, sigma=1.0, alpha=1.0: s.skewnorm(alpha, mu, sigma),
    "StudentT": lambda s, nu, mu=0.0, sigma=1.0: s.t(nu, mu, sigma),
    "Laplace": lambda s, mu, b: s.laplace(mu, b),
    "Logistic": lambda s, mu=0.0, s_=1.0: s.logistic(mu, s_),
    "LogNormal": lambda s, mu=0.0, sigma=1.0: s.lognorm(sigma, 0.0, np.exp(mu)),
    "Uniform": lambda s, lower=0.0, upper=1.0: s.uniform(lower, upper - lower),
    "Triangular": lambda s, lower=0.0, upper=1.0, c=0.5: s.triang(
        (c - lower) / (upper - lower), lower, upper - lower
    ),
    "Beta": lambda s, alpha, beta: s.beta(alpha, beta),
    "Gamma": lambda s, alpha, beta: s.gamma(alpha, 0.0, 1.0 / beta),
    "InverseGamma": lambda s, alpha, beta=1.0: s.invgamma(alpha, 0.0, beta),
    "Exponential": lambda s, lam=1.0: s.expon(0.0, 1.0 / lam),
    "ChiSquared": lambda s, nu: s.chi2(nu),
    "Weibull": lambda s, alpha, beta: s.weibull_min(alpha, 0.0, beta),
    "Pareto": lambda s, alpha, m: s.pareto(alpha, 0.0, m),
    "Bernoulli": lambda s, p: s.bernoulli(p),
    "Binomial": lambda s, n, p: s.binom(n, p),
    "Poisson": lambda s, mu: s.poisson(mu),
    "NegativeBinomial": lambda s, mu, alpha: s.nbinom(alpha, alpha / (mu + alpha)),
    "Geometric": lambda s, p: s.geom(p),
    "DiscreteUniform": lambda s, lower, upper: s.randint(lower, upper + 1),
}


@dataclass(frozen=True)
class Distribution:
    """A distribution of numbers, by its text.

    Examples
    --------
    >>> Distribution("Gamma(2, 4)").mean
    0.5
    """

    text: str

    def __post_init__(self) -> None:
        """Raise `ModelError` for a text that is no distribution."""
        name, values = _read(self.text)
        # Division by zero in the arguments is found below.
        with np.errstate(all="ignore"):
            try:
                middle = self._frozen.ppf(0.5)
            except ZeroDivisionError:
                middle = np.nan
        if not np.isfinite(middle):
            shown = ", ".join(f"{k} = {v:g}" for k, v in values.items())
            raise ModelError(f"{name} has no values with {shown} ('{self.text}').")

    @cached_property
    def _frozen(self) -> Any:
        from scipy import stats

        name, values = _read(self.text)
        return _MAKERS[name](stats, **{"s_" if k == "s" else k: v for k, v in values.items()})

    @cached_property
    def _normal(self) -> bool:
        return _read(self.text)[0] == "Normal"

    @property
    def mean(self) -> float:
        return float(self._frozen.mean())

    def below(self, value: float) -> float:
        """The share of values below a number."""
        return float(self._frozen.cdf(np.nextafter(value, -np.inf)))

    def draw(self, random: np.random.Generator, size: int) -> Array:
        """Independent values (size,)."""
        return np.asarray(self._frozen.rvs(size, random_state=random), dtype=float)

    def draw_clustered(
        self, random: np.random.Generator, codes: NDArray[np.intp], clusters: int, share: float
    ) -> Array:
        """Values (N,) by a normal copula: normal scores carried over to the distribution.

        ``share`` is the part of the scores' variance that lies between clusters; see
        `score_correlation`.
        """
        if share == 0.0:
            return self.draw(random, len(codes))
        from scipy.special import ndtr

        scores = np.sqrt(share) * random.standard_normal(clusters)[codes]
        scores += np.sqrt(1.0 - share) * random.standard_normal(len(codes))
        if self._normal:
            return self.mean + float(self._frozen.std()) * scores
        return np.asarray(self._frozen.ppf(np.clip(ndtr(scores), 1e-15, 1 - 1e-15)), dtype=float)

    def score_correlation(self, icc: float) -> float:
        """Correlation of the normal scores for which the values have correlation ``icc``.

        With the expansion x(z) = sum_k c_k h_k(z) in normalised Hermite polynomials the correlation
        of x(z) and x(z') is sum_k c_k^2 r^k / sum_k c_k^2 (Lancaster 1957, Biometrika 44, 289-292).
        """
        if icc == 0.0 or self._normal:
            return icc
        weights = self._hermite_weights

        def correlation(r: float) -> float:
            return float(np.polynomial.polynomial.polyval(r, weights))

        highest = correlation(0.99)
        if icc > highest:
            raise ModelError(
                f"'{self.text}' cannot have an intraclass correlation of {icc:g}: give one below "
                f"{highest:.2f}."
            )
        from scipy.optimize import brentq

        return float(brentq(lambda r: correlation(r) - icc, 0.0, 0.99))

    @cached_property
    def _hermite_weights(self) -> Array:
        """c_k^2 as shares of the variance, from k = 0 (which is none of it)."""
        from scipy.special import ndtri

        u = (np.arange(20_000) + 0.5) / 20_000
        z, x = ndtri(u), np.asarray(self._frozen.ppf(u), dtype=float)
        x = (x - x.mean()) / x.std()
        before, polynomial = np.zeros_like(z), np.ones_like(z)
        weights = [0.0]
        for k in range(1, 60):
            after = (z * polynomial - np.sqrt(k - 1) * before) / np.sqrt(k)
            before, polynomial = polynomial, after
            weights.append(float(np.mean(x * polynomial)) ** 2)
        return np.array(weights)


@dataclass(frozen=True)
class Covariate:
    """A covariate that is drawn, with a share of its variance between clusters.

    Parameters
    ----------
    distribution
        By PyMC's name and arguments: ``"Normal(0, 1)"``.
    icc
        Correlation of two members of a cluster, which is the share of the variance that lies between
        clusters; for covariates of people only.

    Examples
    --------
    >>> print(Covariate("Normal(0, 1)", icc=0.1))
    Normal(0, 1), icc 0.1
    """

    distribution: str
    icc: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.icc < 1.0:
            raise ModelError(
                f"The icc of '{self.distribution}' is {self.icc:g}: give a share of the variance, "
                f"at least 0 and below 1."
            )
        _ = self.share

    @cached_property
    def source(self) -> Distribution:
        """The distribution, read."""
        return Distribution(self.distribution)

    @cached_property
    def share(self) -> float:
        """Between clusters, of the variance of the normal scores that the values are made of."""
        return self.source.score_correlation(self.icc)

    def __str__(self) -> str:
        return f"{self.distribution}, icc {self.icc:g}" if self.icc else self.distribution


def _read(text: str) -> tuple[str, dict[str, float]]:
    """The name and every argument by its own name.

    Raises
    ------
    ModelError
        If the text cannot be read, or the name or an argument is unknown.
    """
    try:
        prior = parse_prior(text)
    except ModelSyntaxError as error:
        raise ModelError(
            f"'{text}' is not a distribution: write its name with numbers in brackets, such as "
            f"'Normal(0, 1)' or 'Bernoulli(0.5)'."
        ) from error
    name = prior.distribution
    if name not in _MAKERS or prior.on != "parameter":
        raise ModelError(
            f"The distribution '{name}' in '{text}' is not known. {did_you_mean(name, _MAKERS)}"
        )
    signature = inspect.signature(_MAKERS[name])
    words = [w.rstrip("_") for w in list(signature.parameters)[1:]]
    required = [
        w.rstrip("_")
        for w, p in list(signature.parameters.items())[1:]
        if p.default is inspect.Parameter.empty
    ]
    positional = [v for k, v in prior.arguments if not k]
    values = dict(zip(words, positional, strict=False))
    named = {k: v for k, v in prior.arguments if k}
    lacking = [w for w in required if w not in values and w not in named]
    if len(positional) > len(words) or set(named) - set(words) or set(named) & set(values):
        problem = "are not those of the distribution"
    elif lacking:
        problem = f"lack {' and '.join(lacking)}"
    else:
        return name, values | named
    raise ModelError(
        f"The arguments in '{text}' {problem}: {name} takes {', '.join(words)}, as in PyMC."
    )
