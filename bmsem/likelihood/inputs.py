"""A bound model as the vectors that the likelihood kernel takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.data.statistics import PooledStatistics
from bmsem.priors import PriorTable
from bmsem.spec import Level, Prior
from bmsem.structure import LevelStructure

Array = NDArray[np.float64]


@dataclass(frozen=True)
class KernelInputs:
    """Arguments of `bmsem.likelihood.kernel.packed_log_likelihood` after theta.

    Attributes
    ----------
    order
        Index of the free parameter at each position of theta. Integrated intercepts are not in it.
    integrated
        Indices of the free parameters that are integrated out.
    data
        Priors of the integrated intercepts and sufficient statistics.
    integers, reals
        The model's structure: dimensions and indices, fixed values.
    """

    order: tuple[int, ...]
    integrated: tuple[int, ...]
    data: Array
    integers: NDArray[np.int64]
    reals: Array


def kernel_inputs(
    bound: BoundModel, table: PriorTable, order: tuple[int, ...] | None = None
) -> KernelInputs:
    """Lay a bound model out for the kernel.

    ``order`` is the order of the parameters in theta; by default that of the table.
    """
    integrated = tuple(r.parameter.index for r in table.role("integrated"))
    if order is None:
        order = tuple(r.parameter.index for r in table.rows if r.role != "integrated")
    position = {index: i for i, index in enumerate(order)}
    structure = bound.structure
    top: Level = "between" if bound.spec.multilevel else None
    sides, rows = _intercept_places(bound, integrated)
    dimensions: list[int] = []
    indices: list[NDArray[np.int64]] = []
    counts: list[int] = []
    reals: list[Array] = []
    for level, name in ((structure.within, "within"), (structure.between, top)):
        dimensions += [len(level.variables), level.observed, len(level.covariates)]
        for base, index in (
            (level.paths, level.path_index),
            (level.covariances, level.covariance_index),
            (level.coefficients, level.coefficient_index),
        ):
            placed = [(r, c, position[i]) for r, c, i in index.tolist() if i in position]
            indices.append(np.array(placed, dtype=np.int64).reshape(-1))
            counts.append(len(placed))
            reals.append(base)
        unsure = unsure_rows(level, table, name)
        indices.append(np.array(unsure, dtype=np.int64))
        counts.append(len(unsure))
    header = [*dimensions, len(integrated), sides.shape[1], *counts]
    integers = np.concatenate([np.array(header), *indices, sides.ravel(), rows.ravel()])
    return KernelInputs(
        order,
        integrated,
        pack_data(bound.pooled, table),
        integers.astype(np.int64),
        np.concatenate([r.ravel() for r in reals]).astype(float),
    )


def pack_data(pooled: PooledStatistics, table: PriorTable) -> Array:
    """The data vector of the kernel: see `packed_log_likelihood` for its layout."""
    normals = [normal_prior(r.prior) for r in table.role("integrated")]
    return np.concatenate(
        [
            [len(pooled.sizes), pooled.freedom, pooled.constant],
            [mean for mean, _ in normals],
            [precision for _, precision in normals],
            pooled.scatter.ravel(),
            pooled.sizes,
            pooled.counts,
            pooled.cross.ravel(),
            pooled.shift,
        ]
    ).astype(float)


def normal_prior(prior: object) -> tuple[float, float]:
    """Mean and precision of a normal or flat prior; a flat one has precision zero."""
    assert isinstance(prior, Prior)
    if prior.distribution == "Flat":
        return 0.0, 0.0
    words = ("mu", "sigma", "tau")
    given = {k or words[i]: v for i, (k, v) in enumerate(prior.arguments)}
    precision = given["tau"] if "tau" in given else given.get("sigma", 1.0) ** -2
    return float(given.get("mu", 0.0)), float(precision)


def unsure_rows(structure: LevelStructure, table: PriorTable, level: Level) -> list[int]:
    """Rows of Psi in blocks that are not positive definite by construction."""
    names = {n for b in table.blocks if b.level == level and not b.full for n in b.variables}
    fixed = structure.covariances - np.diag(np.diag(structure.covariances))
    names |= {n for n, row in zip(structure.variables, fixed, strict=True) if row.any()}
    # Nothing keeps a variance positive that is computed from others, or that has a prior of which
    # only PyMC knows the range.
    for prior in table.rows:
        p = prior.parameter
        determined = p.kind == "variance" and prior.role == "determined"
        if determined or not _keeps_sign(prior.prior):
            names |= {r.lhs for r in p.rows if r.is_variance and r.level == level}
    return [i for i, name in enumerate(structure.variables) if name in names]


def _keeps_sign(prior: object) -> bool:
    return prior is None or isinstance(prior, Prior)


def _intercept_places(
    bound: BoundModel, integrated: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Side (0 within, 1 between, -1 none) and row of every place of each integrated intercept."""
    places: list[list[tuple[int, int]]] = []
    for index in integrated:
        found = []
        for row in bound.structure.parameters[index].rows:
            side = 0 if row.level == "within" else 1
            level = bound.structure.level(row.level)
            found.append((side, level.variables.index(row.lhs)))
        places.append(found)
    width = max((len(found) for found in places), default=1)
    sides = np.full((len(places), width), -1, dtype=np.int64)
    rows = np.zeros((len(places), width), dtype=np.int64)
    for i, found in enumerate(places):
        for j, place in enumerate(found):
            sides[i, j], rows[i, j] = place
    return sides, rows
