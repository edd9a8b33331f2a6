"""Standardised parameters, R-squares and effect sizes, draw by draw.

A level's variables are standardised by the standard deviations that the model implies at that level,
covariates by those observed (Muthen & Muthen, Mplus User's Guide, chapter 18):

- STDYX: by the standard deviations of predictor and outcome;
- STDY: by that of the outcome only, for binary predictors;
- STD: by those of factors only.

R-square is one minus the residual variance over the implied variance of the variable at its level.
Cohen's d of a path is the coefficient over the residual standard deviation of the outcome at that level,
for a 0/1 predictor the difference of means in those units (Jaccard, *Group Administered Interventions
and Cluster Designs*, the perceived-advantages example after Table 25.2).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bmsem.criteria.level_moments import LevelMoments, covariate_means, covariate_moments
from bmsem.data import BoundModel
from bmsem.latent import average_between_moments, average_people_moments
from bmsem.moments import implied_moments
from bmsem.results.summary import endogenous
from bmsem.spec import Level, Parameter

Array = NDArray[np.float64]
Standardization = Literal["stdyx", "stdy", "std"]


def total_moments(
    bound: BoundModel, level: Level, parameters: Array, sampled: Array | None = None
) -> LevelMoments:
    """Implied moments of all variables of a level: modelled ones, factors, then covariates.

    With varying slopes or products on average over clusters (`bmsem.latent.moments`); ``sampled``
    are the draws of what had to be sampled.
    """
    if sampled is not None:
        return _average_moments(bound, level, parameters, sampled)
    structure = bound.structure.level(level)
    implied = implied_moments(structure, parameters)
    names = (*structure.variables, *structure.covariates[1:])
    slopes = implied.coefficients[..., 1:]
    moments, means = covariate_moments(bound, level), covariate_means(bound, level)
    n, k = len(structure.variables), len(structure.covariates) - 1
    total = np.empty((*parameters.shape[:-1], n + k, n + k))
    total[..., :n, :n] = implied.covariance + slopes @ moments @ np.swapaxes(slopes, -1, -2)
    total[..., :n, n:] = slopes @ moments
    total[..., n:, :n] = np.swapaxes(total[..., :n, n:], -1, -2)
    total[..., n:, n:] = moments
    mean = np.empty((*parameters.shape[:-1], n + k))
    mean[..., :n] = implied.coefficients[..., 0]
    if level != "within":
        # A within covariate's mean counts between clusters, as in `level_moments`.
        mean[..., :n] += slopes @ means
        mean[..., structure.observed - len(bound.structure.outcomes) : structure.observed] += (
            _within_part_of_mean(bound, parameters)
        )
    else:
        # The constant of an outcome with both parts was counted between clusters.
        only = [name in bound.spec.within_only for name in names[: structure.observed]]
        mean[..., : structure.observed] += slopes[..., : structure.observed, :] @ means
        mean[..., : structure.observed] *= only
    mean[..., n:] = means
    return LevelMoments(names, mean, total)


def _average_moments(
    bound: BoundModel, level: Level, parameters: Array, sampled: Array
) -> LevelMoments:
    lead = parameters.shape[:-1]
    flat = parameters.reshape(-1, parameters.shape[-1])
    plan = bound.plan
    if level is None:
        found = average_people_moments(bound, level, flat, None)
    else:
        found = average_between_moments(
            bound, plan, flat, sampled.reshape(len(flat), *sampled.shape[-2:])
        )
    if level == "within":
        found = average_people_moments(bound, level, flat, found)
    m = len(found.names)
    return LevelMoments(
        found.names, found.mean.reshape(*lead, m), found.covariance.reshape(*lead, m, m)
    )


def _within_part_of_mean(bound: BoundModel, parameters: Array) -> Array:
    if not bound.structure.outcomes:
        return np.zeros((*parameters.shape[:-1], 0))
    within = implied_moments(bound.structure.within, parameters).observed_coefficients
    return within[..., 0] + within[..., 1:] @ covariate_means(bound, "within")


def standardized_draws(
    bound: BoundModel,
    parameters: Array,
    how: Standardization = "stdyx",
    sampled: Array | None = None,
) -> dict[Parameter, Array]:
    """Standardised draws of every row, by row; ``parameters`` are draws (chains, draws, P)."""
    found: dict[Parameter, Array] = {}
    for level in bound.spec.levels:
        moments = total_moments(bound, level, parameters, sampled)
        names, total = moments.names, moments.covariance
        structure = bound.structure.level(level)
        paths, psi, coefficients = structure.matrices(parameters)
        at = {name: i for i, name in enumerate(names)}
        sd = np.sqrt(np.maximum(np.diagonal(total, axis1=-2, axis2=-1), 0.0))
        latent = set(structure.variables[structure.observed :])
        column = {name: i for i, name in enumerate(structure.covariates)}
        products = {i.name: (i.left, i.right) for i in bound.spec.interactions if i.level == level}

        def scale(name: str, role: str, sd=sd, at=at, latent=latent) -> Array:
            """Standard deviation to standardise by, one where this kind of standardising has none."""
            used = {
                "stdyx": True,
                "stdy": role == "outcome" or name in latent,
                "std": name in latent,
            }[how]
            return sd[..., at[name]] if used else np.ones(sd.shape[:-1])

        with np.errstate(divide="ignore", invalid="ignore"):
            for row in bound.spec.at(level):
                i = at[row.lhs]
                match row.op:
                    case "=~":
                        value = paths[..., at[row.rhs], i]
                        value = value * scale(row.lhs, "factor") / scale(row.rhs, "outcome")
                    case "~" if row.rhs in products:
                        # By the product of the parts' standard deviations (Asparouhov & Muthen
                        # 2021, Structural Equation Modeling 28, 314-328).
                        parts = products[row.rhs]
                        value = _coefficient(row, bound, parameters)
                        for name in parts:
                            value = value * scale(name, "predictor")
                        value = value / scale(row.lhs, "outcome")
                    case "~":
                        value = (
                            coefficients[..., i, column[row.rhs]]
                            if row.rhs in column
                            else paths[..., i, at[row.rhs]]
                        )
                        value = value * scale(row.rhs, "predictor") / scale(row.lhs, "outcome")
                    case "~1":
                        value = coefficients[..., i, 0] / scale(row.lhs, "outcome")
                    case _ if row.is_variance:
                        value = psi[..., i, i] / scale(row.lhs, "outcome") ** 2
                    case _:
                        j = at[row.rhs]
                        value = psi[..., i, j]
                        if how == "std":
                            value = value / (
                                _residual(psi, i, row.lhs, latent)
                                * _residual(psi, j, row.rhs, latent)
                            )
                        else:
                            value = value / np.sqrt(psi[..., i, i] * psi[..., j, j])
                found[row] = value
    return found


def _coefficient(row: Parameter, bound: BoundModel, parameters: Array) -> Array:
    """Draws of a row's own value."""
    if row.fixed is not None:
        return np.full(parameters.shape[:-1], row.fixed)
    position = next(p.index for p in bound.structure.parameters for r in p.rows if r.key == row.key)
    return parameters[..., position]


