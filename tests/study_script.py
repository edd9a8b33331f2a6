"""A small study that a test can interrupt: python study_script.py FILE CORES; prints its table."""

from __future__ import annotations

import sys

import bmsem

TRIAL = """
cluster: school
level: within
  y ~~ y
level: between
  y ~ b*treat
"""


def study(path: str | None, cores: int = 1, replications: int = 12):
    return bmsem.study.few_clusters(
        TRIAL,
        {
            "effect": {"b": 0.5, "within: y ~~ y": 0.9, "icc(y)": 0.1},
            "none": {"b": 0.0, "within: y ~~ y": 0.9, "icc(y)": 0.1},
        },
        clusters=[6, 8],
        priors={"weak": "weak", "informative": {"icc(y)": "Beta(2, 18)"}},
        replications=replications,
        size=6,
        arms={"treat": 0.5},
        effects=["b", "icc(y)"],
        draws=150,
        tune=150,
        seed=4,
        cores=cores,
        path=path,
        progress=False,
    )


if __name__ == "__main__":
    found = study(sys.argv[1], int(sys.argv[2]))
    print(found.table(errors=True).to_csv())
