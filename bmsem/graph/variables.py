"""Random variables of a model's parameters."""

from __future__ import annotations

import copy
import inspect
import math
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bmsem.errors import ModelError, did_you_mean
from bmsem.priors import ParameterPrior, PriorTable
from bmsem.spec import Prior
from bmsem.structure import FreeParameter

PLURALS = {
    "loading": "loadings",
    "path": "paths",
    "intercept": "intercepts",
    "variance": "variances",
    "covariance": "covariances",
}


def prior_groups(table: PriorTable) -> list[list[ParameterPrior]]:
    """Sampled parameters, those that are sampled as one vector together."""
    groups: dict[tuple[Any, ...], list[ParameterPrior]] = {}
    for row in table.role("sampled"):
        if row.prior is None or row.on == "correlation":
            continue
        key: tuple[Any, ...] = (row.parameter.index,)
        if _grouped(row):
            assert isinstance(row.prior, Prior)
            words = tuple(k for k, _ in row.prior.arguments)
            key = (row.parameter.kind, row.on, row.prior.distribution, words, row.source == "given")
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def _grouped(row: ParameterPrior) -> bool:
    """A prior from the preset or given to a group; bounds need a variable of their own."""
    single = row.source == "model text" or row.lower is not None or row.upper is not None
    return isinstance(row.prior, Prior) and not single


def group_name(rows: list[ParameterPrior], taken: set[str]) -> str:
    """Name of the variable of a group that no other has.

    The kind for parameters with the preset's prior, the parameter itself if it stands alone, and
    otherwise the kind with the distribution.
    """
    first = rows[0]
    kind = "sds" if first.on == "sd" else PLURALS[first.parameter.kind]
    if _grouped(first) and first.source != "given":
        name = kind
    elif len(rows) == 1:
        name = f"sd({first.parameter.name})" if first.on == "sd" else first.parameter.name
    else:
        name = f"{kind}_{first.prior.distribution}"  # type: ignore[union-attr]
    found, i = name, 2
    while found in taken:
        found, i = f"{name}_{i}", i + 1
    return found


class DataVector:
    """One shared vector that all numbers of a model are slices of.

    Compiled models read shared variables through generated code, so that one costs less than many,
    and a model of the same shape runs on other data by replacing it.
    """

    def __init__(self) -> None:
        self._shared = pm.Data("data", np.zeros(0))
        self._values: list[np.ndarray] = []
        self._length = 0

    def slice(self, values: np.ndarray) -> Any:
        """Append values; returns the graph variable that stands for them."""
        start = self._length
        self._values.append(np.asarray(values, dtype=float))
        self._length += len(values)
        return self._shared[start : self._length]

    def fill(self) -> None:
        """Put the values in, when all are there."""
        self._shared.set_value(np.concatenate(self._values))


def prior_variable(name: str, rows: list[ParameterPrior], model: pm.Model, data: DataVector) -> Any:
    """A vector of parameters with one family of prior."""
    first = rows[0]
    if not isinstance(first.prior, Prior):
        # One distribution may be given to several parameters: each has a copy.
        return pt.atleast_1d(model.register_rv(copy.deepcopy(first.prior), name))
    prior = first.prior
    distribution = _distribution(prior, first.parameter)
    dim = f"{name}_dim"
    model.add_coord(dim, [r.parameter.name for r in rows])
    options: dict[str, Any] = {"dims": dim}
    if first.lower is not None or first.upper is not None or _may_be_negative(first):
        options["default_transform"] = pm.distributions.transforms.Interval(*_range(first))
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for i, (word, _) in enumerate(prior.arguments):
        values = [r.prior.arguments[i][1] for r in rows if isinstance(r.prior, Prior)]
        shared = data.slice(np.array(values))
        if word:
            named[word] = shared
        else:
            positional.append(shared)
    try:
        return distribution(name, *positional, **named, **options)
    except (TypeError, ValueError) as error:
        raise ModelError(f"The prior {prior} of {first.parameter.name}: {error}") from error


# Distributions of positive numbers; any other prior on a variance is cut off at zero.
_POSITIVE = (
    "HalfNormal", "HalfCauchy", "HalfStudentT", "HalfFlat", "Gamma", "InverseGamma", "Exponential",
    "LogNormal", "Weibull", "ChiSquared", "Pareto", "Beta", "Kumaraswamy", "Rice", "Wald",
)  # fmt: skip


def _may_be_negative(row: ParameterPrior) -> bool:
    assert isinstance(row.prior, Prior)
    return row.parameter.kind == "variance" and row.prior.distribution not in _POSITIVE


def _range(row: ParameterPrior) -> tuple[float | None, float | None]:
    """Bounds in the units of the random variable: those of a variance, or of its root."""
    lower, upper = row.lower, row.upper
    if row.parameter.kind != "variance":
        return lower, upper
    if upper is not None and upper <= 0:
        raise ModelError(
            f"{row.parameter.name} is a variance; its upper bound {upper:g} excludes it."
        )
    lower = max(0.0, lower or 0.0)
    if row.on == "sd":
        return math.sqrt(lower), None if upper is None else math.sqrt(upper)
    return lower, upper


def _distribution(prior: Prior, parameter: FreeParameter) -> Any:
    """PyMC's class, its arguments checked: PyMC itself overlooks keywords that it does not know."""
    name = prior.distribution
    found: Any = getattr(pm, name, None)
    is_distribution = isinstance(found, type) and issubclass(found, pm.Distribution)
    if not is_distribution:
        known = [
            k
            for k, v in vars(pm).items()
            if isinstance(v, type) and issubclass(v, pm.Continuous) and v is not pm.Continuous
        ]
        raise ModelError(
            f"The prior of {parameter.name} names '{name}', which is not a distribution of PyMC. "
            f"{did_you_mean(name, known)}"
        )
    takes = [
        n
        for n, p in inspect.signature(found.dist).parameters.items()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    wrong = [word for word, _ in prior.arguments if word and word not in takes]
    if wrong or len(prior.arguments) > len(takes):
        what = f"'{wrong[0]}'" if wrong else f"{len(prior.arguments)} arguments"
        raise ModelError(
            f"The prior {prior} of {parameter.name}: pymc.{name} does not take {what}. "
            f"It takes: {', '.join(takes)}."
        )
    return found
