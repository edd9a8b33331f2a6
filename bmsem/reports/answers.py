"""The three questions of a randomized explanatory trial, answered in numbers.

Does the intervention affect the outcome? Does it affect each mediator? Does each mediator affect the
outcome? (Jaccard, *Group Administered Interventions and Cluster Designs*, "The Core Questions of a
RET".) Then mediation, link by link (the joint significance test: MacKinnon, Lockwood, Hoffman, West &
Sheets 2002, Psychological Methods 7, 83-104) and as omnibus indirect effects; and context effects,
between less within coefficients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsem.effects.meaning import judge
from bmsem.effects.paths import (
    Chain,
    LevelEffects,
    contextual_effects,
    moderated_paths,
    require_names,
)
from bmsem.errors import ModelError
from bmsem.reports.standards import Standards
from bmsem.results import FitResults
from bmsem.results.quantities import record
from bmsem.spec import Level, Parameter

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """One effect: what it is, how large, and whether it matters.

    Attributes
    ----------
    name
        ``"treat -> mvpa"``.
    parameter
        What it is computed from, in labels or rows of the model: ``"p1bc*p3bc + p2bc*p4bc (tot)"``.
    level
        ``"within"``, ``"between"``, or ``""`` in a model without levels.
    estimate, sd, p, lower, upper
        Posterior median, SD, one-tailed p, and limits of the credible interval.
    margin_lower, margin_upper
        Margins of error: the limits less the estimate.
    nonzero
        Whether the interval excludes zero.
    standard
        What the effect must exceed to matter; ``None`` if none was given.
    meaningful
        Whether the whole interval is beyond the standard.
    p_exceeds, p_equivalent
        Posterior probabilities of being beyond the standard, and nearer to zero than it.
    verdict
        In words, of `bmsem.effects.meaning`.
    """

    name: str
    parameter: str
    level: str
    estimate: float
    sd: float
    p: float
    lower: float
    upper: float
    margin_lower: float
    margin_upper: float
    nonzero: bool
    standard: float | None = None
    meaningful: bool | None = None
    p_exceeds: float | None = None
    p_equivalent: float | None = None
    verdict: str = ""


@dataclass(frozen=True)
class ChainAnswer:
    """A chain from the treatment through mediators to the outcome.

    Attributes
    ----------
    variables
        In causal order.
    links
        An answer each arrow.
    omnibus
        The product of the links.
    unbroken
        Whether every link's interval excludes zero (joint significance).
    p_links
        Posterior probability that all links have the signs of their estimates.
    """

    variables: tuple[str, ...]
    links: tuple[Answer, ...]
    omnibus: Answer
    unbroken: bool
    p_links: float


@dataclass(frozen=True)
class TrialAnswers:
    """What the trial says, as data.

    Attributes
    ----------
    treatment, outcome, mediators
        Variables of the model.
    level
        At which the treatment acts.
    width, interval
        Of the credible intervals.
    total
        Effect of the treatment on the outcome, through all paths.
    direct
        Of the arrow from treatment to outcome itself; ``None`` if the model has none.
    on_mediators
        Total effect of the treatment on each mediator.
    of_mediators
        Effect of each mediator on the outcome: the arrow, or the total effect where there is none.
    chains
        Every chain from the treatment to the outcome.
    context
        Between less within coefficient of each path to the outcome that stands at both levels, by
        predictor.
    others
        Standards that were given for something else.
    moderated
        (outcome, predictor, moderator) of every product on the way from treatment to outcome.
    notes
        What these products mean for the effects above.
    """

    treatment: str
    outcome: str
    mediators: tuple[str, ...]
    level: str
    width: float
    interval: str
    total: Answer
    direct: Answer | None
    on_mediators: Mapping[str, Answer]
    of_mediators: Mapping[str, Answer]
    chains: tuple[ChainAnswer, ...]
    context: Mapping[str, Answer]
    others: tuple[Answer, ...]
    moderated: tuple[tuple[str, str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain values, ready for `json.dumps`."""
        return asdict(self)

    @property
    def all(self) -> tuple[Answer, ...]:
        """Every answer once, in the order of the questions."""
        found = [
            self.total, *([self.direct] if self.direct else []), *self.on_mediators.values(),
            *self.of_mediators.values(), *(a for c in self.chains for a in (*c.links, c.omnibus)),
            *self.context.values(), *self.others,
        ]  # fmt: skip
        return tuple({(a.name, a.parameter): a for a in found}.values())


