"""Which quantities of a cluster or a person have to be sampled so that the rest is linear Gaussian.

A product of two latent quantities is linear in each of them: one is sampled, the other integrated out.

- A varying slope on a covariate multiplies something observed: nothing is sampled.
- One on a variable with two parts multiplies y_ij - u_j: u_j is sampled (the data pin it down, and its
  posterior has no funnel, while that of the slope has one where its variance is small).
- One on a within-level factor: the slope is sampled, which is one number a cluster; the factor would be
  one a person.
- A between-level product with something observed: nothing. Of two latent variables one is sampled,
  one that is not an outcome of what the product predicts.
- A within-level product with something observed: nothing; with y_ij - u_j: u_j. Of two factors, one:
  a number for each person.
"""

from __future__ import annotations

from dataclasses import dataclass

from bmsem.errors import ModelError
from bmsem.spec import Level
from bmsem.structure.build import ProductPlace, Structure
from bmsem.structure.level import LevelStructure


@dataclass(frozen=True)
class Modulation:
    """An entry (row, column) of A that is a coefficient times a number of the cluster or the person.

    ``parameter`` is the coefficient's position or -1 (then ``fixed``). The number is one of

    - the covariate or between-only outcome ``observed`` of the cluster;
    - the sampled quantity of the cluster at position ``sampled``;
    - a number of the person, by ``member``: the ``"covariate"`` in column ``source`` of K, the
      ``"outcome"`` at position ``source`` less the sampled quantity at position ``part`` (-1 for none),
      or the ``"score"`` at position ``source`` of what is sampled person by person.
    """

    level: Level
    row: int
    column: int
    parameter: int
    fixed: float
    observed: str = ""
    sampled: int = -1
    member: str = ""
    source: int = -1
    part: int = -1


@dataclass(frozen=True)
class ObservedSlope:
    """A slope on something that is observed once what is sampled is known.

    ``row`` is its row of the between level, ``target`` of the within level; ``source`` is a column of
    K, or an outcome whose between part is row ``part`` (-1 if it has none). Scores that are sampled
    person by person follow the outcomes.
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
    scores, score_reasons
        Rows of the within level (of the only level, without clusters) that are sampled, a number for
        each person, and why.
    slopes, modulations
        What the likelihood given these is made of.
    size
        How many rows of the between level, from the first, the likelihood is about: between-only
        outcomes, between parts, slopes, and sampled factors. Zero without clusters.
    """

    rows: tuple[int, ...]
    reasons: tuple[str, ...]
    scores: tuple[int, ...]
    score_reasons: tuple[str, ...]
    slopes: tuple[ObservedSlope, ...]
    modulations: tuple[Modulation, ...]
    size: int

    @property
    def needed(self) -> bool:
        """Whether the model is none for the pooled likelihood."""
        return bool(self.rows or self.scores or self.slopes or self.modulations)

    @property
    def by_person(self) -> bool:
        """Whether the structure differs between the people of a cluster."""
        return any(m.member for m in self.modulations)


def sampled_quantities(structure: Structure, within_only: tuple[str, ...]) -> SampledQuantities:
    """Find the smallest set.

    Raises
    ------
    ModelError
        If both variables of a product depend on what it predicts, or one has no part at its level.
    """
    between, first = structure.between, len(structure.between_outcomes)
    rows: dict[int, str] = {}
    scores: dict[int, str] = {}
    pending = [
        _between_product(structure, p, rows)
        if p.level == "between"
        else _member_product(structure, p, within_only, rows, scores)
        for p in structure.products
    ]
    score_place = {row: i for i, row in enumerate(sorted(scores))}
    slopes: list[ObservedSlope] = []
    factors: list[tuple[int, int, int]] = []
    for slope in structure.slopes:
        known = slope.kind == "outcome" or (slope.kind == "factor" and slope.source in scores)
        if known and slope.source in _descendants(structure, structure.within, slope.target):
            # What is conditioned on would depend on what is modelled given it.
            name, target = (structure.within.variables[i] for i in (slope.source, slope.target))
            raise ModelError(
                f"The path from {name} to {target} varies between clusters ({slope.name}), and {name} "
                f"depends on {target} in turn: a model with such a loop has no simple likelihood."
            )
        if slope.kind == "covariate":
            slopes.append(ObservedSlope(slope.row, slope.target, True, slope.source, -1))
        elif slope.kind == "outcome":
            name = structure.outcomes[slope.source]
            part = -1
            if name not in within_only:
                part = first + slope.source
                rows.setdefault(part, f"the between part of {name}, which {slope.name} multiplies")
            slopes.append(ObservedSlope(slope.row, slope.target, False, slope.source, part))
        elif slope.source in scores:
            source = len(structure.outcomes) + score_place[slope.source]
            slopes.append(ObservedSlope(slope.row, slope.target, False, source, -1))
        else:
            name = structure.within.variables[slope.source]
            rows.setdefault(
                slope.row, f"the slope {slope.name}, which multiplies the factor {name}"
            )
            factors.append((slope.target, slope.source, slope.row))
    order = sorted(rows)
    place = {row: i for i, row in enumerate(order)} | {-1: -1}
    modulations = [
        Modulation("within", target, source, -1, 1.0, sampled=place[row])
        for target, source, row in factors
    ]
    for found in pending:
        p = found.product
        source = score_place[found.source] if found.member == "score" else found.source
        modulations.append(
            Modulation(
                p.level, p.target, found.column, p.parameter, p.fixed, found.observed,
                place[found.sampled], found.member, source, place[found.part],
            )
        )  # fmt: skip
    size = max([between.observed + len(structure.slopes), *(row + 1 for row in order)])
    if not structure.within.variables:
        size = 0
    return SampledQuantities(
        tuple(order),
        tuple(rows[r] for r in order),
        tuple(sorted(scores)),
        tuple(scores[r] for r in sorted(scores)),
        tuple(slopes),
        tuple(modulations),
        size,
    )


