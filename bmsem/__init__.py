"""Bayesian multilevel structural equation models.

>>> import bmsem
>>> model = bmsem.model('''
... level: within
...   math ~ w*ses
... level: between
...   math ~ b*ses
... context := b - w
... ''')
>>> students = bmsem.examples.path("hsb", "hsb.csv")
>>> fit = model.fit(students, cluster="school", draws=500, seed=1, progress=False)
>>> print(fit)                                                   # doctest: +ELLIPSIS
Converged: largest R-hat ...

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
    from bmsem import examples, study
    from bmsem.api import Model, load, model, read_mplus, simulate
    from bmsem.comparison import compare
    from bmsem.descriptives import describe
    from bmsem.fit import Fit
    from bmsem.intraclass import icc
    from bmsem.priors.elicit import describe_prior, elicit
    from bmsem.priors.small_samples import between_path_prior, between_variance_prior
    from bmsem.reports import report
    from bmsem.simulation import Covariate, Design

__all__ = [
    "BmsemError",
    "Covariate",
    "DataError",
    "DataWarning",
    "Design",
    "Fit",
    "Model",
    "ModelError",
    "ModelSyntaxError",
    "ModelWarning",
    "NotSupportedError",
    "SamplingError",
    "__version__",
    "between_path_prior",
    "between_variance_prior",
    "compare",
    "describe",
    "describe_prior",
    "elicit",
    "examples",
    "icc",
    "load",
    "model",
    "read_mplus",
    "report",
    "simulate",
    "study",
]

# Loaded when first asked for, so that importing bmsem stays quick.
_LATER = {
    "Covariate": "bmsem.simulation",
    "Design": "bmsem.simulation",
    "Fit": "bmsem.fit",
    "Model": "bmsem.api",
    "between_path_prior": "bmsem.priors.small_samples",
    "between_variance_prior": "bmsem.priors.small_samples",
    "compare": "bmsem.comparison",
    "describe": "bmsem.descriptives",
    "describe_prior": "bmsem.priors.elicit",
    "elicit": "bmsem.priors.elicit",
    "icc": "bmsem.intraclass",
    "load": "bmsem.api",
    "model": "bmsem.api",
    "read_mplus": "bmsem.api",
    "report": "bmsem.reports",
    "simulate": "bmsem.api",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    if name in ("examples", "study"):
        return import_module(f"bmsem.{name}")
    raise AttributeError(f"module 'bmsem' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
