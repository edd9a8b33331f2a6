"""The part of a fit that asks how much of an answer is the prior's."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats
from numpy.typing import NDArray

from bmsem.errors import ModelError, ModelWarning
from bmsem.priors import PriorTable
from bmsem.results.answers import Answers
from bmsem.results.assessment import Assessment
from bmsem.results.statistics import interval as limits_of
from bmsem.tables import Table

Array = NDArray[np.float64]

# Above this a posterior moves noticeably with the power of the prior or of the likelihood
# (Kallioinen, Paananen, Bürkner & Vehtari 2024; the threshold of `arviz_stats.psense_summary`).
THRESHOLD = 0.05
# Above this Pareto's k the draws cannot stand for the scaled posterior.
_LARGEST_K = 0.7
_SHOWN = 20


class PriorChecks(Assessment, Answers):
    """Prior draws beside posterior draws, and power-scaling sensitivity."""

    def _table_of_priors(self, what: str) -> PriorTable:
        if self.prior_table is None:
            raise ModelError(
                f"{what} needs the fit's priors, which this fit was stored without: one of them is a "
                f"PyMC object. Fit the model again."
            )
        return self.prior_table

    def prior_draws(self, draws: int = 4000, seed: int | None = None) -> Array:
        """Draws (draws, P) of the parameters from their joint prior.

        Raises
        ------
        ModelError
            If a prior is improper.
        """
        from bmsem.graph.prior_draws import prior_draws

        table = self._table_of_priors("A draw from the prior")
        table.require_proper("Prior beside posterior")
        return prior_draws(self.bound, table, draws, self._prior_seed if seed is None else seed)

    @property
    def _prior_seed(self) -> int:
        return int(self.settings.get("seed") or 0)

    def chosen_names(self, names: str | Sequence[str] | None) -> list[str]:
        """What to look at: what was named, or else labels and defined parameters, or else paths."""
        if isinstance(names, str):
            return [names]
        if names is not None:
            return list(names)
        labels = dict.fromkeys(r.label for r in self.rows if r.label)
        found = [*(k for k in labels if k), *self.defined]
        own = [r for r in self.rows if r.lhs not in self.spec.auxiliary]
        if not found:
            found = [r.full_name for r in own if r.op in ("~", "=~")]
        return found or [r.full_name for r in own]

    def prior_posterior(
        self, names: str | Sequence[str] | None = None, *, draws: int = 4000, **options: Any
    ) -> Any:
        """Plot the prior and the posterior of parameters and effects over each other.

        What depends on an improper prior is left out, with a warning that names it.

        Parameters
        ----------
        names
            What `quantity` takes; by default all labels and defined parameters (paths, if there are
            none), at most 20.
        draws
            From the prior.
        options
            Passed to `arviz_plots.plot_prior_posterior`.

        Returns
        -------
        arviz_plots.PlotCollection

        Raises
        ------
        ModelError
            If every prior that would be shown is improper, or a name unknown.

        Examples
        --------
        >>> collection = fit.prior_posterior(["tot", "medadv"])
        """
        from bmsem.graph.prior_draws import proper_draws
        from bmsem.results.prior_plots import prior_posterior_plot

        chosen = self.chosen_names(names)[: _SHOWN if names is None else None]
        table = self._table_of_priors("Prior beside posterior")
        own = proper_draws(self.bound, table, draws, self._prior_seed)
        prior = self._with_parameters(own[None])
        values = {n: prior.quantity(n) for n in chosen}
        improper = [n for n in chosen if np.isnan(values[n]).all()]
        shown = [n for n in chosen if n not in improper]
        if not shown:
            table.require_proper("Prior beside posterior")
        if improper:
            warnings.warn(
                f"Left out, because their priors are improper: {', '.join(improper)}.",
                ModelWarning,
                stacklevel=2,
            )
        return prior_posterior_plot(
            {n: values[n] for n in shown}, {n: self.quantity(n) for n in shown}, options
        )

    def _with_parameters(self, parameters: Array) -> Any:
        """A fit of the same model with other draws (chains, draws, P)."""
        return replace(
            self, parameters=parameters, sample_stats={}, sampled=None, scores=None, filled=None
        )

    @cached_property
    def _log_prior(self) -> Array:
        """Of the draws that have a marginal log-likelihood, (chains * draws,)."""
        from bmsem.graph.prior_draws import log_prior

        table = self._table_of_priors("Prior sensitivity")
        parts = log_prior(self.bound, table, self._scaled_parameters)
        return parts.sum(axis=1) if parts.shape[1] else np.empty(0)

    @property
    def _scaled(self) -> NDArray[np.intp] | slice:
        return self._kept_draws if self.plan.needed else slice(None)

    @property
    def _scaled_parameters(self) -> Array:
        return self.flat_parameters[self._scaled]

    def prior_sensitivity(
        self,
        names: str | Sequence[str] | None = None,
        *,
        width: float = 0.95,
        interval: str | None = None,
        alphas: tuple[float, float] = (0.8, 1.25),
    ) -> Table:
        """Which conclusions rest on the prior: power-scaling sensitivity in words.

        The prior (or the likelihood) is raised to a power a little below and above one, and the draws
        are weighted to see how far the posterior moves, without fitting again (Kallioinen, Paananen,
        Bürkner & Vehtari 2024, Statistics and Computing 34, 57; `arviz_stats.psense`).

        Parameters
        ----------
        names
            As in `prior_posterior`.
        width, interval
            Of the credible interval that the conclusion is drawn from.
        alphas
            Powers of the prior under which the median and the interval are shown.

        Returns
        -------
        Table
            By quantity: ``prior`` and ``likelihood`` (the sensitivities; above 0.05 counts),
            ``weaker_prior`` and ``stronger_prior`` (the median under the powers), ``conclusion``
            (where the interval lies), ``conclusion_holds`` (whether it does so under both powers, with
            equal-tailed intervals), and ``verdict``.

        Raises
        ------
        ModelError
            If every prior is flat, a name is unknown, or the priors could not be stored.

        Examples
        --------
        >>> fit.prior_sensitivity("tot").frame["conclusion_holds"].item()
        'yes'
        """
        kind = self.checked_interval(width, interval)
        low, high = alphas
        if not 0 < low < 1 < high:
            raise ModelError(f"One power lies below 1 and the other above, unlike {alphas}.")
        log_prior = self._log_prior
        if not log_prior.size or np.ptp(log_prior) == 0.0:
            raise ModelError(
                "Every prior is flat: there is nothing that could be scaled, and the answer is the "
                "likelihood's. Fit with priors='weak' or with priors of your own to compare."
            )
        log_likelihood = self._log_likelihood.sum(axis=1)
        chains = self.parameters.shape[0]
        chosen = self.chosen_names(names)
        draws = {n: self.quantity(n).reshape(-1)[self._scaled] for n in chosen}
        prior = _sensitivity(draws, log_prior, chains)
        likelihood = _sensitivity(draws, log_likelihood, chains)
        scaled = {alpha: _weights(log_prior, alpha) for alpha in alphas}
        records = []
        for name in chosen:
            values = draws[name]
            own = limits_of(values.reshape(chains, -1), width, kind)
            conclusion = _conclusion(*own)
            record: dict[str, Any] = {
                "quantity": name, "median": float(np.median(values)), "lower": own[0],
                "upper": own[1], "prior": prior[name], "likelihood": likelihood[name],
            }  # fmt: skip
            holds: bool | None = True
            for column, alpha in (("weaker_prior", low), ("stronger_prior", high)):
                weights, k = scaled[alpha]
                if k > _LARGEST_K:
                    record[column], holds = np.nan, None
                    continue
                tails = ((1 - width) / 2, 0.5, (1 + width) / 2)
                lower, median, upper = _weighted_quantiles(values, weights, tails)
                record[column] = median
                if holds is not None:
                    holds = holds and _conclusion(lower, upper) == conclusion
            record |= {
                "conclusion": conclusion,
                "conclusion_holds": {True: "yes", False: "no", None: "unknown"}[holds],
                "verdict": _verdict(prior[name], likelihood[name]),
            }
            records.append(record)
        return Table(
            pd.DataFrame(records),
            f"Prior sensitivity: what moves when the prior counts {low:g} and {high:g} times",
            self._sensitivity_notes(scaled),
        )

    def _sensitivity_notes(self, scaled: dict[float, tuple[Array, float]]) -> tuple[str, ...]:
        notes = [
            "prior, likelihood: distance that the posterior moves for a change of power; above "
            f"{THRESHOLD} it counts."
        ]
        flat = [r.parameter.name for r in self._table_of_priors("This").rows if not r.proper]
        if flat:
            notes.append(
                f"Flat priors cannot be scaled and count as none: {', '.join(flat[:6])}"
                f"{' …' if len(flat) > 6 else ''}."
            )
        poor = [f"{alpha:g}" for alpha, (_, k) in scaled.items() if k > _LARGEST_K]
        if poor:
            notes.append(
                f"With power {' and '.join(poor)} the posterior moves too far for the draws at hand "
                f"(Pareto k above {_LARGEST_K}): the prior matters much; fit with another one to see."
            )
        return tuple(notes)


def _sensitivity(draws: dict[str, Array], log_density: Array, chains: int) -> dict[str, float]:
    """Change of each posterior with the power of a density, by ArviZ."""
    import xarray as xr
    from arviz_stats import psense

    names = list(draws)
    shaped = np.array([draws[n].reshape(chains, -1) for n in names])
    dims = ("quantity", "chain", "draw")
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"value": (dims, shaped)}, {"quantity": names}),
            "log_prior": xr.Dataset({"total": (dims[1:], log_density.reshape(chains, -1))}),
        }
    )
    found = psense(tree, group="prior")["value"]
    return {n: float(found.sel(quantity=n)) for n in names}


def _weights(log_prior: Array, alpha: float) -> tuple[Array, float]:
    """Pareto-smoothed weights of draws under the prior to a power, and Pareto's k."""
    # What it takes are log ratios with their sign changed, such as log-likelihoods left out.
    log_weights, k = array_stats.psislw((1.0 - alpha) * log_prior)
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum(), float(k)


def _weighted_quantiles(values: Array, weights: Array, at: Sequence[float]) -> list[float]:
    order = np.argsort(values)
    mass = np.cumsum(weights[order]) - 0.5 * weights[order]
    return [float(v) for v in np.interp(at, mass, values[order])]


def _conclusion(lower: float, upper: float) -> str:
    if lower > 0:
        return "above zero"
    return "below zero" if upper < 0 else "zero is inside"


def _verdict(prior: float, likelihood: float) -> str:
    if not np.isfinite(prior) or not np.isfinite(likelihood):
        return "not known: the draws do not vary or are too few"
    if prior < THRESHOLD and likelihood < THRESHOLD:
        return "hardly moves with the prior or the data"
    if prior < THRESHOLD:
        return "rests on the data"
    if likelihood < THRESHOLD:
        return "rests on the prior: the data say little"
    return "prior and data both count: see whether they disagree"
