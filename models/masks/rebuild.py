"""Rebuild group.dat: data with the sufficient statistics of the chapter's mask-wearing trial.

100 groups of 10, half of them treated. The model of Table 25.6 sees the data through the observed group
means of attitude and norm, the group means of intention, and the pooled within-group variance of
intention; data that have the right ones of these give the right posterior, whatever else they are.

Run ``python models/masks/rebuild.py`` to write group.dat again, byte for byte.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

GROUPS, SIZE = 100, 10

# Table 25.6, posterior medians: with flat priors they are the least-squares slopes.
ATTITUDE_ON_TREAT, NORM_ON_TREAT = 0.4815, -0.1020
INTENT_ON_ATTITUDE, INTENT_ON_NORM = 0.5270, 0.5580
# Table 25.6, posterior standard deviations 0.114 and 0.141, and Table 25.7, correlations 0.401 and
# -0.075 with treat: the residual variances that meet all four. The covariance meets the correlation
# of -0.015 between the two means.
RESIDUAL = np.array([[0.3005, 0.0061], [0.0061, 0.4590]])
# Table 25.6, posterior standard deviations 0.110 and 0.096; Table 25.7, correlations 0.388 and 0.470.
INTENT_RESIDUAL = 0.3965
# Table 25.7, correlation 0.177 of treat with the group means of intention.
TREAT_INTENT_COVARIANCE = 0.0706
# R-square of intention, 0.386: the share of the residual variance that is sampling error of a mean of
# ten people.
WITHIN_INTENT = 0.10
# Nothing that is printed depends on these: means, and the members' spread on the mediators.
MEANS = {"intent": 1.20, "norm": 0.60, "att": 0.90}
WITHIN_SD = {"norm": 1.05, "att": 0.95}
WITHIN_CORRELATIONS = {("intent", "norm"): 0.40, ("intent", "att"): 0.35, ("norm", "att"): 0.20}
SEED = 256


def residuals(random: np.random.Generator, columns: int, against: np.ndarray) -> np.ndarray:
    """Deviates (J, columns), uncorrelated, of variance one (divisor J), orthogonal to ``against``."""
    draws = random.standard_normal((against.shape[0], columns))
    basis, _ = np.linalg.qr(np.hstack([against, draws]))
    return basis[:, against.shape[1] :] * np.sqrt(against.shape[0])


def group_means(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """treat (J,) and the group means (J, 3) of intent, norm and att."""
    treat = np.repeat([0.0, 1.0], GROUPS // 2)
    ones = np.ones((GROUPS, 1))
    noise = residuals(random, 2, np.column_stack([ones, treat])) @ np.linalg.cholesky(RESIDUAL).T
    attitude = ATTITUDE_ON_TREAT * treat + noise[:, 0]
    norm = NORM_ON_TREAT * treat + noise[:, 1]
    mediators = np.column_stack([ones, attitude, norm])
    # What treat adds to intention beyond the mediators; the model leaves it in the residual.
    direct = treat - mediators @ np.linalg.lstsq(mediators, treat, rcond=None)[0]
    through = np.cov(treat, attitude, ddof=0)[0, 1] * INTENT_ON_ATTITUDE
    through += np.cov(treat, norm, ddof=0)[0, 1] * INTENT_ON_NORM
    slope = (TREAT_INTENT_COVARIANCE - through) / direct.var()
    rest = np.sqrt(INTENT_RESIDUAL - slope**2 * direct.var())
    own = residuals(random, 1, np.column_stack([mediators, treat]))[:, 0]
    intent = INTENT_ON_ATTITUDE * attitude + INTENT_ON_NORM * norm + slope * direct + rest * own
    means = np.column_stack([intent, norm, attitude])
    return treat, means - means.mean(0) + list(MEANS.values())


def member_deviations(random: np.random.Generator) -> np.ndarray:
    """Deviations (J, n, 3) from the group means, with the pooled covariance (divisor N - J)."""
    sd = np.array([np.sqrt(WITHIN_INTENT), WITHIN_SD["norm"], WITHIN_SD["att"]])
    r = WITHIN_CORRELATIONS
    correlation = np.array(
        [
            [1.0, r["intent", "norm"], r["intent", "att"]],
            [r["intent", "norm"], 1.0, r["norm", "att"]],
            [r["intent", "att"], r["norm", "att"], 1.0],
        ]
    )
    draws = random.standard_normal((GROUPS, SIZE, 3))
    draws -= draws.mean(axis=1, keepdims=True)
    flat = draws.reshape(-1, 3)
    freedom = GROUPS * (SIZE - 1)
    white = flat @ np.linalg.inv(np.linalg.cholesky(flat.T @ flat / freedom)).T
    wanted = np.linalg.cholesky(correlation * np.outer(sd, sd))
    return (white @ wanted.T).reshape(GROUPS, SIZE, 3)


def main() -> None:
    """Write group.dat: intent norm att treat group."""
    random = np.random.default_rng(SEED)
    treat, means = group_means(random)
    scores = means[:, None, :] + member_deviations(random)
    with (Path(__file__).parent / "group.dat").open("w", encoding="ascii", newline="\n") as file:
        for j in range(GROUPS):
            for i in range(SIZE):
                values = " ".join(f"{v:10.6f}" for v in scores[j, i])
                file.write(f"{values} {treat[j]:.0f} {j + 1:3d}\n")


if __name__ == "__main__":
    main()
