"""Standardised parameters and R-squares, draw by draw.

A level's variables are standardised by the standard deviations that the model implies at that level,
covariates by those observed (Muthen & Muthen, Mplus User's Guide, chapter 18, STDYX). R-square is one
minus the residual variance over the implied variance of the variable at its level.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.moments import implied_moments
from bmsem.results.summary import endogenous
from bmsem.spec import Level, Parameter

Array = NDArray[np.float64]


def total_covariance(bound: BoundModel, level: Level, parameters: Array) -> tuple[list[str], Array]:
    """Implied covariance of all variables of a level, covariates included.

    Returns names and an array (..., n + k, n + k): modelled variables and factors, then covariates.
    """
    structure = bound.structure.level(level)
    implied = implied_moments(structure, parameters)
    names = [*structure.variables, *structure.covariates[1:]]
    slopes = implied.coefficients[..., 1:]
    moments = _covariate_moments(bound, level)
    n, k = len(structure.variables), len(structure.covariates) - 1
    total = np.empty((*parameters.shape[:-1], n + k, n + k))
    total[..., :n, :n] = implied.covariance + slopes @ moments @ np.swapaxes(slopes, -1, -2)
    total[..., :n, n:] = slopes @ moments
    total[..., n:, :n] = np.swapaxes(total[..., :n, n:], -1, -2)
    total[..., n:, n:] = moments
    return names, total


def _covariate_moments(bound: BoundModel, level: Level) -> Array:
    """Covariance of a level's covariates: pooled within clusters, or over clusters."""
    if level == "within":
        p = len(bound.structure.outcomes)
        pooled = bound.pooled
        return pooled.scatter[p:, p:] / max(pooled.freedom, 1.0)
    x = bound.between_covariates
    if not x.shape[1]:
        return np.zeros((0, 0))
    return np.atleast_2d(np.cov(x.T, ddof=0))


def standardized_draws(bound: BoundModel, parameters: Array) -> dict[Parameter, Array]:
    """STDYX draws of every row, by row; ``parameters`` are draws (chains, draws, P)."""
    found: dict[Parameter, Array] = {}
    for level in bound.spec.levels:
        names, total = total_covariance(bound, level, parameters)
        structure = bound.structure.level(level)
        paths, psi, coefficients = structure.matrices(parameters)
        at = {name: i for i, name in enumerate(names)}
        sd = np.sqrt(np.maximum(np.diagonal(total, axis1=-2, axis2=-1), 0.0))
        column = {name: i for i, name in enumerate(structure.covariates)}
        with np.errstate(divide="ignore", invalid="ignore"):
            for row in bound.spec.at(level):
                i = at[row.lhs]
                match row.op:
                    case "=~":
                        j = at[row.rhs]
                        value = paths[..., j, i] * sd[..., i] / sd[..., j]
                    case "~":
                        j = at[row.rhs]
                        raw = (
                            coefficients[..., i, column[row.rhs]]
                            if row.rhs in column
                            else paths[..., i, j]
                        )
                        value = raw * sd[..., j] / sd[..., i]
                    case "~1":
                        value = coefficients[..., i, 0] / sd[..., i]
                    case _ if row.is_variance:
                        value = psi[..., i, i] / total[..., i, i]
                    case _:
                        j = at[row.rhs]
                        value = psi[..., i, j] / np.sqrt(psi[..., i, i] * psi[..., j, j])
                found[row] = value
    return found


def r_square_draws(bound: BoundModel, parameters: Array) -> dict[tuple[Level, str], Array]:
    """R-square draws of every variable that something points at, by level and name."""
    found: dict[tuple[Level, str], Array] = {}
    for level in bound.spec.levels:
        names, total = total_covariance(bound, level, parameters)
        _, psi, _ = bound.structure.level(level).matrices(parameters)
        inner = endogenous(bound.spec, level)
        for i, name in enumerate(names[: psi.shape[-1]]):
            if name in inner:
                with np.errstate(divide="ignore", invalid="ignore"):
                    found[level, name] = 1.0 - psi[..., i, i] / total[..., i, i]
    return found


def implied_correlations(
    bound: BoundModel, level: Level, parameters: Array
) -> tuple[list[str], Array]:
    """Names, and the posterior medians of the implied correlations of observed variables."""
    names, total = total_covariance(bound, level, parameters)
    structure = bound.structure.level(level)
    keep = [*range(structure.observed), *range(len(structure.variables), len(names))]
    # A variable without a part at this level has no correlations there.
    flat = total.reshape(int(np.prod(total.shape[:-2])), *total.shape[-2:])
    variance = np.diagonal(flat, axis1=-2, axis2=-1)
    keep = [i for i in keep if np.median(variance[:, i]) > 0]
    sd = np.sqrt(variance[:, keep])
    correlations = flat[:, keep][:, :, keep] / (sd[:, :, None] * sd[:, None, :])
    return [names[i] for i in keep], np.median(correlations, axis=0)
