"""Going on sampling: more draws, or draws until a criterion is met."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bmsem.errors import Interrupted, ModelError, did_you_mean
from bmsem.priors import PriorTable
from bmsem.sampling import Samples, sample

if TYPE_CHECKING:
    from bmsem.results.fit import FitResults

MIN_TUNE = 300


def extend[F: FitResults](
    fit: F,
    draws: int,
    *,
    tune: int | None = None,
    cores: int | None = None,
    progress: bool = False,
) -> F:
    """See `Fit.extend`."""
    if draws < 1:
        raise ModelError(f"draws must be at least 1, not {draws}.")
    table = fit.prior_table
    if table is None:
        raise ModelError(
            "This fit cannot be continued: it was stored without its priors, because one of them is "
            "a PyMC object. Fit the model again with more draws."
        )
    settings = fit.settings
    chains, done = fit.parameters.shape[:2]
    # The same fit extended in the same way gives the same draws.
    seed = settings.get("seed")
    entropy = (
        None if seed is None else int(np.random.SeedSequence([seed, done]).generate_state(1)[0])
    )
    try:
        found = _draw_more(fit, table, draws, tune, cores, entropy, progress)
    except (KeyboardInterrupt, Interrupted):
        return replace(fit, complete=False)
    if found.parameters.shape[0] != chains:
        # A chain that had made no draw when the others were stopped: nothing can be appended to it.
        return replace(fit, complete=False)
    new = {**found.statistics, "marginal_log_likelihood": found.log_likelihood}
    statistics = {
        name: np.concatenate([old, new[name]], axis=1)
        for name, old in fit.sample_stats.items()
        if name in new
    }
    timing = {
        key: fit.timing.get(key, 0.0) + found.seconds.get(key, 0.0)
        for key in ("compile", "sample", "total")
    }
    parameters = np.concatenate([fit.parameters, found.parameters], axis=1)
    sampled = fit.sampled
    if sampled is not None and found.sampled is not None:
        sampled = np.concatenate([sampled, found.sampled], axis=1)
    scores = fit.scores
    if scores is not None and found.scores is not None:
        scores = np.concatenate([scores, found.scores], axis=1)
    filled = fit.filled
    if filled is not None and found.filled is not None:
        filled = np.concatenate([filled, found.filled], axis=1)
    return replace(
        fit,
        parameters=parameters,
        sampled=sampled,
        scores=scores,
        filled=filled,
        sample_stats=statistics,
        settings={**settings, "draws": parameters.shape[1]},
        timing=timing,
        complete=found.complete,
    )


def _draw_more(
    fit: FitResults,
    table: PriorTable,
    draws: int,
    tune: int | None,
    cores: int | None,
    seed: int | None,
    progress: bool,
) -> Samples:
    settings = fit.settings
    first = settings.get("tune") or 1000
    return sample(
        fit.bound,
        table,
        draws=draws,
        tune=max(MIN_TUNE, first // 2) if tune is None else tune,
        chains=fit.parameters.shape[0],
        cores=cores,
        seed=seed,
        sampler=settings.get("sampler", "nutpie"),
        target_accept=settings.get("target_accept", 0.8),
        max_depth=settings.get("max_depth", 10),
        progress=progress,
        start_from=_last(fit),
    )


def _last(fit: FitResults) -> np.ndarray:
    """Where each chain stands: parameters, then the sampled quantities of clusters and people."""
    last = fit.parameters[:, -1]
    if fit.sampled is None:
        return last
    parts = [last, fit.sampled[:, -1].reshape(len(last), -1)]
    for own in (fit.scores, fit.filled):
        if own is not None:
            parts.append(own[:, -1].reshape(len(last), -1))
    return np.hstack(parts)


@dataclass(frozen=True)
class Criterion:
    """One condition of ``until``: a figure of `Convergence`, a relation and a number."""

    figure: str
    relation: str
    value: float

    def met(self, fit: FitResults) -> bool:
        """Whether the fit meets it; a figure that is not defined does not."""
        found = self.now(fit)
        return found < self.value if self.relation == "<" else found > self.value

    def now(self, fit: FitResults) -> float:
        verdict = fit.convergence
        match self.figure:
            case "psr":
                return verdict.max_psr
            case "rhat":
                return verdict.max_rhat
            case "ess_bulk":
                return verdict.min_ess_bulk
            case "ess_tail":
                return verdict.min_ess_tail
            case _:
                return min(verdict.min_ess_bulk, verdict.min_ess_tail)

    def __str__(self) -> str:
        return f"{self.figure}{self.relation}{self.value:g}"


_DIRECTION = {"psr": "<", "rhat": "<", "ess": ">", "ess_bulk": ">", "ess_tail": ">"}


def parse_until(text: str) -> tuple[Criterion, ...]:
    """Read ``"psr<1.01, ess>400"``.

    Figures: ``psr`` (Mplus's), ``rhat``, ``ess`` (the smaller of bulk and tail), ``ess_bulk``,
    ``ess_tail``.

    Raises
    ------
    ModelError
        If a condition cannot be read, or points the wrong way.

    >>> [str(c) for c in parse_until("psr<1.01, ess > 400")]
    ['psr<1.01', 'ess>400']
    """
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\w+)\s*([<>])=?\s*([0-9.]+(?:e[+-]?\d+)?)\s*", part)
        if match is None:
            raise ModelError(
                f"'{part.strip()}' is not a condition. Write for example until='psr<1.01, ess>400'."
            )
        figure, relation, number = match[1].lower(), match[2], match[3]
        if figure not in _DIRECTION:
            raise ModelError(f"Unknown figure '{figure}'. {did_you_mean(figure, _DIRECTION)}")
        if relation != _DIRECTION[figure]:
            raise ModelError(
                f"'{part.strip()}' points the wrong way: write {figure}{_DIRECTION[figure]}{number}."
            )
        try:
            value = float(number)
        except ValueError:
            raise ModelError(f"'{number}' in '{part.strip()}' is not a number.") from None
        found.append(Criterion(figure, relation, value))
    return tuple(found)


def extend_until[F: FitResults](
    fit: F,
    until: str,
    max_draws: int,
    *,
    cores: int | None = None,
    progress: bool = False,
    say: Callable[[str], None] | None = None,
) -> F:
    """Extend a fit until every condition is met, or it has ``max_draws`` draws a chain.

    Each round doubles the draws. An interruption keeps what there is.
    """
    criteria = parse_until(until)
    say = say or (lambda line: None)
    missing = list(criteria)
    try:
        while True:
            missing = [c for c in criteria if not c.met(fit)]
            done = fit.parameters.shape[1]
            if not missing or not fit.complete:
                break
            figures = ", ".join(f"{c.figure} is {c.now(fit):.4g}, wanted {c}" for c in missing)
            if done >= max_draws:
                say(f"Stopped at {done:,} draws a chain: {figures}")
                break
            more = min(done, max_draws - done)
            say(f"After {done:,} draws a chain {figures}: drawing {more:,} more")
            fit = fit.extend(more, cores=cores, progress=progress)
    except KeyboardInterrupt:
        # Whatever was going on, the draws there are stay.
        fit = replace(fit, complete=False)
    return replace(fit, settings={**fit.settings, "until": until, "until_met": not missing})
