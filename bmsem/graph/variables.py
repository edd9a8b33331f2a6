"""Random variables of a model's parameters."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from pymc.distributions.transforms import _default_transform

from bmsem.graph.distributions import check_distribution, distribution_of, range_of
from bmsem.graph.transforms import ShortTail
from bmsem.priors import ParameterPrior, PriorTable
from bmsem.priors.support import natural_range, support
from bmsem.spec import Prior

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

    def rest(self, values: np.ndarray) -> Any:
        """Append values of any number, after which nothing can follow.

        Models whose last values differ in number are of one shape.
        """
        start = self._length
        self.slice(values)
        return self._shared[start:]

    def fill(self) -> None:
        """Put the values in, when all are there."""
        self._shared.set_value(np.concatenate([np.empty(0), *self._values]))


def prior_variable(
    name: str,
    rows: list[ParameterPrior],
    model: pm.Model,
    data: DataVector,
    forward: bool = False,
    sizes: NDArray[np.float64] | None = None,
) -> Any:
    """A vector of parameters with one family of prior, cut off where `cut_off` says.

    ``forward`` makes draws from the prior keep to the range too, also in families of which PyMC knows
    no distribution function; these have no density then. ``sizes`` are what the data say about the
    size of positive numbers, which are then sampled as `ShortTail` says.

    Raises
    ------
    ModelError
        If a prior is one that only PyMC can tell to be impossible.
    """
    for row in rows:
        check_distribution(row)
    first = rows[0]
    options: dict[str, Any] = {}
    if isinstance(first.prior, Prior):
        distribution, words = distribution_of(first.prior)
        values = np.array([[v for _, v in r.prior.arguments] for r in rows])  # type: ignore[union-attr]
        named = {word: data.slice(values[:, i]) for i, word in enumerate(words)}
        shape: tuple[int, ...] = (len(rows),)
        base = distribution.dist(**named, shape=shape)
        dim = f"{name}_dim"
        model.add_coord(dim, [r.parameter.name for r in rows])
        options["dims"] = (dim,)
    else:
        # One distribution may be given to several parameters: each has a copy.
        base, shape = copy.deepcopy(first.prior), ()
    low, high = cut_off(first)
    if low is not None or high is not None:
        if first.proper and (forward or _has_distribution_function(base)):
            base = pm.Truncated.dist(base, lower=low, upper=high, shape=shape)
        else:
            # The same density up to a constant.
            options["default_transform"] = pm.distributions.transforms.Interval(low, high)
    positive = high is None and (low == 0.0 or (low is None and _on_logarithms(base)))
    # A flat density over variances has a short tail as it is.
    if sizes is not None and positive and first.proper:
        power = 1 if first.on == "sd" else 2
        # A transform may only use what the graph of its variable has: the data, if the prior's
        # arguments are among them.
        own = isinstance(first.prior, Prior)
        centre = data.slice(np.log(sizes)) if own else None
        options["default_transform"] = ShortTail(sizes.reshape(shape), power, centre)
    return pt.atleast_1d(model.register_rv(base, name, **options))


def _on_logarithms(base: Any) -> bool:
    """Whether PyMC would sample the logarithm."""
    return type(_default_transform(base.owner.op, base)).__name__ == "LogTransform"


def _has_distribution_function(base: Any) -> bool:
    """Whether PyMC knows the probability of a range, which cutting off needs."""
    try:
        pm.logcdf(base, 0.5)
    except NotImplementedError:
        return False
    return True


def cut_off(row: ParameterPrior) -> tuple[float | None, float | None]:
    """Where a prior has to be cut off, in the units of the random variable."""
    if row.prior is None:
        return None, None
    own, given = natural_range(row.parameter.kind, row.on), support(row.prior)
    given = given or range_of(row.prior)
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
