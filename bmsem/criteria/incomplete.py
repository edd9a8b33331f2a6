"""Predictive checks and chi-squares where values are missing.

Data are replicated person by person, with the data's covariates, cluster sizes and pattern of missing
values, and the unrestricted model is fitted to what is left of each replicate. The chi-square is that of
`bmsem.criteria.discrepancy`, of the observed values (Asparouhov & Muthen 2010, *Bayesian analysis using
Mplus: Technical implementation*, section 5; for one level, Ryu & West 2009, Structural Equation Modeling
16, 583-601).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bmsem.criteria.discrepancy import Discrepancies
from bmsem.criteria.level_moments import LevelMoments, level_moments
from bmsem.criteria.replicate import root
from bmsem.data import BoundModel
from bmsem.likelihood.reduced import ReducedForm
from bmsem.likelihood.saturated import Saturated
from bmsem.moments import implied_moments
from bmsem.spec import Level

Array = NDArray[np.float64]


def replicated_rows(
    bound: BoundModel, parameters: Array, random: np.random.Generator
) -> Iterator[tuple[Array, Array]]:
    """(y, x) of replicated people (N, d), and z (J, nz), at each draw (D, P), nothing missing.

    Without levels (z, x) of the rows, twice.
    """
    structure = bound.structure
    within, between = (
        implied_moments(s, parameters) for s in (structure.within, structure.between)
    )
    clusters, q = bound.clusters, between.observed
    x_between = np.hstack([np.ones((clusters, 1)), bound.between_covariates])
    roots = root(between.observed_covariance)
    if bound.spec.multilevel:
        assert bound.people is not None
        p, own = len(structure.outcomes), bound.people
        x_within = np.hstack([np.ones((len(own.values), 1)), own.values[:, p:]])
        inner = root(within.observed_covariance)
    for d in range(len(parameters)):
        means = x_between @ between.observed_coefficients[d].T
        effects = means + random.standard_normal((clusters, q)) @ roots[d].T
        if not bound.spec.multilevel:
            yield np.hstack([effects, bound.between_covariates]), effects
            continue
        y = effects[own.clusters, q - p :] + x_within @ within.observed_coefficients[d].T
        y += random.standard_normal(y.shape) @ inner[d].T
        yield np.hstack([y, own.values[:, p:]]), effects[:, : q - p]


def discrepancies_at(
    saturated: Saturated, data: Array, maximum: float, implied: Array, *, levels: bool
) -> tuple[float, float, float]:
    """D(y, theta) overall, within, and between; the latter nan without ``levels``.

    ``implied`` (P,) are the parameters of the unrestricted model that theta implies.
    """
    overall = 2.0 * (maximum - saturated.log_likelihood(implied, data))
    if not levels:
        return overall, np.nan, np.nan
    # This level's parameters at theta, those of the other at their best.
    free_between = saturated.maximise(implied, data, "between")[0]
    free_within = saturated.maximise(implied, data, "within")[0]
    return overall, 2.0 * (maximum - free_between), 2.0 * (maximum - free_within)


def collected(found: list[tuple[float, float, float]], levels: bool) -> Discrepancies:
    """Chi-squares of several draws."""
    values = np.array(found).reshape(-1, 3)
    if not levels:
        return Discrepancies(values[:, 0], None, None)
    return Discrepancies(values[:, 0], values[:, 1], values[:, 2])


def has_levels(bound: BoundModel) -> bool:
    """Whether chi-squares by level are defined: a variable has parts at both."""
    only = set(bound.spec.within_only)
    return bound.spec.multilevel and any(n not in only for n in bound.structure.outcomes)


def observed_discrepancies(
    bound: BoundModel, saturated: Saturated, parameters: Array
) -> Discrepancies:
    """D(y, theta) of the data at draws (D, P)."""
    levels = has_levels(bound)
    data = saturated.inputs.data
    found = [
        discrepancies_at(saturated, data, saturated.value, point, levels=levels)
        for point in saturated.implied(parameters)
    ]
    return collected(found, levels)


def compared(
    bound: BoundModel, saturated: Saturated, parameters: Array, random: np.random.Generator
) -> tuple[Discrepancies, Discrepancies, dict[Level, LevelMoments]]:
    """D of the data and of a replicate at each draw (D, P), and the replicates' moments by level."""
    levels = has_levels(bound)
    implied = saturated.implied(parameters)
    mine, theirs, points = [], [], []
    rows = replicated_rows(bound, parameters, random)
    for point, (people, between) in zip(implied, rows, strict=True):
        data = saturated.data_of(people, between)
        mine.append(
            discrepancies_at(
                saturated, saturated.inputs.data, saturated.value, point, levels=levels
            )
        )
        best, where = saturated.maximise(point, data)
        theirs.append(discrepancies_at(saturated, data, best, point, levels=levels))
        points.append(where)
    reduced = saturated.reduced(np.array(points))
    return (
        collected(mine, levels),
        collected(theirs, levels),
        moments_by_level(bound, reduced),
    )


def moments_by_level(bound: BoundModel, reduced: ReducedForm) -> dict[Level, LevelMoments]:
    """Moments of the observed variables of each level."""
    return {level: level_moments(bound, level, reduced) for level in bound.spec.levels}
