"""What priors do with few clusters, and what a study costs.

    python -m benchmarks.few_clusters [trial] [slope] [cost]

Three studies with `bmsem.study.few_clusters`; by default all. Replications are kept beside this file
as they are done (few_clusters_*.jsonl, not in the repository), so that an interrupted run goes on.
Writes few_clusters.md and few_clusters.json, keeping what is there of studies that are not run.

- trial: 10 clusters of 20, ICC 0.1, 5 treated: coverage and Type I error of the treatment effect.
- slope: the between slope of a predictor whose cluster mean is latent, ICC 0.1, 10 clusters of 20:
  the two strategies of Zitzmann, Helm & Hecht (2021) against diffuse priors.
- cost: 200 replications of Table 25.3.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from pathlib import Path

import bmsem

HERE = Path(__file__).parent

TRIAL = """
cluster: school
level: within
  y ~~ y
level: between
  y ~ effect*treat
"""

SLOPE = """
cluster: school
level: within
  y ~ within_slope*x
level: between
  y ~ between_slope*x
"""


def trial():
    """Ten schools, five of them treated; both variances of y sum to one."""
    noise = {"within: y ~~ y": 0.9, "icc(y)": 0.1}
    return bmsem.study.few_clusters(
        TRIAL,
        {"effect 0.5": {"effect": 0.5, **noise}, "no effect": {"effect": 0.0, **noise}},
        clusters=[10],
        priors={
            "weak": "weak",
            "mplus": "mplus",
            "blavaan": "blavaan",
            "ICC about 0.1": {"icc(y)": "Beta(2, 18)"},
        },
        replications=1000,
        size=20,
        arms={"treat": 0.5},
        effects=["effect", "icc(y)"],
        seed=25,
        path=HERE / "few_clusters_trial.jsonl",
    )


def slope():
    """x has variance 1 and ICC 0.1; y's residual variances are 0.7 within and 0.05 between."""
    truth = {
        "within_slope": 0.2,
        "between_slope": 0.7,
        "within: x ~~ x": 0.9,
        "icc(x)": 0.1,
        "within: y ~~ y": 0.7,
        "between: y ~~ y": 0.05,
    }
    variance = bmsem.between_variance_prior(icc=0.1, clusters_equivalent=5)
    path = bmsem.between_path_prior(
        mean=0.5, clusters_equivalent=5, residual_variance=0.05, predictor_variance=0.1
    )
    return bmsem.study.few_clusters(
        SLOPE,
        truth,
        clusters=[10, 20, 50],
        priors={
            "mplus": "mplus",
            "mplus + variance of x": {"preset": "mplus", "between: x ~~ x": variance},
            "mplus + slope": {"preset": "mplus", "between_slope": path},
            "weak": "weak",
            "weak + variance of x": {"between: x ~~ x": variance},
        },
        replications=400,
        size=20,
        effects=["between_slope", "within_slope", "between: x ~~ x"],
        seed=26,
        path=HERE / "few_clusters_slope.jsonl",
    )


def cost():
    """200 replications of Table 25.3 at its estimates, 50 schools of 20."""
    model = bmsem.read_mplus(bmsem.examples.path("mvpa", "table_25_3.inp"))
    fit = model.fit(seed=1, progress=False)
    truth = {
        p.rows[0].full_name: float(v)
        for p, v in zip(
            fit.bound.structure.parameters, fit.flat_parameters.mean(axis=0), strict=True
        )
    }
    return bmsem.study.few_clusters(
        model,
        truth,
        clusters=[50],
        priors={"weak": "weak"},
        replications=200,
        size=20,
        arms={"treat": 0.5},
        seed=27,
    )


STUDIES = {"trial": trial, "slope": slope, "cost": cost}
SHOWN = {
    "trial": ["effect", "icc(y)"],
    "slope": ["between_slope", "between: x ~~ x"],
    "cost": ["tot", "medadv"],
}
MEASURES = ["bias", "empirical_sd", "posterior_sd", "rmse", "rmse_mean", "coverage", "width",
            "excludes_zero"]  # fmt: skip


def paired(name: str, study) -> list[dict]:
    """Differences to the first set of priors on the same data, of the first effect."""
    frame = study.differences(str(study.data["priors"].values[0]), SHOWN[name][0])
    return frame.drop(columns="effect").to_dict("records")


def record(name: str) -> dict:
    begun = time.perf_counter()
    study = STUDIES[name]()
    seconds = time.perf_counter() - begun
    table = study.table(measures=MEASURES, errors=True)
    table = table[table["effect"].isin(SHOWN[name])]
    return {
        "about": " ".join((STUDIES[name].__doc__ or "").split()),
        "replications": int(study.data.sizes["replication"]),
        "seconds": round(seconds, 1),
        "fits": int(study.data["rhat"].size),
        "processor": round(float(study.data["seconds"].sum()), 1),
        "seconds_a_fit": round(float(study.data["seconds"].median()), 3),
        "failed": len(study.errors),
        "not_converged": float(study.measures["not_converged"].max()),
        "rows": table.to_dict("records"),
        "paired": paired(name, study),
        "bmsem": bmsem.__version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }


def lines_of(name: str, found: dict) -> list[str]:
    lines = [
        "", f"## {name}", "",
        f"{found['about']} {found['replications']:,} replications, {found['fits']:,} fits of 2 x (500 + "
        f"1,000), median {found['seconds_a_fit']:.2f} s a fit on one core; "
        f"{found['failed']} failed, at most {found['not_converged']:.1%} of a cell's with an R-hat "
        f"above 1.05. The fits took {found['processor']:.0f} s of processor time"
        + (f", the study {found['seconds']:.0f} s on {found['cores']} cores" if name == "cost" else "")
        + ".",
        "", *markdown(found["rows"]),
    ]  # fmt: skip
    if found["paired"]:
        lines += [
            "",
            f"Less the first set of priors on the same data, {SHOWN[name][0]}: squared error of the "
            f"median and of the mean, and width.",
            "", *markdown(found["paired"]),
        ]  # fmt: skip
    return lines


def markdown(rows: list[dict]) -> list[str]:
    """A table; a standard error stands in brackets behind its number."""
    keys = [k for k in rows[0] if not k.endswith("_mcse")]
    lines = ["| " + " | ".join(keys) + " |", "|" + "---|" * len(keys)]
    for row in rows:
        cells = []
        for key in keys:
            value = row[key]
            error = row.get(f"{key}_mcse")
            shown = f"{value:.3f}" if isinstance(value, float) else str(value)
            cells.append(shown if error is None else f"{shown} ({error:.3f})")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main(names: list[str]) -> None:
    kept = HERE / "few_clusters.json"
    found = json.loads(kept.read_text()) if kept.exists() else {}
    for name in names or STUDIES:
        found[name] = record(name)
        kept.write_text(json.dumps(found, indent=1) + "\n")
    lines = [
        "# Priors with few clusters",
        "",
        "`python -m benchmarks.few_clusters`. Monte Carlo standard errors in brackets; 95% equal-tailed "
        "intervals; `excludes_zero` is power where the truth is not zero, and the Type I error where it "
        "is.",
    ]
    for name in STUDIES:
        if name in found:
            lines += lines_of(name, found[name])
    (HERE / "few_clusters.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
