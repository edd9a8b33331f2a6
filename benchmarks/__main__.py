"""``python -m benchmarks`` runs what ends in an hour; ``python -m benchmarks NAME …`` one or more."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

# What `make bench` runs, in this order.
QUICK = ("first_answer", "growth", "million", "study", "peers")
LONG = (
    "few_clusters", "fit_checks", "missing_cost", "missing_data", "naive_agreement",
    "slope_calibration",
)  # fmt: skip


def main(names: list[str]) -> None:
    without = "--without-peers" in names
    names = [n for n in names if n != "--without-peers"]
    for name in names:
        if name not in (*QUICK, *LONG):
            raise SystemExit(f"No benchmark '{name}'. There are: {', '.join((*QUICK, *LONG))}.")
    if len(names) != 1:
        # Each in a process of its own: memory and compiled code are not those of the one before.
        for name in names or [n for n in QUICK if not (n == "peers" and without)]:
            subprocess.run([sys.executable, "-m", "benchmarks", name], check=True)
        return
    (name,) = names
    import_module("benchmarks.peers.compare" if name == "peers" else f"benchmarks.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
