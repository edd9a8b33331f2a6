"""Joining a model with data."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.data import checks
from bmsem.data.bound import BoundModel, People, assemble
from bmsem.data.gaps import (
    complete_rows,
    missing_warnings,
    people_with_outcomes,
    require_known_multipliers,
    with_covariates_modelled,
)
from bmsem.data.predictors import slope_notes
from bmsem.data.read import numeric_columns, read_data
from bmsem.data.statistics import cluster_statistics, moments_of, observed_moments
from bmsem.data.transform import apply_transforms
from bmsem.errors import DataError, DataWarning, ModelError, did_you_mean
from bmsem.expressions import Binary, Expression, Name
from bmsem.spec import Level, ModelSpec, Transform, complete, with_auxiliary
from bmsem.structure import build_structure
from bmsem.structure.sampled import sampled_quantities

Array = NDArray[np.float64]

MISSING = ("likelihood", "model", "listwise")
"""What may be done about missing values; see `bind`."""


def bind(
    spec: ModelSpec,
    data: Any,
    cluster: str | None = None,
    *,
    missing: str = "likelihood",
    auxiliary: Sequence[str] = (),
) -> BoundModel:
    """Join a model with data.

    Parameters
    ----------
    spec
        The model.
    data
        A data frame, a mapping of columns, or the path of a CSV file. NaN, None and pandas' NA are
        missing.
    cluster
        Name of the column that tells the clusters apart; any hashable values in any order. The
        default is the cluster variable that the spec names.
    missing
        ``"likelihood"``: everything that was observed enters the likelihood, at whatever pattern;
        covariates that are conditioned on must be complete. ``"model"``: incomplete covariates become
        variables with a distribution too. ``"listwise"``: rows with a missing value are dropped.
    auxiliary
        Variables that are not in the model, but tell something about what is missing in it.

    Raises
    ------
    DataError
        If a variable is unknown, not numeric, infinite, missing everywhere, does not vary, varies inside
        a cluster although it belongs to the between level, or is collinear with others; if a covariate
        that is conditioned on has missing values.
    ModelError
        If the model has levels and there are no clusters, or the other way round.

    Warns
    -----
    DataWarning
        If there are fewer clusters than between-level variables need, a variable has next to no
        variance at a level, or variables are hardly ever observed together.
    """
    if missing not in MISSING:
        raise ModelError(f"Unknown missing={missing!r}. Use {', '.join(map(repr, MISSING))}.")
    frame = read_data(data)
    spec = observed_products(with_auxiliary(spec, auxiliary))
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
    columns = numeric_columns(frame, spec.observed, places, missing=True)
    if spec.multilevel and cluster is not None:
        _clusters(frame, cluster)  # raises if clusters are not told
    checks.constant(columns)
    notes: list[str] = []
    if missing == "listwise":
        kept, said = complete_rows(columns, frame, cluster if spec.multilevel else None)
        frame, columns = frame[kept], {n: v[kept] for n, v in columns.items()}
        notes += said
        checks.constant(columns)
    if spec.multilevel and cluster is not None:
        codes, ids = _clusters(frame, cluster)
        _check_products(spec, columns, codes, len(ids))
        spec, inferred = _infer_roles(spec, columns, codes, ids, frame.index)
        notes = [*inferred, *notes]
        if len(ids) == len(frame) and (spec.split or spec.within_only):
            raise DataError(
                f"Every cluster of '{cluster}' has a single member: within and between differences "
                f"cannot be told apart. Check the cluster variable, or fit a model without levels."
            )
        for name in spec.between_only:
            # What one member lacks, the others of the cluster tell.
            columns[name] = columns[name][checks.first_rows(columns[name], codes, len(ids))][codes]
    else:
        codes, ids = np.arange(len(frame)), frame.index
        notes = [*spec.notes, *notes]
    structure = build_structure(spec)
    kept, said = people_with_outcomes(spec, structure, columns)
    if said:
        notes += said
        frame, columns = frame[kept], {n: v[kept] for n, v in columns.items()}
        again, left = pd.factorize(codes[kept])
        if len(left) < len(ids) and spec.multilevel:
            gone = len(ids) - len(left)
            notes.append(f"missing values: {gone} cluster(s) have nobody left and are dropped.")
        codes, ids = again, ids[left]
    spec, said = with_covariates_modelled(spec, structure, columns, missing == "model")
    # Modelling them may have brought defaults of its own.
    notes += [*said, *(n for n in spec.notes if said and n not in notes)]
    structure = build_structure(spec)
    plan = sampled_quantities(structure, spec.within_only)  # raises for products that cannot be
    n_clusters = len(ids)

    def stack(names: tuple[str, ...], rows: Any = slice(None)) -> Array:
        if not names:
            return np.empty((n_clusters if isinstance(rows, np.ndarray) else len(frame), 0))
        return np.column_stack([columns[name][rows] for name in names])

    first = np.full(n_clusters, len(frame), dtype=np.intp)
    np.minimum.at(first, codes, np.arange(len(frame)))
    z = stack(structure.between_outcomes, first)
    x = stack(structure.between_covariates, first)
    require_known_multipliers(structure, plan, z)
    members, people, moments = None, None, None
    values = stack((*structure.outcomes, *structure.within_covariates))
    if spec.multilevel:
        people = People(values, codes, frame.index)
        if np.isnan(values).any():
            moments = observed_moments(values, codes, n_clusters)
        else:
            members = cluster_statistics(values, codes, n_clusters)
            moments = moments_of(members)
    found = checks.levels(structure, values, codes, moments, z, x)
    notes += slope_notes(spec, structure)
    bound = assemble(spec, members, z, x, ids, len(frame), tuple(notes), people)
    found += missing_warnings(bound.missing()) if bound.gaps is not None else []
    for message in found:
        warnings.warn(message, DataWarning, stacklevel=2)
    return replace(bound, notes=(*bound.notes, *found))


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
    absent = ids.isna().to_numpy()
    if absent.any():
        first = frame.index[int(np.flatnonzero(absent)[0])]
        raise DataError(
            f"The cluster variable '{cluster}' is missing in {int(absent.sum())} row(s), the first of "
            f"which is row {first}: nobody knows whose members these are. Fill it in, or drop these "
            f"rows (data.dropna(subset=[{cluster!r}]))."
        )
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
        if (
            name in spec.auxiliary
            or (name not in {r.lhs for r in spec.at("within", "~")} and not _predicts(spec, name))
        )
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
        name in (r.lhs, r.rhs) and not r.is_variance and r.op != "~1"
        for r in spec.at("within")
        if r.lhs not in spec.auxiliary
    )
