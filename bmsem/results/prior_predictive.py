"""What the priors say before any data are fitted: parameters, implied quantities, data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.data import BoundModel, read_data
from bmsem.errors import DataError, ModelError, did_you_mean
from bmsem.expressions import quoted
from bmsem.priors import PriorTable
from bmsem.results.fit import FitResults
from bmsem.results.quantities import quantities
from bmsem.results.standardized import r_square_draws
from bmsem.simulation import Simulator
from bmsem.tables import Table

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PriorPredictive:
    """Draws from the joint prior of a model, what they imply, and data made at them.

    Made by `bmsem.Model.prior_predictive`. Print it for the implied quantities.

    Attributes
    ----------
    bound
        The model and the data that its preset was scaled to.
    priors
        The table of priors.
    parameters : (draws, P)
        In the order of the parameter vector.
    simulator
        Makes data with the clusters and covariates of the real ones.
    seed
        Of the data.
    """

    bound: BoundModel
    priors: PriorTable
    parameters: Array
    simulator: Simulator
    seed: int

    @cached_property
    def _fit(self) -> FitResults:
        frame = self.priors.to_frame()
        return FitResults(self.bound, frame, self.parameters[None], {}, {}, prior_table=self.priors)

    def draws(self, name: str) -> Array:
        """Draws (draws,) of anything that `Fit.quantity` takes.

        Raises
        ------
        ModelError
            If nothing has that name.
        """
        return self._fit.quantity(name).reshape(-1)

    @cached_property
    def implied(self) -> dict[str, Array]:
        """Draws of implied quantities: ICCs, R-squares, total effects, derived parameters."""
        found: dict[str, Array] = {}
        spec = self.bound.spec
        between = {r.lhs for r in spec.at("between", "~~") if r.is_variance}
        for name in spec.split:
            if name in between:
                key = f"icc({quoted(name)})"
                found[key] = self.draws(key)
        with_draws = (
            {} if self._fit.plan.needed else r_square_draws(self.bound, self.parameters[None])
        )
        for (level, name), values in with_draws.items():
            head = f"{level}: " if level else ""
            found[f"{head}rsquare({quoted(name)})"] = values.reshape(-1)
        found |= self._totals()
        found |= {d.name: self.draws(d.name) for d in spec.definitions}
        return found

    def _totals(self) -> dict[str, Array]:
        """Total effects of each variable that nothing predicts on each that predicts nothing."""
        found = {}
        for level in self.bound.spec.levels:
            paths = self.bound.spec.at(level, "~")
            sources, targets = {r.rhs for r in paths}, {r.lhs for r in paths}
            for source in sorted(sources - targets):
                for target in sorted(targets - sources):
                    try:
                        (effects,) = self._fit.level_effects_of(source, target, level)
                    except ModelError:
                        continue  # no path leads there
                    head = f"{level}: " if level else ""
                    found[f"{head}{source} -> {target}"] = effects.total.reshape(-1)
        return found

    def quantities(self, width: float = 0.95) -> Table:
        """Implied quantities: median, SD, and the equal-tailed interval that holds ``width``.

        Raises
        ------
        ModelError
            If the width is not between 0 and 1.
        """
        self._fit.checked_interval(width, "equal")
        frame = quantities(np.column_stack(list(self.implied.values())), width, "equal")
        frame.insert(0, "quantity", list(self.implied))
        return Table(frame, f"What the priors imply ({len(self.parameters):,} draws)")

    def data(self, draw: int) -> pd.DataFrame:
        """A data set at a draw from the prior, with the clusters and covariates of the real data.

        Raises
        ------
        ModelError
            If there is no such draw.
        """
        if not 0 <= draw < len(self.parameters):
            raise ModelError(f"There are draws 0 to {len(self.parameters) - 1}, not {draw}.")
        seed = np.random.SeedSequence([self.seed, draw])
        return self.simulator.data(self.parameters[draw], np.random.default_rng(seed))[0]

    def check(self, data: Any, sets: int = 100, width: float = 0.95) -> Table:
        """Means, SDs and ICCs of data made at the prior beside those of real data.

        A prior is too narrow if the real data lie outside of what it makes, and wide if what it makes
        could not be: scores beyond their scale.

        Parameters
        ----------
        data
            The real data: a data frame, a mapping of columns, or the path of a CSV file.
        sets
            How many data sets to make.

        Raises
        ------
        ModelError
            If ``width`` or ``sets`` is not possible.
        DataError
            If the data cannot be read, or lack the cluster variable or every outcome.
        """
        self._fit.checked_interval(width, "equal")
        if sets < 1:
            raise ModelError(f"sets={sets}: make at least one data set.")
        frame = read_data(data)
        cluster = self.simulator.layout.cluster
        if cluster is not None and cluster not in frame:
            raise DataError(
                f"The data have no column '{cluster}', which tells the clusters apart. "
                f"{did_you_mean(cluster, map(str, frame.columns))}"
            )
        observed = self._statistics(frame)
        if not observed:
            outcomes = ", ".join(self._outcomes)
            raise DataError(
                f"The data have none of the variables that the model makes: {outcomes}."
            )
        made = [self._statistics(self.data(i)) for i in range(min(sets, len(self.parameters)))]
        records = []
        for key, value in observed.items():
            values = np.array([m[key] for m in made])
            low, middle, high = np.nanquantile(values, [(1 - width) / 2, 0.5, (1 + width) / 2])
            records.append(
                {"variable": key[0], "statistic": key[1], "observed": value, "median": middle,
                 "lower": low, "upper": high, "p_below": float(np.nanmean(values < value)),
                 "inside": bool(low <= value <= high)}
            )  # fmt: skip
        note = (
            f"Of {len(made)} data sets made at draws from the prior; p_below is the share below the "
            f"observed."
        )
        return Table(pd.DataFrame(records), "Prior predictive check", (note,))

    @property
    def _outcomes(self) -> tuple[str, ...]:
        structure = self.bound.structure
        return (*structure.between_outcomes, *structure.outcomes)

    def _statistics(self, frame: pd.DataFrame) -> dict[tuple[str, str], float]:
        """By variable and statistic, of what the model simulates."""
        names = [n for n in self._outcomes if n in frame]
        cluster = self.simulator.layout.cluster
        found: dict[tuple[str, str], float] = {}
        for name in names:
            values = frame[name].astype(float)
            found[name, "mean"] = float(values.mean())
            found[name, "SD"] = float(values.std())
            found[name, "smallest"], found[name, "largest"] = (
                float(values.min()), float(values.max())
            )  # fmt: skip
            if cluster is not None and name in self.bound.spec.split:
                found[name, "ICC"] = _anova_icc(values, frame[cluster])
        return found

    def plot(self, names: str | Sequence[str] | None = None, **options: Any) -> Any:
        """Densities of implied quantities, through arviz-plots.

        Returns
        -------
        arviz_plots.PlotCollection
        """
        from arviz_plots import plot_dist

        chosen = [names] if isinstance(names, str) else list(names or self.implied)
        values = {n: self.implied[n] if n in self.implied else self.draws(n) for n in chosen}
        columns = min(4, len(chosen))
        size = (3.2 * columns, 2.2 * -(-len(chosen) // columns) + 0.3)
        given: dict[str, Any] = {
            "figure_kwargs": {"figsize": size, "layout": "constrained"},
            "col_wrap": columns,
            "group": "prior",
            "visuals": {"point_estimate_text": False},
        } | options
        return plot_dist(self._tree(values), **given)

    def _tree(self, values: dict[str, Array]) -> xr.DataTree:
        import xarray as xr

        from bmsem.results.prior_plots import central

        kept = {n: central(v) for n, v in values.items()}
        return xr.DataTree.from_dict({"prior": xr.Dataset(kept)})

    def __str__(self) -> str:
        return str(self.quantities())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.quantities()._repr_html_()


def _anova_icc(values: pd.Series, clusters: pd.Series) -> float:
    """ICC(1) from mean squares (Shrout & Fleiss 1979, Psychological Bulletin 86, 420-428)."""
    groups = values.groupby(clusters)
    n = groups.size().to_numpy(float)
    count, total = len(n), n.sum()
    if total <= count:
        return float("nan")
    means = groups.mean().to_numpy(float)
    between = float((n * (means - values.mean()) ** 2).sum() / (count - 1))
    within = float(((values - groups.transform("mean")) ** 2).sum() / (total - count))
    size = (total - (n**2).sum() / total) / (count - 1)
    return (between - within) / (between + (size - 1) * within)
