"""Sufficient statistics: cross-products by cluster and cell.

A cell is what changes the within structure of the model (a missingness pattern, a value of an
observed moderator). Models without varying slopes pool over clusters (`pooled`); everything else
reads the cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ClusterStatistics:
    """Counts, means and scatter of v = (y, x_within) by cluster j and cell k.

    The cross-products about any point m are ``scatter + count (mean - m)(mean - m)'``: kept about
    the cell's own mean, no digits are lost to large means.

    Attributes
    ----------
    counts : (J, K)
    means : (J, K, d)
    scatter : (J, K, d, d)
    """

    counts: Array
    means: Array
    scatter: Array

    @property
    def cluster_sizes(self) -> Array:
        """Members of each cluster, (J,)."""
        return self.counts.sum(axis=1)

    def cross_products(self) -> Array:
        """C_jk = sum_i v v' with v = (1, y, x): shape (J, K, 1 + d, 1 + d)."""
        j, k, d = self.means.shape
        full = np.empty((j, k, 1 + d, 1 + d))
        n = self.counts[..., None, None]
        full[..., 0, 0] = self.counts
        full[..., 0, 1:] = full[..., 1:, 0] = self.counts[..., None] * self.means
        full[..., 1:, 1:] = self.scatter + n * self.means[..., :, None] * self.means[..., None, :]
        return full

    def by_cluster(self) -> ClusterStatistics:
        """The same over all cells: one cell a cluster."""
        if self.counts.shape[1] == 1:
            return self
        n = self.cluster_sizes
        means = np.einsum("jk,jkd->jd", self.counts, self.means) / n[:, None]
        off = self.means - means[:, None]
        scatter = self.scatter.sum(1) + np.einsum("jk,jka,jkb->jab", self.counts, off, off)
        return ClusterStatistics(n[:, None], means[:, None], scatter[:, None])


def cluster_statistics(
    values: Array, clusters: NDArray[np.intp], n_clusters: int
) -> ClusterStatistics:
    """Statistics of rows ``values`` (N, d) whose clusters are ``clusters`` (N,), in 0 .. J-1.

    Every cluster must have a row. Cost: one sort of the codes and d (d + 1) / 2 passes.
    """
    order = np.argsort(clusters, kind="stable")
    codes = clusters[order]
    starts = np.searchsorted(codes, np.arange(n_clusters))
    counts = np.diff(np.append(starts, codes.size)).astype(float)
    d = values.shape[1]
    means = np.empty((n_clusters, d))
    deviations = np.empty((d, codes.size))
    for a in range(d):
        column = values[order, a]
        means[:, a] = np.add.reduceat(column, starts) / counts
        deviations[a] = column - np.repeat(means[:, a], counts.astype(np.intp))
        # A second pass takes out what rounding left in the mean.
        rest = np.add.reduceat(deviations[a], starts) / counts
        means[:, a] += rest
        deviations[a] -= np.repeat(rest, counts.astype(np.intp))
    scatter = np.empty((n_clusters, d, d))
    for a in range(d):
        for b in range(a + 1):
            scatter[:, a, b] = np.add.reduceat(deviations[a] * deviations[b], starts)
            scatter[:, b, a] = scatter[:, a, b]
    return ClusterStatistics(counts[:, None], means[:, None], scatter[:, None])


@dataclass(frozen=True)
class ObservedMoments:
    """Means by cluster and variances inside clusters, of what is observed of each variable.

    Attributes
    ----------
    counts, means : (J, d)
        How many members of the cluster the variable is observed of, and their mean (nan for none).
    within : (d,)
        Pooled variance inside clusters.
    """

    counts: Array
    means: Array
    within: Array


