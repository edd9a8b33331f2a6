"""Simulation-based calibration of a user's own model.

Parameters are drawn from the prior, data from the model, and the rank of each true value among draws
from its posterior must be uniform (Talts, Betancourt, Simpson, Vehtari & Gelman 2018,
arXiv:1804.06788). The log-likelihood is ranked too: it finds errors that no parameter shows (Modrák,
Moon, Kim, Bürkner, Huurre, Faltejsková, Gelman & Vehtari 2025, Bayesian Analysis 20, 461-488).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bmsem.api import Model
from bmsem.criteria.deviance import marginal_log_likelihood
from bmsem.data import BoundModel, bind
from bmsem.data.scales import Scales
from bmsem.errors import BmsemError, ModelError, SamplingError
from bmsem.priors import PriorTable, prior_table
from bmsem.simulation import Design, Simulator, simulator, whole_seed
from bmsem.spec import ModelSpec
from bmsem.study.arguments import listed, require_positive
from bmsem.study.few_clusters import described_design, described_priors, spec_of
from bmsem.study.replicate import parameters_as_fit
from bmsem.study.run import run_study
from bmsem.version import __version__

if TYPE_CHECKING:
    from bmsem.study.ranks import Calibration

Array = NDArray[np.float64]

LOG_LIKELIHOOD = "log likelihood"


def calibrate(
    model: Model | ModelSpec | str,
    data_design: Design,
    replications: int = 200,
    *,
    priors: str | Mapping[str, Any] = "weak",
    names: str | Sequence[str] | None = None,
    ranks: int = 99,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 2,
    target_accept: float = 0.8,
    seed: int = 0,
    cores: int | None = None,
    path: str | Path | None = None,
    progress: bool | Callable[[int, int], None] = True,
) -> Calibration:
    """Check that the model, its priors and the sampler agree: simulation-based calibration.

    Parameters
    ----------
    model
        The model: formula text, a spec, or a `Model`.
    data_design
        Clusters, people and covariates: a `bmsem.Design`, or `Design.from_data` for those of real data.
    replications
        Draws from the prior, each with data and a posterior; with a ``path`` more may follow later.
    priors
        A preset or a mapping, all proper. What a preset scales to the data is scaled once: to the real
        data of the design, or else as if every variable had standard deviation one at each level.
    names
        What is ranked: anything that `Fit.quantity` takes; by default every parameter and defined
        parameter. The log-likelihood is ranked too, in models without varying slopes and products.
    ranks
        Posterior draws among which the truth is ranked, evenly spaced.
    draws, tune, chains, target_accept, seed, cores, path, progress
        As in `bmsem.study.few_clusters`.

    Returns
    -------
    Calibration
        Ranks as an `xarray.Dataset`, with tests, coverage and rank plots.

    Raises
    ------
    ModelError
        If a prior is improper, a name unknown, or the design lacks a covariate.

    Examples
    --------
    >>> design = bmsem.Design(rows=50, covariates={"x": "Normal(0, 1)"})
    >>> found = calibrate("y ~ b*x", design, replications=5, draws=200, tune=200, progress=False)
    >>> figure = found.plot_ranks()
    """
    from bmsem.graph.prior_draws import prior_draws
    from bmsem.study.ranks import Calibration

    seed = whole_seed(seed)
    require_positive(replications=replications, draws=draws, tune=tune, chains=chains)
    if not 1 <= ranks <= draws * chains:
        raise ModelError(f"ranks={ranks}: at least 1, and no more than the {draws * chains} draws.")
    spec = spec_of(model)
    ready = simulator(spec, data_design)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = _reference(ready, data_design)
        table = prior_table(reference, priors)
    table.require_proper("Simulation-based calibration")
    # The first draws do not depend on how many there are: more replications may follow later.
    truths = prior_draws(reference, table, replications, seed)
    own = listed(names) if names is not None else _all_names(reference)
    _ranked(reference, truths[:1], own)  # raises for names that nothing has
    with_likelihood = names is None and not _plan_needed(reference)
    settings = {"draws": draws, "tune": tune, "chains": chains, "target_accept": target_accept}
    setup = Setup(ready, table, truths, own, with_likelihood, ranks, settings, seed)
    study = {
        "bmsem": __version__,
        "model": Model(spec).formula,
        "design": described_design(data_design),
        "priors": described_priors(priors),
        "names": own,
        "ranks": ranks,
        "sampling": settings,
        "seed": seed,
    }
    results = run_study(
        _Rank(setup),
        {str(r): r for r in range(replications)},
        study,
        path,
        cores=cores,
        progress=progress,
        title="Calibration",
    )
    shown = [*own, LOG_LIKELIHOOD] if with_likelihood else own
    return Calibration.collect(study, results, shown, ranks, table)


@dataclass(frozen=True)
class Setup:
    """All that replications share."""

    ready: Simulator
    table: PriorTable
    truths: Array
    names: list[str]
    with_likelihood: bool
    ranks: int
    sampling: dict[str, Any]
    seed: int


class _Rank:
    """What runs in the processes."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    def __call__(self, replication: int) -> dict[str, Any]:
        begun = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = _replicate(self.setup, replication)
        except (BmsemError, np.linalg.LinAlgError, ArithmeticError) as error:
            found = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        return {**found, "seconds": round(time.perf_counter() - begun, 4)}


