"""What maximum likelihood costs: lavaan's two-level models, lme4's varying slopes.

Debian's packages r-cran-lavaan and r-cran-lme4. One estimate and its standard errors; no posterior.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.peers.cases import Case

_LAVAAN = """
suppressMessages(library(lavaan))
d <- read.csv("data.csv")
model <- '{model}'
fit <- sem(model, data = d[1:nrow(d), ], cluster = "g")
times <- sapply(1:3, function(i) system.time(sem(model, data = d, cluster = "g"))["elapsed"])
cat(median(times))
"""
_LME4 = """
suppressMessages(library(lme4))
d <- read.csv("data.csv")
fit <- lmer({model}, d)
cat(median(sapply(1:3, function(i) system.time(lmer({model}, d, REML = FALSE))["elapsed"])))
"""

_TRIAL = """
level: 1
  mvpa ~ advant + peers
  advant ~~ peers
level: 2
  mvpa ~ advant + peers
  advant ~ treat
  peers ~ treat
  advant ~~ peers
"""
_FACTORS = """
level: 1
  yw =~ y1 + y2 + y3
  mw =~ m1 + m2 + m3
  yw ~ mw
level: 2
  yb =~ y1 + y2 + y3
  mb =~ m1 + m2 + m3
  yb ~ mb
  mb ~ treat
"""
# lavaan has no varying slopes, lme4 one outcome without measurement error.
MODELS = {
    "table_25_3": ("lavaan", _LAVAAN, _TRIAL), "low_icc": ("lavaan", _LAVAAN, _TRIAL),
    "factors": ("lavaan", _LAVAAN, _FACTORS), "slope": ("lme4", _LME4, "y ~ x + (x | g)"),
}  # fmt: skip


def seconds(case: Case, frame: pd.DataFrame) -> tuple[str, float] | None:
    """The program and the seconds of one fit, starting R not counted; ``None`` if it has no such model.

    Raises
    ------
    RuntimeError
        With R's last words.
    """
    if case.name not in MODELS:
        return None
    program, script, model = MODELS[case.name]
    with tempfile.TemporaryDirectory() as folder:
        frame.to_csv(Path(folder) / "data.csv", index=False)
        (Path(folder) / "run.R").write_text(script.format(model=model))
        done = subprocess.run(
            ["Rscript", "run.R"], cwd=folder, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return program, float(done.stdout.split()[-1])
