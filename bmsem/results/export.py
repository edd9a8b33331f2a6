"""A fit as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from bmsem.language import write_formula
from bmsem.results.standardized import implied_correlations
from bmsem.results.summary import Summary
from bmsem.version import __version__

if TYPE_CHECKING:
    from bmsem.results.fit import Fit

_KEYS = ("median", "mean", "sd", "p_one_tailed")
_FIT_KEYS = (
    "ppp", "ppp_chi_square_difference", "dic", "p_dic", "dic_conditional", "p_dic_conditional",
    "waic", "p_waic", "elpd_loo", "se_elpd_loo", "p_loo",
)  # fmt: skip


def to_json(fit: Fit) -> dict[str, Any]:
    """Results as nested dictionaries; a key without a value is ``None``, never missing."""
    sizes = fit.bound.cluster_sizes
    multilevel = fit.spec.multilevel
    verdict = fit.convergence
    return {
        "bmsem": __version__,
        "title": fit.title,
        "model": write_formula(fit.spec),
        "data": {
            "rows": fit.bound.rows,
            "clusters": fit.bound.clusters if multilevel else None,
            "cluster_size": {
                "min": int(sizes.min()), "max": int(sizes.max()), "mean": float(sizes.mean())
            } if multilevel else None,
        },
        "settings": {
            k: fit.settings.get(k) for k in ("chains", "tune", "draws", "seed", "priors", "sampler")
        },
        "parameters": _parameters(fit.summary(interval="hpd")),
        "standardized": _parameters(fit.standardized(interval="hpd")),
        "r_square": [
            {
                "level": row["level"], "variable": row["variable"], "median": _plain(row["median"]),
                "mean": _plain(row["mean"]), "sd": _plain(row["sd"]),
                "hdi": [_plain(row["lower"]), _plain(row["upper"])],
            }
            for row in fit.r_square(interval="hpd").to_dict("records")
        ],
        "fit": {
            **dict.fromkeys(_FIT_KEYS),
            "max_psr": _plain(verdict.max_psr),
            "max_rhat": _plain(verdict.max_rhat),
            "min_ess_bulk": _plain(verdict.min_ess_bulk),
            "divergences": verdict.divergences,
        },
        "descriptives": {
            "within": {"correlations": None}, "between": {"correlations": None}, "icc": None,
            "log_likelihood_h1": None,
        },
        "implied": _implied(fit),
        "timing": {k: _plain(fit.timing.get(k)) for k in ("compile", "sample", "total")},
    }  # fmt: skip


def _parameters(summary: Summary) -> list[dict[str, Any]]:
    records = []
    for row in summary.frame.to_dict("records"):
        records.append(
            {
                **{k: _text(row[k]) for k in ("level", "lhs", "op", "rhs", "label")},
                "fixed": _plain(row["fixed"]),
                **{k: _plain(row[k]) for k in _KEYS},
                "hdi": [_plain(row["lower"]), _plain(row["upper"])],
                **{k: _plain(row[k]) for k in ("rhat", "psr", "ess_bulk", "ess_tail")},
            }
        )
    return records


def _implied(fit: Fit) -> dict[str, Any]:
    found: dict[str, Any] = {"within": None, "between": None}
    for level in fit.spec.levels:
        names, matrix = implied_correlations(fit.bound, level, fit.parameters)
        pairs = {
            f"{names[j]},{names[i]}": _plain(matrix[i, j])
            for i in range(len(names))
            for j in range(i)
        }
        found[level or "between"] = {"correlations": pairs}
    return found


def _plain(value: Any) -> float | None:
    if value is None or pd.isna(value):
        return None
    value = float(value)
    return value if math.isfinite(value) else None


def _text(value: Any) -> str | None:
    return None if value is None or pd.isna(value) else str(value)
