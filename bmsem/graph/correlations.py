"""Correlation matrices from canonical partial correlations.

A matrix of size p has independent partial correlations z_ij (i > j) of i and j given 1 .. j-1; with

    L_ij = z_ij prod_{k<j} sqrt(1 - z_ik^2),   L_ii = prod_{k<i} sqrt(1 - z_ik^2),   R = L L'

R has an LKJ(eta) distribution if (z_ij + 1)/2 ~ Beta(b_j, b_j) with b_j = eta + (p - 1 - j)/2, j from
1 (Lewandowski, Kurowicka & Joe 2009, Journal of Multivariate Analysis 100, section 2.4 and theorem 5).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray


def lkj_shapes(size: int, eta: float) -> list[float]:
    """Beta shapes of the partial correlations of a block, row by row of the lower triangle."""
    return [eta + (size - 2 - j) / 2.0 for i in range(size) for j in range(i)]


def correlations_from_partials(partials: Any, size: int) -> Any:
    """Lower triangle of R, row by row, from partial correlations in the same order (PyTensor)."""
    rows: list[list[Any]] = []
    position = 0
    for i in range(size):
        row = []
        left: Any = 1.0
        for _ in range(i):
            z = partials[position]
            row.append(z * left)
            left = left * pt.sqrt(1.0 - z * z)
            position += 1
        rows.append([*row, left])
    found = [
        sum(rows[i][k] * rows[j][k] for k in range(j + 1)) for i in range(size) for j in range(i)
    ]
    return pt.stack(found)


def correlation_matrix(partials: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The same in NumPy: R of shape (..., p, p) from partial correlations (..., p (p - 1) / 2)."""
    lead = partials.shape[:-1]
    factor = np.zeros((*lead, size, size))
    position = 0
    for i in range(size):
        left = np.ones(lead)
        for j in range(i):
            z = partials[..., position]
            factor[..., i, j] = z * left
            left = left * np.sqrt(1.0 - z * z)
            position += 1
        factor[..., i, i] = left
    return factor @ np.swapaxes(factor, -1, -2)


def partial_correlations(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Canonical partial correlations (p (p - 1) / 2) of a correlation matrix (p, p)."""
    factor = np.linalg.cholesky(matrix)
    found = []
    for i in range(matrix.shape[0]):
        left = 1.0
        for j in range(i):
            z = factor[i, j] / left
            found.append(z)
            left *= float(np.sqrt(1.0 - z * z))
    return np.array(found)