def observed_moments(values: Array, clusters: NDArray[np.intp], n_clusters: int) -> ObservedMoments:
    """Moments of rows ``values`` (N, d) in which nan is missing, a variable at a time."""
    d = values.shape[1]
    counts, means, within = np.empty((n_clusters, d)), np.empty((n_clusters, d)), np.empty(d)
    for a in range(d):
        there = ~np.isnan(values[:, a])
        own, codes = values[there, a], clusters[there]
        counts[:, a] = np.bincount(codes, minlength=n_clusters)
        middle = own.mean() if own.size else 0.0
        with np.errstate(invalid="ignore"):
            sums = np.bincount(codes, own - middle, minlength=n_clusters)
            means[:, a] = sums / counts[:, a] + middle
        freedom = own.size - np.count_nonzero(counts[:, a])
        within[a] = ((own - means[codes, a]) ** 2).sum() / max(1, freedom)
    return ObservedMoments(counts, means, within)


def moments_of(members: ClusterStatistics) -> ObservedMoments:
    """The same from the statistics of complete data."""
    flat = members.by_cluster()
    freedom = max(1.0, flat.cluster_sizes.sum() - len(flat.counts))
    within = np.diagonal(flat.scatter[:, 0].sum(axis=0)) / freedom
    counts = np.repeat(flat.counts, flat.means.shape[-1], axis=1)
    return ObservedMoments(counts, flat.means[:, 0], within)


@dataclass(frozen=True)
class PooledStatistics:
    """What the likelihood of a random-intercept model needs of the data; see its kernel.

    Attributes
    ----------
    scatter : (d, d)
        Within cross-products of (y, x_within) pooled over clusters.
    freedom
        N - J.
    sizes, counts : (G,)
        Distinct cluster sizes and how many clusters have them.
    cross : (G, q + c, q + c)
        Cross-products of (z, ybar, 1, x_between, xbar_within) less ``shift``.
    shift : (q + c,)
    constant
        Terms of the log-likelihood that depend on nothing but counts.
    """

    scatter: Array
    freedom: float
    sizes: Array
    counts: Array
    cross: Array
    shift: Array
    constant: float


def pooled_statistics(
    members: ClusterStatistics | None,
    between_outcomes: Array,
    between_covariates: Array,
    n_outcomes: int,
) -> PooledStatistics:
    """Pool cluster statistics over clusters of one size.

    Parameters
    ----------
    members
        Statistics of (y, x_within); ``None`` for a single-level model.
    between_outcomes, between_covariates : (J, ·)
        z and x_between of each cluster.
    n_outcomes
        How many of the members' variables are outcomes y.
    """
    n_clusters = between_outcomes.shape[0]
    if members is None:
        means = np.empty((n_clusters, 0))
        scatter = np.empty((0, 0))
        sizes_by_cluster = np.ones(n_clusters)
        freedom = 0.0
    else:
        flat = members.by_cluster()
        means = flat.means[:, 0]
        scatter = flat.scatter[:, 0].sum(axis=0)
        sizes_by_cluster = flat.cluster_sizes
        freedom = float(sizes_by_cluster.sum() - n_clusters)
    rows = np.hstack(
        [
            between_outcomes,
            means[:, :n_outcomes],
            np.ones((n_clusters, 1)),
            between_covariates,
            means[:, n_outcomes:],
        ]
    )
    q = between_outcomes.shape[1] + n_outcomes
    shift = rows.mean(axis=0)
    shift[q] = 0.0
    rows = rows - shift
    sizes, group = np.unique(sizes_by_cluster, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(sizes.size))
    counts = np.diff(np.append(starts, group.size)).astype(float)
    width = rows.shape[1]
    ordered = rows[order]
    cross = np.empty((sizes.size, width, width))
    for a in range(width):
        for b in range(a + 1):
            cross[:, a, b] = np.add.reduceat(ordered[:, a] * ordered[:, b], starts)
            cross[:, b, a] = cross[:, a, b]
    log_2pi = np.log(2.0 * np.pi)
    constant = -0.5 * (freedom * n_outcomes + n_clusters * q) * log_2pi
    constant -= 0.5 * n_outcomes * float(np.log(sizes_by_cluster).sum())
    return PooledStatistics(scatter, freedom, sizes, counts, cross, shift, float(constant))


@dataclass(frozen=True)
class CompleteStatistics:
    """Sufficient statistics of data without missing values.

    Attributes
    ----------
    members
        By cluster; ``None`` without clusters.
    pooled
        Over clusters of one size.
    """

    members: ClusterStatistics | None
    pooled: PooledStatistics
