"""One replication: data from the truth, a fit under each set of priors, what came out."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from bmsem.api import Model
from bmsem.data import BoundModel, bind
from bmsem.errors import BmsemError
from bmsem.results import FitResults
from bmsem.results.quantities import quantities
from bmsem.simulation import Design, Simulator, simulator
from bmsem.spec import ModelSpec

Array = NDArray[np.float64]

VALUES = ("median", "mean", "sd", "lower", "upper")
CHECKS = ("rhat", "ess", "divergent", "seconds")


@dataclass(frozen=True)
class Sampling:
    """How each replication is sampled, and its interval."""

    draws: int = 1000
    tune: int = 500
    chains: int = 2
    target_accept: float = 0.8
    width: float = 0.95
    interval: str = "equal"


@dataclass(frozen=True)
class Task:
    """A replication of one cell of the study.

    ``scenario`` names the truth, ``clusters`` is J (0 without clusters), ``seed`` the study's.
    """

    scenario: str
    clusters: int
    replication: int
    seed: int

    @property
    def key(self) -> str:
        return f"{self.scenario}/{self.clusters}/{self.replication}"

    def stream(self, what: str) -> np.random.SeedSequence:
        """Seeds that depend on nothing but the task: the order and the process do not matter."""
        names = [crc32(text.encode()) for text in (self.scenario, what)]
        return np.random.SeedSequence([self.seed, self.clusters, self.replication, *names])


@dataclass(frozen=True)
class Setup:
    """All that replications share; it is sent to every process once.

    Attributes
    ----------
    spec
        The model.
    designs
        By number of clusters.
    truths
        Parameter vectors by scenario and number of clusters.
    priors
        By name: a preset or a mapping.
    effects
        What is looked at; anything that `Fit.quantity` takes.
    """

    spec: ModelSpec
    designs: Mapping[int, Design]
    truths: Mapping[tuple[str, int], Array]
    priors: Mapping[str, Any]
    effects: Sequence[str]
    sampling: Sampling
    _ready: dict[int, Simulator] = field(default_factory=dict, compare=False, repr=False)

    def simulator(self, clusters: int) -> Simulator:
        if clusters not in self._ready:
            self._ready[clusters] = simulator(self.spec, self.designs[clusters])
        return self._ready[clusters]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ready": {}}


# Of the study that this process works on: joblib sends the setup with every task, what it has prepared
# stays here. ``identity`` is one call's.
_PREPARED: dict[str, Setup] = {}


def run_replication(identity: str, setup: Setup, task: Task) -> dict[str, Any]:
    """Estimates of every effect under every set of priors, or why there are none.

    A replication that fails is reported with its reason, never left out silently.
    """
    if identity not in _PREPARED:
        _PREPARED.clear()
        _PREPARED[identity] = setup
    setup = _PREPARED[identity]
    ready = setup.simulator(task.clusters)
    theta = setup.truths[task.scenario, task.clusters]
    found: dict[str, Any] = {}
    data_seed = task.stream("data")
    for name, priors in setup.priors.items():
        seed = int(task.stream(f"fit {name}").generate_state(1)[0])
        begun = time.perf_counter()
        try:
            with warnings.catch_warnings():
                # That there are few clusters is what the study is about.
                warnings.simplefilter("ignore")
                frame, _ = ready.data(theta, np.random.default_rng(data_seed))
                bound = bind(ready.spec, frame, ready.layout.cluster)
                found[name] = _estimates(bound, priors, setup, seed)
        except (BmsemError, np.linalg.LinAlgError, ArithmeticError) as error:
            found[name] = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        found[name]["seconds"] = round(time.perf_counter() - begun, 4)
    return found


def _estimates(bound: BoundModel, priors: Any, setup: Setup, seed: int) -> dict[str, Any]:
    own = setup.sampling
    fit = Model(setup.spec).fit(
        bound, priors=priors, draws=own.draws, tune=own.tune, chains=own.chains, cores=1, seed=seed,
        target_accept=own.target_accept, progress=False,
    )  # fmt: skip
    draws = np.column_stack([fit.quantity(name).reshape(-1) for name in setup.effects])
    frame = quantities(draws, own.width, own.interval)
    verdict = fit.convergence
    return {
        **{key: [_plain(v) for v in frame[key]] for key in VALUES},
        "rhat": _plain(verdict.max_rhat),
        "ess": _plain(verdict.min_ess_bulk),
        "divergent": int(fit.sample_stats["diverging"].sum()),
    }


def true_effects(bound: BoundModel, theta: Array, effects: Sequence[str]) -> Array:
    """The effects at true parameters, computed as a fit computes them."""
    fit = parameters_as_fit(bound, theta[None, None])
    return np.array([float(fit.quantity(name).reshape(-1)[0]) for name in effects])


def parameters_as_fit(bound: BoundModel, parameters: Array) -> FitResults:
    """A fit whose draws are given: (chains, draws, P)."""
    import pandas as pd

    return FitResults(bound, pd.DataFrame(), parameters, {}, {})


def default_effects(spec: ModelSpec) -> list[str]:
    """Labels and defined parameters; without any, the paths."""
    labels = [k for k, rows in spec.labels.items() if rows[0].free]
    found = [*labels, *(d.name for d in spec.definitions)]
    return found or [r.full_name for r in spec.parameters if r.op == "~" and r.free]


def with_clusters(design: Design, clusters: int) -> Design:
    """The design with another number of clusters."""
    return replace(design, clusters=clusters)


def _plain(value: float) -> float | None:
    return float(f"{value:.10g}") if math.isfinite(value) else None
