"""The unrestricted two-level model of incomplete data, by maximum likelihood.

Means, coefficients on the covariates, and a covariance matrix at each level, all free. Where values are
missing there is no reduction to a few sufficient statistics; the likelihood and its gradient are those
of `bmsem.likelihood.cluster_kernel` for a model in which every covariance is a parameter, maximised by
BFGS (Nocedal & Wright 2006, *Numerical Optimization*, section 6.1) over the coefficients and the
Cholesky factors L of the covariance matrices (Pinheiro & Bates 1996, Statistics and Computing 6,
289-296), which keep them positive semi-definite. With D the derivative by a covariance matrix L L',
that by L is the lower triangle of 2 D L. Steps are taken in units of the standard errors at the data's
maximum, so that a replicated data set takes a few.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from bmsem.data import BoundModel
from bmsem.data.statistics import cluster_statistics
from bmsem.errors import SamplingError
from bmsem.likelihood.cells import Cells, model_cells
from bmsem.likelihood.cluster_inputs import (
    cluster_inputs,
    cluster_value_and_gradient,
    kernel_data,
    outcome_shift,
)
from bmsem.likelihood.inputs import KernelInputs
from bmsem.likelihood.reduced import ReducedForm, reduced_form
from bmsem.moments import implied_moments
from bmsem.spec import Level, ModelSpec, Parameter
from bmsem.structure import Structure, build_structure

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def saturated_spec(bound: BoundModel) -> ModelSpec:
    """Every mean, coefficient and covariance of a bound model's variables, each free."""
    structure, only = bound.structure, set(bound.spec.within_only)
    rows: list[Parameter] = []

    def add(level: Level, outcomes: tuple[str, ...], covariates: tuple[str, ...]) -> None:
        rows.extend(
            Parameter(level, a, "~~", b) for a, b in combinations_with_replacement(outcomes, 2)
        )
        rows.extend(Parameter(level, a, "~", x) for a in outcomes for x in covariates)
        constants = [a for a in outcomes if level != "within" or a in only]
        rows.extend(Parameter(level, a, "~1") for a in constants)

    if not bound.spec.multilevel:
        add(None, structure.between_outcomes, structure.between_covariates)
    else:
        both = tuple(n for n in structure.outcomes if n not in only)
        add("within", structure.outcomes, structure.within_covariates)
        add("between", (*structure.between_outcomes, *both), structure.between_covariates)
    return replace(
        bound.spec, parameters=tuple(rows), definitions=(), constraints=(), transforms=(), latent=(),
        slopes=(), interactions=(), statements=None, auxiliary=(),
    )  # fmt: skip


@dataclass(frozen=True)
class _Block:
    """A level's covariance matrix among the parameters: rows and columns of its lower triangle, and
    positions (t,)."""

    size: int
    rows: Index
    columns: Index
    at: Index


