"""The scale on which NUTS sees paths between clusters, where the data may say little about them.

How well a path b from u_k to an outcome is known depends on how much u_k varies, which is sampled too.
Where clusters hardly differ, the posterior of (b, sd of u_k) is a funnel: wide in b where the sd is near
zero, narrow where it is not, and no step size suits both. Given everything else b is about
normal, with the precision

    1 / s^2 + (J / v) E_k
    E_k = psi_k^2 / (psi_k + w_k) + sum_x gamma_kx^2 var(x) + sum_l b_kl^2 E_l

where s is the sd of its prior, v the variance of the outcome's cluster means, psi_k the residual
variance of u_k, and w_k the variance of the error with which a cluster's mean shows it: what is seen of
u_k is its reliability times it (Snijders & Bosker 2012, equation 3.21), and covariates and other
variables tell of it what they predict. NUTS sees z = b sqrt(precision), whose scale is the same
everywhere. This is a change of coordinates: the posterior is the same, whatever the approximation of
the precision is worth. Where the variance of u_k is well known there is no funnel, and the path is left
alone: z would only move with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.likelihood.inputs import normal_prior
from bmsem.priors import ParameterPrior, PriorTable
from bmsem.spec import Prior
from bmsem.structure import LevelStructure

Array = NDArray[np.float64]

# A between variance that is more standard errors than this from zero is well known.
_WELL_KNOWN = 3.0


@dataclass(frozen=True)
class Coefficient:
    """A free or fixed entry: ``index`` is the parameter's, or -1; ``source`` a row or a covariate."""

    index: int
    fixed: float
    source: int


@dataclass(frozen=True)
class Variable:
    """A row of the between level: its residual variance, and what it is regressed on."""

    variance: int
    fixed: float
    covariates: tuple[Coefficient, ...]
    variables: tuple[Coefficient, ...]


@dataclass(frozen=True)
class PathCoordinates:
    """Which paths are rescaled, and by what.

    Attributes
    ----------
    paths
        Parameter indices, with the row of the predictor of each.
    variables
        The rows of the between level.
    numbers
        All that depends on the data and the priors: 1 / s^2 and J / v of each path, w of each row,
        variances of the covariates.
    depth
        How many rescaled paths follow one another.
    """

    paths: tuple[tuple[int, int], ...]
    variables: tuple[Variable, ...]
    numbers: Array
    depth: int

    def scales(self, value: Callable[[int], Any], numbers: Any) -> dict[int, Any]:
        """1 / sqrt(precision) of each path; ``value`` gives a parameter by its index.

        Works for numbers as for graph variables.
        """
        m, n = len(self.paths), len(self.variables)
        known: dict[int, Any] = {}

        def spread(row: int) -> Any:
            if row not in known:
                v = self.variables[row]
                psi = value(v.variance) if v.variance >= 0 else v.fixed
                error = numbers[2 * m + row]
                total = psi * psi / (psi + error + 1e-300)
                for c in v.covariates:
                    b = value(c.index) if c.index >= 0 else c.fixed
                    total = total + b * b * numbers[2 * m + n + c.source]
                for c in v.variables:
                    b = value(c.index) if c.index >= 0 else c.fixed
                    total = total + b * b * spread(c.source)
                known[row] = total
            return known[row]

        return {
            index: (numbers[i] + numbers[m + i] * spread(row)) ** -0.5
            for i, (index, row) in enumerate(self.paths)
        }


