"""The cases written by hand in Stan, and run with PyStan.

PyStan 3.14 does not run on Python 3.13: ``make stan`` gives it an environment of its own.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.peers.cases import Case, Priors
from benchmarks.peers.judge import Run, judged


@dataclass
class Program:
    """A Stan program while it is written, effects centred or not."""

    centred: bool
    priors: Priors
    parameters: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    watched: list[str] = field(default_factory=list)

    def _scalar(self, name: str, kind: str, prior: str) -> str:
        self.parameters.append(f"{kind} {name};")
        self.body.append(f"{name} ~ {prior};")
        self.watched.append(name)
        return name

    def path(self, name: str) -> str:
        return self._scalar(name, "real", f"normal(0, {self.priors.path})")

    def loading(self, name: str) -> str:
        return self._scalar(name, "real", f"normal(1, {self.priors.loading})")

    def intercept(self, name: str) -> str:
        return self._scalar(name, "real", f"normal(0, {self.priors.intercept})")

    def sd(self, name: str) -> str:
        return self._scalar(name, "real<lower=0>", f"normal(0, {self.priors.sd})")

    def correlation(self, name: str) -> str:
        unit = self._scalar(f"{name}_unit", "real<lower=0, upper=1>", "beta(2, 2)")
        self.body.append(f"real {name} = 2 * {unit} - 1;")
        return name

    def draw(self, name: str, mean: str, scale: str, size: str) -> str:
        """Normal effects of clusters (``size`` J) or people (N)."""
        if self.centred:
            self.parameters.append(f"vector[{size}] {name};")
            self.body.append(f"{name} ~ normal({mean}, {scale});")
        else:
            self.parameters.append(f"vector[{size}] {name}_z;")
            self.body.append(f"vector[{size}] {name} = {mean} + {scale} * {name}_z;")
            self.body.append(f"{name}_z ~ std_normal();")
        return name

    def pair(self, names: tuple[str, str], means: tuple[str, str], size: str) -> tuple[str, str]:
        first, second = (self.sd(f"sb_{n}") for n in names)
        rho = self.correlation("r_between")
        a = self.draw(f"u_{names[0]}", means[0], first, size)
        mean = f"{means[1]} + {rho} * {second} / {first} * ({a} - ({means[0]}))"
        b = self.draw(f"u_{names[1]}", mean, f"{second} * sqrt(1 - {rho}^2)", size)
        return a, b

    def observe(self, name: str, mean: str, scale: str) -> None:
        self.body.append(f"{name} ~ normal({mean}, {scale});")

    def text(self, people: list[str], clusters: list[str]) -> str:
        data = ["int N; int J; array[N] int g;"]
        data += [f"vector[N] {n};" for n in people] + [f"vector[J] {n};" for n in clusters]
        # Local declarations stand after the statements that they need: priors come first.
        blocks = (("data", data), ("parameters", self.parameters), ("model", self.body))
        return "\n".join(f"{k} {{\n  " + "\n  ".join(v) + "\n}" for k, v in blocks)


def _trial(p: Program, varying: bool = False) -> None:
    means = tuple(f"{p.intercept(f'm_{n}')} + {p.path(f't_{n}')} * treat" for n in ("a", "p"))
    ua, up = p.pair(("a", "p"), means, "J")  # type: ignore[arg-type]
    mean = f"{p.intercept('m_y')} + {p.path('b_a')} * {ua} + {p.path('b_p')} * {up}"
    uy = p.draw("u_y", mean, p.sd("sb_y"), "J")
    sa, sp, sy, rho = p.sd("sw_a"), p.sd("sw_p"), p.sd("sw_y"), p.correlation("r_within")
    p.observe("advant", f"{ua}[g]", sa)
    p.observe("peers", f"{up}[g] + {rho} * {sp} / {sa} * (advant - {ua}[g])",
              f"{sp} * sqrt(1 - {rho}^2)")  # fmt: skip
    slope = p.intercept("m_s") if varying else p.path("w_a")
    if varying:
        slope = p.draw("s", f"rep_vector({slope}, J)", p.sd("sb_s"), "J") + "[g]"
    times = ".*" if varying else "*"
    p.observe("mvpa", f"{uy}[g] + {slope} {times} (advant - {ua}[g]) "
              f"+ {p.path('w_p')} * (peers - {up}[g])", sy)  # fmt: skip


def _factors(p: Program) -> None:
    mb = p.draw("mb", f"{p.path('b_treat')} * treat", p.sd("sb_mb"), "J")
    yb = p.draw("yb", f"{p.path('b_mb')} * {mb}", p.sd("sb_yb"), "J")
    mw = p.draw("mw", "rep_vector(0, N)", p.sd("sw_mw"), "N")
    yw = p.draw("yw", f"{p.path('w_mw')} * {mw}", p.sd("sw_yw"), "N")
    for factor, b, w in (("y", yb, yw), ("m", mb, mw)):
        for i in (1, 2, 3):
            name = f"{factor}{i}"
            lb = "1" if i == 1 else p.loading(f"lb_{name}")
            lw = "1" if i == 1 else p.loading(f"lw_{name}")
            mean = f"{p.intercept(f'm_{name}')} + {lb} * {b}"
            u = p.draw(f"u_{name}", mean, p.sd(f"sb_{name}"), "J")
            p.observe(name, f"{u}[g] + {lw} * {w}", p.sd(f"sw_{name}"))


def _slope(p: Program) -> None:
    means = (f"rep_vector({p.intercept('m_y')}, J)", f"rep_vector({p.intercept('m_s')}, J)")
    u, s = p.pair(("y", "s"), means, "J")
    p.observe("y", f"{u}[g] + {s}[g] .* x", p.sd("sw_y"))


def _mediation(p: Program) -> None:
    means = [p.intercept(f"m_{n}") for n in ("sa", "sb", "sc")]
    p.parameters += ["vector<lower=0>[3] sds;", "cholesky_factor_corr[3] L;"]
    p.body += [f"sds ~ normal(0, {p.priors.sd});", "L ~ lkj_corr_cholesky(2);",
               f"vector[3] ms = [{', '.join(means)}]';"]  # fmt: skip
    p.watched += ["sds", "L"]
    if p.centred:
        p.parameters.append("array[J] vector[3] sv;")
        p.body += ["sv ~ multi_normal_cholesky(ms, diag_pre_multiply(sds, L));",
                   "matrix[J, 3] s;", "for (j in 1:J) s[j] = sv[j]';"]  # fmt: skip
    else:
        p.parameters.append("matrix[3, J] sz;")
        p.body += ["to_vector(sz) ~ std_normal();",
                   "matrix[J, 3] s = (rep_matrix(ms, J)",
                   "  + diag_pre_multiply(sds, L) * sz)';"]  # fmt: skip
    um = p.draw("um", f"rep_vector({p.intercept('m_m')}, J)", p.sd("sb_m"), "J")
    uy = p.draw("uy", f"{p.intercept('m_y')} + {p.path('b_m')} * {um}", p.sd("sb_y"), "J")
    p.observe("m", f"{um}[g] + s[g, 1] .* x", p.sd("sw_m"))
    p.observe("y", f"{uy}[g] + s[g, 2] .* (m - {um}[g]) + s[g, 3] .* x", p.sd("sw_y"))


MODELS: dict[str, Callable[[Program], None]] = {
    "table_25_3": _trial, "low_icc": _trial, "low_icc_vague": _trial,
    "table_25_5": lambda p: _trial(p, varying=True), "factors": _factors, "slope": _slope,
    "mediation": _mediation,
}  # fmt: skip


_ROOT = Path(__file__).parents[2]
PYTHON = _ROOT / ".venv-stan" / "bin" / "python"


def stan_run(case: Case, frame: pd.DataFrame, seed: int, *, centred: bool) -> Run:
    program = Program(centred, case.priors)
    MODELS[case.name](program)
    clusters = ["treat"] if "treat" in frame else []
    people = [n for n in frame if n not in ("g", "treat")]
    data: dict[str, Any] = {n: frame[n].tolist() for n in people}
    data |= {n: frame.groupby("g")[n].first().tolist() for n in clusters}
    data |= {"N": len(frame), "J": int(frame["g"].max()) + 1, "g": (frame["g"] + 1).tolist()}
    asked = {
        "code": program.text(people, clusters), "data": data, "seed": seed,
        "watched": program.watched,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "asked.json").write_text(json.dumps(asked))
        worker = Path(__file__).with_name("stan_worker.py")
        done = subprocess.run(
            [str(PYTHON), str(worker), folder], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        with np.load(place / "draws.npz") as saved:
            draws = {k: saved[k] for k in saved.files}
    building, sampling = draws.pop("seconds")
    divergences = int(draws.pop("divergent__").sum())
    found = {n: draws[n][0] for n in program.watched if n not in ("sds", "L")}
    if "sds" in program.watched:
        sds, factor = draws["sds"], draws["L"]
        correlations = np.einsum("ik...,jk...->ij...", factor, factor)
        found |= {f"sd {i}": sds[i] for i in range(3)}
        found |= {f"cor {i} {j}": correlations[i, j] for i in range(3) for j in range(i)}
    return judged(found, float(sampling), float(building + sampling), divergences)
