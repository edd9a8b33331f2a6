"""Priors as they are given: text, a `Prior`, or a distribution object of PyMC's."""

from __future__ import annotations

from typing import Any

from bmsem.errors import ModelError
from bmsem.language import parse_prior
from bmsem.spec import Prior

_EXPECTED = (
    'Give text such as "Normal(0, 1)", a bmsem.spec.Prior, or a distribution such as '
    "pm.Normal.dist(0, 1)."
)


def read_prior(key: str, value: Any) -> Any:
    """What a mapping gives to ``key``: a `Prior`, or the PyMC distribution as it is.

    Raises
    ------
    ModelError
        If it is neither, or a distribution of more than one number or of whole numbers.
    """
    if isinstance(value, str):
        return parse_prior(value)
    if isinstance(value, Prior):
        return value
    node = getattr(value, "owner", None)
    if node is None:
        raise ModelError(f"The prior of '{key}' is {value!r}, which is no prior. {_EXPECTED}")
    if not hasattr(node.op, "_print_name"):
        raise ModelError(
            f"The prior of '{key}' is computed from distributions and is none itself. {_EXPECTED}"
        )
    if value.ndim or value.dtype.startswith(("int", "uint", "bool")):
        what = f"has {value.ndim} dimension(s)" if value.ndim else "gives whole numbers"
        raise ModelError(
            f"The prior of '{key}', {written(value)}, {what}: a parameter needs the distribution of "
            f"one continuous number."
        )
    return value


def family_of(prior: Any) -> str:
    """PyMC's name of a prior's distribution."""
    if isinstance(prior, Prior):
        return prior.distribution
    op = getattr(getattr(prior, "owner", None), "op", None)
    return str(getattr(op, "_print_name", [type(prior).__name__])[0])


def written(prior: Any) -> str:
    """A prior in words: as it would be written, or what the object is."""
    return str(prior) if isinstance(prior, Prior) else f"{family_of(prior)} (PyMC distribution)"
