"""What one log-density with gradient costs, as the sampler calls it."""

from __future__ import annotations

import ctypes
import time
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import types

ROUNDS, SECONDS = 9, 0.03


def microseconds(models: list[tuple[Any, Any]]) -> list[float]:
    """Time of one call for each bound model with its priors, in interleaved rounds.

    The least of the rounds, because what else a machine does only adds to it; less what it takes to
    call a compiled function from Python, which the sampler does not.
    """
    calls = [_prepared(bound, priors) for bound, priors in models]
    found = [_round(calls) for _ in range(ROUNDS)]
    return [float(v) for v in np.min(found, axis=0)]


def _round(calls: list[tuple[Any, list[Any]]]) -> list[float]:
    return [
        _time(call, arguments) - _time(_nothing().ctypes, arguments) for call, arguments in calls
    ]


def _prepared(bound: Any, priors: Any) -> tuple[Any, list[Any]]:
    from bmsem.graph import build_graph
    from bmsem.priors import prior_table
    from bmsem.sampling.compiled import compile_graph
    from bmsem.sampling.run import shape_key
    from bmsem.sampling.starts import initial_point

    table = prior_table(bound, priors)
    graph = build_graph(bound, table)
    # Models of one shape run the same code, on other data.
    model = compile_graph(graph, shape_key(graph, table)).model
    point = initial_point(graph, bound, table, rescaled=True)(1)
    gradient, value = np.empty_like(point), np.empty(1)
    call = model.compiled_logp_func.ctypes
    _KEPT.append((model, point, gradient, value))
    pointers = [a.ctypes.data for a in (point, gradient, value, model.user_data)]
    arguments = [ctypes.c_uint64(point.size)] + [
        ctypes.cast(p, kind) for p, kind in zip(pointers, call.argtypes[1:], strict=True)
    ]
    return call, arguments


# What the pointers point to must stay.
_KEPT: list[Any] = []


def _time(call: Any, arguments: list[Any]) -> float:
    begun = time.perf_counter()
    call(*arguments)
    once = max(time.perf_counter() - begun, 1e-6)
    calls = max(3, min(5000, int(SECONDS / once)))
    begun = time.perf_counter()
    for _ in range(calls):
        call(*arguments)
    return (time.perf_counter() - begun) / calls * 1e6


@cache
def _nothing() -> Any:
    """A compiled function of the same arguments that does nothing."""
    double = types.CPointer(types.double)
    signature = types.int64(types.uint64, double, double, double, types.CPointer(types.int64))

    def nothing(dimension: Any, x: Any, gradient: Any, value: Any, user: Any) -> int:
        return 0

    return numba.cfunc(signature)(nothing)
