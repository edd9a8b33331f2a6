"""Posterior predictive checks: the chi-square's p-value, and every moment by itself."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from bmsem.criteria.discrepancy import Discrepancies, Part, discrepancies
from bmsem.criteria.incomplete import compared, moments_by_level
from bmsem.criteria.level_moments import LevelMoments, level_moments
from bmsem.criteria.replicate import replicate
from bmsem.data import BoundModel
from bmsem.likelihood.canonical import layout_of, observed_data, reduced_from
from bmsem.likelihood.reduced import reduced_form
from bmsem.likelihood.saturated import Saturated
from bmsem.likelihood.unrestricted import unrestricted
from bmsem.spec import Level

Array = NDArray[np.float64]

# Draws are replicated in portions of about so many numbers.
_PORTION = 4_000_000
# Where the unrestricted model is fitted to each replicate: seconds for that, and how many there are.
_SECONDS, _FEWEST, _MOST = 5.0, 200, 500


@dataclass(frozen=True)
class PredictiveDraws:
    """What data would look like if the model were true, and what they look like.

    Attributes
    ----------
    observed, replicated
        D(y, theta) and D(y_rep, theta) at each draw.
    observed_moments, replicated_moments
        Maximum likelihood estimates of the unrestricted model by level, of the data and of each
        replicate.
    draws
        Indices of the posterior draws, chains one after the other, that were used.
    """

    observed: Discrepancies
    replicated: Discrepancies
    observed_moments: dict[Level, LevelMoments]
    replicated_moments: dict[Level, LevelMoments]
    draws: NDArray[np.intp]

    def parts(self) -> tuple[Part, ...]:
        """``"overall"``, and the levels of a model that has them."""
        if self.observed.within is None:
            return ("overall",)
        return ("overall", "within", "between")

    def pair(self, part: Part) -> tuple[Array, Array]:
        """D(y, theta) and D(y_rep, theta)."""
        observed, replicated = self.observed.part(part), self.replicated.part(part)
        assert observed is not None and replicated is not None
        return observed, replicated


def predictive_draws(
    bound: BoundModel, parameters: Array, draws: int | None, seed: int
) -> PredictiveDraws:
    """Replicate data at posterior draws and compare them with the observed.

    Parameters
    ----------
    parameters : (D, P)
        All draws.
    draws
        How many of them to use, evenly spaced; by default all, but no more than take a few seconds.
    seed
        Of the replicates.
    """
    if bound.gaps is not None:
        return _of_incomplete(bound, parameters, draws, seed)
    layout, observed = layout_of(bound), observed_data(bound)
    used = spaced(len(parameters), draws or affordable(bound, len(parameters)))
    reduced = reduced_form(bound, parameters[used])
    # Data are often simulated with the seed that the fit has; the replicates must not repeat them.
    random = np.random.default_rng([seed, crc32(b"replicates")])
    best = unrestricted(observed[None], layout)
    levels = bound.spec.multilevel
    q = layout.z + layout.outcomes
    cost = max(1, bound.clusters * q, len(observed.sizes) * observed.cross.shape[-1] ** 2)
    portion = max(1, _PORTION // cost)
    mine, theirs, moments = [], [], []
    for start in range(0, len(used), portion):
        part = reduced[start : start + portion]
        mine.append(discrepancies(observed[None], best.value, part, layout, levels=levels))
        data = replicate(bound, part, random)
        found = unrestricted(data, layout, tolerance=1e-6)
        theirs.append(discrepancies(data, found.value, part, layout, levels=levels))
        moments.append(reduced_from(found.parts, layout))
    observed_reduced = reduced_from(best.parts, layout)
    return PredictiveDraws(
        _join(mine),
        _join(theirs),
        {level: level_moments(bound, level, observed_reduced) for level in bound.spec.levels},
        {
            level: LevelMoments.join([level_moments(bound, level, m) for m in moments])
            for level in bound.spec.levels
        },
        used,
    )


def _of_incomplete(
    bound: BoundModel, parameters: Array, draws: int | None, seed: int
) -> PredictiveDraws:
    """The same where values are missing: the unrestricted model is fitted to every replicate."""
    saturated = Saturated.of(bound)
    if draws is None:
        # A replicate takes about a hundred evaluations of the likelihood, of some nanoseconds for each
        # number of a cell. Not timed: the same fit must always use the same draws.
        width = 1 + saturated.cells.outcomes + len(bound.structure.within_covariates)
        cost = 100.0 * (3e-5 + 4e-9 * len(saturated.cells.sizes) * width**3)
        draws = int(np.clip(_SECONDS / cost, _FEWEST, _MOST))
    used = spaced(len(parameters), draws)
    random = np.random.default_rng([seed, crc32(b"replicates")])
    mine, theirs, replicated = compared(bound, saturated, parameters[used], random)
    observed = moments_by_level(bound, saturated.reduced(saturated.parameters[None]))
    return PredictiveDraws(mine, theirs, observed, replicated, used)


def spaced(total: int, wanted: int) -> NDArray[np.intp]:
    """Evenly spaced indices out of ``total``, at most ``wanted``."""
    if wanted >= total:
        return np.arange(total)
    return np.unique(np.linspace(0, total - 1, wanted).round().astype(np.intp))


def affordable(bound: BoundModel, total: int) -> int:
    """How many draws can be replicated in a few seconds: all of them, for most models."""
    q = bound.structure.between.observed
    groups = len(bound.pooled.sizes)
    p = max(1, bound.structure.within.observed)
    return max(
        min(total, 500), min(total, 60_000_000 // (bound.clusters * q + 30 * groups * p * p))
    )


def _join(parts: list[Discrepancies]) -> Discrepancies:
    def stack(values: list[Array | None]) -> Array | None:
        known = [v for v in values if v is not None]
        return np.concatenate(known) if known else None

    overall = np.concatenate([p.overall for p in parts])
    return Discrepancies(
        overall, stack([p.within for p in parts]), stack([p.between for p in parts])
    )
