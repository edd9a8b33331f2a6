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
from bmsem.priors.support import natural_range, support
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
            key = (row.parameter.kind, row.on, row.prior.distribution, words, row.source == "given",
                   cut_off(row))  # fmt: skip
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
    own = {"sd": "sds", "icc": "iccs", "r_square": "r_squares"}
    kind = own.get(first.on, PLURALS[first.parameter.kind])
    if _grouped(first) and first.source != "given":
        name = kind
    elif len(rows) == 1:
        name = first.parameter.name
        name = f"{first.on}({name})" if first.on in ("sd", "icc", "r_square") else name
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
        self._shared.set_value(np.concatenate([np.empty(0), *self._values]))


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
    takes = _arguments(distribution)
    named: dict[str, Any] = {}
    for i, (word, _) in enumerate(prior.arguments):
        values = [r.prior.arguments[i][1] for r in rows if isinstance(r.prior, Prior)]
        # By name: some classes take the later ones no other way.
        named[word or takes[i]] = data.slice(np.array(values))
    low, high = cut_off(first)
    try:
        if low is None and high is None:
            return distribution(name, **named, **options)
        base = distribution.dist(**named, shape=len(rows))
        if not first.proper or not _has_distribution_function(base):
            # The same density up to a constant; draws from the prior are checked afterwards.
            interval = pm.distributions.transforms.Interval(low, high)
            return distribution(name, **named, **options, default_transform=interval)
        return pm.Truncated(name, base, lower=low, upper=high, **options)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ModelError(f"The prior {prior} of {first.parameter.name}: {error}") from error


def _has_distribution_function(base: Any) -> bool:
    """Whether PyMC knows the probability of a range, which cutting off needs."""
    try:
        pm.logcdf(base, 0.5)
    except NotImplementedError:
        return False
    return True


def cut_off(row: ParameterPrior) -> tuple[float | None, float | None]:
    """Where a prior has to be cut off, in the units of the random variable."""
    if not isinstance(row.prior, Prior):
        return None, None
    own, given = natural_range(row.parameter.kind, row.on), support(row.prior)
    low, high = -math.inf, math.inf
    if row.lower is not None:
        low = row.lower
    if row.upper is not None:
        high = row.upper
    if row.on == "sd":
        low, high = math.sqrt(max(low, 0.0)), math.sqrt(max(high, 0.0))
    low, high = max(low, own[0]), min(high, own[1])
    # A range that the distribution keeps by itself needs no cutting.
    return (low if low > given[0] else None), (high if high < given[1] else None)


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
    takes = _arguments(found)
    wrong = [word for word, _ in prior.arguments if word and word not in takes]
    if wrong or len(prior.arguments) > len(takes):
        what = f"'{wrong[0]}'" if wrong else f"{len(prior.arguments)} arguments"
        raise ModelError(
            f"The prior {prior} of {parameter.name}: pymc.{name} does not take {what}. "
            f"It takes: {', '.join(takes)}."
        )
    return found


def _arguments(distribution: Any) -> list[str]:
    """The names of a distribution's arguments, in their order."""
    return [
        n
        for n, p in inspect.signature(distribution.dist).parameters.items()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
