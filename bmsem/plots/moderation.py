"""How a path depends on a moderator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsem.plots.style import BLUE, COLOURS, GREY, ORANGE, panels, styled
from bmsem.results.quantities import quantities

if TYPE_CHECKING:
    from bmsem.results import FitResults

_STYLES = ("-", "--", ":", "-.")


@styled
def simple_slopes(
    fit: FitResults,
    outcome: str,
    predictor: str,
    by: str,
    at: Sequence[float] | None,
    width: float,
    interval: str | None,
) -> Any:
    """The path at values of the moderator, as lines with bands through the predictor's mean.

    Lines are the change of the outcome from where it is at the predictor's mean: the slopes alone.
    """
    kind = fit.checked_interval(width, interval)
    base, change, level = fit.moderated_slope(outcome, predictor, by)
    values = list(at) if at is not None else fit.moderator_values(by, level)
    varies = any((s.outcome, s.predictor) == (outcome, predictor) for s in fit.spec.slopes)
    mean, sd = fit.location(predictor, "within" if varies else level)
    grid = np.linspace(mean - 2.0 * sd, mean + 2.0 * sd, 60)
    collection, axes_of = panels(["slopes"], width=4.8, height=3.2)
    axes = axes_of["slopes"]
    for i, value in enumerate(values):
        slope = (base + change * value).ravel()
        band = quantities(slope[:, None] * (grid - mean), width, kind)
        colour = COLOURS[i % len(COLOURS)]
        found = quantities(slope[:, None], width, kind).iloc[0]
        axes.fill_between(grid, band["lower"], band["upper"], color=colour, alpha=0.18, linewidth=0)
        axes.plot(
            grid, band["median"], color=colour, linestyle=_STYLES[i % len(_STYLES)],
            label=f"{by} = {value:.3g}: {found['median']:.2f} "
                  f"[{found['lower']:.2f}, {found['upper']:.2f}]",
        )  # fmt: skip
    axes.axhline(0.0, color=GREY, linewidth=0.8, zorder=0)
    axes.set_xlabel(f"{predictor} (mean ± 2 SD)")
    axes.set_ylabel(f"change of {outcome}")
    axes.set_title(f"Slope of {outcome} on {predictor} by {by}")
    axes.legend(loc="best")
    return collection


@styled
def johnson_neyman(
    fit: FitResults,
    outcome: str,
    predictor: str,
    by: str,
    bounds: tuple[float, float] | None,
    width: float,
    interval: str | None,
) -> Any:
    """The slope against the moderator, with the region in which its interval excludes zero."""
    kind = fit.checked_interval(width, interval)
    base, change, level = fit.moderated_slope(outcome, predictor, by)
    regions = fit.johnson_neyman(outcome, predictor, by, width, interval, bounds).frame
    if bounds is None:
        mean, sd = fit.location(by, level)
        bounds = (mean - 3.0 * sd, mean + 3.0 * sd)
    grid = np.linspace(*bounds, 121)
    band = quantities(base.reshape(-1, 1) + change.reshape(-1, 1) * grid, width, kind)
    collection, axes_of = panels(["region"], width=4.8, height=3.2)
    axes = axes_of["region"]
    for row in regions.to_dict("records"):
        axes.axvspan(row["from"], row["to"], color=ORANGE, alpha=0.15, linewidth=0)
        for edge in (row["from"], row["to"]):
            if bounds[0] < edge < bounds[1]:
                axes.axvline(edge, color=ORANGE, linewidth=0.9, linestyle="--")
                axes.text(
                    edge, 0.02, f" {edge:.3g}", transform=axes.get_xaxis_transform(), fontsize=8,
                    color=ORANGE,
                )  # fmt: skip
    axes.fill_between(grid, band["lower"], band["upper"], color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(grid, band["median"], color=BLUE)
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    axes.set_xlim(*bounds)
    axes.set_xlabel(by)
    axes.set_ylabel(f"slope of {outcome} on {predictor}")
    where = "shaded: it excludes 0" if len(regions) else "it includes 0 throughout"
    axes.set_title(f"Johnson-Neyman region\n{width:.0%} interval of the slope ({where})")
    return collection
