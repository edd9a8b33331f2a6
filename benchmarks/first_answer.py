"""Time to the first answer: Table 25.3 from a model text and a data frame to a printed summary.

    python -m benchmarks first_answer

Every run is a new process. Cold has empty caches of compiled code, as on the first use on a machine;
warm is the median of five. Writes ``first_answer.md`` and ``first_answer.json``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.report import write

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
times["import bmsem"] = lap()
text = open(examples.path("mvpa", "table_25_3.bms")).read()
frame = bmsem.read_mplus(examples.path("mvpa", "table_25_3.inp")).default_data()
other = frame.copy()
other["mvpa"] = other["mvpa"].to_numpy()[::-1]
times["read the data"] = lap()
model = bmsem.model(text)
bound = model.bind(frame)
times["parse and bind"] = lap()
import bmsem.sampling
times["import PyMC and nutpie"] = lap()
fit = model.fit(bound, seed=1, progress=False)
whole = lap()
times["compile"] = fit.timing["compile"]
times["sample"] = fit.timing["sample"]
times["graph, start, intercepts"] = whole - fit.timing["compile"] - fit.timing["sample"]
str(fit.summary())
times["summary"] = lap()
again = model.fit(other, seed=2, progress=False)
str(again.summary())
times["second fit, other data, with summary"] = lap()
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
    found = json.loads(done.stdout.splitlines()[-1])
    second = found["second fit, other data, with summary"]
    return {"process without the second fit": wall - second} | found


def main() -> None:
    with tempfile.TemporaryDirectory() as empty:
        cold = run(
            {"NUMBA_CACHE_DIR": f"{empty}/numba", "PYTENSOR_FLAGS": f"base_compiledir={empty}/p"}
        )
    warm = [run({}) for _ in range(6)][1:]
    median = {k: statistics.median(w[k] for w in warm) for k in warm[0]}
    lines = [
        "Table 25.3 from a model text and a data frame to a summary, 4 chains of 1,000 + 1,000 draws. "
        "Cold is the first use on a machine, with no compiled code kept; warm the median of five new "
        "processes.",
        "",
        "| seconds | cold | warm |",
        "|---|---:|---:|",
        *(f"| {key} | {cold[key]:,.2f} | {median[key]:,.2f} |" for key in median),
    ]
    write("first_answer", "Time to the first answer", "\n".join(lines),
          {"cold": cold, "warm": warm})  # fmt: skip


if __name__ == "__main__":
    main()
