"""Sampling a graph with nutpie or with PyMC's own NUTS."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.errors import Interrupted, ModelError, SamplingError, did_you_mean
from bmsem.graph import Graph, build_graph
from bmsem.graph.coordinates import PathCoordinates
from bmsem.graph.variables import cut_off
from bmsem.likelihood import cluster_call, kernel
from bmsem.likelihood.cluster_inputs import cluster_value_and_gradient
from bmsem.likelihood.evaluate import draw_intercepts, log_likelihood
from bmsem.moments import implied_moments
from bmsem.priors import PriorTable
from bmsem.sampling.compiled import compile_graph
from bmsem.sampling.starts import initial_point, point_at, starting_values
from bmsem.spec import Prior

Array = NDArray[np.float64]

SAMPLERS = ("nutpie", "pymc")

# ArviZ's names for the statistics of nutpie and PyMC.
_STATISTICS = {
    "diverging": "diverging",
    "energy": "energy",
    "depth": "tree_depth",
    "tree_depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
    "reached_max_treedepth": "reached_max_treedepth",
    "n_steps": "n_steps",
    "tree_size": "n_steps",
    "step_size": "step_size",
    "logp": "lp",
    "lp": "lp",
    "mean_tree_accept": "acceptance_rate",
    "acceptance_rate": "acceptance_rate",
}


@dataclass(frozen=True)
class Samples:
    """Draws of all free parameters.

    Attributes
    ----------
    parameters : (chains, draws, P)
        In the order of the parameter vector, integrated intercepts included.
    log_likelihood : (chains, draws)
        Marginal: cluster effects, factors and integrated intercepts are integrated out. Where
        quantities of the clusters are sampled, the joint density of the data and of these.
    statistics
        The sampler's, each (chains, draws), by ArviZ's names.
    seconds
        ``"compile"`` and ``"sample"``.
    complete
        False if sampling was interrupted; the draws are those that every chain has.
    sampled : (chains, draws, J, m)
        Quantities of the clusters that had to be sampled; m is zero for most models.
    scores : (chains, draws, N, f)
        Factor scores that had to be sampled, people cluster after cluster; ``None`` for most models.
    filled : (chains, draws, n)
        Missing values that had to be sampled, in the order of `bmsem.likelihood.cells.Cells.filled`;
        ``None`` for most models.
    """

    parameters: Array
    log_likelihood: Array
    statistics: dict[str, NDArray]
    seconds: dict[str, float]
    complete: bool = True
    sampled: Array | None = None
    scores: Array | None = None
    filled: Array | None = None


def sample(
    bound: BoundModel,
    table: PriorTable,
    *,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    cores: int | None = None,
    seed: int | None = None,
    sampler: str = "nutpie",
    target_accept: float = 0.8,
    max_depth: int = 10,
    progress: bool = True,
    say: Callable[[str], None] | None = None,
    start_from: Array | None = None,
) -> Samples:
    """Draw from the posterior.

    Parameters
    ----------
    bound, table
        The model with its data, and the priors.
    draws, tune
        Kept draws and warm-up draws of each chain.
    seed
        The same seed gives the same draws.
    sampler
        ``"nutpie"`` or ``"pymc"``.
    say
        Called with a line of text when something starts that takes a while.
    start_from : (chains, P)
        Parameters that each chain starts from, in natural units; by default starting values with
        noise.

    Raises
    ------
    SamplingError
        If no starting point with a finite log-density is found, or sampling fails.
    ModelError
        If the sampler is unknown or a number of draws is not positive.
    """
    if sampler not in SAMPLERS:
        raise ModelError(f"Unknown sampler '{sampler}'. {did_you_mean(sampler, SAMPLERS)}")
    for name, number in (("draws", draws), ("tune", tune), ("chains", chains)):
        if number < 1:
            raise ModelError(f"{name} must be at least 1, not {number}.")
    if not bound.structure.parameters:
        raise ModelError("Every parameter of the model is fixed: there is nothing to estimate.")
    say = say or (lambda line: None)
    started = time.perf_counter()
    graph = build_graph(bound, table)
    if not (cluster_call.is_cached() if bound.by_cell else kernel.is_cached()):
        say("First use: compiling the likelihood for this machine, which takes about half a minute")
    seeds = np.random.SeedSequence(seed)
    chain_seed, recovery_seed = (int(s) for s in seeds.generate_state(2, np.uint32))
    if start_from is None:
        _require_finite(graph, bound, table)
    if graph.variables:
        if start_from is None:
            start = initial_point(graph, bound, table, rescaled=sampler == "nutpie")
            starts = None
        else:
            starts = [
                point_at(graph, bound, values, rescaled=sampler == "nutpie")
                for values in start_from
            ]
            start = _constant(starts[0])
        run = _nutpie if sampler == "nutpie" else _pymc
        natural, statistics, seconds, complete = run(
            graph, bound, table, start, starts, say,
            {"draws": draws, "tune": tune, "chains": chains, "cores": cores, "seed": chain_seed,
             "target_accept": target_accept, "max_depth": max_depth, "progress": progress},
        )  # fmt: skip
    else:
        natural = np.empty((chains, draws, 0))
        statistics, seconds, complete = {}, {"compile": 0.0, "sample": 0.0}, True
    shape = natural.shape[:2]
    flat = natural.reshape(shape[0] * shape[1], natural.shape[2])
    full = np.empty((flat.shape[0], len(bound.structure.parameters)))
    known = len(graph.inputs.order)
    full[:, list(graph.inputs.order)] = flat[:, :known]
    sampled, scores, filled = None, None, None
    if bound.by_cell:
        to_people = known + bound.clusters * len(graph.plan.rows)
        to_values = to_people + bound.rows * len(graph.plan.scores)
        if graph.plan.needed:
            sampled = flat[:, known:to_people].reshape(*shape, bound.clusters, len(graph.plan.rows))
        if graph.plan.scores:
            own = flat[:, to_people:to_values]
            scores = own.reshape(*shape, bound.rows, len(graph.plan.scores))
        if to_values < flat.shape[1]:
            filled = flat[:, to_values:].reshape(*shape, -1)
        values = np.array(
            [
                cluster_value_and_gradient(
                    row, graph.inputs.data, graph.inputs.integers, graph.inputs.reals
                )[0]
                for row in flat
            ]
        )
    else:
        random = np.random.default_rng(recovery_seed)
        intercepts, values = draw_intercepts(flat, graph.inputs, random)
        full[:, list(graph.inputs.integrated)] = intercepts
    seconds["total"] = time.perf_counter() - started
    return Samples(
        full.reshape(*shape, -1), values.reshape(shape), statistics, seconds, complete, sampled,
        scores, filled,
    )  # fmt: skip


def _require_finite(graph: Graph, bound: BoundModel, table: PriorTable) -> None:
    """The likelihood at the starting values must be finite before anything is compiled."""
    values = starting_values(bound, table)
    inputs = graph.inputs
    theta = values[list(inputs.order)]
    evaluate: Callable[..., tuple[float, Array]] = log_likelihood
    if bound.by_cell:
        evaluate = cluster_value_and_gradient
        centres = [v.centre for v in graph.variables if v.scale == "cluster"]
        theta = np.concatenate([theta, *centres])
    if np.isfinite(theta).all():
        value, _ = evaluate(theta, inputs.data, inputs.integers, inputs.reals)
        if np.isfinite(value):
            return
    found = []
    for level in bound.spec.levels:
        structure = bound.structure.level(level)
        if structure.variables:
            implied = implied_moments(structure, values).observed_covariance
            smallest = (
                float(np.linalg.eigvalsh(implied)[0]) if np.isfinite(implied).all() else np.nan
            )
            if not smallest > 0 and level != "between":
                where = f"the {level} level" if level else "the model"
                found.append(f"the covariance matrix that {where} implies is singular")
    what = "; ".join(found) or "the data have no finite likelihood"
    raise SamplingError(
        f"Sampling cannot start: at the starting values {what}. Check the values that are fixed at "
        f"zero and the values given with start(…) or '*'."
    )


def _nutpie(
    graph: Graph,
    bound: BoundModel,
    table: PriorTable,
    start: Callable[[int | None], Array],
    starts: list[Array] | None,
    say: Callable[[str], None],
    settings: dict[str, Any],
) -> tuple[Array, dict[str, NDArray], dict[str, float], bool]:
    import nutpie

    say("Compiling the model")
    compiled = compile_graph(graph, shape_key(graph, table))
    model = replace(compiled.model, initial_point_func=start)
    say(f"Sampling {settings['chains']} chains of {settings['tune']:,} + {settings['draws']:,}")
    begun = time.perf_counter()

    def launch(model: Any, chains: int, seed: int, progress: bool) -> Any:
        return nutpie.sample(
            model,
            draws=settings["draws"],
            tune=settings["tune"],
            chains=chains,
            cores=settings["cores"] if starts is None else 1,
            seed=seed,
            target_accept=settings["target_accept"],
            maxdepth=settings["max_depth"],
            save_warmup=False,
            progress_bar=progress,
            blocking=False,
            # Where intercepts are sampled they hang together with paths, and with quantities of
            # clusters: a diagonal mass matrix would need long trajectories (for Table 25.9 four
            # times fewer effective draws). With numbers of people its own cost is more than it
            # saves.
            adaptation="low_rank" if graph.by_cell and not graph.of_people else "diag",
        )

    if starts is None:
        samplers = [launch(model, settings["chains"], settings["seed"], settings["progress"])]
    else:
        # nutpie does not say which chain asks for a starting point: a sampler for each chain keeps
        # every chain its own.
        seeds = np.random.SeedSequence(settings["seed"]).generate_state(len(starts))
        samplers = [
            launch(replace(model, initial_point_func=_constant(point)), 1, int(seed), False)
            for point, seed in zip(starts, seeds, strict=True)
        ]
    trees, complete = [], True
    for sampler in samplers:
        try:
            trees.append(sampler.wait() if complete else _stop(sampler))
        except KeyboardInterrupt:
            complete = False
            trees.append(_stop(sampler))
        except Exception as error:
            for other in samplers:
                if other is not sampler:
                    other.abort()
            raise SamplingError(
                f"Sampling failed: {_first_words(error)}. If no starting point was found, give "
                f"starting values with start(…), or use proper priors (priors='weak')."
            ) from error
    seconds = {"compile": compiled.seconds, "sample": time.perf_counter() - begun}
    return *_joined([_whole(tree, complete) for tree in trees]), seconds, complete


def _stop(sampler: Any) -> Any:
    """What an interrupted sampler has; `Interrupted` if that is nothing."""
    try:
        return sampler.abort()
    except ValueError as error:
        raise Interrupted("Sampling was interrupted before there were any draws.") from error


def _first_words(error: Exception) -> str:
    """The message without the trace of another language that comes with it."""
    return str(error).split("Stack backtrace")[0].strip().rstrip(".")


def _constant(point: Array) -> Callable[[int | None], Array]:
    def start(seed: int | None = None) -> Array:
        return point

    return start


def _joined(
    parts: list[tuple[Array, dict[str, NDArray]]],
) -> tuple[Array, dict[str, NDArray]]:
    """Chains of several samplers as one; an interrupted one may be shorter than the others."""
    length = min(natural.shape[1] for natural, _ in parts)
    names = set.intersection(*(set(statistics) for _, statistics in parts))
    return (
        np.concatenate([natural[:, :length] for natural, _ in parts]),
        {k: np.concatenate([s[k][:, :length] for _, s in parts]) for k in sorted(names)},
    )


def _whole(tree: Any, complete: bool) -> tuple[Array, dict[str, NDArray]]:
    """Draws and statistics that every chain has; an interrupted run has chains of unequal length."""
    natural = np.asarray(tree["posterior"]["parameters"].values, dtype=float)
    statistics = {
        _STATISTICS[str(name)]: np.asarray(values.values)
        for name, values in tree["sample_stats"].data_vars.items()
        if name in _STATISTICS
    }
    if not complete:
        have = np.isfinite(natural).all(axis=2)
        chains = have[:, 0] if have.shape[1] else np.zeros(len(have), dtype=bool)
        if not chains.any():
            raise Interrupted(
                "Sampling was interrupted before any chain had finished its warm-up; there are no "
                "draws to keep."
            )
        length = int(have[chains].sum(axis=1).min())
        natural = natural[chains, :length]
        statistics = {k: v[chains, :length] for k, v in statistics.items()}
    return natural, statistics


def _pymc(
    graph: Graph,
    bound: BoundModel,
    table: PriorTable,
    start: Callable[[int | None], Array],
    starts: list[Array] | None,
    say: Callable[[str], None],
    settings: dict[str, Any],
) -> tuple[Array, dict[str, NDArray], dict[str, float], bool]:
    import pymc as pm

    say("Compiling and sampling with PyMC's NUTS")
    begun = time.perf_counter()
    chains = settings["chains"]
    seeds = np.random.SeedSequence(settings["seed"]).generate_state(chains)
    with graph.model:
        step = pm.NUTS(target_accept=settings["target_accept"], max_treedepth=settings["max_depth"])
        compiled = time.perf_counter()
        tree = pm.sample(
            draws=settings["draws"],
            tune=settings["tune"],
            chains=chains,
            # By default chains run in this process: starting others takes longer than most fits.
            cores=settings["cores"] or 1,
            step=step,
            random_seed=[int(s) for s in seeds],
            initvals=[
                _point(graph, start(int(s)) if starts is None else starts[i])
                for i, s in enumerate(seeds)
            ],
            var_names=["parameters"],
            progressbar=settings["progress"],
            compute_convergence_checks=False,
        )
    seconds = {"compile": compiled - begun, "sample": time.perf_counter() - compiled}
    kept = tree["posterior"]["parameters"].shape[:2]
    complete = kept == (chains, settings["draws"])
    return *_whole(tree, complete), seconds, complete


def _point(graph: Graph, vector: Array) -> dict[str, Array]:
    """Starting values of PyMC's random variables from an unconstrained point."""
    point: dict[str, Array] = {}
    at = 0
    for variable in graph.variables:
        rv = graph.model[variable.name]
        part = vector[at : at + len(variable.indices)]
        at += len(variable.indices)
        transform = graph.model.rvs_to_transforms[rv]
        value = part if rv.ndim else part[0]
        if transform is not None:
            value = transform.backward(value, *rv.owner.inputs).eval()
        point[variable.name] = np.asarray(value)
    return point


