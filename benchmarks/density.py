"""What one log-density with gradient costs, as the sampler calls it."""

from __future__ import annotations

import ctypes
import time
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import types


def microseconds(bound: Any, priors: Any, repeats: int = 7, seconds: float = 0.05) -> float:
    """Least of ``repeats`` of the time of one call, each measured over about ``seconds``.

    The least, because what else a machine does only adds to it; less what it takes to call a compiled
    function from Python, which the sampler does not.
    """
    from bmsem.graph import build_graph
    from bmsem.priors import prior_table
    from bmsem.sampling.compiled import compile_graph
    from bmsem.sampling.starts import initial_point

    table = prior_table(bound, priors)
    graph = build_graph(bound, table)
    model = compile_graph(graph, None).model
    point = initial_point(graph, bound, table)(1)
    gradient, value = np.empty_like(point), np.empty(1)
    call = model.compiled_logp_func.ctypes
    pointers = [a.ctypes.data for a in (point, gradient, value, model.user_data)]
    arguments = [ctypes.c_uint64(point.size)] + [
        ctypes.cast(p, kind) for p, kind in zip(pointers, call.argtypes[1:], strict=True)
    ]
    return _least(call, arguments, repeats, seconds) - _least(
        _nothing().ctypes, arguments, repeats, seconds
    )


def _least(call: Any, arguments: list[Any], repeats: int, seconds: float) -> float:
    begun = time.perf_counter()
    call(*arguments)
    once = max(time.perf_counter() - begun, 1e-6)
    calls = max(3, min(5000, int(seconds / once)))
    found = []
    for _ in range(repeats):
        begun = time.perf_counter()
        for _ in range(calls):
            call(*arguments)
        found.append((time.perf_counter() - begun) / calls * 1e6)
    return min(found)


@cache
def _nothing() -> Any:
    """A compiled function of the same arguments that does nothing."""
    double = types.CPointer(types.double)
    signature = types.int64(types.uint64, double, double, double, types.CPointer(types.int64))

    def nothing(dimension: Any, x: Any, gradient: Any, value: Any, user: Any) -> int:
        return 0

    return numba.cfunc(signature)(nothing)
