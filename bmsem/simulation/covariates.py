"""Covariates and arms of a design, as a model needs them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.data.checks import varies_within
from bmsem.data.read import numeric_columns
from bmsem.data.transform import apply_transforms
from bmsem.errors import DataError, ModelError
from bmsem.simulation.computed import Computed
from bmsem.simulation.design import Design
from bmsem.simulation.distributions import Covariate
from bmsem.structure import Structure

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Layout:
    """Who is in which cluster; without levels everybody is a cluster.

    Attributes
    ----------
    cluster
        Name of the cluster variable; ``None`` without levels.
    ids : (J,)
        Names of the clusters, in order of first appearance.
    codes : (N,)
    first : (J,)
        The first row of each cluster.
    index
        Labels of the rows.
    """

    cluster: str | None
    ids: pd.Index
    codes: Codes
    first: Codes
    index: pd.Index

    @property
    def clusters(self) -> int:
        return len(self.ids)

    @property
    def people(self) -> int:
        return len(self.codes)


def design_layout(design: Design, cluster: str | None) -> Layout:
    """The layout of a design; ``cluster`` is what the cluster variable is called."""
    if design.data is not None:
        index = design.data.index
        if design.cluster is None:
            rows = np.arange(len(index))
            return Layout(None, index, rows, rows, index)
        codes, ids = pd.factorize(design.data[design.cluster])
        first = np.unique(codes, return_index=True)[1]
        return Layout(design.cluster, pd.Index(ids), codes, first, index)
    sizes = design.cluster_sizes
    index = pd.RangeIndex(int(sizes.sum()))
    if not design.multilevel:
        rows = np.arange(len(index))
        return Layout(None, index, rows, rows, index)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
    return Layout(cluster or "cluster", pd.RangeIndex(1, len(sizes) + 1), codes, first, index)


@dataclass(frozen=True, eq=False)
class Covariates:
    """Covariates of one data set.

    Attributes
    ----------
    within : (N, k)
        Covariates of people that are conditioned on; zero where they are computed from outcomes.
    between : (J, k)
        Likewise of clusters (of people, without levels).
    columns
        Columns of the data (N,): what the design gives, before variables are computed from it, and
        what is computed.
    inputs
        What variables that are computed from outcomes take from the design: by variable and name, (N,).
    """

    within: Array
    between: Array
    columns: dict[str, Array]
    inputs: dict[str, dict[str, Array]]


def draw_covariates(
    design: Design,
    structure: Structure,
    computed: Computed,
    layout: Layout,
    random: np.random.Generator,
) -> Covariates:
    """Covariates and arms of one data set.

    Raises
    ------
    DataError
        If values of the design do not fit the level of a variable.
    """
    columns = {
        name: _values(design, name, computed, layout, random if design.redraw else None)
        for name in computed.given
    }
    made, inputs = columns, {}
    if computed.known or computed.later:
        frame = pd.DataFrame(columns, index=layout.index)
        if layout.cluster is not None:
            frame[layout.cluster] = layout.ids.to_numpy()[layout.codes]
        for transform in computed.order:
            if transform in computed.known:
                frame = apply_transforms(frame, [transform], layout.cluster)
            else:
                inputs[transform.name] = {
                    n: frame[n].to_numpy(dtype=float)
                    for n in sorted(transform.expression.names())
                    if n in frame.columns and n not in computed.simulated
                }
        made = {str(n): frame[n].to_numpy(dtype=float) for n in frame if n != layout.cluster}
    between = np.zeros((layout.clusters, len(structure.between_covariates)))
    for i, name in enumerate(structure.between_covariates):
        if name in made:
            between[:, i] = of_clusters(name, made[name], layout)
    for own in computed.later_at(structure, "between"):
        for name, values in inputs[own].items():
            of_clusters(name, values, layout)
    within = np.zeros((layout.people, len(structure.within_covariates)))
    for i, name in enumerate(structure.within_covariates):
        if name in made:
            within[:, i] = made[name]
    return Covariates(within, between, made | columns, inputs)


def of_clusters(name: str, values: Array, layout: Layout) -> Array:
    """Values (J,) of the clusters, from those of people, which must agree."""
    found = varies_within(values, layout.codes, layout.clusters)
    if found is not None:
        row, other, cluster = found
        raise DataError(
            f"'{name}' belongs to the between level of the model, but varies inside cluster "
            f"{layout.ids[cluster]!r}: {values[other]:g} in row {layout.index[other]}, "
            f"{values[row]:g} in row {layout.index[row]}. Give it one value for each cluster."
        )
    return values[layout.first]


def _values(
    design: Design,
    name: str,
    computed: Computed,
    layout: Layout,
    random: np.random.Generator | None,
) -> Array:
    """Values of people (N,) of what the design gives; drawn by its own seed without ``random``."""
    by_cluster = computed.given[name] == "between"
    if random is None:
        random = design.stream(name)
    if name in design.arms:
        if by_cluster:
            return allocate(random, design.shares(name), layout.clusters, name)[layout.codes]
        return _allocate_people(random, design.shares(name), layout, name)
    if name in design.covariates:
        given = design.covariate(name)
        if not isinstance(given, Covariate):
            return given[layout.codes] if given.size != layout.people else given
        if by_cluster:
            return given.source.draw(random, layout.clusters)[layout.codes]
        return given.source.draw_clustered(random, layout.codes, layout.clusters, given.share)
    assert design.data is not None
    return numeric_columns(design.data, [name])[name]


def allocate(
    random: np.random.Generator, shares: dict[float, float], units: int, name: str
) -> Array:
    """Codes (units,) in random order, as many of each as its share says, up to rounding.

    Raises
    ------
    DataError
        If an arm has so small a share that nobody is in it.
    """
    return random.permutation(np.repeat(list(shares), _counts(random, shares, units, name)))


def _counts(
    random: np.random.Generator, shares: dict[float, float], units: int, name: str
) -> NDArray[np.int64]:
    """Largest remainders; chance decides between equal ones."""
    exact = np.array(list(shares.values())) * units
    counts = np.floor(exact + 1e-9).astype(np.int64)
    rest = np.round(exact - counts, 9)
    up = np.lexsort((random.random(len(rest)), -rest))[: units - int(counts.sum())]
    counts[up] += 1
    if (counts == 0).any():
        code = list(shares)[int(np.flatnonzero(counts == 0)[0])]
        raise DataError(
            f"Nobody is in the arm {code:g} of '{name}': its share of {units:,} is "
            f"{shares[code] * units:.2f}. Give it a larger share, or take more."
        )
    return counts


def _allocate_people(
    random: np.random.Generator, shares: dict[float, float], layout: Layout, name: str
) -> Array:
    """Codes (N,), balanced over all people and, but for one or two people, in every cluster."""
    if layout.cluster is None:
        return allocate(random, shares, layout.people, name)
    counts = _counts(random, shares, layout.people, name)
    # Each arm is spread evenly over a line on which the clusters stand one after the other.
    keys = [(np.arange(c) + random.random()) / c for c in counts]
    line = np.repeat(list(shares), counts)[np.argsort(np.concatenate(keys), kind="stable")]
    order = np.lexsort(
        (random.random(layout.people), random.permutation(layout.clusters)[layout.codes])
    )
    values = np.empty(layout.people)
    values[order] = line
    return values


def check_levels(design: Design, computed: Computed, layout: Layout) -> None:
    """Refuse values, intraclass correlations and levels that do not go with the model's levels.

    Raises
    ------
    ModelError
        Naming the variable and the level.
    """
    for name, level in computed.given.items():
        told = design.levels.get(name)
        own = name in computed.conditioned
        if own and told is not None and told != level:
            where = f"at the {level} level" if level else "in a model without levels"
            raise ModelError(
                f"The design puts '{name}' at the {told} level, but it stands {where}. Leave its "
                f"level out: the model decides."
            )
        given = design.covariate(name) if name in design.covariates else None
        if isinstance(given, Covariate) and given.icc and (level != "within"):
            where = "at the between level" if level else "in a model without levels"
            raise ModelError(
                f"'{name}' has an icc of {given.icc:g}, but stands {where}: only a covariate of people "
                f"in clusters has a share of variance between clusters."
            )
        if given is None or isinstance(given, Covariate) or layout.clusters == layout.people:
            continue
        if level == "between" and given.size == layout.people and own:
            raise DataError(
                f"'{name}' stands at the between level, but has {given.size:,} values, one for each "
                f"person. Give one for each of the {layout.clusters:,} clusters."
            )
        if level == "within" and given.size == layout.clusters and own:
            raise DataError(
                f"'{name}' stands at the within level, but has {given.size:,} values, one for each "
                f"cluster. Give one for each of the {layout.people:,} people."
            )
