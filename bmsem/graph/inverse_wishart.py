"""Inverse-Wishart covariance matrices from independent variables.

With S^-1 = L L' and Bartlett's lower triangular A, A_ii^2 ~ chi-square(d - i) for i from 0 and A_ij ~
N(0, 1) below the diagonal, W = L A A' L' is Wishart(S^-1, d) (Anderson 2003, *An Introduction to
Multivariate Statistical Analysis*, section 7.2), and X = W^-1 is inverse-Wishart(S, d). Sampled like
this the prior needs no Jacobian, and draws from it are made forwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray

Array = NDArray[np.float64]


def scale_factor(scale: tuple[tuple[float, ...], ...]) -> Array:
    """L with L L' = S^-1."""
    return np.linalg.cholesky(np.linalg.inv(np.array(scale)))


def inverse_wishart(diagonal: Any, below: Any, factor: Array) -> tuple[Any, Any]:
    """Variances (p) and covariances (p (p - 1) / 2, rows of the lower triangle) of X (PyTensor).

    Parameters
    ----------
    diagonal
        The squares A_ii^2, (p,).
    below
        A_ij, row by row, (p (p - 1) / 2,).
    factor
        L, from `scale_factor`.
    """
    size = len(factor)
    bartlett: list[list[Any]] = []
    position = 0
    for i in range(size):
        row = [below[position + j] for j in range(i)]
        position += i
        bartlett.append([*row, pt.sqrt(diagonal[i])])
    product = [
        [sum(factor[i, k] * bartlett[k][j] for k in range(j, i + 1)) for j in range(i + 1)]
        for i in range(size)
    ]
    inverse = _inverse_triangle(product)
    # X = W^-1 = M' M with M the inverse of L A.
    cells = {
        (i, j): sum(inverse[k][i] * inverse[k][j] for k in range(i, size))
        for i in range(size)
        for j in range(i + 1)
    }
    variances = pt.stack([cells[i, i] for i in range(size)])
    covariances = pt.stack([cells[i, j] for i in range(size) for j in range(i)])
    return variances, covariances


def _inverse_triangle(rows: list[list[Any]]) -> list[list[Any]]:
    """The inverse of a lower triangular matrix, by rows, element by element."""
    inverse: list[list[Any]] = []
    for i, row in enumerate(rows):
        known = [-sum(row[k] * inverse[k][j] for k in range(j, i)) / row[i] for j in range(i)]
        inverse.append([*known, 1.0 / row[i]])
    return inverse


def bartlett_coordinates(covariance: Array, factor: Array) -> tuple[Array, Array]:
    """The squared diagonal and the rest of A for a covariance matrix X: the inverse of the above."""
    root = np.linalg.cholesky(np.linalg.inv(covariance))
    bartlett = np.linalg.solve(factor, root)
    size = len(factor)
    return np.diag(bartlett) ** 2, np.array([bartlett[i, j] for i in range(size) for j in range(i)])
