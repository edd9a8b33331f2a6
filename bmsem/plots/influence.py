"""Which clusters matter for leave-one-out, and how models compare by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bmsem.plots.style import BLUE, GREY, ORANGE, panels, styled

if TYPE_CHECKING:
    from bmsem.results import FitResults

# Units named in the plot beside those whose Pareto k is too large.
_NAMED = 5


@styled
def loo(fit: FitResults, unit: str | None) -> Any:
    """Pareto k of every cluster (or person), and how well each is predicted without itself."""
    found = fit.loo(unit)
    own = found.pointwise
    names = ["influence", "prediction"]
    collection, axes_of = panels(names, columns=2, width=3.8, height=2.9)
    at = np.arange(len(own))
    large = (own["pareto_k"] > found.good_k).to_numpy()
    for axes, column, label in (
        (axes_of["influence"], "pareto_k", f"Pareto k: influence of the {found.unit}"),
        (axes_of["prediction"], "elpd", f"elpd of the {found.unit}, left out"),
    ):
        values = own[column].to_numpy()
        for where, colour, marker in ((~large, BLUE, "o"), (large, ORANGE, "D")):
            axes.plot(at[where], values[where], marker, color=colour, markersize=3.8, alpha=0.8)
        order = np.argsort(-values if column == "pareto_k" else values)
        _name_some(axes, at, values, order, [str(i) for i in own.index])
        axes.set_ylabel(label)
        axes.set_xlabel(f"{found.unit}s in the order of the data")
    axes_of["influence"].axhline(found.good_k, color=ORANGE, linestyle="--", linewidth=1.0)
    axes_of["influence"].axhline(0.0, color=GREY, linewidth=0.8)
    axes_of["influence"].set_title(
        f"{int(large.sum())} of {len(own)} {found.unit}s above {found.good_k:.2f}"
    )
    axes_of["prediction"].set_title(f"elpd {found.elpd:,.1f} (SE {found.se:.1f})")
    return collection


def _name_some(axes: Any, x: Any, y: Any, order: Any, names: list[str]) -> None:
    """Name the first units in ``order`` whose names do not run into each other."""
    placed: list[Any] = []
    for i in order:
        at = axes.transAxes.inverted().transform(axes.transData.transform((x[i], y[i])))
        if any(abs(at[0] - p[0]) < 0.14 and abs(at[1] - p[1]) < 0.07 for p in placed):
            continue
        placed.append(at)
        right = at[0] > 0.85
        axes.annotate(
            names[i], (x[i], y[i]), xytext=(-4 if right else 4, 3), textcoords="offset points",
            fontsize=7.5, ha="right" if right else "left",
        )  # fmt: skip
        if len(placed) == _NAMED:
            break


@styled
def comparison(frame: pd.DataFrame) -> Any:
    """Differences of elpd to the best model, with two standard errors."""
    collection, axes_of = panels(["models"], width=5.2, height=1.0 + 0.32 * len(frame))
    axes = axes_of["models"]
    at = np.arange(len(frame))
    error = 2.0 * frame["se_difference"]
    axes.errorbar(
        frame["elpd_difference"], at, xerr=error, fmt="o", color=BLUE, capsize=3, markersize=5
    )
    axes.axvline(0.0, color=GREY, linewidth=0.8, linestyle="--")
    axes.set_yticks(at, [f"{r['model']} ({r['weight']:.2f})" for r in frame.to_dict("records")])
    axes.set_ylim(len(frame) - 0.4, -0.6)
    axes.set_xlabel("elpd less that of the best model (LOO), ± 2 standard errors")
    axes.set_title("Model (weight)")
    return collection
