"""The posterior of a model, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.data.bound import MISSING_WORDS
from bmsem.errors import ModelError, did_you_mean
from bmsem.results.apa import apa_table
from bmsem.results.moderation import Moderation
from bmsem.results.prior_checks import PriorChecks
from bmsem.results.quantities import KEYS, quantities
from bmsem.results.scores import Scores
from bmsem.results.standardized import Standardization, r_square_draws, standardized_draws
from bmsem.results.summary import Summary, summary_table
from bmsem.spec import Level, Parameter
from bmsem.tables import Grid, Tabular, Written

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

_STANDARDIZED = {
    "stdyx": "by the standard deviations of predictor and outcome at their level",
    "stdy": "by the standard deviation of the outcome at its level",
    "std": "by the standard deviations of factors",
}


class FitResults(Tabular, PriorChecks, Moderation, Scores):
    """A fitted model: estimates, convergence, fit, effects, latent quantities, files.

    What a fit holds is described in `bmsem.results.base.FitDraws`; everything else is computed when it
    is first asked for.

    Examples
    --------
    >>> summary = fit.summary().frame.set_index("label")
    >>> float(summary.loc["tot", "median"]) > 20 / 7
    True
    >>> fit.fit_measures().frame["measure"].tolist()[:2]
    ['PPP', 'PPP, within level']
    """

    def summary(self, width: float = 0.95, interval: str | None = None) -> Summary:
        """Estimates in the layout of Mplus's MODEL RESULTS.

        Parameters
        ----------
        width
            Of the credible intervals, between 0 and 1.
        interval
            ``"hpd"`` (highest posterior density) or ``"equal"`` (equal-tailed).

        Raises
        ------
        ModelError
            If the width or the kind of interval is not one of these.
        """
        kind = self.checked_interval(width, interval)
        return summary_table(
            self.spec.without_auxiliary,
            self.rows,
            self.defined,
            width=width,
            interval=kind,
            head=(*self.convergence.lines, *self._said_of_missing),
            good=self.converged,
            diagnostics=self.row_diagnostics,
            runs=self.runs,
        )

    def table(
        self,
        style: str = "apa",
        *,
        title: str | None = None,
        digits: int = 2,
        names: Mapping[str, str] | None = None,
        every: bool = False,
        width: float = 0.95,
        interval: str | None = None,
    ) -> Summary | Written:
        """The estimates as a table for a paper, or as Mplus lays them out.

        Parameters
        ----------
        style
            ``"apa"`` (see `bmsem.results.apa`), or ``"mplus"``, which is `summary`.
        title
            Of the table; by default the analysis's.
        digits
            Decimals of the estimates.
        names
            Words to print for variables and derived parameters.
        every
            Whether intercepts and variances are listed too.
        width, interval
            Of the credible intervals.

        Returns
        -------
        Summary or Written
            Print it, or take ``.to_latex()``, ``.to_markdown()``, ``.to_html()``.

        Raises
        ------
        ModelError
            If the style is unknown, or a name is nothing in the model.

        Examples
        --------
        >>> table = fit.table(names={"mvpa": "Physical activity"})
        >>> "advant → Physical activity" in str(table)
        True
        >>> table.to_latex().splitlines()[0]
        '\\\\begin{table}'
        """
        summary = self.summary(width, interval)
        if style == "mplus":
            return summary
        if style != "apa":
            raise ModelError(f"Unknown style '{style}'. Use 'apa' or 'mplus'.")
        words = dict(names or {})
        known = sorted({*summary.frame["lhs"], *summary.frame["rhs"]} - {""})
        for name in words:
            if name not in known:
                raise ModelError(f"No '{name}' in the model. {did_you_mean(name, known)}")
        return apa_table(
            summary, title=title or self.title or "Posterior Estimates", sample=self._sample,
            digits=digits, names=words, every=every,
        )  # fmt: skip

    @property
    def _said_of_missing(self) -> tuple[str, ...]:
        """What became of missing values, and of auxiliary variables."""
        lines = []
        if self.bound.gaps is not None:
            lines.append(
                f"Values are missing, at {len(self.bound.gaps.patterns):,} patterns: everything that "
                f"was observed is in the likelihood (missing at random)."
            )
        lines += [n[0].upper() + n[1:] for n in self.bound.notes if n.startswith(MISSING_WORDS)]
        if self.spec.auxiliary:
            names = ", ".join(self.spec.auxiliary)
            lines.append(f"Auxiliary variables, in the likelihood and not shown: {names}.")
        return tuple(lines)

    @property
    def _sample(self) -> str:
        if not self.spec.multilevel:
            return f"N = {self.bound.rows:,}"
        return f"N = {self.bound.rows:,} in {self.bound.clusters:,} clusters"

    def standardized(
        self,
        width: float = 0.95,
        interval: str | None = None,
        how: Standardization = "stdyx",
    ) -> Summary:
        """Standardised estimates, by the implied standard deviations of each level.

        ``how`` is ``"stdyx"`` (predictor and outcome), ``"stdy"`` (outcome only, for binary predictors)
        or ``"std"`` (factors only).

        Raises
        ------
        ModelError
            If ``how`` is unknown, or the interval is.
        """
        kind = self.checked_interval(width, interval)
        draws = self.standardized_rows(how)
        spec = self.spec.without_auxiliary
        title = f"Standardised estimates ({how.upper()}: {_STANDARDIZED[how]})."
        return summary_table(
            spec,
            {r: draws[r] for r in spec.parameters if r.free},
            {},
            width=width,
            interval=kind,
            head=(title, *self.convergence.lines),
            good=self.converged,
            fixed={r: draws[r] for r in spec.parameters if not r.free},
            runs=self.runs,
        )

    def standardized_rows(self, how: Standardization = "stdyx") -> dict[Parameter, Array]:
        """Standardised draws (chains, draws) by row of the parameter table; see `standardized`."""
        if how not in _STANDARDIZED:
            raise ModelError(f"Unknown standardisation '{how}'. Use 'stdyx', 'stdy' or 'std'.")
        return standardized_draws(self.bound, self.parameters, how, self.sampled)

    def r_square_draws(self) -> dict[tuple[Level, str], Array]:
        """Draws (chains, draws) of the R-squares by level and variable."""
        return r_square_draws(self.bound, self.parameters, self.sampled)

    def r_square(self, width: float = 0.95, interval: str | None = None) -> pd.DataFrame:
        """R-square of every endogenous variable: median, SD and interval, by level."""
        kind = self.checked_interval(width, interval)
        records = []
        for (level, name), draws in self.r_square_draws().items():
            found = quantities(draws.reshape(-1, 1), width, kind).iloc[0]
            records.append({"level": level, "variable": name, **{k: found[k] for k in KEYS}})
        return pd.DataFrame(records)

    def extend(
        self,
        draws: int,
        *,
        tune: int | None = None,
        cores: int | None = None,
        progress: bool = False,
    ) -> Self:
        """The fit with ``draws`` more draws a chain, each chain going on from its last draw.

        The step size and the mass matrix are adapted anew first (``tune`` discarded draws a chain).
        An interruption keeps what was drawn until then.

        Parameters
        ----------
        draws
            Additional kept draws of each chain.
        tune
            Discarded draws of each chain; by default half of the first fit's, but at least 300.

        Raises
        ------
        ModelError
            If ``draws`` is not positive, or the fit's priors could not be stored.

        Examples
        --------
        >>> fit.extend(100).parameters.shape[:2]
        (4, 600)
        """
        from bmsem.results.extension import extend

        return extend(self, draws, tune=tune, cores=cores, progress=progress)

    @property
    def data(self) -> xr.DataTree:
        """The draws as a `xarray.DataTree` that ArviZ's functions take as it is.

        Groups: ``posterior`` (``paths``, ``loadings``, ``intercepts``, ``variances``,
        ``covariances``, each with a dimension of its own, and ``defined``), ``sample_stats``,
        ``log_likelihood`` (marginal, by cluster; not with varying slopes or products), and
        ``constant_data`` (the sufficient statistics).
        """
        from bmsem.results.storage import to_datatree

        return to_datatree(self)

    def save(self, path: str | Path) -> Path:
        """Write the fit as NetCDF; `bmsem.load` reads it back.

        The file appears complete or not at all.
        """
        from bmsem.results.storage import save

        return save(self, Path(path))

    def to_json(self) -> dict[str, Any]:
        """All results as plain Python values, ready for `json.dumps`."""
        from bmsem.results.export import to_json

        return to_json(self)

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        chains, draws = self.parameters.shape[:2]
        title, verdict = self.title or "untitled", self.convergence.lines[0]
        return f"{type(self).__name__}({title}: {chains} x {draws} draws. {verdict})"

    def grid(self) -> Grid:
        """The estimates as text cells, under the verdict on convergence and what was fitted."""
        chains, draws = self.parameters.shape[:2]
        setup = f"{self.bound.size}; {chains} chains of {draws:,} draws"
        if self.settings.get("priors"):
            setup += f", priors {self.settings['priors']}"
        found = self.summary().grid()
        return replace(found, title=self.title, lead=(*found.lead, setup))
