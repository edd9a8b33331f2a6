"""The sections of a report, from a fit and its answers."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from bmsem.descriptives import design_effects
from bmsem.errors import BmsemError
from bmsem.reports import pictures, words
from bmsem.reports.answers import Answer, TrialAnswers
from bmsem.reports.document import Block, Document, Section
from bmsem.results import FitResults
from bmsem.tables import Grid, Row, Table, Tabular, Written, number

# Below this the between level's estimates lean on the prior (McNeish & Stapleton 2016, Educational
# Psychology Review 28, 295-314).
FEW_CLUSTERS = 30
# Of the posterior predictive p-value.
DOUBTFUL = 0.05


def document(fit: FitResults, found: TrialAnswers, title: str, figures: bool) -> Document:
    """Everything that the report says."""
    sections = [
        Section("What was fitted", _setup(fit, found, figures)),
        Section(
            f"1. Does {found.treatment} affect {found.outcome}?",
            (*words.question_outcome(found), answers_table([found.total, found.direct], found)),
        ),
        Section(
            f"2. Does {found.treatment} affect the mediators?",
            (*words.question_mediators(found), answers_table(found.on_mediators.values(), found)),
        ),
        Section(
            f"3. Do the mediators affect {found.outcome}?",
            (*words.question_paths(found), answers_table(found.of_mediators.values(), found)),
        ),
        Section("Mediation", _mediation(found)),
    ]
    if not found.mediators:
        sections = sections[:2]
    if figures:
        sections[1] = Section(
            sections[1].title, (*sections[1].blocks, pictures.effects_picture(fit, found))
        )
    if found.context:
        drawn = pictures.context_pictures(fit, found) if figures else []
        table = answers_table(found.context.values(), found)
        sections.append(Section("Context effects", (*words.context(found), table, *drawn)))
    if found.moderated:
        sections.append(Section("Moderation", _moderation(fit, found, figures)))
    if fit.spec.slopes:
        sections.append(Section("Slopes that vary", _slopes(fit, found, figures)))
    if found.others:
        table = answers_table(found.others, found)
        sections.append(Section("Other effects against standards", (table,)))
    sections += [
        Section("Convergence and fit", _fit(fit, figures)),
        Section("Clustering", _clustering(fit)),
        Section("Every estimate", _estimates(fit, found, figures)),
        Section("Priors", _priors(fit)),
    ]
    kept = tuple(s for s in sections if s.blocks)
    return Document(title, fit.convergence.lines, fit.converged, tuple(words.summary(found)), kept)


def answers_table(answers: Iterable[Answer | None], found: TrialAnswers) -> Written:
    """Answers as rows, each with the parameter that it comes from."""
    shown = [a for a in answers if a is not None]
    kind = "HPD" if found.interval == "hpd" else "equal-tailed"
    columns: dict[str, list[str]] = {
        "Effect": [a.name.replace("->", "→") for a in shown],
        "Parameter": [a.parameter for a in shown],
        "Estimate": [number(a.estimate) for a in shown],
        "SD": [number(a.sd) for a in shown],
        f"{found.width:.0%} {kind}": [f"[{number(a.lower)}, {number(a.upper)}]" for a in shown],
        "Margins of error": [f"{number(a.margin_lower)}, {number(a.margin_upper)}" for a in shown],
        "Zero excluded": ["yes" if a.nonzero else "no" for a in shown],
    }
    if any(a.standard is not None for a in shown):
        meant = {True: "yes", False: "not shown", None: ""}
        columns |= {
            "Standard": [_known(a.standard) for a in shown],
            "P(beyond)": [_known(a.p_exceeds) for a in shown],
            "Meaningful": [meant[a.meaningful] for a in shown],
        }
    rows = tuple(Row(cells) for cells in zip(*columns.values(), strict=True))
    heads = tuple(columns)
    text = tuple(heads.index(h) for h in ("Effect", "Parameter", "Zero excluded", "Meaningful")
                 if h in heads)  # fmt: skip
    return Written(Grid(heads, rows, text_columns=text))


def _known(value: float | None) -> str:
    return "" if value is None else number(value)


def _setup(fit: FitResults, found: TrialAnswers, figures: bool) -> tuple[Block, ...]:
    chains, draws = fit.parameters.shape[:2]
    blocks: list[Block] = [
        f"{fit.bound.size}. Posterior of {chains} chains of {draws:,} draws, priors "
        f"{fit.settings.get('priors', '')}. Estimates are posterior medians, intervals "
        f"{'highest-density' if found.interval == 'hpd' else 'equal-tailed'} intervals of "
        f"{found.width:.0%}. The parameter that a number comes from stands beside it, `like this`."
    ]
    if fit.spec.multilevel and fit.bound.clusters < FEW_CLUSTERS:
        blocks.append(
            f"There are only {fit.bound.clusters} clusters: what happens between them leans on the "
            f"prior. Look at the section on priors, and at fit.prior_sensitivity()."
        )
    if figures:
        blocks.append(diagram_picture(fit))
    return tuple(blocks)


def diagram_picture(fit: FitResults) -> Block:
    """The path diagram with estimates, or what is missing to draw it."""
    from bmsem.diagrams import diagram

    made = diagram(fit)
    try:
        content = made.svg()
    except BmsemError as error:
        return f"The path diagram is left out: {error}"
    alt = f"Path diagram with estimates. {made}"
    return pictures.Picture("diagram", alt, content.encode(), "svg")


def _mediation(found: TrialAnswers) -> tuple[Block, ...]:
    blocks: list[Block] = list(words.mediation(found))
    if found.chains:
        blocks.append(answers_table([c.omnibus for c in found.chains], found))
    return tuple(blocks)


def _moderation(fit: FitResults, found: TrialAnswers, figures: bool) -> tuple[Block, ...]:
    """Simple slopes of every moderated path on the way."""
    blocks: list[Block] = []
    for outcome, predictor, moderator in found.moderated:
        blocks.append(
            fit.simple_slopes(
                outcome, predictor, moderator, width=found.width, interval=found.interval
            )
        )
        if figures:
            blocks.append(pictures.moderation_picture(fit, outcome, predictor, moderator))
    return tuple(blocks)


def _slopes(fit: FitResults, found: TrialAnswers, figures: bool) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for slope in fit.spec.slopes:
        rows = {r.name: r for r in fit.rows}
        variance = rows.get(f"{slope.name} ~~ {slope.name}")
        text = f"The path from {slope.predictor} to {slope.outcome} varies between clusters."
        if variance is not None:
            frame = fit.summary(found.width, found.interval).frame
            own = frame[(frame["lhs"] == slope.name) & (frame["rhs"] == slope.name)].iloc[0]
            text += (
                f" The variance of the slope {slope.name} is {words.figure(own['median'])} "
                f"({found.width:.0%} CrI = {words.figure(own['lower'])} to "
                f"{words.figure(own['upper'])}; `{variance.full_name}`). An interval of a variance "
                f"cannot include zero: compare with a model without the varying slope by "
                f"bmsem.compare, or see fit.zero_variance."
            )
        blocks.append(text)
    if figures:
        blocks += pictures.slope_pictures(fit)
    return tuple(blocks)


def _fit(fit: FitResults, figures: bool) -> tuple[Block, ...]:
    blocks: list[Block] = [" ".join(fit.convergence.lines)]
    if fit.has_unrestricted:
        found = fit.ppp()
        low, high = found.interval
        says = (
            "data replicated from the model look like the data"
            if found.value >= DOUBTFUL
            else "the model does not reproduce the data: look at the correlations below"
        )
        blocks.append(
            f"The posterior predictive p-value is {found.value:.3f} (95% interval of the chi-square "
            f"difference: {words.figure(low)} to {words.figure(high)}): {says}."
        )
    blocks.append(fit.fit_measures())
    if figures:
        blocks += pictures.check_pictures(fit)
    return tuple(blocks)


def _clustering(fit: FitResults) -> tuple[Block, ...]:
    if not fit.spec.multilevel:
        return ()
    if not fit.has_unrestricted:
        return (
            "Intraclass correlations of the model are not defined here: the covariances differ "
            "between clusters. bmsem.icc(data, …) has those of the data.",
        )
    frame = fit.icc().frame
    frame = frame[frame["what"] == "icc"].drop(columns="what")
    sizes = fit.bound.cluster_sizes.astype(float)
    effects = pd.DataFrame([design_effects(v, sizes) for v in frame["median"]])
    for key in ("deff", "deft"):
        frame[key] = effects[key].to_numpy() if len(effects) else []
    note = (
        "deff: how many times larger the variance of a mean is than without clusters; deft: its "
        "square root, of the standard error (Kish 1965)."
    )
    return (Table(frame, "Intraclass correlations and design effects", (note,)),)


def _estimates(fit: FitResults, found: TrialAnswers, figures: bool) -> tuple[Block, ...]:
    table: Tabular = fit.summary(found.width, found.interval)
    square = fit.r_square(found.width, found.interval)
    blocks: list[Block] = [table]
    if len(square):
        blocks.append(Table(square, "R-square"))
    if figures:
        blocks.append(pictures.forest_picture(fit))
    return tuple(blocks)


def _priors(fit: FitResults) -> tuple[Block, ...]:
    table = fit.prior_table
    if table is None:
        return (Table(fit.priors, "Priors"),) if len(fit.priors) else ()
    return (table,)
