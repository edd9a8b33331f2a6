"""Spec and data together: the bound model."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.data import checks
from bmsem.data.predictors import slope_notes
from bmsem.data.read import numeric_columns, read_data
from bmsem.data.scales import Scales, data_scales
from bmsem.data.statistics import (
    ClusterStatistics,
    PooledStatistics,
    cluster_statistics,
    pooled_statistics,
)
from bmsem.data.transform import apply_transforms
from bmsem.errors import DataError, DataWarning, ModelError, did_you_mean
from bmsem.expressions import Binary, Expression, Name
from bmsem.spec import Level, ModelSpec, Transform, complete
from bmsem.structure import Structure, build_structure
from bmsem.structure.sampled import sampled_quantities
from bmsem.tables import Grid, Row, Tabular

Array = NDArray[np.float64]


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
    members
        Statistics of the individuals' variables by cluster; ``None`` without clusters.
    between_outcomes, between_covariates : (J, ·)
        z and x_between of each cluster (of each row, without clusters).
    pooled
        The statistics pooled over clusters of one size.
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
        The rows themselves; ``None`` without levels, where z and x_between are the rows, and where
        only statistics are known.
    """

    spec: ModelSpec
    structure: Structure
    members: ClusterStatistics | None
    between_outcomes: Array
    between_covariates: Array
    pooled: PooledStatistics
    scales: Scales
    cluster_ids: pd.Index
    cluster_sizes: NDArray[np.int64]
    rows: int
    notes: tuple[str, ...] = ()
    people: People | None = None

    @property
    def clusters(self) -> int:
        """J; the number of rows in a model without clusters."""
        return len(self.cluster_ids)

    @property
    def size(self) -> str:
        """How many rows, clusters and members, in words."""
        if not self.spec.multilevel:
            return f"{self.rows:,} rows, no clusters"
        low, high = self.cluster_sizes.min(), self.cluster_sizes.max()
        if low == high:
            return f"{self.rows:,} rows in {self.clusters:,} clusters of {low}"
        return (
            f"{self.rows:,} rows in {self.clusters:,} clusters of {low} to {high}, mean "
            f"{self.cluster_sizes.mean():.1f} ({len(self.pooled.sizes)} distinct sizes)"
        )

    def _parts(self) -> list[tuple[str, str]]:
        structure = self.structure
        found = (
            ("within and between", structure.outcomes),
            ("conditioned on, within", structure.within_covariates),
            (
                "between outcomes" if self.spec.multilevel else "modelled",
                structure.between_outcomes,
            ),
            ("conditioned on", structure.between_covariates),
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


def bind(spec: ModelSpec, data: Any, cluster: str | None = None) -> BoundModel:
    """Join a model with data.

    Parameters
    ----------
    spec
        The model.
    data
        A data frame, a mapping of columns, or the path of a CSV file.
    cluster
        Name of the column that tells the clusters apart; any hashable values in any order. The
        default is the cluster variable that the spec names.

    Raises
    ------
    DataError
        If a variable is unknown, not numeric, missing or infinite, does not vary, varies inside a
        cluster although it belongs to the between level, or is collinear with others.
    ModelError
        If the model has levels and there are no clusters, or the other way round.

    Warns
    -----
    DataWarning
        If there are fewer clusters than between-level variables need, or a variable has next to no
        variance at a level.
    """
    frame = read_data(data)
    spec = observed_products(spec)
    cluster = cluster or spec.cluster
    _check_levels(spec, cluster)
    if cluster is not None and cluster not in frame.columns:
        raise DataError(
            f"The cluster variable '{cluster}' is not a column of the data. "
            f"{did_you_mean(cluster, map(str, frame.columns))}"
        )
    frame = apply_transforms(frame, spec.transforms, cluster)
    if cluster is not None and cluster in spec.observed:
        raise ModelError(f"'{cluster}' names the clusters; it cannot also be in the model.")
    places = dict(spec.statements.places) if spec.statements is not None else {}
    columns = numeric_columns(frame, spec.observed, places)
    if spec.multilevel and cluster is not None:
        codes, ids = _clusters(frame, cluster)
        checks.constant(columns)
        _check_products(spec, columns, codes, len(ids))
        spec, notes = _infer_roles(spec, columns, codes, ids, frame.index)
        if len(ids) == len(frame) and (spec.split or spec.within_only):
            raise DataError(
                f"Every cluster of '{cluster}' has a single member: within and between differences "
                f"cannot be told apart. Check the cluster variable, or fit a model without levels."
            )
    else:
        checks.constant(columns)
        codes, ids = np.arange(len(frame)), frame.index
        notes = list(spec.notes)
    structure = build_structure(spec)
    sampled_quantities(structure, spec.within_only)  # raises for products that cannot be
    n_clusters = len(ids)
    first = np.full(n_clusters, len(frame), dtype=np.intp)
    np.minimum.at(first, codes, np.arange(len(frame)))

    def stack(names: tuple[str, ...], rows: Any = slice(None)) -> Array:
        if not names:
            return np.empty((n_clusters if isinstance(rows, np.ndarray) else len(frame), 0))
        return np.column_stack([columns[name][rows] for name in names])

    members, people = None, None
    if spec.multilevel:
        values = stack((*structure.outcomes, *structure.within_covariates))
        members = cluster_statistics(values, codes, n_clusters)
        people = People(values, codes, frame.index)
    z = stack(structure.between_outcomes, first)
    x = stack(structure.between_covariates, first)
    found = checks.levels(structure, members, z, x, multilevel=spec.multilevel)
    for message in found:
        warnings.warn(message, DataWarning, stacklevel=2)
    said = (*notes, *slope_notes(spec, structure), *found)
    return assemble(spec, members, z, x, ids, len(frame), said, people)


def observed_products(spec: ModelSpec) -> ModelSpec:
    """Products of two observed variables of one level become variables of their own.

    They need no latent interaction; a note says so.
    """
    statements = spec.statements
    if statements is None:
        return spec
    observed: dict[Level, tuple[str, ...]] = {
        "within": spec.within_only,
        "between": spec.between_only,
        None: spec.observed,
    }
    made = [i for i in spec.interactions if {i.left, i.right} <= set(observed.get(i.level, ()))]
    if not made:
        return spec
    transforms = [
        Transform(i.name, "compute", Expression(Binary("*", Name(i.left), Name(i.right))))
        for i in made
    ]
    names = {level: tuple(i.name for i in made if i.level == level) for level in observed}
    changed = replace(
        statements,
        interactions=tuple(i for i in statements.interactions if i not in made),
        transforms=(*statements.transforms, *transforms),
        within_only=(*statements.within_only, *names["within"]),
        between_only=(*statements.between_only, *names["between"]),
        known=None if statements.known is None else (*statements.known, *(i.name for i in made)),
    )
    found = complete(changed)
    notes = tuple(
        f"{i.name} is the product of two observed variables, {i.left} and {i.right}: it is computed "
        f"from the data."
        for i in made
    )
    return replace(found, notes=(*found.notes, *notes))


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
    """A bound model from its statistics, for instance from a saved fit."""
    structure = build_structure(spec)
    sizes = np.ones(len(cluster_ids)) if members is None else members.cluster_sizes
    return BoundModel(
        spec,
        structure,
        members,
        between_outcomes,
        between_covariates,
        pooled_statistics(members, between_outcomes, between_covariates, len(structure.outcomes)),
        data_scales(spec, structure, members, between_outcomes, between_covariates),
        cluster_ids,
        sizes.astype(np.int64),
        rows,
        notes,
        people,
    )


def _check_levels(spec: ModelSpec, cluster: str | None) -> None:
    if spec.multilevel and cluster is None:
        raise ModelError(
            "The model has a within and a between level, but no cluster variable is named. "
            "Pass cluster='…', or write 'cluster: …' in the model."
        )
    if not spec.multilevel and cluster is not None:
        raise ModelError(
            f"A cluster variable ('{cluster}') is given, but the model has no levels. Write its "
            f"parts under 'level: within' and 'level: between', or leave the cluster variable out "
            f"to treat all rows as independent."
        )


def _clusters(frame: pd.DataFrame, cluster: str) -> tuple[NDArray[np.intp], pd.Index]:
    ids = frame[cluster]
    absent = int(ids.isna().sum())
    if absent:
        raise DataError(f"The cluster variable '{cluster}' is missing in {absent} row(s).")
    codes, uniques = pd.factorize(ids)
    if len(uniques) < 2:
        raise DataError(
            f"There is only one cluster ('{cluster}' is {uniques[0]!r} in every row), so nothing "
            f"can be learned about the between level. Fit a model without levels instead."
        )
    return codes, pd.Index(uniques, name=cluster)


def _infer_roles(
    spec: ModelSpec,
    columns: dict[str, Array],
    codes: NDArray[np.intp],
    ids: pd.Index,
    index: pd.Index,
) -> tuple[ModelSpec, list[str]]:
    """Let the data decide the role of variables that were not declared."""
    statements = spec.statements
    declared = set(statements.between_only) if statements else set(spec.between_only)
    to_split = []
    for name in spec.between_only:
        varies = checks.varies_within(columns[name], codes, len(ids))
        if varies is None:
            continue
        if name in declared:
            row, other, cluster = varies
            raise DataError(
                f"'{name}' is a between-level variable but varies inside cluster {ids[cluster]!r}: "
                f"{columns[name][other]:g} in row {index[other]}, {columns[name][row]:g} in row "
                f"{index[row]}. Take it out of the between declaration to give it a within and a "
                f"between part, or use its observed mean, cluster_mean({name})."
            )
        to_split.append(name)
    to_between = [
        name
        for name in spec.split
        if name not in {r.lhs for r in spec.at("within", "~")}
        and not _predicts(spec, name)
        and checks.varies_within(columns[name], codes, len(ids)) is None
    ]
    if not (to_split or to_between) or statements is None:
        return spec, list(spec.notes)
    settled = complete(statements, split=to_split, between_only=to_between)
    notes = list(settled.notes)
    notes += [
        f"{name} varies inside clusters: it has a within and a between part, and its cluster mean "
        f"is latent."
        for name in to_split
    ]
    notes += [
        f"{name} is constant in every cluster: it is a between-only variable."
        for name in to_between
    ]
    return settled, notes


def _check_products(
    spec: ModelSpec, columns: dict[str, Array], codes: NDArray[np.intp], clusters: int
) -> None:
    """A product within clusters has two variables that vary there."""
    for product in spec.interactions:
        for name in (product.left, product.right):
            if product.level != "within" or name not in columns:
                continue
            if checks.varies_within(columns[name], codes, clusters) is None:
                other = product.right if name == product.left else product.left
                raise ModelError(
                    f"The product {product} is across levels: '{name}' is constant in every cluster, "
                    f"and the product stands at the within level. Let the path from {other} vary "
                    f"between clusters and regress it on {name}: 's | y ~ {other}' at the within level, "
                    f"'s ~ {name}' at the between level."
                )


def _predicts(spec: ModelSpec, name: str) -> bool:
    """Whether a variable is used at the within level, where it would need to vary."""
    return any(
        name in (r.lhs, r.rhs) and not r.is_variance and r.op != "~1" for r in spec.at("within")
    )
