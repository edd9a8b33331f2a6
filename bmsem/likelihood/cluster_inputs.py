"""A bound model with varying slopes or products as the vectors that its likelihood kernel takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.likelihood.cells import Cells, model_cells
from bmsem.likelihood.cluster_call import unpack_cluster_log_likelihood
from bmsem.likelihood.inputs import KernelInputs, unsure_rows
from bmsem.priors import PriorTable
from bmsem.spec import Level
from bmsem.structure import LevelStructure, Structure
from bmsem.structure.sampled import Modulation, SampledQuantities

Array = NDArray[np.float64]


def cluster_inputs(
    bound: BoundModel,
    table: PriorTable | None = None,
    order: tuple[int, ...] | None = None,
    *,
    joined: bool = False,
) -> KernelInputs:
    """Lay a bound model out for `bmsem.likelihood.cluster_kernel`; see `KernelInputs`.

    Without a table of priors the parameters are in the order of the parameter vector, and covariance
    matrices are taken to be positive definite, as those of draws are. Nothing but cluster quantities
    is integrated out: intercepts are among the parameters. In a model without levels every person is
    a cluster without between variables, or all are one if they are ``joined``.

    Raises
    ------
    DataError
        If the structure differs between people and the bound model has only statistics.
    """
    if order is None:
        order = tuple(range(len(bound.structure.parameters)))
    position = {index: i for i, index in enumerate(order)}
    structure = bound.structure
    single = not bound.spec.multilevel
    plan = bound.plan
    joined = joined and single and not plan.by_person and not plan.scores
    w_mods = [x for x in plan.modulations if x.level != "between"]
    b_mods = [x for x in plan.modulations if x.level == "between"]
    within, columns, p = _within_level(structure, plan, w_mods)
    between = _empty(structure.between) if single else structure.between
    nz, q = 0 if single else len(structure.between_outcomes), plan.size
    clusters, m, f = 1 if joined else bound.clusters, len(plan.rows), len(plan.scores)

    known = [*range(nz), *plan.rows]
    hidden = [r for r in range(q) if r not in known]
    row = {name: i for i, name in enumerate(within.variables)}
    old = (structure.between if single else structure.within).variables
    term = np.full(q, -1, dtype=np.int64)
    outcomes = 0 if single else len(structure.outcomes)
    term[nz : nz + outcomes] = np.arange(outcomes)
    for i, slope in enumerate(plan.slopes):
        term[slope.row] = p + i
    slopes = [
        [s.row, row[old[s.target]], 0 if s.covariate else 1, s.source, s.part] for s in plan.slopes
    ]
    names, multipliers = _data_multipliers(bound, plan)
    integers: list[NDArray[np.int64]] = []
    counts: list[int] = []

    def place(level: LevelStructure, name: Level, extra: list[tuple[int, int, int]]) -> None:
        for matrix, index in enumerate(
            (level.path_index, level.covariance_index, level.coefficient_index)
        ):
            placed = [(r, c, position[i]) for r, c, i in index.tolist()]
            placed += extra if matrix == 0 else []
            integers.append(np.array(placed, dtype=np.int64).reshape(-1))
            counts.append(len(placed))
        unsure = unsure_rows(level, table, name) if table is not None else []
        integers.append(np.array(unsure, dtype=np.int64))
        counts.append(len(unsure))

    def entries(found: Sequence[tuple[int, ...]]) -> None:
        integers.append(np.array(found, dtype=np.int64).reshape(-1))
        counts.append(len(found))

    def coefficient(x: Modulation) -> int:
        return position[x.parameter] if x.parameter >= 0 else -1

    place(within, None if single else "within", [])
    entries(
        [
            (row[old[x.row]], column, coefficient(x), *_number(x, p, f, len(names)))
            for x, column in zip(w_mods, columns, strict=True)
        ]
    )
    place(between, "between", [(x.row, x.column, len(order) + e) for e, x in enumerate(b_mods)])
    b_entries = []
    standing = {(r, c): position[i] for r, c, i in between.path_index.tolist()}
    for e, x in enumerate(b_mods):
        number = names.index(x.observed) if x.observed else len(names) + x.sampled
        cell = (x.row, x.column)
        b_entries.append((*cell, coefficient(x), number, standing.get(cell, -1)))
        standing[cell] = len(order) + e
    entries(b_entries)

    cells = model_cells(bound, plan, joined=joined)
    z_seen = ~np.isnan(bound.between_outcomes) if nz else np.ones((clusters, 0), dtype=bool)
    b_group, b_first = _groups(b_mods, multipliers, names, z_seen)
    places = member_places(bound, plan, cells)
    header = np.zeros(32, dtype=np.int64)
    header[:15] = [
        len(within.variables), p, len(within.covariates), len(between.variables), q,
        len(between.covariates), nz, len(known), len(hidden), len(slopes), clusters, m, len(names),
        len(cells.group_cell), len(b_first),
    ]  # fmt: skip
    header[16 : 16 + len(counts)] = counts
    header[26:30] = [
        max([p, *(c + 1 for c in columns)]), len(places), len(cells.sizes),
        cells.values is not None,
    ]  # fmt: skip
    b_order = np.argsort(b_group, kind="stable")
    tail = [known, hidden, np.array(slopes).reshape(-1), term, b_group, b_first, b_order,
            cells.start, cells.group, cells.group_cell,
            np.hstack([cells.seen, np.ones((len(cells.seen), f), dtype=bool)]), z_seen[b_first],
            places]  # fmt: skip
    packed = np.concatenate(
        [header, *integers, *(np.asarray(t, dtype=np.int64).reshape(-1) for t in tail)]
    )
    reals = [
        *_bases(within),
        *_bases(between),
        [x.fixed for x in w_mods],
        [x.fixed for x in b_mods],
    ]
    return KernelInputs(
        order,
        (),
        kernel_data(bound, multipliers, cells, q, f, places),
        packed.astype(np.int64),
        np.concatenate([np.asarray(r, dtype=float).ravel() for r in reals]),
    )


def _bases(level: LevelStructure) -> tuple[Array, Array, Array]:
    return level.paths, level.covariances, level.coefficients


def _within_level(
    structure: Structure, plan: SampledQuantities, mods: list[Modulation]
) -> tuple[LevelStructure, list[int], int]:
    """People's level, the columns of its modulated entries, and how many of its rows are known.

    Known rows come first: outcomes, then scores; then the columns of entries.
    """
    level = structure.within if structure.within.variables else structure.between
    first = [*range(level.observed), *plan.scores]
    first += [c for c in dict.fromkeys(x.column for x in mods) if c not in first]
    order = [*first, *(i for i in range(len(level.variables)) if i not in first)]
    columns = [order.index(x.column) for x in mods]
    return level.reordered(order), columns, level.observed + len(plan.scores)


def _empty(level: LevelStructure) -> LevelStructure:
    """A between level without variables."""
    none = np.empty((0, 3), dtype=np.int64)
    matrix = np.zeros((0, 0))
    return LevelStructure((), 0, ("1",), matrix, matrix, np.zeros((0, 1)), none, none, none)


def _number(x: Modulation, p: int, scores: int, n_data: int) -> tuple[int, int, int]:
    """Multiplier of the cluster (or -1), position in v, and what is subtracted from it (or -1)."""
    if x.sampled >= 0:
        return n_data + x.sampled, 0, -1
    match x.member:
        case "covariate":
            return -1, p + x.source, -1
        case "score":
            return -1, 1 + p - scores + x.source, -1
        case _:
            return -1, 1 + x.source, x.part


def _data_multipliers(bound: BoundModel, plan: SampledQuantities) -> tuple[list[str], Array]:
    """Names and values (J, ·) of the observed variables that multiply an entry."""
    names = list(dict.fromkeys(x.observed for x in plan.modulations if x.observed))
    columns = [observed_number(bound, n) for n in names]
    return names, np.column_stack(columns) if columns else np.empty((bound.clusters, 0))


def observed_number(bound: BoundModel, name: str) -> Array:
    """Values (J,) of a between covariate or a between-only outcome."""
    structure = bound.structure
    if name in structure.between_covariates:
        return bound.between_covariates[:, structure.between_covariates.index(name)]
    return bound.between_outcomes[:, structure.between_outcomes.index(name)]


def _groups(
    mods: list[Modulation], multipliers: Array, names: list[str], z_seen: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Clusters with one between structure and pattern: group of each, and the first of each group."""
    clusters = len(z_seen)
    if any(x.sampled >= 0 for x in mods):
        return np.arange(clusters), np.arange(clusters)
    used = sorted({names.index(x.observed) for x in mods})
    if not used and z_seen.all():
        return np.zeros(clusters, dtype=np.int64), np.zeros(1, dtype=np.int64)
    keys = np.hstack([multipliers[:, used], z_seen])
    _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return group.reshape(-1), first


