"""How many people there are in each cluster of a design."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmsem.errors import DataError, ModelError
from bmsem.simulation.distributions import Distribution

# A size below 1 is drawn again; more often than this the sizes would not be as the text says.
_TOO_SMALL = 0.05


def drawn_sizes(clusters: int, size: Any, random: np.random.Generator) -> NDArray[np.int64]:
    """Sizes (J,) from one number, a number for each cluster, or a distribution as text.

    Raises
    ------
    DataError
        If a size is not a whole number from 1, or a distribution often gives less.
    ModelError
        If the text is no distribution.

    Examples
    --------
    >>> drawn_sizes(3, "DiscreteUniform(2, 4)", np.random.default_rng(1)).tolist()
    [3, 3, 4]
    """
    if size is None:
        raise DataError("Say how many people there are in a cluster: Design(50, size=20).")
    if isinstance(size, str):
        try:
            drawn = Distribution(size)
        except ModelError as error:
            raise ModelError(f"size: {error}") from error
        small = drawn.below(0.5)
        if small > _TOO_SMALL:
            raise DataError(
                f"size='{size}' gives a size below 1 in {small:.0%} of clusters, and a cluster has "
                f"one person or more. Use a distribution with larger values."
            )
        found = np.rint(drawn.draw(random, clusters))
        while (found < 1).any():
            found = np.where(found < 1, np.rint(drawn.draw(random, clusters)), found)
        return found.astype(np.int64)
    try:
        values = np.atleast_1d(np.asarray(size, dtype=float))
    except (TypeError, ValueError):
        values = np.array([np.nan])
    if values.ndim != 1 or not (np.isfinite(values) & (values >= 1) & (values % 1 == 0)).all():
        raise DataError(
            f"size={size!r}: give a whole number of people from 1, one for each cluster, or a "
            f"distribution such as 'Poisson(20)'."
        )
    if not np.ndim(size):
        values = np.repeat(values, clusters)
    if len(values) != clusters:
        raise DataError(
            f"size has {len(values)} numbers for {clusters} clusters: give one for each."
        )
    return values.astype(np.int64)
