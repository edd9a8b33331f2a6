"""Variables made from others before the model sees the data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bmsem.data.read import numeric_columns
from bmsem.errors import DataError
from bmsem.spec import Transform


def apply_transforms(
    frame: pd.DataFrame, transforms: Sequence[Transform], cluster: str | None
) -> pd.DataFrame:
    """The data with transforms carried out in the order in which they were written.

    Means, of clusters or of all, are of what is observed.

    Raises
    ------
    DataError
        If a transform needs clusters and there are none, or makes a value that is not finite.
    """
    if not transforms:
        return frame
    result = frame.copy(deep=False)
    for transform in transforms:
        columns = numeric_columns(result, sorted(transform.expression.names()), missing=True)
        with np.errstate(all="ignore"):
            made = transform.expression.evaluate(columns)
        values = np.broadcast_to(np.asarray(made, dtype=float), (len(result),))
        # What is computed from a missing value is missing.
        known = ~np.any([np.isnan(c) for c in columns.values()], axis=0) if columns else True
        bad = ~np.isfinite(values) & known
        if bad.any():
            row = result.index[int(np.flatnonzero(bad)[0])]
            raise DataError(
                f"'{transform}' is not a finite number in {int(bad.sum())} row(s), the first of "
                f"which is row {row}."
            )
        if transform.function in ("cluster_mean", "center_groupmean"):
            if cluster is None:
                raise DataError(f"'{transform}' needs clusters: name the cluster variable.")
            means = pd.Series(values).groupby(result[cluster].to_numpy()).transform("mean")
            values = means.to_numpy() if transform.function == "cluster_mean" else values - means
        elif transform.function == "center_grandmean":
            values = values - np.nanmean(values)
        result[transform.name] = np.asarray(values)
    return result
