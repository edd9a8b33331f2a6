"""Means and covariances of the observed variables of a level, covariates included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.likelihood.reduced import ReducedForm
from bmsem.spec import Level

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LevelMoments:
    """Moments of one level, with any leading axes.

    ``mean`` (..., m) is of the cluster-level parts; within clusters it is zero, but for within-only
    variables. ``covariance`` is (..., m, m).
    """

    names: tuple[str, ...]
    mean: Array
    covariance: Array

    @property
    def correlation(self) -> Array:
        """Correlations (..., m, m); nan for a variable without variance."""
        variance = np.diagonal(self.covariance, axis1=-2, axis2=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            sd = np.sqrt(variance)
            return self.covariance / (sd[..., :, None] * sd[..., None, :])

    def keep(self, places: Sequence[int]) -> LevelMoments:
        """Some of the variables."""
        at = list(places)
        return LevelMoments(
            tuple(self.names[i] for i in at),
            self.mean[..., at],
            self.covariance[..., at, :][..., at],
        )

    @staticmethod
    def join(parts: Sequence[LevelMoments]) -> LevelMoments:
        """Stack along the first axis."""
        return LevelMoments(
            parts[0].names,
            np.concatenate([p.mean for p in parts]),
            np.concatenate([p.covariance for p in parts]),
        )


def covariate_moments(bound: BoundModel, level: Level) -> Array:
    """Covariance of a level's covariates: over people, or over clusters (divisors N and J).

    A within-only covariate has no between part: all that it varies is of the within level.
    """
    if level == "within":
        p = len(bound.structure.outcomes)
        if not bound.spec.multilevel:
            return np.zeros((0, 0))
        if bound.gaps is not None:
            # Covariates are complete, whatever is missing of the outcomes.
            assert bound.people is not None
            rows = bound.people.values[:, p:]
            return np.atleast_2d(np.cov(rows.T, ddof=0)) if rows.shape[1] else np.zeros((0, 0))
        assert bound.members is not None
        flat = bound.members.by_cluster()
        means, sizes = flat.means[:, 0, p:], flat.counts[:, 0]
        off = means - np.average(means, axis=0, weights=sizes)
        between = (off * sizes[:, None]).T @ off
        return (bound.pooled.scatter[p:, p:] + between) / sizes.sum()
    x = bound.between_covariates
    if not x.shape[1]:
        return np.zeros((0, 0))
    return np.atleast_2d(np.cov(x.T, ddof=0))


def covariate_means(bound: BoundModel, level: Level) -> Array:
    """Means of a level's covariates; of within-only ones the mean over clusters of their means."""
    shift = bound.shift
    q, k = bound.structure.between.observed, bound.between_covariates.shape[1]
    return shift[q + 1 + k :] if level == "within" else shift[q + 1 : q + 1 + k]


def level_moments(bound: BoundModel, level: Level, reduced: ReducedForm) -> LevelMoments:
    """Moments of a level's observed variables at a reduced form: modelled ones, then covariates."""
    structure = bound.structure
    shift = bound.shift
    x = covariate_moments(bound, level)
    first = len(structure.between_outcomes)
    only = [i for i, n in enumerate(structure.outcomes) if n in bound.spec.within_only]
    if level == "within":
        names = (*structure.outcomes, *structure.within_covariates)
        slopes, residual = reduced.within_coefficients, reduced.within_covariance
        mean = np.zeros(residual.shape[:-1])
        # A within-only outcome has its mean here.
        constants = (
            reduced.between_coefficients[..., first:, 0] + shift[first : residual.shape[-1] + first]
        )
        mean[..., only] = constants[..., only]
        keep = list(range(len(names)))
    else:
        names = (*structure.between_outcomes, *structure.outcomes, *structure.between_covariates)
        slopes, residual = reduced.between_coefficients[..., 1:], reduced.between_covariance
        mean = reduced.between_coefficients[..., 0] + shift[: residual.shape[-1]]
        keep = [i for i in range(len(names)) if i - first not in only]
    n, k = residual.shape[-1], x.shape[0]
    lead = residual.shape[:-2]
    total = np.empty((*lead, n + k, n + k))
    total[..., :n, :n] = residual + slopes @ x @ np.swapaxes(slopes, -1, -2)
    total[..., :n, n:] = slopes @ x
    total[..., n:, :n] = np.swapaxes(total[..., :n, n:], -1, -2)
    total[..., n:, n:] = x
    means = np.concatenate(
        [mean, np.broadcast_to(covariate_means(bound, level), (*lead, k))], axis=-1
    )
    return LevelMoments(tuple(names), means, total).keep(keep)
