"""What a simulation study costs: 200 replications of Table 25.3, and one fit beside it.

python -m benchmarks study
"""

from __future__ import annotations

import time

import bmsem
from benchmarks.report import write
from bmsem import examples


def main() -> None:
    model = bmsem.read_mplus(examples.path("mvpa", "table_25_3.inp"))
    fit = model.fit(seed=1, progress=False)
    parameters = fit.bound.structure.parameters
    truth = {
        p.rows[0].full_name: float(v)
        for p, v in zip(parameters, fit.flat_parameters.mean(axis=0), strict=True)
    }
    begun = time.perf_counter()
    study = bmsem.study.few_clusters(
        model, truth, clusters=[50], priors={"weak": "weak"}, replications=200, size=20,
        arms={"treat": 0.5}, seed=27,
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    found = {
        "replications": int(study.data.sizes["replication"]),
        "seconds": seconds,
        "seconds of one fit, median": float(study.data["seconds"].median()),
        "failed": len(study.errors),
    }
    text = "\n".join(
        ["200 data sets of 50 schools of 20 are drawn at the estimates of Table 25.3 and fitted.", "",
         "| | |", "|---|---:|", *(f"| {k} | {v:,.2f} |" for k, v in found.items())]
    )  # fmt: skip
    write("study", "What a study costs", text, found)


if __name__ == "__main__":
    main()
