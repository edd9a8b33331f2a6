"""Cluster effects, between parts and factor scores given the data and the parameters.

All variables of a level are jointly normal with the data, eta ~ N(mu, Cov), d = F eta + error. A draw
from p(eta | d) is made from a draw (eta*, d*) of the joint distribution (Hoffman & Ribak 1991,
Astrophysical Journal 380, L5-L8, equation 3; "Matheron's rule"):

    eta = eta* + K (d - d*),    K = Cov F' Cov(d)^-1

which needs no square root of the conditional covariance, singular where an element of eta is observed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmsem.criteria.replicate import root
from bmsem.data import BoundModel
from bmsem.data.bind import People
from bmsem.likelihood.reduced import (
    cluster_residuals,
    cluster_rows,
    mean_covariances,
    reduced_form,
)
from bmsem.moments import implied_moments

Array = NDArray[np.float64]


def between_draws(bound: BoundModel, parameters: Array, random: np.random.Generator) -> Array:
    """Draws (D, J, n) of all variables of the between level given ``parameters`` (D, P).

    In the order of ``bound.structure.between.variables``: between-only outcomes (the data
    themselves), between parts, factors. Without levels J is the number of rows.
    """
    structure = bound.structure
    rows = cluster_rows(bound)
    reduced = reduced_form(bound, parameters)
    implied = implied_moments(structure.between, parameters)
    q, p = structure.between.observed, len(structure.outcomes)
    _, psi, _ = structure.between.matrices(parameters)
    gain = np.swapaxes(
        np.linalg.solve(
            mean_covariances(reduced, rows.distinct), implied.covariance[:, None, :q, :]
        ),
        -1,
        -2,
    )  # (D, G, n, q)
    draws, clusters, n = len(parameters), bound.clusters, psi.shape[-1]
    spread = np.swapaxes(implied.total @ root(psi), -1, -2)
    deviation = random.standard_normal((draws, clusters, n)) @ spread
    off = cluster_residuals(reduced, rows) - deviation[..., :q]
    if p:
        noise = random.standard_normal((draws, clusters, p))
        noise /= np.sqrt(rows.sizes)[:, None]
        off[..., q - p :] -= noise @ np.swapaxes(root(reduced.within_covariance), -1, -2)
    for g in range(len(rows.distinct)):
        members = rows.group == g
        deviation[:, members] += off[:, members] @ np.swapaxes(gain[:, g], -1, -2)
    covariates = np.hstack([np.ones((clusters, 1)), bound.between_covariates])
    return deviation + covariates @ np.swapaxes(implied.coefficients, -1, -2)


def within_draws(
    bound: BoundModel,
    people: People,
    parameters: Array,
    between: Array,
    random: np.random.Generator,
) -> Array:
    """Draws (D, N, n) of all variables of the within level.

    Parameters
    ----------
    parameters : (D, P)
    between : (D, J, n_between)
        From `between_draws` at the same parameters.

    Returns
    -------
    In the order of ``bound.structure.within.variables``: within parts (what a person's score is above
    the cluster's part), then factors.
    """
    structure = bound.structure
    p, first = len(structure.outcomes), len(structure.between_outcomes)
    implied = implied_moments(structure.within, parameters)
    _, psi, _ = structure.within.matrices(parameters)
    cluster_part = between[:, people.clusters, first : first + p]
    x = np.hstack([np.ones((len(people.values), 1)), people.values[:, p:]])
    mean = x @ np.swapaxes(implied.coefficients, -1, -2)
    gain = np.swapaxes(
        np.linalg.solve(implied.observed_covariance, implied.covariance[:, :p, :]), -1, -2
    )
    spread = np.swapaxes(implied.total @ root(psi), -1, -2)
    noise = random.standard_normal((len(parameters), len(people.values), psi.shape[-1]))
    deviation = noise @ spread
    off = people.values[:, :p] - cluster_part - mean[..., :p] - deviation[..., :p]
    return mean + deviation + off @ np.swapaxes(gain, -1, -2)