def member_places(bound: BoundModel, plan: SampledQuantities, cells: Cells) -> NDArray[np.int64]:
    """Row and column of v of what is sampled of people: scores, then missing values; (n, 2)."""
    f = len(plan.scores)
    people, score = np.divmod(np.arange(bound.rows * f), max(1, f))
    scores = np.column_stack([people, 1 + cells.outcomes + score])
    return np.vstack([scores, cells.filled + np.array([0, 1])]).astype(np.int64)


def outcome_shift(bound: BoundModel) -> Array:
    """What is subtracted from (z, y), so that no digits are lost to large means: (q,) or (p,).

    A within-only outcome has no between part that could take it up.
    """
    structure = bound.structure
    if not bound.spec.multilevel:
        return np.zeros(structure.between.observed)
    nz, p = len(structure.between_outcomes), len(structure.outcomes)
    assert bound.moments is not None
    counts, means = bound.moments.counts[:, :p], bound.moments.means[:, :p]
    shift = np.concatenate(
        [np.nanmean(bound.between_outcomes, axis=0),
         np.nansum(counts * means, axis=0) / counts.sum(axis=0)]
    )  # fmt: skip
    only = [nz + i for i, n in enumerate(structure.outcomes) if n in bound.spec.within_only]
    shift[only] = 0.0
    return shift


