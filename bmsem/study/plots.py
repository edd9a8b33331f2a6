"""Plots of studies."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np

from bmsem.errors import ModelError, did_you_mean
from bmsem.study.measures import MEASURES

# Okabe & Ito's colours, which the colour-blind can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX"
_TITLES = {
    "bias": "Bias", "relative_bias": "Relative bias", "rmse": "RMSE", "coverage": "Coverage",
    "width": "Width of the interval", "excludes_zero": "Intervals without zero",
    "rmse_mean": "RMSE of the mean",
    "empirical_sd": "SD of the estimates", "posterior_sd": "Posterior SD",
}  # fmt: skip


def _figure(width: float, height: float) -> Any:
    """A figure that a notebook shows by itself, whether pyplot was imported or not."""
    from matplotlib.figure import Figure

    class Shown(Figure):
        def _repr_png_(self) -> bytes:
            buffer = BytesIO()
            self.savefig(buffer, format="png", dpi=100)
            return buffer.getvalue()

    return Shown(figsize=(width, height), layout="constrained")


def measures_figure(
    results: Any,
    effects: Sequence[str] | None,
    measures: Sequence[str],
    scenario: str | None,
    width: float,
) -> Any:
    """A panel for each effect (row) and measure (column), a line for each set of priors.

    ``results`` are a study's measures, ``width`` the width of its intervals.
    """
    known = [str(e) for e in results["effect"].values]
    effects = list(effects or known)
    scenarios = [str(s) for s in results["scenario"].values]
    chosen = scenario or scenarios[0]
    for name, among, what in (
        *((e, known, "effect") for e in effects),
        *((m, list(MEASURES), "measure") for m in measures),
        (chosen, scenarios, "scenario"),
    ):
        if name not in among:
            raise ModelError(f"The study has no {what} '{name}'. {did_you_mean(name, among)}")
    found = results.sel(scenario=chosen)
    clusters = results["clusters"].values
    figure = _figure(3.0 * len(measures) + 0.5, 2.4 * len(effects) + 0.7)
    panels = figure.subplots(len(effects), len(measures), squeeze=False, sharex=True)
    order = np.argsort(clusters)
    for i, name in enumerate(effects):
        for j, measure in enumerate(measures):
            axes = panels[i][j]
            for k, prior in enumerate(results["priors"].values):
                at = found.sel(effect=name, priors=prior)
                # Side by side, so that bars do not hide each other.
                shift = 1.0 + 0.02 * (k - (results.sizes["priors"] - 1) / 2)
                axes.errorbar(
                    clusters[order] * shift, at[measure].values[order],
                    yerr=2 * at[f"{measure}_mcse"].values[order], label=str(prior), capsize=2,
                    color=_COLOURS[k % len(_COLOURS)], marker=_MARKERS[k % len(_MARKERS)],
                    markersize=4, linewidth=1.2,
                )  # fmt: skip
            _reference(axes, measure, width)
            axes.set_xscale("log")
            axes.set_xticks(clusters, [str(c) for c in clusters])
            axes.minorticks_off()
            if i == 0:
                axes.set_title(_TITLES[measure], fontsize=10)
            if j == 0:
                axes.set_ylabel(name, fontsize=9)
            if i == len(effects) - 1:
                axes.set_xlabel("clusters", fontsize=9)
            axes.tick_params(labelsize=8)
            axes.spines[["top", "right"]].set_visible(False)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=9
    )
    return figure


def _reference(axes: Any, measure: str, width: float) -> None:
    at = {"bias": 0.0, "relative_bias": 0.0, "coverage": width}.get(measure)
    if at is not None:
        axes.axhline(at, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
    if measure in ("coverage", "excludes_zero"):
        axes.set_ylim(top=min(1.005, axes.get_ylim()[1]))
    if measure in ("rmse", "rmse_mean", "width", "empirical_sd", "posterior_sd", "excludes_zero"):
        axes.set_ylim(bottom=0)


def ranks_figure(ranks: dict[str, np.ndarray], draws: int) -> Any:
    """Histograms of ranks 0 .. ``draws`` with the band that 95% of uniform counts lie in."""
    from scipy.stats import binom

    names = list(ranks)
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = _figure(3.0 * columns, 2.0 * rows + 0.3)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for axes, name in zip(panels, names, strict=False):
        values = ranks[name]
        bins = max(2, min(20, len(values) // 10))
        edges = np.linspace(0, draws + 1, bins + 1).round()
        axes.hist(values, bins=edges - 0.5, color=_COLOURS[0], alpha=0.75)
        low, high = (float(binom.ppf(q, len(values), 1.0 / bins)) for q in (0.025, 0.975))
        axes.axhspan(low, high, color="0.75", alpha=0.6, zorder=0)
        axes.axhline(len(values) / bins, color="0.4", linewidth=0.8)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.supxlabel(f"rank of the truth among {draws} posterior draws", fontsize=9)
    return figure
