"""Draws from the priors, and the density of the priors at draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from pymc.pytensorf import compile as compile_pytensor

from bmsem.data import BoundModel
from bmsem.errors import ModelError
from bmsem.graph.build import GraphVariable, build_prior_graph
from bmsem.priors import ParameterPrior, PriorTable
from bmsem.priors.blocks import CovarianceBlock
from bmsem.priors.presets import PRESETS
from bmsem.spec import Level

Array = NDArray[np.float64]

# Compiled fast rather than to run fast: a few thousand draws are wanted once.
_MODE = "FAST_COMPILE"
# Give up when fewer than one draw in so many makes covariance matrices.
_RARE = 200


def all_sampled(table: PriorTable) -> PriorTable:
    """The table with nothing integrated out."""
    rows = [replace(r, role="sampled") if r.role == "integrated" else r for r in table.rows]
    return replace(table, rows=tuple(rows))


def prior_draws(bound: BoundModel, table: PriorTable, draws: int, seed: int | None = None) -> Array:
    """Draws (draws, P) from the joint prior, in the order of the parameter vector.

    Where a covariance matrix has a prior for each of its correlations, draws that are not positive
    semi-definite are drawn again: that is the prior which the sampler uses.

    Raises
    ------
    ModelError
        If a prior is improper, or next to no draw makes covariance matrices.
    """
    table.require_proper("This")
    count = len(bound.structure.parameters)
    if not count:
        return np.empty((draws, 0))
    graph = build_prior_graph(bound, all_sampled(table), forward=True)
    function = compile_pytensor([], graph.parameters, mode=_MODE, random_seed=seed)
    found: list[Array] = []
    tried = 0
    while len(found) < draws:
        batch = np.empty((draws, count))
        batch[:, list(graph.order)] = [function() for _ in range(draws)]
        tried += draws
        found += list(batch[_possible(bound, batch)])
        if len(found) * _RARE < tried:
            raise ModelError(
                f"Of {tried:,} draws from the prior {len(found):,} had covariance matrices that can be. "
                f"Priors of single correlations or constraints rule each other out: give the whole "
                f"matrix an LKJ prior ('correlations'), or make the priors narrower."
            )
    return np.array(found[:draws])


def _possible(bound: BoundModel, parameters: Array) -> NDArray[np.bool_]:
    """Which parameter vectors (D, P) have positive semi-definite residual covariance matrices."""
    fine = np.isfinite(parameters).all(axis=1)
    for level in bound.spec.levels:
        structure = bound.structure.level(level)
        if structure.variables:
            _, psi, _ = structure.matrices(parameters)
            psi[~fine] = 0.0
            smallest = np.linalg.eigvalsh(psi)[:, 0]
            fine &= smallest >= -1e-10 * np.abs(psi).max(axis=(1, 2))
    return fine


def proper_draws(
    bound: BoundModel, table: PriorTable, draws: int, seed: int | None = None
) -> Array:
    """As `prior_draws`, but what depends on an improper prior is nan instead of an error."""
    if table.proper:
        return prior_draws(bound, table, draws, seed)
    flat = [b for b in table.blocks if b.flat]
    improper = {r.parameter.index for r in table.rows if not r.proper}
    # A density over covariances is one of the variances too.
    improper |= {index for b in flat for _, _, index in b.pairs}
    members = {(b.level, name) for b in flat for name in b.variables}
    improper |= {
        r.parameter.index
        for r in table.rows
        for place in r.parameter.rows
        if place.is_variance and (place.level, place.lhs) in members
    }
    weak = PRESETS["weak"].prior
    rows = [
        r if r.proper else replace(r, prior=weak(r.parameter, bound.spec, bound.scales))
        for r in table.rows
    ]
    blocks = [replace(b, flat=False) for b in table.blocks]
    instead = replace(table, rows=tuple(rows), blocks=tuple(blocks))
    found = prior_draws(bound, instead, draws, seed)
    graph = build_prior_graph(bound, all_sampled(instead), forward=True)
    variables = [graph.model[v.name] for v in graph.variables]
    # What depends on a number is nan where the number is.
    values = [
        np.where([i in improper for i in v.indices], np.nan, np.linspace(0.3, 0.6, len(v.indices)))
        for v in graph.variables
    ]
    function = compile_pytensor(variables, graph.parameters, mode=_MODE)
    at = function(*(v if x.ndim else v[0] for v, x in zip(values, variables, strict=True)))
    found[:, np.array(graph.order)[np.isnan(at)]] = np.nan
    return found


def log_prior(bound: BoundModel, table: PriorTable, parameters: Array) -> Array:
    """Log-density (D, k) of the prior at parameters (D, P), a column for each independent part.

    Each density is one of the quantity that has the prior (an ICC, a standard deviation, a correlation
    matrix), without Jacobians of what the sampler works with; improper flat priors have none, constants
    of matrices are left out. Power scaling means these densities (Kallioinen, Paananen, Bürkner &
    Vehtari 2024, Statistics and Computing 34, 57).
    """
    table = all_sampled(table)
    graph = build_prior_graph(bound, table)
    pieces = [np.empty((len(parameters), 0))]
    rows = {r.parameter.index: r for r in table.rows}
    univariate = [
        v
        for v in graph.variables
        if v.scale != "unit" and not v.scale.startswith("bartlett") and rows[v.indices[0]].proper
    ]
    if univariate:
        given, densities = [], []
        for variable in univariate:
            values = pt.matrix()
            given.append(values)
            densities.append(pm.logp(graph.model[variable.name], values))
        function = compile_pytensor(given, densities, mode=_MODE)
        pieces += function(*(_quantity(bound, v, parameters) for v in univariate))
    pieces += [_matrix_density(bound, block, rows, parameters) for block in table.blocks]
    return np.concatenate(pieces, axis=1)


def _quantity(bound: BoundModel, variable: GraphVariable, parameters: Array) -> Array:
    """Draws (D, n) of what a random variable stands for: sds, ICCs, correlations."""
    own = parameters[:, list(variable.indices)]
    match variable.scale:
        case "sd":
            return np.sqrt(own)
        case "icc" | "r_square":
            other = np.stack(
                [
                    parameters[:, i] if i >= 0 else np.full(len(parameters), v)
                    for i, v in variable.references
                ],
                axis=1,
            )
            return own / (own + other) if variable.scale == "icc" else 1.0 - own / other
        case "correlation":
            row = bound.structure.parameters[variable.indices[0]].rows[0]
            names = (row.lhs, row.rhs)
            return _correlations(bound, row.level, names, parameters)[:, 1, :1]
        case _:
            return own


def _correlations(
    bound: BoundModel, level: Level, names: tuple[str, ...], parameters: Array
) -> Array:
    """Residual correlation matrices (D, n, n) of some variables of a level."""
    covariance = _covariances(bound, level, names, parameters)
    sds = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    return covariance / (sds[:, :, None] * sds[:, None, :])


def _covariances(
    bound: BoundModel, level: Level, names: tuple[str, ...], parameters: Array
) -> Array:
    structure = bound.structure.level(level)
    at = [structure.variables.index(n) for n in names]
    return structure.matrices(parameters)[1][:, at][:, :, at]


def _matrix_density(
    bound: BoundModel,
    block: CovarianceBlock,
    rows: dict[int, ParameterPrior],
    parameters: Array,
) -> Array:
    """The part of a covariance block's prior that is one of a matrix, (D, 1) or (D, 0)."""
    arguments = (bound, block.level, block.variables, parameters)
    if block.wishart is not None:
        covariance, scale = _covariances(*arguments), np.array(block.wishart.scale)
        _, log_determinant = np.linalg.slogdet(covariance)
        trace = np.trace(np.linalg.solve(covariance, scale[None]), axis1=-2, axis2=-1)
        power = 0.5 * (block.wishart.freedom + block.size + 1)
        return (-power * log_determinant - 0.5 * trace)[:, None]
    if block.flat:
        return np.empty((len(parameters), 0))
    correlations = _correlations(*arguments)
    if block.full:
        return (block.lkj - 1.0) * np.linalg.slogdet(correlations)[1][:, None]
    shape = block.lkj + (block.size - 2) / 2.0
    free = [
        (i, j)
        for i, j, index in block.pairs
        if rows[index].prior is None and rows[index].role == "sampled"
    ]
    found = [np.log1p(-(correlations[:, i, j] ** 2)) for i, j in free]
    total = (shape - 1.0) * np.sum(found, axis=0) if found else np.zeros(len(parameters))
    return np.asarray(total)[:, None]
