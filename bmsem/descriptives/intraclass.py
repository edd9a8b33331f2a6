"""Intraclass correlations of one variable, and what clustering costs in precision."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmsem.data.statistics import cluster_statistics, pooled_statistics
from bmsem.likelihood.canonical import Layout, TwoLevelData
from bmsem.likelihood.unrestricted import unrestricted

Array = NDArray[np.float64]


def intraclass_correlations(values: Array, clusters: NDArray[np.intp]) -> dict[str, float]:
    """The intraclass correlations that the literature means by that name.

    Parameters
    ----------
    values : (N,)
    clusters : (N,)
        Codes 0 .. J-1, each with at least one row.

    Returns
    -------
    dict
        ``"ml"``: maximum likelihood under a normal random intercept, sigma2_u / (sigma2_u +
        sigma2_e), never negative. ``"anova"``: (MSB - MSW) / (MSB + (n0 - 1) MSW), ICC(1) of Shrout
        & Fleiss (1979, Psychological Bulletin 86, 420-428), with n0 = (N - sum n_j^2 / N) / (J - 1)
        for unequal clusters (Snijders & Bosker 2012, equation 3.7); may be negative.
        ``"double_entry"``: Pearson's correlation over all ordered pairs of members of a cluster
        (Fisher 1925, *Statistical Methods for Research Workers*, section 38); may be negative.
        ``"between_ml"``, ``"within_ml"``, ``"between_anova"``, ``"within_anova"``: the variances
        behind them. ``"reliability"``: of a cluster's mean at the average size, by the ANOVA
        variances, ICC(2).

    Examples
    --------
    Table 25.1 of the chapter, eight clusters of two:

    >>> import numpy as np
    >>> y = np.array([5, 6, 3, 2, 7, 9, 2, 2, 3, 5, 6, 9, 4, 2, 8, 7.0])
    >>> found = intraclass_correlations(y, np.repeat(np.arange(8), 2))
    >>> [round(found[k], 3) for k in ("ml", "double_entry", "anova")]
    [0.75, 0.75, 0.778]
    """
    n_clusters = int(clusters.max()) + 1
    found = cluster_statistics(np.asarray(values, dtype=float)[:, None], clusters, n_clusters)
    n, means = found.cluster_sizes, found.means[:, 0, 0]
    scatter = found.scatter[:, 0, 0, 0]
    total = n.sum()
    grand = float(n @ means / total)
    nan = float("nan")
    between_squares = float(n @ (means - grand) ** 2) / max(n_clusters - 1, 1)
    freedom = total - n_clusters
    within_squares = float(scatter.sum()) / freedom if freedom > 0 else nan
    n0 = (total - (n**2).sum() / total) / (n_clusters - 1) if n_clusters > 1 else nan
    between = (between_squares - within_squares) / n0
    ml_between, ml_within = _maximum_likelihood(values, clusters, n_clusters)
    pairs = float((n * (n - 1.0)).sum())
    if pairs > 0:
        # Every member stands in n_j - 1 pairs.
        centre = float((n * (n - 1.0)) @ means) / pairs
        squares = scatter + n * (means - centre) ** 2
        spread = float((n - 1.0) @ squares)
        products = float(((n * (means - centre)) ** 2 - squares).sum())
        double = products / spread if spread > 0 else nan
    else:
        double = nan
    spread_of_means = between + within_squares / (total / n_clusters)
    correlations = {
        "ml": ml_between / (ml_between + ml_within),
        "anova": between / (between + within_squares),
        "double_entry": double,
        "reliability": between / spread_of_means if spread_of_means > 0 else nan,
        "between_ml": ml_between,
        "within_ml": ml_within,
        "between_anova": between,
        "within_anova": within_squares,
    }
    return {name: float(value) for name, value in correlations.items()}


def _maximum_likelihood(
    values: Array, clusters: NDArray[np.intp], n_clusters: int
) -> tuple[float, float]:
    empty = np.empty((n_clusters, 0))
    members = cluster_statistics(np.asarray(values, dtype=float)[:, None], clusters, n_clusters)
    pooled = pooled_statistics(members, empty, empty, 1)
    layout = Layout(0, np.array([0]), np.array([], dtype=np.intp), 0, 0)
    data = TwoLevelData(pooled.scatter[None], pooled.cross[None], pooled.sizes, pooled.counts)
    y = unrestricted(data, layout, 1e-12).parts.y
    return float(y.between[0, 0, 0]), float(y.within[0, 0, 0])


def design_effects(icc: float, sizes: Array) -> dict[str, float]:
    """What sampling clusters instead of people does to the precision of a mean.

    ``"deff"`` = 1 + (n - 1) ICC multiplies the variance, ``"deft"`` = sqrt(deff) the standard error
    (Kish 1965, *Survey Sampling*, sections 5.4 and 8.2); n is sum n_j^2 / N, which is the common
    size if all are equal (Donner, Birkett & Buck 1981, American Journal of Epidemiology 114,
    906-914). ``"effective_n"`` is N / deff.

    >>> round(design_effects(0.05, np.full(10, 20.0))["deff"], 3)
    1.95
    """
    sizes = np.asarray(sizes, dtype=float)
    n = float((sizes**2).sum() / sizes.sum())
    deff = 1.0 + (n - 1.0) * icc
    return {
        "n": n,
        "deff": deff,
        "deft": float(np.sqrt(deff)) if deff >= 0 else float("nan"),
        "effective_n": float(sizes.sum() / deff) if deff > 0 else float("nan"),
    }
