"""Rebuild moderation.dat: data whose posterior is that of Table 25.9.

The chapter prints neither the number of schools nor their size; 58 schools of 20 give the printed
standard deviations together with the R-square. Loadings and the within level are those of Table
25.8, because none is printed for this one. The path of the outcome's factor on the mediator's
differs between the arms.

Run ``python models/moderation/rebuild.py`` to write moderation.dat again, byte for byte.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from exact import factor_covariance, two_arm_trial, write

SCHOOLS, SIZE, SEED = 58, 20, 259
WITHIN_LOADINGS = (np.array([1.0, 0.891, 0.905]), np.array([1.0, 0.853, 0.860]))
WITHIN_PATH, WITHIN_VARIANCES, WITHIN_RESIDUALS = 0.503, (2.70, 0.367), (0.0345, 0.141)
BETWEEN_LOADINGS = (np.array([1.0, 0.880, 0.939]), np.array([1.0, 0.848, 0.833]))
# Table 25.9, posterior medians: the path in the control group, its difference, and treatment.
PATH, DIFFERENCE, OUTCOME_ON_TREAT = 0.224, 0.432, -0.336
# Chosen for the posterior standard deviations and the R-square.
MEDIATOR_ON_TREAT = 0.50
# The mediator varies more in the treated schools: their slope is the more precise one.
MEDIATOR_VARIANCES, OUTCOME_RESIDUAL = (0.93, 1.22), 0.70
BETWEEN_RESIDUALS = (0.0355, 0.0327)
INTERCEPTS = np.array([4.0, 3.8, 4.1, 3.0, 2.9, 3.2])


def main() -> None:
    """Write moderation.dat: y1 y2 y3 m1 m2 m3 treat school."""
    within = factor_covariance(WITHIN_LOADINGS, WITHIN_PATH, WITHIN_VARIANCES, WITHIN_RESIDUALS)
    between = [
        factor_covariance(BETWEEN_LOADINGS, path, (variance, OUTCOME_RESIDUAL), BETWEEN_RESIDUALS)
        for path, variance in zip((PATH, PATH + DIFFERENCE), MEDIATOR_VARIANCES, strict=True)
    ]
    y, m = BETWEEN_LOADINGS
    outcome = OUTCOME_ON_TREAT + (PATH + DIFFERENCE) * MEDIATOR_ON_TREAT
    effect = np.r_[y * outcome, m * MEDIATOR_ON_TREAT]
    treat, scores = two_arm_trial(
        np.random.default_rng(SEED), [INTERCEPTS, INTERCEPTS + effect], between, within,
        SCHOOLS, SIZE,
    )  # fmt: skip
    write(Path(__file__).parent / "moderation.dat", treat, scores)


if __name__ == "__main__":
    main()
