"""The study that few clusters call for: what each set of priors does with the same data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from bmsem.api import Model
from bmsem.api import model as model_of
from bmsem.data import bind
from bmsem.errors import ModelError
from bmsem.priors import prior_table
from bmsem.simulation import Covariate, Design, simulator, whole_seed
from bmsem.spec import ModelSpec, Prior
from bmsem.study.arguments import cluster_numbers, listed, prior_sets, require_positive
from bmsem.study.replicate import (
    Sampling,
    Setup,
    Task,
    default_effects,
    run_replication,
    true_effects,
    with_clusters,
)
from bmsem.study.run import run_study
from bmsem.version import __version__

if TYPE_CHECKING:
    from bmsem.study.results import Study

Truth = Mapping[str, float]


def few_clusters(
    model: Model | ModelSpec | str,
    truth: Truth | Mapping[str, Truth],
    clusters: int | Sequence[int] = (6, 10, 20, 50),
    priors: Mapping[str, Any] | None = None,
    replications: int = 200,
    *,
    size: int | str | None = None,
    arms: Mapping[str, Any] | None = None,
    covariates: Mapping[str, Any] | None = None,
    design: Design | None = None,
    effects: str | Sequence[str] | None = None,
    draws: int = 1000,
    tune: int = 500,
    chains: int = 2,
    target_accept: float = 0.8,
    width: float = 0.95,
    interval: str = "equal",
    seed: int = 0,
    cores: int | None = None,
    path: str | Path | None = None,
    progress: bool | Callable[[int, int], None] = True,
) -> Study:
    """Simulate trials with few clusters and fit each under several sets of priors.

    Every set of priors sees the same data. A replication has seeds of its own, so that the results do
    not depend on the order, the number of processes, or interruptions.

    Parameters
    ----------
    model
        The model: formula text, a spec, or a `Model`.
    truth
        True values by name, as `bmsem.simulate` takes them (``{"b": 0.5, "icc(y)": 0.1, …}``); or
        several such mappings by name, ``{"effect": {…}, "no effect": {…}}``: a share of intervals
        without zero is power where the truth is not zero, and the Type I error where it is.
    clusters
        Numbers of clusters, each a cell of the study.
    priors
        Sets of priors by name, each a preset or a mapping as for `Model.fit`; by default ``weak`` and
        ``mplus``.
    replications
        Data sets a cell.
    size, arms, covariates
        As in `bmsem.Design`: people in a cluster (20 if nothing is said), allocation, covariates.
    design
        Instead of these: a design, whose number of clusters is replaced.
    effects
        What is looked at: anything that `Fit.quantity` takes, such as labels, ``"treat -> y"``,
        ``"icc(y)"``; by default labels and defined parameters.
    draws, tune, chains, target_accept
        Of each fit.
    width, interval
        Of the intervals: ``"equal"`` (equal-tailed) or ``"hpd"``.
    seed
        The same seed gives the same study.
    cores
        Processes; by default all cores.
    path
        A file that keeps each replication as it is done. Calling again with the same file and settings
        goes on where the study was interrupted; ``replications`` may be raised later.
    progress
        Show a bar; or a function of (done, all).

    Returns
    -------
    Study
        Results by replication and measures, as `xarray.Dataset`; see `bmsem.study.Study`.

    Raises
    ------
    ModelError
        If a truth is incomplete or impossible, an effect or a preset unknown, a prior does not fit.
    DataError
        If the design makes no study, or the file belongs to another one.
    KeyboardInterrupt
        If interrupted; with a path nothing that was done is lost.

    Examples
    --------
    >>> trial = bmsem.model("between: treat\\nlevel: within\\n y ~~ y\\nlevel: between\\n y ~ b*treat")
    >>> study = few_clusters(
    ...     trial, {"b": 0.3, "icc(y)": 0.1, "within: y ~~ y": 0.9}, clusters=[10, 20],
    ...     arms={"treat": 0.5}, priors={"weak": "weak", "mplus": "mplus"}, path="trial.jsonl",
    ...     replications=2, progress=False)
    >>> study.data.sizes["clusters"]
    2
    """
    from bmsem.study.results import Study

    spec = spec_of(model)
    if not spec.multilevel:
        raise ModelError(
            "The model has no levels, so that there are no clusters to be few. Write its parts under "
            "'level: within' and 'level: between'."
        )
    sets = prior_sets(priors)
    numbers = cluster_numbers(clusters)
    seed = whole_seed(seed)
    require_positive(replications=replications, draws=draws, tune=tune, chains=chains)
    if not 0 < width < 1 or interval not in ("equal", "hpd"):
        raise ModelError(
            f"width={width} and interval='{interval}': give a width between 0 and 1, such as 0.95, and "
            f"'equal' or 'hpd'."
        )
    parts = {"size": size, "arms": arms, "covariates": covariates}
    base = _design(design, parts, max(numbers))
    designs = {j: with_clusters(base, j) for j in numbers}
    scenarios = _scenarios(truth)
    names = listed(effects) if effects is not None else default_effects(spec)
    sampling = Sampling(draws, tune, chains, target_accept, width, interval)
    readies = {j: simulator(spec, designs[j]) for j in numbers}
    truths = {(s, j): readies[j].values(v) for s, v in scenarios.items() for j in numbers}
    setup = Setup(spec, designs, truths, sets, names, sampling, readies)
    true = {key: _true_effects(setup, *key) for key in truths}
    study = {
        "bmsem": __version__,
        "model": Model(spec).formula,
        "truth": {s: {k: float(x) for k, x in v.items()} for s, v in scenarios.items()},
        "designs": {str(j): described_design(d) for j, d in designs.items()},
        "priors": {k: described_priors(v) for k, v in sets.items()},
        "effects": names,
        "sampling": repr(sampling),
        "seed": seed,
    }
    every = [Task(s, j, r, seed) for r in range(replications) for s in scenarios for j in numbers]
    results = run_study(
        _Replication(uuid4().hex, setup),
        {task.key: task for task in every},
        study,
        path,
        cores=cores,
        progress=progress,
    )
    return Study.collect(
        study, dict(zip(every, results, strict=True)), true, names, list(sets), sampling
    )


def _design(design: Design | None, parts: dict[str, Any], clusters: int) -> Design:
    """The design that was given, or one of the parts."""
    if design is None:
        size, arms, covariates = parts.values()
        size = 20 if size is None else size
        return Design(clusters, size, arms=arms or {}, covariates=covariates or {})
    if design.data is not None:
        raise ModelError(
            "The design is that of real data, whose clusters cannot be another number. Describe it: "
            "size=20, arms={…}, covariates={…}."
        )
    given = [f"{name}=" for name, value in parts.items() if value is not None]
    if given:
        raise ModelError(
            f"A design and {', '.join(given)} are given, of which only the design would count. Put "
            f"them into the design, or leave it out."
        )
    return design


class _Replication:
    """What runs in the processes; the setup travels with it."""

    def __init__(self, identity: str, setup: Setup) -> None:
        self.identity, self.setup = identity, setup

    def __call__(self, task: Task) -> dict[str, Any]:
        return run_replication(self.identity, self.setup, task)


def spec_of(model: Model | ModelSpec | str) -> ModelSpec:
    """The spec of what was given as a model."""
    return model.spec if isinstance(model, Model) else model_of(model).spec


def _scenarios(truth: Truth | Mapping[str, Truth]) -> dict[str, Truth]:
    """Truths by name; a single one is called ``truth``."""
    scenarios: dict[str, Truth] = {
        str(k): dict(v) for k, v in truth.items() if isinstance(v, Mapping)
    }
    if not truth or (scenarios and len(scenarios) < len(truth)):
        raise ModelError(
            "The truth is a mapping of names to values, such as {'b': 0.5, 'icc(y)': 0.1}, or of "
            "scenarios to such mappings."
        )
    return scenarios or {"truth": {k: v for k, v in truth.items() if not isinstance(v, Mapping)}}


def _true_effects(setup: Setup, scenario: str, clusters: int) -> np.ndarray:
    """The effects at the truth; along the way the model, effects and priors are tried on data."""
    from bmsem.graph import build_prior_graph

    ready = setup.simulator(clusters)
    theta = setup.truths[scenario, clusters]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame, _ = ready.data(theta, 0)
        bound = bind(ready.spec, frame, ready.layout.cluster)
        for priors in setup.priors.values():
            build_prior_graph(bound, prior_table(bound, priors))
    return true_effects(bound, theta, setup.effects)


def described_design(design: Design) -> str:
    """A design as text, with a mark of all that it holds: values, sizes, data, seed."""
    parts: list[bytes | str] = [
        design.cluster_sizes.tobytes(),
        repr(dict(design.arms)),
        repr(dict(design.levels)),
        repr((design.redraw, design.seed, design.cluster)),
    ]
    for name, given in design.covariates.items():
        own = given if isinstance(given, str | Covariate) else np.asarray(given).tolist()
        parts.append(f"{name}: {own}")
    if design.data is not None:
        parts.append(design.data.to_csv())
    mark = sha256()
    for part in parts:
        mark.update(part if isinstance(part, bytes) else part.encode())
        mark.update(b"\0")
    return f"{design} [{mark.hexdigest()[:16]}]"


def described_priors(priors: Any) -> Any:
    """A set of priors as JSON values, so that a file knows its study."""
    if not isinstance(priors, Mapping):
        return str(priors)
    return {str(k): _described_one(v) for k, v in priors.items()}


def _described_one(prior: Any) -> str:
    if isinstance(prior, str | Prior):
        return str(prior)
    node = getattr(prior, "owner", None)
    # The first inputs are the state of the random numbers and the size.
    values = []
    for given in getattr(node, "inputs", ())[2:]:
        try:
            values.append(str(np.asarray(given.eval()).tolist()))
        except Exception as error:
            raise ModelError(
                f"A study must know its priors, and the arguments of {prior} are no numbers. Give the "
                f"prior as text, or with numbers."
            ) from error
    shown = ", ".join(values)
    name = getattr(getattr(node, "op", None), "_print_name", [type(prior).__name__])[0]
    return f"{name}({shown})"
