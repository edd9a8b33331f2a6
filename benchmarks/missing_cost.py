"""What missing values cost: 50,000 people in 50 clusters, 5 indicators, 30 patterns.

    python -m benchmarks missing_cost

A factor at both levels. One log-density with its gradient as the sampler calls it, beside that of the
same people without missing values; binding, sampling (4 chains of 1,000 + 1,000), the unrestricted
model, the predictive checks and imputations.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd

import bmsem
from benchmarks.density import microseconds
from benchmarks.report import write

PEOPLE, CLUSTERS, INDICATORS, PATTERNS = 50_000, 50, 5, 30
MODEL = """
cluster: c
between: treat
level: within
  fw =~ y1 + y2 + y3 + y4 + y5
level: between
  fb =~ y1 + y2 + y3 + y4 + y5
  fb ~ treat
"""


def data(seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Complete data, and those with half of the people at one of 29 incomplete patterns."""
    random = np.random.default_rng(seed)
    sizes = random.multinomial(PEOPLE, random.dirichlet(np.full(CLUSTERS, 20.0)))
    code = np.repeat(np.arange(CLUSTERS), sizes)
    treat = (np.arange(CLUSTERS) % 2).astype(float)
    factor = (0.5 * random.normal(size=CLUSTERS) + 0.3 * treat)[code] + random.normal(size=PEOPLE)
    y = np.outer(factor, np.linspace(1.0, 0.6, INDICATORS))
    y += 0.3 * random.normal(size=(CLUSTERS, INDICATORS))[code]
    y += 0.8 * random.normal(size=y.shape)
    names = [f"y{i + 1}" for i in range(INDICATORS)]
    complete = pd.DataFrame(y, columns=names).assign(c=code, treat=treat[code])
    kinds = range(1, PATTERNS)
    patterns = np.array([[k >> i & 1 for i in range(INDICATORS)] for k in kinds], dtype=bool)
    kind = random.integers(0, len(patterns), PEOPLE)
    seen = np.where((random.random(PEOPLE) < 0.5)[:, None], True, patterns[kind])
    return complete, complete.assign(**dict(zip(names, np.where(seen, y, np.nan).T, strict=True)))


def main() -> None:
    complete, frame = data()
    model = bmsem.model(MODEL)
    found: dict[str, Any] = {"people": PEOPLE, "clusters": CLUSTERS}

    def timed(name: str, what: Any) -> Any:
        begun = time.perf_counter()
        result = what()
        found[name] = time.perf_counter() - begun
        return result

    whole = model.bind(complete)
    bound = timed("bind (s)", lambda: model.bind(frame))
    assert bound.gaps is not None
    found["patterns"] = len(bound.gaps.patterns)
    mine, theirs = microseconds([(bound, "weak"), (whole, "weak")])
    found["log-density with gradient (us)"] = mine
    found["the same without missing values (us)"] = theirs
    fit = model.fit(bound, seed=1, progress=False)
    found["compile (s)"], found["sample (s)"] = fit.timing["compile"], fit.timing["sample"]
    found["smallest bulk ESS"] = fit.convergence.min_ess_bulk
    found["divergences"] = fit.convergence.divergences
    timed("unrestricted model (s)", lambda: fit.log_likelihood_h1)
    timed("predictive checks (s)", fit.ppp)
    timed("DIC, WAIC, LOO (s)", fit.fit_measures)
    timed("20 imputations (s)", lambda: fit.imputations(20))
    lines = ["| | |", "|---|---:|", *(f"| {k} | {v:,.2f} |" for k, v in found.items())]
    write("missing_cost", "50,000 people at 30 patterns of missing values", "\n".join(lines), found)


if __name__ == "__main__":
    main()
