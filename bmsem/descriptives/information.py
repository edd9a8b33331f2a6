"""Standard errors of the unrestricted model's moments, from the expected information.

    I_kl = (N - J)/2 tr(W^-1 dW_k W^-1 dW_l) + 1/2 sum_j tr(V_j^-1 dV_k V_j^-1 dV_l)

with V_j = S_B + W / n_j

for the elements of S_B and W, and sum_j V_j^-1 for the means (Magnus & Neudecker 1988, *Matrix
Differential Calculus*, chapter 15; Longford 1987, Biometrika 74, 817-827). Correlations by the
delta method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmsem.likelihood.canonical import Layout

Array = NDArray[np.float64]


@dataclass(frozen=True)
class StandardErrors:
    """Of means (q,), covariances (q, q) and (p, p), correlations, and intraclass correlations."""

    mean: Array
    between: Array
    within: Array
    between_r: Array
    within_r: Array
    icc: Array


def standard_errors(
    between: Array, within: Array, layout: Layout, sizes: Array, counts: Array
) -> StandardErrors:
    """Standard errors at covariances (q, q) of (z, y) and (p, p) of y.

    Of parameters on the boundary (a between variance of zero) they are those of the unbounded problem.
    """
    q, p = between.shape[0], within.shape[0]
    first = q - p
    free_b = [*range(layout.z), *(layout.z + layout.both)]
    b_pairs = [(i, j) for n, i in enumerate(free_b) for j in free_b[: n + 1]]
    w_pairs = [(i, j) for i in range(p) for j in range(i + 1)]
    count = len(b_pairs) + len(w_pairs)
    inner = np.zeros((count, p, p))
    outer = np.zeros((count, q, q))
    for k, (i, j) in enumerate(b_pairs):
        outer[k, i, j] = outer[k, j, i] = 1.0
    for k, (i, j) in enumerate(w_pairs, start=len(b_pairs)):
        inner[k, i, j] = inner[k, j, i] = 1.0
    freedom = float((sizes - 1.0) @ counts)
    information = (
        0.5 * freedom * _traces(np.linalg.solve(within, inner)) if p else np.zeros((count, count))
    )
    mean_information = np.zeros((q, q))
    for n, number in zip(sizes, counts, strict=True):
        v = between.copy()
        v[first:, first:] += within / n
        changed = outer.copy()
        changed[:, first:, first:] += inner / n
        information += 0.5 * number * _traces(np.linalg.solve(v, changed))
        mean_information += number * np.linalg.inv(v)
    covariance = np.linalg.pinv(information, hermitian=True)
    b_place = {pair: k for k, pair in enumerate(b_pairs)}
    w_place = {pair: k for k, pair in enumerate(w_pairs, start=len(b_pairs))}
    icc = []
    for i in layout.both:
        t, w = between[first + i, first + i], within[i, i]
        places = [b_place[first + i, first + i], w_place[i, i]]
        gradient = np.array([w, -t]) / (t + w) ** 2
        icc.append(_delta(gradient, covariance, places))
    return StandardErrors(
        np.sqrt(np.diagonal(np.linalg.inv(mean_information))),
        _errors(q, b_place, covariance),
        _errors(p, w_place, covariance),
        _correlation_errors(between, b_place, covariance),
        _correlation_errors(within, w_place, covariance),
        np.array(icc),
    )


def _traces(products: Array) -> Array:
    """tr(A_k A_l) for all pairs."""
    count = products.shape[0]
    return products.reshape(count, -1) @ np.swapaxes(products, 1, 2).reshape(count, -1).T


def _delta(gradient: Array, covariance: Array, places: list[int]) -> float:
    return float(np.sqrt(gradient @ covariance[np.ix_(places, places)] @ gradient))


def _errors(size: int, place: dict[tuple[int, int], int], covariance: Array) -> Array:
    found = np.full((size, size), np.nan)
    for (i, j), k in place.items():
        found[i, j] = found[j, i] = np.sqrt(covariance[k, k])
    return found


def _correlation_errors(
    matrix: Array, place: dict[tuple[int, int], int], covariance: Array
) -> Array:
    size = matrix.shape[0]
    found = np.full((size, size), np.nan)
    for i, j in place:
        if i == j:
            found[i, i] = 0.0
            continue
        s_ii, s_jj, s_ij = matrix[i, i], matrix[j, j], matrix[i, j]
        if s_ii <= 0 or s_jj <= 0:
            continue
        scale = np.sqrt(s_ii * s_jj)
        gradient = np.array([1.0, -0.5 * s_ij / s_ii, -0.5 * s_ij / s_jj]) / scale
        found[i, j] = found[j, i] = _delta(
            gradient, covariance, [place[i, j], place[i, i], place[j, j]]
        )
    return found
