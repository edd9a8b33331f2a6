"""Two informative priors for models with few clusters.

Zitzmann, Helm & Hecht (2021, Frontiers in Psychology 11:611267) stabilise the between slope of a
predictor whose cluster mean is latent in two ways: by a slightly informative prior for the between
variance of the predictor, which keeps the slope's denominator away from zero (first proposed by
Zitzmann, Lüdtke & Robitzsch 2015, Multivariate Behavioral Research 50, 688-705), or by one for the slope
itself. Both trade a little bias for much less variance.

Here the weight of either prior is said as a number of clusters that it is worth: the scaled inverse
chi-square prior of a variance, and the normal prior of a regression coefficient, are what observations
with that outcome would have contributed (Gelman, Carlin, Stern, Dunson, Vehtari & Rubin 2013, *Bayesian
Data Analysis*, 3rd edition, sections 2.6 and 14.8).
"""

from __future__ import annotations

import math

from bmsem.errors import ModelError
from bmsem.spec import Prior


def between_variance_prior(
    icc: float, clusters_equivalent: float = 5.0, total_variance: float = 1.0
) -> Prior:
    """A slightly informative prior for the between variance of a level-2 predictor.

    IG(n / 2, n t / 2) with n the equivalent number of clusters and t = ICC x total variance the
    anticipated between variance: as if n clusters had been seen already whose variance was t. The mean
    is t n / (n - 2) and the mode t n / (n + 2).

    Parameters
    ----------
    icc
        Anticipated intraclass correlation of the predictor, above 0 and below 1.
    clusters_equivalent
        How many clusters the anticipation is worth; small beside the number of clusters in the data
        makes a slightly informative prior.
    total_variance
        Of the predictor over people: 1 if it is standardised.

    Returns
    -------
    Prior
        Inverse-gamma, for ``{"between: x ~~ x": …}``.

    Raises
    ------
    ModelError
        If the ICC is not between 0 and 1, or a number is not positive.

    References
    ----------
    Zitzmann, Helm & Hecht (2021), Frontiers in Psychology 11:611267, the first of their two approaches;
    Gelman et al. (2013), *Bayesian Data Analysis*, section 2.6, for the equivalent number of
    observations.

    Examples
    --------
    >>> print(between_variance_prior(icc=0.1, clusters_equivalent=5))
    InverseGamma(alpha = 2.5, beta = 0.25)
    """
    if not 0.0 < icc < 1.0:
        raise ModelError(f"An anticipated ICC lies between 0 and 1, unlike {icc:g}.")
    _require_positive(clusters_equivalent=clusters_equivalent, total_variance=total_variance)
    half = clusters_equivalent / 2.0
    scale = float(f"{half * icc * total_variance:.12g}")
    return Prior("InverseGamma", (("alpha", half), ("beta", scale)))


def between_path_prior(
    mean: float = 0.0,
    *,
    sd: float | None = None,
    clusters_equivalent: float | None = None,
    residual_variance: float | None = None,
    predictor_variance: float | None = None,
) -> Prior:
    """A slightly informative prior for a level-2 path.

    Normal(mean, sd), with the standard deviation given, or found from an equivalent number of clusters
    n: the path is known as well beforehand as n clusters would tell it, sd^2 = residual variance / (n x
    predictor variance).

    Parameters
    ----------
    mean
        Anticipated path.
    sd
        Of the prior; or
    clusters_equivalent, residual_variance, predictor_variance
        how many clusters the anticipation is worth, the outcome's residual variance between clusters,
        and the predictor's variance between clusters (0.25 for two arms of equal size).

    Returns
    -------
    Prior
        Normal, for ``{"between: y ~ x": …}``.

    Raises
    ------
    ModelError
        If both or neither way is used, or a number is not positive.

    References
    ----------
    Zitzmann, Helm & Hecht (2021), Frontiers in Psychology 11:611267, the second of their two
    approaches; Gelman et al. (2013), *Bayesian Data Analysis*, section 14.8, for a prior on a
    coefficient as additional observations.

    Examples
    --------
    >>> print(between_path_prior(0.5, sd=0.3))
    Normal(mu = 0.5, sigma = 0.3)
    >>> print(between_path_prior(0.5, clusters_equivalent=5, residual_variance=0.05,
    ...                          predictor_variance=0.1))
    Normal(mu = 0.5, sigma = 0.3162)
    """
    if not math.isfinite(mean):
        raise ModelError(f"The anticipated path is {mean}: give a number.")
    by_clusters = {
        "clusters_equivalent": clusters_equivalent,
        "residual_variance": residual_variance,
        "predictor_variance": predictor_variance,
    }
    told = {k: v for k, v in by_clusters.items() if v is not None}
    if (sd is None) == (not told):
        raise ModelError(
            "Give either sd, or clusters_equivalent with residual_variance and predictor_variance."
        )
    if sd is not None:
        _require_positive(sd=sd)
        return Prior("Normal", (("mu", float(mean)), ("sigma", float(sd))))
    missing = [k for k in by_clusters if k not in told]
    if missing:
        raise ModelError(
            f"{', '.join(missing)} is missing: the prior's width follows from all three."
        )
    _require_positive(**told)
    variance = told["residual_variance"] / (
        told["clusters_equivalent"] * told["predictor_variance"]
    )
    return Prior("Normal", (("mu", float(mean)), ("sigma", float(f"{math.sqrt(variance):.4g}"))))


def _require_positive(**numbers: float) -> None:
    for name, value in numbers.items():
        if not (math.isfinite(value) and value > 0):
            raise ModelError(f"{name} must be above zero, not {value:g}.")
