"""Bayesian multilevel structural equation models.

>>> import bmsem
>>> model = bmsem.model('''
... level: within
...   math ~ w*ses
... level: between
...   math ~ b*ses
... context := b - w
... ''')
>>> fit = model.fit(data, cluster="school")   # doctest: +SKIP
>>> print(fit)                                # doctest: +SKIP

PyMC is imported when a model is first compiled, not here: it takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bmsem.errors import (
    BmsemError,
    DataError,
    DataWarning,
    ModelError,
    ModelSyntaxError,
    ModelWarning,
    NotSupportedError,
    SamplingError,
)
from bmsem.version import __version__

if TYPE_CHECKING:
    from bmsem import examples
    from bmsem.api import Model, load, model, read_mplus
    from bmsem.comparison import compare
    from bmsem.descriptives import describe
    from bmsem.intraclass import icc
    from bmsem.results import Fit

__all__ = [
    "BmsemError",
    "DataError",
    "DataWarning",
    "Fit",
    "Model",
    "ModelError",
    "ModelSyntaxError",
    "ModelWarning",
    "NotSupportedError",
    "SamplingError",
    "__version__",
    "compare",
    "describe",
    "examples",
    "icc",
    "load",
    "model",
    "read_mplus",
]

# Loaded when first asked for, so that importing bmsem stays quick.
_LATER = {
    "Fit": "bmsem.results",
    "Model": "bmsem.api",
    "compare": "bmsem.comparison",
    "describe": "bmsem.descriptives",
    "icc": "bmsem.intraclass",
    "load": "bmsem.api",
    "model": "bmsem.api",
    "read_mplus": "bmsem.api",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    if name == "examples":
        return import_module("bmsem.examples")
    raise AttributeError(f"module 'bmsem' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
