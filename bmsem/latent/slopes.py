"""Cluster effects, varying slopes and scores where clusters or people differ in more than their size.

In models in which quantities were sampled, and where values are missing. What was integrated out is
drawn from its exact conditional distribution given parameters, data and sampled quantities: first the
cluster effects and slopes, from the posterior that the likelihood kernel computes, then the other
factors and what is missing given these, by conditional simulation (see `bmsem.latent.recover`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmsem.criteria.replicate import root
from bmsem.data import BoundModel
from bmsem.likelihood.cells import by_pattern
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
    people: Array | None = None,
) -> Array:
    """Draws (D, J, n) of all between variables at ``parameters`` (D, P) and ``sampled`` (D, J, m).

    ``people`` (D, n) is what was sampled of people. Missing between-only outcomes are drawn too.
    """
    inputs = cluster_inputs(bound)
    structure = bound.structure
    if people is None:
        people = np.empty((len(parameters), 0))
    nz, q = len(structure.between_outcomes), plan.size
    known = [*range(nz), *plan.rows]
    hidden = [r for r in range(q) if r not in known]
    draws, clusters, h = len(parameters), bound.clusters, len(hidden)
    means, covariances = np.empty((draws, clusters, h)), np.empty((draws, clusters, h, h))
    for d in range(draws):
        _, _, means[d], covariances[d], _ = cluster_log_likelihood_at(
            parameters[d], sampled[d], inputs, people[d]
        )
    first = np.empty((draws, clusters, q))
    first[..., :nz] = bound.between_outcomes
    first[..., list(plan.rows)] = sampled
    noise = random.standard_normal((draws, clusters, h, 1))
    first[..., hidden] = means + (root(covariances) @ noise)[..., 0]
    n = len(structure.between.variables)
    if n == q and not np.isnan(bound.between_outcomes).any():
        return first
    total, psi, mean = between_matrices(bound, plan, parameters, sampled)
    spread = total @ root(psi)
    deviation = (spread @ random.standard_normal((draws, clusters, n, 1)))[..., 0]
    covariance = total @ psi @ np.swapaxes(total, -1, -2)
    covariance = np.broadcast_to(covariance, (draws, covariance.shape[1], n, n))
    result = np.concatenate([first, np.empty((draws, clusters, n - q))], axis=-1)
    for members, seen in by_pattern(~np.isnan(bound.between_outcomes)):
        there = [r for r in range(q) if r >= nz or seen[r]]
        asked = [r for r in range(n) if r not in there]
        if not asked:
            continue
        # One matrix for all clusters, or one each.
        own = covariance[:, members] if covariance.shape[1] > 1 else covariance
        inner = np.linalg.pinv(own[..., there, :][..., there], rcond=1e-12, hermitian=True)
        free = mean[:, members] + deviation[:, members]
        off = first[:, members][..., there] - free[..., there]
        rest = own[..., asked, :][..., there] @ inner @ off[..., None]
        result[:, members[:, None], asked] = free[..., asked] + rest[..., 0]
    return result


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
    values : (N, ·) or (D, N, ·)
        (y, x) of people, nan where missing; with a leading axis if missing values were sampled.
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
    paths, psi, coefficients = level.matrices(parameters)
    draws, n = psi.shape[0], psi.shape[-1]
    spread_root = root(psi)
    values = values if values.ndim == 3 else values[None]
    result = np.empty((draws, values.shape[1], n))
    for members, seen in _portions(bound, plan, values[0, :, :p], clusters, draws * n * n):
        known = [*np.flatnonzero(seen), *plan.scores]
        own = values[:, members]
        x = np.concatenate([np.ones((*own.shape[:-1], 1)), own[..., p:]], axis=-1)
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
                number = own[..., p + m.source - 1]
            else:
                number = own[..., m.source]
                if m.part >= 0:
                    number = number - between[:, owner, plan.rows[m.part]]
            coefficient = parameters[:, m.parameter, None] if m.parameter >= 0 else m.fixed
            a[..., m.row, m.column] += coefficient * number
        total = np.linalg.inv(np.eye(n) - a)
        mean = (total @ k @ x[..., None])[..., 0]
        covariance = total @ psi[:, None] @ np.swapaxes(total, -1, -2)
        gain = np.swapaxes(
            np.linalg.solve(covariance[..., known, :][..., known], covariance[..., known, :]),
            -1, -2,
        )  # fmt: skip
        noise = random.standard_normal((draws, len(members), n, 1))
        deviation = ((total @ spread_root[:, None]) @ noise)[..., 0]
        data = np.broadcast_to(own[..., :p], (draws, len(members), p))
        if not single:
            data = data - between[:, clusters[members], first : first + p]
        data = data[..., seen]
        if plan.scores:
            data = np.concatenate([data, scores[:, members]], axis=-1)
        off = data - (mean + deviation)[..., known]
        result[:, members] = mean + deviation + (gain @ off[..., None])[..., 0]
    return result


def _portions(
    bound: BoundModel,
    plan: SampledQuantities,
    outcomes: Array,
    clusters: NDArray[np.intp],
    cost: int,
) -> list[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
    """People with one pattern and structure, as many as have room if each has one of its own."""
    found = []
    for people, seen in by_pattern(~np.isnan(outcomes)):
        order = people[np.argsort(clusters[people], kind="stable")]
        if plan.by_person or not bound.structure.slopes:
            pieces = np.array_split(order, max(1, cost * len(order) // 4_000_000))
        else:
            pieces = np.split(order, np.flatnonzero(np.diff(clusters[order])) + 1)
        found += [(piece, seen) for piece in pieces if len(piece)]
    return found
