"""Implied moments of levels whose covariances differ between clusters, on average over clusters.

Between clusters, by the law of total covariance over the clusters j (given what products multiply with):

    Cov = mean_j Cov_j + Cov_j(mean_j)

Within clusters a varying slope s on x adds Var(s) Var(x) to the residual variance of its outcome,
and Cov(s, r) Cov(x, z) for two slopes, beside the part that the mean slope explains. A product of two
variables of people adds what products of deviations vary by if the variables are normal (Kenny & Judd
1984, Psychological Bulletin 96, 201-210, equation 5; Isserlis 1918, Biometrika 12, 134-139),

    Cov(l r, g h) = Cov(l, g) Cov(r, h) + Cov(l, h) Cov(r, g),

and is not correlated with the variables themselves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmsem.criteria.level_moments import LevelMoments, covariate_means, covariate_moments
from bmsem.data import BoundModel
from bmsem.latent.slopes import between_matrices
from bmsem.spec import Level
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


def average_people_moments(
    bound: BoundModel, level: Level, parameters: Array, between: LevelMoments | None
) -> LevelMoments:
    """Moments (D, ·) of all variables and covariates of people's level.

    ``between`` are those of the between level; ``None`` without levels.
    """
    structure = bound.structure
    own = structure.within if level == "within" else structure.between
    paths, psi, coefficients = own.matrices(parameters)
    slopes = structure.slopes
    products = [p for p in structure.products if p.level == level]
    n, draws = len(own.variables), len(parameters)
    x, x_mean = covariate_moments(bound, level), covariate_means(bound, level)
    k = len(x_mean)
    if between is not None:
        for slope in slopes:
            target = coefficients if slope.kind == "covariate" else paths
            target[:, slope.target, slope.source] += between.mean[:, slope.row]
    names = (*own.variables, *own.covariates[1:])
    has_mean = np.ones(n)
    if level == "within":
        # The constant of an outcome with both parts was counted between clusters.
        has_mean[: own.observed] = [
            name in bound.spec.within_only for name in names[: own.observed]
        ]
    place = [n + s.source - 1 if s.kind == "covariate" else s.source for s in slopes]
    factors = [(names.index(p.left), names.index(p.right)) for p in products]
    size = [
        parameters[:, p.parameter] if p.parameter >= 0 else np.full(draws, p.fixed)
        for p in products
    ]
    total = np.zeros((draws, n + k, n + k))
    mean = np.zeros((draws, n + k))
    mean[:, n:] = x_mean
    extra = np.zeros_like(psi)
    # What is multiplied may depend on another product: each round settles one more of a chain.
    for _ in range(len(slopes) + len(products) + 1):
        a, c = paths.copy(), coefficients.copy()
        for p, (i, j), b in zip(products, factors, size, strict=True):
            # l r = E[l] r + E[r] l - E[l] E[r] + (l - E[l]) (r - E[r])
            for here, other in ((i, j), (j, i)):
                if here < n:
                    a[:, p.target, here] += b * mean[:, other]
                else:
                    c[:, p.target, here - n + 1] += b * mean[:, other]
            c[:, p.target, 0] += b * (total[:, i, j] - mean[:, i] * mean[:, j])
        inverse = np.linalg.inv(np.eye(n) - a)
        reduced = inverse @ c
        loaded = reduced[..., 1:]
        total[:, :n, :n] = inverse @ (psi + extra) @ np.swapaxes(inverse, -1, -2)
        total[:, :n, :n] += loaded @ x @ np.swapaxes(loaded, -1, -2)
        total[:, :n, n:] = loaded @ x
        total[:, n:, :n] = np.swapaxes(total[:, :n, n:], -1, -2)
        total[:, n:, n:] = x
        mean[:, :n] = (reduced[..., 0] + loaded @ x_mean) * has_mean
        extra[:] = 0.0
        if between is not None:
            for i, first in enumerate(slopes):
                for j, second in enumerate(slopes):
                    spread = between.covariance[:, first.row, second.row]
                    extra[:, first.target, second.target] += spread * total[:, place[i], place[j]]
        for p, (i, j), b in zip(products, factors, size, strict=True):
            for q, (g, h), d in zip(products, factors, size, strict=True):
                spread = total[:, i, g] * total[:, j, h] + total[:, i, h] * total[:, j, g]
                extra[:, p.target, q.target] += b * d * spread
    return LevelMoments(names, mean, total)