def kernel_data(
    bound: BoundModel,
    multipliers: Array,
    cells: Cells,
    q: int,
    scores: int,
    places: NDArray[np.int64],
    y_shift: Array | None = None,
) -> Array:
    """z, (1, x_b), multipliers, shift, cell sizes, cross-products or rows of (1, y, f, x_w), and what
    is subtracted from sampled values of people.

    Outcomes are taken less ``y_shift`` (q,), by default their means; covariates as they are, because a
    slope multiplies them.
    """
    structure = bound.structure
    shift = np.zeros(q)
    if y_shift is None:
        y_shift = outcome_shift(bound)
    if not bound.spec.multilevel:
        clusters = len(cells.start) - 1
        z, xb = np.empty((clusters, 0)), np.ones((clusters, 1))
    else:
        nz = len(structure.between_outcomes)
        shift[: len(y_shift)] = y_shift
        z = np.nan_to_num(bound.between_outcomes - y_shift[:nz])
        y_shift = y_shift[nz:]
        xb = np.hstack([np.ones((bound.clusters, 1)), bound.between_covariates])
    by_column = np.concatenate([[0.0], y_shift, np.zeros(scores)])
    parts = (z, xb, multipliers, shift, cells.sizes, cells.numbers(y_shift, scores),
             by_column[places[:, 1]])  # fmt: skip
    return np.concatenate([np.asarray(a, dtype=float).ravel() for a in parts])


def cluster_log_likelihood_at(
    theta: Array, sampled: Array, inputs: KernelInputs, people: Array | None = None
) -> tuple[float, Array, Array, Array, Array]:
    """Value, gradient by (theta, sampled), and the posterior of what is integrated out.

    Parameters
    ----------
    theta : (P,)
        In the order ``inputs.order``.
    sampled : (J, m)
    people
        What is sampled of people: scores, clusters one after the other
        (`bmsem.likelihood.cells.Cells.people`), then missing values.

    Returns
    -------
    value
        Log-likelihood; ``-inf`` where a covariance matrix is not positive definite.
    gradient : (P + J m + n,)
    mean, covariance : (J, h), (J, h, h)
        Of the integrated rows of the between level.
    by_cluster : (J, 2)
        Each cluster's part of the value, and its expected deviance given all cluster effects.
    """
    clusters, h = int(inputs.integers[10]), int(inputs.integers[8])
    mean, covariance = np.zeros((clusters, h)), np.zeros((clusters, h, h))
    by_cluster = np.zeros((clusters, 2))
    own = np.empty(0) if people is None else np.asarray(people, dtype=float).ravel()
    extended = np.concatenate([theta, np.asarray(sampled, dtype=float).ravel(), own])
    value, gradient = unpack_cluster_log_likelihood(
        extended, inputs.data, inputs.integers, inputs.reals, mean, covariance, by_cluster
    )
    return float(value), gradient, mean, covariance, by_cluster


