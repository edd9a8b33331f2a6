"""PyMC's distributions by name, and what only PyMC can tell of a prior: its arguments, its range."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.distributions.transforms import _default_transform
from pymc.logprob.utils import ParameterValueError

from bmsem.errors import ModelError
from bmsem.priors import ParameterPrior
from bmsem.priors.checks import require_values
from bmsem.priors.given import written
from bmsem.priors.support import support
from bmsem.spec import Prior

# Compiled fast rather than to run fast: it is called once.
_MODE = "FAST_COMPILE"
# A point at which densities are tried; whether it has any does not matter.
_POINT = 0.5


def distribution_of(prior: Prior) -> tuple[Any, tuple[str, ...]]:
    """PyMC's class and the names of a prior's arguments: some classes take the later ones no other way.

    Raises
    ------
    ModelError
        If it does not take the arguments: PyMC itself overlooks keywords that it does not know.
    """
    name = prior.distribution
    found: Any = getattr(pm, name)
    takes = [
        n
        for n, p in inspect.signature(found.dist).parameters.items()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    wrong = [word for word, _ in prior.arguments if word and word not in takes]
    if wrong or len(prior.arguments) > len(takes):
        what = f"'{wrong[0]}'" if wrong else f"{len(prior.arguments)} arguments"
        raise ModelError(
            f"pymc.{name} does not take {what}. It takes: {', '.join(takes) or 'nothing'}."
        )
    return found, tuple(word or takes[i] for i, (word, _) in enumerate(prior.arguments))


def check_distribution(row: ParameterPrior) -> None:
    """Refuse a prior that was given if it has impossible arguments, or none but impossible values.

    Raises
    ------
    ModelError
    """
    prior = row.prior
    if prior is None or row.source not in ("given", "model text"):
        return
    said = f"The prior {written(prior)} of {row.parameter.name}"
    try:
        if isinstance(prior, Prior):
            _, words = distribution_of(prior)
            _density(prior.distribution, words)(*(value for _, value in prior.arguments))
        else:
            pm.logp(prior, _POINT).eval(mode=_MODE)
    except ParameterValueError as error:
        needs = str(error).splitlines()[0]
        raise ModelError(f"{said} has impossible arguments. It needs {needs}.") from error
    except (ModelError, TypeError, ValueError, NotImplementedError) as error:
        raise ModelError(f"{said}: {error}") from error
    if support(prior) is None:
        require_values(row, range_of(prior))


@cache
def _density(name: str, words: tuple[str, ...]) -> Callable[..., Any]:
    """A distribution's log-density at one point, as a function of the arguments: it checks them."""
    arguments = [pt.dscalar(word) for word in words]
    base = getattr(pm, name).dist(**dict(zip(words, arguments, strict=True)))
    # PyMC's own way of compiling leaves checks of arguments out.
    return pytensor.function(arguments, pm.logp(base, _POINT), mode=_MODE, on_unused_input="ignore")


def range_of(dist: Any) -> tuple[float, float]:
    """The range of the values of a PyMC distribution object, which its default transform tells.

    Examples
    --------
    >>> range_of(pm.Uniform.dist(-2, 5))
    (-2.0, 5.0)
    """
    transform = _default_transform(dist.owner.op, dist)
    match type(transform).__name__:
        case "LogTransform":
            return 0.0, math.inf
        case "LogOddsTransform":
            return 0.0, 1.0
        case "CircularTransform":
            return -math.pi, math.pi
        case "Interval":
            low, high = transform.args_fn(*dist.owner.inputs)
            return (
                -math.inf if low is None else _number(low),
                math.inf if high is None else _number(high),
            )
        case _:
            return -math.inf, math.inf


def _number(value: Any) -> float:
    return float(np.asarray(pt.as_tensor_variable(value).eval(mode=_MODE)))
