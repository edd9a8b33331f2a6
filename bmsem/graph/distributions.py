"""PyMC's distributions: found by name, their arguments checked, the range of an object's values."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.transforms import _default_transform
from pymc.logprob.utils import ParameterValueError
from pymc.pytensorf import compile as compile_pytensor

from bmsem.errors import ModelError, did_you_mean
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
        If PyMC has no such distribution of a continuous quantity, or it does not take the arguments.
        PyMC itself overlooks keywords that it does not know.
    """
    name = prior.distribution
    found: Any = getattr(pm, name, None)
    if not isinstance(found, type) or not issubclass(found, pm.Distribution):
        known = [
            k
            for k, v in vars(pm).items()
            if isinstance(v, type) and issubclass(v, pm.Continuous) and v is not pm.Continuous
        ]
        raise ModelError(f"'{name}' is not a distribution of PyMC. {did_you_mean(name, known)}")
    if issubclass(found, pm.Discrete):
        raise ModelError(f"pymc.{name} is discrete, and parameters are continuous. Use another.")
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


def check_distribution(prior: Any) -> None:
    """Refuse a prior that is no distribution: of an unknown name, or with impossible arguments.

    Parameters
    ----------
    prior
        A `Prior` or a PyMC distribution object.

    Raises
    ------
    ModelError
        With what is wrong; whose prior it is, the caller knows.
    """
    try:
        if isinstance(prior, Prior):
            _, words = distribution_of(prior)
            _density(prior.distribution, words)(*(value for _, value in prior.arguments))
        else:
            pm.logp(prior, _POINT).eval(mode=_MODE)
    except ParameterValueError as error:
        needs = str(error).splitlines()[0]
        raise ModelError(f"its arguments are impossible. It needs {needs}.") from error
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ModelError(str(error)) from error


@cache
def _density(name: str, words: tuple[str, ...]) -> Callable[..., Any]:
    """A distribution's log-density at one point, as a function of the arguments: it checks them."""
    arguments = [pt.dscalar(word) for word in words]
    base = getattr(pm, name).dist(**dict(zip(words, arguments, strict=True)))
    return compile_pytensor(arguments, pm.logp(base, _POINT), mode=_MODE, on_unused_input="ignore")


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
