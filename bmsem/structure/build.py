"""The two levels of a model as matrices over one parameter vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bmsem.errors import ModelError
from bmsem.spec import Level, ModelSpec, Parameter
from bmsem.structure.free import FreeParameter, free_parameters
from bmsem.structure.level import Index, LevelStructure


@dataclass(frozen=True)
class SlopePlace:
    """A varying path: what it leads to at the within level, and from what.

    ``kind`` is ``"covariate"``, ``"outcome"`` or ``"factor"``; ``source`` is the position among the
    columns of K, the outcomes, or the rows of the within level. ``target`` is a row of the within
    level, ``row`` the slope's own row of the between level.
    """

    name: str
    target: int
    kind: str
    source: int
    row: int


@dataclass(frozen=True)
class ProductPlace:
    """A term ``coefficient * left * right`` in the equation of row ``target`` of a level.

    ``parameter`` is the position of the coefficient in the parameter vector, or -1 if it is ``fixed``.
    """

    level: Level
    target: int
    parameter: int
    fixed: float
    left: str
    right: str


@dataclass(frozen=True)
class Structure:
    """What the likelihood needs to know of a model.

    The observed variables of the between level are ``between_outcomes`` followed by ``outcomes``:
    cluster-level outcomes z, then the cluster means of the individuals' outcomes y. A single-level
    model has only a between level, whose clusters are the rows of the data.

    Attributes
    ----------
    outcomes
        Modelled variables of the individuals (y).
    within_covariates, between_covariates
        Observed variables that are conditioned on, by level.
    between_outcomes
        Modelled variables of the clusters (z).
    parameters
        The free parameters, in the order of the parameter vector.
    slopes
        Paths that vary between clusters; each is a factor of the between level too, before all others.
    products
        Terms with a product of two variables; they stand in no matrix of the levels.
    """

    outcomes: tuple[str, ...]
    within_covariates: tuple[str, ...]
    between_outcomes: tuple[str, ...]
    between_covariates: tuple[str, ...]
    within: LevelStructure
    between: LevelStructure
    parameters: tuple[FreeParameter, ...]
    slopes: tuple[SlopePlace, ...] = ()
    products: tuple[ProductPlace, ...] = ()

    def level(self, level: Level) -> LevelStructure:
        """The structure of a level; a single-level model's is kept as the between one."""
        return self.within if level == "within" else self.between


def build_structure(spec: ModelSpec) -> Structure:
    """Lay a model out as matrices.

    Raises
    ------
    ModelError
        If a row cannot be placed, for instance a path from a variable of the other level.
    """
    parameters = free_parameters(spec)
    position = {row.key: p.index for p in parameters for row in p.rows}
    top: Level = "between" if spec.multilevel else None
    modelled = {
        level: {n for r in spec.at(level, "~~") if r.is_variance for n in (r.lhs,)}
        for level in spec.levels
    }
    at_within = modelled.get("within", set())
    outcomes = tuple(
        n for n in (*spec.split, *spec.within_only) if n in at_within or n in spec.split
    )
    within_covariates = tuple(n for n in spec.within_only if n not in at_within)
    between_outcomes = tuple(n for n in spec.between_only if n in modelled[top])
    between_covariates = tuple(n for n in spec.between_only if n not in modelled[top])
    within = _level(spec, "within", outcomes, spec.latent_at("within"), within_covariates, position)
    # What may have to be known cluster by cluster comes first among the factors.
    multiplied = [n for i in spec.interactions if i.level == top for n in (i.left, i.right)]
    latent = spec.latent_at(top)
    first = dict.fromkeys([*(s.name for s in spec.slopes), *(n for n in multiplied if n in latent)])
    between = _level(
        spec,
        top,
        (*between_outcomes, *outcomes),
        (*first, *(n for n in latent if n not in first)),
        between_covariates,
        position,
    )
    return Structure(
        outcomes,
        within_covariates,
        between_outcomes,
        between_covariates,
        within,
        between,
        parameters,
        _slopes(spec, within, between, outcomes),
        _products(spec, within, between, position),
    )


