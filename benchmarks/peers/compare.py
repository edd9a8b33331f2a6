"""Every peer on every case, in interleaved rounds.

    python -m benchmarks peers [CASE …]

Minimum bulk ESS a second of sampling, medians of three rounds; 4 chains of 1,000 + 1,000 draws on two
cores. A peer that needs longer than its limit on a case is stopped and reported as such; one that is
not installed is skipped, with the command that installs it.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import statistics
import sys
from dataclasses import asdict
from typing import Any

from benchmarks.peers.cases import CASES
from benchmarks.peers.frequentist import seconds
from benchmarks.peers.judge import Run
from benchmarks.peers.run import PEERS, has_r
from benchmarks.report import write

ROUNDS = 3
# Seconds that one run may take, and after which it is not repeated: its figure is of one run.
LIMIT, REPEATED = 110.0, 20.0


def _child(peer: str, case: str, seed: int, queue: Any) -> None:
    # What a run starts belongs to it, and is stopped with it.
    os.setsid()
    try:
        frame = CASES[case].data()
        if peer == "bmsem":
            # Compiled code is kept on disk: as for the others, compiling is not sampling.
            PEERS[peer].run(CASES[case], frame, seed, draws=10)
        queue.put(asdict(PEERS[peer].run(CASES[case], frame, seed)))
    except Exception as error:
        queue.put({"error": f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"})


def once(peer: str, case: str, seed: int) -> dict[str, Any]:
    """One run in a process of its own, so that nothing is shared between peers."""
    context = mp.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_child, args=(peer, case, seed, queue))
    process.start()
    try:
        found = queue.get(timeout=LIMIT)
    except Exception:
        found = {"error": f"stopped after {LIMIT:.0f} s"}
        os.killpg(process.pid or 0, signal.SIGKILL)
    process.join()
    return found


def _is_done(runs: list[dict[str, Any]]) -> bool:
    return any("error" in r or r["sampling"] > REPEATED for r in runs)


def main(cases: list[str] | None = None, rounds: int = ROUNDS) -> None:
    unknown = set(cases or ()) - set(CASES)
    if unknown:
        raise SystemExit(f"No case '{unknown.pop()}'. There are: {', '.join(CASES)}.")
    there = {name: peer for name, peer in PEERS.items() if peer.there()}
    missing = {name: peer.install for name, peer in PEERS.items() if name not in there}
    results: dict[str, dict[str, list[dict[str, Any]]]] = {
        case: {peer: [] for peer in there} for case in cases or CASES
    }
    for round_ in range(rounds):
        for case, peers in results.items():
            for peer, runs in peers.items():
                if not _is_done(runs):
                    runs.append(once(peer, case, round_ + 1))
                    print(round_ + 1, case, peer, runs[-1], file=sys.stderr, flush=True)
    maximum = _maximum_likelihood(list(results))
    text = "\n\n".join([_text(results), _floor(maximum, results), *_skipped(missing)])
    write("peers", "Against the same models written by hand", text,
          {"runs": results, "maximum likelihood (s)": maximum})  # fmt: skip


def _maximum_likelihood(cases: list[str]) -> dict[str, Any]:
    found = {}
    for case in cases:
        try:
            fitted = seconds(CASES[case], CASES[case].data()) if has_r("lavaan") else None
        except RuntimeError as error:
            found[case] = {"error": str(error)}
            continue
        if fitted is not None:
            found[case] = {"program": fitted[0], "seconds": fitted[1]}
    return found


def _text(results: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    cases = list(results)
    lines = [
        "Smallest bulk ESS (rank-normalised) of a structural parameter or variance, a second of "
        "sampling, warm-up included; medians of interleaved rounds, 4 chains of 1,000 + 1,000 draws on "
        "two cores, same priors. Peers sample cluster effects and factors. In brackets: divergent "
        f"draws, largest R-hat. Runs of more than {REPEATED:.0f} s were not repeated.",
        "",
        "| | " + " | ".join(CASES[c].what for c in cases) + " |",
        "|---|" + "---:|" * len(cases),
    ]
    speeds: dict[str, dict[str, float]] = {case: {} for case in cases}
    for peer in results[cases[0]]:
        cells = []
        for case in cases:
            runs = results[case][peer]
            good = [Run(**r) for r in runs if "error" not in r]
            if not good:
                cells.append(runs[0]["error"].removeprefix("NotImplementedError: "))
                continue
            speeds[case][peer] = statistics.median(r.per_second for r in good)
            divergent = statistics.median(r.divergences for r in good)
            rhat = max(r.rhat for r in good)
            cells.append(f"{speeds[case][peer]:,.0f} ({divergent:.0f}, {rhat:.2f})")
        lines.append(f"| {peer} | " + " | ".join(cells) + " |")
    for family, start in (("PyMC under nutpie", "PyMC"), ("Stan", "Stan"), ("JAGS", "JAGS")):
        cells = []
        for found in speeds.values():
            names = [n for n in found if n.startswith(start) and "own" not in n]
            best = max((found[n] for n in names), default=None)
            cells.append(f"**{found['bmsem'] / best:,.1f}**" if best else "")
        if any(cells):
            lines.append(f"| bmsem / the better {family} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _floor(maximum: dict[str, Any], results: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    if not maximum:
        return (
            "Maximum likelihood in R was skipped: `apt-get install r-cran-lavaan r-cran-lme4` "
            "installs it."
        )
    lines = [
        "What maximum likelihood costs: seconds of one fit, beside bmsem's of the whole posterior "
        "(binding, compiling with a warm cache, sampling).",
        "",
        "| | seconds | bmsem |",
        "|---|---:|---:|",
    ]
    for case, found in maximum.items():
        own = statistics.median(r["total"] for r in results[case]["bmsem"])
        what = CASES[case].what
        if "error" in found:
            lines.append(f"| {what} | {found['error']} | {own:.2f} |")
        else:
            lines.append(f"| {what}: {found['program']} | {found['seconds']:.2f} | {own:.2f} |")
    return "\n".join(lines)


def _skipped(missing: dict[str, str]) -> list[str]:
    commands = dict.fromkeys(missing.values())
    return [
        f"Skipped because not installed: {', '.join(n for n, c in missing.items() if c == command)}. "
        f"`{command}` installs it."
        for command in commands
    ]
