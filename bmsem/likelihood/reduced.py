"""The reduced form of a two-level model: what its likelihood is made of, at many draws at once.

With d_j = (z_j, ybar_j), between covariates x_j and within covariates x_ij,

    d_j  = Pi (1, x_j) + (0, B xbar_j) + (zeta_j),        Cov = Sigma_B + blockdiag(0, Sigma_W / n_j)
    y_ij - ybar_j = B (x_ij - xbar_j) + (e_ij - ebar_j),  Cov of e = Sigma_W

All data are taken less `PooledStatistics.shift` (their means over clusters), so that no digits are lost
to large means; the constants in Pi are those of the shifted data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.moments import implied_moments

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ReducedForm:
    """Reduced forms at parameter vectors with any leading axes.

    Attributes
    ----------
    between_coefficients : (..., q, 1 + k_b)
        Pi: constants (of the shifted data) and coefficients on x_j.
    within_coefficients : (..., p, k_w)
        B.
    between_covariance : (..., q, q)
        Sigma_B of (z, y).
    within_covariance : (..., p, p)
        Sigma_W.
    """

    between_coefficients: Array
    within_coefficients: Array
    between_covariance: Array
    within_covariance: Array

    def __getitem__(self, draws: Any) -> ReducedForm:
        """Some of the draws."""
        return ReducedForm(
            self.between_coefficients[draws],
            self.within_coefficients[draws],
            self.between_covariance[draws],
            self.within_covariance[draws],
        )


def reduced_form(bound: BoundModel, parameters: Array) -> ReducedForm:
    """The reduced form at parameter vectors (..., P)."""
    structure = bound.structure
    within = implied_moments(structure.within, parameters)
    between = implied_moments(structure.between, parameters)
    first = len(structure.between_outcomes)
    coefficients = between.observed_coefficients.copy()
    slopes = within.observed_coefficients[..., 1:]
    shift = bound.shift
    q, k = coefficients.shape[-2:]
    # A member's mean is the sum of both levels' constants.
    coefficients[..., first:, 0] += within.observed_coefficients[..., 0]
    coefficients[..., 0] += coefficients[..., 1:] @ shift[q + 1 : q + k] - shift[:q]
    coefficients[..., first:, 0] += slopes @ shift[q + k :]
    return ReducedForm(
        coefficients, slopes, between.observed_covariance, within.observed_covariance
    )


@dataclass(frozen=True)
class ClusterRows:
    """The data by cluster, less the shift.

    Attributes
    ----------
    outcomes : (J, q)
        d_j = (z_j, ybar_j).
    between_covariates : (J, 1 + k_b)
        (1, x_j).
    within_means : (J, k_w)
        xbar_j.
    scatter : (J, p + k_w, p + k_w)
        Cross-products of (y, x) about the cluster's means.
    sizes : (J,)
    group : (J,)
        Index of the cluster's size among the distinct sizes.
    distinct : (G,)
        The distinct sizes.
    """

    outcomes: Array
    between_covariates: Array
    within_means: Array
    scatter: Array
    sizes: Array
    group: NDArray[np.intp]
    distinct: Array


def cluster_rows(bound: BoundModel) -> ClusterRows:
    """The data of a bound model by cluster."""
    structure = bound.structure
    clusters, p = bound.clusters, len(structure.outcomes)
    shift = bound.shift
    if not bound.spec.multilevel:
        means, scatter = np.empty((clusters, 0)), np.empty((clusters, 0, 0))
    else:
        assert bound.members is not None
        flat = bound.members.by_cluster()
        means, scatter = flat.means[:, 0], flat.scatter[:, 0]
    outcomes = np.hstack([bound.between_outcomes, means[:, :p]])
    q, k = outcomes.shape[1], bound.between_covariates.shape[1]
    sizes = bound.cluster_sizes.astype(float)
    distinct, group = np.unique(sizes, return_inverse=True)
    return ClusterRows(
        outcomes - shift[:q],
        np.hstack([np.ones((clusters, 1)), bound.between_covariates - shift[q + 1 : q + 1 + k]]),
        means[:, p:] - shift[q + 1 + k :],
        scatter,
        sizes,
        group,
        distinct,
    )


def mean_covariances(reduced: ReducedForm, sizes: Array) -> Array:
    """V = Sigma_B + blockdiag(0, Sigma_W / n) for each size: (..., G, q, q)."""
    v = np.repeat(reduced.between_covariance[..., None, :, :], len(sizes), axis=-3)
    p = reduced.within_covariance.shape[-1]
    if p:
        first = v.shape[-1] - p
        v[..., first:, first:] += reduced.within_covariance[..., None, :, :] / sizes[:, None, None]
    return v


def cluster_residuals(reduced: ReducedForm, rows: ClusterRows) -> Array:
    """d_j less its mean given the covariates: (..., J, q)."""
    mean = rows.between_covariates @ np.swapaxes(reduced.between_coefficients, -1, -2)
    p = reduced.within_covariance.shape[-1]
    if rows.within_means.shape[1] and p:
        first = mean.shape[-1] - p
        mean[..., first:] += rows.within_means @ np.swapaxes(reduced.within_coefficients, -1, -2)
    return rows.outcomes - mean


def scatter_weights(reduced: ReducedForm) -> Array:
    """K with tr(K S_j) = tr(Sigma_W^-1 S_res,j) for the scatter S_j of (y, x): (..., d, d)."""
    p = reduced.within_covariance.shape[-1]
    lead = reduced.within_covariance.shape[:-2]
    eye = np.broadcast_to(np.eye(p), (*lead, p, p))
    left = np.concatenate([eye, -reduced.within_coefficients], axis=-1)
    return np.swapaxes(left, -1, -2) @ np.linalg.solve(reduced.within_covariance, left)


def cluster_log_likelihood(reduced: ReducedForm, rows: ClusterRows) -> Array:
    """Marginal log-likelihood of each cluster: (..., J); their sum is the model's.

    Everything latent is integrated out; formula as in `bmsem.likelihood.kernel`, a cluster at a time.
    Without clusters, of each row.
    """
    residual = cluster_residuals(reduced, rows)
    v = mean_covariances(reduced, rows.distinct)
    factor = np.linalg.cholesky(v)
    diagonal = np.diagonal(factor, axis1=-2, axis2=-1)
    logdet = 2.0 * np.log(diagonal).sum(axis=-1)
    inverse = np.linalg.inv(factor)
    q, p = residual.shape[-1], reduced.within_covariance.shape[-1]
    value = np.empty(residual.shape[:-1])
    for g in range(len(rows.distinct)):
        members = rows.group == g
        white = residual[..., members, :] @ np.swapaxes(inverse[..., g, :, :], -1, -2)
        value[..., members] = -0.5 * (white**2).sum(axis=-1)
    value -= 0.5 * (logdet[..., rows.group] + q * np.log(2.0 * np.pi))
    if p:
        _, within = np.linalg.slogdet(reduced.within_covariance)
        weights = scatter_weights(reduced)
        d = weights.shape[-1]
        traces = weights.reshape(*weights.shape[:-2], d * d) @ rows.scatter.reshape(-1, d * d).T
        constant = p * np.log(2.0 * np.pi)
        value -= 0.5 * ((rows.sizes - 1.0) * (within[..., None] + constant) + traces)
        value -= 0.5 * p * np.log(rows.sizes)
    return value
