"""How the cost grows: rows, clusters, variables, factors, sampled quantities, draws.

    python -m benchmarks growth

The time of a log-density with gradient as the sampler calls it, along one axis at a time, with the
exponent of a power law fitted to the upper half of the axis. Writes ``growth.md`` and ``growth.json``.
"""

from __future__ import annotations

import resource
import time
from typing import Any

import numpy as np
import pandas as pd

import bmsem
from benchmarks.density import microseconds
from benchmarks.report import write
from bmsem import examples

TRIAL = bmsem.model(examples.path("mvpa", "table_25_3.bms"))


def trial(sizes: np.ndarray, seed: int = 1) -> pd.DataFrame:
    """Noise with the columns of Table 25.3, clusters of these sizes."""
    random = np.random.default_rng(seed)
    code = np.repeat(np.arange(len(sizes)), sizes)
    columns = {
        n: random.normal(size=len(sizes))[code] + random.normal(size=code.size)
        for n in ("mvpa", "advant", "peers")
    }
    columns["treat"] = (np.arange(len(sizes)) % 2).astype(float)[code]
    return pd.DataFrame({**columns, "school": code})


def factor_model(factors: int, indicators: int) -> tuple[Any, pd.DataFrame]:
    """Factors of so many indicators at both levels, 100 clusters of 20, with data that have them."""
    random = np.random.default_rng(3)
    clusters, size = 100, 20
    g = np.repeat(np.arange(clusters), size)
    lines: dict[str, list[str]] = {"within": [], "between": []}
    columns: dict[str, np.ndarray] = {}
    for k in range(factors):
        between, within = random.normal(size=clusters), random.normal(size=g.size)
        names = [f"y{k * indicators + i + 1}" for i in range(indicators)]
        for level in lines:
            lines[level].append(f"{level[0]}{k + 1} =~ {' + '.join(names)}")
        for name in names:
            own = 0.3 * random.normal(size=clusters)[g] + 0.6 * random.normal(size=g.size)
            columns[name] = between[g] + within + own
    text = "\n".join(f"level: {level}\n" + "\n".join(found) for level, found in lines.items())
    return bmsem.model(text), pd.DataFrame({**columns, "g": g})


def _measured(axis: list[int], models: list[tuple[Any, Any]]) -> list[dict[str, float]]:
    return [{"x": x, "us": us} for x, us in zip(axis, microseconds(models), strict=True)]


def rows() -> list[dict[str, float]]:
    axis, models, seconds = [1_000, 10_000, 100_000, 1_000_000], [], []
    for n in axis:
        frame = trial(np.full(50, n // 50))
        begun = time.perf_counter()
        models.append((TRIAL.bind(frame), "weak"))
        seconds.append(time.perf_counter() - begun)
    found = _measured(axis, models)
    return [f | {"bind (s)": s} for f, s in zip(found, seconds, strict=True)]


def clusters_balanced() -> list[dict[str, float]]:
    axis = [50, 200, 1_000, 10_000]
    return _measured(axis, [(TRIAL.bind(trial(np.full(j, 10))), "weak") for j in axis])


def clusters_unequal() -> list[dict[str, float]]:
    """Every cluster of another size."""
    axis = [50, 100, 200, 400, 800, 1_600]
    return _measured(axis, [(TRIAL.bind(trial(np.arange(2, j + 2))), "weak") for j in axis])


def variables() -> list[dict[str, float]]:
    """One factor a level."""
    axis = [3, 6, 12, 24, 40]
    return _measured(axis, [_bound(*factor_model(1, p)) for p in axis])


def factors() -> list[dict[str, float]]:
    """Three indicators a factor."""
    axis = [1, 2, 4, 8]
    return _measured(axis, [_bound(*factor_model(k, 3)) for k in axis])


def _bound(model: Any, frame: pd.DataFrame) -> tuple[Any, str]:
    return model.bind(frame, cluster="g"), "weak"


def sampled() -> list[dict[str, float]]:
    """A slope on a latent cluster mean: one sampled number a cluster."""
    model = bmsem.model(
        "cluster: school\nlevel: within\n s | mvpa ~ advant\nlevel: between\n mvpa ~ advant"
    )
    axis = [50, 200, 1_000, 10_000]
    return _measured(axis, [(model.bind(trial(np.full(j, 10))), "weak") for j in axis])


def draws() -> list[dict[str, float]]:
    """Sampling, summary and fit measures by draws in all, and the memory of the process."""
    bound = TRIAL.bind(trial(np.full(50, 20)))
    TRIAL.fit(bound, draws=10, tune=100, seed=1, progress=False)
    found = []
    for n in (4_000, 20_000, 100_000):
        fit = TRIAL.fit(bound, draws=n // 4, seed=1, progress=False)
        begun = time.perf_counter()
        str(fit)
        summary = time.perf_counter() - begun
        begun = time.perf_counter()
        fit.fit_measures()
        measures = time.perf_counter() - begun
        found.append(
            {"x": n, "sample (s)": fit.timing["sample"], "summary (s)": summary,
             "fit measures (s)": measures,
             "peak memory (MB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
        )  # fmt: skip
    return found


AXES = {
    "rows, 50 clusters, Table 25.3": rows,
    "clusters of 10, Table 25.3": clusters_balanced,
    "clusters, every one of another size, Table 25.3": clusters_unequal,
    "observed variables, one factor a level": variables,
    "factors of three indicators": factors,
    "clusters with a sampled number each": sampled,
}


def exponent(points: list[dict[str, float]]) -> float:
    """Of a power law through the upper half of the axis."""
    upper = points[len(points) // 2 - 1 :]
    x, y = (np.log([p[k] for p in upper]) for k in ("x", "us"))
    return float(np.polyfit(x, y, 1)[0])


def main() -> None:
    found = {name: axis() for name, axis in AXES.items()}
    exponents = {name: exponent(points) for name, points in found.items()}
    lines = [
        "One log-density with gradient, in microseconds, and the exponent of its growth over the upper "
        "half of the axis.",
        "",
    ]
    for name, points in found.items():
        lines += [f"**{name}** (exponent {exponents[name]:.2f})", ""]
        lines.append("| " + " | ".join(f"{p['x']:,}" for p in points) + " |")
        lines.append("|" + "---:|" * len(points))
        lines += ["| " + " | ".join(f"{p['us']:,.1f}" for p in points) + " |", ""]
    by_draws = draws()
    keys = list(by_draws[0])
    lines += ["**draws in all, Table 25.3**", "", f"| {' | '.join(['draws', *keys[1:]])} |"]
    lines.append("|" + "---:|" * len(keys))
    for p in by_draws:
        lines.append(f"| {p['x']:,} | " + " | ".join(f"{p[k]:,.2f}" for k in keys[1:]) + " |")
    result = {"log-density": found, "exponents": exponents, "draws": by_draws}
    write("growth", "How the cost grows", "\n".join(lines), result)


if __name__ == "__main__":
    main()
