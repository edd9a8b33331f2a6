"""The likelihood as one PyTensor operation.

A graph of small linear-algebra nodes would be compiled node by node, and so would its gradient; one
node around the compiled kernel costs nothing to build. Data enter as inputs, never as properties:
PyTensor's on-disk cache of compiled code knows an operation by its properties, and would run an
operation that holds its data on the data of an earlier program.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
import pytensor.tensor as pt
from numba import types
from pytensor.gradient import DisconnectedType, disconnected_type
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

from bmsem.likelihood.cluster_call import c_cluster_log_likelihood
from bmsem.likelihood.cluster_inputs import cluster_value_and_gradient
from bmsem.likelihood.evaluate import log_likelihood
from bmsem.likelihood.kernel import C_SIGNATURE, c_log_likelihood

# Raised when the way in which the kernel is called changes, so that cached code is made anew.
_KERNEL_VERSION = 5


class TwoLevelLogLikelihood(Op):
    """Log-likelihood and gradient of a two-level model.

    ``kernel`` is ``"pooled"`` (random intercepts; `bmsem.likelihood.kernel`) or ``"clusters"``
    (varying slopes and products; `bmsem.likelihood.cluster_kernel`).

    Inputs: theta (P,), for the second kind followed by the sampled cluster quantities, and the three
    vectors of `bmsem.likelihood.inputs.KernelInputs`. Outputs: the value, and its gradient by theta.
    Only the value can be differentiated.
    """

    __props__ = ("kernel",)

    def __init__(self, kernel: str = "pooled") -> None:
        self.kernel = kernel

    def make_node(self, theta: Any, data: Any, integers: Any, reals: Any) -> Apply:
        inputs = [pt.as_tensor_variable(v) for v in (theta, data, integers, reals)]
        return Apply(self, inputs, [pt.dscalar(), pt.dvector()])

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        found = log_likelihood if self.kernel == "pooled" else cluster_value_and_gradient
        value, gradient = found(*inputs)
        outputs[0][0] = np.asarray(value)
        outputs[1][0] = gradient

    def infer_shape(self, node: Apply, shapes: Any) -> Any:
        return [(), shapes[0]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True, False], [False, False], [False, False], [False, False]]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        if not isinstance(cotangents[1].type, DisconnectedType):
            raise NotImplementedError("The gradient of the log-likelihood has no gradient.")
        return [cotangents[0] * outputs[1], *(disconnected_type() for _ in inputs[1:])]


# Generated code refers to a kernel by name, not by address: it can be cached on disk and shared
# between processes, and stays small.
_SYMBOLS = {
    "pooled": f"bmsem_log_likelihood_{_KERNEL_VERSION}",
    "clusters": f"bmsem_cluster_log_likelihood_{_KERNEL_VERSION}",
}
_KERNELS = {"pooled": c_log_likelihood, "clusters": c_cluster_log_likelihood}
_external = types.ExternalFunction(_SYMBOLS["pooled"], C_SIGNATURE)
_external_clusters = types.ExternalFunction(_SYMBOLS["clusters"], C_SIGNATURE)


@register_funcify_default_op_cache_key(TwoLevelLogLikelihood)
def _funcify(op: TwoLevelLogLikelihood, node: Apply, **kwargs: Any) -> Any:
    llvmlite.binding.add_symbol(_SYMBOLS[op.kernel], _KERNELS[op.kernel]().address)
    if op.kernel == "pooled":
        return _pooled_function(), _KERNEL_VERSION
    return _clusters_function(), _KERNEL_VERSION


def _pooled_function() -> Any:
    @numba_njit
    def two_level_log_likelihood(theta, data, integers, reals):
        gradient = np.empty(theta.size)
        value = _external(
            theta.ctypes, theta.size,
            data.ctypes, data.size,
            integers.ctypes, integers.size,
            reals.ctypes, reals.size,
            gradient.ctypes,
        )  # fmt: skip
        return np.asarray(value), gradient

    return two_level_log_likelihood


def _clusters_function() -> Any:
    # The same again: generated code must name its symbol itself to be kept on disk.
    @numba_njit
    def cluster_log_likelihood(theta, data, integers, reals):
        gradient = np.empty(theta.size)
        value = _external_clusters(
            theta.ctypes, theta.size,
            data.ctypes, data.size,
            integers.ctypes, integers.size,
            reals.ctypes, reals.size,
            gradient.ctypes,
        )  # fmt: skip
        return np.asarray(value), gradient

    return cluster_log_likelihood


two_level_log_likelihood = TwoLevelLogLikelihood()
cluster_log_likelihood = TwoLevelLogLikelihood("clusters")
