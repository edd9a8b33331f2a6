"""People of one cluster with one within structure: the cells that the likelihood sums over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.data.statistics import ClusterStatistics, cluster_statistics
from bmsem.errors import DataError
from bmsem.structure.sampled import SampledQuantities

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells in the order of the clusters, and their groups with the same structure.

    Attributes
    ----------
    start : (J + 1,)
        The first cell of each cluster.
    sizes, group : (cells,)
    group_cell : (groups,)
        One cell of each group.
    seen : (groups, p)
        Which outcomes are observed in a group, or sampled.
    statistics
        Of (y, x), a cell each; ``None`` if each cell is one person.
    values : (N, d)
        (y, x) of people, if each cell is one; else ``None``.
    people : (N,)
        Row of the data of each person, clusters one after the other.
    owner : (N,)
        Cell of each row of the data; empty if they are not told apart.
    outcomes
        How many of the columns are outcomes.
    filled : (n, 2)
        Missing values that are sampled: place among ``values``, and outcome.
    """

    start: NDArray[np.int64]
    sizes: Array
    group: NDArray[np.int64]
    group_cell: NDArray[np.int64]
    seen: NDArray[np.bool_]
    statistics: ClusterStatistics | None
    values: Array | None
    people: Codes
    owner: Codes
    outcomes: int
    filled: Codes

    def numbers(self, shift: Array, scores: int) -> Array:
        """Cross-products (cells, d, d) of v = (1, y - shift, x), or v itself (N, d).

        Room is left for scores behind y. Zero stands for what is missing.
        """
        p = self.outcomes
        if self.values is not None:
            n = len(self.values)
            y, x = np.nan_to_num(self.values[:, :p] - shift), self.values[:, p:]
            return np.hstack([np.ones((n, 1)), y, np.zeros((n, scores)), x])
        assert self.statistics is not None
        means = self.statistics.means.copy()
        means[..., :p] -= shift
        means[:, 0, :p][~self.seen[self.group]] = 0.0
        moved = ClusterStatistics(self.statistics.counts, means, self.statistics.scatter)
        return moved.cross_products()[:, 0]


def by_pattern(seen: NDArray[np.bool_]) -> list[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
    """Rows (N, p) with the same pattern: where they are, and the pattern."""
    patterns, of = np.unique(seen, axis=0, return_inverse=True)
    of = of.reshape(-1)
    return [(np.flatnonzero(of == k), pattern) for k, pattern in enumerate(patterns)]


def sampled_values(bound: BoundModel, plan: SampledQuantities) -> tuple[int, ...]:
    """Outcomes of people that must be known, and are missing of some: what is missing is sampled.

    A varying slope or a product multiplies them.
    """
    if bound.gaps is None:
        return ()
    used = {s.source for s in plan.slopes if not s.covariate}
    used |= {m.source for m in plan.modulations if m.member == "outcome"}
    absent = ~bound.gaps.patterns.all(axis=0)
    return tuple(sorted(i for i in used if i < len(absent) and absent[i]))


def model_cells(bound: BoundModel, plan: SampledQuantities, *, joined: bool = False) -> Cells:
    """The cells of a bound model.

    ``joined`` takes all rows of a model without levels for one cluster, where their own likelihoods
    are not asked for.

    Raises
    ------
    DataError
        If the structure differs between people and the bound model has only statistics.
    """
    structure, j = bound.structure, bound.clusters
    mods = [m for m in plan.modulations if m.level != "between"]
    by_cluster = any(m.sampled >= 0 for m in mods)
    fill = sampled_values(bound, plan)
    by_person = any(m.member == "score" or m.part >= 0 for m in mods)
    by_person |= any(m.member == "outcome" and m.source in fill for m in mods)
    gaps = bound.gaps
    none = np.empty(0, dtype=np.intp)
    if bound.spec.multilevel:
        p = len(structure.outcomes)
        if not plan.by_person and gaps is None:
            assert bound.members is not None
            flat = bound.members.by_cluster()
            group = np.arange(j) if by_cluster else np.zeros(j, dtype=np.int64)
            first = np.arange(j) if by_cluster else np.zeros(1, dtype=np.int64)
            return Cells(
                np.arange(j + 1), flat.counts[:, 0], group, first,
                np.ones((len(first), p), dtype=bool), flat, None, none, none, p,
                np.empty((0, 2), dtype=np.intp),
            )  # fmt: skip
        if bound.people is None:
            raise DataError(
                "A product within clusters needs the rows of the data; there are only statistics."
            )
        values, clusters = bound.people.values, bound.people.clusters
    else:
        p = structure.between.observed
        values = np.hstack([bound.between_outcomes, bound.between_covariates])
        j = 1 if joined else j
        clusters = np.zeros(len(values), dtype=np.intp) if joined else np.arange(j)
    people = np.argsort(clusters, kind="stable")
    n = len(values)
    seen = np.ones((n, p), dtype=bool) if gaps is None else gaps.observed.copy()
    seen[:, list(fill)] = True
    columns = sorted(
        {m.source if m.member == "outcome" else p + m.source - 1 for m in mods
         if m.member in ("outcome", "covariate") and m.part < 0}
    )  # fmt: skip
    keys = np.hstack([np.nan_to_num(values[:, columns]), seen])
    if by_cluster:
        keys = np.column_stack([keys, clusters])
    kinds = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    if by_person:
        kinds = np.arange(n)
    # Cells: people of one cluster and kind, in the order of the clusters.
    labels, first, cell = np.unique(
        clusters * (kinds.max() + 1) + kinds, return_index=True, return_inverse=True
    )
    cell = cell.reshape(-1)
    each_alone = by_person or bool(fill) or 2 * len(labels) > n
    if each_alone:
        kind_of, first = kinds[people], people
        sizes, statistics, own = np.ones(n), None, values[people]
        cell = np.empty(n, dtype=np.intp)
        cell[people] = np.arange(n)
    else:
        kind_of = kinds[first]
        statistics = cluster_statistics(np.nan_to_num(values), cell, len(labels))
        sizes, own = statistics.counts[:, 0], None
    _, group_cell, group = np.unique(kind_of, return_index=True, return_inverse=True)
    start = np.searchsorted(clusters[first], np.arange(j + 1))
    filled = np.argwhere(np.isnan(values[people][:, list(fill)])) if fill else np.empty((0, 2))
    filled = filled.astype(np.intp)
    filled[:, 1] = np.array(fill, dtype=np.intp)[filled[:, 1]]
    return Cells(
        start, sizes, group.reshape(-1), group_cell, seen[first[group_cell]], statistics, own,
        people, cell, p, filled,
    )  # fmt: skip
