"""The likelihood as one PyTensor operation.

A graph of small linear-algebra nodes would be compiled node by node, and so would its gradient; one
node around the compiled kernel costs nothing to build. Data enter as inputs, never as properties:
PyTensor's on-disk cache of compiled code knows an operation by its properties, and would run an
operation that holds its data on the data of an earlier program.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType, disconnected_type
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

from bmsem.likelihood.kernel import packed_log_likelihood

# Raised when the kernel's result for the same inputs changes, so that cached code is made anew.
_KERNEL_VERSION = 1


class TwoLevelLogLikelihood(Op):
    """Log-likelihood and gradient of the random-intercept model.

    Inputs: theta (P,) and the three vectors of `bmsem.likelihood.inputs.KernelInputs`.
    Outputs: the value, and its gradient by theta. Only the value can be differentiated.
    """

    __props__ = ()

    def make_node(self, theta: Any, data: Any, integers: Any, reals: Any) -> Apply:
        inputs = [pt.as_tensor_variable(v) for v in (theta, data, integers, reals)]
        return Apply(self, inputs, [pt.dscalar(), pt.dvector()])

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        value, gradient = packed_log_likelihood(*(np.ascontiguousarray(i) for i in inputs))
        outputs[0][0] = np.asarray(value)
        outputs[1][0] = gradient

    def infer_shape(self, fgraph: Any, node: Apply, shapes: Any) -> Any:
        return [(), shapes[0]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True, False], [False, False], [False, False], [False, False]]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        if not isinstance(cotangents[1].type, DisconnectedType):
            raise NotImplementedError("The gradient of the log-likelihood has no gradient.")
        return [cotangents[0] * outputs[1], *(disconnected_type() for _ in inputs[1:])]


@register_funcify_default_op_cache_key(TwoLevelLogLikelihood)
def _funcify(op: TwoLevelLogLikelihood, node: Apply, **kwargs: Any) -> Any:
    @numba_njit
    def two_level_log_likelihood(theta, data, integers, reals):
        value, gradient = packed_log_likelihood(theta, data, integers, reals)
        return np.asarray(value), gradient

    return two_level_log_likelihood, _KERNEL_VERSION


two_level_log_likelihood = TwoLevelLogLikelihood()
