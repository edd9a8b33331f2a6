"""Numbers that summarise draws of one quantity."""

from __future__ import annotations

import numpy as np
from arviz_stats.base import array_stats
from numpy.typing import NDArray

Array = NDArray[np.float64]

STATISTICS = (
    "median",
    "mean",
    "sd",
    "p_one_tailed",
    "lower",
    "upper",
    "rhat",
    "psr",
    "ess_bulk",
    "ess_tail",
)


def one_tailed_p(draws: Array, estimate: float) -> float:
    """Share of the posterior on the other side of zero from the estimate, as Mplus prints it."""
    return float(np.mean(draws < 0.0) if estimate >= 0.0 else np.mean(draws > 0.0))


def potential_scale_reduction(draws: Array) -> float:
    """PSR as Mplus prints it, of draws (chains, draws).

    sqrt((W + B) / W) with W the mean of the within-chain variances and B the variance of the chain
    means, over the second half of the chains (Gelman & Rubin 1992, Statistical Science 7; Asparouhov
    & Muthen 2010, Bayesian analysis using Mplus, equation 21 and the note on thinning after it).
    Not defined for a single chain: nan.
    """
    half = draws[:, draws.shape[1] // 2 :]
    if half.shape[0] < 2 or half.shape[1] < 2:
        return float("nan")
    within = float(np.mean(half.var(axis=1, ddof=1)))
    between = float(half.mean(axis=1).var(ddof=1))
    return float(np.sqrt((within + between) / within)) if within > 0 else float("nan")


def interval(draws: Array, width: float, kind: str) -> tuple[float, float]:
    """Highest-density (``"hpd"``) or equal-tailed (``"equal"``) interval."""
    function = array_stats.hdi if kind == "hpd" else array_stats.eti
    lower, upper = function(draws.reshape(-1), prob=width, axis=-1)
    return float(lower), float(upper)


def summarise(
    draws: Array, width: float = 0.95, kind: str = "hpd", runs: int = 1
) -> dict[str, float]:
    """All of `STATISTICS` for draws (chains, draws); ``runs`` as in `diagnosed`."""
    return located(draws, width, kind) | diagnosed(draws, runs)


def located(draws: Array, width: float = 0.95, kind: str = "hpd") -> dict[str, float]:
    """Where the posterior is: the median is the estimate."""
    flat = draws.reshape(-1)
    median = float(np.median(flat))
    lower, upper = interval(draws, width, kind)
    return {
        "median": median,
        "mean": float(flat.mean()),
        "sd": float(flat.std(ddof=1)) if flat.size > 1 else float("nan"),
        "p_one_tailed": one_tailed_p(flat, median),
        "lower": lower,
        "upper": upper,
    }


def diagnosed(draws: Array, runs: int = 1) -> dict[str, float]:
    """Whether chains agree, and how much they know.

    R-hat and the effective sample sizes are rank-normalised (Vehtari, Gelman, Simpson, Carpenter &
    Burkner 2021, Bayesian Analysis 16), from ArviZ. Of chains that come in equal parts from several
    ``runs`` with data of their own, the worst agreement in a run, and the effective draws of all.
    """
    if runs > 1:
        every = [diagnosed(part) for part in np.split(draws, runs)]
        worst = {k: max(e[k] for e in every) for k in ("rhat", "psr")}
        return worst | {k: sum(e[k] for e in every) for k in ("ess_bulk", "ess_tail")}
    flat = draws.reshape(-1)
    options = {"chain_axis": 0, "draw_axis": 1}
    # Ratios that are one by definition differ by rounding only.
    constant = np.ptp(flat) <= 1e-12 * np.abs(flat).max(initial=0.0) or not np.isfinite(flat).all()
    nan = float("nan")
    # ArviZ has no R-hat of a single chain; its two halves are compared instead.
    half = draws.shape[1] // 2
    split = draws[:, : 2 * half].reshape(2, half) if draws.shape[0] == 1 else draws
    if constant or draws.shape[1] < 4 or split.shape[1] < 4:
        psr = nan if constant else potential_scale_reduction(draws)
        return {"rhat": nan, "psr": psr, "ess_bulk": nan, "ess_tail": nan}
    return {
        "rhat": float(array_stats.rhat(split, **options)),
        "psr": potential_scale_reduction(draws),
        "ess_bulk": float(array_stats.ess(draws, method="bulk", **options)),
        "ess_tail": float(array_stats.ess(draws, method="tail", prob=0.1, **options)),
    }
