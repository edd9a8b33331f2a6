"""A fit as the user has it: the results, and how they are drawn, written and reported."""

from __future__ import annotations

from bmsem.results import FitResults


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
