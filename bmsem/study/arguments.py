"""What a study is asked for, made what it works with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bmsem.errors import ModelError
from bmsem.priors import PRESETS


def listed(names: str | Iterable[str]) -> list[str]:
    """Names as a list; one name alone is a list of one.

    >>> listed("b"), listed(("a", "b"))
    (['b'], ['a', 'b'])
    """
    return [names] if isinstance(names, str) else list(names)


def cluster_numbers(clusters: Any) -> list[int]:
    """Different numbers of clusters, each two or more; one number alone is a list of one.

    Raises
    ------
    ModelError
    """
    given = [clusters] if np.ndim(clusters) == 0 else list(clusters)
    try:
        numbers = [int(j) for j in given]
        whole = all(n == j for n, j in zip(numbers, given, strict=True))
    except (TypeError, ValueError):
        numbers, whole = [], False
    if not whole or not numbers or min(numbers) < 2 or len(set(numbers)) < len(numbers):
        raise ModelError(
            f"clusters={clusters!r}: give different numbers of clusters, each two or more, such as "
            f"[10, 20]."
        )
    return numbers


def prior_sets(priors: Any) -> dict[str, Any]:
    """Sets of priors by name, each a preset or a mapping; by default ``weak`` and ``mplus``.

    Raises
    ------
    ModelError
    """
    if priors is None:
        return {"weak": "weak", "mplus": "mplus"}
    if not isinstance(priors, Mapping) or not priors:
        raise ModelError(
            f"priors={priors!r}: give at least one set of priors by a name of your own, such as "
            f"{{'weak': 'weak', 'mine': {{'paths': 'Normal(0, 1)'}}}}."
        )
    for name, one in priors.items():
        if not isinstance(one, str | Mapping):
            raise ModelError(
                f"The set of priors '{name}' is {one!r}: give a preset ({', '.join(PRESETS)}) or a "
                f"mapping such as {{'paths': 'Normal(0, 1)'}}."
            )
    return {str(name): one for name, one in priors.items()}


def require_positive(**numbers: int) -> None:
    """Refuse counts below one.

    Raises
    ------
    ModelError
    """
    for name, value in numbers.items():
        if not value >= 1:
            raise ModelError(f"{name}={value}: it must be at least 1.")
