"""Posterior densities, alone, against standards, and next to zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bmsem.plots.style import BLUE, GREY, ORANGE, figure_options, grid_size, panels, styled
from bmsem.results.quantities import record

if TYPE_CHECKING:
    from bmsem.results import FitResults

Array = NDArray[np.float64]

# More panels than this in one figure are too small to read.
MOST = 20


@styled
def posterior(
    fit: FitResults,
    names: str | Sequence[str] | None,
    standards: Mapping[str, float] | None,
    width: float,
    interval: str | None,
) -> Any:
    """Densities with their intervals, and the share beyond each standard of meaningfulness."""
    kind = fit.checked_interval(width, interval)
    given = {
        k: float(v) for k, v in dict(fit.spec.standards if standards is None else standards).items()
    }
    chosen = list(given) if names is None and given else fit.chosen_names(names)
    chosen = list(dict.fromkeys([*chosen, *given]))[: None if names is not None else MOST]
    return posterior_of({name: fit.quantity(name) for name in chosen}, given, width, kind)


@styled
def posterior_of(
    draws: Mapping[str, Array], standards: Mapping[str, float], width: float, kind: str
) -> Any:
    """Densities of any draws (chains, draws) by name, with the standards that some of them have."""
    collection = densities(draws, width, kind)
    for name, values in draws.items():
        axes = collection.get_target(name, {})
        low, high = axes.get_xlim()
        if low < 0 < high:
            axes.axvline(0.0, color=GREY, linewidth=0.8, zorder=0)
        _shade(axes, values.ravel(), standards.get(name))
    return collection


@styled
def prior_posterior(fit: FitResults, names: str | Sequence[str] | None, draws: int) -> Any:
    """Densities of prior and posterior over each other."""
    colours = {"aes": {"color": ["group"]}, "color": [GREY, BLUE]}
    return fit.prior_posterior(names, draws=draws, **colours)


def densities(draws: Mapping[str, Array], width: float, kind: str) -> Any:
    """A panel a quantity: kernel density, median and interval."""
    import xarray as xr
    from arviz_plots import plot_dist

    columns, rows = grid_size(len(draws), 3)
    tree = xr.DataTree.from_dict(
        {"posterior": xr.Dataset({n: (("chain", "draw"), d) for n, d in draws.items()})}
    )
    collection = plot_dist(
        tree, kind="kde", ci_prob=width, ci_kind="hdi" if kind == "hpd" else "eti",
        point_estimate="median", backend="matplotlib", col_wrap=columns,
        figure_kwargs=figure_options(3.0 * columns, 2.2 * rows),
        visuals={"dist": {"color": BLUE}, "point_estimate_text": False, "title": False,
                 "point_estimate": {"color": "black"},
                 "credible_interval": {"color": "black", "width": 2.5}},
    )  # fmt: skip
    for name, values in draws.items():
        found = record(values, width, kind)
        axes = collection.get_target(name, {})
        axes.set_title(
            f"{name}\n{found['median']:.3g} [{found['lower']:.3g}, {found['upper']:.3g}]"
        )
    return collection


def _shade(axes: Any, values: Array, standard: float | None) -> None:
    """Fill under the density; what lies beyond the standard in another colour."""
    line = axes.lines[0]
    x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    if standard is None:
        axes.fill_between(x, 0, y, color=BLUE, alpha=0.15, linewidth=0)
        return
    # The density at the standard itself, so that the two fills meet.
    at = int(np.searchsorted(x, standard))
    y = np.insert(y, at, np.interp(standard, x, y))
    x = np.insert(x, at, standard)
    inside = x <= standard if standard > 0 else x >= standard
    outside = x >= standard if standard > 0 else x <= standard
    axes.fill_between(x, 0, y, where=inside, color=BLUE, alpha=0.15, linewidth=0)
    axes.fill_between(x, 0, y, where=outside, color=ORANGE, alpha=0.3, linewidth=0)
    axes.axvline(standard, color=ORANGE, linestyle="--", linewidth=1.2)
    beyond = values > standard if standard > 0 else values < standard
    sign = ">" if standard > 0 else "<"
    # On the side of the density where there is more room.
    low, high = axes.get_xlim()
    right = float(np.median(values)) < (low + high) / 2
    axes.text(
        0.99 if right else 0.01, 0.97, f"P({sign} {standard:.3g}) = {beyond.mean():.3f}",
        transform=axes.transAxes, ha="right" if right else "left", va="top", color=ORANGE,
        fontsize=8, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.8},
    )  # fmt: skip


@styled
def zero_variance(fit: FitResults, name: str, region: float | None) -> Any:
    """A standard deviation near zero: prior and posterior, and the Bayes factor for zero."""
    from scipy.stats import gaussian_kde

    from bmsem.results.zero_variance import sd_prior

    found = fit.near_zero(name, region)
    prior = sd_prior(found.prior)
    collection, axes_of = panels([name], width=4.8, height=2.8)
    axes = axes_of[name]
    sd = found.sd.ravel()
    top = float(np.quantile(sd, 0.995))
    grid = np.linspace(0.0, top, 400)
    # Reflected at zero, where a density of a standard deviation may be highest.
    kept = sd[:: max(1, len(sd) // 8000)]
    kernel = gaussian_kde(np.concatenate([kept, -kept]))
    axes.fill_between(grid, 2.0 * kernel(grid), color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(grid, 2.0 * kernel(grid), color=BLUE, label="posterior")
    axes.plot(grid, prior.pdf(grid), color=GREY, linestyle="--", label="prior")
    axes.axvspan(0.0, found.region, color=ORANGE, alpha=0.3, linewidth=0)
    own = found.table.frame.iloc[1]
    axes.set_title(
        f"Is the variance zero? {name}\nBayes factor for SD < {found.region:g}: "
        f"{own['bayes_factor']:.2f} (prior halved {found.table.frame['bayes_factor'].iloc[0]:.2f}, "
        f"doubled {found.table.frame['bayes_factor'].iloc[2]:.2f})"
    )
    axes.set_xlabel("standard deviation")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlim(0.0, top)
    axes.set_ylim(bottom=0.0)
    axes.legend(loc="upper right")
    return collection
