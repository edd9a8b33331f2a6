"""The cases in JAGS with its glm module: Debian's packages jags and r-cran-rjags.

Effects are centred, as its block samplers want them; covariance matrices are written as regressions of
one effect on another, with the same priors as everywhere.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.peers.cases import Case
from benchmarks.peers.judge import Run, judged

_SCRIPT = """
suppressMessages({library(rjags); library(parallel); library(jsonlite)})
load.module("glm")
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]; seed <- as.integer(arguments[2])
given <- read_json(file.path(folder, "data.json"), simplifyVector = TRUE)
watched <- given$watched; given$watched <- NULL
chain <- function(i) {
  model <- jags.model(file.path(folder, "model.txt"), data = given, n.adapt = 0, quiet = TRUE,
    inits = list(.RNG.name = "base::Mersenne-Twister", .RNG.seed = 1000 * seed + i))
  begun <- proc.time()["elapsed"]
  adapt(model, 500, end.adaptation = TRUE)
  update(model, 500, progress.bar = "none")
  draws <- coda.samples(model, watched, 1000, progress.bar = "none")
  list(seconds = unname(proc.time()["elapsed"] - begun), draws = as.matrix(draws[[1]]))
}
found <- mclapply(1:4, chain, mc.cores = 2)
for (i in 1:4) write.csv(found[[i]]$draws, file.path(folder, paste0("chain", i, ".csv")),
  row.names = FALSE)
cat(sum(sapply(found, function(f) f$seconds)) / 2)
"""

_TRIAL = """
  for (j in 1:J) {
    ua[j] ~ dnorm(m_a + t_a * treat[j], pow(sb_a, -2))
    up[j] ~ dnorm(m_p + t_p * treat[j] + r_b * sb_p / sb_a * (ua[j] - m_a - t_a * treat[j]),
      pow(sb_p, -2) / (1 - pow(r_b, 2)))
    uy[j] ~ dnorm(m_y + b_a * ua[j] + b_p * up[j], pow(sb_y, -2))
    SLOPE
  }
  for (i in 1:N) {
    advant[i] ~ dnorm(ua[g[i]], pow(sw_a, -2))
    peers[i] ~ dnorm(up[g[i]] + r_w * sw_p / sw_a * (advant[i] - ua[g[i]]),
      pow(sw_p, -2) / (1 - pow(r_w, 2)))
    mvpa[i] ~ dnorm(uy[g[i]] + W_A * (advant[i] - ua[g[i]]) + w_p * (peers[i] - up[g[i]]),
      pow(sw_y, -2))
  }
"""
_FACTORS = """
  for (j in 1:J) {
    mb[j] ~ dnorm(b_treat * treat[j], pow(sb_mb, -2))
    yb[j] ~ dnorm(b_mb * mb[j], pow(sb_yb, -2))
    for (k in 1:3) {
      uy[j, k] ~ dnorm(m_y[k] + lb_y[k] * yb[j], pow(sb_y[k], -2))
      um[j, k] ~ dnorm(m_m[k] + lb_m[k] * mb[j], pow(sb_m[k], -2))
    }
  }
  for (i in 1:N) {
    mw[i] ~ dnorm(0, pow(sw_mw, -2))
    yw[i] ~ dnorm(w_mw * mw[i], pow(sw_yw, -2))
    for (k in 1:3) {
      Y[i, k] ~ dnorm(uy[g[i], k] + lw_y[k] * yw[i], pow(sw_y[k], -2))
      M[i, k] ~ dnorm(um[g[i], k] + lw_m[k] * mw[i], pow(sw_m[k], -2))
    }
  }
  lb_y[1] <- 1
  lb_m[1] <- 1
  lw_y[1] <- 1
  lw_m[1] <- 1
"""
_SLOPE = """
  for (j in 1:J) {
    u[j] ~ dnorm(m_y, pow(sb_y, -2))
    s[j] ~ dnorm(m_s + r_b * sb_s / sb_y * (u[j] - m_y), pow(sb_s, -2) / (1 - pow(r_b, 2)))
  }
  for (i in 1:N) { y[i] ~ dnorm(u[g[i]] + s[g[i]] * x[i], pow(sw_y, -2)) }
