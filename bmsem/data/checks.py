"""Checks of the data against what the model needs of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmsem.data.statistics import ClusterStatistics
from bmsem.errors import DataError
from bmsem.structure import Structure

Array = NDArray[np.float64]

# Relative size below which a spread is rounding error.
_ROUNDING = 1e-10
# Share of a variable's variance that the others must leave for it not to be collinear with them.
_COLLINEAR = 1e-9


def constant(columns: dict[str, Array]) -> None:
    """Refuse variables without any variance."""
    flat = [name for name, values in columns.items() if np.ptp(values) <= _ROUNDING * _size(values)]
    if flat:
        shown = ", ".join(f"{name} (always {columns[name][0]:g})" for name in flat)
        raise DataError(f"These variables do not vary: {shown}. Leave them out of the model.")


def varies_within(
    values: Array, codes: NDArray[np.intp], n_clusters: int
) -> tuple[int, int, int] | None:
    """A row that differs from the first row of its cluster, that first row, and the cluster."""
    first = np.full(n_clusters, len(values), dtype=np.intp)
    np.minimum.at(first, codes, np.arange(len(values)))
    differs = np.abs(values - values[first[codes]]) > 1e-9 * _size(values)
    if not differs.any():
        return None
    row = int(np.flatnonzero(differs)[0])
    return row, int(first[codes[row]]), int(codes[row])


def levels(
    structure: Structure,
    members: ClusterStatistics | None,
    z: Array,
    x: Array,
    *,
    multilevel: bool,
) -> list[str]:
    """Variance and collinearity at each level; returns warnings, raises `DataError`."""
    found: list[str] = []
    n_clusters = z.shape[0]
    names_z, names_x = structure.between_outcomes, structure.between_covariates
    if members is None:
        _collinear(np.cov(np.hstack([z, x]).T, ddof=0), (*names_z, *names_x), "")
        return found
    names = (*structure.outcomes, *structure.within_covariates)
    p = len(structure.outcomes)
    flat = members.by_cluster()
    means = flat.means[:, 0]
    within = flat.scatter[:, 0].sum(axis=0)
    spread = np.sqrt(np.diag(within) / max(1.0, members.counts.sum() - n_clusters))
    size = np.abs(means).max(axis=0) + spread
    for i, name in enumerate(names):
        if spread[i] <= _ROUNDING * size[i]:
            raise DataError(
                f"'{name}' has no variance inside clusters, so it has no within part. Declare it "
                f"between-only ('between: {name}'), and use it at the between level only."
            )
    freedom = int(members.counts.sum()) - n_clusters
    if freedom < p:
        raise DataError(
            f"There are {freedom} differences between members of one cluster for {p} variables: too "
            f"few people in clusters of two or more to learn their covariances inside clusters."
        )
    between = means.std(axis=0)
    for i, name in enumerate(names[:p]):
        if between[i] <= 1e-6 * spread[i]:
            found.append(
                f"'{name}' has the same mean in every cluster (is it centred at the cluster "
                f"means?): its between part has no variance. Declare it within-only if it has none."
            )
    _collinear(within[:p, :p], names[:p], " inside clusters")
    if len(names) > p:
        _collinear(within[p:, p:], names[p:], " inside clusters")
    if x.shape[1]:
        _collinear(np.atleast_2d(np.cov(x.T, ddof=0)), names_x, " between clusters")
    variables = z.shape[1] + p + x.shape[1]
    if n_clusters <= variables:
        found.append(
            f"There are {n_clusters} clusters for {variables} variables at the between level: its "
            f"covariance matrix cannot be estimated from so few. Informative priors decide the "
            f"answer; improper ones may leave no proper posterior."
        )
    elif n_clusters > 1 and z.shape[1]:
        _collinear(
            np.cov(np.hstack([z, means[:, :p]]).T, ddof=0),
            (*names_z, *names[:p]),
            " between clusters",
        )
    return found


def _collinear(covariance: Array, names: tuple[str, ...], where: str) -> None:
    """Refuse a variable that is a linear function of others."""
    covariance = np.atleast_2d(covariance)
    if covariance.shape[0] < 2:
        return
    sd = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(sd, sd)
    values, vectors = np.linalg.eigh(correlation)
    if values[0] > _COLLINEAR:
        return
    involved = [n for n, c in zip(names, vectors[:, 0], strict=True) if abs(c) > 1e-4]
    raise DataError(
        f"These variables are perfectly collinear{where}: {', '.join(involved)}. One of them is a "
        f"linear function of the others; leave it out."
    )


def _size(values: Array) -> float:
    return float(np.max(np.abs(values), initial=0.0)) or 1.0
