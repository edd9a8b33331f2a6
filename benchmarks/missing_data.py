"""What missing values do to the estimates of Table 25.3: modelled, and list-wise.

    python -m benchmarks.missing_data [data sets] [more complete data sets]

Data sets of the table's design (50 schools of 20 students, half of them treated) are simulated at the
published estimates. From each, a fifth of the mediator ``advant`` and of the outcome ``mvpa`` is
deleted:

- at random: each value with probability 0.2;
- by treatment: with probability 0.1 in control and 0.3 in treated schools;
- by treatment and peers: in treated schools values of students low in the observed mediator ``peers``
  are the ones that are missing, in control schools values are missing at random. List-wise deletion by
  treatment alone would do no harm, because treatment is conditioned on.

The bias of a posterior mean is its mean difference from that of the same data without deletion, plus the
mean difference of the latter from the truth in more data sets, in posterior standard deviations of the
complete data: the first part has little Monte Carlo error because it is paired, the second because
complete data are quick to fit. Of medians only the first part is shown: that of a product of two paths
lies below its mean, whatever is missing. Writes missing_data.jsonl (a line a data set, so that a
run goes on where it was interrupted) and missing_data.md beside this file.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import bmsem

HERE = Path(__file__).parent
TRUTH = {
    "p1w": 4.92, "p2w": 4.76, "p3b": 4.62, "p4b": 5.31, "p1b": 0.73, "p2b": 0.78,
}  # fmt: skip
MODEL = """
cluster: school
between: treat
level: within
  mvpa ~ p1w*advant + p2w*peers
  advant ~~ peers
level: between
  mvpa ~ p3b*advant + p4b*peers
  advant ~ p1b*treat
  peers ~ p2b*treat
  advant ~~ peers
medadv := p1b*p3b
medpeer := p2b*p4b
tot := medadv + medpeer
con1 := p3b - p1w
con2 := p4b - p2w
"""
OTHERS = {
    "within: mvpa ~~ mvpa": 104.0, "within: advant ~~ advant": 0.96, "within: peers ~~ peers": 1.03,
    "within: advant ~~ peers": 0.28, "between: mvpa ~~ mvpa": 68.0,
    "between: advant ~~ advant": 1.1, "between: peers ~~ peers": 1.2,
    "between: advant ~~ peers": 0.1, "between: mvpa ~ 1": 53.0, "between: advant ~ 1": 0.6,
    "between: peers ~ 1": 0.6,
}  # fmt: skip
NAMES = (*TRUTH, "medadv", "medpeer", "tot", "con1", "con2")
CASES = ("at random", "by treatment", "by treatment and peers")
SETTINGS = {"priors": "mplus", "draws": 500, "tune": 500, "progress": False}


def truths() -> dict[str, float]:
    t = dict(TRUTH)
    t["medadv"], t["medpeer"] = t["p1b"] * t["p3b"], t["p2b"] * t["p4b"]
    t["tot"] = t["medadv"] + t["medpeer"]
    t["con1"], t["con2"] = t["p3b"] - t["p1w"], t["p4b"] - t["p2w"]
    return t


def complete(seed: int) -> pd.DataFrame:
    design = bmsem.Design(50, 20, arms={"treat": 0.5})
    return bmsem.simulate(MODEL, {**TRUTH, **OTHERS}, design, seed=seed)


def deleted(frame: pd.DataFrame, case: str, seed: int) -> pd.DataFrame:
    """A fifth of advant and of mvpa deleted."""
    random = np.random.default_rng([seed, CASES.index(case)])
    frame = frame.copy()
    treated = frame["treat"] == 1.0
    chance = np.full(len(frame), 0.2)
    if case != "at random":
        chance = np.where(treated, 0.3, 0.1)
    if case == "by treatment and peers":
        low = (frame["peers"].rank(pct=True) < 0.5).to_numpy()
        chance = np.where(treated & low, 0.6, 0.1)
    for name in ("advant", "mvpa"):
        frame.loc[random.random(len(frame)) < chance, name] = np.nan
    return frame


def estimates(model: bmsem.Model, frame: pd.DataFrame, seed: int, **how: str) -> dict[str, list]:
    """Median, SD and mean of each parameter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bmsem.DataWarning)
        fit = model.fit(frame, seed=seed, **SETTINGS, **how)
    draws = {n: fit.draws(n) for n in NAMES}
    return {
        n: [float(f"{v:.5g}") for v in (np.median(d), d.std(), d.mean())] for n, d in draws.items()
    }


