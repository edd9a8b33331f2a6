"""Checks of the data against what the model needs of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmsem.data.statistics import ObservedMoments
from bmsem.errors import DataError
from bmsem.structure import Structure

Array = NDArray[np.float64]

# Relative size below which a spread is rounding error.
_ROUNDING = 1e-10
# Share of a variable's variance that the others must leave for it not to be collinear with them.
_COLLINEAR = 1e-9


def constant(columns: dict[str, Array]) -> None:
    """Refuse variables without any value, or without any variance."""
    empty = [name for name, values in columns.items() if np.isnan(values).all()]
    if empty:
        raise DataError(
            f"These variables are missing in every row: {', '.join(empty)}. Leave them out of the "
            f"model, or check the column and the codes for missing values."
        )
    flat = [n for n, v in columns.items() if np.nanmax(v) - np.nanmin(v) <= _ROUNDING * _size(v)]
    if flat:
        shown = ", ".join(f"{name} (always {np.nanmax(columns[name]):g})" for name in flat)
        raise DataError(f"These variables do not vary: {shown}. Leave them out of the model.")


def varies_within(
    values: Array, codes: NDArray[np.intp], n_clusters: int
) -> tuple[int, int, int] | None:
    """A row that differs from the first row of its cluster, that first row, and the cluster.

    Missing values differ from nothing.
    """
    first = first_rows(values, codes, n_clusters)
    differs = np.abs(values - values[first[codes]]) > 1e-9 * _size(values)
    if not differs.any():
        return None
    row = int(np.flatnonzero(differs)[0])
    return row, int(first[codes[row]]), int(codes[row])


def first_rows(values: Array, codes: NDArray[np.intp], n_clusters: int) -> NDArray[np.intp]:
    """The first row of each cluster in which the value is not missing; else its first row."""
    first = np.full(n_clusters, len(values), dtype=np.intp)
    known = np.flatnonzero(~np.isnan(values))
    np.minimum.at(first, codes[known], known)
    rows = np.arange(len(values))
    any_row = np.full(n_clusters, len(values), dtype=np.intp)
    np.minimum.at(any_row, codes, rows)
    return np.where(first < len(values), first, any_row)


def levels(
    structure: Structure,
    rows: Array,
    clusters: NDArray[np.intp],
    moments: ObservedMoments | None,
    z: Array,
    x: Array,
) -> list[str]:
    """Variance and collinearity at each level; returns warnings, raises `DataError`.

    Parameters
    ----------
    rows : (N, d)
        (y, x_within) of people, nan where missing.
    moments
        Of these by cluster; ``None`` without levels.
    z, x : (J, ·)
        Between-only outcomes and covariates.
    """
    found: list[str] = []
    n_clusters = z.shape[0]
    names_z, names_x = structure.between_outcomes, structure.between_covariates
    if moments is None:
        _collinear(np.hstack([z, x]), (*names_z, *names_x), "")
        return found
    names = (*structure.outcomes, *structure.within_covariates)
    p = len(structure.outcomes)
    means = moments.means
    spread = np.sqrt(moments.within)
    size = np.nanmax(np.abs(means), axis=0) + spread
    freedom = moments.counts.sum(axis=0) - np.count_nonzero(moments.counts, axis=0)
    for i, name in enumerate(names):
        if freedom[i] < 1:
            raise DataError(
                f"'{name}' is observed of no two members of one cluster, so nothing can be learned "
                f"about its differences inside clusters."
            )
        if np.count_nonzero(moments.counts[:, i]) < 2:
            raise DataError(
                f"'{name}' is observed in a single cluster, so nothing can be learned about its "
                f"differences between clusters."
            )
        if spread[i] <= _ROUNDING * size[i]:
            raise DataError(
                f"'{name}' has no variance inside clusters, so it has no within part. Declare it "
                f"between-only ('between: {name}'), and use it at the between level only."
            )
    if p and freedom.min() < p:
        raise DataError(
            f"There are {int(freedom.min())} differences between members of one cluster for {p} "
            f"variables: too few people in clusters of two or more to learn their covariances inside "
            f"clusters."
        )
    between = np.nanstd(means, axis=0)
    for i, name in enumerate(names[:p]):
        if between[i] <= 1e-6 * spread[i]:
            found.append(
                f"'{name}' has the same mean in every cluster (is it centred at the cluster "
                f"means?): its between part has no variance. Declare it within-only if it has none."
            )
    inside = rows - means[clusters]
    _collinear(inside[:, :p], names[:p], " inside clusters")
    _collinear(inside[:, p:], names[p:], " inside clusters")
    _collinear(x, names_x, " between clusters")
    variables = z.shape[1] + p + x.shape[1]
    if n_clusters <= variables:
        found.append(
            f"There are {n_clusters} clusters for {variables} variables at the between level: its "
            f"covariance matrix cannot be estimated from so few. Informative priors decide the "
            f"answer; improper ones may leave no proper posterior."
        )
    elif n_clusters > 1 and z.shape[1]:
        _collinear(np.hstack([z, means[:, :p]]), (*names_z, *names[:p]), " between clusters")
    return found


def _collinear(rows: Array, names: tuple[str, ...], where: str) -> None:
    """Refuse a variable that is a linear function of others, as complete rows show it."""
    whole = ~np.isnan(rows).any(axis=1)
    if rows.shape[1] < 2 or (not whole.all() and whole.sum() <= rows.shape[1]):
        return
    rows = rows[whole]
    covariance = np.cov(rows.T, ddof=0)
    if not np.diag(covariance).all():
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
    return float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
