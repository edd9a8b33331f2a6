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
    statistics
        Of (y, x), a cell each; ``None`` if each cell is one person.
    values : (N, d)
        (y, x) of people, if each cell is one; else ``None``.
    people : (N,)
        Row of the data of each person, clusters one after the other.
    outcomes
        How many of the columns are outcomes.
    """

    start: NDArray[np.int64]
    sizes: Array
    group: NDArray[np.int64]
    group_cell: NDArray[np.int64]
    statistics: ClusterStatistics | None
    values: Array | None
    people: Codes
    outcomes: int

    def numbers(self, shift: Array, scores: int) -> Array:
        """Cross-products (cells, d, d) of v = (1, y - shift, x), or v itself (N, d).

        Room is left for scores behind y.
        """
        p = self.outcomes
        if self.values is not None:
            n = len(self.values)
            y, x = self.values[:, :p] - shift, self.values[:, p:]
            return np.hstack([np.ones((n, 1)), y, np.zeros((n, scores)), x])
        assert self.statistics is not None
        means = self.statistics.means.copy()
        means[..., :p] -= shift
        moved = ClusterStatistics(self.statistics.counts, means, self.statistics.scatter)
        return moved.cross_products()[:, 0]


def model_cells(bound: BoundModel, plan: SampledQuantities) -> Cells:
    """The cells of a bound model.

    Raises
    ------
    DataError
        If the structure differs between people and the bound model has only statistics.
    """
    structure, j = bound.structure, bound.clusters
    mods = [m for m in plan.modulations if m.level != "between"]
    by_cluster = any(m.sampled >= 0 for m in mods)
    by_person = any(m.member == "score" or m.part >= 0 for m in mods)
    if bound.spec.multilevel:
        p = len(structure.outcomes)
        if not plan.by_person:
            assert bound.members is not None
            flat = bound.members.by_cluster()
            group = np.arange(j) if by_cluster else np.zeros(j, dtype=np.int64)
            first = np.arange(j) if by_cluster else np.zeros(1, dtype=np.int64)
            none = np.empty(0, dtype=np.intp)
            return Cells(np.arange(j + 1), flat.counts[:, 0], group, first, flat, None, none, p)
        if bound.people is None:
            raise DataError(
                "A product within clusters needs the rows of the data; there are only statistics."
            )
        values, clusters = bound.people.values, bound.people.clusters
    else:
        p = structure.between.observed
        values = np.hstack([bound.between_outcomes, bound.between_covariates])
        clusters = np.arange(j)
    people = np.argsort(clusters, kind="stable")
    n = len(values)
    columns = sorted(
        {m.source if m.member == "outcome" else p + m.source - 1 for m in mods
         if m.member in ("outcome", "covariate") and m.part < 0}
    )  # fmt: skip
    keys = values[:, columns]
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
    each_alone = by_person or 2 * len(labels) > n
    if each_alone:
        kind_of = kinds[people]
        owner = clusters[people]
        sizes, statistics, own = np.ones(n), None, values[people]
    else:
        kind_of, owner = kinds[first], clusters[first]
        statistics = cluster_statistics(values, cell, len(labels))
        sizes, own = statistics.counts[:, 0], None
    _, group_cell, group = np.unique(kind_of, return_index=True, return_inverse=True)
    start = np.searchsorted(owner, np.arange(j + 1))
    return Cells(start, sizes, group.reshape(-1), group_cell, statistics, own, people, p)
