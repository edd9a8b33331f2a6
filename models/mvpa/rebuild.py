"""Rebuild mvpa.dat: data with the sufficient statistics of the chapter's school trial.

50 schools of 20 students, half of the schools treated. The posterior of the model of Table 25.3 depends
on the data through the pooled covariance within schools, the covariance of the school means, and their
regression on treatment. The chapter prints enough to fix them to three digits; the digits that rounding
leaves open were chosen inside their intervals by least squares, so that the other printed figures come
out too (README.md lists them).

Run ``python models/mvpa/rebuild.py`` to write mvpa.dat again, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

SCHOOLS, SIZE = 50, 20
NAMES = ("mvpa", "peers", "advant")

# Table 25.4: correlations mvpa-peers, mvpa-advant, peers-advant within (0.475, 0.478, 0.279) and
# between schools (0.582, 0.505, 0.135), of treat with each (0.255, 0.335, 0.330), intraclass
# correlations (0.461, 0.565, 0.562). The digits after the third are free.
WITHIN_CORRELATIONS = (0.474743, 0.478317, 0.279274)
BETWEEN_CORRELATIONS = (0.582359, 0.504966, 0.134677)
TREAT_CORRELATIONS = (0.254884, 0.335158, 0.330453)
INTRACLASS = (0.461375, 0.565172, 0.562399)
# Table 25.10: effects of treatment on peer support (0.776) and advantages (0.733), and the
# within-school slope of mvpa on advantages (4.873).
PEERS_ON_TREAT, ADVANT_ON_TREAT = 0.776062, 0.732628
WITHIN_SLOPE = 4.873096
# Means of the control schools; nothing that is printed depends on them.
MEANS = (60.0, 0.6, 0.6)
# The seed of the school means is chosen for the robust standard errors of Table 25.10 (0.921, 0.993),
# that of the students for those (0.341, 0.317) and for the slope variance of Table 25.5.
SEED_SCHOOLS, SEED_STUDENTS = 1732, 16542


@dataclass(frozen=True)
class Statistics:
    """Sufficient statistics: pooled within covariance (divisor N - J), covariance of the school means
    given treatment (divisor J), and the effects of treatment; in the order of `NAMES`."""

    within: np.ndarray
    means: np.ndarray
    effects: np.ndarray


def _covariance(correlations: tuple[float, ...], sd: np.ndarray) -> np.ndarray:
    a, b, c = correlations
    return np.array([[1, a, b], [a, 1, c], [b, c, 1]]) * np.outer(sd, sd)


def statistics() -> Statistics:
    """From printed figures to covariance matrices.

    The effect of treat, half of the schools, is r sd / 0.5: that gives the between standard deviations
    of the mediators; the intraclass correlations give those within; the within slope gives mvpa's.
    """
    ratio = np.sqrt((1 - np.array(INTRACLASS)) / np.array(INTRACLASS))
    r_treat = np.array(TREAT_CORRELATIONS)
    between = np.zeros(3)
    between[1:] = np.array([PEERS_ON_TREAT, ADVANT_ON_TREAT]) * 0.5 / r_treat[1:]
    within = between * ratio
    mp, ma, pa = WITHIN_CORRELATIONS
    within[0] = WITHIN_SLOPE * within[2] * (1 - pa**2) / (ma - mp * pa)
    between[0] = within[0] / ratio[0]
    s_within = _covariance(WITHIN_CORRELATIONS, within)
    s_between = _covariance(BETWEEN_CORRELATIONS, between)
    effects = r_treat * between / 0.5
    means = s_between + s_within / SIZE - 0.25 * np.outer(effects, effects)
    return Statistics(s_within, means, effects)


def _white(draws: np.ndarray) -> np.ndarray:
    """Columns with cross-products equal to the identity."""
    return np.linalg.solve(np.linalg.cholesky(draws.T @ draws), draws.T).T


def school_means(given: Statistics, treat: np.ndarray) -> np.ndarray:
    """Means (J, 3) with exactly the given covariance and effects of treatment."""
    draws = np.random.default_rng([SEED_SCHOOLS, 1]).standard_normal((SCHOOLS, 3))
    centred = treat - treat.mean()
    draws -= draws.mean(0)
    draws -= np.outer(centred, centred @ draws / (centred @ centred))
    noise = _white(draws) * np.sqrt(SCHOOLS) @ np.linalg.cholesky(given.means).T
    return np.outer(treat, given.effects) + noise + MEANS


def student_deviations(given: Statistics) -> np.ndarray:
    """Deviations (J, n, 3) from the school means with exactly the given pooled covariance."""
    draws = np.random.default_rng([SEED_STUDENTS, 2]).standard_normal((SCHOOLS, SIZE, 3))
    draws -= draws.mean(axis=1, keepdims=True)
    white = _white(draws.reshape(-1, 3)) * np.sqrt(SCHOOLS * (SIZE - 1))
    return (white @ np.linalg.cholesky(given.within).T).reshape(SCHOOLS, SIZE, 3)


def main() -> None:
    """Write mvpa.dat: mvpa peers advant treat school."""
    given = statistics()
    treat = np.repeat([0.0, 1.0], SCHOOLS // 2)
    scores = school_means(given, treat)[:, None, :] + student_deviations(given)
    with (Path(__file__).parent / "mvpa.dat").open("w", encoding="ascii", newline="\n") as file:
        for j in range(SCHOOLS):
            for i in range(SIZE):
                values = " ".join(f"{v:11.6f}" for v in scores[j, i])
                file.write(f"{values} {treat[j]:.0f} {j + 1:2d}\n")


if __name__ == "__main__":
    main()
