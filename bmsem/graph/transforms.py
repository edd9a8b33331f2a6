"""The scale on which standard deviations are sampled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray
from pymc.logprob.transforms import Transform

Array = NDArray[np.float64]


class ShortTail(Transform):
    """Logarithms whose lower tail is short: log x = c + power (z - min(z, 0)^2 / 2).

    Where the data hardly tell a standard deviation from zero, its posterior density is level down to
    zero. Of its logarithm that makes a tail that falls off like exp(-|z|), which NUTS explores slowly
    and with small steps; with the square it falls off like a normal density. Above the scale of the
    data, exp(c), the two are the same. The prior is untouched: only the sampler sees z.

    Parameters
    ----------
    sizes : (n,)
        exp(c): what the data say about the size.
    power
        1 for standard deviations, 2 for variances.
    centre
        The graph variable that holds c; by default a constant.

    Examples
    --------
    >>> transform = ShortTail(np.array([2.0]), 1)
    >>> transform.backward(np.array([-1.0])).eval().round(6).tolist()
    [0.44626]
    >>> transform.unconstrained(np.array([0.44626])).round(4).tolist()
    [-1.0]
    """

    name = "short_tail"
    ndim_supp = 0

    def __init__(self, sizes: Array, power: int, centre: Any = None) -> None:
        self.known = np.log(sizes)
        self.centre = pt.constant(self.known) if centre is None else centre
        self.power = float(power)

    def forward(self, value: Any, *inputs: Any) -> Any:
        off = (pt.log(value) - self.centre) / self.power
        return pt.where(off < 0.0, 1.0 - pt.sqrt(1.0 - 2.0 * pt.minimum(off, 0.0)), off)

    def backward(self, value: Any, *inputs: Any) -> Any:
        return pt.exp(self._log(value))

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        return self._log(value) + pt.log(self.power) + pt.log1p(-pt.minimum(value, 0.0))

    def _log(self, value: Any) -> Any:
        return self.centre + self.power * (value - 0.5 * pt.minimum(value, 0.0) ** 2)

    def unconstrained(self, value: Array) -> Array:
        """`forward` in NumPy, without compiling anything."""
        off = (np.log(value) - self.known) / self.power
        return np.where(off < 0.0, 1.0 - np.sqrt(1.0 - 2.0 * np.minimum(off, 0.0)), off)
