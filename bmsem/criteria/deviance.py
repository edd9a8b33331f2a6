"""The two deviance information criteria, marginal and conditional.

DIC = Dbar + p_D with p_D = Dbar - D at the posterior means (Spiegelhalter, Best, Carlin & van der Linde
2002, JRSS B 64, 583-639). What differs is the deviance:

- marginal: -2 log p(y | theta), everything latent integrated out. Its p_D is near the number of
  parameters; it is about the prediction of new clusters.
- conditional: -2 log p(y, z | u, theta), with the cluster effects u among the unknowns, as Mplus prints
  it for two-level models. Its p_D is near the number of cluster effects; it is about new people in the
  same clusters. Its value is not comparable with a marginal one (Merkle, Furr & Rabe-Hesketh 2019,
  Psychometrika 84, 802-829).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.likelihood.reduced import (
    ClusterRows,
    ReducedForm,
    cluster_log_likelihood,
    cluster_residuals,
    cluster_rows,
    mean_covariances,
    reduced_form,
    scatter_weights,
)
from bmsem.moments import implied_moments

Array = NDArray[np.float64]
DicKind = Literal["marginal", "conditional"]


@dataclass(frozen=True)
class DIC:
    """A deviance information criterion.

    Attributes
    ----------
    kind
        ``"marginal"`` (cluster effects integrated out) or ``"conditional"`` (given them, as Mplus).
    dic
        Dbar + p_D, on the deviance scale: smaller is better.
    p_d
        Effective number of parameters.
    mean_deviance, deviance_at_mean
        Dbar, and D at the posterior means.
    """

    kind: DicKind
    dic: float
    p_d: float
    mean_deviance: float
    deviance_at_mean: float

    def __str__(self) -> str:
        what = {
            "marginal": "cluster effects integrated out",
            "conditional": "given the cluster effects, as Mplus prints it",
        }[self.kind]
        return f"{self.kind} DIC ({what}): {self.dic:,.2f}, effective parameters {self.p_d:.1f}"


def portions(total: int, cost: int, limit: int = 4_000_000) -> list[slice]:
    """Slices of ``total`` draws of about ``limit`` numbers each, at ``cost`` numbers a draw."""
    size = max(1, limit // max(1, cost))
    return [slice(start, start + size) for start in range(0, total, size)]


def marginal_log_likelihood(bound: BoundModel, parameters: Array) -> Array:
    """Log-likelihood of each cluster (of each row, without levels) at draws (D, P): (D, J)."""
    rows = cluster_rows(bound)
    cost = bound.clusters * bound.structure.between.observed
    return np.concatenate(
        [
            cluster_log_likelihood(reduced_form(bound, parameters[part]), rows)
            for part in portions(len(parameters), cost)
        ]
    )


def marginal_dic(bound: BoundModel, parameters: Array, log_likelihood: Array) -> DIC:
    """Marginal DIC from draws (D, P) and their log-likelihoods by cluster (D, J)."""
    mean = float(-2.0 * log_likelihood.sum(axis=1).mean())
    centre = reduced_form(bound, parameters.mean(axis=0))
    at_mean = float(-2.0 * cluster_log_likelihood(centre, cluster_rows(bound)).sum())
    return DIC("marginal", 2.0 * mean - at_mean, mean - at_mean, mean, at_mean)


def conditional_dic(bound: BoundModel, parameters: Array) -> DIC | None:
    """Conditional DIC from draws (D, P); ``None`` for a model without cluster effects.

    The expectation over the cluster effects given the parameters is exact, not simulated, so that
    only the draws of the parameters add Monte Carlo error. Between-only outcomes z enter through
    p(z | u, theta), factors are integrated out.
    """
    if not bound.structure.outcomes:
        return None
    rows = cluster_rows(bound)
    cost = bound.clusters * bound.structure.between.observed
    deviances, effects = [], np.zeros((bound.clusters, len(bound.structure.outcomes)))
    for part in portions(len(parameters), cost):
        reduced = reduced_form(bound, parameters[part])
        centred, covariance = effect_posterior(reduced, rows)
        deviances.append(_deviance(reduced, rows, centred, covariance))
        effects += (centred + _effect_mean(bound, parameters[part])).sum(axis=0)
    mean = float(np.concatenate(deviances).mean())
    middle = parameters.mean(axis=0)[None]
    centre = reduced_form(bound, middle)
    average = effects / len(parameters) - _effect_mean(bound, middle)
    at_mean = float(_deviance(centre, rows, average, None)[0])
    return DIC("conditional", 2.0 * mean - at_mean, mean - at_mean, mean, at_mean)


def _effect_mean(bound: BoundModel, parameters: Array) -> Array:
    """Mean of the between parts of y given the between covariates: (D, J, p).

    Of the between level alone: constants of within-only outcomes are parameters, not effects.
    """
    structure = bound.structure
    coefficients = implied_moments(structure.between, parameters).observed_coefficients
    first = len(structure.between_outcomes)
    x = np.hstack([np.ones((bound.clusters, 1)), bound.between_covariates])
    return x @ np.swapaxes(coefficients[..., first:, :], -1, -2)


def effect_posterior(reduced: ReducedForm, rows: ClusterRows) -> tuple[Array, Array]:
    """Posterior of the between parts of y, less their prior means, given data and parameters.

    Returns means (D, J, p) and covariances by distinct size (D, G, p, p).
    """
    p = reduced.within_covariance.shape[-1]
    first = reduced.between_covariance.shape[-1] - p
    to_data = reduced.between_covariance[..., first:, :]
    gain = np.swapaxes(
        np.linalg.solve(
            mean_covariances(reduced, rows.distinct), np.swapaxes(to_data, -1, -2)[:, None]
        ),
        -1,
        -2,
    )  # (D, G, p, q)
    residual = cluster_residuals(reduced, rows)
    means = np.empty((*residual.shape[:2], p))
    for g in range(len(rows.distinct)):
        members = rows.group == g
        means[:, members] = residual[:, members] @ np.swapaxes(gain[:, g], -1, -2)
    covariance = to_data[:, None, :, first:] - gain @ np.swapaxes(to_data, -1, -2)[:, None]
    return means, covariance


def _deviance(
    reduced: ReducedForm, rows: ClusterRows, centred: Array, covariance: Array | None
) -> Array:
    """E[-2 log p(y, z | u, theta)] over u with the given means and covariances: (D,)."""
    p = reduced.within_covariance.shape[-1]
    q = reduced.between_covariance.shape[-1]
    first = q - p
    precision = np.linalg.inv(reduced.within_covariance)
    _, logdet = np.linalg.slogdet(reduced.within_covariance)
    total = rows.sizes.sum()
    value = total * (p * np.log(2.0 * np.pi) + logdet)
    weights = scatter_weights(reduced)
    value = value + np.einsum("dab,ab->d", weights, rows.scatter.sum(axis=0))
    residual = cluster_residuals(reduced, rows)
    off = residual[..., first:] - centred
    value += np.einsum("j,dja,dab,djb->d", rows.sizes, off, precision, off, optimize=True)
    counts = np.bincount(rows.group).astype(float)
    if covariance is not None:
        members = counts * rows.distinct
        value += np.einsum("g,dab,dgab->d", members, precision, covariance, optimize=True)
    if first:
        between = reduced.between_covariance
        s_uu, s_zu = between[..., first:, first:], between[..., :first, first:]
        # Sigma_uu may be singular: residual variances fixed at zero, within-only outcomes.
        slopes = s_zu @ np.linalg.pinv(s_uu, rcond=1e-10, hermitian=True)
        rest = between[..., :first, :first] - slopes @ np.swapaxes(s_zu, -1, -2)
        inverse = np.linalg.inv(rest)
        _, logdet = np.linalg.slogdet(rest)
        error = residual[..., :first] - centred @ np.swapaxes(slopes, -1, -2)
        value += len(rows.sizes) * (first * np.log(2.0 * np.pi) + logdet)
        value += np.einsum("dja,dab,djb->d", error, inverse, error, optimize=True)
        if covariance is not None:
            spread = slopes[:, None] @ covariance @ np.swapaxes(slopes, -1, -2)[:, None]
            value += np.einsum("g,dab,dgab->d", counts, inverse, spread, optimize=True)
    return value
