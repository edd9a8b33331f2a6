"""The part of a fit that reads moderated effects: simple slopes and Johnson-Neyman regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.errors import ModelError
from bmsem.results.base import FitDraws
from bmsem.results.quantities import record
from bmsem.results.standardized import total_moments
from bmsem.spec import Level, Parameter
from bmsem.tables import Table

Array = NDArray[np.float64]

_GRID = 401


class Moderation(FitDraws):
    """Simple slopes at values of a moderator, and where they differ from zero."""

    def simple_slopes(
        self,
        outcome: str,
        predictor: str,
        by: str,
        at: Sequence[float] | None = None,
        width: float = 0.95,
        interval: str | None = None,
    ) -> Table:
        """Slope of ``outcome`` on ``predictor`` at values of the moderator ``by``.

        The moderation is a product in the equation of the outcome (``int | treat XWITH lmb``), or a
        varying slope that the moderator predicts (``s | y ~ x``, ``s ~ w``); the simple slope is
        b_predictor + b_product * value (Aiken & West 1991, *Multiple Regression: Testing and
        Interpreting Interactions*, chapter 2).

        Parameters
        ----------
        outcome, predictor, by
            Variables.
        at
            Values of the moderator; by default those that it takes if they are two, else its mean and
            one standard deviation to either side.
        width, interval
            Of the credible intervals.

        Returns
        -------
        Table
            ``value`` of the moderator and the posterior of the slope there; the last row is the
            ``difference`` between the last and the first value.

        Raises
        ------
        ModelError
            If the model has no such moderation.

        Examples
        --------
        >>> moderated.simple_slopes("lyb", "lmb", by="treat").frame["treat"].tolist()
        ['0', '1', 'difference']
        """
        kind = self.checked_interval(width, interval)
        base, change, level = self.moderated_slope(outcome, predictor, by)
        values = list(at) if at is not None else self.moderator_values(by, level)
        if not values:
            raise ModelError("Give at least one value of the moderator.")
        rows = [(f"{v:g}", base + change * v) for v in values]
        if len(values) > 1:
            rows.append(("difference", rows[-1][1] - rows[0][1]))
        keys = ("median", "sd", "p_one_tailed", "lower", "upper", "star")
        records = []
        for name, draws in rows:
            found = record(draws, width, kind)
            records.append({by: name, **{k: found[k] for k in keys}})
        return Table(pd.DataFrame(records), f"Slope of {outcome} on {predictor} by {by}")

    def johnson_neyman(
        self,
        outcome: str,
        predictor: str,
        by: str,
        width: float = 0.95,
        interval: str | None = None,
        bounds: tuple[float, float] | None = None,
    ) -> Table:
        """Values of a continuous moderator at which the simple slope's interval excludes zero.

        (Johnson & Neyman 1936; Bauer & Curran 2005, Multivariate Behavioral Research 40, 373-400, here
        with credible intervals.)

        Parameters
        ----------
        bounds
            Between which values to look; by default three standard deviations about the mean.

        Returns
        -------
        Table
            A row a region: ``from``, ``to``, the sign of the slope there; empty if there is none.
        """
        kind = self.checked_interval(width, interval)
        base, change, level = self.moderated_slope(outcome, predictor, by)
        if bounds is None:
            mean, sd = self.location(by, level)
            bounds = (mean - 3.0 * sd, mean + 3.0 * sd)
        if not bounds[0] < bounds[1]:
            raise ModelError(f"The bounds {bounds} leave nothing between them.")

        def sign(value: float) -> int:
            found = record(base + change * value, width, kind)
            return int(np.sign(found["lower"])) if found["star"] else 0

        grid = np.linspace(*bounds, _GRID)
        signs = np.array([sign(v) for v in grid])
        records = []
        start = 0
        for i in range(1, _GRID + 1):
            if i < _GRID and signs[i] == signs[start]:
                continue
            if signs[start]:
                low = grid[start] if start == 0 else _edge(sign, grid[start - 1], grid[start])
                high = grid[i - 1] if i == _GRID else _edge(sign, grid[i], grid[i - 1])
                direction = "positive" if signs[start] > 0 else "negative"
                records.append({"from": low, "to": high, "slope": direction})
            start = i
        note = (
            f"Between {bounds[0]:.3g} and {bounds[1]:.3g} of {by}; elsewhere the {width:.0%} interval "
            f"of the slope includes zero."
        )
        return Table(
            pd.DataFrame(records, columns=["from", "to", "slope"]),
            f"Johnson-Neyman regions: {outcome} on {predictor} by {by}",
            (note,),
        )

    def moderated_slope(self, outcome: str, predictor: str, by: str) -> tuple[Array, Array, Level]:
        """Draws of the slope where the moderator is zero, of its change, and the moderator's level."""
        spec = self.spec
        for product in spec.interactions:
            if {product.left, product.right} != {predictor, by}:
                continue
            rows = {r.rhs: r for r in spec.at(product.level, "~") if r.lhs == outcome}
            if product.name in rows:
                change = self._row_value(rows[product.name])
                zero = np.zeros(self.parameters.shape[:2])
                base = self._row_value(rows[predictor]) if predictor in rows else zero
                if predictor == by:
                    # The slope of b1 f + b2 f f is b1 + 2 b2 f.
                    change = 2.0 * change
                return base, change, product.level
        for slope in spec.slopes:
            if (slope.outcome, slope.predictor) != (outcome, predictor):
                continue
            rows = {r.rhs: r for r in spec.at("between", "~") if r.lhs == slope.name}
            if by in rows:
                mean = next(r for r in spec.at("between", "~1") if r.lhs == slope.name)
                return self._row_value(mean), self._row_value(rows[by]), "between"
        raise ModelError(
            f"In this model {by} does not moderate the path from {predictor} to {outcome}: there is "
            f"neither a product of {predictor} and {by} in the equation of {outcome}, nor a varying "
            f"slope that {by} predicts."
        )

    def _row_value(self, row: Parameter) -> Array:
        if row.fixed is not None:
            return np.full(self.parameters.shape[:2], row.fixed)
        return self.rows[row]

    def moderator_values(self, name: str, level: Level) -> list[float]:
        structure = self.bound.structure
        if name in structure.between_covariates:
            column = self.bound.between_covariates[:, structure.between_covariates.index(name)]
            values = np.unique(column)
            if len(values) == 2:
                return [float(v) for v in values]
        mean, sd = self.location(name, level)
        return [mean - sd, mean, mean + sd]

    def location(self, name: str, level: Level) -> tuple[float, float]:
        """Mean and standard deviation that the model implies for a variable, at their medians."""
        sampled = None if self.sampled is None else self.flat_sampled
        moments = total_moments(self.bound, level, self.flat_parameters, sampled)
        i = moments.names.index(name)
        sd = np.sqrt(np.median(moments.covariance[:, i, i]))
        return float(np.median(moments.mean[:, i])), float(sd)


def _edge(sign, outside: float, inside: float) -> float:
    """Where the interval begins to exclude zero, by bisection."""
    wanted = sign(inside)
    for _ in range(30):
        middle = 0.5 * (outside + inside)
        if sign(middle) == wanted:
            inside = middle
        else:
            outside = middle
    return inside
