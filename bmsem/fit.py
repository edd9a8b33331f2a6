"""A fit as the user has it: the results, and how they are drawn, written and reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bmsem.results import FitResults

if TYPE_CHECKING:
    from bmsem.diagrams import Diagram
    from bmsem.plots import Plots
    from bmsem.reports import TrialReport
    from bmsem.results.standardized import Standardization


class Fit(FitResults):
    """A fitted model: estimates, convergence, fit, effects, plots, diagrams, files.

    What a fit holds is described in `bmsem.results.base.FitDraws`; everything else is computed when it
    is first asked for.

    Examples
    --------
    >>> print(fit)                                               # doctest: +ELLIPSIS
    Converged: largest R-hat ...
    >>> fit.plot.forest().savefig("effects.svg")
    >>> path = fit.report("treat", "mvpa").save("report.html")
    """

    @property
    def plot(self) -> Plots:
        """Every plot of the fit: ``fit.plot.posterior()``, ``fit.plot.forest()``, …"""
        from bmsem.plots import Plots

        return Plots(self)

    def diagram(
        self,
        *,
        standardized: Standardization | None = None,
        intervals: bool = True,
        variances: bool = False,
        level: str | None = None,
        title: str | None = None,
    ) -> Diagram:
        """The path diagram with estimates on its arrows; see `bmsem.diagrams.diagram`.

        Parameters
        ----------
        standardized
            ``"stdyx"``, ``"stdy"`` or ``"std"`` instead of raw estimates.
        intervals
            Whether credible intervals stand below the estimates.
        variances
            Whether (residual) variances are drawn.
        level
            Only ``"within"``, or only ``"between"``.
        title
            Above the diagram.

        Examples
        --------
        >>> fit.diagram(standardized="stdyx").save("model.gv").name
        'model.gv'
        """
        from bmsem.diagrams import diagram

        return diagram(
            self, standardized=standardized, intervals=intervals, variances=variances, level=level,
            title=title,
        )  # fmt: skip

    def report(
        self,
        treatment: str,
        outcome: str,
        mediators: str | Sequence[str] | None = None,
        standards: Mapping[str, float] | None = None,
        *,
        level: str | None = None,
        width: float = 0.95,
        interval: str | None = None,
        title: str | None = None,
        figures: bool = True,
    ) -> TrialReport:
        """The report of a randomized explanatory trial; see `bmsem.reports.report.report`.

        Examples
        --------
        >>> found = fit.report("treat", "mvpa", standards={"mvpa": 20 / 7}, figures=False)
        >>> found.answers.on_mediators["advant"].parameter
        'p1bc'
        """
        from bmsem.reports import report

        return report(
            self, treatment, outcome, mediators, standards, level=level, width=width,
            interval=interval, title=title, figures=figures,
        )  # fmt: skip
