"""Which parameters the moments cannot tell apart.

A model is locally identified where the Jacobian of its implied moments by its free parameters has full
column rank (Bekker, Merckens & Wansbeek 1994, *Identification, Equivalent Models, and Computer Algebra*,
chapter 2). It is taken at random points: what is deficient there is deficient almost everywhere.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bmsem.moments.ram import implied_moments
from bmsem.structure import Structure

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def unidentified(
    structure: Structure,
    fixed: frozenset[int] = frozenset(),
    seen: tuple[Mask, Mask] | None = None,
) -> list[str]:
    """Names of the parameters that the implied moments do not determine; empty if all are.

    ``fixed`` are indices of parameters that constraints determine: they are held. A varying slope is
    held at a mean other than zero: it is a path that ties its predictor to its outcome. ``seen`` says
    which covariances the data show, (p, p) within and (q, q) between, where values are missing.
    """
    structure = _at_mean_slopes(structure)
    free = [p.index for p in structure.parameters if p.index not in fixed]
    if not free:
        return []
    random = np.random.default_rng(20)
    involved: list[str] | None = None
    for _ in range(2):
        jacobian = _jacobian(structure, _point(structure, random), seen)[:, free]
        size = np.linalg.norm(jacobian, axis=0)
        scaled = jacobian / np.where(size > 0, size, 1.0)
        _, values, vectors = np.linalg.svd(scaled, full_matrices=True)
        padded = np.zeros(len(free))
        padded[: len(values)] = values
        null = vectors[padded < 1e-6]
        if not len(null):
            return []
        weight = np.abs(null).max(axis=0)
        names = [structure.parameters[free[i]].name for i in np.flatnonzero(weight > 0.01)]
        if involved is None or len(names) < len(involved):
            involved = names
    return involved or []


def _at_mean_slopes(structure: Structure) -> Structure:
    paths = structure.within.paths.copy()
    for slope in structure.slopes:
        if slope.kind != "covariate":
            paths[slope.target, slope.source] += 0.6
    return replace(structure, within=replace(structure.within, paths=paths))


def _point(structure: Structure, random: np.random.Generator) -> Array:
    theta = random.uniform(0.3, 0.9, size=len(structure.parameters))
    for parameter in structure.parameters:
        if parameter.kind == "variance":
            theta[parameter.index] += 1.0
        elif parameter.kind == "covariance":
            theta[parameter.index] *= 0.2
    return theta


def _moments(structure: Structure, theta: Array, seen: tuple[Mask, Mask] | None) -> Array:
    within = implied_moments(structure.within, theta)
    between = implied_moments(structure.between, theta)
    means = between.observed_coefficients.copy()
    # A member's mean is the sum of both levels' constants.
    if structure.outcomes:
        means[len(structure.between_outcomes) :, 0] += within.observed_coefficients[:, 0]
    parts = [means.ravel(), within.observed_coefficients[:, 1:].ravel()]
    for i, implied in enumerate((within, between)):
        lower = np.tril(np.ones((implied.observed, implied.observed), dtype=bool))
        parts.append(implied.observed_covariance[lower if seen is None else lower & seen[i]])
    return np.concatenate(parts)


def _jacobian(structure: Structure, theta: Array, seen: tuple[Mask, Mask] | None) -> Array:
    columns = []
    for i in range(theta.size):
        step = np.zeros(theta.size)
        step[i] = 1e-5
        ahead, behind = (_moments(structure, theta + sign * step, seen) for sign in (1, -1))
        columns.append((ahead - behind) / 2e-5)
    return np.stack(columns, axis=1)
