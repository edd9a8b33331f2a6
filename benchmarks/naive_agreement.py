"""Posteriors against the same models written by hand in PyMC with nothing integrated out.

    python -m benchmarks.naive_agreement [draws]

One model for each row of the table of what is sampled: cluster effects, factors and slopes are all
sampled in the hand-written ones. Writes naive_agreement.md beside this file: the largest differences of
posterior means, in posterior standard deviations, with its Monte Carlo error, and the ratio of the
standard deviations.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import arviz as az
import numpy as np
import pandas as pd
import pymc as pm

import bmsem

HERE = Path(__file__).parent
J, N = 30, 10
G = np.repeat(np.arange(J), N)
PRIORS = {"paths": "Normal(0, 1)", "intercepts": "Normal(0, 2)", "sds": "HalfNormal(1)",
          "loadings": "Normal(1, 0.5)"}  # fmt: skip


def path(name: str):
    return pm.Normal(name, 0.0, 1.0)


def intercept(name: str):
    return pm.Normal(name, 0.0, 2.0)


def sd(name: str):
    return pm.HalfNormal(name, 1.0)


def loading(name: str):
    return pm.Normal(name, 1.0, 0.5)


def effect(name: str, size: int, scale):
    """Deviations, sampled in units of their standard deviation."""
    return scale * pm.Normal(f"z {name}", 0.0, 1.0, shape=size)


def data(seed: int = 4) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    size = J * N
    f, h, x = r.normal(size=(3, size))
    u = 0.7 * r.normal(size=(6, J))
    s = 0.5 + 0.4 * r.normal(size=J)
    w = r.integers(0, 2, J).astype(float)
    frame = {
        "x": x,
        "p": u[0][G] + f + 0.5 * r.normal(size=size),
        "q": u[1][G] + 0.9 * f + 0.5 * r.normal(size=size),
        "m": u[2][G] + h,
        "v": 0.8 * h + 0.5 * r.normal(size=size) + u[3][G],
        "w": w[G],
    }
    frame["y"] = u[4][G] + s[G] * (frame["m"] - u[2][G]) + 0.4 * f + 0.3 * f * h
    frame["y"] += (0.5 + 0.4 * w[G]) * u[2][G] + 0.4 * s[G] * x + 0.7 * r.normal(size=size)
    return pd.DataFrame({**frame, "g": G})


def intercepts_and_factors(d: pd.DataFrame) -> None:
    scale = {n: sd(f"between: {n} ~~ {n}") for n in "pqy"}
    u = {n: intercept(f"between: {n} ~ 1") + effect(f"u {n}", J, scale[n]) for n in "pqy"}
    f = effect("f", J * N, sd("within: f ~~ f"))
    load = {"p": 1.0, "q": loading("within: f =~ q"), "y": path("within: y ~ f")}
    for n in "pqy":
        pm.Normal(n, u[n][G] + load[n] * f, sd(f"within: {n} ~~ {n}"), observed=d[n])


def slope_on_a_covariate(d: pd.DataFrame) -> None:
    u = intercept("between: y ~ 1") + effect("u", J, sd("between: y ~~ y"))
    s = intercept("between: s ~ 1") + effect("s", J, sd("between: s ~~ s"))
    pm.Normal("y", u[G] + s[G] * d["x"].to_numpy(), sd("within: y ~~ y"), observed=d["y"])


def slope_on_a_latent_mean(d: pd.DataFrame) -> None:
    um = intercept("between: m ~ 1") + effect("um", J, sd("between: m ~~ m"))
    uy = intercept("between: y ~ 1") + path("between: y ~ m") * um
    uy = uy + effect("uy", J, sd("between: y ~~ y"))
    s = intercept("between: s ~ 1") + effect("s", J, sd("between: s ~~ s"))
    m = d["m"].to_numpy()
    pm.Normal("m", um[G], sd("within: m ~~ m"), observed=m)
    pm.Normal("y", uy[G] + s[G] * (m - um[G]), sd("within: y ~~ y"), observed=d["y"])


def slope_on_a_factor(d: pd.DataFrame) -> None:
    scale = {n: sd(f"between: {n} ~~ {n}") for n in "pqy"}
    u = {n: intercept(f"between: {n} ~ 1") + effect(f"u {n}", J, scale[n]) for n in "pqy"}
    f = effect("f", J * N, sd("within: f ~~ f"))
    s = intercept("between: s ~ 1") + effect("s", J, sd("between: s ~~ s"))
    load = {"p": 1.0, "q": loading("within: f =~ q"), "y": s[G]}
    for n in "pqy":
        pm.Normal(n, u[n][G] + load[n] * f, sd(f"within: {n} ~~ {n}"), observed=d[n])


def observed_times_latent(d: pd.DataFrame) -> None:
    w = d.groupby("g")["w"].first().to_numpy()
    um = intercept("between: m ~ 1") + effect("um", J, sd("between: m ~~ m"))
    uy = intercept("between: y ~ 1") + path("between: y ~ m") * um + path("between: y ~ w") * w
    uy = uy + path("between: y ~ wm") * w * um + effect("uy", J, sd("between: y ~~ y"))
    pm.Normal("m", um[G], sd("within: m ~~ m"), observed=d["m"])
    pm.Normal("y", uy[G], sd("within: y ~~ y"), observed=d["y"])


def latent_times_latent(d: pd.DataFrame) -> None:
    um = intercept("between: m ~ 1") + effect("um", J, sd("between: m ~~ m"))
    up = intercept("between: p ~ 1") + effect("up", J, sd("between: p ~~ p"))
    uy = intercept("between: y ~ 1") + path("between: y ~ m") * um + path("between: y ~ p") * up
    uy = uy + path("between: y ~ mp") * um * up + effect("uy", J, sd("between: y ~~ y"))
    for n, u in (("m", um), ("p", up), ("y", uy)):
        pm.Normal(n, u[G], sd(f"within: {n} ~~ {n}"), observed=d[n])


def factors_within(d: pd.DataFrame) -> None:
    names = "pqmvy"
    scale = {n: sd(f"between: {n} ~~ {n}") for n in names}
    u = {n: intercept(f"between: {n} ~ 1") + effect(f"u {n}", J, scale[n]) for n in names}
    f = effect("f", J * N, sd("within: f ~~ f"))
    h = effect("h", J * N, sd("within: h ~~ h"))
    own = {"p": f, "q": loading("within: f =~ q") * f, "m": h, "v": loading("within: h =~ v") * h}
    own["y"] = (
        path("within: y ~ f") * f + path("within: y ~ h") * h + path("within: y ~ fh") * f * h
    )
    for n in names:
        pm.Normal(n, u[n][G] + own[n], sd(f"within: {n} ~~ {n}"), observed=d[n])


MODELS: dict[str, tuple[str, Callable[[pd.DataFrame], None]]] = {
    "varying intercepts, a factor": (
        "level: within\n f =~ p + q\n y ~ f\nlevel: between\n y ~~ y", intercepts_and_factors
    ),
    "slope on a within-only covariate": (
        "within: x\nlevel: within\n s | y ~ x\nlevel: between\n y ~~ y", slope_on_a_covariate
    ),
    "slope on a latent mean": (
        "level: within\n s | y ~ m\nlevel: between\n y ~ m", slope_on_a_latent_mean
    ),
    "slope on a within-level factor": (
        "level: within\n f =~ p + q\n s | y ~ f\nlevel: between\n y ~~ y", slope_on_a_factor
    ),
    "observed times latent, between": (
        "level: within\n m ~~ 0*y\nlevel: between\n wm | w XWITH m\n y ~ m + w + wm\n m ~ 0*w",
        observed_times_latent,
    ),
    "latent times latent, between": (
        "level: within\n m ~~ 0*p + 0*y\n p ~~ 0*y\nlevel: between\n mp | m XWITH p\n"
        " y ~ m + p + mp\n m ~~ 0*p", latent_times_latent,
    ),
    "latent times latent, within": (
        "level: within\n f =~ p + q\n h =~ m + v\n f ~~ 0*h\n fh | f XWITH h\n y ~ f + h + fh\n"
        "level: between\n y ~~ y", factors_within,
    ),
}  # fmt: skip


def compare(text: str, write: Callable[[pd.DataFrame], None], draws: int) -> dict[str, float]:
    """Differences of the posteriors of all free parameters; variances as standard deviations."""
    import nutpie

    d = data()
    model = bmsem.model(text)
    kinds = {f"{p.kind}s" for p in model.bind(d, cluster="g").structure.parameters} | {"sds"}
    priors = {k: v for k, v in PRIORS.items() if k in kinds}
    fit = model.fit(d, cluster="g", priors=priors, draws=draws, seed=1, progress=False)
    with pm.Model() as naive:
        write(d)
    tree = nutpie.sample(
        nutpie.compile_pymc_model(naive), draws=draws, tune=1500, chains=4, seed=2,
        target_accept=0.9, progress_bar=False, save_warmup=False,
    )  # fmt: skip
    found = {
        "largest": 0.0,
        "in errors": 0.0,
        "ratio low": 9.0,
        "ratio high": 0.0,
        "parameters": 0.0,
    }
    for p in fit.bound.structure.parameters:
        name = p.rows[0].full_name
        ours = fit.parameters[..., p.index]
        ours = np.sqrt(ours) if p.kind == "variance" else ours
        theirs = np.asarray(tree["posterior"][name].values)
        error = np.hypot(float(az.mcse(ours)), float(az.mcse(theirs)))
        off = abs(ours.mean() - theirs.mean())
        ratio = float(ours.std() / theirs.std())
        found["parameters"] += 1
        found["largest"] = max(found["largest"], float(off / theirs.std()))
        found["in errors"] = max(found["in errors"], float(off / error))
        found["ratio low"] = min(found["ratio low"], ratio)
        found["ratio high"] = max(found["ratio high"], ratio)
    return found


def main(draws: int) -> None:
    lines = [
        "# Agreement with hand-written PyMC models",
        "",
        f"`python -m benchmarks.naive_agreement {draws}`: {J} clusters of {N}, the same priors, 4 "
        f"chains of {draws:,} draws on both sides; in the hand-written models all cluster effects, "
        f"slopes and factor scores are sampled. Differences of posterior means in posterior standard "
        f"deviations, and in Monte Carlo standard errors of both.",
        "",
        "| model | parameters | largest difference | in standard errors | ratio of SDs | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name, (text, write) in MODELS.items():
        started = time.time()
        c = compare(text, write, draws)
        lines.append(
            f"| {name} | {c['parameters']:.0f} | {c['largest']:.3f} | {c['in errors']:.1f} | "
            f"{c['ratio low']:.2f} to {c['ratio high']:.2f} | {time.time() - started:.0f} |"
        )
        print(lines[-1], flush=True)
        (HERE / "naive_agreement.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