def cluster_value_and_gradient(
    extended: Any, data: Any, integers: Any, reals: Any
) -> tuple[float, Array]:
    """Value and gradient at theta, sampled quantities and scores; vectors of `KernelInputs`."""
    integers = np.array(integers, dtype=np.int64)
    clusters, h = int(integers[10]), int(integers[8])
    value, gradient = unpack_cluster_log_likelihood(
        np.array(extended, dtype=float), np.array(data, dtype=float), integers,
        np.array(reals, dtype=float), np.zeros((clusters, h)), np.zeros((clusters, h, h)),
        np.zeros((clusters, 2)),
    )  # fmt: skip
    return float(value), gradient


def sampled_scale(bound: BoundModel, plan: SampledQuantities) -> tuple[Array, Array]:
    """Where the data put the sampled quantities, and how far they spread: (J, m) and (m,).

    A between part is near the cluster's observed mean, a slope or a factor near zero.
    """
    structure = bound.structure
    nz, p = len(structure.between_outcomes), len(structure.outcomes)
    assert bound.moments is not None
    means = bound.moments.means
    means = np.where(np.isnan(means), np.nanmean(means, axis=0), means)
    centre = np.zeros((bound.clusters, len(plan.rows)))
    scale = np.ones(len(plan.rows))
    for i, row in enumerate(plan.rows):
        name = structure.between.variables[row]
        scale[i] = bound.scales.sd.get(("between", name), 1.0)
        if nz <= row < nz + p:
            centre[:, i] = means[:, row - nz]
            within = bound.scales.sd["within", name]
            # Its posterior is as wide as the error of the observed mean, about.
            scale[i] = within / np.sqrt(bound.cluster_sizes.mean())
    return centre, scale


def score_scale(bound: BoundModel, plan: SampledQuantities) -> tuple[Array, Array]:
    """Where the data put the sampled scores, and how far they spread: (N, f) and (f,).

    People cluster after cluster, as the kernel takes them. A factor is near a share of what its first
    observed indicator with a fixed loading says.
    """
    single = not bound.spec.multilevel
    level = bound.structure.between if single else bound.structure.within
    outcomes = bound.structure.between_outcomes if single else bound.structure.outcomes
    cells = model_cells(bound, plan)
    assert cells.values is not None
    values = cells.values[:, : len(outcomes)]
    if not single:
        owner = np.repeat(np.arange(bound.clusters), np.diff(cells.start))
        assert bound.moments is not None
        values = values - bound.moments.means[owner, : len(outcomes)]
    else:
        values = values - np.nanmean(values, axis=0)
    centre, spread = np.zeros((len(values), len(plan.scores))), np.ones(len(plan.scores))
    for i, factor in enumerate(plan.scores):
        for indicator in range(len(outcomes)):
            loading = level.paths[indicator, factor]
            if loading:
                centre[:, i] = 0.7 * np.nan_to_num(values[:, indicator]) / loading
                spread[i] = 0.5 * np.nanstd(values[:, indicator]) / abs(loading)
                break
    return centre, spread


def value_scale(bound: BoundModel, plan: SampledQuantities) -> tuple[Array, Array]:
    """Where the data put missing values that are sampled, and how far they spread: (n,) each.

    Near the mean of the cluster, as far from it as others are.
    """
    cells = model_cells(bound, plan)
    rows, outcomes = cells.filled.T
    if not bound.spec.multilevel:
        known = bound.between_outcomes
        return np.nanmean(known, axis=0)[outcomes], np.nanstd(known, axis=0)[outcomes]
    assert bound.moments is not None and bound.people is not None
    means = bound.moments.means
    means = np.where(np.isnan(means), np.nanmean(means, axis=0), means)
    owner = bound.people.clusters[cells.people[rows]]
    return means[owner, outcomes], np.sqrt(bound.moments.within[outcomes])
