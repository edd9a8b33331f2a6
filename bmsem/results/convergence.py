"""Whether the chains can be believed: in words, and as Mplus prints it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from bmsem.results.statistics import potential_scale_reduction

Array = NDArray[np.float64]

# Vehtari, Gelman, Simpson, Carpenter & Burkner (2021, Bayesian Analysis 16, section 4).
MAX_RHAT = 1.01
ESS_PER_CHAIN = 100
# A handful of divergences is a warning; more than this share of the draws is a failure.
MAX_DIVERGENT = 0.01
# Betancourt (2016, arXiv:1604.00695): below this the energy is explored too slowly.
MIN_BFMI = 0.3
# Share of trajectories cut off at the largest depth above which they are mentioned.
MAX_CUT = 0.05


@dataclass(frozen=True)
class Convergence:
    """The worst figures of a fit, and the verdict.

    Attributes
    ----------
    max_rhat, max_psr, min_ess_bulk, min_ess_tail
        And whose they are: ``max_rhat_of`` and so on.
    divergences
        Divergent transitions after warm-up.
    min_bfmi
        Smallest energy Bayesian fraction of missing information of a chain.
    cut_trajectories
        Share of trajectories that reached the largest tree depth.
    converged
        Whether R-hat is at most 1.01, every bulk and tail ESS at least 100 a chain, and at most one draw
        in a hundred divergent.
    lines
        The verdict, and what to do.
    """

    max_rhat: float
    max_rhat_of: str
    max_psr: float
    max_psr_of: str
    min_ess_bulk: float
    min_ess_of: str
    min_ess_tail: float
    min_ess_tail_of: str
    divergences: int
    min_bfmi: float
    cut_trajectories: float
    converged: bool
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines)


def assess(
    found: dict[str, dict[str, float]],
    shape: tuple[int, int],
    statistics: dict[str, NDArray],
    complete: bool = True,
) -> Convergence:
    """Judge the figures of `diagnosed` by parameter name, with the sampler's statistics.

    ``shape`` is the number of chains and of draws of each.
    """
    chains, length = shape
    rhat_of, max_rhat = _extreme(found, "rhat", max)
    ess_of, min_ess = _extreme(found, "ess_bulk", min)
    tail_of, min_tail = _extreme(found, "ess_tail", min)
    psr_of, max_psr = _extreme(found, "psr", max)
    divergent = statistics.get("diverging")
    n_divergent = int(np.sum(divergent)) if divergent is not None else 0
    bfmi = _smallest_bfmi(statistics.get("energy"))
    cut = statistics.get("reached_max_treedepth")
    share_cut = float(np.mean(cut)) if cut is not None and np.size(cut) else 0.0
    needed = ESS_PER_CHAIN * chains
    remedies = []
    if not max_rhat <= MAX_RHAT or not min(min_ess, min_tail) >= needed:
        low = ess_of if min_ess <= min_tail else tail_of
        remedies.append(
            f"run longer (fit.extend({3 * length:,}), or draws={4 * length:,}, "
            f"tune={2 * max(length, 500):,}); if that does not help, the data hardly inform "
            f"{low or 'some parameters'}: look at the model's identification and use more "
            f"informative priors"
        )
    if n_divergent > MAX_DIVERGENT * chains * length:
        remedies.append(
            "use informative priors on the smallest variances, or target_accept=0.95: divergent "
            "draws mean that a part of the posterior is not reached"
        )
    converged = not remedies and bool(found)
    figures = (
        f"largest R-hat {max_rhat:.3f} ({rhat_of}), smallest bulk ESS {min_ess:,.0f} ({ess_of}), "
        f"{n_divergent or 'no'} divergent draw{'' if n_divergent == 1 else 's'}"
    )
    if found and not np.isfinite(max_rhat):
        figures = f"{chains} x {length} draws are too few to judge by"
    lines = [f"{'Converged' if converged else 'NOT CONVERGED'}: {figures}."]
    if chains == 1:
        lines.append("A single chain cannot show that others would agree: use four.")
    if remedies:
        lines.append(f"Do not interpret these estimates yet. What to do: {'; '.join(remedies)}.")
    elif n_divergent:
        lines.append("The few divergent draws are a caution: compare with target_accept=0.95.")
    if bfmi < MIN_BFMI:
        lines.append(
            f"The energy is explored slowly (E-BFMI {bfmi:.2f}): more informative priors on the "
            f"smallest variances help."
        )
    if share_cut > MAX_CUT:
        lines.append(
            f"{share_cut:.0%} of the trajectories were cut off at the largest depth: sampling is slow, "
            f"not wrong; max_depth=12 lets them run on."
        )
    if not complete:
        lines.append("Sampling was interrupted; these are the draws made until then.")
    return Convergence(
        max_rhat, rhat_of, max_psr, psr_of, min_ess, ess_of, min_tail, tail_of, n_divergent, bfmi,
        share_cut, converged, tuple(lines),
    )  # fmt: skip


def _extreme(found: dict[str, dict[str, float]], key: str, which) -> tuple[str, float]:
    values = {n: f[key] for n, f in found.items() if np.isfinite(f[key])}
    name = which(values, key=lambda n: values[n], default="")
    return name, values.get(name, float("nan"))


def _smallest_bfmi(energy: NDArray | None) -> float:
    if energy is None or energy.shape[1] < 4:
        return float("nan")
    found = np.asarray(array_stats.bfmi(np.asarray(energy, dtype=float)))
    return float(np.min(found))


def psr_by_iteration(draws: dict[str, Array], points: int = 20) -> pd.DataFrame:
    """PSR by iteration, as in Mplus's TECH8: the largest, and whose it is.

    At iteration i the second half of the first i kept draws of each chain is used
    (`bmsem.results.statistics.potential_scale_reduction`).

    Parameters
    ----------
    draws
        (chains, draws) by name.
    points
        Number of rows, evenly spaced.

    Returns
    -------
    DataFrame
        ``iteration``, ``psr``, ``parameter``; empty for a single chain, where PSR is not defined.
    """
    columns = ["iteration", "psr", "parameter"]
    if not draws:
        return pd.DataFrame(columns=columns)
    names = list(draws)
    stacked = np.stack([draws[n] for n in names])
    chains, length = stacked.shape[1:]
    if chains < 2 or length < 4:
        return pd.DataFrame(columns=columns)
    records = []
    for end in np.unique(np.linspace(0, length, points + 1).round().astype(int)[1:]):
        if end < 4:
            continue
        half = stacked[:, :, end // 2 : end]
        within = half.var(axis=2, ddof=1).mean(axis=1)
        between = half.mean(axis=2).var(axis=1, ddof=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            psr = np.sqrt((within + between) / within)
        if not np.isfinite(psr).any():
            continue
        worst = int(np.nanargmax(psr))
        records.append({"iteration": int(end), "psr": float(psr[worst]), "parameter": names[worst]})
    return pd.DataFrame(records, columns=columns)


def kolmogorov_smirnov(draws: dict[str, Array], kept: int = 100) -> pd.DataFrame:
    """Two-sample Kolmogorov-Smirnov tests of every pair of chains, as Mplus makes them.

    ``kept`` evenly spaced draws of the second half of each chain are compared (Mplus User's Guide,
    chapter 16, KOLMOGOROV; 100 by default there too), so that they are nearly independent.

    Returns
    -------
    DataFrame
        A row a parameter: largest ``statistic``, ``p``: the smallest p-value times the number of
        pairs of chains, at most 1, and ``p_adjusted``: by Holm over the parameters. Empty for a
        single chain.
    """
    records = []
    for name, values in draws.items():
        half = values[:, values.shape[1] // 2 :]
        at = np.unique(np.linspace(0, half.shape[1] - 1, min(kept, half.shape[1])).astype(int))
        thin = half[:, at]
        pairs = list(combinations(range(len(thin)), 2))
        if not pairs or thin.shape[1] < 4 or np.ptp(thin) == 0:
            continue
        tests = [ks_2samp(thin[i], thin[j]) for i, j in pairs]
        records.append(
            {
                "parameter": name,
                "statistic": max(float(t.statistic) for t in tests),
                "p": min(1.0, len(pairs) * min(float(t.pvalue) for t in tests)),
            }
        )
    frame = pd.DataFrame(records, columns=["parameter", "statistic", "p"])
    order = np.argsort(frame["p"].to_numpy())
    adjusted = np.empty(len(frame))
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(frame) - rank) * float(frame["p"].iloc[i])))
        adjusted[i] = running
    frame["p_adjusted"] = adjusted
    return frame


__all__ = [
    "Convergence",
    "assess",
    "kolmogorov_smirnov",
    "potential_scale_reduction",
    "psr_by_iteration",
]
