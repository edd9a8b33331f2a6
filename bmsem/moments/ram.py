"""Implied moments of one level by the reticular action model.

eta = K c + A eta + zeta, zeta ~ N(0, Psi), so that with M = (I - A)^-1 and F the rows of the observed
variables, T = F M:

    covariance  Sigma = T Psi T'          mean given covariates  E[y | c] = T K c

(McArdle & McDonald 1984, British Journal of Mathematical and Statistical Psychology 37, equations 5
and 6; here with exogenous covariates c = (1, x) conditioned on, and intercepts the coefficients of
the constant.) Everything broadcasts over leading axes, so that one function serves a single point
and thousands of draws.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class Implied:
    """Implied moments of one level.

    Attributes
    ----------
    total
        (I - A)^-1, shape (..., n, n): total effects of every variable on every other.
    covariance
        Of all variables, factors included, given the covariates: (..., n, n).
    coefficients
        Reduced-form coefficients on the covariates, constant first: (..., n, k).
    observed
        How many of the n variables are observed; they come first.
    """

    total: Array
    covariance: Array
    coefficients: Array
    observed: int

    @property
    def observed_covariance(self) -> Array:
        return self.covariance[..., : self.observed, : self.observed]

    @property
    def observed_coefficients(self) -> Array:
        return self.coefficients[..., : self.observed, :]


def implied_moments(structure: LevelStructure, theta: Array) -> Implied:
    """Implied moments of a level at parameter vectors ``theta`` of shape (..., P)."""
    theta = np.asarray(theta, dtype=float)
    paths, psi, coefficients = structure.matrices(theta)
    total = np.linalg.inv(np.eye(len(structure.variables)) - paths)
    covariance = total @ psi @ np.swapaxes(total, -1, -2)
    return Implied(total, covariance, total @ coefficients, structure.observed)
