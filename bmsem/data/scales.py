"""Means and standard deviations by level: what weak priors and starting values are scaled by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmsem.data.statistics import ObservedMoments
from bmsem.spec import Level, ModelSpec
from bmsem.structure import Structure

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scales:
    """Standard deviations and means of observed variables and factors, by level.

    A factor's standard deviation is taken to be that of the indicator that gives it its unit.

    Attributes
    ----------
    sd, mean
        At the level.
    spread
        Standard deviation over people: at the between level that of both parts together, which a few
        clusters tell well, where their own standard deviation is mostly noise.
    """

    sd: dict[tuple[Level, str], float]
    mean: dict[tuple[Level, str], float]
    spread: dict[tuple[Level, str], float]


def data_scales(
    spec: ModelSpec, structure: Structure, moments: ObservedMoments | None, z: Array, x: Array
) -> Scales:
    """Scales from the statistics of the bound data.

    The between variance of a split variable is the moment estimate var(ybar) - Sw mean(1/n_j)
    (Snijders & Bosker 2012, equation 3.11), but no less than a hundredth of the total: a negative
    estimate must not make a prior of width zero.
    """
    sd: dict[tuple[Level, str], float] = {}
    spread: dict[tuple[Level, str], float] = {}
    mean: dict[tuple[Level, str], float] = {}
    top: Level = "between" if spec.multilevel else None
    for names, values in (
        (structure.between_outcomes, z),
        (structure.between_covariates, x),
    ):
        for i, name in enumerate(names):
            known = values[~np.isnan(values[:, i]), i]
            sd[top, name] = float(known.std(ddof=1))
            mean[top, name] = float(known.mean())
    if moments is not None:
        means, within, n = moments.means, moments.within, moments.counts
        observed = np.nanvar(means, axis=0, ddof=1)
        share = np.array([np.mean(1.0 / c[c > 0]) for c in n.T])
        between = np.maximum(observed - within * share, 0.01 * (within + observed))
        total = np.nansum(n * means, axis=0) / n.sum(axis=0)
        for i, name in enumerate((*structure.outcomes, *structure.within_covariates)):
            sd["within", name] = float(np.sqrt(within[i]))
            sd["between", name] = float(np.sqrt(between[i]))
            spread["between", name] = float(np.sqrt(within[i] + between[i]))
            mean["between", name] = float(total[i])
            mean["within", name] = mean["between", name] if name in spec.within_only else 0.0
    for slope in spec.slopes:
        # A varying slope is a path: half of what would make predictor and outcome equally spread.
        outcome = sd.get(("within", slope.outcome), 1.0)
        sd["between", slope.name] = 0.5 * outcome / sd.get(("within", slope.predictor), 1.0)
        mean["between", slope.name] = 0.0
        if slope.predictor in spec.within_only and ("between", slope.outcome) in sd:
            # The cluster's intercept is where the covariate is zero, far from the data perhaps: it
            # varies with the slope times the covariate's mean.
            there = mean.get(("within", slope.predictor), 0.0) * sd["between", slope.name]
            for scale in (sd, spread):
                own = scale["between", slope.outcome]
                scale["between", slope.outcome] = float(np.hypot(own, there))
    left = [place for place in spec.latent if place not in sd]
    while left:
        # A factor of factors takes its scale from theirs, in whatever order they were written.
        waiting = {(level, factor) for level, factor in left}
        ready = [
            (level, factor)
            for level, factor in left
            if not any((level, r.rhs) in waiting for r in spec.at(level, "=~") if r.lhs == factor)
        ]
        for level, factor in ready or left:
            sd[level, factor] = _factor_sd(spec, level, factor, sd)
            spread[level, factor] = _factor_sd(spec, level, factor, sd | spread)
            mean[level, factor] = 0.0
        left = [place for place in left if place not in ready] if ready else []
    return Scales(sd, mean, sd | spread)


def _factor_sd(
    spec: ModelSpec, level: Level, factor: str, sd: dict[tuple[Level, str], float]
) -> float:
    for row in spec.at(level, "~~"):
        if row.is_variance and row.lhs == factor and row.fixed:
            return float(np.sqrt(row.fixed))
    loadings = [r for r in spec.at(level, "=~") if r.lhs == factor and (level, r.rhs) in sd]
    for row in loadings:
        if row.fixed:
            return sd[level, row.rhs] / abs(row.fixed)
    return sd[level, loadings[0].rhs] if loadings else 1.0