def shape_key(graph: Graph, table: PriorTable) -> object | None:
    """What two graphs must share to run on the same compiled code; ``None`` if it cannot be told."""
    rows = []
    for row in table.rows:
        if row.prior is not None and not isinstance(row.prior, Prior):
            return None
        words = tuple(k for k, _ in row.prior.arguments) if row.prior else ()
        family = row.prior.distribution if row.prior else None
        rows.append(
            (row.parameter.kind, row.role, family, words, row.on, row.source, str(row.expression),
             cut_off(row), row.reference[0], row.parameter.name if row.expression else "")
        )  # fmt: skip
    names = tuple(p.parameter.name for p in table.rows) if table.role("determined") else ()
    return (
        tuple(rows),
        names,
        # What differs with the data's cells is data where the likelihood is a sum over them.
        graph.by_cell or (graph.inputs.integers.tobytes(), len(graph.inputs.data)),
        graph.inputs.reals.tobytes(),
        tuple((v.indices, v.scale, v.sizes) for v in graph.variables),
        graph.by_cell,
        tuple(graph.inputs.order),
        tuple((b.pairs, b.flat, b.wishart) for b in table.blocks),
        graph.coordinates and _of_coordinates(graph.coordinates),
    )


def _of_coordinates(found: PathCoordinates) -> tuple[object, ...]:
    return found.paths, found.variables, len(found.numbers)
