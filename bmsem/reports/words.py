"""Answers as sentences, in the way of the chapter that the three questions come from."""

from __future__ import annotations

from collections.abc import Sequence

from bmsem.reports.answers import Answer, ChainAnswer, TrialAnswers
from bmsem.tables.numbers import number

_MINUS = "\N{MINUS SIGN}"


def figure(value: float) -> str:
    """A number in a sentence: two decimals, or three figures of small ones."""
    if value != 0 and abs(value) < 0.1:
        return f"{value:.3f}".replace("-", _MINUS)
    return number(value, 2).replace("-", _MINUS)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def interval(answer: Answer, width: float) -> str:
    return f"{width:.0%} credible interval (CrI) = {figure(answer.lower)} to {figure(answer.upper)}"


def effect(answer: Answer, what: str, width: float) -> str:
    """The estimate with its interval and margins of error, and whether it differs from zero."""
    sign = (
        "The interval does not include zero"
        if answer.nonzero
        else "The interval includes zero, so that an effect in either direction is credible"
    )
    return (
        f"{what} was {figure(answer.estimate)} ({interval(answer, width)}; `{answer.parameter}`). "
        f"The lower margin of error is {figure(answer.margin_lower)} and the upper margin of error is "
        f"{figure(answer.margin_upper)}. {sign} (one-tailed p {_p(answer.p)})."
    )


def against_standard(answer: Answer, width: float) -> str:
    """Whether the effect is meaningful; nothing if there is no standard."""
    if answer.standard is None:
        return ""
    s = answer.standard
    limit = answer.lower if s > 0 else answer.upper
    beyond = "above" if s > 0 else "below"
    which = "lower" if s > 0 else "upper"
    probability = (
        f"The posterior probability that it is {beyond} the standard is {answer.p_exceeds:.3f}."
    )
    if answer.meaningful:
        return (
            f"The standard of meaningfulness is {figure(s)}. The {which} limit of the interval, "
            f"{figure(limit)}, is beyond it: the effect can be judged meaningful with {width:.0%} "
            f"confidence. {probability}"
        )
    if answer.verdict.startswith("too small"):
        return (
            f"The standard of meaningfulness is {figure(s)}, and the whole interval is short of it: the "
            f"effect is too small to matter. {probability}"
        )
    past = abs(answer.estimate) > abs(s) and answer.estimate * s > 0
    start = "The estimate exceeds it, but the" if past else "Neither the estimate nor the"
    return (
        f"The standard of meaningfulness is {figure(s)}. {start} {which} limit of the interval, "
        f"{figure(limit)}, {'does not' if past else 'is beyond it'}: "
        f"it cannot be said with {width:.0%} confidence that the effect is meaningful. {probability}"
    )


def question_outcome(found: TrialAnswers) -> list[str]:
    """Does the intervention affect the outcome?"""
    text = effect(
        found.total,
        f"The estimated total effect of {found.treatment} on {found.outcome}"
        + (f" at the {found.level} level" if found.level else ""),
        found.width,
    )
    lines = [_joined(text, against_standard(found.total, found.width)), *found.notes]
    if found.direct is not None:
        what = "The direct effect, over and above the mediators,"
        lines.append(
            _joined(
                effect(found.direct, what, found.width),
                against_standard(found.direct, found.width),
            )
        )
    return lines


def question_mediators(found: TrialAnswers) -> list[str]:
    """Does the intervention affect each mediator?"""
    return [
        _joined(
            effect(a, f"The estimated effect of {found.treatment} on {m}", found.width),
            against_standard(a, found.width),
        )
        for m, a in found.on_mediators.items()
    ]


def question_paths(found: TrialAnswers) -> list[str]:
    """Does each mediator affect the outcome?"""
    unit = "between-cluster " if found.level == "between" else ""
    return [
        _joined(
            effect(
                a,
                f"The estimated {unit}effect of {m} on {found.outcome}, for every unit that {m} "
                f"increases,",
                found.width,
            ),
            against_standard(a, found.width),
        )
        for m, a in found.of_mediators.items()
    ]


def mediation(found: TrialAnswers) -> list[str]:
    """Each chain link by link, and the omnibus indirect effects."""
    if not found.chains:
        return [
            f"The model has no path from {found.treatment} to {found.outcome} through a mediator."
        ]
    lines = []
    whole = [c for c in found.chains if c.unbroken]
    broken = [c for c in found.chains if not c.unbroken]
    if whole:
        lines.append(
            f"By the joint significance test {listed([_names(c) for c in whole])} "
            f"{'is an unbroken chain' if len(whole) == 1 else 'are unbroken chains'}: every link's "
            f"interval excludes zero."
        )
    for chain in broken:
        bad = [link.name for link in chain.links if not link.nonzero]
        many = len(bad) > 1
        lines.append(
            f"The chain {_names(chain)} is broken: the interval{'s' if many else ''} of {listed(bad)} "
            f"include{'' if many else 's'} zero."
        )
    for chain in found.chains:
        lines.append(
            _joined(
                effect(
                    chain.omnibus,
                    f"The omnibus indirect effect through {_names(chain)}",
                    found.width,
                ),
                against_standard(chain.omnibus, found.width),
                f"The posterior probability that all links have the signs of their estimates is "
                f"{chain.p_links:.3f}.",
            )
        )
    return lines


def context(found: TrialAnswers) -> list[str]:
    """Whether paths differ between the levels."""
    lines = []
    for x, answer in found.context.items():
        size = f"{figure(answer.estimate)} ({interval(answer, found.width)}; `{answer.parameter}`)"
        if answer.nonzero:
            how = "stronger" if answer.estimate > 0 else "weaker (or more negative)"
            lines.append(
                f"There is a context effect: the coefficient of {x} is {how} between clusters than "
                f"within them, by {size}."
            )
        else:
            lines.append(
                f"There is no evidence of a context effect of {x}: its coefficient between clusters "
                f"less that within clusters is {size}, and the interval includes zero."
            )
    return lines


def summary(found: TrialAnswers) -> list[str]:
    """The conclusions, a line each."""
    lines = [_verdict(found.total, f"Total effect of {found.treatment} on {found.outcome}")]
    lines += [
        _verdict(a, f"Effect of {found.treatment} on {m}") for m, a in found.on_mediators.items()
    ]
    lines += [
        _verdict(a, f"Effect of {m} on {found.outcome}") for m, a in found.of_mediators.items()
    ]
    if found.chains:
        whole = [_names(c) for c in found.chains if c.unbroken]
        lines.append(f"Unbroken chains of mediation: {listed(whole) or 'none'}.")
    if found.context:
        real = [x for x, a in found.context.items() if a.nonzero]
        lines.append(f"Context effects: {listed(real) or 'none shown'}.")
    for outcome, predictor, moderator in found.moderated:
        lines.append(
            f"The effect of {predictor} on {outcome} depends on {moderator}; the effects above are "
            f"those where what they depend on is zero."
        )
    return lines


def _verdict(answer: Answer, title: str) -> str:
    if answer.meaningful:
        judged = "meaningful"
    elif answer.standard is not None and answer.nonzero:
        judged = "not zero, but not shown to be meaningful"
    else:
        judged = "not zero" if answer.nonzero else "not shown to differ from zero"
    limits = f"[{figure(answer.lower)}, {figure(answer.upper)}]"
    return f"{title}: {figure(answer.estimate)} {limits}, {judged}."


def listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _names(chain: ChainAnswer) -> str:
    return " → ".join(chain.variables)


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
