"""How well estimates did over replications, with Monte Carlo standard errors.

Definitions and standard errors follow Morris, White & Crowther (2019, Statistics in Medicine 38,
2074-2102, table 6), with posterior medians as estimates and posterior SDs as model standard errors.
Posterior means have a measure of their own, because heavy tails move them away from medians where
clusters are few.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MEASURES = {
    "bias": "mean of the estimates less the truth",
    "relative_bias": "bias over the truth",
    "empirical_sd": "standard deviation of the estimates",
    "posterior_sd": "root mean square of the posterior standard deviations",
    "rmse": "root mean square of the estimates' distances from the truth",
    "rmse_mean": "the same of posterior means",
    "coverage": "share of intervals that contain the truth",
    "width": "mean width of the intervals",
    "excludes_zero": "share of intervals without zero: power if there is an effect, else Type I error",
}


def performance(
    truth: Array, estimate: Array, mean: Array, sd: Array, lower: Array, upper: Array
) -> dict[str, tuple[Array, Array]]:
    """Measures and their Monte Carlo standard errors over the last axis.

    Parameters
    ----------
    truth : (...)
    estimate, mean, sd, lower, upper : (..., R)
        Posterior medians, means and standard deviations, and limits. A replication that failed is
        nan and is left out.

    Returns
    -------
    dict
        By the names of `MEASURES`: value and standard error, each (...); nan without replications.

    Examples
    --------
    >>> one = np.ones((1, 4))
    >>> medians = np.array([[1.0, -1.0, 1.0, -1.0]])
    >>> found = performance(np.zeros(1), medians, medians, one, -2 * one, 2 * one)
    >>> [float(found[k][0][0]) for k in ("bias", "rmse", "coverage", "excludes_zero")]
    [0.0, 1.0, 1.0, 0.0]
    """
    true = truth[..., None]
    known = np.isfinite(estimate)
    n = known.sum(axis=-1).astype(float)
    with np.errstate(all="ignore"):
        n = np.where(n > 0, n, np.nan)

        def average(values: Array) -> Array:
            return np.asarray(np.where(known, values, 0.0).sum(axis=-1) / n)

        def spread(values: Array) -> Array:
            centre = average(values)[..., None]
            return np.sqrt(average((values - centre) ** 2) * n / (n - 1))

        def share(values: NDArray[np.bool_]) -> tuple[Array, Array]:
            p = average(values.astype(float))
            return p, np.sqrt(p * (1 - p) / n)

        def root_mean_square(values: Array) -> tuple[Array, Array]:
            # The standard error is that of the mean square, by the delta method.
            root = np.sqrt(average(values**2))
            return root, spread(values**2) / np.sqrt(n) / (2 * root)

        bias = average(estimate - true)
        relative_to = np.where(truth == 0.0, np.nan, truth)
        own = spread(estimate)
        widths = upper - lower
        return {
            "bias": (bias, own / np.sqrt(n)),
            "relative_bias": (bias / relative_to, own / np.sqrt(n) / np.abs(relative_to)),
            "empirical_sd": (own, own / np.sqrt(2 * (n - 1))),
            "posterior_sd": root_mean_square(sd),
            "rmse": root_mean_square(estimate - true),
            "rmse_mean": root_mean_square(mean - true),
            "coverage": share((lower <= true) & (true <= upper)),
            "width": (average(widths), spread(widths) / np.sqrt(n)),
            "excludes_zero": share((lower > 0) | (upper < 0)),
        }
