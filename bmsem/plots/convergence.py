"""Whether the chains agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bmsem.errors import ModelError
from bmsem.plots.posteriors import MOST
from bmsem.plots.style import BLUE, COLOURS, GREY, ORANGE, figure_options, grid_size, panels, styled
from bmsem.results.convergence import MAX_RHAT

if TYPE_CHECKING:
    from bmsem.results import FitResults

# Points of a trace: more than a figure has pixels for are not seen.
_POINTS = 2000


def _tree(fit: FitResults, names: Sequence[str], points: int | None = None) -> Any:
    import xarray as xr

    draws = {n: fit.quantity(n) for n in names}
    length = next(iter(draws.values())).shape[1]
    kept = np.arange(0, length, 1 if points is None else max(1, length // points))
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(
                {n: (("chain", "draw"), d[:, kept]) for n, d in draws.items()},
                {"draw": kept, "chain": np.arange(fit.parameters.shape[0])},
            )
        }
    )


@styled
def trace(fit: FitResults, names: str | Sequence[str] | None) -> Any:
    """Draws by iteration, a colour a chain."""
    from arviz_plots import plot_trace

    chosen = fit.chosen_names(names)[: None if names is not None else MOST]
    columns, rows = grid_size(len(chosen), 2)
    return plot_trace(
        _tree(fit, chosen, _POINTS), backend="matplotlib", col_wrap=columns,
        figure_kwargs={**figure_options(4.4 * columns, 1.7 * rows), "sharex": False},
        visuals={"trace": {"alpha": 0.6, "width": 0.5}, "xlabel": {"size": 8}},
        **_chain_colours(fit),
    )  # fmt: skip


@styled
def rank(fit: FitResults, names: str | Sequence[str] | None) -> Any:
    """Ranks of each chain's draws among all: no trend if the chains agree.

    With the p-value of ArviZ's test of uniformity.
    """
    from arviz_plots import plot_rank

    if fit.parameters.shape[0] < 2:
        raise ModelError("Ranks compare chains, and this fit has a single one.")
    chosen = fit.chosen_names(names)[: None if names is not None else MOST]
    columns, rows = grid_size(len(chosen), 3)
    return plot_rank(
        _tree(fit, chosen), backend="matplotlib", col_wrap=columns,
        figure_kwargs=figure_options(3.0 * columns, 2.0 * rows),
        visuals={"xlabel": {"size": 8}}, **_chain_colours(fit),
    )  # fmt: skip


def _chain_colours(fit: FitResults) -> dict[str, Any]:
    chains = fit.parameters.shape[0]
    colours = [COLOURS[i % len(COLOURS)] for i in range(max(chains, 2))]
    return {"aes": {"color": ["chain"]}, "color": colours}


@styled
def psr(fit: FitResults, points: int) -> Any:
    """Potential scale reduction by iteration: the largest, as Mplus's TECH8, and every parameter's."""
    if fit.parameters.shape[0] < 2:
        raise ModelError("PSR compares chains, and this fit has a single one.")
    found = fit.tech8(points).frame
    if not len(found):
        raise ModelError("There are too few draws for a PSR.")
    collection, axes_of = panels(["psr"], width=5.4, height=2.6)
    axes = axes_of["psr"]
    axes.plot(found["iteration"], found["psr"], "o-", color=BLUE, markersize=3.5)
    axes.axhline(1.0, color=GREY, linewidth=0.8)
    axes.axhline(MAX_RHAT, color=ORANGE, linestyle="--", linewidth=1.0)
    last = found.iloc[-1]
    axes.set_title(f"Largest PSR: {last['psr']:.4f} at the end ({last['parameter']})")
    axes.set_xlabel("draws of each chain (the second half of these is used)")
    axes.set_ylabel("PSR")
    axes.text(
        1.0, MAX_RHAT, f"{MAX_RHAT}", transform=axes.get_yaxis_transform(), color=ORANGE,
        ha="left", va="center", fontsize=8,
    )  # fmt: skip
    axes.set_ylim(bottom=min(0.999, float(found["psr"].min()) - 0.0005))
    return collection
