"""A bound model with varying slopes or products as the vectors that its likelihood kernel takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.likelihood.cluster_kernel import unpack_cluster_log_likelihood
from bmsem.likelihood.inputs import KernelInputs, unsure_rows
from bmsem.priors import PriorTable
from bmsem.spec import Level
from bmsem.structure import LevelStructure
from bmsem.structure.sampled import Modulation, SampledQuantities, sampled_quantities

Array = NDArray[np.float64]


def cluster_inputs(
    bound: BoundModel, table: PriorTable | None = None, order: tuple[int, ...] | None = None
) -> KernelInputs:
    """Lay a bound model out for `bmsem.likelihood.cluster_kernel`; see `KernelInputs`.

    Without a table of priors the parameters are in the order of the parameter vector, and covariance
    matrices are taken to be positive definite, as those of draws are. Nothing but cluster quantities
    is integrated out: intercepts are among the parameters.
    """
    if order is None:
        order = tuple(range(len(bound.structure.parameters)))
    position = {index: i for i, index in enumerate(order)}
    structure, members = bound.structure, bound.members
    plan = sampled_quantities(structure, bound.spec.within_only)
    assert members is not None
    within, between = structure.within, structure.between
    p, nz, q = len(structure.outcomes), len(structure.between_outcomes), plan.size
    clusters, m = bound.clusters, len(plan.rows)

    known = [*range(nz), *plan.rows]
    hidden = [r for r in range(q) if r not in known]
    term = np.full(q, -1, dtype=np.int64)
    term[nz : nz + p] = np.arange(p)
    for i, slope in enumerate(plan.slopes):
        term[slope.row] = p + i
    slopes = [[s.row, s.target, 0 if s.covariate else 1, s.source, s.part] for s in plan.slopes]

    names, multipliers = _data_multipliers(bound, plan)
    w_mods = [x for x in plan.modulations if x.level == "within"]
    b_mods = [x for x in plan.modulations if x.level != "within"]
    w_group, w_first = _groups(w_mods, multipliers, names, clusters)
    b_group, b_first = _groups(b_mods, multipliers, names, clusters)
    top: Level = "between"
    integers: list[NDArray[np.int64]] = []
    counts: list[int] = []
    for level, mods, name in ((within, w_mods, "within"), (between, b_mods, top)):
        for matrix, index in enumerate(
            (level.path_index, level.covariance_index, level.coefficient_index)
        ):
            placed = [(r, c, position[i]) for r, c, i in index.tolist()]
            if matrix == 0:
                placed += [(x.row, x.column, len(order) + e) for e, x in enumerate(mods)]
            integers.append(np.array(placed, dtype=np.int64).reshape(-1))
            counts.append(len(placed))
        unsure = unsure_rows(level, table, name) if table is not None else []
        integers.append(np.array(unsure, dtype=np.int64))
        counts.append(len(unsure))
        entries = []
        standing = {(r, c): position[i] for r, c, i in level.path_index.tolist()}
        for e, x in enumerate(mods):
            coefficient = position[x.parameter] if x.parameter >= 0 else -1
            number = names.index(x.observed) if x.observed else len(names) + x.sampled
            cell = (x.row, x.column)
            entries.append((*cell, coefficient, number, standing.get(cell, -1)))
            standing[cell] = len(order) + e
        integers.append(np.array(entries, dtype=np.int64).reshape(-1))
        counts.append(len(entries))
    header = np.zeros(32, dtype=np.int64)
    header[:15] = [
        len(within.variables), p, len(within.covariates), len(between.variables), q,
        len(between.covariates), nz, len(known), len(hidden), len(slopes), clusters, m, len(names),
        len(w_first), len(b_first),
    ]  # fmt: skip
    header[16 : 16 + len(counts)] = counts
    b_order = np.argsort(b_group, kind="stable")
    tail = [known, hidden, np.array(slopes).reshape(-1), term, w_group, w_first, b_group, b_first,
            b_order]  # fmt: skip
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
        _data(bound, multipliers, q),
        packed.astype(np.int64),
        np.concatenate([np.asarray(r, dtype=float).ravel() for r in reals]),
    )


def _bases(level: LevelStructure) -> tuple[Array, Array, Array]:
    return level.paths, level.covariances, level.coefficients


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
    """Clusters with one structure: group of each, and the first of each group."""
    if any(x.sampled >= 0 for x in mods):
        return np.arange(clusters), np.arange(clusters)
    used = sorted({names.index(x.observed) for x in mods})
    if not used:
        return np.zeros(clusters, dtype=np.int64), np.zeros(1, dtype=np.int64)
    _, first, group = np.unique(
        multipliers[:, used], axis=0, return_index=True, return_inverse=True
    )
    return group.reshape(-1), first


def _data(bound: BoundModel, multipliers: Array, q: int) -> Array:
    """Sizes, z, (1, x_b), cross-products of (1, y, x_w), multipliers, and what z and y are shifted by.

    Outcomes are taken about their means, so that no digits are lost; covariates as they are, because
    a slope multiplies them.
    """
    structure, members = bound.structure, bound.members
    assert members is not None
    p, nz = len(structure.outcomes), len(structure.between_outcomes)
    shift = np.zeros(q)
    shift[:nz] = bound.between_outcomes.mean(axis=0)
    sizes = members.cluster_sizes
    flat = members.by_cluster()
    means = flat.means[:, 0].copy()
    shift[nz : nz + p] = np.average(means[:, :p], axis=0, weights=sizes) if p else 0.0
    # A within-only outcome has no between part that could take the shift up.
    only = [nz + i for i, n in enumerate(structure.outcomes) if n in bound.spec.within_only]
    shift[only] = 0.0
    means[:, :p] -= shift[nz : nz + p]
    moved = type(flat)(flat.counts, means[:, None], flat.scatter)
    z = bound.between_outcomes - shift[:nz]
    xb = np.hstack([np.ones((bound.clusters, 1)), bound.between_covariates])
    products = moved.cross_products()[:, 0]
    parts = (sizes, z, xb, products, multipliers, shift)
    return np.concatenate([np.asarray(a, dtype=float).ravel() for a in parts])


def cluster_log_likelihood_at(
    theta: Array, sampled: Array, inputs: KernelInputs
) -> tuple[float, Array, Array, Array, Array]:
    """Value, gradient by (theta, sampled), and the posterior of what is integrated out.

    Parameters
    ----------
    theta : (P,)
        In the order ``inputs.order``.
    sampled : (J, m)

    Returns
    -------
    value
        Log-likelihood; ``-inf`` where a covariance matrix is not positive definite.
    gradient : (P + J m,)
    mean, covariance : (J, h), (J, h, h)
        Of the integrated rows of the between level.
    by_cluster : (J, 2)
        Each cluster's part of the value, and its expected deviance given all cluster effects.
    """
    clusters, h = int(inputs.integers[10]), int(inputs.integers[8])
    mean, covariance = np.zeros((clusters, h)), np.zeros((clusters, h, h))
    by_cluster = np.zeros((clusters, 2))
    extended = np.concatenate([theta, np.asarray(sampled, dtype=float).ravel()])
    value, gradient = unpack_cluster_log_likelihood(
        extended, inputs.data, inputs.integers, inputs.reals, mean, covariance, by_cluster
    )
    return float(value), gradient, mean, covariance, by_cluster


def cluster_value_and_gradient(
    extended: Any, data: Any, integers: Any, reals: Any
) -> tuple[float, Array]:
    """Value and gradient at theta followed by the sampled quantities; vectors of `KernelInputs`."""
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
