"""What differs between clusters: intercepts, slopes, and the context effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bmsem.effects.paths import contextual_effects
from bmsem.errors import DataError, ModelError
from bmsem.plots.style import BLUE, GREY, ORANGE, panels, styled
from bmsem.results.quantities import quantities

if TYPE_CHECKING:
    from bmsem.results import FitResults

Array = NDArray[np.float64]

# Names of so many clusters can be read on an axis.
_LABELLED = 60
# Lines of single clusters that are drawn through their people.
_LINES = 100


@styled
def caterpillar(fit: FitResults, name: str, width: float, interval: str | None, seed: int) -> Any:
    """A varying slope or intercept, cluster by cluster, in order."""
    kind = fit.checked_interval(width, interval)
    if not fit.spec.multilevel:
        raise ModelError("A model without levels has no clusters.")
    found = fit.latent(name, level="between", seed=seed)
    values = found.values.reshape(-1, found.sizes["cluster"])
    table = quantities(values, width, kind)
    order = np.argsort(table["median"].to_numpy())
    table = table.iloc[order]
    at = np.arange(len(order))
    labels = np.asarray([str(c) for c in found["cluster"].values])[order]
    collection, axes_of = panels(
        [name], width=max(5.0, min(10.0, 0.14 * len(order) + 1.5)), height=2.9
    )
    axes = axes_of[name]
    centre = float(np.median(values.mean(axis=1)))
    apart = (table["lower"] > centre) | (table["upper"] < centre)
    for where, colour in ((~apart, GREY), (apart, BLUE)):
        axes.vlines(
            at[where], table["lower"][where], table["upper"][where], color=colour, linewidth=1.3
        )
        axes.plot(at[where], table["median"][where], "o", color=colour, markersize=3.5)
    axes.axhline(centre, color=ORANGE, linewidth=1.0, linestyle="--")
    what = "slope" if name in {s.name for s in fit.spec.slopes} else "cluster mean"
    axes.set_ylabel(f"{name} ({what})")
    if len(order) <= _LABELLED:
        axes.set_xticks(at, labels, rotation=90, fontsize=7)
    else:
        axes.set_xticks([])
    axes.set_xlabel(f"{fit.spec.cluster or 'cluster'}s by their median, {width:.0%} intervals")
    axes.set_xlim(-1, len(order))
    axes.set_title(
        f"{int(apart.sum())} of {len(order)} intervals exclude the mean over clusters, {centre:.3g}"
    )
    return collection


@styled
def context(
    fit: FitResults, outcome: str, predictor: str, width: float, interval: str | None
) -> Any:
    """The within and the between slope of a pair of variables, over the data.

    What other predictors of the outcome do is taken out at the posterior medians (partial
    residuals), so that the lines have the data's slopes.
    """
    kind = fit.checked_interval(width, interval)
    pairs = contextual_effects(fit.bound, fit.parameters)
    if (outcome, predictor) not in pairs:
        known = ", ".join(f"{y} ~ {x}" for y, x in pairs) or "none"
        raise ModelError(
            f"There is no path {outcome} ~ {predictor} at both levels. Paths at both levels: {known}."
        )
    people = fit.bound.people
    if people is None:
        raise DataError("This plot needs the rows of the data; this fit has only statistics.")
    within, between = (d.ravel() for d in pairs[outcome, predictor])
    columns = [*fit.bound.structure.outcomes, *fit.bound.structure.within_covariates]
    for name in (outcome, predictor):
        if name not in columns:
            raise ModelError(f"'{name}' is latent: there are no data to draw the slopes over.")
    x, y, xc, yc, codes = _partial(fit, outcome, predictor, columns)
    collection, axes_of = panels(["context"], width=5.4, height=3.8)
    axes = axes_of["context"]
    axes.scatter(x, y, s=4, color=GREY, alpha=0.25, linewidths=0)
    slope = float(np.median(within))
    shown = np.unique(np.linspace(0, len(xc) - 1, min(len(xc), _LINES)).astype(int))
    for j in shown:
        own = x[codes == j]
        ends = np.quantile(own, [0.1, 0.9])
        axes.plot(ends, yc[j] + slope * (ends - xc[j]), color=BLUE, linewidth=0.9, alpha=0.7)
    size = 22 if len(xc) <= _LABELLED else 10
    axes.scatter(xc, yc, s=size, color=ORANGE, edgecolor="white", linewidths=0.4, zorder=3)
    grid = np.linspace(xc.min(), xc.max(), 50)
    off = grid - xc.mean()
    band = quantities(between[:, None] * off[None, :], width, kind)
    axes.fill_between(
        grid, yc.mean() + band["lower"], yc.mean() + band["upper"], color=ORANGE, alpha=0.2,
        linewidth=0,
    )  # fmt: skip
    middle = yc.mean() + band["median"]
    axes.plot(grid, middle, color="white", linewidth=3.6, zorder=4)
    axes.plot(grid, middle, color=ORANGE, linewidth=2, zorder=5)
    ends = quantities(np.stack([within, between, between - within], axis=1), width, kind)
    text = [
        f"{r['median']:.2f} [{r['lower']:.2f}, {r['upper']:.2f}]" for r in ends.to_dict("records")
    ]
    axes.set_title(f"within {text[0]} (blue), between {text[1]} (orange)\ncontext effect {text[2]}")
    axes.set_xlabel(predictor)
    others = _others(fit, outcome, predictor)
    axes.set_ylabel(outcome + (f", less what {', '.join(others)} do" if others else ""))
    return collection


def _others(fit: FitResults, outcome: str, predictor: str) -> list[str]:
    rows = [
        r for r in fit.spec.parameters if r.op == "~" and r.lhs == outcome and r.rhs != predictor
    ]
    return list(dict.fromkeys(r.rhs for r in rows))


def _partial(
    fit: FitResults, outcome: str, predictor: str, columns: list[str]
) -> tuple[Array, Array, Array, Array, NDArray[np.intp]]:
    """x, y of people and of clusters (means), y without the other predictors' parts.

    Of people of whom all these are observed.
    """
    people, bound = fit.bound.people, fit.bound
    assert people is not None
    used = {predictor, outcome, *(r.rhs for r in fit.spec.at("within", "~") if r.lhs == outcome)}
    needed = people.values[:, [i for i, n in enumerate(columns) if n in used]]
    values, codes = people.values, people.clusters
    left = np.arange(bound.clusters)
    whole = ~np.isnan(needed).any(axis=1)
    if not whole.all():
        values = values[whole]
        left, codes = np.unique(codes[whole], return_inverse=True)
    sizes = np.bincount(codes)

    def mean(values: Array) -> Array:
        return np.bincount(codes, values) / sizes

    def column(name: str) -> Array | None:
        return values[:, columns.index(name)] if name in columns else None

    x, y = column(predictor), column(outcome)
    assert x is not None and y is not None
    y = y.copy()
    for row in fit.spec.parameters:
        if row.op != "~" or row.lhs != outcome or row.rhs == predictor:
            continue
        coefficient = float(np.median(fit.rows[row])) if row.free else float(row.fixed or 0.0)
        other = column(row.rhs)
        if row.level == "between":
            covariates = bound.structure.between_covariates
            if row.rhs in covariates:
                own = bound.between_covariates[left, covariates.index(row.rhs)]
            elif other is not None:
                own = mean(other)
            elif row.rhs in bound.structure.between_outcomes:
                own = bound.between_outcomes[left, bound.structure.between_outcomes.index(row.rhs)]
                own = np.where(np.isnan(own), np.nanmean(own), own)
            else:
                # A factor or a product has no data to take out.
                continue
            y -= coefficient * (own - own.mean())[codes]
        elif other is not None:
            own = mean(other)
            split = row.rhs not in fit.spec.within_only
            y -= coefficient * (other - (own[codes] if split else other.mean()))
    return x, y, mean(x), mean(y), codes
