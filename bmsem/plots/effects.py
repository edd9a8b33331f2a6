"""Estimates side by side: a forest of paths by level, and models by their predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsem.errors import ModelError
from bmsem.plots.style import BLACK, GREY, LEVEL_COLOURS, panels, styled
from bmsem.results.quantities import record

if TYPE_CHECKING:
    from bmsem.results import FitResults
    from bmsem.results.standardized import Standardization


@styled
def forest(
    fit: FitResults,
    names: str | Sequence[str] | None,
    standardized: Standardization | None,
    width: float,
    interval: str | None,
) -> Any:
    """Medians with intervals (thin: the width asked for, thick: half), level by level."""
    kind = fit.checked_interval(width, interval)
    groups = _groups(fit, names, standardized)
    rows = sum(len(found) + 1.4 for found in groups.values())
    collection, axes_of = panels(["effects"], width=5.6, height=0.8 + 0.235 * rows)
    axes = axes_of["effects"]
    at, ticks, labels = 0.0, [], []
    for title, found in groups.items():
        colour = LEVEL_COLOURS.get(title, BLACK)
        axes.text(
            -0.01, at, _heading(title), transform=axes.get_yaxis_transform(), ha="right",
            va="center", fontweight="bold", color=colour,
        )  # fmt: skip
        for name, draws in found.items():
            at += 1.0
            whole, half = record(draws, width, kind), record(draws, 0.5, kind)
            axes.plot([whole["lower"], whole["upper"]], [at, at], color=colour, linewidth=1.1)
            axes.plot([half["lower"], half["upper"]], [at, at], color=colour, linewidth=3.2)
            face = colour if whole["star"] else "white"
            axes.plot(whole["median"], at, "o", color=colour, markerfacecolor=face, markersize=5)
            ticks.append(at)
            labels.append(name)
        at += 1.4
    axes.axvline(0.0, color=GREY, linewidth=0.8, zorder=0)
    axes.set_yticks(ticks, labels)
    axes.set_ylim(at - 0.6, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    words = "HPD" if kind == "hpd" else "equal-tailed"
    scale = f" ({standardized.upper()})" if standardized else ""
    axes.set_xlabel(f"estimate{scale}, {width:.0%} and 50% {words} intervals\nhollow: includes 0")
    return collection


def _heading(title: str) -> str:
    return {"within": "Within", "between": "Between"}.get(title, title)


def _groups(
    fit: FitResults, names: str | Sequence[str] | None, standardized: Standardization | None
) -> dict[str, dict[str, Any]]:
    """Draws by level, then by what stands on the axis."""
    if names is not None:
        if standardized:
            raise ModelError(
                "Standardised estimates are of paths: leave out names, or standardized."
            )
        return {"": {name: fit.quantity(name) for name in fit.chosen_names(names)}}
    rows = fit.standardized_rows(standardized) if standardized else fit.rows
    found: dict[str, dict[str, Any]] = {}
    for row, draws in rows.items():
        if row.op not in ("~", "=~") or np.ptp(draws) == 0 or row.lhs in fit.spec.auxiliary:
            continue
        ends = (row.rhs, row.lhs) if row.op == "~" else (row.lhs, row.rhs)
        found.setdefault(row.level or "Paths", {})[f"{ends[0]} → {ends[1]}"] = draws
    if fit.defined and not standardized:
        found["Derived"] = dict(fit.defined)
    if not found:
        raise ModelError("The model has no paths, loadings or derived parameters to draw.")
    return found
