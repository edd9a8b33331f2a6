"""Is a variance zero? A Bayes factor for a standard deviation next to zero.

Of the encompassing kind (Klugkist & Hoijtink 2007, Computational Statistics & Data Analysis 51,
6367-6379): the hypothesis that the standard deviation lies below a small delta against the
unconstrained model,

    BF = P(sd < delta | y) / P(sd < delta)

which for delta to 0 is the Savage-Dickey ratio (Dickey 1971, Annals of Mathematical Statistics 42,
204-223), in the spirit of Mplus's TECH16. It depends on how much prior mass lies next to zero: it is
given for the prior's scale halved and doubled too, by weighting the draws with the ratio of the
priors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bmsem.errors import ModelError, NotSupportedError
from bmsem.spec import Prior
from bmsem.tables import Table

Array = NDArray[np.float64]


def sd_prior(prior: object, scale: float = 1.0):
    """A prior on a standard deviation as a scipy distribution, its scale multiplied.

    Raises
    ------
    NotSupportedError
        If the prior is improper, on the variance, or of another family.
    """
    if isinstance(prior, Prior) and prior.on == "sd":
        words = {
            "HalfStudentT": ("nu", "sigma"), "HalfNormal": ("sigma",), "HalfCauchy": ("beta",),
            "Gamma": ("alpha", "beta"), "Exponential": ("lam",),
        }.get(prior.distribution)  # fmt: skip
        if words is not None and len(prior.arguments) == len(words):
            given = {k or words[i]: v for i, (k, v) in enumerate(prior.arguments)}
            if set(given) == set(words):
                match prior.distribution:
                    case "HalfNormal":
                        return stats.halfnorm(scale=scale * given["sigma"])
                    case "HalfCauchy":
                        return stats.halfcauchy(scale=scale * given["beta"])
                    case "Gamma":
                        return stats.gamma(given["alpha"], scale=scale / given["beta"])
                    case "Exponential":
                        return stats.expon(scale=scale / given["lam"])
                    case _:
                        return _HalfT(given["nu"], scale * given["sigma"])
    raise NotSupportedError(
        f"A Bayes factor for a variance needs a proper prior on its standard deviation, but the prior "
        f"is {prior}. Fit with priors='weak', or give one such as 'between: sd(s) ~ HalfNormal(1)'."
    )


class _HalfT:
    """Student's t with its negative half folded over."""

    def __init__(self, nu: float, scale: float) -> None:
        self._t = stats.t(nu, scale=scale)

    def pdf(self, x: Array) -> Array:
        return 2.0 * self._t.pdf(x)

    def cdf(self, x: float) -> float:
        return float(2.0 * self._t.cdf(x) - 1.0)


@dataclass(frozen=True, eq=False)
class NearZero:
    """A standard deviation next to zero.

    Attributes
    ----------
    sd : (chains, draws)
        Draws of the standard deviation.
    prior
        Its prior.
    region
        Standard deviations below this count as zero.
    table
        Probabilities and Bayes factors by the prior's scale.
    """

    sd: Array
    prior: object
    region: float
    table: Table


def near_zero(name: str, sd: Array, prior: object, region: float | None) -> NearZero:
    """The Bayes factor for ``sd`` next to zero; the region is a tenth of the prior's median."""
    own = sd_prior(prior)
    if region is None:
        grid = np.geomspace(1e-4, 1e4, 4000)
        median = grid[int(np.argmin(np.abs(np.array([own.cdf(g) for g in grid]) - 0.5)))]
        region = float(f"{0.1 * median:.2g}")
    frame = zero_variance_table(sd.ravel(), prior, region)
    note = (
        f"Region: a standard deviation below {region:g}. The factor depends on the prior {prior}; a "
        f"conclusion that changes with its scale is not one."
    )
    return NearZero(sd, prior, region, Table(frame, f"Is the variance zero? {name}", (note,)))


def zero_variance_table(sd: Array, prior: object, region: float) -> pd.DataFrame:
    """Prior and posterior probability of sd < region and the Bayes factor, by the prior's scale."""
    if not region > 0:
        raise ModelError(f"The region must be a positive standard deviation, not {region}.")
    own = sd_prior(prior)
    records = []
    for scale in (0.5, 1.0, 2.0):
        other = sd_prior(prior, scale)
        weight = other.pdf(sd) / own.pdf(sd)
        weight = weight / weight.sum()
        posterior = float(weight[sd < region].sum())
        before = float(other.cdf(region))
        records.append(
            {
                "prior scale": scale,
                "P(sd < region)": before,
                "P(sd < region | data)": posterior,
                "bayes_factor": posterior / before,
                "effective draws": float(1.0 / (weight**2).sum()),
            }
        )
    return pd.DataFrame(records)
