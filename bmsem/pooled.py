"""Fits of multiply imputed data sets, pooled.

Given one imputed data set the posterior is p(theta | observed, imputed); what is wanted averages it
over the imputations, so that draws of all of them, in equal numbers, are draws of the mixture (Gelman,
Carlin, Stern, Dunson, Vehtari & Rubin 2013, *Bayesian data analysis*, section 18.2; Zhou & Reiter 2010,
American Statistician 64, 159-163). The share of a parameter's posterior variance that lies between
imputations is what the missing values cost (Rubin 1987, *Multiple imputation for nonresponse in
surveys*, equation 3.1.10).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.errors import DataError, NotSupportedError
from bmsem.fit import Fit
from bmsem.results.convergence import Convergence
from bmsem.results.moment_tables import stack
from bmsem.tables import Table

if TYPE_CHECKING:
    from bmsem.results.standardized import Standardization
    from bmsem.spec import Level, Parameter

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class PooledFit(Fit):
    """The mixture of the posteriors of several imputed data sets.

    Estimates, derived parameters, effects, standardised estimates and R-squares are those of the
    mixture. What compares a model with one data set (predictive checks, information criteria, residuals,
    scores) is asked of each of ``fits``.

    Attributes
    ----------
    fits
        The fit of each data set, in order.

    Examples
    --------
    >>> import numpy as np
    >>> frame = activity.default_data()
    >>> frame.loc[::10, "mvpa"] = np.nan
    >>> imputed = activity.fit(frame, draws=200, seed=1, progress=False).imputations(2)
    >>> pooled = activity.fit(imputed, draws=200, seed=1, progress=False)
    >>> len(pooled.fits), pooled.draws("tot").shape
    (2, (8, 200))
    >>> pooled.missing_information().frame["parameter"].tolist()[-1]
    'con2'
    """

    fits: tuple[Fit, ...] = ()

    @classmethod
    def of(cls, fits: Sequence[Fit]) -> PooledFit:
        """Pool fits of one model; the shortest decides how many draws of each enter.

        Raises
        ------
        DataError
            If there are none, or their models differ, as roles that the data decide may.
        """
        if not fits:
            raise DataError("There are no data sets to pool.")
        first = fits[0]
        for i, other in enumerate(fits[1:], start=2):
            if other.spec != first.spec:
                raise DataError(
                    f"Data set {i} makes another model of the text than the first: a variable has other "
                    f"levels there. Declare the roles ('within: …', 'between: …')."
                )
        chains = min(f.parameters.shape[0] for f in fits)
        draws = min(f.parameters.shape[1] for f in fits)
        order = [[p.name for p in f.bound.structure.parameters] for f in fits]
        parameters = np.concatenate(
            [
                f.parameters[:chains, :draws][..., [names.index(n) for n in order[0]]]
                for f, names in zip(fits, order, strict=True)
            ]
        )
        names = set.intersection(*(set(f.sample_stats) for f in fits))
        statistics = {
            k: np.concatenate([f.sample_stats[k][:chains, :draws] for f in fits]) for k in names
        }
        timing = {k: sum(f.timing.get(k, 0.0) for f in fits) for k in first.timing}
        return cls(
            first.bound, first.priors, parameters, statistics,
            {**first.settings, "chains": len(parameters), "imputations": len(fits)}, timing,
            first.title, first.interval, all(f.complete for f in fits), first.prior_table,
            first.indirect, fits=tuple(fits),
        )  # fmt: skip

    # -- convergence: of each data set, never between them ------------------------------------

    @property
    def runs(self) -> int:
        """How many data sets the chains come from."""
        return len(self.fits)

    @cached_property
    def convergence(self) -> Convergence:
        """The worst verdict of the data sets; differences between them are no lack of convergence."""
        verdicts = [f.convergence for f in self.fits]
        good = sum(v.converged for v in verdicts)
        worst = min(verdicts, key=lambda v: (v.converged, -v.max_rhat))
        line = f"{good} of {len(verdicts)} imputed data sets have converged; pooled as a mixture."
        return replace(worst, lines=(line, f"The worst: {worst.lines[0]}", *worst.lines[1:]))

    # -- what depends on the data -------------------------------------------------------------

    def standardized_rows(self, how: Standardization = "stdyx") -> dict[Parameter, Array]:
        """Standardised draws by row, each by the standard deviations of its own data set."""
        every = [f.standardized_rows(how) for f in self.fits]
        return {row: np.concatenate([e[row] for e in every]) for row in every[0]}

    def r_square_draws(self) -> dict[tuple[Level, str], Array]:
        """Draws of the R-squares, each of its own data set."""
        every = [f.r_square_draws() for f in self.fits]
        return {place: np.concatenate([e[place] for e in every]) for place in every[0]}

    def missing_information(self) -> Table:
        """The share of each posterior variance that lies between imputations.

        (1 + 1/m) B / T with B the variance of the m posterior means and T = W + (1 + 1/m) B the total,
        W being the mean posterior variance.
        """
        m = len(self.fits)
        records = []
        quantities = {p.name: self.parameters[..., p.index] for p in self._free} | self.defined
        for name, draws in quantities.items():
            own = draws.reshape(m, -1)
            between = (1.0 + 1.0 / m) * float(own.mean(axis=1).var(ddof=1)) if m > 1 else np.nan
            total = between + float(own.var(axis=1, ddof=1).mean())
            records.append({"parameter": name, "missing_information": between / total})
        note = f"{m} imputed data sets."
        return Table(pd.DataFrame(records), "Fraction of missing information", (note,))

    def fit_measures(self) -> Table:
        """The measures of each data set: their mean and range."""
        frames = [f.fit_measures().frame.assign(data=i) for i, f in enumerate(self.fits)]
        every = stack(frames)
        found = every.groupby("measure", sort=False)["value"].agg(["mean", "min", "max"])
        found = found.reset_index().rename(columns={"mean": "value"})
        note = f"Mean and range over {len(self.fits)} imputed data sets."
        return Table(found, "Model fit", (note,))

    def extend(
        self,
        draws: int,
        *,
        tune: int | None = None,
        cores: int | None = None,
        progress: bool = False,
    ) -> Any:
        """Every fit with ``draws`` more draws a chain, pooled again."""
        more = {"tune": tune, "cores": cores, "progress": progress}
        return PooledFit.of([f.extend(draws, **more) for f in self.fits])  # type: ignore[arg-type]

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotSupportedError(
            f"This belongs to one data set, and {len(self.fits)} imputed ones were pooled. Ask each of "
            f"them: pooled.fits[0], pooled.fits[1], …"
        )

    # Everything that compares draws with data goes through one of these.
    _predictive_at = _refuse
    _between = _refuse
    _within = _refuse
    _predictive = property(_refuse)
    _unrestricted = property(_refuse)
    _log_likelihood = property(_refuse)
    dic_marginal = property(_refuse)
    dic_conditional = property(_refuse)
    data = property(_refuse)
    imputations = _refuse
    implied = _refuse
    icc = _refuse
    residuals = _refuse
    save = _refuse
    to_json = _refuse
