"""Implied moments of levels whose covariances differ between clusters, on average over clusters.

Between clusters, by the law of total covariance over the clusters j (given what products multiply with):

    Cov = mean_j Cov_j + Cov_j(mean_j)

Within clusters a varying slope s on x adds Var(s) Var(x) to the residual variance of its outcome,
and Cov(s, r) Cov(x, z) for two slopes, beside the part that the mean slope explains.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmsem.criteria.level_moments import LevelMoments, covariate_means, covariate_moments
from bmsem.data import BoundModel
from bmsem.latent.slopes import between_matrices
from bmsem.structure.sampled import SampledQuantities

Array = NDArray[np.float64]

_PORTION = 4_000_000


def average_between_moments(
    bound: BoundModel, plan: SampledQuantities, parameters: Array, sampled: Array
) -> LevelMoments:
    """Moments (D, ·) of all between variables and covariates; draws (D, P), sampled (D, J, m)."""
    between = bound.structure.between
    n, x = len(between.variables), bound.between_covariates
    k = x.shape[1]
    products = sorted(
        {m.sampled for m in plan.modulations if m.level != "within" and m.sampled >= 0}
    )
    rows = [plan.rows[i] for i in products]
    draws = len(parameters)
    mean, covariance = np.empty((draws, n + k)), np.empty((draws, n + k, n + k))
    size = max(1, _PORTION // (bound.clusters * n * n))
    for start in range(0, draws, size):
        part = slice(start, start + size)
        total, psi, centre = between_matrices(bound, plan, parameters[part], sampled[part])
        own = total @ psi @ np.swapaxes(total, -1, -2)
        if rows:
            # Given what is multiplied: the rest varies about its mean given these.
            gain = np.linalg.solve(own[..., rows, :][..., rows], own[..., rows, :])
            off = sampled[part][..., products] - centre[..., rows]
            centre = centre + (np.swapaxes(gain, -1, -2) @ off[..., None])[..., 0]
            own = own - np.swapaxes(own[..., rows, :], -1, -2) @ gain
        both = np.concatenate([centre, np.broadcast_to(x, (*centre.shape[:-1], k))], axis=-1)
        mean[part] = both.mean(axis=1)
        off = both - mean[part][:, None]
        covariance[part] = np.swapaxes(off, -1, -2) @ off / bound.clusters
        covariance[part, :n, :n] += own.mean(axis=1)
    names = (*between.variables, *between.covariates[1:])
    return LevelMoments(names, mean, covariance)


def average_within_moments(
    bound: BoundModel, parameters: Array, between: LevelMoments
) -> LevelMoments:
    """Moments (D, ·) of all within variables and covariates, given those of the between level."""
    structure = bound.structure
    within = structure.within
    paths, psi, coefficients = within.matrices(parameters)
    psi = psi.copy()
    slopes = structure.slopes
    n = len(within.variables)
    x, x_mean = covariate_moments(bound, "within"), covariate_means(bound, "within")
    k = len(x_mean)
    for slope in slopes:
        target = coefficients if slope.kind == "covariate" else paths
        target[:, slope.target, slope.source] += between.mean[:, slope.row]
    inverse = np.linalg.inv(np.eye(n) - paths)
    reduced = inverse @ coefficients
    loaded = reduced[..., 1:]
    place = [n + s.source - 1 if s.kind == "covariate" else s.source for s in slopes]
    total = np.empty((len(parameters), n + k, n + k))
    extra = np.zeros_like(psi)
    # A slope's predictor may be the outcome of another: each round settles one more of a chain.
    for _ in range(len(slopes) + 1):
        total[:, :n, :n] = inverse @ (psi + extra) @ np.swapaxes(inverse, -1, -2)
        total[:, :n, :n] += loaded @ x @ np.swapaxes(loaded, -1, -2)
        total[:, :n, n:] = loaded @ x
        total[:, n:, :n] = np.swapaxes(total[:, :n, n:], -1, -2)
        total[:, n:, n:] = x
        extra[:] = 0.0
        for a, first in enumerate(slopes):
            for b, second in enumerate(slopes):
                spread = between.covariance[:, first.row, second.row]
                extra[:, first.target, second.target] += spread * total[:, place[a], place[b]]
    mean = np.zeros((len(parameters), n + k))
    only = [name in bound.spec.within_only for name in within.variables[: within.observed]]
    own = reduced[..., : within.observed, 0] + loaded[..., : within.observed, :] @ x_mean
    mean[:, : within.observed] = own * only
    mean[:, n:] = x_mean
    return LevelMoments((*within.variables, *within.covariates[1:]), mean, total)
