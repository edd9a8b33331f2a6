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

from bmsem.structure import LevelStructure

Array = NDArray[np.float64]


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
