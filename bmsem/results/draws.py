"""Draws by row of the parameter table, and of what is computed from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.errors import ModelError, did_you_mean
from bmsem.spec import ModelSpec, Parameter
from bmsem.structure.free import Kind, kind_of

Array = NDArray[np.float64]

GROUPS: dict[Kind, str] = {
    "loading": "loadings",
    "path": "paths",
    "covariance": "covariances",
    "intercept": "intercepts",
    "variance": "variances",
}


def row_draws(bound: BoundModel, parameters: Array) -> dict[Parameter, Array]:
    """Draws (chains, draws) of every free row from those of the parameter vector."""
    position = {row.key: p.index for p in bound.structure.parameters for row in p.rows}
    return {row: parameters[..., position[row.key]] for row in bound.spec.parameters if row.free}


def defined_draws(spec: ModelSpec, rows: dict[Parameter, Array]) -> dict[str, Array]:
    """Draws of the derived parameters, each computed draw by draw.

    A label on a fixed parameter stands for its value.
    """
    values: dict[str, Any] = {}
    for row in spec.parameters:
        if row.label is not None:
            values[row.label] = rows[row] if row.free else row.fixed
    shape = next(iter(rows.values())).shape if rows else (1, 1)
    found: dict[str, Array] = {}
    for definition in spec.definitions:
        with np.errstate(all="ignore"):
            value = definition.expression.evaluate(values)
        values[definition.name] = found[definition.name] = np.broadcast_to(
            np.asarray(value, dtype=float), shape
        ).copy()
    return found


def find_draws(name: str, rows: dict[Parameter, Array], defined: dict[str, Array]) -> Array:
    """Draws by label, by defined name, or by row (``"between: mvpa ~ advant"``).

    Raises
    ------
    ModelError
        If nothing has that name; the nearest is suggested.
    """
    if name in defined:
        return defined[name]
    names = {}
    for row, draws in rows.items():
        names[row.full_name] = draws
        if row.label:
            names[row.label] = draws
    if name in names:
        return names[name]
    raise ModelError(f"No parameter '{name}'. {did_you_mean(name, [*names, *defined])}")


def group_of(row: Parameter) -> str:
    """Name of the posterior variable that a row is part of."""
    return GROUPS[kind_of(row)]
