"""Moments as tables: a row an element."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.criteria.level_moments import LevelMoments
from bmsem.criteria.predictive import PredictiveDraws
from bmsem.results.quantities import KEYS, quantities
from bmsem.spec import Level
from bmsem.structure import Structure

Array = NDArray[np.float64]


def lead(moments: LevelMoments) -> LevelMoments:
    """With a leading axis of one."""
    return LevelMoments(moments.names, moments.mean[None], moments.covariance[None])


def with_variance(moments: LevelMoments) -> LevelMoments:
    """Without the variables that have no part at the level."""
    variance = np.diagonal(moments.covariance, axis1=-2, axis2=-1)
    return moments.keep([i for i in range(len(moments.names)) if np.median(variance[:, i]) > 0])


def moments_frame(moments: LevelMoments, level: Level, width: float, kind: str) -> pd.DataFrame:
    """Means, covariances and correlations (D, ...) as rows: `KEYS` of each element.

    Means that are zero by construction (of within parts) are left out.
    """
    names = moments.names
    rows, columns = np.tril_indices(len(names))
    strict = rows != columns
    means = [i for i in range(len(names)) if level != "within" or np.any(moments.mean[:, i])]
    blocks = (
        ("mean", moments.mean[:, means], [names[i] for i in means], [""] * len(means)),
        (
            "covariance", moments.covariance[:, rows, columns],
            [names[i] for i in rows], [names[j] for j in columns],
        ),
        (
            "correlation", moments.correlation[:, rows[strict], columns[strict]],
            [names[i] for i in rows[strict]], [names[j] for j in columns[strict]],
        ),
    )  # fmt: skip
    frames = [pd.DataFrame(columns=["level", "moment", "variable", "with", *KEYS])]
    for what, values, left, right in blocks:
        if not values.shape[1]:
            continue
        frame = quantities(values, width, kind)
        frame.insert(0, "with", right)
        frame.insert(0, "variable", left)
        frame.insert(0, "moment", what)
        frame.insert(0, "level", level or "")
        frames.append(frame)
    return _stack(frames)


def _stack(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Frames one below the other; the first one only has the columns, for the case of no other."""
    return pd.concat(frames[1:], ignore_index=True) if len(frames) > 1 else frames[0]


def stack(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Levels one below the other."""
    full = [frame for frame in frames if len(frame)]
    return pd.concat(full, ignore_index=True) if full else frames[0]


def checks_frame(
    structure: Structure, level: Level, found: PredictiveDraws, width: float, kind: str
) -> pd.DataFrame:
    """Moments of a level against their replicates."""
    observed, replicated = found.observed_moments[level], found.replicated_moments[level]
    covariates = set(
        structure.within_covariates if level == "within" else structure.between_covariates
    )
    names = observed.names
    records: list[tuple[str, str, str, float, Array]] = []
    for i, name in enumerate(names):
        if name in covariates:
            continue
        if level != "within" or observed.mean[0, i]:
            records.append(("mean", name, "", observed.mean[0, i], replicated.mean[:, i]))
    correlation, theirs = observed.correlation[0], replicated.correlation
    for i, name in enumerate(names):
        if name not in covariates:
            records.append(
                ("variance", name, "", observed.covariance[0, i, i], replicated.covariance[:, i, i])
            )
    for i, name in enumerate(names):
        for j in range(i):
            if not {name, names[j]} <= covariates:
                records.append(("correlation", name, names[j], correlation[i, j], theirs[:, i, j]))
    if not records:
        columns = ["level", "moment", "variable", "with", "observed", "median", "lower", "upper"]
        return pd.DataFrame(columns=[*columns, "ppp"])
    values = np.stack([r[4] for r in records], axis=1)
    frame = quantities(values, width, kind)[["median", "lower", "upper"]]
    frame.insert(0, "observed", [r[3] for r in records])
    frame.insert(0, "with", [r[2] for r in records])
    frame.insert(0, "variable", [r[1] for r in records])
    frame.insert(0, "moment", [r[0] for r in records])
    frame.insert(0, "level", level or "")
    frame["ppp"] = [float(np.mean(r[4] > r[3])) for r in records]
    return frame
