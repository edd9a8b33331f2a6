"""The equations of one level, evaluated over all its units at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmsem.errors import ModelError
from bmsem.simulation.order import Step, evaluation_order
from bmsem.spec import Level, Transform
from bmsem.structure import LevelStructure, ProductPlace, SlopePlace, Structure

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Equations:
    """eta = K c + A eta + slopes + products + zeta of one level, in the order of evaluation.

    Attributes
    ----------
    level
        The matrices.
    slopes, products
        What stands in none of them.
    computed
        Covariates that are computed from variables of this level, by name.
    steps
        See `evaluation_order`.
    """

    level: LevelStructure
    slopes: tuple[SlopePlace, ...]
    products: tuple[ProductPlace, ...]
    computed: dict[str, Transform]
    steps: tuple[Step, ...]

    def evaluate(
        self,
        theta: Array,
        covariates: Array,
        random: np.random.Generator,
        *,
        inputs: Mapping[str, Mapping[str, Array]],
        shift: Mapping[str, Array],
        slopes: Mapping[str, Array] | None = None,
        known: Mapping[str, Array] | None = None,
    ) -> tuple[Array, dict[str, Array]]:
        """Values (n, M) of the level's variables for M units, and of what is computed from them.

        Parameters
        ----------
        theta : (P,)
        covariates : (M, k)
            Without the constant.
        random
            Source of the residuals.
        inputs
            What computed variables take from the design.
        shift
            Between parts of the units' clusters, by outcome: a computed variable sees y = u + w.
        slopes
            Varying slopes of the units' clusters.
        known
            Other variables that computed variables may be made of.
        """
        paths, psi, coefficients = self.level.matrices(theta)
        units = len(covariates)
        columns = np.vstack([np.ones(units), covariates.T])
        base = coefficients @ columns + residuals(psi, units, random)
        eta = np.zeros_like(base)
        made: dict[str, Array] = {}
        place = {name: i for i, name in enumerate(self.level.variables)}
        column = {name: i for i, name in enumerate(self.level.covariates)}

        def value(name: str) -> Array:
            return eta[place[name]] if name in place else columns[column[name]]

        for step in self.steps:
            if step.computed:
                own = inputs.get(step.computed, {})
                transform = self.computed[step.computed]
                at = {
                    n: own[n]
                    if n in own
                    else self._simulated(n, eta, place, shift, known or {}, made)
                    for n in transform.expression.names()
                }
                found = _computed(transform, at, units)
                made[step.computed] = found
                if step.computed in column:
                    c = column[step.computed]
                    columns[c] = found
                    base += coefficients[:, [c]] * found
                continue
            rows = list(step.rows)
            total = base[rows] + paths[rows] @ eta
            # Terms of the step's own variables, each unit with a multiplier of its own.
            own_terms: list[tuple[int, int, Array]] = []
            for target, multiplier, source in self._terms(rows, theta, slopes or {}, value):
                if source in rows:
                    own_terms.append((rows.index(target), rows.index(source), multiplier))
                elif source >= 0:
                    total[rows.index(target)] += multiplier * eta[source]
                else:
                    total[rows.index(target)] += multiplier
            eta[rows] = self._solved(rows, paths, own_terms, total) if step.joint else total
        return eta, made

    def _terms(
        self,
        rows: list[int],
        theta: Array,
        slopes: Mapping[str, Array],
        value: Callable[[str], Array],
    ) -> Iterator[tuple[int, Array, int]]:
        """Slopes and products of some rows: target, multiplier (M,), and the row that it multiplies.

        The row is -1 for a term that is all known.
        """
        for slope in self.slopes:
            if slope.target in rows:
                if slope.kind == "covariate":
                    known = value(self.level.covariates[slope.source])
                    yield slope.target, slopes[slope.name] * known, -1
                else:
                    yield slope.target, slopes[slope.name], slope.source
        for product in self.products:
            if product.target in rows:
                b = theta[product.parameter] if product.parameter >= 0 else product.fixed
                left, right = product.left, product.right
                place = {name: i for i, name in enumerate(self.level.variables)}
                if place.get(left, -1) in rows:
                    left, right = right, left
                source = place.get(right, -1)
                known = value(left) if source >= 0 else value(left) * value(right)
                yield product.target, b * known, source

    def _solved(
        self, rows: list[int], paths: Array, own: list[tuple[int, int, Array]], total: Array
    ) -> Array:
        """Rows (r, M) that depend on each other: (I - A) eta = total."""
        matrix = np.eye(len(rows)) - paths[np.ix_(rows, rows)]
        try:
            if not own:
                return np.linalg.solve(matrix, total)
            matrices = np.tile(matrix, (total.shape[1], 1, 1))
            for target, source, multiplier in own:
                matrices[:, target, source] -= multiplier
            return np.linalg.solve(matrices, total.T[..., None])[..., 0].T
        except np.linalg.LinAlgError:
            names = ", ".join(self.level.variables[r] for r in rows)
            raise ModelError(
                f"The feedback between {names} has no solution at these values: its paths have a "
                f"determinant of zero."
            ) from None

    @staticmethod
    def _simulated(
        name: str,
        eta: Array,
        place: Mapping[str, int],
        shift: Mapping[str, Array],
        known: Mapping[str, Array],
        made: Mapping[str, Array],
    ) -> Array:
        if name in made:
            return made[name]
        if name in known:
            return known[name]
        return eta[place[name]] + shift.get(name, 0.0)


def level_equations(
    structure: Structure, level: Level, computed: dict[str, Transform]
) -> Equations:
    """The equations of a level in the order in which they can be evaluated.

    Raises
    ------
    ModelError
        If there is none.
    """
    part = structure.level(level)
    slopes = structure.slopes if level == "within" else ()
    products = tuple(p for p in structure.products if p.level == level)
    inside = {*part.variables, *computed}
    made_of = {n: frozenset(t.expression.names() & inside) for n, t in computed.items()}
    steps = evaluation_order(part, slopes, products, made_of)
    return Equations(part, slopes, products, computed, steps)


def residuals(psi: Array, units: int, random: np.random.Generator) -> Array:
    """Normal residuals (n, units) with covariance ``psi``, which may be singular."""
    values, vectors = np.linalg.eigh(psi)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return root @ random.standard_normal((len(psi), units))


def _computed(transform: Transform, values: Mapping[str, Array], units: int) -> Array:
    with np.errstate(all="ignore"):
        found = np.broadcast_to(np.asarray(transform.expression.evaluate(values), float), (units,))
    bad = int((~np.isfinite(found)).sum())
    if bad:
        raise ModelError(
            f"'{transform}' is not a finite number in {bad} simulated row(s). The true values let its "
            f"inputs leave the range that it needs."
        )
    return found
