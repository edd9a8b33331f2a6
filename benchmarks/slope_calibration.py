"""Simulation-based calibration of models with varying slopes and products.

    python -m benchmarks.slope_calibration [replications] [words of a model's name]

Parameters are drawn from the prior, data from the model, and the rank of each true value among its
posterior draws must be uniform (Talts, Betancourt, Simpson, Vehtari & Gelman 2018,
arXiv:1804.06788). Writes slope_calibration.md and slope_calibration.json beside this file, keeping what
is there of models that are not run; 200 replications of all take about half an hour.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import chisquare

import bmsem

HERE = Path(__file__).parent
CLUSTERS, SIZE, KEPT = 40, 8, 99
CODE = np.repeat(np.arange(CLUSTERS), SIZE)
# A product within clusters takes a number for each person: fewer of them.
FEW, FEW_CODE = 20, np.repeat(np.arange(20), SIZE)
Draw = Callable[[np.random.Generator, dict[str, float]], pd.DataFrame]

PRIORS = {
    "paths": ("Normal(0.4, 0.4)", lambda r: r.normal(0.4, 0.4)),
    "intercepts": ("Normal(0, 1)", lambda r: r.normal(0.0, 1.0)),
    "loadings": ("Normal(1, 0.3)", lambda r: r.normal(1.0, 0.3)),
    "sds": ("Gamma(5, 6)", lambda r: r.gamma(5.0, 1.0 / 6.0)),
    "covariances": ("Normal(0, 1)", lambda r: 0.0),
}


def latent_mean(r: np.random.Generator, v: dict[str, float]) -> pd.DataFrame:
    """y on x with a slope that varies between clusters, x about its latent cluster mean."""
    x_b = v["between: x ~ 1"] + v["sd x b"] * r.normal(size=CLUSTERS)
    y_b = v["between: y ~ 1"] + v["between: y ~ x"] * x_b + v["sd y b"] * r.normal(size=CLUSTERS)
    s = v["between: s ~ 1"] + v["sd s b"] * r.normal(size=CLUSTERS)
    x_w = v["sd x w"] * r.normal(size=CODE.size)
    y = y_b[CODE] + s[CODE] * x_w + v["sd y w"] * r.normal(size=CODE.size)
    return pd.DataFrame({"x": x_b[CODE] + x_w, "y": y, "g": CODE})


def mediation(r: np.random.Generator, v: dict[str, float]) -> pd.DataFrame:
    """x -> m -> y within clusters, both paths varying and correlated."""
    rho = v["rho"]
    z = r.normal(size=(2, CLUSTERS))
    a = v["between: a ~ 1"] + v["sd a b"] * z[0]
    b = v["between: b ~ 1"] + v["sd b b"] * (rho * z[0] + np.sqrt(1 - rho**2) * z[1])
    u = {n: v[f"between: {n} ~ 1"] + v[f"sd {n} b"] * r.normal(size=CLUSTERS) for n in "xmy"}
    x_w = v["sd x w"] * r.normal(size=CODE.size)
    m_w = a[CODE] * x_w + v["sd m w"] * r.normal(size=CODE.size)
    y_w = b[CODE] * m_w + v["within: y ~ x"] * x_w + v["sd y w"] * r.normal(size=CODE.size)
    return pd.DataFrame(
        {"x": u["x"][CODE] + x_w, "m": u["m"][CODE] + m_w, "y": u["y"][CODE] + y_w, "g": CODE}
    )


def between_product(r: np.random.Generator, v: dict[str, float]) -> pd.DataFrame:
    """The product of two latent cluster means predicts a third variable."""
    p = v["between: p ~ 1"] + v["sd p b"] * r.normal(size=CLUSTERS)
    q = v["between: q ~ 1"] + v["sd q b"] * r.normal(size=CLUSTERS)
    y = v["between: y ~ 1"] + v["between: y ~ p"] * p + v["between: y ~ q"] * q
    y = y + v["between: y ~ pq"] * p * q + v["sd y b"] * r.normal(size=CLUSTERS)
    own = {n: v[f"sd {n} w"] * r.normal(size=CODE.size) for n in "pqy"}
    return pd.DataFrame(
        {"p": p[CODE] + own["p"], "q": q[CODE] + own["q"], "y": y[CODE] + own["y"], "g": CODE}
    )


def within_product(r: np.random.Generator, v: dict[str, float]) -> pd.DataFrame:
    """The product of two within-level factors predicts a fifth variable."""
    f, h = (v[f"sd {n} w"] * r.normal(size=FEW_CODE.size) for n in "fh")
    own = {
        "p": f, "q": v["within: f =~ q"] * f, "r": h, "s": v["within: h =~ s"] * h,
        "y": v["within: y ~ f"] * f + v["within: y ~ h"] * h + v["within: y ~ fh"] * f * h,
    }  # fmt: skip
    columns = {}
    for name, part in own.items():
        u = v[f"between: {name} ~ 1"] + v[f"sd {name} b"] * r.normal(size=FEW)
        columns[name] = part + u[FEW_CODE] + v[f"sd {name} w"] * r.normal(size=FEW_CODE.size)
    return pd.DataFrame({**columns, "g": FEW_CODE})


MODELS: dict[str, tuple[str, Draw]] = {
    "varying slope on a latent mean": (
        "level: within\n s | y ~ x\nlevel: between\n y ~ x", latent_mean
    ),
    "1-1-1 mediation, correlated slopes": (
        "level: within\n a | m ~ x\n b | y ~ m\n y ~ x\nlevel: between\n a ~~ b\n"
        " x ~~ 0*m + 0*y\n m ~~ 0*y", mediation,
    ),
    "between-level latent product": (
        "level: within\n p ~~ 0*q + 0*y\n q ~~ 0*y\nlevel: between\n pq | p XWITH q\n"
        " y ~ p + q + pq\n p ~~ 0*q", between_product,
    ),
    "within-level latent product": (
        "level: within\n f =~ p + q\n h =~ r + s\n f ~~ 0*h\n fh | f XWITH h\n y ~ f + h + fh\n"
        "level: between\n y ~~ y\n p ~~ p", within_product,
    ),
}  # fmt: skip


def true_values(bound, random: np.random.Generator) -> dict[str, float]:
    """A draw of every free parameter from the prior, by row; standard deviations by a short name."""
    found: dict[str, float] = {}
    for p in bound.structure.parameters:
        row = p.rows[0]
        group = {"path": "paths", "intercept": "intercepts", "loading": "loadings",
                 "variance": "sds", "covariance": "covariances"}[p.kind]  # fmt: skip
        value = PRIORS[group][1](random)
        if p.kind == "variance":
            found[f"sd {row.lhs} {'w' if row.level == 'within' else 'b'}"] = value
            value = value**2
        found[row.full_name] = value
    if "sd a b" in found:
        # LKJ(2) of a pair is (r + 1) / 2 ~ Beta(2, 2).
        found["rho"] = 2.0 * random.beta(2.0, 2.0) - 1.0
        found["between: a ~~ b"] = found["rho"] * found["sd a b"] * found["sd b b"]
    return found


def replicate(text: str, draw: Draw, i: int) -> dict[str, list[float]]:
    """Rank of the truth among `KEPT` draws and whether the 95% interval covers, by parameter."""
    model = bmsem.model(text)
    priors = {
        k: v for k, (v, _) in PRIORS.items() if k in ("paths", "intercepts", "sds", "loadings")
    }
    random = np.random.default_rng([11, i])
    start = pd.DataFrame(random.normal(size=(CODE.size, 8)), columns=list("xmypqzrs"))
    bound = model.bind(start.assign(g=CODE), cluster="g")
    kinds = {f"{p.kind}s" for p in bound.structure.parameters}
    if "loadings" not in kinds:
        priors.pop("loadings")
    truth = true_values(bound, random)
    fit = model.fit(
        draw(random, truth), cluster="g", priors=priors, draws=500, tune=500, chains=2, cores=1,
        seed=i, progress=False,
    )  # fmt: skip
    found = {}
    for p in fit.bound.structure.parameters:
        draws = fit.parameters[..., p.index].reshape(-1)
        thin = draws[:: max(1, len(draws) // KEPT)][:KEPT]
        name = p.rows[0].full_name
        low, high = np.quantile(draws, [0.025, 0.975])
        found[name] = [int((thin < truth[name]).sum()), float(low < truth[name] < high)]
    return found


def calibrate(text: str, draw: Draw, count: int) -> dict[str, list[list[float]]]:
    """`replicate` many times, on all cores."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        every = list(pool.map(partial(replicate, text, draw), range(count), chunksize=5))
    return {name: [one[name] for one in every] for name in every[0]}


