"""Effects of one variable on another, path by path, draw by draw.

The total effect is an element of (I - A)^-1 - I, or of (I - A)^-1 K for a covariate; a specific
effect is the product of the coefficients along a chain, and in a model without feedback loops the
specific and the direct effect add up to the total (Bollen 1989, *Structural Equations with Latent
Variables*, chapter 8, "Total, direct, and indirect effects").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmsem.data import BoundModel
from bmsem.errors import ModelError, did_you_mean
from bmsem.moments import implied_moments
from bmsem.spec import Level

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Link:
    """One arrow of a chain, with draws of its coefficient."""

    source: str
    target: str
    draws: Array

    @property
    def name(self) -> str:
        return f"{self.target} ~ {self.source}"


@dataclass(frozen=True)
class Chain:
    """A path from one variable to another through others.

    ``variables`` are in causal order; ``draws`` (chains, draws) is the product of the links.
    """

    variables: tuple[str, ...]
    links: tuple[Link, ...]

    @property
    def draws(self) -> Array:
        return np.prod([link.draws for link in self.links], axis=0)

    @property
    def direct(self) -> bool:
        return len(self.links) == 1

    def __str__(self) -> str:
        return " -> ".join(self.variables)


@dataclass(frozen=True)
class LevelEffects:
    """All effects of ``source`` on ``target`` at one level.

    ``loops`` says that the model has feedback between variables on the way: the specific effects then
    do not add up to the total.
    """

    level: Level
    source: str
    target: str
    chains: tuple[Chain, ...]
    total: Array
    loops: bool

    @property
    def direct(self) -> Array | None:
        """Draws of the coefficient of the arrow itself, if there is one."""
        return next((c.draws for c in self.chains if c.direct), None)

    @property
    def indirect(self) -> Array:
        """Total less direct."""
        direct = self.direct
        return self.total if direct is None else self.total - direct


def level_effects(
    bound: BoundModel, parameters: Array, level: Level, source: str, target: str
) -> LevelEffects | None:
    """Effects at a level from draws (chains, draws, P); ``None`` if there is no path there."""
    structure = bound.structure.level(level)
    columns = structure.covariates
    if target not in structure.variables or source not in (*structure.variables, *columns[1:]):
        return None
    arrows = _arrows(bound, parameters, level)
    chains = tuple(_chains(arrows, source, target))
    if not chains:
        return None
    implied = implied_moments(structure, parameters)
    i = structure.variables.index(target)
    if source in columns:
        total = implied.coefficients[..., i, columns.index(source)]
    else:
        total = implied.total[..., i, structure.variables.index(source)]
    inside = {n for chain in chains for n in chain.variables}
    return LevelEffects(level, source, target, chains, total, _has_loop(arrows, inside))


def _arrows(bound: BoundModel, parameters: Array, level: Level) -> dict[tuple[str, str], Link]:
    """Every arrow of a level, free or fixed at something else than zero."""
    structure = bound.structure.level(level)
    paths, _, coefficients = structure.matrices(parameters)
    names, columns = structure.variables, structure.covariates
    free = {(int(r), int(c)) for r, c, _ in structure.path_index}
    free_columns = {(int(r), int(c)) for r, c, _ in structure.coefficient_index}
    found = {}
    for i, target in enumerate(names):
        for j, source in enumerate(names):
            if (i, j) in free or structure.paths[i, j]:
                found[source, target] = Link(source, target, paths[..., i, j])
        for j, source in enumerate(columns[1:], start=1):
            if (i, j) in free_columns or structure.coefficients[i, j]:
                found[source, target] = Link(source, target, coefficients[..., i, j])
    return found


def _chains(arrows: dict[tuple[str, str], Link], source: str, target: str) -> list[Chain]:
    """Every chain without repeated variables, the direct one first, then by length."""
    found: list[Chain] = []

    def walk(at: str, variables: tuple[str, ...], links: tuple[Link, ...]) -> None:
        for (start, end), link in arrows.items():
            if start != at or end in variables:
                continue
            if end == target:
                found.append(Chain((*variables, end), (*links, link)))
            else:
                walk(end, (*variables, end), (*links, link))

    walk(source, (source,), ())
    return sorted(found, key=lambda chain: len(chain.links))


def _has_loop(arrows: dict[tuple[str, str], Link], inside: set[str]) -> bool:
    edges = [e for e in arrows if e[0] in inside]
    reach = {n: {n} for n in {v for e in arrows for v in e}}
    for _ in reach:
        for start, end in arrows:
            reach[start] |= reach[end]
    return any(start in reach[end] for start, end in edges)


def require_names(bound: BoundModel, *names: str) -> None:
    """Raise `ModelError` if a name is no variable of the model."""
    known = sorted(
        {
            n
            for level in bound.spec.levels
            for s in (bound.structure.level(level),)
            for n in (*s.variables, *s.covariates[1:])
        }
    )
    for name in names:
        if name not in known:
            raise ModelError(f"No variable '{name}' in the model. {did_you_mean(name, known)}")


def contextual_effects(
    bound: BoundModel, parameters: Array
) -> dict[tuple[str, str], tuple[Array, Array]]:
    """Within and between coefficients of every path y ~ x that stands at both levels.

    A contextual effect is the between coefficient less the within one (Raudenbush & Bryk 2002,
    *Hierarchical Linear Models*, chapter 5).
    """
    if not bound.spec.multilevel:
        return {}
    within, between = (_arrows(bound, parameters, level) for level in ("within", "between"))
    return {
        (target, source): (within[source, target].draws, between[source, target].draws)
        for source, target in within
        if (source, target) in between and target not in bound.spec.auxiliary
    }


def moderated_paths(bound: BoundModel, level: Level) -> tuple[tuple[str, str, str], ...]:
    """(outcome, left, right) of every product in an equation of the level.

    The effects of ``left`` and ``right`` on the outcome depend on each other: their coefficients are
    the effects where the other one is zero (Aiken & West 1991, *Multiple Regression: Testing and
    Interpreting Interactions*, chapter 3).
    """
    rows = bound.spec.at(level, "~")
    return tuple(
        (row.lhs, product.left, product.right)
        for product in bound.spec.interactions
        if product.level == level
        for row in rows
        if row.rhs == product.name and (row.free or row.fixed)
    )