def _residual(psi: Array, i: int, name: str, latent: set[str]) -> Array:
    """Residual standard deviation of a factor; one for an observed variable."""
    return np.sqrt(psi[..., i, i]) if name in latent else np.ones(psi.shape[:-2])


def r_square_draws(
    bound: BoundModel, parameters: Array, sampled: Array | None = None
) -> dict[tuple[Level, str], Array]:
    """R-square draws of every variable that something points at, by level and name."""
    found: dict[tuple[Level, str], Array] = {}
    for level in bound.spec.levels:
        moments = total_moments(bound, level, parameters, sampled)
        total = moments.covariance
        _, psi, _ = bound.structure.level(level).matrices(parameters)
        inner = endogenous(bound.spec.without_auxiliary, level)
        for i, name in enumerate(moments.names[: psi.shape[-1]]):
            if name in inner:
                with np.errstate(divide="ignore", invalid="ignore"):
                    found[level, name] = 1.0 - psi[..., i, i] / total[..., i, i]
    return found


def cohens_d_draws(
    bound: BoundModel, parameters: Array, sampled: Array | None = None
) -> dict[Parameter, tuple[Array, Array]]:
    """Cohen's d of every path, by row: against the residual SD of its level, and the total SD.

    The total SD is that of a person, within and between variance together: the d that an analysis
    of individuals would report. For a between-only outcome it is the between SD.
    """
    found: dict[Parameter, tuple[Array, Array]] = {}
    variance: dict[Level, dict[str, Array]] = {}
    for level in bound.spec.levels:
        moments = total_moments(bound, level, parameters, sampled)
        diagonal = np.diagonal(moments.covariance, axis1=-2, axis2=-1)
        variance[level] = {n: diagonal[..., i] for i, n in enumerate(moments.names)}
    for level in bound.spec.levels:
        structure = bound.structure.level(level)
        paths, psi, coefficients = structure.matrices(parameters)
        names, columns = structure.variables, structure.covariates
        products = {i.name for i in bound.spec.interactions if i.level == level}
        for row in bound.spec.without_auxiliary.at(level, "~"):
            if row.rhs in products:
                continue
            i = names.index(row.lhs)
            value = (
                coefficients[..., i, columns.index(row.rhs)]
                if row.rhs in columns
                else paths[..., i, names.index(row.rhs)]
            )
            total = sum(v[row.lhs] for v in variance.values() if row.lhs in v)
            with np.errstate(divide="ignore", invalid="ignore"):
                found[row] = (value / np.sqrt(psi[..., i, i]), value / np.sqrt(total))
    return found


def implied_correlations(
    bound: BoundModel, level: Level, parameters: Array, sampled: Array | None = None
) -> tuple[list[str], Array]:
    """Names, and the posterior medians of the implied correlations of observed variables."""
    flat = parameters.reshape(-1, parameters.shape[-1])
    if sampled is not None:
        sampled = sampled.reshape(len(flat), *sampled.shape[-2:])
    moments = total_moments(bound, level, flat, sampled)
    structure = bound.structure.level(level)
    keep = [*range(structure.observed), *range(len(structure.variables), len(moments.names))]
    # A variable without a part at this level has no correlations there.
    variance = np.diagonal(moments.covariance, axis1=-2, axis2=-1)
    kept = moments.keep([i for i in keep if np.median(variance[:, i]) > 0])
    return list(kept.names), np.median(kept.correlation, axis=0)
