"""A million people in 10,000 unequal clusters: two factors at both levels, as in Table 25.8.

    python -m benchmarks million

Binding, sampling (4 chains of 1,000 + 1,000) and summarising, with the memory that it takes.
"""

from __future__ import annotations

import resource
import time

import numpy as np
import pandas as pd

import bmsem
from benchmarks.peers.cases import CASES, two_factors
from benchmarks.report import write

CLUSTERS = 10_000


def data() -> pd.DataFrame:
    """Sizes from 20 to 180, about a million people in all."""
    random = np.random.default_rng(88)
    return two_factors(random.integers(20, 181, CLUSTERS), random)


def main() -> None:
    frame = data()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    begun = time.perf_counter()
    model = bmsem.model(CASES["factors"].text)
    bound = model.bind(frame)
    bind = time.perf_counter() - begun
    fit = model.fit(bound, seed=1, progress=False)
    start = time.perf_counter()
    str(fit)
    summary = time.perf_counter() - start
    total = time.perf_counter() - begun
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    found = {
        "rows": len(frame), "clusters": CLUSTERS, "distinct sizes": len(bound.pooled.sizes),
        "bind (s)": bind, "compile (s)": fit.timing["compile"], "sample (s)": fit.timing["sample"],
        "summary (s)": summary, "total (s)": total, "peak memory (GiB)": memory,
        "memory before binding (GiB)": before, "smallest bulk ESS": fit.convergence.min_ess_bulk,
        "divergences": fit.convergence.divergences,
    }  # fmt: skip
    lines = ["| | |", "|---|---:|", *(f"| {k} | {v:,.2f} |" for k, v in found.items())]
    write("million", "A million people in 10,000 unequal clusters", "\n".join(lines), found)


if __name__ == "__main__":
    main()
