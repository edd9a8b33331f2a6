"""Data against what the model would make: predictive checks and implied correlations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.criteria.incomplete import replicated_rows
from bmsem.criteria.predictive import spaced
from bmsem.criteria.replicate import replicated_means
from bmsem.data import BoundModel
from bmsem.data.statistics import observed_moments
from bmsem.errors import ModelError, did_you_mean
from bmsem.likelihood.reduced import cluster_rows, reduced_form
from bmsem.plots.style import (
    BLUE,
    DIVERGING,
    GREY,
    ORANGE,
    grid_size,
    panels,
    styled,
)  # fmt: skip
from bmsem.tables import number

if TYPE_CHECKING:
    from bmsem.results import FitResults

Array = NDArray[np.float64]

# Points of a scatter, and replicated data sets of a density.
_POINTS, _REPLICATES = 2000, 200


@styled
def discrepancy(fit: FitResults) -> Any:
    """D(y, theta) against D(y_rep, theta), overall and by level: points above the line count in PPP."""
    found = fit.ppp()
    names = {p: p if p == "overall" else f"{p} level" for p in found.draws.parts()}
    collection, axes_of = panels(list(names.values()), width=2.7, height=2.8)
    for part, name in names.items():
        observed, replicated = found.draws.pair(part)
        kept = spaced(len(observed), _POINTS)
        x, y = observed[kept], replicated[kept]
        above = y > x
        axes = axes_of[name]
        for where, colour in ((above, BLUE), (~above, ORANGE)):
            axes.scatter(x[where], y[where], s=5, alpha=0.35, color=colour, linewidths=0)
        low, high = np.quantile(np.concatenate([x, y]), [0.001, 0.999])
        axes.plot([low, high], [low, high], color=GREY, linewidth=0.9)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_title(f"{name}: PPP = {found.at(part):.3f}")
        axes.set_xlabel("χ² of the data")
    axes_of[names["overall"]].set_ylabel("χ² of replicated data")
    return collection


@styled
def moments(fit: FitResults, moment: str) -> Any:
    """Each correlation, variance or mean of the data beside the interval of its replicates."""
    kinds = ("correlation", "variance", "mean")
    if moment not in kinds:
        raise ModelError(f"Unknown moment '{moment}'. {did_you_mean(moment, kinds)}")
    frame = fit.predictive_checks().frame
    frame = frame[frame["moment"] == moment]
    levels = [level for level in frame["level"].unique() if (frame["level"] == level).any()]
    if not levels:
        raise ModelError(f"The model leaves no {moment} to check.")
    titles = {level: f"{level} level" if level else "model" for level in levels}
    most = max(int((frame["level"] == level).sum()) for level in levels)
    collection, axes_of = panels(
        list(titles.values()), columns=2, width=3.5, height=1.0 + 0.22 * most
    )
    for level, title in titles.items():
        own, axes = frame[frame["level"] == level], axes_of[title]
        at = np.arange(len(own))
        outside = ((own["ppp"] < 0.025) | (own["ppp"] > 0.975)).to_numpy()
        observed, median, lower, upper = _comparable(own, moment)
        axes.hlines(at, lower, upper, color=GREY, linewidth=3, alpha=0.6)
        axes.plot(median, at, "|", color="black", markersize=7)
        for where, colour, marker in ((~outside, BLUE, "o"), (outside, ORANGE, "D")):
            axes.plot(observed[where], at[where], marker, color=colour, markersize=4.5)
        labels = [
            f"{r['variable']}, {r['with']}" if r["with"] else r["variable"]
            for r in own.to_dict("records")
        ]
        axes.set_yticks(at, labels)
        axes.set_ylim(most - 0.5, -0.5)
        axes.set_title(title)
    scale = {"variance": "variance / that of the data", "mean": "mean, in SDs of the replicates"}
    collection.viz["figure"].item().supxlabel(
        f"{scale.get(moment, moment)}\ndata ● (◆ outside of the replicates' 95%, grey)", fontsize=9
    )
    return collection


def _comparable(own: pd.DataFrame, moment: str) -> list[Array]:
    """Observed, median, lower and upper of variables of any scale."""
    values = [own[k].to_numpy(float) for k in ("observed", "median", "lower", "upper")]
    if moment == "variance":
        return [v / values[0] for v in values]
    if moment == "mean":
        spread = (values[3] - values[2]) / 3.92
        return [(v - values[1]) / spread for v in values]
    return values


@styled
def cluster_means(fit: FitResults, names: str | Sequence[str] | None, seed: int) -> Any:
    """Distribution over clusters of each variable's means: the data's, and replicated ones."""
    from arviz_stats.base import array_stats

    fit.require_one_covariance("Replicated cluster means")
    if not fit.spec.multilevel:
        raise ModelError("A model without levels has no clusters.")
    structure = fit.bound.structure
    known = [*structure.between_outcomes, *structure.outcomes]
    chosen = [names] if isinstance(names, str) else list(names or known)
    for name in chosen:
        if name not in known:
            raise ModelError(
                f"No variable '{name}' with cluster means to model. {did_you_mean(name, known)}"
            )
    used = spaced(len(fit.flat_parameters), _REPLICATES)
    random = np.random.default_rng([seed, crc32(b"replicates")])
    observed, replicated = _means_of_clusters(fit.bound, fit.flat_parameters[used], random)
    columns, _ = grid_size(len(chosen), 3)
    collection, axes_of = panels(chosen, columns=columns, width=2.9, height=2.3)
    for name in chosen:
        i, axes = known.index(name), axes_of[name]
        there = ~np.isnan(observed[:, i])
        for draw in replicated[:60, there, i]:
            grid, density, _ = array_stats.kde(draw)
            axes.plot(grid, density, color=BLUE, alpha=0.12, linewidth=0.8)
        own = observed[there, i]
        grid, density, _ = array_stats.kde(own)
        axes.plot(grid, density, color="black", linewidth=1.8)
        axes.plot(own, np.zeros(len(own)), "|", color="black", markersize=7, clip_on=False)
        spread = replicated[:, there, i].std(axis=1, ddof=1)
        p = float(np.mean(spread > own.std(ddof=1)))
        axes.set_title(f"{name}, means of clusters\nP(replicated SD > SD) = {p:.2f}")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("data (black), replicated (blue)")
    return collection


def _means_of_clusters(
    bound: BoundModel, parameters: Array, random: np.random.Generator
) -> tuple[Array, Array]:
    """Means (J, q) of what is observed in each cluster, and those of replicates (D, J, q)."""
    q, p = bound.structure.between.observed, len(bound.structure.outcomes)
    if bound.gaps is None:
        rows = cluster_rows(bound)
        means = replicated_means(reduced_form(bound, parameters), rows, random)
        return rows.outcomes + bound.shift[:q], means + bound.shift[:q]
    assert bound.moments is not None and bound.people is not None
    found = []
    for people, between in replicated_rows(bound, parameters, random):
        y = np.where(bound.gaps.observed, people[:, :p], np.nan)
        means = observed_moments(y, bound.people.clusters, bound.clusters).means
        found.append(np.hstack([np.where(bound.gaps.between, between, np.nan), means]))
    return np.hstack([bound.between_outcomes, bound.moments.means[:, :p]]), np.array(found)


@styled
def residuals(fit: FitResults) -> Any:
    """Correlations by level: the data's below the diagonal, the implied ones above it.

    Colours are differences, data less model.
    """
    import matplotlib as mpl

    frame = fit.residuals().frame
    frame = frame[frame["moment"] == "correlation"]
    levels = list(frame["level"].unique())
    if not levels:
        raise ModelError("The model has no pair of variables to correlate.")
    titles = {level: f"{level} level" if level else "model" for level in levels}
    most = max(len(set(own["variable"]) | set(own["with"])) for _, own in frame.groupby("level"))
    side = max(2.8, 0.55 * most + 1.0)
    collection, axes_of = panels(list(titles.values()), columns=2, width=side + 0.5, height=side)
    widest = max(0.1, float(np.nanmax(np.abs(frame["difference"]))))
    norm = mpl.colors.Normalize(-widest, widest)
    colours = mpl.colormaps[DIVERGING]
    for level, title in titles.items():
        own, axes = frame[frame["level"] == level], axes_of[title]
        names = list(dict.fromkeys([*own["with"], *own["variable"]]))
        matrix = np.full((len(names), len(names)), np.nan)
        for r in own.to_dict("records"):
            i, j = sorted((names.index(r["variable"]), names.index(r["with"])))
            matrix[j, i] = matrix[i, j] = r["difference"]
            for row, column, value in ((j, i, r["observed"]), (i, j, r["median"])):
                dark = abs(r["difference"]) > 0.6 * widest
                axes.text(
                    column, row, number(value, 2), ha="center", va="center", fontsize=8,
                    color="white" if dark else "black",
                )  # fmt: skip
        axes.imshow(matrix, cmap=colours, norm=norm)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(length=0)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.set_title(f"{title}: data below, model above")
    collection.viz["figure"].item().colorbar(
        mpl.cm.ScalarMappable(norm, colours), ax=list(axes_of.values()), shrink=0.7,
        label="data - model",
    )  # fmt: skip
    return collection
