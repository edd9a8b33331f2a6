"""Plots of priors, through arviz-plots."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# What is shown of a wide prior: so many posterior standard deviations to each side.
_WINDOW = 8.0


def prior_posterior_plot(
    prior: dict[str, Array], posterior: dict[str, Array], options: dict[str, Any]
) -> Any:
    """Densities of each quantity's prior and posterior draws; a plot collection of arviz-plots.

    A prior much wider than the posterior is shown in the posterior's neighbourhood only.
    """
    import xarray as xr
    from arviz_plots import plot_prior_posterior

    names = list(posterior)
    windows = {n: _window(prior[n], posterior[n]) for n in names}
    tree = xr.DataTree.from_dict(
        {
            "prior": xr.Dataset({n: central(prior[n]) for n in names}),
            "posterior": xr.Dataset({n: central(posterior[n]) for n in names}),
        }
    )
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    size = {"figsize": (3.2 * columns + 1.2, 2.2 * rows + 0.4), "layout": "constrained"}
    given: dict[str, Any] = {"figure_kwargs": size, "col_wrap": columns} | options
    collection = plot_prior_posterior(tree, **given)
    if options.get("backend", "matplotlib") == "matplotlib":
        for name in names:
            collection.get_target(name, {}).set_xlim(*windows[name])
    return collection


def _window(prior: Array, posterior: Array) -> tuple[float, float]:
    low, high = np.nanquantile(prior, [0.005, 0.995])
    centre, spread = np.median(posterior), posterior.std()
    near = centre - _WINDOW * spread, centre + _WINDOW * spread
    ends = float(posterior.min()), float(posterior.max())
    return min(max(low, near[0]), ends[0]), max(min(high, near[1]), ends[1])


def central(values: Array) -> tuple[Any, Array]:
    """Draws as one chain; the outermost of heavy tails are left out, which would blur the density."""
    flat = values.reshape(-1)
    flat = flat[np.isfinite(flat)]
    low, high = np.quantile(flat, [0.0025, 0.9975])
    kept = flat[(flat >= low) & (flat <= high)]
    return ("chain", "draw"), np.resize(kept, flat.size).reshape(1, -1)
