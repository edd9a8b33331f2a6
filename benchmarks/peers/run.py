"""One run of one peer on one case: draws, seconds, divergences."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.peers.by_hand_jags import jags_run
from benchmarks.peers.by_hand_stan import PYTHON as STAN_PYTHON
from benchmarks.peers.by_hand_stan import stan_run
from benchmarks.peers.cases import Case, bmsem_priors
from benchmarks.peers.judge import Array, Run, judged


def bmsem_run(case: Case, frame: pd.DataFrame, seed: int, draws: int = 1000) -> Run:
    import bmsem

    begun = time.perf_counter()
    fit = bmsem.model(case.text).fit(
        frame,
        priors=bmsem_priors(case),
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

    from benchmarks.peers.by_hand_pymc import written

    begun = time.perf_counter()
    model = written(case, frame, centred)
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
    if "slopes_stds" not in posterior:
        return {}
    sds, correlations = (np.asarray(posterior[f"slopes_{n}"].values) for n in ("stds", "corr"))
    size = sds.shape[-1]
    found = {f"sd {i}": sds[..., i] for i in range(size)}
    return found | {
        f"correlation {i} {j}": correlations[..., i, j] for i in range(size) for j in range(i)
    }


def has_r(package: str) -> bool:
    """Whether R is there with a package."""
    if shutil.which("Rscript") is None:
        return False
    done = subprocess.run(
        ["Rscript", "-e", f"library({package})"], capture_output=True, check=False
    )
    return done.returncode == 0


@dataclass(frozen=True)
class Peer:
    """Another way to sample a case.

    Attributes
    ----------
    run
        Called with case, frame and seed.
    there
        Whether it is installed.
    install
        The command that installs it.
    """

    run: Callable[..., Run]
    there: Callable[[], bool] = lambda: True
    install: str = ""


def _stan(centred: bool) -> Peer:
    run = partial(stan_run, centred=centred)
    return Peer(run, STAN_PYTHON.exists, "make stan")


def _pymc(centred: bool, sampler: str) -> Peer:
    return Peer(partial(pymc_run, centred=centred, sampler=sampler))


PEERS: dict[str, Peer] = {
    "bmsem": Peer(bmsem_run),
    "PyMC, centred, nutpie": _pymc(True, "nutpie"),
    "PyMC, non-centred, nutpie": _pymc(False, "nutpie"),
    "PyMC, centred, own NUTS": _pymc(True, "pymc"),
    "PyMC, non-centred, own NUTS": _pymc(False, "pymc"),
    "Stan, centred": _stan(True),
    "Stan, non-centred": _stan(False),
    "JAGS, glm module": Peer(
        jags_run, partial(has_r, "rjags"), "apt-get install jags r-cran-rjags r-cran-jsonlite"
    ),
}
