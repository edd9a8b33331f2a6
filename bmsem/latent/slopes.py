"""Cluster effects, varying slopes and scores of models in which cluster quantities were sampled.

What was integrated out is drawn from its exact conditional distribution given parameters, data and
sampled quantities: first the cluster effects and slopes, from the posterior that the likelihood kernel
computes, then the other factors given these, by conditional simulation (see `bmsem.latent.recover`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmsem.criteria.replicate import root
from bmsem.data import BoundModel
from bmsem.data.bind import People
from bmsem.likelihood.cluster_inputs import (
    cluster_inputs,
    cluster_log_likelihood_at,
    observed_number,
)
from bmsem.structure.sampled import SampledQuantities

Array = NDArray[np.float64]


def between_matrices(
    bound: BoundModel, plan: SampledQuantities, parameters: Array, sampled: Array
) -> tuple[Array, Array, Array]:
    """(I - A)^-1, Psi and the mean of every between variable, cluster by cluster.

    Shapes (D, J, n, n), (D, 1, n, n), (D, J, n); products make A differ between clusters.
    """
    between = bound.structure.between
    paths, psi, coefficients = between.matrices(parameters)
    mods = [m for m in plan.modulations if m.level != "within"]
    a = paths[:, None]
    if mods:
        a = np.repeat(a, bound.clusters, axis=1)
        for m in mods:
            coefficient = parameters[:, m.parameter, None] if m.parameter >= 0 else m.fixed
            number = observed_number(bound, m.observed) if m.observed else sampled[..., m.sampled]
            a[..., m.row, m.column] += coefficient * number
    total = np.linalg.inv(np.eye(a.shape[-1]) - a)
    x = np.hstack([np.ones((bound.clusters, 1)), bound.between_covariates])
    inner = x @ np.swapaxes(coefficients, -1, -2)  # (D, J, n)
    return total, psi[:, None], (total @ inner[..., None])[..., 0]


def between_draws_given(
    bound: BoundModel,
    plan: SampledQuantities,
    parameters: Array,
    sampled: Array,
    random: np.random.Generator,
) -> Array:
    """Draws (D, J, n) of all between variables at ``parameters`` (D, P) and ``sampled`` (D, J, m)."""
    inputs = cluster_inputs(bound)
    structure = bound.structure
    nz, q = len(structure.between_outcomes), plan.size
    known = [*range(nz), *plan.rows]
    hidden = [r for r in range(q) if r not in known]
    draws, clusters, h = len(parameters), bound.clusters, len(hidden)
    means, covariances = np.empty((draws, clusters, h)), np.empty((draws, clusters, h, h))
    for d in range(draws):
        _, _, means[d], covariances[d], _ = cluster_log_likelihood_at(
            parameters[d], sampled[d], inputs
        )
    first = np.empty((draws, clusters, q))
    first[..., :nz] = bound.between_outcomes
    first[..., list(plan.rows)] = sampled
    noise = random.standard_normal((draws, clusters, h, 1))
    first[..., hidden] = means + (root(covariances) @ noise)[..., 0]
    n = len(structure.between.variables)
    if n == q:
        return first
    total, psi, mean = between_matrices(bound, plan, parameters, sampled)
    spread = total @ root(psi)
    deviation = (spread @ random.standard_normal((draws, clusters, n, 1)))[..., 0]
    covariance = total @ psi @ np.swapaxes(total, -1, -2)
    covariance = np.broadcast_to(covariance, (draws, covariance.shape[1], n, n))
    inner = np.linalg.pinv(covariance[..., :q, :q], rcond=1e-12, hermitian=True)
    off = first - mean[..., :q] - deviation[..., :q]
    rest = covariance[..., q:, :q] @ inner @ off[..., None]
    return np.concatenate([first, mean[..., q:] + deviation[..., q:] + rest[..., 0]], axis=-1)


def within_draws_given(
    bound: BoundModel,
    people: People,
    parameters: Array,
    between: Array,
    random: np.random.Generator,
) -> Array:
    """Draws (D, N, n) of all within variables; ``between`` (D, J, ·) from `between_draws_given`."""
    structure = bound.structure
    p, first = len(structure.outcomes), len(structure.between_outcomes)
    paths, psi, coefficients = structure.within.matrices(parameters)
    draws, n = psi.shape[0], psi.shape[-1]
    spread_root = root(psi)
    result = np.empty((draws, len(people.values), n))
    x = np.hstack([np.ones((len(people.values), 1)), people.values[:, p:]])
    for j in range(bound.clusters):
        members = np.flatnonzero(people.clusters == j)
        a, k = paths.copy(), coefficients.copy()
        for slope in structure.slopes:
            target = k if slope.kind == "covariate" else a
            target[:, slope.target, slope.source] += between[:, j, slope.row]
        total = np.linalg.inv(np.eye(n) - a)
        mean = x[members] @ np.swapaxes(total @ k, -1, -2)
        covariance = total @ psi @ np.swapaxes(total, -1, -2)
        gain = np.swapaxes(np.linalg.solve(covariance[:, :p, :p], covariance[:, :p, :]), -1, -2)
        noise = random.standard_normal((draws, len(members), n))
        deviation = noise @ np.swapaxes(total @ spread_root, -1, -2)
        own = people.values[members, :p] - between[:, j, None, first : first + p]
        off = own - mean[..., :p] - deviation[..., :p]
        result[:, members] = mean + deviation + off @ np.swapaxes(gain, -1, -2)
    return result
