"""Replicated data, as sufficient statistics: people are never drawn.

Given the parameters, the means of the clusters are normal with covariance Sigma_B + Sigma_W / n_j, and
the pooled within cross-products of the residuals are Wishart with N - J degrees of freedom and
independent of them (Anderson 2003, *An Introduction to Multivariate Statistical Analysis*, theorem
3.3.2). Cluster sizes and covariates are those of the data.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.likelihood.canonical import TwoLevelData, observed_data
from bmsem.likelihood.reduced import (
    ClusterRows,
    ReducedForm,
    cluster_rows,
    mean_covariances,
)

Array = NDArray[np.float64]


def root(covariance: Array) -> Array:
    """R with R R' = covariance, which may be singular: (..., m, m)."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]


def wishart(random: np.random.Generator, draws: int, freedom: int, size: int) -> Array:
    """Standard Wishart matrices (draws, size, size), by Bartlett's decomposition.

    With fewer degrees of freedom than rows the matrices are singular, and are made from normals.
    """
    if freedom < size:
        normal = random.standard_normal((draws, size, freedom))
        return normal @ np.swapaxes(normal, -1, -2)
    factor = np.zeros((draws, size, size))
    below = np.tril_indices(size, -1)
    factor[:, below[0], below[1]] = random.standard_normal((draws, len(below[0])))
    for i in range(size):
        factor[:, i, i] = np.sqrt(random.chisquare(freedom - i, draws))
    return factor @ np.swapaxes(factor, -1, -2)


def replicate(bound: BoundModel, reduced: ReducedForm, random: np.random.Generator) -> TwoLevelData:
    """One replicated data set a draw; ``reduced`` has one leading axis."""
    rows, observed = cluster_rows(bound), observed_data(bound)
    cross = _replicated_cross(reduced, rows, random)
    return TwoLevelData(
        _replicated_scatter(reduced, observed, bound.pooled.freedom, random),
        cross,
        observed.sizes,
        observed.counts,
    )


def replicated_means(reduced: ReducedForm, rows: ClusterRows, random: np.random.Generator) -> Array:
    """d_j = (z_j, ybar_j) of replicated clusters: (R, J, q)."""
    coefficients = np.swapaxes(reduced.between_coefficients, -1, -2)
    means = rows.between_covariates @ coefficients
    p = reduced.within_covariance.shape[-1]
    if rows.within_means.shape[1] and p:
        first = means.shape[-1] - p
        means[..., first:] += rows.within_means @ np.swapaxes(reduced.within_coefficients, -1, -2)
    roots = root(mean_covariances(reduced, rows.distinct))
    for g in range(len(rows.distinct)):
        members = np.flatnonzero(rows.group == g)
        noise = random.standard_normal((means.shape[0], len(members), means.shape[-1]))
        means[:, members] += noise @ np.swapaxes(roots[:, g], -1, -2)
    return means


def _replicated_cross(
    reduced: ReducedForm, rows: ClusterRows, random: np.random.Generator
) -> Array:
    outcomes = replicated_means(reduced, rows, random)
    draws, _, q = outcomes.shape
    known = np.hstack([rows.between_covariates, rows.within_means])
    groups, width = len(rows.distinct), q + known.shape[1]
    cross = np.empty((draws, groups, width, width))
    for g in range(groups):
        members = rows.group == g
        d, c = outcomes[:, members], known[members]
        cross[:, g, :q, :q] = np.swapaxes(d, -1, -2) @ d
        cross[:, g, :q, q:] = np.swapaxes(d, -1, -2) @ c
        cross[:, g, q:, :q] = np.swapaxes(cross[:, g, :q, q:], -1, -2)
        cross[:, g, q:, q:] = c.T @ c
    return cross


def _replicated_scatter(
    reduced: ReducedForm, observed: TwoLevelData, freedom: float, random: np.random.Generator
) -> Array:
    """Cross-products of (y, x): y = B x + e, with x kept."""
    draws, p = reduced.within_covariance.shape[:2]
    x = observed.scatter[p:, p:]
    k = x.shape[0]
    noise_root = root(reduced.within_covariance)
    rank = int(np.linalg.matrix_rank(x)) if k else 0
    # sum e x' is normal; what it leaves of sum e e' is Wishart with so many degrees of freedom fewer.
    standard = random.standard_normal((draws, p, k))
    if rank < k:
        standard[:, :, : k - rank] = 0.0  # eigenvalues ascend: the first directions are empty
    e_x = noise_root @ standard @ root(x).T
    rest = wishart(random, draws, int(freedom) - rank, p)
    e_e = noise_root @ (standard @ np.swapaxes(standard, -1, -2) + rest)
    e_e = e_e @ np.swapaxes(noise_root, -1, -2)
    b = reduced.within_coefficients
    across = np.swapaxes(b, -1, -2)
    scatter = np.empty((draws, p + k, p + k))
    scatter[:, p:, p:] = x
    scatter[:, :p, p:] = b @ x + e_x
    scatter[:, p:, :p] = np.swapaxes(scatter[:, :p, p:], -1, -2)
    both = e_x @ across
    scatter[:, :p, :p] = b @ x @ across + both + np.swapaxes(both, -1, -2) + e_e
    return scatter
