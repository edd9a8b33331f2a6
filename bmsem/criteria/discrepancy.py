"""The likelihood-ratio chi-square of a model against the unrestricted one, overall and by level.

    D(y, theta) = 2 [ max log L(unrestricted; y) - log L(theta; y) ]

(Scheines, Hoijtink & Boomsma 1999, Psychometrika 64, 37-52; Asparouhov & Muthen 2010, *Bayesian
analysis using Mplus: Technical implementation*, section 5). For one level, the other level is
unrestricted: its covariances and coefficients are those that maximise the likelihood given this level's
at theta (the partially saturated model of Ryu & West 2009, Structural Equation Modeling 16, 583-601).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bmsem.likelihood.canonical import (
    Canonical,
    Layout,
    RandomIntercepts,
    TwoLevelData,
    canonical,
    regression_log_likelihood,
    v_cross,
    y_data,
    z_cross,
)
from bmsem.likelihood.reduced import ReducedForm
from bmsem.likelihood.unrestricted import factor_log_likelihoods, maximise

Array = NDArray[np.float64]
Part = Literal["overall", "within", "between"]


@dataclass(frozen=True)
class Discrepancies:
    """D(y, theta) at each draw, (R,): overall and, in a model with levels, by level."""

    overall: Array
    within: Array | None
    between: Array | None

    def part(self, name: Part) -> Array | None:
        return {"overall": self.overall, "within": self.within, "between": self.between}[name]


def discrepancies(
    data: TwoLevelData,
    maximum: Array,
    reduced: ReducedForm,
    layout: Layout,
    *,
    levels: bool,
    tolerance: float = 1e-6,
) -> Discrepancies:
    """D at draws ``reduced`` (R,) for one data set or one a draw.

    ``maximum`` is the log-likelihood of the unrestricted model, (1,) or (R,).
    """
    parts = canonical(reduced, layout)
    at_z, at_v, at_y = factor_log_likelihoods(data, layout, parts)
    overall = 2.0 * (maximum - (at_z + at_v + at_y))
    if not (levels and len(layout.both)):
        return Discrepancies(overall, None, None)
    best_z = regression_log_likelihood(z_cross(data, layout), layout.z, data.clusters)
    best_v = regression_log_likelihood(v_cross(data, layout), len(layout.only), data.rows)
    if len(layout.only):
        data, parts = _centre_only(data, layout, parts)
    statistics = y_data(data, layout)
    free_within = maximise(statistics, free="within", fixed=parts.y, tolerance=tolerance).value
    free_between = maximise(statistics, free="between", fixed=parts.y, tolerance=tolerance).value
    return Discrepancies(
        overall,
        2.0 * (maximum - (best_z + at_v + free_between)),
        2.0 * (maximum - (at_z + best_v + free_within)),
    )


def _centre_only(
    data: TwoLevelData, layout: Layout, parts: Canonical
) -> tuple[TwoLevelData, Canonical]:
    """Within-only outcomes as residuals v - mu - B_v x at the draw.

    With them as regressors, the constants of the other outcomes do not change with the coefficients
    on v, and can be held while those are free.
    """
    coefficients = parts.v.coefficients
    draws = coefficients.shape[0]
    p, q = layout.outcomes, layout.z + layout.outcomes
    width = data.cross.shape[-1]
    last = q + 1 + layout.between_covariates
    xs = np.arange(layout.within_covariates)
    change = np.tile(np.eye(width), (draws, 1, 1))
    inner = np.tile(np.eye(data.scatter.shape[-1]), (draws, 1, 1))
    v = layout.z + layout.only
    change[:, v, q] -= coefficients[..., 0]
    change[(slice(None), *np.ix_(v, last + xs))] -= coefficients[..., 1:]
    inner[(slice(None), *np.ix_(layout.only, p + xs))] -= coefficients[..., 1:]
    cross = change[:, None] @ data.cross @ np.swapaxes(change, -1, -2)[:, None]
    scatter = inner @ data.scatter @ np.swapaxes(inner, -1, -2)
    y = parts.y
    c = y.slopes[..., layout.within_covariates :]
    gamma, slopes = y.gamma.copy(), y.slopes.copy()
    gamma[..., :1] += c @ coefficients[..., :1]
    slopes[..., : layout.within_covariates] += c @ coefficients[..., 1:]
    return (
        replace(data, scatter=scatter, cross=cross),
        replace(parts, y=RandomIntercepts(gamma, slopes, y.between, y.within)),
    )
