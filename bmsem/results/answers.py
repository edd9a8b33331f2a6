"""The part of a fit that answers the questions of a study: effects, their size, latent quantities."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.criteria.predictive import spaced
from bmsem.effects.meaning import judge
from bmsem.effects.paths import (
    LevelEffects,
    contextual_effects,
    level_effects,
    require_names,
)
from bmsem.errors import DataError, DataWarning, ModelError, did_you_mean
from bmsem.latent import between_draws, within_draws
from bmsem.results.base import FitDraws
from bmsem.results.effects import EffectTable
from bmsem.results.quantities import record
from bmsem.results.standardized import cohens_d_draws
from bmsem.results.tables import Table
from bmsem.spec import Level

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

# Numbers that recovered latent quantities may take: half a gigabyte.
_LATENT_LIMIT = 60_000_000


class Answers(FitDraws):
    """Effects, meaningfulness, effect sizes, recovered latent quantities."""

    # -- effects ------------------------------------------------------------------------------

    def effects(
        self,
        source: str,
        target: str,
        *,
        via: str | tuple[str, ...] = (),
        level: str | None = None,
        width: float = 0.95,
        interval: str | None = None,
    ) -> EffectTable:
        """Total, total indirect, direct and every specific effect of one variable on another.

        Parameters
        ----------
        source, target
            Cause and outcome.
        via
            Only chains through all of these variables (Mplus's VIA).
        level
            ``"within"`` or ``"between"``; by default every level at which there is a path.
        width, interval
            Of the credible intervals.

        Returns
        -------
        EffectTable
            ``.frame`` has a row an effect, ``.links`` a row a link of each chain: a chain stands by
            joint significance if each of its links' intervals excludes zero (MacKinnon, Lockwood,
            Hoffman, West & Sheets 2002, Psychological Methods 7, 83-104).

        Raises
        ------
        ModelError
            If a variable is not in the model, or no path leads from one to the other.

        Examples
        --------
        >>> print(fit.effects("treat", "mvpa"))           # doctest: +SKIP
        """
        kind = self._kind(width, interval)
        through = (via,) if isinstance(via, str) else tuple(via)
        found = self._level_effects(source, target, level)
        return EffectTable.of(found, through, width, kind)

    def _level_effects(self, source: str, target: str, level: str | None) -> list[LevelEffects]:
        require_names(self.bound, source, target)
        levels = self.spec.levels
        if level is not None and level not in levels:
            raise ModelError(
                f"No level '{level}'. {did_you_mean(level, [str(v) for v in levels if v])}"
                if levels != (None,)
                else f"A model without levels has no level '{level}'."
            )
        found = [
            effects
            for at in (levels if level is None else [level])
            if (effects := level_effects(self.bound, self.parameters, at, source, target))
            is not None
        ]
        if not found:
            where = f" at the {level} level" if level else ""
            raise ModelError(f"No path leads from '{source}' to '{target}'{where}.")
        return found

    def indirect_effects(
        self, width: float = 0.95, interval: str | None = None
    ) -> tuple[EffectTable, ...]:
        """The effects that MODEL INDIRECT asks for, one table a request."""
        kind = self._kind(width, interval)
        tables = []
        for target, how, variables in self.indirect:
            source = variables[-1]
            found = self._level_effects(source, target, None)
            between = variables[:-1]
            if how == "IND" and between:
                # Mplus lists the last mediator first: y IND m2 m1 x is x -> m1 -> m2 -> y.
                exact = (source, *reversed(between), target)
                tables.append(EffectTable.of(found, (), width, kind, exact=exact))
            else:
                tables.append(EffectTable.of(found, between, width, kind))
        return tuple(tables)

    def contextual_effects(self, width: float = 0.95, interval: str | None = None) -> Table:
        """Between less within coefficient of every path that stands at both levels."""
        kind = self._kind(width, interval)
        records = []
        for (target, source), (within, between) in contextual_effects(
            self.bound, self.parameters
        ).items():
            for what, draws in (
                ("within", within), ("between", between), ("between - within", between - within)
            ):  # fmt: skip
                found = record(np.asarray(draws), width, kind)
                records.append(
                    {"path": f"{target} ~ {source}", "coefficient": what, **_shown(found)}
                )
        note = () if records else ("No path stands at both levels.",)
        return Table(pd.DataFrame(records), "Contextual effects", note)

    # -- size and meaning ---------------------------------------------------------------------

    def effect_sizes(self, width: float = 0.95, interval: str | None = None) -> Table:
        """Cohen's d of every path: per unit of the predictor, so meant for 0/1 predictors.

        ``d`` is against the outcome's residual SD at the path's level, ``d_total`` against the SD of
        single people, within and between variance together. Source: `bmsem.results.standardized`.
        """
        kind = self._kind(width, interval)
        records = []
        for row, (d, total) in cohens_d_draws(self.bound, self.parameters).items():
            found, other = record(d, width, kind), record(total, width, kind)
            records.append(
                {"level": row.level or "", "path": row.name, "d": found["median"],
                 "sd": found["sd"], "lower": found["lower"], "upper": found["upper"],
                 "d_total": other["median"], "lower_total": other["lower"],
                 "upper_total": other["upper"]}
            )  # fmt: skip
        return Table(
            pd.DataFrame(records),
            "Cohen's d (coefficient over the outcome's residual SD at its level)",
            ("d is per unit of the predictor: a difference of means for 0/1 predictors.",),
        )

    def meaningfulness(
        self,
        standards: Mapping[str, float] | None = None,
        width: float = 0.95,
        interval: str | None = None,
    ) -> Table:
        """Effects against a-priori standards of what is large enough to matter.

        Parameters
        ----------
        standards
            Standard by name; by default those of the model's ``standards:`` block. A name is a
            label, a derived parameter, a row (``"between: mvpa ~ advant"``, or ``"mvpa ~ advant"``
            if it stands at one level only), or a chain: ``"treat -> mvpa"`` is the total effect,
            ``"treat -> advant -> mvpa"`` that specific one.
        width, interval
            Of the credible intervals.

        Returns
        -------
        Table
            Estimate, margins of error, interval, whether the interval clears the standard,
            P(beyond the standard), P(practically equivalent to zero), and a verdict in words;
            definitions in `bmsem.effects.meaning`.

        Raises
        ------
        ModelError
            If there are no standards, one is zero or not finite, or a name is unknown.

        Examples
        --------
        >>> fit.meaningfulness({"tot": 20 / 7})           # doctest: +SKIP
        """
        kind = self._kind(width, interval)
        wanted = dict(standards) if standards is not None else dict(self.spec.standards)
        if not wanted:
            raise ModelError(
                "No standards were given. Pass standards={'tot': 20/7}, or write a 'standards:' "
                "block with lines such as 'tot = 20/7' in the model."
            )
        records = []
        for name, standard in wanted.items():
            if not np.isfinite(standard) or standard == 0:
                raise ModelError(
                    f"The standard of '{name}' is {standard}: give the smallest effect that would "
                    f"matter, with its sign."
                )
            draws = self._quantity(name)
            found = record(draws, width, kind)
            meaning = judge(draws, float(standard), found["median"], found["lower"], found["upper"])
            records.append(
                {"quantity": name, "standard": meaning.standard, "estimate": meaning.estimate,
                 "lower": meaning.lower, "upper": meaning.upper,
                 "margin_lower": meaning.margin_lower, "margin_upper": meaning.margin_upper,
                 "clears": meaning.clears, "p_exceeds": meaning.p_exceeds,
                 "p_equivalent": meaning.p_equivalent, "verdict": meaning.verdict}
            )  # fmt: skip
        return Table(pd.DataFrame(records), "Effects against standards of meaningfulness")

    def _quantity(self, name: str) -> Array:
        """Draws of a label, a derived parameter, a row with or without its level, or a chain."""
        parts = [p for p in re.split(r"\s*(?:->|→)\s*", name.strip()) if p]
        if len(parts) > 1:
            found = self._level_effects(parts[0], parts[-1], None)
            if len(parts) == 2:
                return self._single([(e.level, e.total) for e in found], name)
            chains = [
                (e.level, c.draws) for e in found for c in e.chains if c.variables == tuple(parts)
            ]
            if not chains:
                raise ModelError(f"No path '{' -> '.join(parts)}' in the model.")
            return self._single(chains, name)
        rows = [(r.level, d) for r, d in self.rows.items() if r.name == name]
        if rows and name not in self.defined:
            return self._single(rows, name)
        return self.draws(name)

    @staticmethod
    def _single(found: list[tuple[Level, Array]], name: str) -> Array:
        if len(found) > 1:
            raise ModelError(
                f"'{name}' stands at both levels. Name the row with its level ('between: {name}'), "
                f"or give it a label."
            )
        return np.asarray(found[0][1])

    # -- latent quantities --------------------------------------------------------------------

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
        >>> fit.latent("mvpa", level="between").mean(("chain", "draw"))     # doctest: +SKIP
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
        random = np.random.default_rng(seed)
        parameters = self.flat_parameters[kept]
        found: dict[str, xr.DataArray] = {}
        between = between_draws(self.bound, parameters, random)
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
            within = within_draws(self.bound, people, parameters, between, random)
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
        parameters = self.parameters[:, kept].reshape(-1, self.parameters.shape[-1])
        random = np.random.default_rng(seed)
        between = between_draws(self.bound, parameters, random)
        if level != "within":
            return between, kept
        people = self.bound.people
        assert people is not None
        return within_draws(self.bound, people, parameters, between, random), kept


def _shown(found: dict[str, float]) -> dict[str, float]:
    keys = ("median", "sd", "p_one_tailed", "lower", "upper", "star")
    return {k: found[k] for k in keys}
