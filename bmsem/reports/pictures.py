"""The plots and the diagram of a report, with words for those who do not see them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any

from bmsem.errors import BmsemError
from bmsem.plots import Plots
from bmsem.reports.answers import Answer, TrialAnswers
from bmsem.reports.document import Picture
from bmsem.reports.words import figure
from bmsem.results import FitResults

_DPI = 110


def drawn(name: str, alt: str, make: Callable[[], Any]) -> Picture:
    """A plot collection as a picture; its figure is closed."""
    import matplotlib.pyplot as plt

    collection = make()
    shown = collection.viz["figure"].item()
    buffer = BytesIO()
    shown.savefig(buffer, format="png", dpi=_DPI)
    plt.close(shown)
    return Picture(name, alt, buffer.getvalue(), "png")


def effects_picture(fit: FitResults, found: TrialAnswers) -> Picture:
    """The posterior densities of the main effects against their standards."""
    from bmsem.plots.posteriors import posterior_of

    answers = [found.total, *found.on_mediators.values(), *found.of_mediators.values()]
    draws = {a.name: draws_of(fit, found, a) for a in answers}
    standards = {a.name: a.standard for a in answers if a.standard is not None}
    alt = "Posterior densities: " + "; ".join(_said(a) for a in answers) + "."
    return drawn(
        "effects", alt,
        lambda: posterior_of(draws, standards, found.width, found.interval),
    )  # fmt: skip


def draws_of(fit: FitResults, found: TrialAnswers, answer: Answer) -> Any:
    """Draws of one of the first three questions' answers."""
    source, target = answer.name.split(" -> ")
    (effects,) = fit.level_effects_of(source, target, found.level or None)
    if source in found.mediators and effects.direct is not None:
        return effects.direct
    return effects.total


def _said(answer: Answer) -> str:
    text = (
        f"{answer.name} {figure(answer.estimate)}, interval {figure(answer.lower)} to "
        f"{figure(answer.upper)}"
    )
    if answer.p_exceeds is None:
        return text
    standard = figure(answer.standard or 0.0)
    return f"{text}, probability {answer.p_exceeds:.3f} beyond the standard {standard}"


def forest_picture(fit: FitResults) -> Picture:
    """All paths by level."""
    frame = fit.summary().frame
    rows = frame[frame["op"].isin(["~", "=~"])].to_dict("records")
    said = "; ".join(
        f"{r['lhs']} {r['op']} {r['rhs']} ({r['level']}) {r['median']:.2f}" for r in rows
    )
    return drawn("paths", f"Paths with intervals by level: {said}.", Plots(fit).forest)


def check_pictures(fit: FitResults) -> list[Picture]:
    """Convergence, and the data against what the model would make."""
    plot = Plots(fit)
    found = []
    if fit.parameters.shape[0] > 1 and len(fit.tech8().frame):
        last = fit.tech8().frame.iloc[-1]
        found.append(
            drawn(
                "psr", f"Potential scale reduction by iteration, {last['psr']:.3f} at the end.",
                plot.psr,
            )
        )  # fmt: skip
    if fit.has_unrestricted:
        value = fit.ppp().value
        found.append(
            drawn(
                "discrepancy",
                f"Chi-square of the data against that of replicated data; PPP = {value:.3f}.",
                plot.discrepancy,
            )
        )
        worst = fit.residuals().frame
        worst = worst[worst["moment"] == "correlation"]
        if len(worst):
            gap = float(worst["difference"].abs().max())
            found.append(
                drawn(
                    "correlations",
                    f"Correlations of the data and of the model by level; the largest difference is "
                    f"{gap:.2f}.",
                    plot.residuals,
                )
            )
    return found


def context_pictures(fit: FitResults, found: TrialAnswers) -> list[Picture]:
    """Slopes within and between clusters over the data."""
    pictures = []
    for x, answer in found.context.items():
        try:
            pictures.append(
                drawn(
                    f"context_{x}",
                    f"{found.outcome} against {x}: slopes within and between clusters; their "
                    f"difference is {figure(answer.estimate)}.",
                    partial(Plots(fit).context, found.outcome, x),
                )
            )
        except BmsemError:
            # Latent variables, or a fit without rows: there are no data to draw slopes over.
            continue
    return pictures


def moderation_picture(fit: FitResults, outcome: str, predictor: str, moderator: str) -> Picture:
    """A moderated path at values of its moderator."""
    rows = fit.simple_slopes(outcome, predictor, moderator).frame.to_dict("records")
    said = "; ".join(f"{moderator} {r[moderator]}: {figure(r['median'])}" for r in rows)
    return drawn(
        f"moderation_{outcome}_{predictor}",
        f"Slope of {outcome} on {predictor} by {moderator}: {said}.",
        partial(Plots(fit).simple_slopes, outcome, predictor, moderator),
    )


def slope_pictures(fit: FitResults) -> list[Picture]:
    """Varying slopes, cluster by cluster."""
    return [
        drawn(
            f"slope_{s.name}",
            f"Slopes of {s.outcome} on {s.predictor} by cluster, in order, with intervals.",
            partial(Plots(fit).caterpillar, s.name),
        )
        for s in fit.spec.slopes
    ]
