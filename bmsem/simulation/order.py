"""The order in which the equations of a level can be evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from bmsem.errors import ModelError
from bmsem.structure import LevelStructure, ProductPlace, SlopePlace


@dataclass(frozen=True)
class Step:
    """Rows of a level that are evaluated next, or a covariate that is computed from rows.

    ``joint`` rows depend on each other and are solved together.
    """

    rows: tuple[int, ...] = ()
    computed: str = ""
    joint: bool = False


def evaluation_order(
    level: LevelStructure,
    slopes: tuple[SlopePlace, ...] = (),
    products: tuple[ProductPlace, ...] = (),
    computed: Mapping[str, frozenset[str]] | None = None,
) -> tuple[Step, ...]:
    """Steps after each of which the predictors of the next ones are known.

    Parameters
    ----------
    level
        The equations.
    slopes, products
        Those of this level, which stand in none of its matrices.
    computed
        Covariates of the level that are computed from its variables or from each other: by name,
        what of these they are made of.

    Raises
    ------
    ModelError
        If a product of two variables of a feedback loop, or a covariate that is computed from one, is
        part of the loop.

    Examples
    --------
    >>> from bmsem.language import parse_formula
    >>> from bmsem.structure import build_structure
    >>> level = build_structure(parse_formula("y ~ m + x\\nm ~ z\\nz ~ x")).between
    >>> [level.variables[s.rows[0]] for s in evaluation_order(level)]
    ['z', 'm', 'y']
    """
    computed = computed or {}
    nodes = [*level.variables, *computed]
    place = {name: i for i, name in enumerate(nodes)}
    n = len(level.variables)
    edges = np.zeros((len(nodes), len(nodes)), dtype=bool)  # [to, from]
    edges[:n, :n] = _nonzero(level.paths, level.path_index)
    columns = _nonzero(level.coefficients, level.coefficient_index)
    for name, inputs in computed.items():
        if name in level.covariates:
            edges[:n, place[name]] = columns[:, level.covariates.index(name)]
        edges[place[name], [place[i] for i in inputs]] = True
    for slope in slopes:
        names = level.covariates if slope.kind == "covariate" else level.variables
        if names[slope.source] in place:
            edges[slope.target, place[names[slope.source]]] = True
    for product in products:
        factors = [place[name] for name in (product.left, product.right) if name in place]
        edges[product.target, factors] = True
    component = _components(edges)
    for product in products:
        both = [place.get(name, -1) for name in (product.left, product.right)]
        loop = component[product.target]
        if min(both) >= 0 and (component[both] == loop).all():
            raise _loop([nodes[i] for i in np.flatnonzero(component == loop)])
    before: dict[int, set[int]] = {int(c): set() for c in component}
    for to, start in zip(*np.nonzero(edges), strict=True):
        if component[to] != component[start]:
            before[int(component[to])].add(int(component[start]))
    steps = []
    for c in TopologicalSorter(before).static_order():
        members = [int(i) for i in np.flatnonzero(component == c)]
        joint = bool(edges[np.ix_(members, members)].any())
        if members[-1] < n:
            steps.append(Step(tuple(members), joint=joint))
        elif joint:
            raise _loop([nodes[i] for i in members])
        else:
            steps.append(Step(computed=nodes[members[0]]))
    return tuple(steps)


def _components(edges: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number of the strongly connected component of each node."""
    from scipy.sparse.csgraph import connected_components

    if not len(edges):
        return np.empty(0, dtype=np.int32)
    _, component = connected_components(edges, directed=True, connection="strong")
    return component


def _nonzero(base: NDArray[np.float64], index: NDArray[np.int64]) -> NDArray[np.bool_]:
    found = base != 0
    found[index[:, 0], index[:, 1]] = True
    return found


def _loop(names: list[str]) -> ModelError:
    return ModelError(
        f"{', '.join(names)} depend on each other, and a product of two of them or a variable that is "
        f"computed from them is part of the loop: its equations have no simple solution, so no data "
        f"can be simulated from them. Take one of the paths out."
    )
