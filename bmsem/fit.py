"""A fit as the user has it: the results, and how they are drawn, written and reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bmsem.results import FitResults

if TYPE_CHECKING:
    from bmsem.plots import Plots


class Fit(FitResults):
    """A fitted model: estimates, convergence, fit, effects, plots, diagrams, files.

    What a fit holds is described in `bmsem.results.base.FitDraws`; everything else is computed when it
    is first asked for.

    Examples
    --------
    >>> print(fit)                                        # doctest: +SKIP
    >>> print(fit.effects("treat", "mvpa"))               # doctest: +SKIP
    >>> fit.plot.forest()                                 # doctest: +SKIP
    """

    @property
    def plot(self) -> Plots:
        """Every plot of the fit: ``fit.plot.posterior()``, ``fit.plot.forest()``, …"""
        from bmsem.plots import Plots

        return Plots(self)
