"""The unrestricted two-level model of incomplete data, with standard errors.

From the observed information, which under missing at random is the one to use (Kenward & Molenberghs
1998, Statistical Science 13, 236-247); correlations and intraclass correlations by the delta method.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.data import People, assemble
from bmsem.descriptives.information import StandardErrors
from bmsem.likelihood.canonical import Layout
from bmsem.likelihood.saturated import Saturated
from bmsem.spec import Level, ModelSpec, Parameter

Array = NDArray[np.float64]


def incomplete_moments(
    y: Array,
    z: Array,
    codes: NDArray[np.intp],
    ids: pd.Index,
    y_names: list[str],
    z_names: list[str],
    layout: Layout,
) -> tuple[float, Array, Array, Array, StandardErrors]:
    """Log-likelihood, means (q,), S_B (q, q), W (p, p) and standard errors, nan being missing.

    ``y`` (N, p) of people, ``z`` (J, nz) of clusters; ``layout`` says which y are within-only.
    """
    only = [y_names[i] for i in layout.only]
    both = [y_names[i] for i in layout.both]
    levels: tuple[tuple[Level, list[str], list[str]], ...] = (
        ("within", y_names, only),
        ("between", [*z_names, *both], [*z_names, *both]),
    )
    rows = [
        row
        for level, names, with_mean in levels
        for row in (
            *(Parameter(level, a, "~~", b) for a, b in combinations_with_replacement(names, 2)),
            *(Parameter(level, a, "~1") for a in with_mean),
        )
    ]
    spec = ModelSpec(
        tuple(rows), split=tuple(both), within_only=tuple(only), between_only=tuple(z_names)
    )
    # Outcomes with both parts come first in a model.
    order = [*layout.both, *layout.only]
    people = People(y[:, order], codes, pd.RangeIndex(len(y)))
    none = np.empty((len(ids), 0))
    found = Saturated.of(assemble(spec, None, z, none, ids, len(y), people=people))
    place = {
        (
            p.rows[0].level,
            p.rows[0].op,
            frozenset((p.rows[0].lhs, p.rows[0].rhs or p.rows[0].lhs)),
        ): (p.index)
        for p in found.bound.structure.parameters
    }
    estimates, covariance = found.parameters, found.covariance
    q_names = [*z_names, *y_names]
    q = len(q_names)

    def at(level: Level, a: str, b: str) -> int:
        return place.get((level, "~~", frozenset((a, b))), -1)

    def square(level: Level, names: list[str]) -> tuple[Array, Array, Array]:
        """Values, standard errors, and those of the correlations."""
        n = len(names)
        values, errors, of_r = np.zeros((n, n)), np.full((n, n), np.nan), np.zeros((n, n))
        for i in range(n):
            for j in range(i + 1):
                k = at(level, names[i], names[j])
                if k < 0:
                    continue
                values[i, j] = values[j, i] = estimates[k]
                errors[i, j] = errors[j, i] = np.sqrt(covariance[k, k])
        for i in range(n):
            for j in range(i):
                pair = [at(level, names[a], names[b]) for a, b in ((i, j), (i, i), (j, j))]
                if min(pair) < 0:
                    continue
                c, v, w = estimates[pair]
                with np.errstate(divide="ignore", invalid="ignore"):
                    r = c / np.sqrt(v * w)
                    slope = np.array([r / c, -0.5 * r / v, -0.5 * r / w])
                    of_r[i, j] = of_r[j, i] = np.sqrt(
                        slope @ covariance[np.ix_(pair, pair)] @ slope
                    )
        return values, errors, of_r

    sw, within, within_r = square("within", y_names)
    sb, between, between_r = square("between", q_names)
    mean, mean_se = np.zeros(q), np.zeros(q)
    for i, name in enumerate(q_names):
        level: Level = "within" if name in only else "between"
        own = place[level, "~1", frozenset((name,))]
        mean[i], mean_se[i] = estimates[own], np.sqrt(covariance[own, own])
    icc = np.empty(len(both))
    for i, name in enumerate(both):
        pair = [at("between", name, name), at("within", name, name)]
        b, w = estimates[pair]
        slope = np.array([w, -b]) / (b + w) ** 2
        icc[i] = np.sqrt(slope @ covariance[np.ix_(pair, pair)] @ slope)
    errors = StandardErrors(mean_se, between, within, between_r, within_r, icc)
    return found.value, mean, sb, sw, errors
