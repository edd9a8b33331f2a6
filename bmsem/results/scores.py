"""The part of a fit that gives back what was integrated out: effects of clusters, scores."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.criteria.predictive import spaced
from bmsem.errors import DataError, DataWarning, ModelError, did_you_mean
from bmsem.latent import (
    between_draws,
    between_draws_given,
    people_draws_given,
    within_draws,
)
from bmsem.results.base import FitDraws
from bmsem.spec import Level

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

# Numbers that recovered latent quantities may take: half a gigabyte.
_LATENT_LIMIT = 60_000_000


class Scores(FitDraws):
    """Recovered latent quantities: cluster effects, between and within parts, factor scores."""

    def latent(
        self,
        name: str,
        level: str | None = None,
        *,
        draws: int | None = None,
        seed: int = 0,
    ) -> xr.DataArray:
        """Draws of a cluster effect, a between or within part, or a factor, from their exact posterior.

        Parameters
        ----------
        name
            A variable with both parts, or a factor.
        level
            ``"between"`` or ``"within"``; may be left out if the variable exists at one of them only.
        draws
            Kept draws of each chain, evenly spaced; by default all, or as many as fit into half a
            gigabyte, with a warning.
        seed
            Of the draws.

        Returns
        -------
        DataArray
            ``chain``, ``draw`` and ``cluster`` (or ``row``), the latter with the data's own labels.

        Raises
        ------
        ModelError
            If the variable is not at that level.
        DataError
            If scores of people are asked of a fit that has no rows.

        Examples
        --------
        >>> dict(fit.latent("mvpa", level="between").mean(("chain", "draw")).sizes)
        {'cluster': 50}
        """
        import xarray as xr

        at = self._latent_level(name, level)
        structure = self.bound.structure.level(at)
        place = structure.variables.index(name)
        values, kept = self._latent_draws(at, draws, seed)
        dimension, labels = self._latent_index(at)
        chains = self.parameters.shape[0]
        return xr.DataArray(
            values[..., place].reshape(chains, len(kept), -1),
            dims=("chain", "draw", dimension),
            coords={"chain": np.arange(chains), "draw": kept, dimension: labels},
            name=name,
            attrs={"level": at or ""},
        )

    def plausible_values(self, n: int = 20, seed: int = 0) -> xr.Dataset:
        """``n`` joint draws of everything latent, each from another posterior draw.

        Returns
        -------
        Dataset
            A variable for each between part and factor (``mvpa_between``) over ``imputation`` and
            ``cluster``, and for each within-level factor (``f_within``) over ``imputation`` and
            ``row``, if the fit has the rows.
        """
        import xarray as xr

        total = len(self.flat_parameters)
        if not 1 <= n <= total:
            raise ModelError(f"n must lie between 1 and the number of draws, {total:,}, not {n}.")
        kept = spaced(total, n)
        random = np.random.default_rng([seed, crc32(b"scores")])
        found: dict[str, xr.DataArray] = {}
        between = self._between(kept, random)
        top: Level = self.spec.levels[-1]
        known = set(self.spec.between_only) if self.spec.multilevel else set(self.spec.observed)
        skip = known | set(self.spec.within_only)
        dimension, labels = self._latent_index(top)

        def add(name: str, values: Array, where: str, index: NDArray) -> None:
            found[name] = xr.DataArray(
                values,
                dims=("imputation", where),
                coords={where: index, "imputation": np.arange(n)},
            )

        for i, name in enumerate(self.bound.structure.between.variables):
            if name not in skip:
                suffix = "_between" if self.spec.multilevel else ""
                add(f"{name}{suffix}", between[..., i], dimension, labels)
        people = self.bound.people
        structure = self.bound.structure.within
        factors = structure.variables[structure.observed :]
        if people is not None and factors:
            within = self._within(kept, between, random)
            for i, name in enumerate(factors, start=structure.observed):
                add(f"{name}_within", within[..., i], "row", np.asarray(people.index))
        if not found:
            raise ModelError("The model has no latent quantities.")
        return xr.Dataset(found)

    def _latent_level(self, name: str, level: str | None) -> Level:
        structure = self.bound.structure
        if not self.spec.multilevel:
            if level is not None:
                raise ModelError(f"A model without levels has no level '{level}'.")
            factors = structure.between.variables[structure.between.observed :]
            if name not in factors:
                raise ModelError(
                    f"'{name}' is not a factor of the model. {did_you_mean(name, factors)}"
                )
            return None
        choices: dict[Level, tuple[str, ...]] = {
            "within": structure.within.variables,
            "between": structure.between.variables,
        }
        at = [k for k, names in choices.items() if name in names]
        if name in self.spec.within_only or name in self.spec.between_only:
            raise ModelError(f"'{name}' is observed at its level: it has no latent part.")
        if level is None and len(at) == 2:
            raise ModelError(
                f"'{name}' has a part at both levels: add level='between' or 'within'."
            )
        if level is not None and level not in choices:
            raise ModelError(f"No level '{level}'. Use 'within' or 'between'.")
        if not at or (level is not None and level not in at):
            names = sorted(
                n
                for k, v in choices.items()
                for n in v
                if level in (None, k) and n not in (*self.spec.within_only, *self.spec.between_only)
            )
            where = f" at the {level} level" if level else ""
            raise ModelError(f"No latent quantity '{name}'{where}. {did_you_mean(name, names)}")
        return level or at[0]

    def _latent_index(self, level: Level) -> tuple[str, NDArray]:
        if level == "within":
            people = self.bound.people
            if people is None:
                raise DataError(
                    "Scores of people need the rows of the data; this fit has only statistics."
                )
            return "row", np.asarray(people.index)
        return ("cluster" if self.spec.multilevel else "row"), np.asarray(self.bound.cluster_ids)

    def _latent_draws(
        self, level: Level, draws: int | None, seed: int
    ) -> tuple[Array, NDArray[np.intp]]:
        """Draws (chains * kept, units, variables) of a level, and the kept draws of each chain."""
        _, labels = self._latent_index(level)
        structure = self.bound.structure
        chains, total = self.parameters.shape[:2]
        units = max(len(labels), self.bound.clusters)
        cost = units * len(structure.level(level).variables) * chains
        most = max(1, _LATENT_LIMIT // max(cost, 1))
        if draws is not None and not 1 <= draws <= total:
            raise ModelError(f"draws must lie between 1 and {total:,}, not {draws}.")
        if draws is None and most < total:
            warnings.warn(
                f"Only {most:,} of the {total:,} draws of each chain are used for "
                f"{len(labels):,} scores; draws={total} uses all.",
                DataWarning,
                stacklevel=3,
            )
        kept = spaced(total, draws or min(total, most))
        flat = (np.arange(chains)[:, None] * total + kept).reshape(-1)
        random = np.random.default_rng([seed, crc32(b"scores")])
        between = self._between(flat, random)
        if level != "within":
            return between, kept
        return self._within(flat, between, random), kept

    def _between(self, draws: NDArray[np.intp], random: np.random.Generator) -> Array:
        """All variables of the between level (of the only one) at some of the flat draws."""
        bound, parameters = self.bound, self.flat_parameters[draws]
        if not bound.by_cell:
            return between_draws(bound, parameters, random)
        sampled = self.flat_sampled[draws]
        if self.spec.multilevel:
            return between_draws_given(
                bound, self.plan, parameters, sampled, random, self.flat_people[draws]
            )
        values = np.hstack([bound.between_outcomes, bound.between_covariates])
        return people_draws_given(
            bound, self.plan, self._completed(values, draws), np.arange(len(values)), parameters,
            sampled, self.flat_scores[draws], random,
        )  # fmt: skip

    def _within(
        self, draws: NDArray[np.intp], between: Array, random: np.random.Generator
    ) -> Array:
        """All variables of the within level, given those of the between level."""
        bound, people, parameters = self.bound, self.bound.people, self.flat_parameters[draws]
        assert people is not None
        if not bound.by_cell:
            return within_draws(bound, people, parameters, between, random)
        # Scores were sampled cluster after cluster; people are in the order of the data.
        order = np.argsort(people.clusters, kind="stable")
        scores = self.flat_scores[draws]
        placed = np.empty_like(scores)
        if self.plan.scores:
            placed[:, order] = scores
        return people_draws_given(
            bound, self.plan, self._completed(people.values, draws), people.clusters, parameters,
            between, placed, random,
        )  # fmt: skip

    def _completed(self, values: Array, draws: NDArray[np.intp]) -> Array:
        """The rows (D, N, ·) with missing values that were sampled; the rows themselves without any."""
        if self.filled is None:
            return values
        from bmsem.likelihood.cells import model_cells

        cells = model_cells(self.bound, self.plan)
        filled = self.filled.reshape(len(self.flat_parameters), -1)[draws]
        result = np.repeat(values[None], len(draws), axis=0)
        result[:, cells.people[cells.filled[:, 0]], cells.filled[:, 1]] = filled
        return result

    def imputations(self, n: int = 20, seed: int = 0) -> list[pd.DataFrame]:
        """``n`` completed data sets: missing values drawn from their posterior, a draw each.

        What was observed is as it was; missing values of one data set are drawn jointly, given what was
        observed of the person and of the cluster, from a posterior draw of the parameters (Rubin 1987,
        *Multiple imputation for nonresponse in surveys*, chapter 3).

        Parameters
        ----------
        n
            How many.
        seed
            Of the draws.

        Returns
        -------
        list of DataFrame
            The cluster variable and the model's variables, a row a person, with the data's index.

        Raises
        ------
        ModelError
            If ``n`` is not between 1 and the number of draws.
        DataError
            If the fit has only statistics of its data.

        Examples
        --------
        >>> frames = fit.imputations(2)
        >>> len(frames), frames[0].shape
        (2, (1000, 5))
        """
        bound, structure = self.bound, self.bound.structure
        total = len(self.flat_parameters)
        if not 1 <= n <= total:
            raise ModelError(f"n must lie between 1 and the number of draws, {total:,}, not {n}.")
        if bound.spec.multilevel and bound.people is None:
            raise DataError("Imputation needs the rows of the data; this fit has only statistics.")
        draws = spaced(total, n)
        random = np.random.default_rng([seed, crc32(b"imputations")])
        between = self._between(draws, random)
        nz, p = len(structure.between_outcomes), len(structure.outcomes)
        z = np.where(np.isnan(bound.between_outcomes), between[..., :nz], bound.between_outcomes)
        names = (*structure.between_outcomes, *structure.between_covariates)
        frames = []
        if bound.people is None:
            for own in z:
                values = np.hstack([own, bound.between_covariates])
                frames.append(pd.DataFrame(values, columns=list(names), index=bound.cluster_ids))
            return frames
        people = bound.people
        within = self._within(draws, between, random)
        parts = within[..., :p] + between[:, people.clusters, nz : nz + p]
        y = np.where(np.isnan(people.values[:, :p]), parts, people.values[:, :p])
        columns = (*structure.outcomes, *structure.within_covariates, *names)
        for i in range(n):
            upper = np.hstack([z[i], bound.between_covariates])[people.clusters]
            values = np.hstack([y[i], people.values[:, p:], upper])
            frame = pd.DataFrame(values, columns=list(columns), index=people.index)
            ids = np.asarray(bound.cluster_ids)[people.clusters]
            frame.insert(0, str(bound.cluster_ids.name or "cluster"), ids)
            frames.append(frame)
        return frames
