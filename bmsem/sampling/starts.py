"""Starting values: from the data's scales, or as the user said, checked before sampling starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
from numpy.typing import NDArray
from pymc.distributions.distribution import support_point

from bmsem.data import BoundModel
from bmsem.errors import SamplingError
from bmsem.graph import Graph, GraphVariable
from bmsem.graph.correlations import partial_correlations
from bmsem.graph.inverse_wishart import bartlett_coordinates
from bmsem.moments import implied_moments
from bmsem.priors import PriorTable
from bmsem.structure import FreeParameter, kind_of

Array = NDArray[np.float64]


def starting_values(bound: BoundModel, table: PriorTable) -> Array:
    """A starting value for each free parameter, in the order of the parameter vector.

    Paths and covariances start at zero, loadings at the ratio of the standard deviations, variances
    at the variance of the variable at its level; a value given by the user goes before.

    Raises
    ------
    SamplingError
        If a covariance matrix is not positive definite at the starting values.
    """
    sd, mean = bound.scales.sd, bound.scales.mean
    values = np.zeros(len(bound.structure.parameters))
    for row in table.rows:
        p = row.parameter
        place = p.rows[0]
        if p.start is not None:
            values[p.index] = p.start
            continue
        # A label may stand on a variance and on something else: then it must be positive.
        place = next((r for r in p.rows if r.is_variance), place)
        s = sd.get((place.level, place.lhs), 1.0)
        match kind_of(place):
            case "loading":
                value = sd.get((place.level, place.rhs), 1.0) / s
            case "variance":
                value = s**2
            case "intercept":
                value = mean.get((place.level, place.lhs), 0.0)
            case _:
                value = 0.0
        values[p.index] = _inside(value, row.lower, row.upper)
    by_name = {p.name: p.index for p in bound.structure.parameters}
    for row in table.role("determined"):
        if row.expression is not None:
            names = row.expression.names()
            with np.errstate(all="ignore"):
                values[row.parameter.index] = row.expression.evaluate(
                    {n: values[by_name[n]] for n in names}
                )
            if not np.isfinite(values[row.parameter.index]):
                shown = ", ".join(sorted(names))
                raise SamplingError(
                    f"Sampling cannot start: {row.parameter.name} = {row.expression} is not finite at "
                    f"the starting values of {shown}. Give them others with start(…)."
                )
    _require_positive_definite(bound, values)
    return values


def _inside(value: float, lower: float | None, upper: float | None) -> float:
    if lower is not None and upper is not None and not lower < value < upper:
        return 0.5 * (lower + upper)
    if lower is not None and value <= lower:
        return lower + max(1.0, abs(lower)) * 0.5
    if upper is not None and value >= upper:
        return upper - max(1.0, abs(upper)) * 0.5
    return value


def _require_positive_definite(bound: BoundModel, values: Array) -> None:
    given = [p for p in bound.structure.parameters if p.start is not None]
    levels = ("within", "between") if bound.spec.multilevel else (None,)
    for level in levels:
        structure = bound.structure.level(level)  # type: ignore[arg-type]
        if not structure.variables:
            continue
        _, psi, _ = structure.matrices(values)
        negative = [n for n, v in zip(structure.variables, np.diag(psi), strict=True) if v < 0]
        smallest = float(np.linalg.eigvalsh(psi)[0])
        implied = implied_moments(structure, values).observed_covariance
        if not negative and smallest >= -1e-8 * np.abs(psi).max() and np.isfinite(implied).all():
            continue
        where = f"{level} level" if level else "model"
        what = (
            f"the variance of {', '.join(negative)} is negative"
            if negative
            else f"its smallest eigenvalue is {smallest:.3g}"
        )
        from_user = [
            f"{p.rows[0].full_name} = {p.start:g}"
            for p in given
            if any(r.level == level for r in p.rows)
        ]
        fixed = [
            f"{r.full_name} = {r.fixed:g}"
            for r in bound.spec.at(level, "~~")  # type: ignore[arg-type]
            if r.fixed
        ]
        advice = (
            f"Change the starting values: {', '.join(from_user)}."
            if from_user
            else f"Check the fixed values: {', '.join(fixed)}."
        )
        raise SamplingError(
            f"Sampling cannot start: at the starting values the residual covariance matrix of the "
            f"{where} is not positive definite ({what}). {advice}"
        )


def initial_point(
    graph: Graph, bound: BoundModel, table: PriorTable, rescaled: bool = False
) -> Callable[[int | None], Array]:
    """A function from a seed to an overdispersed starting point of one chain.

    The point is in the sampler's unconstrained space: the starting values plus normal noise of
    about the size of a posterior standard deviation in a small sample. ``rescaled``: in the
    coordinates of `bmsem.graph.coordinates`.
    """
    values = starting_values(bound, table)
    centres, widths = [], []
    for variable in graph.variables:
        rv = graph.model[variable.name]
        if variable.scale == "cluster":
            centres.append(np.zeros(len(variable.indices)))
            widths.append(np.full(len(variable.indices), 0.3))
            continue
        natural = _natural(variable, values, bound)
        starts = [bound.structure.parameters[i].start for i in variable.indices]
        centres.append(_unconstrain(graph.model, rv, natural, any(s is not None for s in starts)))
        # A transformed variable is on a scale of its own: logarithms, log odds.
        transformed = graph.model.rvs_to_transforms[rv] is not None
        transformed |= variable.scale.startswith("bartlett")
        widths.append(np.full(len(starts), 0.3) if transformed else _jitter(variable, bound))
    centre, width = np.concatenate(centres), np.concatenate(widths)
    if rescaled:
        scales = _scales(graph, values)
        centre, width = centre / scales, width / scales

    def draw(seed: int | None = None) -> Array:
        random = np.random.default_rng(seed)
        return centre + width * random.standard_normal(centre.size)

    return draw


def _scales(graph: Graph, values: Array) -> Array:
    """What each element of the unconstrained point is divided by in the rescaled coordinates."""
    found: dict[int, Any] = {}
    if graph.coordinates is not None:
        found = graph.coordinates.scales(lambda i: float(values[i]), graph.coordinates.numbers)
    return np.concatenate(
        [
            [found.get(i, 1.0) if v.name in graph.scales else 1.0 for i in v.indices]
            for v in graph.variables
        ]
    )


def point_at(graph: Graph, bound: BoundModel, values: Array, rescaled: bool = False) -> Array:
    """The sampler's unconstrained point of parameters (P,) in natural units.

    Sampled quantities of clusters and people follow the parameters.
    """
    count = at = len(bound.structure.parameters)
    parts = []
    for v in graph.variables:
        if v.scale == "cluster":
            own = values[at : at + len(v.indices)]
            at += len(v.indices)
            parts.append((own - np.array(v.centre)) / np.array(v.spread))
        else:
            parts.append(
                _forward(graph.model, graph.model[v.name], _natural(v, values[:count], bound))
            )
    point = np.concatenate(parts)
    return point / _scales(graph, values[:count]) if rescaled else point


def _natural(variable: GraphVariable, values: Array, bound: BoundModel) -> Array:
    """Starting values in the units of the random variable."""
    own = values[list(variable.indices)]
    if variable.scale == "sd":
        return np.sqrt(own)
    if variable.scale in ("icc", "r_square"):
        other = np.array([values[i] if i >= 0 else v for i, v in variable.references])
        if variable.scale == "icc":
            return own / (own + other)
        # A start outside of what the prior allows is replaced by the prior's own.
        return 1.0 - own / other
    if variable.scale.startswith("bartlett"):
        return _bartlett(variable, values, bound)
    if variable.scale in ("correlation", "unit"):
        parameters = [bound.structure.parameters[i] for i in variable.indices]
        correlations = np.array([_correlation(p, values, bound) for p in parameters])
        if variable.scale == "correlation":
            return correlations
        return 0.5 * (1.0 + _partials(correlations, variable.sizes))
    return own


def _bartlett(variable: GraphVariable, values: Array, bound: BoundModel) -> Array:
    rows = [bound.structure.parameters[i].rows[0] for i in variable.indices]
    names = sorted({n for r in rows for n in (r.lhs, r.rhs)})
    structure = bound.structure.level(rows[0].level)
    _, psi, _ = structure.matrices(values)
    at = [structure.variables.index(n) for n in names]
    diagonal, below = bartlett_coordinates(psi[np.ix_(at, at)], np.array(variable.factor))
    return diagonal if variable.scale == "bartlett_diagonal" else below


def _correlation(parameter: FreeParameter, values: Array, bound: BoundModel) -> float:
    place = parameter.rows[0]
    structure = bound.structure.level(place.level)
    _, psi, _ = structure.matrices(values)
    i, j = (structure.variables.index(n) for n in (place.lhs, place.rhs))
    return float(values[parameter.index] / np.sqrt(psi[i, i] * psi[j, j]))


def _partials(correlations: Array, sizes: tuple[int, ...]) -> Array:
    parts, start = [], 0
    for size in sizes:
        count = size * (size - 1) // 2 if size else 1
        block = correlations[start : start + count]
        if size:
            matrix = np.eye(size)
            matrix[np.tril_indices(size, -1)] = block
            matrix = matrix + np.tril(matrix, -1).T
            try:
                block = partial_correlations(matrix)
            except np.linalg.LinAlgError:
                raise SamplingError(
                    "Sampling cannot start: the starting values of some covariances imply "
                    f"correlations {np.round(block, 3).tolist()} that no variables can have. Change "
                    "the starting values."
                ) from None
        parts.append(block)
        start += count
    return np.concatenate(parts)


def _unconstrain(model: pm.Model, rv: Any, value: Array, given: bool) -> Array:
    """A starting value on the sampler's scale; outside of the prior's range, the prior's own.

    Raises
    ------
    SamplingError
        If the user gave the value.
    """
    found = _forward(model, rv, value)
    if np.isfinite(found).all():
        return found
    if given:
        raise SamplingError(
            f"The starting value {value} of {rv.name} is outside of the range of its prior. Give "
            f"another with start(…), or change the prior."
        )
    return _forward(model, rv, np.asarray(support_point(rv).eval(), dtype=float))


def _forward(model: pm.Model, rv: Any, value: Array) -> Array:
    transform = model.rvs_to_transforms[rv]
    value = np.asarray(value, dtype=float)
    if transform is None:
        return value.reshape(-1)
    # The common transforms are done here, because each compiled one would cost a tenth of a second.
    with np.errstate(all="ignore"):
        match type(transform).__name__:
            case "LogTransform":
                return np.log(value).reshape(-1)
            case "LogOddsTransform":
                return np.log(value / (1.0 - value)).reshape(-1)
            case "ShortTail":
                return transform.unconstrained(value.reshape(-1))
    shaped = value.reshape(()) if rv.ndim == 0 else value.reshape(-1)
    return np.asarray(transform.forward(shaped, *rv.owner.inputs).eval(), dtype=float).reshape(-1)


def _jitter(variable: GraphVariable, bound: BoundModel) -> Array:
    """Spread of the starting points of variables that are sampled as they are."""
    sd = bound.scales.sd
    widths = []
    for index in variable.indices:
        p = bound.structure.parameters[index]
        place = p.rows[0]
        s = sd.get((place.level, place.lhs), 1.0)
        other = sd.get((place.level, place.rhs), 1.0)
        widths.append(
            {
                "loading": 0.1 * other / s,
                "path": 0.3 * s / other,
                "intercept": 0.3 * s,
                "covariance": 0.1 * s * other,
                "variance": 0.1 * s * s,
            }[p.kind]
        )
    return np.array(widths)
