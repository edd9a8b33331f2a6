"""The posterior of a model, and what can be asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.errors import ModelError
from bmsem.results.convergence import Convergence, assess
from bmsem.results.draws import defined_draws, find_draws, row_draws
from bmsem.results.standardized import r_square_draws, standardized_draws
from bmsem.results.statistics import summarise
from bmsem.results.summary import Summary, summary_table
from bmsem.spec import ModelSpec, Parameter

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model.

    Attributes
    ----------
    bound
        The model with its data's statistics.
    priors
        The table of priors.
    parameters : (chains, draws, P)
        Draws of the free parameters, in the order of ``bound.structure.parameters``.
    sample_stats
        The sampler's statistics by ArviZ's names, each (chains, draws).
    settings
        ``chains``, ``tune``, ``draws``, ``seed``, ``priors``, ``sampler``.
    timing
        Seconds: ``compile``, ``sample``, ``total``.
    title
        Of the analysis.
    interval
        Default kind of interval: ``"hpd"`` or ``"equal"``.
    complete
        Whether all draws that were asked for were made.
    """

    bound: BoundModel
    priors: pd.DataFrame
    parameters: Array
    sample_stats: dict[str, NDArray]
    settings: dict[str, Any]
    timing: dict[str, float] = field(default_factory=dict)
    title: str = ""
    interval: str = "hpd"
    complete: bool = True

    @property
    def spec(self) -> ModelSpec:
        """The model."""
        return self.bound.spec

    @cached_property
    def rows(self) -> dict[Parameter, Array]:
        """Draws (chains, draws) by row of the parameter table."""
        return row_draws(self.bound, self.parameters)

    @cached_property
    def defined(self) -> dict[str, Array]:
        """Draws (chains, draws) of the derived parameters."""
        return defined_draws(self.spec, self.rows)

    def draws(self, name: str) -> Array:
        """Draws (chains, draws) of a label, a defined parameter, or a row.

        Raises
        ------
        ModelError
            If nothing has that name.

        Examples
        --------
        >>> fit.draws("tot").mean()                       # doctest: +SKIP
        >>> fit.draws("between: mvpa ~ advant").std()     # doctest: +SKIP
        """
        return find_draws(name, self.rows, self.defined)

    @cached_property
    def convergence(self) -> Convergence:
        """The verdict on the chains."""
        own = {p.name: self.parameters[..., p.index] for p in self.bound.structure.parameters}
        return assess(own, self.sample_stats.get("diverging"), self.complete)

    @property
    def converged(self) -> bool:
        """Whether the estimates can be interpreted; see `convergence` for why not."""
        return self.convergence.converged

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
        kind = interval or self.interval
        self._check_interval(width, kind)
        return summary_table(
            self.spec,
            self.rows,
            self.defined,
            width=width,
            interval=kind,
            head=self.convergence.lines,
        )

    def standardized(self, width: float = 0.95, interval: str | None = None) -> Summary:
        """Estimates standardised by the implied standard deviations of their level (STDYX)."""
        kind = interval or self.interval
        self._check_interval(width, kind)
        draws = standardized_draws(self.bound, self.parameters)
        spec = self.spec
        return summary_table(
            spec,
            {r: draws[r] for r in spec.parameters if r.free},
            {},
            width=width,
            interval=kind,
            head=("Standardised estimates (STDYX).", *self.convergence.lines),
        )

    def r_square(self, width: float = 0.95, interval: str | None = None) -> pd.DataFrame:
        """R-square of every endogenous variable: median, SD and interval, by level."""
        kind = interval or self.interval
        self._check_interval(width, kind)
        records = []
        for (level, name), draws in r_square_draws(self.bound, self.parameters).items():
            found = summarise(draws, width, kind)
            keys = ("median", "mean", "sd", "lower", "upper")
            records.append({"level": level, "variable": name, **{k: found[k] for k in keys}})
        return pd.DataFrame(records)

    @property
    def data(self) -> xr.DataTree:
        """The draws as a `xarray.DataTree` that ArviZ's functions take as it is.

        Groups: ``posterior`` (``paths``, ``loadings``, ``intercepts``, ``variances``,
        ``covariances``, each with a dimension of its own, and ``defined``), ``sample_stats``, and
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
        return f"Fit({self.title or 'untitled'}: {chains} x {draws} draws. {self.convergence.lines[0]})"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    @staticmethod
    def _check_interval(width: float, kind: str) -> None:
        if not 0.0 < width < 1.0:
            raise ModelError(
                f"The width of an interval is between 0 and 1, for instance 0.95, not {width}."
            )
        if kind not in ("hpd", "equal"):
            raise ModelError(f"Unknown interval '{kind}'. Use 'hpd' or 'equal'.")
