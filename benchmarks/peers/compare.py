"""Every peer on every case, in interleaved rounds: ``python -m benchmarks peers``.

Minimum bulk ESS a second of sampling, medians of three rounds; 4 chains of 1,000 + 1,000 draws on two
cores. A peer that needs longer than its limit on a case is stopped and reported as such.
"""

from __future__ import annotations

import multiprocessing as mp
import statistics
import sys
from dataclasses import asdict
from typing import Any

from benchmarks.peers.cases import CASES
from benchmarks.peers.run import PEERS, Run
from benchmarks.report import write

ROUNDS = 3
# Seconds that one run may take; a peer that needed longer is not asked again for that case.
LIMIT = 120.0


def _child(peer: str, case: str, seed: int, queue: Any) -> None:
    try:
        frame = CASES[case].data()
        if peer == "bmsem":
            # Compiled code is kept on disk: as for the others, compiling is not sampling.
            PEERS[peer](CASES[case], frame, seed, draws=10)
        queue.put(asdict(PEERS[peer](CASES[case], frame, seed)))
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
        process.terminate()
    process.join()
    return found


def main(rounds: int = ROUNDS, cases: list[str] | None = None) -> None:
    chosen = cases or list(CASES)
    results: dict[str, dict[str, list[dict[str, Any]]]] = {
        case: {peer: [] for peer in PEERS} for case in chosen
    }
    for round_ in range(rounds):
        for case in chosen:
            for peer, runs in results[case].items():
                if any("error" in run for run in runs):
                    continue
                runs.append(once(peer, case, round_ + 1))
                print(round_ + 1, case, peer, runs[-1], file=sys.stderr, flush=True)
    write("peers", "Against the same models written by hand", _text(results), {"runs": results})


def _text(results: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    lines = [
        "Smallest bulk ESS (rank-normalised) of a structural parameter or variance, a second of "
        "sampling; medians of interleaved rounds, 4 chains of 1,000 + 1,000 draws on two cores, same "
        "priors. Hand-written models sample cluster effects and factors. In brackets: divergent draws, "
        "largest R-hat.",
        "",
        "| model | " + " | ".join(PEERS) + " | bmsem / best |",
        "|---|" + "---:|" * (len(PEERS) + 1),
    ]
    for case, peers in results.items():
        cells, speed = [], {}
        for peer, runs in peers.items():
            good = [Run(**r) for r in runs if "error" not in r]
            if not good:
                cells.append(runs[0]["error"] if runs else "")
                continue
            speed[peer] = statistics.median(r.per_second for r in good)
            divergent = max(r.divergences for r in good)
            rhat = max(r.rhat for r in good)
            cells.append(f"{speed[peer]:,.0f} ({divergent}, {rhat:.2f})")
        others = [v for k, v in speed.items() if k != "bmsem"]
        ratio = f"{speed['bmsem'] / max(others):.1f}" if others and "bmsem" in speed else ""
        lines.append(f"| {CASES[case].what} | " + " | ".join(cells) + f" | {ratio} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
