"""Seeds as people give them."""

from __future__ import annotations

from typing import Any

import numpy as np

from bmsem.errors import ModelError


def whole_seed(seed: Any) -> int:
    """A seed that makes the same again: a whole number from 0.

    Raises
    ------
    ModelError

    Examples
    --------
    >>> whole_seed(7)
    7
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ModelError(f"seed={seed!r}: give a whole number from 0.")
    return int(seed)


def any_seed(seed: Any) -> Any:
    """A seed as NumPy takes it: a whole number from 0, a generator, a sequence, or ``None``.

    Raises
    ------
    ModelError
    """
    known = seed is None or isinstance(seed, np.random.Generator | np.random.SeedSequence)
    return seed if known else whole_seed(seed)
