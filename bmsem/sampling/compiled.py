"""Log-densities compiled for nutpie.

nutpie's own wrapper around a PyMC model compiles general array assignments and record access anew in
every process, which takes several seconds. The functions here do the same with plain loops and one
pointer to the data, and are reused for every fit of a model of the same shape.
"""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numba
import numpy as np
import pandas as pd
import pytensor.tensor as pt
from numba import types
from numpy.typing import NDArray
from nutpie.compile_pymc import CompiledPyMCModel, address_as_void_pointer
from pymc.pytensorf import compile as compile_pytensor
from pytensor.graph import clone_replace, rewrite_graph

from bmsem.graph import Graph

Array = NDArray[np.float64]

# Compiled functions of this process by the shape of the model: all that differs is data.
_CACHE: dict[object, Compiled] = {}
_CACHE_SIZE = 32


@dataclass(frozen=True)
class Compiled:
    """Compiled log-density and expansion of a model shape.

    Attributes
    ----------
    model
        What nutpie samples; its data are those of the graph that it was compiled for.
    seconds
        What compiling took; zero if it was reused.
    """

    model: CompiledPyMCModel
    seconds: float


def compile_graph(graph: Graph, shape: object | None) -> Compiled:
    """Compile a graph for nutpie, or reuse what was compiled for a graph of the same shape.

    Parameters
    ----------
    graph
        The model.
    shape
        Hashable; two graphs of one shape differ in their data vector only. ``None`` if the graph
        cannot be compared with others.
    """
    data = np.ascontiguousarray(graph.model["data"].get_value(), dtype=float)
    if shape is not None and shape in _CACHE:
        return Compiled(_with_data(_CACHE[shape].model, data), 0.0)
    started = time.perf_counter()
    compiled = _with_data(_compile(graph), data)
    result = Compiled(compiled, time.perf_counter() - started)
    if shape is not None:
        if len(_CACHE) >= _CACHE_SIZE:
            _CACHE.pop(next(iter(_CACHE)))
        _CACHE[shape] = result
    return result


def _with_data(model: CompiledPyMCModel, data: Array) -> CompiledPyMCModel:
    # nutpie keeps the model alive while it samples, and the model these two arrays.
    pointer = np.array([data.ctypes.data, data.size], dtype=np.int64)
    return replace(model, shared_data={"data": data}, user_data=pointer)


def _compile(graph: Graph) -> CompiledPyMCModel:
    model = graph.model
    values = [model.rvs_to_values[rv] for rv in model.free_RVs]
    counts = [len(v.indices) for v in graph.variables]
    n, n_expanded = sum(counts), graph.size
    logp = rewrite_graph(model.logp(), include=["canonicalize", "stabilize"])
    (natural,) = model.replace_rvs_by_values([model["parameters"]])
    seen = values
    if graph.scales:
        seen, (logp, natural), stretching = _rescaled(graph, values, [logp, natural])
        logp = logp + stretching
    gradient = pt.concatenate([g.ravel() for g in pt.grad(logp, seen)])
    joined = pt.TensorType("float64", shape=(n,))("unconstrained")
    pieces, start = {}, 0
    for variable, count in zip(seen, counts, strict=True):
        piece = joined[start : start + count]
        pieces[variable] = piece.reshape((count,) if variable.ndim else ())
        start += count
    logp, gradient, natural = clone_replace([logp, gradient, natural], pieces)
    with model:
        logp_function = compile_pytensor((joined,), (logp, gradient), mode="NUMBA")
        expand_function = compile_pytensor((joined,), (natural,), mode="NUMBA")
    return CompiledPyMCModel(
        dims={"parameters": ("parameter",)},
        _n_dim=n,
        _shapes={"parameters": (n_expanded,)},
        _coords={"parameter": pd.RangeIndex(n_expanded)},
        compiled_logp_func=_c_log_density(logp_function, n),
        compiled_expand_func=_c_expand(expand_function, n, n_expanded),
        initial_point_func=lambda seed=None: np.zeros(n),
        shared_data={},
        shared_var_keys={},
        user_data=np.zeros(2, dtype=np.int64),
        n_expanded=n_expanded,
        shape_info=(["parameters"], [slice(0, n_expanded)], [(n_expanded,)]),
        logp_func=logp_function,
        expand_func=expand_function,
        reparameterized_names=[],
    )


def _rescaled(
    graph: Graph, values: list[Any], outputs: list[Any]
) -> tuple[list[Any], list[Any], Any]:
    """Variables in the coordinates of `bmsem.graph.coordinates`, the outputs, and the log Jacobian."""
    model = graph.model
    assert graph.coordinates is not None
    seen = [v.clone() for v in values]
    place = {model.rvs_to_values[model[name]]: name for name in graph.scales}
    scales = model.replace_rvs_by_values(list(graph.scales.values()))
    found: dict[Any, Any] = dict(zip(values, seen, strict=True))
    # A scale depends on paths that come before: after so many rounds all are what they should be.
    now: list[Any] = []
    for _ in range(graph.coordinates.depth):
        now = clone_replace(scales, found)
        by_name = dict(zip(graph.scales, now, strict=True))
        for value, own in zip(values, seen, strict=True):
            if value in place:
                scale = by_name[place[value]]
                found[value] = own * (scale if value.ndim else scale[0])
    return seen, clone_replace(outputs, found), sum(pt.sum(pt.log(scale)) for scale in now)


def _c_log_density(function: Any, n: int) -> Any:
    """C function: (dimension, x, gradient out, value out, data) -> 0, or 3 if not finite."""
    inner = function.vm.jit_fn
    double = types.CPointer(types.double)

    def log_density(dimension, x, gradient, value, user):
        user = numba.carray(user, (2,))
        data = numba.carray(address_as_void_pointer(user[0]), (user[1],), np.float64)
        found, slope = inner(numba.carray(x, (n,)), data)
        value[0] = found.item()
        finite = math.isfinite(value[0])
        for i in range(n):
            gradient[i] = slope[i]
            finite = finite and math.isfinite(slope[i])
        return 0 if finite else 3

    signature = types.int64(types.uint64, double, double, double, types.CPointer(types.int64))
    return _cfunc(signature, log_density)


def _c_expand(function: Any, n: int, n_expanded: int) -> Any:
    """C function: (dimension, length, x, parameters out, pointer to data) -> 0."""
    inner = function.vm.jit_fn
    double = types.CPointer(types.double)

    # The arguments of a prior are data too, and some of them bound a parameter's range.
    if function.get_shared():

        def expand(dimension, length, x, out, user):
            user = numba.carray(user, (2,))
            data = numba.carray(address_as_void_pointer(user[0]), (user[1],), np.float64)
            (values,) = inner(numba.carray(x, (n,)), data)
            for i in range(n_expanded):
                out[i] = values[i]
            return 0

    else:

        def expand(dimension, length, x, out, user):
            (values,) = inner(numba.carray(x, (n,)))
            for i in range(n_expanded):
                out[i] = values[i]
            return 0

    signature = types.int64(types.uint64, types.uint64, double, double, types.CPointer(types.int64))
    return _cfunc(signature, expand)


def _cfunc(signature: Any, function: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", numba.NumbaWarning)
        return numba.cfunc(signature)(function)
