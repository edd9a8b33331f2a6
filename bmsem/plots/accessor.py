"""``fit.plot``: every plot of a fit, one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bmsem.plots import (
    checks,
    clusters,
    convergence,
    effects,
    influence,
    moderation,
    posteriors,
)

if TYPE_CHECKING:
    from bmsem.results import FitResults
    from bmsem.results.standardized import Standardization


@dataclass(frozen=True, eq=False)
class Plots:
    """Plots of a fit; each returns an ``arviz_plots.PlotCollection``.

    A collection shows itself in a notebook and has ``savefig("name.png")`` (or ``.svg``, ``.pdf``);
    ``collection.viz["figure"].item()`` is the matplotlib figure. Names of quantities are what
    `Fit.quantity` takes; a name that is not there raises `ModelError` with the nearest ones.

    Examples
    --------
    >>> fit.plot.forest().savefig("effects.svg")
    """

    fit: FitResults

    def __repr__(self) -> str:
        names = [n for n in vars(type(self)) if not n.startswith("_") and n != "fit"]
        return f"Plots of a fit: fit.plot.NAME() with NAME one of {', '.join(names)}"

    def posterior(
        self,
        names: str | Sequence[str] | None = None,
        standards: Mapping[str, float] | None = None,
        *,
        width: float = 0.95,
        interval: str | None = None,
    ) -> Any:
        """Posterior densities with intervals, standards of meaningfulness, and P(beyond them).

        Parameters
        ----------
        names
            What to show; by default what has a standard, else labels and derived parameters.
        standards
            By name; by default those of the model's ``standards:`` block.
        width, interval
            Of the credible intervals.

        Examples
        --------
        >>> collection = fit.plot.posterior("tot", {"tot": 20 / 7})
        """
        return posteriors.posterior(self.fit, names, standards, width, interval)

    def forest(
        self,
        names: str | Sequence[str] | None = None,
        *,
        standardized: Standardization | None = None,
        width: float = 0.95,
        interval: str | None = None,
    ) -> Any:
        """Paths, loadings and derived parameters with their intervals, level by level.

        Parameters
        ----------
        names
            Only these, in this order.
        standardized
            ``"stdyx"``, ``"stdy"`` or ``"std"`` instead of raw estimates.

        Examples
        --------
        >>> collection = fit.plot.forest(standardized="stdyx")
        """
        return effects.forest(self.fit, names, standardized, width, interval)

    def prior_posterior(
        self, names: str | Sequence[str] | None = None, *, draws: int = 4000
    ) -> Any:
        """Prior and posterior densities over each other, of what has a proper prior.

        Examples
        --------
        >>> collection = fit.plot.prior_posterior("tot", draws=500)
        """
        return posteriors.prior_posterior(self.fit, names, draws)

    def trace(self, names: str | Sequence[str] | None = None) -> Any:
        """Draws by iteration, a colour a chain.

        Examples
        --------
        >>> collection = fit.plot.trace(["tot", "con1"])
        """
        return convergence.trace(self.fit, names)

    def rank(self, names: str | Sequence[str] | None = None) -> Any:
        """Ranks of each chain's draws among all, with a test: no trend if the chains agree.

        Examples
        --------
        >>> collection = fit.plot.rank("tot")
        """
        return convergence.rank(self.fit, names)

    def psr(self, points: int = 20) -> Any:
        """The largest PSR by iteration, as in Mplus's TECH8.

        Examples
        --------
        >>> collection = fit.plot.psr()
        """
        return convergence.psr(self.fit, points)

    def zero_variance(self, name: str, region: float | None = None) -> Any:
        """A standard deviation near zero, its prior, and the Bayes factor for a zero variance.

        Parameters are those of `Fit.zero_variance`.

        Examples
        --------
        >>> collection = varying.plot.zero_variance("between: vs1 ~~ vs1")
        """
        return posteriors.zero_variance(self.fit, name, region)

    def discrepancy(self) -> Any:
        """Chi-square of the data against that of replicated data, overall and by level (PPP).

        Examples
        --------
        >>> collection = fit.plot.discrepancy()
        """
        return checks.discrepancy(self.fit)

    def moments(self, moment: str = "correlation") -> Any:
        """Every ``"correlation"``, ``"variance"`` or ``"mean"`` of the data beside its replicates.

        Examples
        --------
        >>> collection = fit.plot.moments("variance")
        """
        return checks.moments(self.fit, moment)

    def cluster_means(self, names: str | Sequence[str] | None = None, *, seed: int = 0) -> Any:
        """Distribution of the clusters' means: the data's and replicated ones.

        Examples
        --------
        >>> collection = fit.plot.cluster_means("mvpa")
        """
        return checks.cluster_means(self.fit, names, seed)

    def residuals(self) -> Any:
        """Correlations of the data and of the model by level, as a heatmap of their differences.

        Examples
        --------
        >>> collection = fit.plot.residuals()
        """
        return checks.residuals(self.fit)

    def caterpillar(
        self, name: str, *, width: float = 0.95, interval: str | None = None, seed: int = 0
    ) -> Any:
        """A varying slope or intercept (``name``), cluster by cluster, in order.

        Examples
        --------
        >>> collection = varying.plot.caterpillar("vs1")
        """
        return clusters.caterpillar(self.fit, name, width, interval, seed)

    def context(
        self, outcome: str, predictor: str, *, width: float = 0.95, interval: str | None = None
    ) -> Any:
        """The slope within and the slope between clusters over the data: the context effect.

        Examples
        --------
        >>> collection = fit.plot.context("mvpa", "advant")
        """
        return clusters.context(self.fit, outcome, predictor, width, interval)

    def simple_slopes(
        self,
        outcome: str,
        predictor: str,
        by: str,
        at: Sequence[float] | None = None,
        *,
        width: float = 0.95,
        interval: str | None = None,
    ) -> Any:
        """A moderated path at values of its moderator; see `Fit.simple_slopes`.

        Examples
        --------
        >>> collection = moderated.plot.simple_slopes("lyb", "lmb", by="treat")
        """
        return moderation.simple_slopes(self.fit, outcome, predictor, by, at, width, interval)

    def johnson_neyman(
        self,
        outcome: str,
        predictor: str,
        by: str,
        bounds: tuple[float, float] | None = None,
        *,
        width: float = 0.95,
        interval: str | None = None,
    ) -> Any:
        """A moderated path against its moderator, with the region where it differs from zero.

        Examples
        --------
        >>> collection = moderated.plot.johnson_neyman("lyb", "lmb", by="treat", bounds=(0, 1))
        """
        return moderation.johnson_neyman(self.fit, outcome, predictor, by, bounds, width, interval)

    def loo(self, unit: str | None = None) -> Any:
        """Pareto k and predictive density of every cluster: which of them are influential.

        Examples
        --------
        >>> collection = fit.plot.loo()
        """
        return influence.loo(self.fit, unit)
