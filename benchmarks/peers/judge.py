"""What a run of a peer took and gave, by one yardstick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from arviz_stats.base import array_stats
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """What a run took and gave.

    Attributes
    ----------
    sampling, total
        Seconds: of warm-up and draws; with compiling.
    ess, ess_of
        Smallest bulk ESS of a structural parameter or variance, and whose.
    rhat
        The largest.
    divergences
        After warm-up.
    """

    sampling: float
    total: float
    ess: float
    ess_of: str
    rhat: float
    divergences: int

    @property
    def per_second(self) -> float:
        """Smallest bulk ESS a second of sampling."""
        return self.ess / self.sampling


def judged(draws: dict[str, Array], sampling: float, total: float, divergences: int) -> Run:
    """A run from draws (chains, draws) by name, judged by ArviZ's rank-normalised figures."""
    options = {"chain_axis": 0, "draw_axis": 1}
    ess = {n: float(array_stats.ess(d, method="bulk", **options)) for n, d in draws.items()}
    rhat = max(float(array_stats.rhat(d, **options)) for d in draws.values())
    worst = min(ess, key=lambda n: ess[n])
    return Run(sampling, total, ess[worst], worst, rhat, divergences)