def _slopes(
    spec: ModelSpec, within: LevelStructure, between: LevelStructure, outcomes: tuple[str, ...]
) -> tuple[SlopePlace, ...]:
    found = []
    for slope in spec.slopes:
        name = slope.predictor
        if name in within.covariates:
            kind, source = "covariate", within.covariates.index(name)
        elif name in outcomes:
            kind, source = "outcome", outcomes.index(name)
        elif name in within.variables:
            kind, source = "factor", within.variables.index(name)
        else:
            raise ModelError(
                f"The varying slope '{slope}' needs '{name}' at the within level, where it has no "
                f"part. A path from a between-level variable cannot vary between clusters."
            )
        if slope.outcome not in within.variables:
            raise ModelError(
                f"The varying slope '{slope}' needs '{slope.outcome}' to be modelled at the within "
                f"level."
            )
        target = within.variables.index(slope.outcome)
        found.append(
            SlopePlace(slope.name, target, kind, source, between.variables.index(slope.name))
        )
    return tuple(found)


def _products(
    spec: ModelSpec,
    within: LevelStructure,
    between: LevelStructure,
    position: dict[tuple[Level, str, str, str], int],
) -> tuple[ProductPlace, ...]:
    found = []
    products = {(i.level, i.name): i for i in spec.interactions}
    for row in spec.parameters:
        product = products.get((row.level, row.rhs)) if row.op == "~" else None
        if product is None:
            continue
        level = within if row.level == "within" else between
        found.append(
            ProductPlace(
                row.level,
                level.variables.index(row.lhs),
                position[row.key] if row.free else -1,
                row.fixed or 0.0,
                product.left,
                product.right,
            )
        )
    return tuple(found)


def _level(
    spec: ModelSpec,
    level: Level,
    observed: tuple[str, ...],
    latent: tuple[str, ...],
    covariates: tuple[str, ...],
    position: dict[tuple[Level, str, str, str], int],
) -> LevelStructure:
    variables = (*observed, *latent)
    columns = ("1", *covariates)
    row_of = {name: i for i, name in enumerate(variables)}
    column_of = {name: i for i, name in enumerate(columns)}
    n, k = len(variables), len(columns)
    fixed = {"paths": np.zeros((n, n)), "psi": np.zeros((n, n)), "coefficients": np.zeros((n, k))}
    free: dict[str, list[tuple[int, int, int]]] = {name: [] for name in fixed}
    products = {i.name for i in spec.interactions if i.level == level}
    for row in spec.at(level) if n else ():
        if row.op == "~" and row.rhs in products:
            continue
        matrix, i, j = _cell(row, row_of, column_of)
        if row.fixed is None:
            free[matrix].append((i, j, position[row.key]))
        else:
            fixed[matrix][i, j] = row.fixed
            if matrix == "psi":
                fixed[matrix][j, i] = row.fixed
    return LevelStructure(
        variables,
        len(observed),
        columns,
        fixed["paths"],
        fixed["psi"],
        fixed["coefficients"],
        _index(free["paths"]),
        _index(free["psi"]),
        _index(free["coefficients"]),
    )


def _cell(
    row: Parameter, row_of: dict[str, int], column_of: dict[str, int]
) -> tuple[str, int, int]:
    """Matrix, row and column of a parameter."""

    def find(name: str) -> int:
        if name not in row_of:
            where = "conditioned on" if name in column_of else f"not part of the {row.level} level"
            raise ModelError(
                f"{row.full_name} needs '{name}' to be modelled at the {row.level} level, "
                f"but it is {where}. Check the within-only and between-only declarations."
            )
        return row_of[name]

    match row.op:
        case "=~":
            return "paths", find(row.rhs), find(row.lhs)
        case "~~":
            return "psi", find(row.lhs), find(row.rhs)
        case "~1":
            return "coefficients", find(row.lhs), 0
        case _:
            if row.rhs in column_of:
                return "coefficients", find(row.lhs), column_of[row.rhs]
            return "paths", find(row.lhs), find(row.rhs)


def _index(entries: list[tuple[int, int, int]]) -> Index:
    return np.array(entries, dtype=np.int64).reshape(-1, 3)
