"""One level of a model as three matrices of fixed values and places for free parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class LevelStructure:
    """Where fixed values and free parameters stand in A, Psi and K of one level.

    Attributes
    ----------
    variables
        Names of the rows of eta; the first ``observed`` are observed, the others are factors.
    covariates
        Names of the columns of K, ``"1"`` first.
    paths, covariances, coefficients
        Matrices (n, n), (n, n), (n, k) that hold the fixed values and zero elsewhere.
    path_index, covariance_index, coefficient_index
        Integer arrays (entries, 3) of row, column and position in the parameter vector. A
        covariance has one entry, for one triangle.
    """

    variables: tuple[str, ...]
    observed: int
    covariates: tuple[str, ...]
    paths: Array
    covariances: Array
    coefficients: Array
    path_index: Index
    covariance_index: Index
    coefficient_index: Index

    def matrices(self, theta: Array) -> tuple[Array, Array, Array]:
        """A, Psi and K at parameter vectors of shape (..., P)."""
        lead = theta.shape[:-1]
        filled = []
        for base, index in (
            (self.paths, self.path_index),
            (self.covariances, self.covariance_index),
            (self.coefficients, self.coefficient_index),
        ):
            matrix = np.broadcast_to(base, (*lead, *base.shape)).copy()
            matrix[..., index[:, 0], index[:, 1]] = theta[..., index[:, 2]]
            filled.append(matrix)
        paths, covariances, coefficients = filled
        rows, columns = self.covariance_index[:, 0], self.covariance_index[:, 1]
        covariances[..., columns, rows] = covariances[..., rows, columns]
        return paths, covariances, coefficients

    def reordered(self, order: Sequence[int]) -> LevelStructure:
        """The same level with its rows in another order."""
        at = list(order)
        place = {row: i for i, row in enumerate(at)}

        def moved(index: Index, columns: tuple[int, ...]) -> Index:
            result = index.copy()
            for c in columns:
                result[:, c] = [place[int(row)] for row in index[:, c]]
            return result

        return LevelStructure(
            tuple(self.variables[i] for i in at),
            self.observed,
            self.covariates,
            self.paths[np.ix_(at, at)],
            self.covariances[np.ix_(at, at)],
            self.coefficients[at],
            moved(self.path_index, (0, 1)),
            moved(self.covariance_index, (0, 1)),
            moved(self.coefficient_index, (0,)),
        )
