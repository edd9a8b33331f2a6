"""Bayesian counterparts of RMSEA, gamma-hat, CFI and TLI, draw by draw.

With D the chi-square of `bmsem.criteria.discrepancy` at a draw, p* the number of moments (the
unrestricted model's parameters) and p_D = mean(D) - D(posterior mean), the "DevM" indices of
Garnier-Villarreal & Jorgensen (2020, Psychological Methods 25, 46-70; Hoofs, van de Schoot, Jansen
& Kant 2018, Educational and Psychological Measurement 78, 537-568, for the RMSEA) take D - p_D as
the chi-square and p* - p_D as its degrees of freedom:

    noncentrality = max(0, D - p*)          BRMSEA    = sqrt(noncentrality / (n (p* - p_D)))
    BGammaHat = m / (m + 2 noncentrality / n)
    BCFI = 1 - noncentrality / noncentrality_0
    BTLI = [ (D_0 - p_D0) / (p* - p_D0) - (D - p_D) / (p* - p_D) ] / [ (D_0 - p_D0) / (p* - p_D0) - 1 ]

m variables, 0 the null model of uncorrelated outcomes. Covariates are conditioned on: coefficients
on them count among the moments, and the null model has none. n is the number of rows N overall, N -
J within and J between clusters, which is what a level's covariance matrix is estimated from (Ryu &
West 2009, Structural Equation Modeling 16, 583-601).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Fewer degrees of freedom than this are those of a saturated part, whose p_D is p* but for noise.
MIN_FREEDOM = 0.5
INDICES = ("BRMSEA", "BGammaHat", "BCFI", "BTLI")


@dataclass(frozen=True)
class ChiSquare:
    """What the indices of one part of a model are made of: D at each draw, p_D, p*, m and n."""

    draws: Array
    p_d: float
    moments: int
    variables: int
    n: float


def fit_indices(model: ChiSquare, null: ChiSquare | None) -> dict[str, Array]:
    """Draws of each index; nan where one is not defined (p* - p_D not positive)."""
    freedom = model.moments - model.p_d
    if freedom < MIN_FREEDOM:
        freedom = 0.0
    noncentral = np.maximum(0.0, model.draws - model.moments)
    nan = np.full(model.draws.shape, np.nan)
    if freedom <= 0.0:
        # As many effective parameters as moments: nothing is left that could misfit.
        found = dict.fromkeys(INDICES, nan)
        found["BGammaHat"] = model.variables / (model.variables + 2.0 * noncentral / model.n)
        return found
    found = {
        "BRMSEA": np.sqrt(noncentral / (freedom * model.n)),
        "BGammaHat": model.variables / (model.variables + 2.0 * noncentral / model.n),
        "BCFI": nan,
        "BTLI": nan,
    }
    if null is not None and null.moments - null.p_d > 0.0:
        # Draws of the two are independent; evenly spaced ones take every chain in.
        size = min(len(model.draws), len(null.draws))
        places = np.linspace(0, len(model.draws) - 1, size).round().astype(int)
        others = np.linspace(0, len(null.draws) - 1, size).round().astype(int)
        d, d0 = model.draws[places], null.draws[others]
        noncentral = noncentral[places]
        n0 = np.maximum(0.0, d0 - null.moments)
        ratio = (d - model.p_d) / freedom
        ratio0 = (d0 - null.p_d) / (null.moments - null.p_d)
        with np.errstate(divide="ignore", invalid="ignore"):
            found["BCFI"] = np.where(n0 > 0.0, 1.0 - noncentral / n0, np.nan)
            found["BTLI"] = np.where(ratio0 > 1.0, (ratio0 - ratio) / (ratio0 - 1.0), np.nan)
    return found
