"""WAIC and PSIS-LOO from pointwise log-likelihoods.

The unit is the cluster (the prediction of a new cluster), with its log-likelihood integrated over
everything latent: conditioning on cluster effects would ask a question of its own and makes the
approximations unreliable (Merkle, Furr & Rabe-Hesketh 2019, Psychometrika 84, 802-829). The second
choice is one person: the prediction of a person given the rest of the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats
from numpy.typing import NDArray
from scipy.special import logsumexp

from bmsem.data import BoundModel
from bmsem.errors import DataError
from bmsem.likelihood.canonical import canonical, layout_of
from bmsem.likelihood.reduced import reduced_form
from bmsem.likelihood.unrestricted import coordinates

Array = NDArray[np.float64]
Unit = Literal["cluster", "person", "row"]


@dataclass(frozen=True)
class ELPD:
    """Expected log pointwise predictive density, by WAIC or PSIS-LOO.

    Attributes
    ----------
    method
        ``"WAIC"`` or ``"LOO"``.
    unit
        What is left out: a ``"cluster"``, a ``"person"``, or a ``"row"`` of a model without levels.
    elpd, se, p
        Estimate (larger is better), its standard error over units, effective number of parameters.
    pointwise
        A row a unit: ``elpd``, ``p``, and ``pareto_k`` for LOO; indexed by cluster or row.
    good_k
        Pareto k up to which an estimate is reliable.
    draws
        How many posterior draws were used.
    """

    method: Literal["WAIC", "LOO"]
    unit: Unit
    elpd: float
    se: float
    p: float
    pointwise: pd.DataFrame
    good_k: float
    draws: int

    @property
    def ic(self) -> float:
        """On the deviance scale: -2 elpd."""
        return -2.0 * self.elpd

    @property
    def doubtful(self) -> pd.DataFrame:
        """Units whose estimate is not reliable: large Pareto k, or for WAIC a variance above 0.4."""
        if self.method == "LOO":
            return self.pointwise[self.pointwise["pareto_k"] > self.good_k]
        return self.pointwise[self.pointwise["p"] > 0.4]

    @property
    def lines(self) -> tuple[str, ...]:
        """In words, with what to make of it."""
        name = "PSIS-LOO" if self.method == "LOO" else "WAIC"
        lines = [
            f"{name} by {self.unit}: elpd {self.elpd:,.2f} (SE {self.se:.2f}), effective parameters "
            f"{self.p:.1f}, on the deviance scale {self.ic:,.2f}"
        ]
        bad = self.doubtful
        if len(bad):
            shown = ", ".join(str(i) for i in bad.index[:5]) + (", …" if len(bad) > 5 else "")
            what = (
                f"Pareto k above {self.good_k:.2f}"
                if self.method == "LOO"
                else "posterior variance above 0.4"
            )
            lines.append(
                f"{len(bad)} of {len(self.pointwise)} {self.unit}s have {what} ({shown}): their "
                f"part of the estimate is not reliable"
                + ("" if self.method == "LOO" else "; use LOO")
            )
        return tuple(lines)

    def __str__(self) -> str:
        return "\n".join(self.lines)


def waic(log_likelihood: Array, index: pd.Index, unit: Unit) -> ELPD:
    """WAIC from (D, units): lppd - p_waic2 (Watanabe 2010; Gelman, Hwang & Vehtari 2014, Statistics
    and Computing 24, 997-1016)."""
    draws, units = log_likelihood.shape
    lppd = logsumexp(log_likelihood, axis=0) - np.log(draws)
    p = log_likelihood.var(axis=0, ddof=1) if draws > 1 else np.full(units, np.nan)
    elpd = lppd - p
    frame = pd.DataFrame({"elpd": elpd, "p": p}, index=index)
    return ELPD("WAIC", unit, float(elpd.sum()), _se(elpd), float(p.sum()), frame, np.nan, draws)


def psis_loo(log_likelihood: Array, index: pd.Index, unit: Unit, chains: int) -> ELPD:
    """PSIS-LOO from (D, units), chains one after the other, by ArviZ's smoothing.

    (Vehtari, Gelman & Gabry 2017, Statistics and Computing 27, 1413-1432; Vehtari, Simpson, Gelman, Yao
    & Gabry 2024, Journal of Machine Learning Research 25, 72.)

    Raises
    ------
    DataError
        If there are too few draws to smooth a tail.
    """
    draws, units = log_likelihood.shape
    if draws < 25:
        raise DataError(
            f"LOO needs at least 25 draws to smooth the tail of the weights; there are {draws}."
        )
    shaped = log_likelihood.reshape(chains, draws // chains, units)
    elpd, k, p = np.empty(units), np.empty(units), np.empty(units)
    efficiency = _relative_efficiency(shaped)
    # Transposed once: each unit's draws lie together.
    columns = np.ascontiguousarray(log_likelihood.T)
    for i in range(units):
        elpd[i], k[i], p[i] = array_stats.loo(columns[i][None], r_eff=float(efficiency[i]))
    frame = pd.DataFrame({"elpd": elpd, "p": p, "pareto_k": k}, index=index)
    good = min(1.0 - 1.0 / np.log10(draws), 0.7)
    return ELPD("LOO", unit, float(elpd.sum()), _se(elpd), float(p.sum()), frame, good, draws)


def _relative_efficiency(shaped: Array) -> Array:
    """Effective over nominal sample size of each unit's likelihood; (units,)."""
    chains, length, units = shaped.shape
    if length < 4:
        return np.ones(units)
    likelihood = np.exp(shaped - shaped.max(axis=(0, 1)))
    effective = array_stats.ess(
        np.moveaxis(likelihood, 2, 0), method="mean", chain_axis=1, draw_axis=2
    )
    ratio = np.asarray(effective, dtype=float) / (chains * length)
    return np.where(np.isfinite(ratio) & (ratio > 0), np.minimum(ratio, 1.0), 1.0)


