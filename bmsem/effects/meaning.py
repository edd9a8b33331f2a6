"""Whether an effect is large enough to matter.

An effect is held against an a-priori standard of meaningfulness (Jaccard, *Group Administered
Interventions and Cluster Designs*, "Model Fit" and "Coefficients"): the margins of error are the
interval's limits less the estimate; with a standard s > 0 the effect is shown to be meaningful if
the whole interval lies above s. Beside it stand two posterior probabilities: that the effect
exceeds the standard, and that it is practically equivalent to zero, |effect| < |s| (the region of
practical equivalence of Kruschke 2018, Advances in Methods and Practices in Psychological Science
1, 270-280). A negative standard turns the comparison round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Meaning:
    """One quantity against one standard.

    Attributes
    ----------
    margin_lower, margin_upper
        Margins of error: the interval's limits less the estimate.
    clears
        Whether the whole interval lies beyond the standard.
    p_exceeds, p_equivalent
        Posterior probabilities of being beyond the standard, and nearer to zero than it.
    verdict
        In words.
    """

    estimate: float
    lower: float
    upper: float
    standard: float
    margin_lower: float
    margin_upper: float
    clears: bool
    p_exceeds: float
    p_equivalent: float
    verdict: str


def judge(draws: Array, standard: float, estimate: float, lower: float, upper: float) -> Meaning:
    """Hold draws against a standard; the interval is the one that is printed elsewhere."""
    sign = -1.0 if standard < 0 else 1.0
    size = abs(standard)
    beyond, inside = sign * draws > size, np.abs(draws) < size
    low, high = sorted((sign * lower, sign * upper))
    clears = low > size
    nonzero = lower * upper > 0
    if clears:
        verdict = "meaningful: the whole interval is beyond the standard"
    elif -size < low and high < size:
        verdict = "too small to matter: the whole interval is short of the standard"
    elif nonzero and low > 0:
        verdict = "not zero, but may be short of the standard"
    elif nonzero:
        verdict = "not zero, and in the other direction"
    else:
        verdict = "not shown to differ from zero"
    return Meaning(
        estimate, lower, upper, standard, lower - estimate, upper - estimate, clears,
        float(beyond.mean()), float(inside.mean()), verdict,
    )  # fmt: skip
