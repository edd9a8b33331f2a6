"""The likelihood written down as it is defined: one dense normal density a cluster.

Slow and obvious; the fast algorithms must agree with it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bmsem.data import BoundModel
from bmsem.moments import implied_moments


def dense_log_likelihood(bound: BoundModel, frame: pd.DataFrame, theta: np.ndarray) -> float:
    """Log-density of all observed outcomes, every parameter given, from the rows of the data."""
    s = bound.structure
    within = implied_moments(s.within, theta)
    between = implied_moments(s.between, theta)
    nz, p = len(s.between_outcomes), len(s.outcomes)
    if bound.spec.multilevel:
        groups = [g for _, g in frame.groupby(bound.cluster_ids.name, sort=False)]
    else:
        groups = [frame.iloc[[i]] for i in range(len(frame))]
    value = 0.0
    for group in groups:
        n = len(group)
        size = nz + n * p
        # Each member's outcomes are the cluster's part plus the member's own.
        design = np.zeros((size, nz + p))
        design[:nz, :nz] = np.eye(nz)
        design[nz:, nz:] = np.tile(np.eye(p), (n, 1))
        x_between = np.r_[1.0, group[list(s.between_covariates)].iloc[0].to_numpy(float)]
        mean = design @ between.observed_coefficients @ x_between
        covariance = design @ between.observed_covariance @ design.T
        covariance[nz:, nz:] += np.kron(np.eye(n), within.observed_covariance)
        x_within = np.column_stack(
            [np.ones(n), group[list(s.within_covariates)].to_numpy(float).reshape(n, -1)]
        )
        mean[nz:] += (x_within @ within.observed_coefficients.T).ravel()
        z = group[list(s.between_outcomes)].iloc[0].to_numpy(float)
        data = np.r_[z, group[list(s.outcomes)].to_numpy(float).ravel()]
        error = data - mean
        _, logdet = np.linalg.slogdet(covariance)
        quadratic = error @ np.linalg.solve(covariance, error)
        value -= 0.5 * (size * np.log(2 * np.pi) + logdet + quadratic)
    return float(value)


def numeric_gradient(value, at: np.ndarray) -> np.ndarray:
    """Central differences of the fourth order; steps are small because some entries are multiplied with
    numbers of a thousand."""
    found = np.empty(at.size)
    for i in range(at.size):
        h = 2e-4 * max(1.0, abs(at[i]) ** 0.5)
        e = np.zeros(at.size)
        e[i] = h
        near, far = value(at + e) - value(at - e), value(at + 2 * e) - value(at - 2 * e)
        found[i] = (8 * near - far) / (12 * h)
    return found
