"""Runs in PyStan's own environment: builds a program, samples, and writes the draws.

``python stan_worker.py FOLDER`` reads ``asked.json`` there and writes ``draws.npz``.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import stan


def main(folder):
    asked = json.loads((folder / "asked.json").read_text())
    begun = time.perf_counter()
    model = stan.build(asked["code"], data=asked["data"], random_seed=asked["seed"])
    built = time.perf_counter()
    fit = model.sample(num_chains=4, num_samples=1000, num_warmup=1000)
    done = time.perf_counter()
    # PyStan flattens draws and chains, chains fastest.
    found = {
        name: np.asarray(fit[name]).reshape(*np.shape(fit[name])[:-1], 1000, 4).swapaxes(-1, -2)
        for name in [*asked["watched"], "divergent__"]
    }
    np.savez(folder / "draws.npz", seconds=[built - begun, done - built], **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
