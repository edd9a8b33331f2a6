"""One run of one peer on one case: draws, seconds, divergences."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats
from numpy.typing import NDArray

from benchmarks.peers.cases import Case, priors

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


def bmsem_run(case: Case, frame: pd.DataFrame, seed: int, draws: int = 1000) -> Run:
    import bmsem

    begun = time.perf_counter()
    fit = bmsem.model(case.text).fit(
        frame,
        priors=priors(case),
        draws=draws,
        tune=1000,
        chains=4,
        cores=2,
        seed=seed,
        progress=False,
    )
    total = time.perf_counter() - begun
    found = {p.name: fit.parameters[..., p.index] for p in fit.bound.structure.parameters}
    return judged(found, fit.timing["sample"], total, fit.convergence.divergences)


def pymc_run(
    case: Case, frame: pd.DataFrame, seed: int, *, centred: bool, sampler: str, draws: int = 1000
) -> Run:
    import pymc as pm

    from benchmarks.peers.by_hand import written

    begun = time.perf_counter()
    model = written(case.name, frame, centred)
    if sampler == "nutpie":
        import nutpie

        compiled = nutpie.compile_pymc_model(model)
        start = time.perf_counter()
        tree = nutpie.sample(
            compiled, draws=draws, tune=1000, chains=4, cores=2, seed=seed, progress_bar=False
        )
        sampling = time.perf_counter() - start
    else:
        with model:
            tree = pm.sample(
                draws=draws, tune=1000, chains=4, cores=2, random_seed=seed, progressbar=False,
                nuts_sampler="pymc", compute_convergence_checks=False,
            )  # fmt: skip
        sampling = float(tree["posterior"].attrs.get("sampling_time", np.nan))
    total = time.perf_counter() - begun
    posterior = tree["posterior"].to_dataset()
    # Parameters are the single numbers; what has a dimension is an effect of clusters or people.
    found = {
        str(n): np.asarray(v.values)
        for n, v in posterior.data_vars.items()
        if v.ndim == 2 and not str(n).endswith(" unit")
    }
    found |= _matrices(posterior)
    divergent = int(np.sum(tree["sample_stats"]["diverging"].values))
    return judged(found, sampling, total, divergent)


def _matrices(posterior: Any) -> dict[str, Array]:
    """Standard deviations and correlations of a covariance matrix of slopes."""
    found = {}
    for name in ("slopes_stds", "slopes_corr"):
        if name not in posterior:
            continue
        values = np.asarray(posterior[name].values)
        size = values.shape[-1]
        for i in range(size):
            if name == "slopes_stds":
                found[f"sd {i}"] = values[..., i]
            for j in range(i):
                if name == "slopes_corr":
                    found[f"correlation {i} {j}"] = values[..., i, j]
    return found


PEERS: dict[str, Callable[..., Run]] = {
    "bmsem": bmsem_run,
    "PyMC, centred, nutpie": lambda *a, **k: pymc_run(*a, centred=True, sampler="nutpie", **k),
    "PyMC, non-centred, nutpie": lambda *a, **k: pymc_run(*a, centred=False, sampler="nutpie", **k),
    "PyMC, centred, PyMC's NUTS": lambda *a, **k: pymc_run(*a, centred=True, sampler="pymc", **k),
}