"""

# Names by the kind of their prior; name[a:b] has elements a to b.
_OF_TRIAL = {
    "path": "t_a t_p b_a b_p w_p", "intercept": "m_a m_p m_y",
    "sd": "sb_a sb_p sb_y sw_a sw_p sw_y", "correlation": "r_b r_w",
}  # fmt: skip
MODELS = {
    "table_25_3": (
        _TRIAL.replace("SLOPE", "").replace("W_A", "w_a"),
        _OF_TRIAL | {"path": _OF_TRIAL["path"] + " w_a"},
    ),
    "table_25_5": (
        _TRIAL.replace("SLOPE", "s[j] ~ dnorm(m_s, pow(sb_s, -2))").replace("W_A", "s[g[i]]"),
        _OF_TRIAL
        | {"intercept": _OF_TRIAL["intercept"] + " m_s", "sd": _OF_TRIAL["sd"] + " sb_s"},
    ),
    "factors": (
        _FACTORS,
        {"path": "b_treat b_mb w_mw", "loading": "lb_y[2:3] lb_m[2:3] lw_y[2:3] lw_m[2:3]",
         "intercept": "m_y[1:3] m_m[1:3]",
         "sd": "sb_mb sb_yb sw_mw sw_yw sb_y[1:3] sb_m[1:3] sw_y[1:3] sw_m[1:3]"},
    ),
    "slope": (
        _SLOPE, {"intercept": "m_y m_s", "sd": "sb_y sb_s sw_y", "correlation": "r_b"},
    ),
}  # fmt: skip
MODELS |= {"low_icc": MODELS["table_25_3"], "low_icc_vague": MODELS["table_25_3"]}


def _priors(case: Case, names: dict[str, str]) -> tuple[list[str], list[str]]:
    p, lines, watched = case.priors, [], []
    normal = {"path": (0, p.path), "loading": (1, p.loading), "intercept": (0, p.intercept)}
    for kind, group in names.items():
        for name in group.split():
            base, _, span = name.partition("[")
            watched.append(base)
            places = [base]
            if span:
                first, last = span.rstrip("]").split(":")
                places = [f"{base}[{i}]" for i in range(int(first), int(last) + 1)]
            for place in places:
                if kind == "sd":
                    lines.append(f"{place} ~ dnorm(0, {p.sd**-2}) T(0,)")
                elif kind == "correlation":
                    lines += [f"{place} <- 2 * {place}_unit - 1", f"{place}_unit ~ dbeta(2, 2)"]
                else:
                    mean, sd = normal[kind]
                    lines.append(f"{place} ~ dnorm({mean}, {sd**-2})")
    return lines, watched


def jags_run(case: Case, frame: pd.DataFrame, seed: int) -> Run:
    if case.name not in MODELS:
        raise NotImplementedError("not written for JAGS")
    text, names = MODELS[case.name]
    lines, watched = _priors(case, names)
    data = {n: frame[n].tolist() for n in frame if n not in ("g", "treat") and n in text}
    if case.name == "factors":
        data = {
            "Y": frame[["y1", "y2", "y3"]].to_numpy().tolist(),
            "M": frame[["m1", "m2", "m3"]].to_numpy().tolist(),
        }
    if "treat" in text:
        data["treat"] = frame.groupby("g")["treat"].first().tolist()
    size = {"N": [len(frame)], "J": [int(frame["g"].max()) + 1]}
    data |= size | {"g": (frame["g"] + 1).tolist(), "watched": watched}
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "data.json").write_text(json.dumps(data))
        (place / "model.txt").write_text("model {" + text + "  " + "\n  ".join(lines) + "\n}\n")
        (place / "run.R").write_text(_SCRIPT)
        done = subprocess.run(
            ["Rscript", str(place / "run.R"), folder, str(seed)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        chains = [pd.read_csv(place / f"chain{i}.csv") for i in range(1, 5)]
    draws = {n: np.array([c[n].to_numpy() for c in chains]) for n in chains[0]}
    varying = {n: d for n, d in draws.items() if d.std() > 0}
    return judged(varying, float(done.stdout.split()[-1]), time.perf_counter() - begun, 0)
