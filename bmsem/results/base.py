"""The draws of a fit and what identifies them; the other parts of `Fit` build on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.errors import ModelError
from bmsem.priors import PriorTable
from bmsem.results.draws import defined_draws, find_draws, row_draws
from bmsem.results.statistics import diagnosed
from bmsem.spec import ModelSpec, Parameter
from bmsem.structure import FreeParameter
from bmsem.structure.sampled import SampledQuantities

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FitDraws:
    """Draws of a fitted model's parameters.

    Attributes
    ----------
    bound
        The model with its data's statistics.
    priors
        The table of priors, as a data frame.
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
    prior_table
        The priors as the sampler takes them; ``None`` if they could not be stored.
    sampled : (chains, draws, J, m)
        Draws of the clusters' quantities that had to be sampled; ``None`` in models without varying
        slopes and products.
    scores : (chains, draws, N, f)
        Draws of factor scores that had to be sampled, people cluster after cluster; ``None`` in
        models without products of factors within clusters.
    filled : (chains, draws, n)
        Draws of missing values that had to be sampled, because a varying slope or a product multiplies
        them; ``None`` in most models.
    indirect
        Effects that the model's text asks for: (target, ``"IND"`` or ``"VIA"``, variables).
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
    prior_table: PriorTable | None = None
    indirect: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    sampled: Array | None = None
    scores: Array | None = None
    filled: Array | None = None

    @property
    def spec(self) -> ModelSpec:
        """The model."""
        return self.bound.spec

    @property
    def flat_parameters(self) -> Array:
        """Draws (chains * draws, P), one chain after the other."""
        return self.parameters.reshape(-1, self.parameters.shape[-1])

    @cached_property
    def plan(self) -> SampledQuantities:
        """Which quantities of the clusters were sampled, and why."""
        return self.bound.plan

    @property
    def flat_sampled(self) -> Array:
        """Draws (chains * draws, J, m) of the sampled quantities, one chain after the other."""
        if self.sampled is None:
            return np.empty((len(self.flat_parameters), self.bound.clusters, 0))
        return self.sampled.reshape(len(self.flat_parameters), *self.sampled.shape[2:])

    @property
    def flat_scores(self) -> Array:
        """Draws (chains * draws, N, f) of the sampled scores, one chain after the other."""
        if self.scores is None:
            return np.empty((len(self.flat_parameters), 0, 0))
        return self.scores.reshape(len(self.flat_parameters), *self.scores.shape[2:])

    @property
    def flat_people(self) -> Array:
        """Draws (chains * draws, n) of all that was sampled of people: scores, then missing values."""
        count = len(self.flat_parameters)
        none = np.empty((count, 0))
        filled = none if self.filled is None else self.filled.reshape(count, -1)
        return np.hstack([self.flat_scores.reshape(count, -1), filled])

    @cached_property
    def diagnostics(self) -> dict[str, dict[str, float]]:
        """R-hat, PSR and effective sample sizes by name of free parameter."""
        return {p.name: diagnosed(self.parameters[..., p.index], self.runs) for p in self._free}

    @property
    def runs(self) -> int:
        """How many data sets the chains come from."""
        return 1

    @cached_property
    def row_diagnostics(self) -> dict[Parameter, dict[str, float]]:
        """`diagnostics` by row of the parameter table: rows that share a label share them."""
        name = {row.key: p.name for p in self._free for row in p.rows}
        return {row: self.diagnostics[name[row.key]] for row in self.rows}

    @property
    def _free(self) -> tuple[FreeParameter, ...]:
        return self.bound.structure.parameters

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
        >>> fit.draws("tot").shape
        (4, 500)
        >>> bool((fit.draws("p3bc") == fit.draws("between: mvpa ~ advant")).all())
        True
        """
        return find_draws(name, self.rows, self.defined)

    def checked_interval(self, width: float, kind: str | None) -> str:
        """The kind of interval to use, checked."""
        kind = kind or self.interval
        if not 0.0 < width < 1.0:
            raise ModelError(
                f"The width of an interval is between 0 and 1, for instance 0.95, not {width}."
            )
        if kind not in ("hpd", "equal"):
            raise ModelError(f"Unknown interval '{kind}'. Use 'hpd' or 'equal'.")
        return kind
