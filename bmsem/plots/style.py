"""How the plots look, and the collections that they are drawn on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

# Okabe & Ito (2008), Color Universal Design: colours that the colour-blind can tell apart.
BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, BLACK = COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
)  # fmt: skip
GREY = "#8C8C8C"
LEVEL_COLOURS = {"within": BLUE, "between": ORANGE, "Paths": BLUE, "": BLUE}
# From blue (negative) through white to orange: no red and green.
DIVERGING = "PuOr_r"

_SETTINGS = {
    "font.size": 9.0, "axes.titlesize": 9.5, "axes.labelsize": 9.0, "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0, "legend.fontsize": 8.0, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left",
    "lines.linewidth": 1.4, "figure.max_open_warning": 0,
}  # fmt: skip


@contextmanager
def style() -> Iterator[None]:
    """The look of bmsem's plots; settings of the session are left as they were."""
    import matplotlib as mpl
    from cycler import cycler

    with mpl.rc_context({**_SETTINGS, "axes.prop_cycle": cycler(color=COLOURS)}):
        yield
        interactive = mpl.is_interactive()
    # A notebook turns interactive when its first figure is made, which may be in the context: undone
    # at its end, no later figure would show.
    if interactive:
        mpl.interactive(True)


def styled[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Draw in `style`."""

    @wraps(function)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with style():
            return function(*args, **kwargs)

    return drawn


def figure_options(width: float, height: float) -> dict[str, Any]:
    """Of a figure in inches, with room made for every label."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return {
        "figsize": (width, height),
        "layout": ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08),
    }


def panels(
    names: Sequence[str], *, columns: int = 3, width: float = 3.0, height: float = 2.4
) -> tuple[Any, dict[str, Any]]:
    """An empty collection with a panel a name, and the panels' axes.

    ``width`` and ``height`` are those of one panel, in inches.
    """
    import numpy as np
    import xarray as xr
    from arviz_plots import PlotCollection

    columns = min(columns, len(names))
    rows = -(-len(names) // columns)
    frame = xr.Dataset({"drawn": ("panel", np.zeros(len(names)))}, {"panel": list(names)})
    collection = PlotCollection.wrap(
        frame, cols=["panel"], col_wrap=columns, backend="matplotlib",
        figure_kwargs=figure_options(width * columns, height * rows),
    )  # fmt: skip
    targets = collection.viz["plot"]
    return collection, {name: targets.sel(panel=name).item() for name in names}


def grid_size(count: int, columns: int) -> tuple[int, int]:
    """Columns and rows for so many panels."""
    columns = max(1, min(columns, count))
    return columns, -(-count // columns)


def legend_below(collection: Any, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """One legend for the whole figure, outside of the panels."""
    collection.viz["figure"].item().legend(
        handles, labels, loc="outside lower center", ncols=len(labels)
    )
