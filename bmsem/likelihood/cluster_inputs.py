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
from bmsem.structure.sampled import Modulation, SampledQuantities, sampled_quantities

Array = NDArray[np.float64]


def cluster_inputs(
    bound: BoundModel, table: PriorTable | None = None, order: tuple[int, ...] | None = None
) -> KernelInputs:
    """Lay a bound model out for `bmsem.likelihood.cluster_kernel`; see `KernelInputs`.

    Without a table of priors the parameters are in the order of the parameter vector, and covariance
    matrices are taken to be positive definite, as those of draws are. Nothing but cluster quantities
    is integrated out: intercepts are among the parameters. In a model without levels every person is
    a cluster without between variables.

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
    plan = sampled_quantities(structure, bound.spec.within_only)
    w_mods = [x for x in plan.modulations if x.level != "between"]
    b_mods = [x for x in plan.modulations if x.level == "between"]
    within, columns, p = _within_level(structure, plan, w_mods)
    between = _empty(structure.between) if single else structure.between
    nz, q = 0 if single else len(structure.between_outcomes), plan.size
    clusters, m, f = bound.clusters, len(plan.rows), len(plan.scores)

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

    cells = model_cells(bound, plan)
    b_group, b_first = _groups(b_mods, multipliers, names, clusters)
    header = np.zeros(32, dtype=np.int64)
    header[:15] = [
        len(within.variables), p, len(within.covariates), len(between.variables), q,
        len(between.covariates), nz, len(known), len(hidden), len(slopes), clusters, m, len(names),
        len(cells.group_cell), len(b_first),
    ]  # fmt: skip
    header[16 : 16 + len(counts)] = counts
    header[26:31] = [
        max([p, *(c + 1 for c in columns)]), bound.rows if f else 0, f, len(cells.sizes),
        cells.values is not None,
    ]  # fmt: skip
    b_order = np.argsort(b_group, kind="stable")
    tail = [known, hidden, np.array(slopes).reshape(-1), term, b_group, b_first, b_order,
            cells.start, cells.group, cells.group_cell]  # fmt: skip
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
        _data(bound, multipliers, cells, q, f),
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
    mods: list[Modulation], multipliers: Array, names: list[str], clusters: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Clusters with one between structure: group of each, and the first of each group."""
    if any(x.sampled >= 0 for x in mods):
        return np.arange(clusters), np.arange(clusters)
    used = sorted({names.index(x.observed) for x in mods})
    if not used:
        return np.zeros(clusters, dtype=np.int64), np.zeros(1, dtype=np.int64)
    _, first, group = np.unique(
        multipliers[:, used], axis=0, return_index=True, return_inverse=True
    )
    return group.reshape(-1), first


def _data(bound: BoundModel, multipliers: Array, cells: Cells, q: int, scores: int) -> Array:
    """z, (1, x_b), multipliers, shift, cell sizes, and cross-products or rows of (1, y, f, x_w).

    Outcomes are taken about their means, so that no digits are lost; covariates as they are, because
    a slope multiplies them.
    """
    structure = bound.structure
    shift = np.zeros(q)
    if not bound.spec.multilevel:
        z, xb = np.empty((bound.clusters, 0)), np.ones((bound.clusters, 1))
        p, y_shift = structure.between.observed, np.zeros(structure.between.observed)
    else:
        p, nz = len(structure.outcomes), len(structure.between_outcomes)
        shift[:nz] = bound.between_outcomes.mean(axis=0)
        assert bound.members is not None
        means = bound.members.by_cluster().means[:, 0, :p]
        shift[nz : nz + p] = np.average(means, axis=0, weights=bound.members.cluster_sizes)
        # A within-only outcome has no between part that could take the shift up.
        only = [nz + i for i, n in enumerate(structure.outcomes) if n in bound.spec.within_only]
        shift[only] = 0.0
        y_shift = shift[nz : nz + p]
        z = bound.between_outcomes - shift[:nz]
        xb = np.hstack([np.ones((bound.clusters, 1)), bound.between_covariates])
    parts = (z, xb, multipliers, shift, cells.sizes, cells.numbers(y_shift, scores))
    return np.concatenate([np.asarray(a, dtype=float).ravel() for a in parts])


def cluster_log_likelihood_at(
    theta: Array, sampled: Array, inputs: KernelInputs, scores: Array | None = None
) -> tuple[float, Array, Array, Array, Array]:
    """Value, gradient by (theta, sampled), and the posterior of what is integrated out.

    Parameters
    ----------
    theta : (P,)
        In the order ``inputs.order``.
    sampled : (J, m)
    scores : (N, f)
        Of people, clusters one after the other (`bmsem.likelihood.cells.Cells.people`).

    Returns
    -------
    value
        Log-likelihood; ``-inf`` where a covariance matrix is not positive definite.
    gradient : (P + J m + N f,)
    mean, covariance : (J, h), (J, h, h)
        Of the integrated rows of the between level.
    by_cluster : (J, 2)
        Each cluster's part of the value, and its expected deviance given all cluster effects.
    """
    clusters, h = int(inputs.integers[10]), int(inputs.integers[8])
    mean, covariance = np.zeros((clusters, h)), np.zeros((clusters, h, h))
    by_cluster = np.zeros((clusters, 2))
    own = np.empty(0) if scores is None else np.asarray(scores, dtype=float).ravel()
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
    assert bound.members is not None
    means = bound.members.by_cluster().means[:, 0]
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
        assert bound.members is not None
        values = values - bound.members.by_cluster().means[owner, 0, : len(outcomes)]
    else:
        values = values - values.mean(axis=0)
    centre, spread = np.zeros((len(values), len(plan.scores))), np.ones(len(plan.scores))
    for i, factor in enumerate(plan.scores):
        for indicator in range(len(outcomes)):
            loading = level.paths[indicator, factor]
            if loading:
                centre[:, i] = 0.7 * values[:, indicator] / loading
                spread[i] = 0.5 * values[:, indicator].std() / abs(loading)
                break
    return centre, spread
