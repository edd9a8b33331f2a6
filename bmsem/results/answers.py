"""The part of a fit that answers the questions of a study: effects, their size, their meaning."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.effects.meaning import judge
from bmsem.effects.paths import (
    LevelEffects,
    contextual_effects,
    level_effects,
    moderated_paths,
    require_names,
)
from bmsem.errors import ModelError, did_you_mean
from bmsem.language import parse_target
from bmsem.results.base import FitDraws
from bmsem.results.effects import EffectTable
from bmsem.results.quantities import record
from bmsem.results.standardized import cohens_d_draws, r_square_draws
from bmsem.results.zero_variance import NearZero, near_zero
from bmsem.spec import Level, Parameter, Target
from bmsem.tables import Table

Array = NDArray[np.float64]


class Answers(FitDraws):
    """Effects, meaningfulness, effect sizes."""

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
        >>> fit.effects("treat", "mvpa").frame["effect"].tolist()
        ['total', 'total indirect', 'specific', 'specific']
        """
        kind = self.checked_interval(width, interval)
        through = (via,) if isinstance(via, str) else tuple(via)
        found = self.level_effects_of(source, target, level)
        return EffectTable.of(found, through, width, kind, moderated=self.moderation_notes(found))

    def level_effects_of(self, source: str, target: str, level: str | None) -> list[LevelEffects]:
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

    def moderation_notes(self, found: Sequence[LevelEffects]) -> tuple[str, ...]:
        """What products in the equations on the way mean for effects."""
        notes = []
        for effects in found:
            on_way = {v for chain in effects.chains for v in chain.variables}
            for outcome, left, right in moderated_paths(self.bound, effects.level):
                if outcome not in on_way or not {left, right} & on_way:
                    continue
                if left == right:
                    notes.append(
                        f"The effect of {left} on {outcome} depends on {left} itself: what is shown is "
                        f"the effect where it is zero."
                    )
                    continue
                notes.append(
                    f"The effects of {left} and {right} on {outcome} depend on each other: what is "
                    f"shown is the effect of each where the other one is zero. See "
                    f"fit.simple_slopes('{outcome}', '{right}', by='{left}')."
                )
        return tuple(dict.fromkeys(notes))

    def indirect_effects(
        self, width: float = 0.95, interval: str | None = None
    ) -> tuple[EffectTable, ...]:
        """The effects that MODEL INDIRECT asks for, one table a request."""
        kind = self.checked_interval(width, interval)
        tables = []
        for target, how, variables in self.indirect:
            source = variables[-1]
            found = self.level_effects_of(source, target, None)
            between = variables[:-1]
            notes = self.moderation_notes(found)
            if how == "IND" and between:
                # Mplus lists the last mediator first: y IND m2 m1 x is x -> m1 -> m2 -> y.
                exact = (source, *reversed(between), target)
                tables.append(EffectTable.of(found, (), width, kind, exact, notes))
            else:
                tables.append(EffectTable.of(found, between, width, kind, moderated=notes))
        return tuple(tables)

    def contextual_effects(self, width: float = 0.95, interval: str | None = None) -> Table:
        """Between less within coefficient of every path that stands at both levels."""
        kind = self.checked_interval(width, interval)
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
        kind = self.checked_interval(width, interval)
        records = []
        for row, (d, total) in cohens_d_draws(self.bound, self.parameters, self.sampled).items():
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
        >>> fit.meaningfulness({"tot": 20 / 7}).frame["verdict"].item()
        'not zero, but may be short of the standard'
        """
        kind = self.checked_interval(width, interval)
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
            draws = self.quantity(name)
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

    def zero_variance(self, name: str, region: float | None = None) -> Table:
        """Bayes factor for a variance next to zero, in the spirit of Mplus's TECH16.

        Parameters
        ----------
        name
            A variance: ``"between: s ~~ s"``, or its label.
        region
            Standard deviations below this count as zero; by default a tenth of the prior's median.

        Returns
        -------
        Table
            Prior and posterior probability that the standard deviation lies in the region and their
            ratio, for the prior and for its scale halved and doubled: above 1 the data speak for a
            variance near zero. Definition in `bmsem.results.zero_variance`.

        Raises
        ------
        ModelError
            If the name is not that of a free variance.
        NotSupportedError
            If the prior is improper or not on the standard deviation.
        """
        return self.near_zero(name, region).table

    def near_zero(self, name: str, region: float | None = None) -> NearZero:
        """What `zero_variance` prints, with the draws and the prior that it comes from."""
        row = next(
            (
                r
                for r in (self.prior_table.rows if self.prior_table is not None else ())
                if name in (r.parameter.name, *(p.full_name for p in r.parameter.rows))
            ),
            None,
        )
        if row is None or row.parameter.kind != "variance":
            names = [r.full_name for r in self.rows if r.is_variance]
            raise ModelError(f"'{name}' is no free variance. {did_you_mean(name, names)}")
        sd = np.sqrt(self.parameters[..., row.parameter.index])
        return near_zero(name, sd, row.prior, region)

    def quantity(self, name: str) -> Array:
        """Draws (chains, draws) of anything that has a name.

        Parameters
        ----------
        name
            A label, a derived parameter, a row with or without its level, a total effect
            (``"treat -> mvpa"``), a chain (``"treat -> peers -> mvpa"``), ``"sd(y)"``, ``"cor(x, y)"``
            or ``"icc(y)"`` (of residuals where there are predictors).

        Raises
        ------
        ModelError
            If nothing has that name, or it stands at both levels.

        Examples
        --------
        >>> import numpy as np
        >>> np.allclose(fit.quantity("treat -> mvpa"), fit.draws("tot"))
        True
        """
        parts = [p for p in re.split(r"\s*(?:->|→)\s*", name.strip()) if p]
        if len(parts) > 1:
            found = self.level_effects_of(parts[0], parts[-1], None)
            if len(parts) == 2:
                return self._single([(e.level, e.total) for e in found], name)
            chains = [
                (e.level, c.draws) for e in found for c in e.chains if c.variables == tuple(parts)
            ]
            if not chains:
                raise ModelError(f"No path '{' -> '.join(parts)}' in the model.")
            return self._single(chains, name)
        if re.match(r"(?:\w+\s*:\s*)?(?:sd|icc|cor|rsquare)\s*\(", name):
            return self._named_quantity(parse_target(name))
        rows = [(r.level, d) for r, d in self.rows.items() if r.name == name]
        if rows and name not in self.defined:
            return self._single(rows, name)
        return self.draws(name)

    def _named_quantity(self, target: Target) -> Array:
        (row,) = target.find(self.spec.parameters)
        own = self._value(row)
        match target.on:
            case "sd":
                return np.sqrt(own)
            case "icc":
                within = replace(target, on="parameter", level="within").find(self.spec.parameters)
                return own / (own + self._value(within[0]))
            case "r_square":
                draws = r_square_draws(self.bound, self.parameters, self.sampled)
                if (row.level, row.lhs) not in draws:
                    raise ModelError(f"{row.lhs} has no predictors, so that it has no R-square.")
                return draws[row.level, row.lhs]
            case _:
                ends = [
                    self._value(Target("parameter", row.level, "", n, "~~", n).find(
                        self.spec.parameters)[0])
                    for n in (row.lhs, row.rhs)
                ]  # fmt: skip
                return own / np.sqrt(ends[0] * ends[1])

    def _value(self, row: Parameter) -> Array:
        if row.free:
            return self.rows[row]
        return np.full(self.parameters.shape[:2], row.fixed)

    @staticmethod
    def _single(found: list[tuple[Level, Array]], name: str) -> Array:
        if len(found) > 1:
            raise ModelError(
                f"'{name}' stands at both levels. Name the row with its level ('between: {name}'), "
                f"or give it a label."
            )
        return np.asarray(found[0][1])


def _shown(found: dict[str, float]) -> dict[str, float]:
    keys = ("median", "sd", "p_one_tailed", "lower", "upper", "star")
    return {k: found[k] for k in keys}
