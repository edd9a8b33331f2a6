"""A model with its data: the bound model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.data.missing import (
    Incomplete,
    MissingTable,
    coverage_frame,
    incomplete,
    pattern_frame,
)
from bmsem.data.scales import Scales, data_scales
from bmsem.data.statistics import (
    ClusterStatistics,
    CompleteStatistics,
    ObservedMoments,
    PooledStatistics,
    cluster_statistics,
    moments_of,
    observed_moments,
    pooled_statistics,
)
from bmsem.errors import NotSupportedError
from bmsem.spec import ModelSpec
from bmsem.structure import Structure, build_structure
from bmsem.structure.sampled import SampledQuantities, sampled_quantities
from bmsem.tables import Grid, Row, Tabular

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Notes about missing values begin with this.
MISSING_WORDS = "missing values"


@dataclass(frozen=True, eq=False)
class People:
    """The rows of the members' variables: needed for scores of people, not for the likelihood.

    Attributes
    ----------
    values : (N, d)
        (y, x_within), in the order of `ClusterStatistics`.
    clusters : (N,)
        Codes 0 .. J-1.
    index
        The rows' labels in the data frame.
    """

    values: Array
    clusters: NDArray[np.intp]
    index: pd.Index


@dataclass(frozen=True, eq=False)
class BoundModel(Tabular):
    """A model with its data, reduced to what the likelihood needs.

    Attributes
    ----------
    spec
        The model, with the roles that the data decided.
    structure
        The model as matrices.
    statistics
        Of complete data: statistics of the individuals' variables by cluster, and pooled over clusters
        of one size. ``None`` if values are missing: what is computed from them would be wrong.
    between_outcomes, between_covariates : (J, ·)
        z and x_between of each cluster (of each row, without clusters); z nan where missing.
    moments
        Means by cluster and within variances of the members' variables; ``None`` without clusters.
    scales
        Means and standard deviations by level.
    cluster_ids
        The clusters' own names, in order of first appearance.
    cluster_sizes : (J,)
    rows
        N.
    notes
        What was inferred or looked odd.
    people
        The rows themselves, nan where missing; ``None`` without levels, where z and x_between are the
        rows, and where only statistics are known.
    gaps
        Which values are missing; ``None`` if none are.
    """

    spec: ModelSpec
    structure: Structure
    statistics: CompleteStatistics | None
    between_outcomes: Array
    between_covariates: Array
    moments: ObservedMoments | None
    scales: Scales
    cluster_ids: pd.Index
    cluster_sizes: NDArray[np.int64]
    rows: int
    notes: tuple[str, ...] = ()
    people: People | None = None
    gaps: Incomplete | None = None

    @property
    def members(self) -> ClusterStatistics | None:
        """Statistics of the members' variables by cluster; ``None`` without clusters."""
        return self._complete.members

    @property
    def pooled(self) -> PooledStatistics:
        """The statistics pooled over clusters of one size."""
        return self._complete.pooled

    @property
    def _complete(self) -> CompleteStatistics:
        if self.statistics is None:
            raise NotSupportedError("This is computed from complete data, and values are missing.")
        return self.statistics

    @cached_property
    def shift(self) -> Array:
        """Means over clusters (q + c,) of (z, ybar, 1, x_between, xbar_within); zero at the 1."""
        if self.statistics is not None:
            return self.statistics.pooled.shift
        means = np.empty((self.clusters, 0)) if self.moments is None else self.moments.means
        p = len(self.structure.outcomes)
        columns = (self.between_outcomes, means[:, :p], np.zeros((self.clusters, 1)),
                   self.between_covariates, means[:, p:])  # fmt: skip
        return np.nanmean(np.hstack(columns), axis=0)

    @cached_property
    def plan(self) -> SampledQuantities:
        """Which quantities of clusters and people have to be sampled, and why."""
        return sampled_quantities(self.structure, self.spec.within_only)

    @property
    def by_cell(self) -> bool:
        """Whether the likelihood is a sum over cells of clusters, and not of pooled statistics."""
        return self.plan.needed or self.gaps is not None

    @cached_property
    def covered(self) -> tuple[Mask, Mask] | None:
        """Which covariances the data show, within (p, p) and between (q, q); ``None`` if all.

        Within clusters two people of one cluster must have both values, between clusters two clusters.
        """
        if self.gaps is None:
            return None
        if not self.spec.multilevel:
            number = self.gaps.observed.astype(float)
            return np.ones((0, 0), dtype=bool), number.T @ number >= 2
        assert self.people is not None and self.moments is not None
        p = len(self.structure.outcomes)
        inside = np.zeros((p, p), dtype=bool)
        for i in range(p):
            both = self.gaps.observed & self.gaps.observed[:, [i]]
            for j in range(i + 1):
                count = np.bincount(self.people.clusters[both[:, j]], minlength=self.clusters)
                inside[i, j] = inside[j, i] = count.max() >= 2
        there = np.hstack([self.gaps.between, self.moments.counts[:, :p] > 0]).astype(float)
        return inside, there.T @ there >= 2

    @property
    def never_together(self) -> list[str]:
        """Pairs of variables whose covariance the data do not show, in words."""
        if self.covered is None:
            return []
        structure, single = self.structure, not self.spec.multilevel
        inside, outside = self.covered
        upper = (*structure.between_outcomes, *structure.outcomes)
        where = "rows" if single else "clusters"
        found = []
        for names, mask, unit in (
            (structure.outcomes, inside, "people of one cluster"),
            (upper, outside, where),
        ):
            found += [
                f"no two {unit} have values of both {names[j]} and {names[i]}"
                for i in range(len(names))
                for j in range(i)
                if not mask[i, j]
            ]
        return found

    def missing(self) -> MissingTable:
        """Patterns of missing values, and how much of each covariance is covered."""
        structure, single = self.structure, not self.spec.multilevel
        names = structure.between_outcomes if single else structure.outcomes
        unit = "rows" if single else "people"
        known = ~np.isnan(self.between_outcomes)
        own = known if single else np.ones((self.rows, len(names)), dtype=bool)
        if self.gaps is not None:
            own = self.gaps.observed
        between_names = () if single else structure.between_outcomes
        frames = (
            pattern_frame(own, names, unit),
            coverage_frame(own, names),
            pattern_frame(known, between_names, "clusters") if between_names else pd.DataFrame(),
            coverage_frame(known, between_names) if between_names else pd.DataFrame(),
        )
        said = tuple(n for n in self.notes if n.startswith(MISSING_WORDS))
        return MissingTable(*frames, said, unit)

    @property
    def clusters(self) -> int:
        """J; the number of rows in a model without clusters."""
        return len(self.cluster_ids)

    @property
    def size(self) -> str:
        """How many rows, clusters and members, in words."""
        if not self.spec.multilevel:
            return f"{self.rows:,} rows, no clusters{self._gaps}"
        low, high = self.cluster_sizes.min(), self.cluster_sizes.max()
        if low == high:
            return f"{self.rows:,} rows in {self.clusters:,} clusters of {low}{self._gaps}"
        return (
            f"{self.rows:,} rows in {self.clusters:,} clusters of {low} to {high}, mean "
            f"{self.cluster_sizes.mean():.1f} ({len(np.unique(self.cluster_sizes))} distinct sizes)"
            f"{self._gaps}"
        )

    @property
    def _gaps(self) -> str:
        if self.gaps is None:
            return ""
        return f"; {len(self.gaps.patterns):,} patterns of missing values"

    def _parts(self) -> list[tuple[str, str]]:
        structure, extra = self.structure, self.spec.auxiliary

        def own(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(n for n in names if n not in extra)

        only = set(self.spec.within_only)
        found = (
            ("within and between", own(tuple(n for n in structure.outcomes if n not in only))),
            ("modelled, within only", own(tuple(n for n in structure.outcomes if n in only))),
            ("conditioned on, within", structure.within_covariates),
            (
                "between outcomes" if self.spec.multilevel else "modelled",
                own(structure.between_outcomes),
            ),
            ("conditioned on", structure.between_covariates),
            ("auxiliary", extra),
        )
        return [(title, ", ".join(names)) for title, names in found if names]

    def __str__(self) -> str:
        lines = ["BoundModel", f"  {self.size}"]
        lines += [f"  {title + ':':<24}{names}" for title, names in self._parts()]
        lines.append(f"  {len(self.structure.parameters)} free parameters")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    __repr__ = __str__

    def grid(self) -> Grid:
        """Sizes and roles as text cells."""
        rows = [
            ("data", self.size),
            *self._parts(),
            ("free parameters", str(len(self.structure.parameters))),
        ]
        return Grid(("", ""), tuple(map(Row, rows)), "Model with data", (), self.notes, (0, 1))


def assemble(
    spec: ModelSpec,
    members: ClusterStatistics | None,
    between_outcomes: Array,
    between_covariates: Array,
    cluster_ids: pd.Index,
    rows: int,
    notes: tuple[str, ...] = (),
    people: People | None = None,
) -> BoundModel:
    """A bound model from its statistics, or with missing values from its rows.

    For instance from a saved fit. ``members`` may be ``None`` if there are no levels, or ``people``
    have missing values.
    """
    structure = build_structure(spec)
    p = len(structure.outcomes)
    none = np.empty((len(cluster_ids), 0))
    if not spec.multilevel:
        gaps = incomplete(between_outcomes, none)
    elif people is not None:
        gaps = incomplete(people.values[:, :p], between_outcomes)
    else:
        gaps = None
    moments, statistics = None, None
    sizes = np.ones(len(cluster_ids))
    if members is None and people is not None and not np.isnan(people.values).any():
        members = cluster_statistics(people.values, people.clusters, len(cluster_ids))
    if members is not None:
        moments, sizes = moments_of(members), members.cluster_sizes
    elif people is not None:
        moments = observed_moments(people.values, people.clusters, len(cluster_ids))
        sizes = np.bincount(people.clusters, minlength=len(cluster_ids)).astype(float)
    if gaps is None:
        statistics = CompleteStatistics(
            members, pooled_statistics(members, between_outcomes, between_covariates, p)
        )
    return BoundModel(
        spec,
        structure,
        statistics,
        between_outcomes,
        between_covariates,
        moments,
        data_scales(spec, structure, moments, between_outcomes, between_covariates),
        cluster_ids,
        sizes.astype(np.int64),
        rows,
        notes,
        people,
        gaps,
    )
