"""The compiled likelihood from Python: one point, or the intercepts that were integrated out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsem.likelihood.inputs import KernelInputs
from bmsem.likelihood.kernel import intercept_posterior, packed_log_likelihood

Array = NDArray[np.float64]


def log_likelihood(theta: Any, data: Any, integers: Any, reals: Any) -> tuple[float, Array]:
    """Value and gradient at ``theta`` (P,); the vectors are those of `KernelInputs`.

    The value is ``-inf`` where a covariance matrix is not positive definite.
    """
    theta, data, reals = (np.array(a, dtype=float) for a in (theta, data, reals))
    integers = np.array(integers, dtype=np.int64)
    r = int(integers[6])
    value, gradient = packed_log_likelihood(
        theta, data, integers, reals, np.empty(r), np.empty((r, r))
    )
    return float(value), gradient


def draw_intercepts(
    draws: Array, inputs: KernelInputs, random: np.random.Generator
) -> tuple[Array, Array]:
    """Intercepts from their exact conditional distribution, and the log-likelihood, draw by draw.

    Parameters
    ----------
    draws : (D, P)
        Parameters in the order ``inputs.order``.
    inputs
        The bound model.
    random
        Source of the normal deviates.

    Returns
    -------
    intercepts : (D, r)
        In the order ``inputs.integrated``.
    values : (D,)
        Log-likelihood with the intercepts integrated out.
    """
    means, covariances, values = intercept_posterior(
        np.array(draws, dtype=float),
        np.array(inputs.data),
        np.array(inputs.integers),
        np.array(inputs.reals),
    )
    if means.shape[1] == 0:
        return means, values
    factors = np.linalg.cholesky(covariances)
    noise = random.standard_normal(means.shape)
    return means + np.einsum("dij,dj->di", factors, noise), values