def one(model: bmsem.Model, seed: int, *, only_complete: bool) -> dict:
    frame = complete(seed)
    found = {"seed": seed, "complete": estimates(model, frame, seed)}
    if only_complete:
        return found
    for case in CASES:
        holes = deleted(frame, case, seed)
        found[case] = {
            "share": [float(holes[n].isna().mean()) for n in ("advant", "mvpa")],
            "modelled": estimates(model, holes, seed),
            "listwise": estimates(model, holes, seed, missing="listwise"),
        }
    return found


def changes(records: list[dict], case: str, how: str, which: int) -> pd.DataFrame:
    """By how much deletion changes an estimate (0 the median, 2 the mean), a row a data set."""
    paired = [r for r in records if case in r]
    return pd.DataFrame(
        [{n: r[case][how][n][which] - r["complete"][n][which] for n in NAMES} for r in paired]
    )


def summary(records: list[dict], last: int = 10**6) -> pd.DataFrame:
    """Biases and their Monte Carlo errors, in posterior SDs; a row a parameter.

    The change by deletion is that of data sets up to number ``last``.
    """
    truth = truths()
    every = pd.DataFrame([{n: r["complete"][n][2] - truth[n] for n in NAMES} for r in records])
    sd = pd.Series({n: np.mean([r["complete"][n][1] for r in records]) for n in NAMES})
    base, base_error = every.mean() / sd, every.std() / np.sqrt(len(every)) / sd
    columns = {"truth": pd.Series(truth), "complete": base, "complete: error": base_error}
    for case in CASES:
        for how in ("modelled", "listwise"):
            used = [r for r in records if r["seed"] <= last]
            change = changes(used, case, how, 2)
            error = change.std() / np.sqrt(len(change)) / sd
            name = f"{case}, {how}"
            columns[name] = base + change.mean() / sd
            columns[f"{name}: error"] = np.hypot(error, base_error)
            columns[f"{name}: change"] = change.mean() / sd
            columns[f"{name}: change error"] = error
            columns[f"{name}: of medians"] = changes(used, case, how, 0).mean() / sd
    return pd.DataFrame(columns)


def write(records: list[dict]) -> None:
    table = summary(records)
    paired = sum(CASES[0] in r for r in records)
    first = summary(records, 100)
    lines = [
        "# Table 25.3's design with a fifth of the mediator and the outcome missing",
        "",
        f"Bias in posterior standard deviations of the complete data, with its Monte Carlo error; "
        f"{paired} data sets, {len(records)} complete ones. "
        f"Made by `python -m benchmarks.missing_data`.",
    ]
    for how, title in (("modelled", "Modelled"), ("listwise", "List-wise")):
        shown = pd.DataFrame({"truth": table["truth"].map("{:.2f}".format)})
        for name in ("complete", *(f"{c}, {how}" for c in CASES)):
            pairs = zip(table[name], table[f"{name}: error"], strict=True)
            shown[name.removesuffix(f", {how}")] = [f"{b:+.3f} ({e:.3f})" for b, e in pairs]
        lines += ["", f"## {title}", "", shown.to_markdown(), ""]
        for case in CASES:
            name = f"{case}, {how}"
            worst = {k: table[f"{name}{k}"].abs() for k in ("", ": change", ": of medians")}
            early, change = first[name].abs(), worst[": change"].idxmax()
            lines.append(
                f"- {case}: largest bias {worst[''].max():.3f} ({worst[''].idxmax()}); largest change "
                f"by the deletion {worst[': change'].max():.3f} ({change}, Monte Carlo "
                f"error {table.loc[change, f'{name}: change error']:.3f}), of "
                f"medians {worst[': of medians'].max():.3f}. Of the first 100 data sets alone the "
                f"largest bias is {early.max():.3f} ({early.idxmax()}, Monte Carlo error "
                f"{first.loc[early.idxmax(), f'{name}: error']:.3f})."
            )
    share = np.mean([[r[c]["share"] for c in CASES] for r in records if CASES[0] in r], axis=0)
    said = "; ".join(f"{c} {a:.1%} and {m:.1%}" for c, (a, m) in zip(CASES, share, strict=True))
    lines += ["", f"Share missing of advant and mvpa: {said}."]
    (HERE / "missing_data.md").write_text("\n".join(lines) + "\n")


def main(sets: int = 300, more: int = 300) -> None:
    path = HERE / "missing_data.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    records = {r["seed"]: r for r in map(json.loads, lines)}
    model = bmsem.model(MODEL)
    for seed in range(1, sets + more + 1):
        if seed in records and (seed > sets or CASES[0] in records[seed]):
            continue
        records[seed] = one(model, seed, only_complete=seed > sets)
        with path.open("a") as file:
            file.write(json.dumps(records[seed]) + "\n")
        if seed % 10 == 0:
            print(f"{seed} of {sets + more}", flush=True)
    path.write_text("".join(json.dumps(records[s]) + "\n" for s in sorted(records)))
    write(list(records.values()))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
