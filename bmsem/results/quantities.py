"""Summaries of many derived quantities at once: median, SD and interval, no chain diagnostics."""

from __future__ import annotations

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats
from numpy.typing import NDArray

from bmsem.results.statistics import one_tailed_p

Array = NDArray[np.float64]

KEYS = ("median", "mean", "sd", "lower", "upper")


def intervals(draws: Array, width: float, kind: str) -> tuple[Array, Array]:
    """Limits for each column of draws (D, m); nan where draws are not finite."""
    lower, upper = np.full(draws.shape[1], np.nan), np.full(draws.shape[1], np.nan)
    known = np.isfinite(draws).all(axis=0)
    if known.any() and len(draws) > 1:
        function = array_stats.hdi if kind == "hpd" else array_stats.eti
        found = np.asarray(function(draws[:, known].T, prob=width, axis=-1))
        lower[known], upper[known] = found[..., 0], found[..., 1]
    return lower, upper


def quantities(draws: Array, width: float = 0.95, kind: str = "hpd") -> pd.DataFrame:
    """`KEYS` for each column of draws (D, m), a row a column."""
    lower, upper = intervals(draws, width, kind)
    sd = draws.std(axis=0, ddof=1) if len(draws) > 1 else np.full(draws.shape[1], np.nan)
    return pd.DataFrame(
        {
            "median": np.median(draws, axis=0),
            "mean": draws.mean(axis=0),
            "sd": sd,
            "lower": lower,
            "upper": upper,
        }
    )


def record(draws: Array, width: float, kind: str) -> dict[str, float]:
    """`KEYS`, the one-tailed p and whether the interval excludes zero, of one quantity."""
    found = quantities(draws.reshape(-1, 1), width, kind).iloc[0]
    values = {key: float(found[key]) for key in KEYS}
    values["p_one_tailed"] = one_tailed_p(draws, values["median"])
    values["star"] = bool(values["lower"] * values["upper"] > 0)
    return values
