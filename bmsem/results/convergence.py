"""Whether the chains can be believed, in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmsem.results.statistics import summarise

Array = NDArray[np.float64]

# Vehtari, Gelman, Simpson, Carpenter & Burkner (2021, Bayesian Analysis 16, section 4).
MAX_RHAT = 1.01
ESS_PER_CHAIN = 100
# A handful of divergences is a warning; more than this share of the draws is a failure.
MAX_DIVERGENT = 0.01


@dataclass(frozen=True)
class Convergence:
    """The worst figures of a fit, and the verdict.

    Attributes
    ----------
    max_rhat, min_ess_bulk, max_psr
        And whose they are.
    divergences
        Divergent transitions after warm-up.
    converged
        Whether R-hat is at most 1.01, every bulk ESS at least 100 a chain, and at most one draw in a
        hundred divergent.
    lines
        The verdict, and what to do.
    """

    max_rhat: float
    max_rhat_of: str
    max_psr: float
    min_ess_bulk: float
    min_ess_of: str
    divergences: int
    converged: bool
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines)


def assess(
    draws: dict[str, Array], divergent: NDArray | None, complete: bool = True
) -> Convergence:
    """Judge draws (chains, draws) by parameter name."""
    chains, length = next(iter(draws.values())).shape if draws else (1, 1)
    found = {name: summarise(values) for name, values in draws.items()}
    rhat = {n: f["rhat"] for n, f in found.items() if np.isfinite(f["rhat"])}
    ess = {n: f["ess_bulk"] for n, f in found.items() if np.isfinite(f["ess_bulk"])}
    psr = [f["psr"] for f in found.values() if np.isfinite(f["psr"])]
    rhat_of = max(rhat, key=lambda n: rhat[n], default="")
    ess_of = min(ess, key=lambda n: ess[n], default="")
    max_rhat, min_ess = rhat.get(rhat_of, float("nan")), ess.get(ess_of, float("nan"))
    n_divergent = int(np.sum(divergent)) if divergent is not None else 0
    needed = ESS_PER_CHAIN * chains
    remedies = []
    if not max_rhat <= MAX_RHAT or not min_ess >= needed:
        remedies.append(
            f"run longer (draws={4 * length:,}, tune={2 * max(length, 500):,}); if that does not "
            f"help, the data hardly inform {ess_of or 'some parameters'}: look at the model's "
            f"identification and use more informative priors"
        )
    if n_divergent > MAX_DIVERGENT * chains * length:
        remedies.append(
            "use informative priors on the smallest variances, or target_accept=0.95: divergent "
            "draws mean that a part of the posterior is not reached"
        )
    converged = not remedies and bool(draws)
    figures = (
        f"largest R-hat {max_rhat:.3f} ({rhat_of}), smallest bulk ESS {min_ess:,.0f} ({ess_of}), "
        f"{n_divergent or 'no'} divergent draw{'' if n_divergent == 1 else 's'}"
    )
    lines = [f"{'Converged' if converged else 'NOT CONVERGED'}: {figures}."]
    if remedies:
        lines.append(f"Do not interpret these estimates yet. What to do: {'; '.join(remedies)}.")
    elif n_divergent:
        lines.append("The few divergent draws are a caution: compare with target_accept=0.95.")
    if not complete:
        lines.append("Sampling was interrupted; these are the draws made until then.")
    return Convergence(
        max_rhat, rhat_of, max(psr, default=float("nan")), min_ess, ess_of, n_divergent, converged,
        tuple(lines),
    )  # fmt: skip
