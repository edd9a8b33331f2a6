"""Time to the first answer: Table 25.3, cold and warm, and binding a million rows.

Run: ``python -m benchmarks.first_answer``. Writes ``benchmarks/first_answer.json`` and ``.md``.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent

ONE_RUN = """
import json, time
begun = time.perf_counter()
def lap():
    global begun
    now = time.perf_counter(); passed = now - begun; begun = now
    return passed
times = {}
import bmsem
from bmsem import examples
times["import"] = lap()
model = bmsem.read_mplus(examples.path("mvpa", "table_25_3.inp"))
bound = model.bind()
times["parse and bind"] = lap()
import bmsem.sampling
times["load PyMC and nutpie"] = lap()
fit = model.fit(bound, seed=1, progress=False)
times["compile"] = fit.timing["compile"]
times["sample"] = fit.timing["sample"]
times["fit, total"] = lap()
str(fit)
times["summary"] = lap()
times["smallest bulk ESS"] = fit.convergence.min_ess_bulk
again = model.fit(bound, seed=2, progress=False)
times["second fit, total"] = lap()
print(json.dumps(times))
"""


def run(environment: dict[str, str]) -> dict[str, float]:
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", ONE_RUN],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    wall = time.perf_counter() - begun
    return json.loads(done.stdout.splitlines()[-1]) | {"process, total": wall}


def log_density_microseconds() -> dict[str, float]:
    """One log-density with gradient, as the sampler calls it, by model; medians of 15 repeats."""
    import numpy as np

    import bmsem
    from bmsem import examples
    from bmsem.graph import build_graph
    from bmsem.priors import prior_table
    from bmsem.sampling.compiled import compile_graph
    from bmsem.sampling.starts import initial_point

    found = {}
    for name, file in (("mvpa", "table_25_3.inp"), ("masks", "table_25_6.inp")):
        bound = bmsem.read_mplus(examples.path(name, file)).bind()
        table = prior_table(bound, "mplus")
        graph = build_graph(bound, table)
        model = compile_graph(graph, None).model
        point = initial_point(graph, bound, table)(1)
        gradient, value = np.empty_like(point), np.empty(1)
        call = model.compiled_logp_func.ctypes
        pointer = [a.ctypes.data for a in (point, gradient, value, model.user_data)]
        import ctypes

        arguments = [ctypes.c_uint64(point.size)] + [
            ctypes.cast(p, kind) for p, kind in zip(pointer, call.argtypes[1:], strict=True)
        ]
        repeats = []
        for _ in range(15):
            begun = time.perf_counter()
            for _ in range(2000):
                call(*arguments)
            repeats.append((time.perf_counter() - begun) / 2000 * 1e6)
        found[file] = statistics.median(repeats)
    return found


def million_rows() -> dict[str, float]:
    """Binding 1,000,000 rows in 10,000 clusters, balanced; log-density against 1,000 times less."""
    import numpy as np
    import pandas as pd

    import bmsem
    from bmsem import examples
    from bmsem.likelihood.evaluate import log_likelihood
    from bmsem.likelihood.inputs import kernel_inputs
    from bmsem.priors import prior_table

    model = bmsem.model(examples.path("mvpa", "table_25_3.bms"))
    random = np.random.default_rng(1)
    found: dict[str, float] = {}
    for rows, clusters in ((1_000, 50), (1_000_000, 10_000)):
        code = random.permutation(np.repeat(np.arange(clusters), rows // clusters))
        columns = {
            n: random.normal(size=clusters)[code] + random.normal(size=rows)
            for n in ("mvpa", "advant", "peers")
        }
        columns["treat"] = (np.arange(clusters) % 2).astype(float)[code]
        frame = pd.DataFrame({**columns, "school": code})
        times = []
        for _ in range(3):
            begun = time.perf_counter()
            bound = model.bind(frame)
            times.append(time.perf_counter() - begun)
        inputs = kernel_inputs(bound, prior_table(bound, "weak"))
        theta = np.full(len(inputs.order), 0.5)
        log_likelihood(theta, inputs.data, inputs.integers, inputs.reals)
        begun = time.perf_counter()
        for _ in range(2000):
            log_likelihood(theta, inputs.data, inputs.integers, inputs.reals)
        found[f"bind {rows:,} rows in {clusters:,} clusters (s)"] = statistics.median(times)
        found[f"log-density from Python, {rows:,} rows (us)"] = (
            (time.perf_counter() - begun) / 2000 * 1e6
        )
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as empty:
        cold = run(
            {"NUMBA_CACHE_DIR": f"{empty}/numba", "PYTENSOR_FLAGS": f"base_compiledir={empty}/p"}
        )
    warm = [run({}) for _ in range(6)][1:]
    median = {k: statistics.median(w[k] for w in warm) for k in warm[0]}
    result = {
        "command": "python -m benchmarks.first_answer",
        "versions": {
            n: version(n) for n in ("bmsem", "pymc", "pytensor", "nutpie", "numba", "numpy")
        },
        "python": platform.python_version(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "cold": cold,
        "warm (median of 5)": median,
        "log-density with gradient (us)": log_density_microseconds(),
        "size": million_rows(),
    }
    (HERE / "first_answer.json").write_text(json.dumps(result, indent=1) + "\n")
    lines = [
        "# Time to the first answer",
        "",
        f"Table 25.3, 4 chains of 1,000 + 1,000 draws, {result['cores']} cores, Python "
        f"{result['python']}; made by `{result['command']}`. Cold is the first use on a machine, with "
        "empty caches; warm the median of five new processes.",
        "",
        "| | cold | warm |",
        "|---|---:|---:|",
    ]
    for key in median:
        unit = "" if "ESS" in key else " s"
        lines.append(f"| {key} | {cold[key]:,.2f}{unit} | {median[key]:,.2f}{unit} |")
    lines += ["", "| log-density with gradient | |", "|---|---:|"]
    lines += [f"| {k} | {v:.1f} µs |" for k, v in result["log-density with gradient (us)"].items()]
    lines += ["", "| size of the data | |", "|---|---:|"]
    lines += [f"| {k} | {v:.2f} |" for k, v in result["size"].items()]
    text = "\n".join(lines) + "\n"
    (HERE / "first_answer.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