def _se(pointwise: Array) -> float:
    return float(np.sqrt(len(pointwise) * pointwise.var(ddof=1))) if len(pointwise) > 1 else np.nan


def person_log_likelihood(bound: BoundModel, parameters: Array) -> Array:
    """log p(y_i | the others of the cluster, theta): (D, N), the factor that leaving i out removes.

    In the coordinates of `bmsem.likelihood.unrestricted` the elements of a person's residual are
    independent: given the n - 1 others with sum s_a, element a is normal with mean
    lambda_a s_a / (1 + (n - 1) lambda_a) and variance 1 + lambda_a / (1 + (n - 1) lambda_a). Within-only
    outcomes come first, from their own regression.

    Raises
    ------
    DataError
        If the fit was made from statistics and has no rows.
    """
    people = bound.people
    if people is None:
        raise DataError("Leaving out one person needs the rows of the data, and this fit has none.")
    layout = layout_of(bound)
    structure, shift = bound.structure, bound.shift
    p, q = len(structure.outcomes), structure.between.observed
    k = bound.between_covariates.shape[1]
    y = people.values[:, :p] - shift[q - p : q]
    x = people.values[:, p:] - shift[q + 1 + k :]
    z = bound.between_outcomes - shift[: q - p]
    c = np.hstack(
        [np.ones((bound.clusters, 1)), bound.between_covariates - shift[q + 1 : q + 1 + k], z]
    )
    v = y[:, layout.only]
    sizes = bound.cluster_sizes[people.clusters].astype(float)
    found = np.empty((len(parameters), len(y)))
    every = canonical(reduced_form(bound, parameters), layout)
    transforms, all_roots = coordinates(every.y)
    for i in range(len(parameters)):
        parts = every[i]
        value = np.zeros(len(y))
        if v.shape[1]:
            coefficients, covariance = parts.v.coefficients, parts.v.covariance
            error = v - coefficients[:, 0] - x @ coefficients[:, 1:].T
            white = np.linalg.solve(np.linalg.cholesky(covariance), error.T)
            value -= 0.5 * (white**2).sum(axis=0)
            value -= 0.5 * (np.linalg.slogdet(covariance)[1] + v.shape[1] * np.log(2.0 * np.pi))
        if len(layout.both):
            u, roots = transforms[i], all_roots[i]
            mean = (c @ parts.y.gamma.T)[people.clusters] + np.hstack([x, v]) @ parts.y.slopes.T
            own = (y[:, layout.both] - mean) @ u.T
            sums = np.zeros((bound.clusters, own.shape[1]))
            for a in range(own.shape[1]):
                sums[:, a] = np.bincount(people.clusters, own[:, a], minlength=bound.clusters)
            shrink = roots / (1.0 + (sizes[:, None] - 1.0) * roots)
            off = own - shrink * (sums[people.clusters] - own)
            variance = 1.0 + shrink
            value -= 0.5 * (off**2 / variance + np.log(2.0 * np.pi * variance)).sum(axis=1)
            value += np.linalg.slogdet(u)[1]
        found[i] = value
    return found