def trial_answers(
    fit: FitResults,
    treatment: str,
    outcome: str,
    mediators: Sequence[str] | None,
    standards: Mapping[str, float],
    *,
    level: str | None,
    width: float,
    interval: str | None,
) -> TrialAnswers:
    """Answer the questions from a fit; see `bmsem.reports.report.report` for what is raised."""
    kind = fit.checked_interval(width, interval)
    effects = _effects(fit, treatment, outcome, level)
    at = effects.level
    chosen = _mediators(fit, effects, mediators)
    rules = Standards(fit, standards, treatment, outcome, chosen, at)

    def answer(name: str, parameter: str, draws: Array, where: Level = at) -> Answer:
        return _answer(name, parameter, np.asarray(draws), where, rules, width, kind)

    def total(found: LevelEffects) -> Answer:
        name = f"{found.source} -> {found.target}"
        return answer(name, _sum(fit, found), found.total)

    on = {m: total(_effects(fit, treatment, m, at)) for m in chosen}
    of = {}
    for m in chosen:
        found = _effects(fit, m, outcome, at)
        arrow = next((c for c in found.chains if c.direct), None)
        of[m] = (
            total(found) if arrow is None
            else answer(f"{m} -> {outcome}", _product(fit, arrow, at), arrow.draws)
        )  # fmt: skip
    chains = []
    for chain in effects.chains:
        if chain.direct or not set(chain.variables[1:-1]) & set(chosen):
            continue
        links = tuple(
            answer(f"{k.source} -> {k.target}", _row_name(fit, at, k.source, k.target), k.draws)
            for k in chain.links
        )
        same = [np.sign(k.draws) == np.sign(np.median(k.draws)) for k in chain.links]
        chains.append(
            ChainAnswer(
                chain.variables, links, answer(str(chain), _product(fit, chain, at), chain.draws),
                all(link.nonzero for link in links), float(np.all(same, axis=0).mean()),
            )
        )  # fmt: skip
    arrow = next((c for c in effects.chains if c.direct), None)
    direct = (
        None
        if arrow is None or len(effects.chains) == 1
        else answer(f"direct {arrow}", _product(fit, arrow, at), arrow.draws)
    )
    context = {
        x: answer(
            f"context effect of {x} on {y}",
            f"{_row_name(fit, 'between', x, y)} - {_row_name(fit, 'within', x, y)}",
            between - within,
        )
        for (y, x), (within, between) in contextual_effects(fit.bound, fit.parameters).items()
        if y == outcome
    }
    whole = total(effects)
    others = tuple(answer(name, name, rules.draws[name]) for name in rules.unused())
    return TrialAnswers(
        treatment, outcome, chosen, at or "", width, kind, whole, direct, on, of, tuple(chains),
        context, others, _moderated(fit, effects, treatment), fit.moderation_notes([effects]),
    )  # fmt: skip


def _moderated(
    fit: FitResults, effects: LevelEffects, treatment: str
) -> tuple[tuple[str, str, str], ...]:
    """Products on the way; the treatment is the moderator, if it is a part of one."""
    on_way = {v for chain in effects.chains for v in chain.variables}
    found = []
    for outcome, left, right in moderated_paths(fit.bound, effects.level):
        if outcome in on_way and {left, right} & on_way:
            found.append((outcome, left, right) if right == treatment else (outcome, right, left))
    return tuple(found)


def _effects(fit: FitResults, source: str, target: str, level: str | None) -> LevelEffects:
    found = fit.level_effects_of(source, target, level)
    if len(found) > 1:
        raise ModelError(
            f"{source} acts on {target} at both levels. Say which one the trial is about: add "
            f"level='between', or level='within'."
        )
    return found[0]


def _mediators(
    fit: FitResults, effects: LevelEffects, given: Sequence[str] | None
) -> tuple[str, ...]:
    between = list(dict.fromkeys(v for c in effects.chains for v in c.variables[1:-1]))
    if given is None:
        return tuple(between)
    if isinstance(given, str):
        given = [given]
    require_names(fit.bound, *given)
    for name in given:
        if name not in between:
            known = ", ".join(between) or "none"
            raise ModelError(
                f"'{name}' is no mediator: no path leads from '{effects.source}' through it to "
                f"'{effects.target}'. Mediators of the model: {known}."
            )
    return tuple(dict.fromkeys(given))


def _answer(
    name: str,
    parameter: str,
    draws: Array,
    level: Level,
    rules: Standards,
    width: float,
    kind: str,
) -> Answer:
    found = record(draws, width, kind)
    label, standard = rules.of(name, draws)
    shown = parameter if label is None or label in parameter.split() else f"{parameter} ({label})"
    lower, upper, estimate = found["lower"], found["upper"], found["median"]
    common = (
        name, shown, level or "", estimate, found["sd"], found["p_one_tailed"], lower, upper,
        lower - estimate, upper - estimate, bool(found["star"]),
    )  # fmt: skip
    if standard is None:
        return Answer(*common)
    meaning = judge(draws, standard, estimate, lower, upper)
    return Answer(
        *common, standard, meaning.clears, meaning.p_exceeds, meaning.p_equivalent, meaning.verdict
    )


def _row(fit: FitResults, level: Level, source: str, target: str) -> Parameter | None:
    for row in fit.spec.parameters:
        ends = (row.rhs, row.lhs) if row.op == "~" else (row.lhs, row.rhs)
        if row.level == level and row.op in ("~", "=~") and ends == (source, target):
            return row
    return None


def _row_name(fit: FitResults, level: Level, source: str, target: str) -> str:
    """The label of an arrow, or its row."""
    row = _row(fit, level, source, target)
    if row is None:
        # The mean of a varying slope, or the coefficient of a product.
        return f"{target} ~ {source}"
    return row.label or (row.full_name if row.free else f"{row.fixed:g}")


def _product(fit: FitResults, chain: Chain, level: Level) -> str:
    names = [_row_name(fit, level, k.source, k.target) for k in chain.links]
    return " * ".join(f"({n})" if " " in n and len(names) > 1 else n for n in names)


def _sum(fit: FitResults, effects: LevelEffects) -> str:
    if effects.loops:
        return f"total effect of {effects.source} on {effects.target} with feedback"
    return " + ".join(_product(fit, c, effects.level) for c in effects.chains)
