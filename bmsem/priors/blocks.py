"""Covariance blocks: which variances and covariances form a matrix together."""

from __future__ import annotations

from dataclasses import dataclass

from bmsem.spec import Level
from bmsem.structure import FreeParameter


@dataclass(frozen=True)
class CovarianceBlock:
    """Variables of one level that free covariances connect.

    Attributes
    ----------
    variables
        In the order of the table.
    pairs
        Positions i > j in ``variables`` and the parameter's index, row by row of the lower triangle.
    full
        Whether every pair is free and may be given an LKJ prior; otherwise each correlation has a
        prior of its own, and points where the matrix is not positive definite are rejected.
    lkj
        The shape of the LKJ prior.
    flat
        Whether the density is uniform over covariance matrices rather than correlation matrices.
    wishart
        The inverse-Wishart prior of the block's covariance matrix, which then is no LKJ's.
    """

    level: Level
    variables: tuple[str, ...]
    pairs: tuple[tuple[int, int, int], ...]
    full: bool
    lkj: float = 1.0
    flat: bool = False
    wishart: Wishart | None = None

    @property
    def size(self) -> int:
        return len(self.variables)

    @property
    def scale_elements(self) -> dict[int, float]:
        """Elements of an inverse-Wishart's scale matrix by the index of their parameter."""
        if self.wishart is None:
            return {}
        scale = self.wishart.scale
        found = {index: scale[i][i] for i, index in enumerate(self.wishart.variances)}
        return found | {index: scale[i][j] for i, j, index in self.pairs}


@dataclass(frozen=True)
class Wishart:
    """An inverse-Wishart prior: density proportional to |X|^-(d + p + 1)/2 exp(-tr(S X^-1) / 2).

    ``scale`` is S by rows, in the order of the block's variables; ``variances`` are the indices of
    the block's variances among the parameters, in the same order.
    """

    scale: tuple[tuple[float, ...], ...]
    freedom: float
    variances: tuple[int, ...]


def covariance_blocks(
    parameters: tuple[FreeParameter, ...], apart: frozenset[int] = frozenset()
) -> tuple[CovarianceBlock, ...]:
    """Connected components of the free covariances of each level.

    ``apart`` are covariances that are sampled on their own: those with a prior of their own, and
    those that share a label with another row. They make a block that holds them sparse. The priors
    of the matrices are put in by `bmsem.priors.matrices`.
    """
    edges: dict[Level, dict[frozenset[str], FreeParameter]] = {}
    for parameter in parameters:
        for row in parameter.rows:
            if row.is_covariance:
                edges.setdefault(row.level, {})[frozenset((row.lhs, row.rhs))] = parameter
    blocks = []
    for level, pairs in edges.items():
        neighbours: dict[str, dict[str, None]] = {}
        for pair in pairs:
            a, b = sorted(pair)
            neighbours.setdefault(a, {})[b] = None
            neighbours.setdefault(b, {})[a] = None
        left = dict.fromkeys(neighbours)
        while left:
            component: dict[str, None] = {}
            stack = [next(iter(left))]
            while stack:
                name = stack.pop()
                if name in component:
                    continue
                component[name] = None
                left.pop(name, None)
                stack.extend(neighbours[name])
            variables = tuple(sorted(component))
            entries = []
            single = True
            for i in range(len(variables)):
                for j in range(i):
                    found = pairs.get(frozenset((variables[i], variables[j])))
                    if found is None:
                        single = False
                        continue
                    single = single and found.index not in apart
                    entries.append((i, j, found.index))
            blocks.append(CovarianceBlock(level, variables, tuple(entries), single))
    return tuple(blocks)
