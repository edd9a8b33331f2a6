"""``python -m benchmarks`` runs what ends in an hour; ``python -m benchmarks NAME …`` one or more."""

from __future__ import annotations

import sys
from importlib import import_module

# What `make bench` runs, in this order.
QUICK = ("first_answer", "growth", "million", "study", "peers")
LONG = ("few_clusters", "fit_checks", "naive_agreement", "slope_calibration")


def main(names: list[str]) -> None:
    without = "--without-peers" in names
    names = [n for n in names if n != "--without-peers"]
    for name in names:
        if name not in (*QUICK, *LONG):
            raise SystemExit(f"No benchmark '{name}'. There are: {', '.join((*QUICK, *LONG))}.")
    for name in names or QUICK:
        if name == "peers" and without:
            continue
        module = f"benchmarks.{name}.compare" if name == "peers" else f"benchmarks.{name}"
        import_module(module).main()


if __name__ == "__main__":
    main(sys.argv[1:])