@dataclass(frozen=True)
class _Found:
    """How a product is computed: as in `Modulation`, with rows of the levels for positions."""

    product: ProductPlace
    column: int
    observed: str = ""
    sampled: int = -1
    member: str = ""
    source: int = -1
    part: int = -1


def _between_product(structure: Structure, product: ProductPlace, rows: dict[int, str]) -> _Found:
    between = structure.between
    known = {*structure.between_covariates, *structure.between_outcomes}
    _require_at_level(structure, product, known)
    below = _descendants(structure, between, product.target, "between")
    for observed, other in _both_ways(product):
        if observed in known and other in between.variables:
            above = observed not in between.variables or (
                between.variables.index(observed) not in below
            )
            if above:
                return _Found(product, between.variables.index(other), observed=observed)
    left, right = (between.variables.index(n) for n in (product.left, product.right))
    # One that is sampled already serves again.
    for sampled, column in sorted([(left, right), (right, left)], key=lambda p: p[0] not in rows):
        if sampled not in below:
            name, other = between.variables[sampled], between.variables[column]
            rows.setdefault(sampled, f"{name}, which is multiplied with {other}")
            return _Found(product, column, sampled=sampled)
    raise _loop(between, product)


def _member_product(
    structure: Structure,
    product: ProductPlace,
    within_only: tuple[str, ...],
    rows: dict[int, str],
    scores: dict[int, str],
) -> _Found:
    """A product of two variables of people; the variable that costs least is the one to know."""
    single = product.level is None
    level = structure.between if single else structure.within
    outcomes = structure.between_outcomes if single else structure.outcomes
    covariates = level.covariates[1:]
    _require_at_level(structure, product, set(covariates))
    below = _descendants(structure, level, product.target, product.level)
    choices: list[tuple[int, _Found, str]] = []
    for name, other in _both_ways(product):
        if other not in level.variables:
            continue
        column = level.variables.index(other)
        if name in covariates:
            source = level.covariates.index(name)
            choices.append((0, _Found(product, column, member="covariate", source=source), name))
            continue
        row = level.variables.index(name)
        if row in below:
            continue
        if name not in outcomes:
            found = _Found(product, column, member="score", source=row)
            choices.append((3 if row in scores else 4, found, other))
        elif single or name in within_only:
            choices.append((0, _Found(product, column, member="outcome", source=row), other))
        else:
            part = len(structure.between_outcomes) + row
            found = _Found(product, column, member="outcome", source=row, part=part)
            choices.append((1 if part in rows else 2, found, other))
    if not choices:
        raise _loop(level, product)
    _, found, other = min(choices, key=lambda c: c[0])
    if found.part >= 0:
        name = structure.between.variables[found.part]
        rows.setdefault(
            found.part, f"the between part of {name}, whose within part is multiplied with {other}"
        )
    if found.member == "score":
        name = level.variables[found.source]
        scores.setdefault(found.source, f"the factor {name}, which is multiplied with {other}")
    return found


def _both_ways(product: ProductPlace) -> tuple[tuple[str, str], tuple[str, str]]:
    return (product.left, product.right), (product.right, product.left)


def _require_at_level(structure: Structure, product: ProductPlace, known: set[str]) -> None:
    """Both variables of a product stand at its level."""
    level = structure.level(product.level)
    for name in (product.left, product.right):
        if name in level.variables or name in known:
            continue
        where = f"at the {product.level} level" if product.level else "in the model"
        other = structure.within if product.level == "between" else structure.between
        there = ""
        if name in other.variables or name in other.covariates:
            side = "within" if product.level == "between" else "between"
            there = f" ('{name}' stands at the {side} level only)"
        hint = (
            " A within-level path that differs with a between-level variable is a varying slope "
            "that the variable predicts: s | y ~ x within, s ~ w between."
            if there
            else ""
        )
        raise ModelError(
            f"The product of {product.left} and {product.right} needs '{name}' {where}, where it "
            f"has no part{there}. Both variables of a product stand at its level.{hint}"
        )


def _loop(level: LevelStructure, product: ProductPlace) -> ModelError:
    return ModelError(
        f"Both {product.left} and {product.right} depend on '{level.variables[product.target]}', "
        f"which their product predicts: a model with such a loop has no simple likelihood."
    )


def _descendants(
    structure: Structure, level: LevelStructure, target: int, at: Level = "within"
) -> set[int]:
    """The row ``target`` of a level and every row of the level that it leads to."""
    arrows = {(int(j), int(i)) for i, j, _ in level.path_index}
    n = len(level.variables)
    arrows |= {(j, i) for i in range(n) for j in range(n) if level.paths[i, j]}
    arrows |= {
        (level.variables.index(name), p.target)
        for p in structure.products
        if p.level == at
        for name in (p.left, p.right)
        if name in level.variables
    }
    if at == "within":
        arrows |= {(s.source, s.target) for s in structure.slopes if s.kind != "covariate"}
    found, stack = {target}, [target]
    while stack:
        row = stack.pop()
        for start, end in arrows:
            if start == row and end not in found:
                found.add(end)
                stack.append(end)
    return found