def main(count: int, words: str = "") -> None:
    started = time.time()
    record = HERE / "slope_calibration.json"
    kept = json.loads(record.read_text()) if words and record.exists() else {}
    for name, (text, draw) in MODELS.items():
        if words in name:
            kept[name] = calibrate(text, draw, count)
    lines = []
    for name, found in kept.items():
        replications = len(next(iter(found.values())))
        lines += ["", f"## {name}", "", f"{replications} replications.", "",
                  "| parameter | uniformity, p | 95% interval covers |", "|---|---|---|"]  # fmt: skip
        for row, values in found.items():
            ranks, covered = np.array(values).T
            counts = np.histogram(ranks, bins=10, range=(0, KEPT + 1))[0]
            lines.append(f"| {row} | {chisquare(counts).pvalue:.3f} | {covered.mean():.3f} |")
    every = [v for found in kept.values() for v in found.values()]
    p = [
        chisquare(np.histogram(np.array(v)[:, 0], bins=10, range=(0, KEPT + 1))[0]).pvalue
        for v in every
    ]
    coverage = [np.array(v)[:, 1].mean() for v in every]
    seconds = time.time() - started
    head = [
        "# Calibration of varying slopes and products",
        "",
        f"`python -m benchmarks.slope_calibration {count}`: {CLUSTERS} clusters of {SIZE} ({FEW} for "
        f"the within-level product), parameters drawn from the prior, 2 chains of 500 + 500. The last "
        f"run{f' (of {words})' if words else ''} took {seconds:.0f} s (bmsem {bmsem.__version__}, "
        f"Python {platform.python_version()}).",
        "",
        f"Chi-square tests of the ranks in ten bins: {len(p)} parameters, smallest p {min(p):.4f} "
        f"(times {len(p)}: {min(1.0, len(p) * min(p)):.2f}). Coverage of the 95% intervals: "
        f"{min(coverage):.3f} to {max(coverage):.3f}, mean {np.mean(coverage):.3f}.",
    ]
    (HERE / "slope_calibration.md").write_text("\n".join([*head, *lines]) + "\n")
    record.write_text(json.dumps(kept))
    print("\n".join([*head, *lines]))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, " ".join(sys.argv[2:]))