@dataclass(frozen=True, eq=False)
class Saturated:
    """The unrestricted model of a bound model's variables, ready to be maximised.

    Attributes
    ----------
    bound
        The unrestricted model with the data.
    model
        The structure of the model that it is compared with.
    inputs
        Vectors for the kernel.
    cells
        Of the data.
    """

    bound: BoundModel
    model: Structure
    inputs: KernelInputs
    cells: Cells

    @classmethod
    def of(cls, bound: BoundModel) -> Saturated:
        """The unrestricted model of a bound model's variables."""
        spec = saturated_spec(bound)
        own = replace(bound, spec=spec, structure=build_structure(spec))
        cells = model_cells(own, own.plan, joined=True)
        return cls(own, bound.structure, cluster_inputs(own, joined=True), cells)

    @cached_property
    def _blocks(self) -> tuple[_Block, ...]:
        found = []
        for level in self.bound.spec.levels:
            structure = self.bound.structure.level(level)
            free = {(int(i), int(j)): int(k) for i, j, k in structure.covariance_index}
            used = sorted({i for pair in free for i in pair})
            place = {row: i for i, row in enumerate(used)}
            entries = sorted(
                (max(place[i], place[j]), min(place[i], place[j]), k) for (i, j), k in free.items()
            )
            rows, columns, at = np.array(entries, dtype=np.intp).reshape(-1, 3).T
            found.append(_Block(len(used), rows, columns, at))
        return tuple(found)

    @cached_property
    def _of_level(self) -> dict[Level, NDArray[np.bool_]]:
        return {
            level: np.array([p.rows[0].level == level for p in self.bound.structure.parameters])
            for level in self.bound.spec.levels
        }

    # -- coordinates --------------------------------------------------------------------------

    def _factors(self, natural: Array) -> Array:
        """Coordinates of parameters: covariance matrices become their Cholesky factors."""
        found = natural.copy()
        for b in self._blocks:
            matrix = np.zeros((b.size, b.size))
            matrix[b.rows, b.columns] = matrix[b.columns, b.rows] = natural[b.at]
            # A matrix on the boundary is moved off it, where the gradient by L would vanish.
            matrix[np.diag_indices(b.size)] *= 1.0 + 1e-6
            values, vectors = np.linalg.eigh(matrix)
            least = 1e-6 * max(values[-1], 1e-300)
            if values[0] < least:
                matrix = (vectors * np.maximum(values, least)) @ vectors.T
            found[b.at] = np.linalg.cholesky(matrix)[b.rows, b.columns]
        return found

    def _natural(self, coordinates: Array) -> Array:
        found = coordinates.copy()
        for b in self._blocks:
            factor = np.zeros((b.size, b.size))
            factor[b.rows, b.columns] = coordinates[b.at]
            found[b.at] = (factor @ factor.T)[b.rows, b.columns]
        return found

    def _minus(self, coordinates: Array, data: Array) -> tuple[float, Array]:
        """Minus the log-likelihood, and its gradient, in the coordinates."""
        value, gradient = cluster_value_and_gradient(
            self._natural(coordinates), data, self.inputs.integers, self.inputs.reals
        )
        if not np.isfinite(value):
            return _REFUSED, np.zeros_like(coordinates)
        for b in self._blocks:
            factor, slope = np.zeros((2, b.size, b.size))
            factor[b.rows, b.columns] = coordinates[b.at]
            slope[b.rows, b.columns] = gradient[b.at]
            slope = slope + slope.T  # twice D: the diagonal was counted once, the others half
            gradient[b.at] = (slope @ factor)[b.rows, b.columns]
        return -value, -gradient

    # -- maximisation -------------------------------------------------------------------------

    def _start(self) -> Array:
        """Means and variances of what is observed of each variable."""
        scales, top = self.bound.scales, self.bound.spec.levels[-1]
        natural = np.zeros(len(self.bound.structure.parameters))
        for p in self.bound.structure.parameters:
            row = p.rows[0]
            if row.op == "~1":
                natural[p.index] = scales.mean[row.level or top, row.lhs]
            elif row.is_variance:
                natural[p.index] = scales.sd[row.level or top, row.lhs] ** 2
        return self._factors(natural)

    def _rough(self, start: Array) -> Array:
        """Standard errors of the coordinates, about."""
        scales, found = self.bound.scales, np.empty(start.size)
        for p in self.bound.structure.parameters:
            row = p.rows[0]
            own = scales.sd[row.level, row.lhs]
            count = self.bound.clusters if row.level == "between" else self.bound.rows
            other = scales.sd.get((row.level, row.rhs), 1.0) if row.op == "~" else 1.0
            found[p.index] = own / other / np.sqrt(count)
        return found

    def _climb(
        self, start: Array, root: Array, data: Array, tolerance: float
    ) -> tuple[float, Array]:
        """The maximum and where it is; ``root`` is a square root of the inverse information."""

        def minus(v: Array) -> tuple[float, Array]:
            value, gradient = self._minus(start + root @ v, data)
            return value, root.T @ gradient

        found = minimize(
            minus, np.zeros(root.shape[1]), jac=True, method="BFGS",
            options={"gtol": tolerance, "maxiter": 50 * start.size},
        )  # fmt: skip
        if found.fun >= _REFUSED or not np.isfinite(found.fun):
            raise SamplingError(
                "The unrestricted two-level model has no finite likelihood. A variable may have no "
                "variance inside clusters, or be a linear function of others there."
            )
        return -float(found.fun), start + root @ found.x

    @cached_property
    def _maximum(self) -> tuple[float, Array, Array]:
        """Of the data: value, coordinates, and root of the inverse information."""
        start = self._start()
        root = np.diag(self._rough(start))
        point = start
        # The second climb is in units of the standard errors at the end of the first.
        for tolerance in (1e-2, 1e-5):
            value, point = self._climb(point, root, self.inputs.data, tolerance)
            root = self._information_root(point, root)
        return value, point, root

    def _information_root(self, point: Array, root: Array) -> Array:
        """R with R R' the inverse of minus the second derivatives, by differences of the gradient."""
        step = 1e-3
        size = point.size
        hessian = np.empty((size, size))
        for i in range(size):
            move = step * root[:, i]
            ahead = self._minus(point + move, self.inputs.data)[1]
            behind = self._minus(point - move, self.inputs.data)[1]
            hessian[i] = root.T @ (ahead - behind) / (2.0 * step)
        values, vectors = np.linalg.eigh(0.5 * (hessian + hessian.T))
        return root @ (vectors / np.sqrt(np.maximum(values, 1e-4)))

    @property
    def value(self) -> float:
        """Largest log-likelihood of the data."""
        return self._maximum[0]

    @cached_property
    def parameters(self) -> Array:
        """Parameters (P,) of the unrestricted model at its maximum."""
        return self._natural(self._maximum[1])

    @cached_property
    def covariance(self) -> Array:
        """Of the estimates (P, P): the inverse of the observed information, by the delta method."""
        point, root = self._maximum[1:]
        jacobian = np.eye(point.size)
        for b in self._blocks:
            factor = np.zeros((b.size, b.size))
            factor[b.rows, b.columns] = point[b.at]
            for k in range(len(b.at)):
                unit = np.zeros((b.size, b.size))
                unit[b.rows[k], b.columns[k]] = 1.0
                change = unit @ factor.T
                jacobian[b.at, b.at[k]] = (change + change.T)[b.rows, b.columns]
        spread = jacobian @ root
        return spread @ spread.T

    def maximise(
        self, start: Array, data: Array, level: Level | str = "all", tolerance: float = 1e-3
    ) -> tuple[float, Array]:
        """Largest log-likelihood of ``data`` from parameters ``start``, and where it is.

        Parameters
        ----------
        start : (P,)
            Parameters of the unrestricted model.
        data
            The kernel's data vector; see `replicated`.
        level
            Over the parameters of one level only, those of the other staying as they are.
        tolerance
            On the gradient in units of standard errors: half its square is about what is left to gain.
        """
        point, root = self._factors(start), self._maximum[2]
        if level != "all":
            free = self._of_level[level]  # type: ignore[index]
            # Standard errors given the other level.
            precision = np.linalg.inv(root @ root.T)[np.ix_(free, free)]
            root = np.zeros((point.size, int(free.sum())))
            values, vectors = np.linalg.eigh(precision)
            root[free] = vectors / np.sqrt(np.maximum(values, 1e-300))
        value, found = self._climb(point, root, data, tolerance)
        return value, self._natural(found)

    def log_likelihood(self, parameters: Array, data: Array) -> float:
        """At parameters of the unrestricted model."""
        found = cluster_value_and_gradient(
            parameters, data, self.inputs.integers, self.inputs.reals
        )
        return found[0]

    # -- the model that it is compared with ---------------------------------------------------

    def implied(self, parameters: Array) -> Array:
        """What parameters (D, P) of the model imply, as parameters (D, ·) of the unrestricted one."""
        model = self.model
        within, between = (implied_moments(s, parameters) for s in (model.within, model.between))
        constants = between.observed_coefficients[..., 0].copy()
        nz = len(model.between_outcomes)
        inside = within.observed_coefficients
        constants[..., nz:] += inside[..., 0]
        names = (*model.between_outcomes, *model.outcomes)
        found = np.empty((len(parameters), len(self.bound.structure.parameters)))
        for p in self.bound.structure.parameters:
            row = p.rows[0]
            own = within if row.level == "within" else between
            rows = model.outcomes if row.level == "within" else names
            i = rows.index(row.lhs)
            if row.op == "~1":
                found[:, p.index] = constants[:, names.index(row.lhs)]
            elif row.op == "~~":
                found[:, p.index] = own.observed_covariance[:, i, rows.index(row.rhs)]
            else:
                covariates = model.level(row.level).covariates
                found[:, p.index] = own.observed_coefficients[:, i, covariates.index(row.rhs)]
        return found

    def reduced(self, parameters: Array) -> ReducedForm:
        """The reduced form of parameters (..., P) of the unrestricted model."""
        return reduced_form(self.bound, parameters)

    def data_of(self, people: Array, between: Array) -> Array:
        """The kernel's data vector for other values of the outcomes, with the data's pattern.

        ``people`` (N, d) are (y, x), ``between`` (J, nz); without levels (N, d) are all.
        """
        cells, bound = self.cells, self.bound
        assert bound.gaps is not None
        p = cells.outcomes
        values = people.copy()
        values[:, :p][~bound.gaps.observed] = np.nan
        if cells.values is not None:
            cells = replace(cells, values=values[cells.people])
        else:
            known = cluster_statistics(np.nan_to_num(values), cells.owner, len(cells.sizes))
            cells = replace(cells, statistics=known)
        if bound.spec.multilevel:
            between = np.where(bound.gaps.between, between, np.nan)
            bound = replace(bound, between_outcomes=between)
        none = np.empty((len(cells.start) - 1, 0))
        places = np.empty((0, 2), dtype=np.int64)
        return kernel_data(bound, none, cells, bound.plan.size, 0, places, self._shift)

    @cached_property
    def _shift(self) -> Array:
        return outcome_shift(self.bound)


# Stands for minus the log-likelihood where there is none.
_REFUSED = 1e15
