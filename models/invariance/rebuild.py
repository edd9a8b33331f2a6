"""Rebuild invariance.dat: data whose posterior is that of Table 25.8.

The chapter prints neither the number of schools nor their size: 50 schools of 20, half of them
treated. The variances, of which none is printed, were chosen for the posterior standard deviations; the
moments misfit the model as those of a sample would, without moving its parameters.

Run ``python models/invariance/rebuild.py`` to write invariance.dat again, byte for byte.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from exact import derivatives, factor_covariance, two_arm_trial, with_misfit, write

SCHOOLS, SIZE, SEED = 50, 20, 258
# Table 25.8, posterior medians; between schools they are skew, and what makes the printed medians come
# out differs from them a little: loadings 0.880 and 0.939, treatment 1.149.
WITHIN_LOADINGS = (np.array([1.0, 0.891, 0.905]), np.array([1.0, 0.853, 0.860]))
WITHIN_PATH = 0.503
BETWEEN_LOADINGS = (np.array([1.0, 0.885, 0.948]), np.array([1.0, 0.848, 0.833]))
BETWEEN_PATH, MEDIATOR_ON_TREAT = 0.434, 1.187
# Chosen for the posterior standard deviations: variances of the mediator and of the outcome's residual,
# and residual variances of the indicators of outcome and mediator.
WITHIN_VARIANCES, WITHIN_RESIDUALS = (2.70, 0.367), (0.0345, 0.141)
BETWEEN_VARIANCES, BETWEEN_RESIDUALS = (0.287, 0.175), (0.0268, 0.0629)
INTERCEPTS = np.array([4.0, 3.8, 4.1, 3.0, 2.9, 3.2])


def covariance(values: np.ndarray) -> np.ndarray:
    """Of a level: loadings of y2 y3 m2 m3, path, two variances, six residual variances."""
    loadings = (np.r_[1.0, values[:2]], np.r_[1.0, values[2:4]])
    variances = (float(values[5]), float(values[6]))
    found = factor_covariance(loadings, float(values[4]), variances, (0.0, 0.0))
    return found + np.diag(values[7:])


def level_values(loadings, path, variances, residuals) -> np.ndarray:
    y, m = loadings
    return np.r_[y[1:], m[1:], path, variances, np.repeat(residuals, 3)]


def main() -> None:
    """Write invariance.dat: y1 y2 y3 m1 m2 m3 treat school."""
    random = np.random.default_rng(SEED)
    levels = []
    for values, freedom in (
        (level_values(WITHIN_LOADINGS, WITHIN_PATH, WITHIN_VARIANCES, WITHIN_RESIDUALS),
         SCHOOLS * (SIZE - 1)),
        (level_values(BETWEEN_LOADINGS, BETWEEN_PATH, BETWEEN_VARIANCES, BETWEEN_RESIDUALS),
         SCHOOLS),
    ):  # fmt: skip
        tangent = derivatives(covariance, values)
        levels.append(with_misfit(random, covariance(values), tangent, freedom))
    within, between = levels
    y, m = BETWEEN_LOADINGS
    effect = np.r_[y * BETWEEN_PATH * MEDIATOR_ON_TREAT, m * MEDIATOR_ON_TREAT]
    treat, scores = two_arm_trial(
        random, [INTERCEPTS, INTERCEPTS + effect], [between, between], within, SCHOOLS, SIZE
    )
    write(Path(__file__).parent / "invariance.dat", treat, scores)


if __name__ == "__main__":
    main()