def path_coordinates(bound: BoundModel, table: PriorTable) -> PathCoordinates | None:
    """The coordinates of a bound model's paths between clusters; ``None`` if it has none to rescale."""
    if not bound.spec.multilevel:
        return None
    level = bound.structure.between
    determined = {r.parameter.index for r in table.role("determined")}
    variables = _variables(level, determined)
    free = {p.parameter.index: p for p in table.rows}
    paths = [
        (index, column)
        for _, column, index in level.path_index.tolist()
        if _may_be_rescaled(free[index])
        and variables[column].variance not in determined
        and _hardly_known(bound, level, column)
    ]
    depths = _depths(variables, {index for index, _ in paths})
    if not paths or depths is None:
        return None
    mean_size = float(np.mean(bound.cluster_sizes))
    sd = bound.scales.sd
    precision, information = [], []
    for index, _ in paths:
        outcome = free[index].parameter.rows[0].lhs
        between, within = (sd.get((name, outcome), 0.0) for name in ("between", "within"))
        total = between**2 + within**2 / mean_size
        information.append(bound.clusters / (total or 1.0))
        precision.append(_prior_precision(free[index]))
    errors = [_error(bound, level, row) / mean_size for row in range(len(variables))]
    spreads = [sd.get(("between", x), 0.0) ** 2 for x in level.covariates]
    numbers = np.array([*precision, *information, *errors, *spreads])
    return PathCoordinates(tuple(paths), variables, numbers, max(depths))


def _may_be_rescaled(row: ParameterPrior) -> bool:
    """A path of one place only, free on the whole line."""
    p = row.parameter
    whole = row.lower is None and row.upper is None and row.role == "sampled"
    known = isinstance(row.prior, Prior) and row.prior.distribution in ("Normal", "Flat")
    return whole and known and len(p.rows) == 1 and p.kind == "path"


def _hardly_known(bound: BoundModel, level: LevelStructure, row: int) -> bool:
    """Whether the data hardly tell a variable's variance between clusters from zero.

    The moment estimate's standard error is about sqrt(2 / (J - 1)) times the variance of the cluster
    means (Searle, Casella & McCulloch 1992, Variance components, section 3.5).
    """
    psi = bound.scales.sd.get(("between", level.variables[row]), 1.0) ** 2
    error = np.sqrt(2.0 / max(bound.clusters - 1, 1)) * (
        psi + _error(bound, level, row) / np.mean(bound.cluster_sizes)
    )
    return bool(psi < _WELL_KNOWN * error)


def _prior_precision(row: ParameterPrior) -> float:
    _, precision = normal_prior(row.prior)
    # A flat prior: as wide as a path on standardised variables never is.
    return precision or 1e-4


def _variables(level: LevelStructure, determined: set[int]) -> tuple[Variable, ...]:
    n = len(level.variables)
    variance = {i: index for i, j, index in level.covariance_index.tolist() if i == j}

    def entries(
        base: Array, free: list[list[int]], row: int, first: int
    ) -> tuple[Coefficient, ...]:
        # What is determined may depend on a path that is rescaled.
        found = [Coefficient(k, 0.0, c) for r, c, k in free if r == row and k not in determined]
        taken = {c for r, c, _ in free if r == row}
        found += [
            Coefficient(-1, float(base[row, c]), c)
            for c in range(base.shape[1])
            if base[row, c] and c not in taken
        ]
        return tuple(f for f in found if f.source >= first)

    return tuple(
        Variable(
            variance.get(row, -1),
            float(level.covariances[row, row]),
            entries(level.coefficients, level.coefficient_index.tolist(), row, 1),
            entries(level.paths, level.path_index.tolist(), row, 0),
        )
        for row in range(n)
    )


def _depths(variables: tuple[Variable, ...], rescaled: set[int]) -> list[int] | None:
    """How many rescaled paths lead to each variable, one after the other; ``None`` in a circle."""
    known: dict[int, int] = {}

    def depth(row: int, above: tuple[int, ...]) -> int:
        if row in above:
            raise RecursionError
        if row not in known:
            ways = [
                depth(c.source, (*above, row)) + (c.index in rescaled)
                for c in variables[row].variables
            ]
            known[row] = max(ways, default=0)
        return known[row]

    try:
        return [depth(row, ()) for row in range(len(variables))]
    except RecursionError:
        return None


def _error(bound: BoundModel, level: LevelStructure, row: int) -> float:
    """Within variance of what shows a variable: of itself, or of the indicator that gives its unit."""
    sd = bound.scales.sd
    name = level.variables[row]
    if ("within", name) in sd:
        return sd["within", name] ** 2
    for indicator in np.flatnonzero(level.paths[:, row]):
        shown = sd.get(("within", level.variables[indicator]))
        if shown is not None:
            return float((shown / level.paths[indicator, row]) ** 2)
    return 0.0
