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
    scores: Array | None = None,
) -> Array:
    """Draws (D, J, n) of all between variables at ``parameters`` (D, P) and ``sampled`` (D, J, m).

    ``scores`` (D, N, f) are of people cluster after cluster, as they were sampled.
    """
    inputs = cluster_inputs(bound)
    structure = bound.structure
    if scores is None:
        scores = np.empty((len(parameters), 0, 0))
    nz, q = len(structure.between_outcomes), plan.size
    known = [*range(nz), *plan.rows]
    hidden = [r for r in range(q) if r not in known]
    draws, clusters, h = len(parameters), bound.clusters, len(hidden)
    means, covariances = np.empty((draws, clusters, h)), np.empty((draws, clusters, h, h))
    for d in range(draws):
        _, _, means[d], covariances[d], _ = cluster_log_likelihood_at(
            parameters[d], sampled[d], inputs, scores[d]
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


def people_draws_given(
    bound: BoundModel,
    plan: SampledQuantities,
    values: Array,
    clusters: NDArray[np.intp],
    parameters: Array,
    between: Array,
    scores: Array,
    random: np.random.Generator,
) -> Array:
    """Draws (D, N, n) of all variables of people's level.

    Parameters
    ----------
    values : (N, ·)
        (y, x) of people.
    clusters : (N,)
    parameters : (D, P)
    between : (D, J, ·)
        From `between_draws_given` at the same parameters; not used without levels.
    scores : (D, N, f)
        What was sampled person by person, in the order of ``values``; it comes back as it is.
    """
    structure = bound.structure
    single = not bound.spec.multilevel
    level = structure.between if single else structure.within
    p = level.observed
    first = 0 if single else len(structure.between_outcomes)
    known = [*range(p), *plan.scores]
    paths, psi, coefficients = level.matrices(parameters)
    draws, n = psi.shape[0], psi.shape[-1]
    spread_root = root(psi)
    result = np.empty((draws, len(values), n))
    x = np.hstack([np.ones((len(values), 1)), values[:, p:]])
    order = np.argsort(clusters, kind="stable")
    # One cluster at a time, or so many people as have room if each has a structure of its own.
    if plan.by_person:
        portions = np.array_split(order, max(1, draws * len(order) * n * n // 4_000_000))
    else:
        portions = np.split(order, np.flatnonzero(np.diff(clusters[order])) + 1)
    for members in portions:
        owner = clusters[members] if plan.by_person else clusters[members[:1]]
        lead = (draws, len(owner), n)
        a = np.broadcast_to(paths[:, None], (*lead, n)).copy()
        k = np.broadcast_to(coefficients[:, None], (*lead, coefficients.shape[-1])).copy()
        for slope in structure.slopes:
            target = k if slope.kind == "covariate" else a
            target[..., slope.target, slope.source] += between[:, owner, slope.row]
        for m in plan.modulations:
            if not m.member:
                continue
            if m.member == "score":
                number = scores[:, members, m.source]
            elif m.member == "covariate":
                number = values[members, p + m.source - 1]
            else:
                number = values[members, m.source]
                if m.part >= 0:
                    number = number - between[:, owner, plan.rows[m.part]]
            coefficient = parameters[:, m.parameter, None] if m.parameter >= 0 else m.fixed
            a[..., m.row, m.column] += coefficient * number
        total = np.linalg.inv(np.eye(n) - a)
        mean = (total @ k @ x[members, :, None])[..., 0]
        covariance = total @ psi[:, None] @ np.swapaxes(total, -1, -2)
        gain = np.swapaxes(
            np.linalg.solve(covariance[..., known, :][..., known], covariance[..., known, :]),
            -1, -2,
        )  # fmt: skip
        noise = random.standard_normal((draws, len(members), n, 1))
        deviation = ((total @ spread_root[:, None]) @ noise)[..., 0]
        own = np.broadcast_to(values[members, :p], (draws, len(members), p))
        if not single:
            own = own - between[:, clusters[members], first : first + p]
        if plan.scores:
            own = np.concatenate([own, scores[:, members]], axis=-1)
        off = own - (mean + deviation)[..., known]
        result[:, members] = mean + deviation + (gain @ off[..., None])[..., 0]
    return result