def _replicate(setup: Setup, replication: int) -> dict[str, Any]:
    from bmsem.sampling import sample

    theta = setup.truths[replication]
    data, fit = np.random.SeedSequence([setup.seed, replication]).spawn(2)
    ready = setup.ready
    frame, _ = ready.data(theta, np.random.default_rng(data))
    if not np.isfinite(frame.select_dtypes("number").to_numpy()).all():
        raise SamplingError("The prior gave values that lead to infinite data.")
    bound = bind(ready.spec, frame, ready.layout.cluster)
    samples = sample(
        bound, setup.table, cores=1, seed=int(fit.generate_state(1)[0]), progress=False,
        **setup.sampling,
    )  # fmt: skip
    flat = samples.parameters.reshape(-1, samples.parameters.shape[-1])
    at = np.linspace(0, len(flat) - 1, setup.ranks).round().astype(int)
    truth, values = theta[None], flat[at]
    ranked = _ranked(bound, np.concatenate([truth, values]), setup.names)
    if setup.with_likelihood:
        log_likelihood = marginal_log_likelihood(bound, np.concatenate([truth, values]))
        ranked = np.column_stack([ranked, log_likelihood.sum(axis=1)])
    below = (ranked[1:] < ranked[0]).sum(axis=0)
    fit_of = parameters_as_fit(bound, samples.parameters)
    return {
        "ranks": [int(v) for v in below],
        "rhat": float(np.nanmax([_rhat(fit_of.parameters[..., i]) for i in range(len(theta))])),
        "divergent": int(samples.statistics["diverging"].sum()),
    }


def _rhat(draws: Array) -> float:
    from arviz_stats.base import array_stats

    return float(array_stats.rhat(draws[:, :], chain_axis=0, draw_axis=1))


def _ranked(bound: BoundModel, parameters: Array, names: Sequence[str]) -> Array:
    """Values (D, names) of what is ranked at parameters (D, P)."""
    fit = parameters_as_fit(bound, parameters[None])
    return np.column_stack([fit.quantity(name).reshape(-1) for name in names])


def _all_names(bound: BoundModel) -> list[str]:
    rows = [p.label or p.full_name for p in bound.structure.parameters]
    return [*rows, *(d.name for d in bound.spec.definitions)]


def _plan_needed(bound: BoundModel) -> bool:

    return bound.plan.needed


def _reference(ready: Simulator, design: Design) -> BoundModel:
    """Data that priors are scaled to: the design's own, or variables of unit standard deviation."""
    cluster = ready.layout.cluster
    if design.data is not None and set(ready.spec.observed) <= set(design.data.columns):
        return bind(ready.spec, design.data, cluster)
    frame, _ = ready.data(_unit_values(ready), 0)
    bound = bind(ready.spec, frame, cluster)
    structure = bound.structure
    known = {*structure.between_covariates, *structure.within_covariates}
    scales = bound.scales
    sd = {k: v if k[1] in known else 1.0 for k, v in scales.sd.items()}
    mean = {k: v if k[1] in known else 0.0 for k, v in scales.mean.items()}
    return replace(bound, scales=Scales(sd, mean, sd))


def _unit_values(ready: Simulator) -> Array:
    """Parameters at which data can be made: nothing depends on anything, variances are one."""
    values = np.zeros(len(ready.structure.parameters))
    for p in ready.structure.parameters:
        if p.kind == "variance":
            values[p.index] = 1.0
        elif p.kind == "loading":
            values[p.index] = 0.7
    return values
