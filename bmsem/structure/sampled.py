"""Which quantities of a cluster have to be sampled so that the rest is linear Gaussian.

A product of two latent quantities is linear in each of them: one is sampled, the other integrated out.

- A varying slope on a covariate multiplies something observed: nothing is sampled.
- One on a variable with two parts multiplies y_ij - u_j: u_j is sampled (the data pin it down, and its
  posterior has no funnel, while that of the slope has one where its variance is small).
- One on a within-level factor: the slope is sampled, which is one number a cluster; the factor would be
  one a person.
- A between-level product with something observed: nothing. Of two latent variables one is sampled,
  one that is not an outcome of what the product predicts.
"""

from __future__ import annotations

from dataclasses import dataclass

from bmsem.errors import ModelError, NotSupportedError
from bmsem.spec import Level
from bmsem.structure.build import ProductPlace, Structure


@dataclass(frozen=True)
class Modulation:
    """An entry (row, column) of A that is a coefficient times a number of the cluster.

    ``parameter`` is the coefficient's position or -1 (then ``fixed``); the number is the covariate or
    between-only outcome ``observed``, or the sampled quantity at position ``sampled``.
    """

    level: Level
    row: int
    column: int
    parameter: int
    fixed: float
    observed: str = ""
    sampled: int = -1


@dataclass(frozen=True)
class ObservedSlope:
    """A slope on something that is observed once what is sampled is known.

    ``row`` is its row of the between level, ``target`` of the within level; ``source`` is a column of
    K, or an outcome whose between part is row ``part`` (-1 if it has none).
    """

    row: int
    target: int
    covariate: bool
    source: int
    part: int


@dataclass(frozen=True)
class SampledQuantities:
    """The plan of a model with varying slopes or products.

    Attributes
    ----------
    rows
        Rows of the between level that are sampled, a number for each cluster.
    reasons
        Why, a line each.
    slopes, modulations
        What the likelihood given these is made of.
    size
        How many rows of the between level, from the first, the likelihood is about: between-only
        outcomes, between parts, slopes, and sampled factors.
    """

    rows: tuple[int, ...]
    reasons: tuple[str, ...]
    slopes: tuple[ObservedSlope, ...]
    modulations: tuple[Modulation, ...]
    size: int

    @property
    def needed(self) -> bool:
        """Whether the model is none for the pooled likelihood."""
        return bool(self.rows or self.slopes or self.modulations)


def sampled_quantities(structure: Structure, within_only: tuple[str, ...]) -> SampledQuantities:
    """Find the smallest set.

    Raises
    ------
    NotSupportedError
        For products within clusters.
    ModelError
        If both variables of a product depend on what it predicts.
    """
    between, first = structure.between, len(structure.between_outcomes)
    rows: dict[int, str] = {}
    slopes: list[ObservedSlope] = []
    factors: list[tuple[int, int, int]] = []
    for slope in structure.slopes:
        if slope.kind == "covariate":
            slopes.append(ObservedSlope(slope.row, slope.target, True, slope.source, -1))
        elif slope.kind == "outcome":
            name = structure.outcomes[slope.source]
            part = -1
            if name not in within_only:
                part = first + slope.source
                rows.setdefault(part, f"the between part of {name}, which {slope.name} multiplies")
            slopes.append(ObservedSlope(slope.row, slope.target, False, slope.source, part))
        else:
            name = structure.within.variables[slope.source]
            rows.setdefault(
                slope.row, f"the slope {slope.name}, which multiplies the factor {name}"
            )
            factors.append((slope.target, slope.source, slope.row))
    pending: list[tuple[ProductPlace, int, str, int]] = []
    for product in structure.products:
        if product.level == "within":
            raise NotSupportedError(
                f"The product of {product.left} and {product.right} within clusters is read, but "
                f"bmsem cannot estimate it yet; between clusters it can."
            )
        pending.append(_between_product(structure, product, rows))
    order = sorted(rows)
    place = {row: i for i, row in enumerate(order)}
    modulations = [
        Modulation("within", target, source, -1, 1.0, sampled=place[row])
        for target, source, row in factors
    ]
    top: Level = "between"
    for product, column, observed, sampled in pending:
        modulations.append(
            Modulation(
                top, product.target, column, product.parameter, product.fixed, observed,
                place[sampled] if sampled >= 0 else -1,
            )
        )  # fmt: skip
    size = max([between.observed + len(structure.slopes), *(row + 1 for row in order)])
    return SampledQuantities(
        tuple(order), tuple(rows[r] for r in order), tuple(slopes), tuple(modulations), size
    )


def _between_product(
    structure: Structure, product: ProductPlace, rows: dict[int, str]
) -> tuple[ProductPlace, int, str, int]:
    """Column of A, and the observed name or the sampled row that it is multiplied with."""
    between = structure.between
    known = {*structure.between_covariates, *structure.between_outcomes}
    for observed, other in ((product.left, product.right), (product.right, product.left)):
        if observed in known and other in between.variables:
            return product, between.variables.index(other), observed, -1
    for name in (product.left, product.right):
        if name not in between.variables:
            raise ModelError(
                f"The product of {product.left} and {product.right} needs '{name}' at the between "
                f"level, where it has no part. Both variables of a product stand at its level."
            )
    below = _descendants(structure, product.target)
    left, right = (between.variables.index(n) for n in (product.left, product.right))
    # One that is sampled already serves again.
    for sampled, column in sorted([(left, right), (right, left)], key=lambda p: p[0] not in rows):
        if sampled not in below:
            name, other = between.variables[sampled], between.variables[column]
            rows.setdefault(sampled, f"{name}, which is multiplied with {other}")
            return product, column, "", sampled
    raise ModelError(
        f"Both {product.left} and {product.right} depend on "
        f"'{between.variables[product.target]}', which their product predicts: a model with such a "
        f"loop has no simple likelihood."
    )


def _descendants(structure: Structure, row: int) -> set[int]:
    """A row of the between level and everything that it leads to."""
    between = structure.between
    arrows = {(int(j), int(i)) for i, j, _ in between.path_index}
    n = len(between.variables)
    arrows |= {(j, i) for i in range(n) for j in range(n) if between.paths[i, j]}
    arrows |= {
        (between.variables.index(name), p.target)
        for p in structure.products
        if p.level != "within"
        for name in (p.left, p.right)
        if name in between.variables
    }
    found, stack = {row}, [row]
    while stack:
        at = stack.pop()
        for start, end in arrows:
            if start == at and end not in found:
                found.add(end)
                stack.append(end)
    return found
