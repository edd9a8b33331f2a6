"""A fit as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from bmsem.criteria.cross_validation import ELPD
from bmsem.language import write_formula
from bmsem.results.standardized import implied_correlations
from bmsem.results.summary import Summary
from bmsem.tables import Table
from bmsem.version import __version__

if TYPE_CHECKING:
    from bmsem.results.fit import FitResults

_KEYS = ("median", "mean", "sd", "p_one_tailed")


def to_json(fit: FitResults) -> dict[str, Any]:
    """Results as nested dictionaries; a key without a value is ``None``, never missing.

    ``fit.dic`` is the marginal DIC, ``fit.dic_conditional`` the one that Mplus prints.
    """
    sizes = fit.bound.cluster_sizes
    multilevel = fit.spec.multilevel
    # Varying slopes and products: what needs one covariance matrix a level is not defined.
    apart = not fit.has_unrestricted
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
        "standardized_stdy": _parameters(fit.standardized(interval="hpd", how="stdy")),
        "standardized_std": _parameters(fit.standardized(interval="hpd", how="std")),
        "r_square": [
            {
                "level": row["level"], "variable": row["variable"], "median": _plain(row["median"]),
                "mean": _plain(row["mean"]), "sd": _plain(row["sd"]),
                "hdi": [_plain(row["lower"]), _plain(row["upper"])],
            }
            for row in fit.r_square(interval="hpd").to_dict("records")
        ],
        "fit": _fit_measures(fit),
        "convergence": _convergence(fit),
        "descriptives": _descriptives(fit),
        "implied": _implied(fit),
        "residuals": None if apart else _records(fit.residuals(interval="hpd")),
        "tech4": _records(fit.implied(interval="hpd")),
        "predictive_checks": None
        if apart
        else _records(fit.predictive_checks(interval="hpd")),
        "icc": _records(fit.icc(interval="hpd")) if multilevel and not apart else None,
        "effects": {
            "indirect": [
                {"source": t.source, "target": t.target, "effects": _frame(t.frame),
                 "links": _frame(t.links)}
                for t in fit.indirect_effects(interval="hpd")
            ],
            "contextual": _records(fit.contextual_effects(interval="hpd")),
            "sizes": _records(fit.effect_sizes(interval="hpd")),
            "meaningfulness": (
                _records(fit.meaningfulness(interval="hpd")) if fit.spec.standards else None
            ),
        },
        "timing": {k: _plain(fit.timing.get(k)) for k in ("compile", "sample", "total")},
    }  # fmt: skip


def _fit_measures(fit: FitResults) -> dict[str, Any]:
    verdict = fit.convergence
    apart = not fit.has_unrestricted
    ppp = None if apart else fit.ppp()
    by_part = {row["part"]: row for row in ppp.table.to_dict("records")} if ppp else {}
    marginal, conditional, waic = fit.dic_marginal, fit.dic_conditional, fit.waic()
    enough = fit.parameters.shape[0] * fit.parameters.shape[1] >= 25
    loo: ELPD | None = fit.loo() if enough else None

    def part(name: str) -> dict[str, Any] | None:
        row = by_part.get(name)
        if row is None:
            return None
        return {
            "ppp": _plain(row["ppp"]),
            "ppp_chi_square_difference": [_plain(row["lower"]), _plain(row["upper"])],
        }

    return {
        "ppp": _plain(ppp.value) if ppp else None,
        "ppp_chi_square_difference": [_plain(v) for v in ppp.interval] if ppp else None,
        "within": part("within"),
        "between": part("between"),
        "dic": _plain(marginal.dic),
        "p_dic": _plain(marginal.p_d),
        "dic_conditional": _plain(conditional.dic) if conditional else None,
        "p_dic_conditional": _plain(conditional.p_d) if conditional else None,
        "waic": _plain(waic.ic),
        "p_waic": _plain(waic.p),
        "elpd_loo": _plain(loo.elpd) if loo else None,
        "se_elpd_loo": _plain(loo.se) if loo else None,
        "p_loo": _plain(loo.p) if loo else None,
        "max_pareto_k": _plain(loo.pointwise["pareto_k"].max()) if loo else None,
        "indices": None if apart else _records(fit.fit_indices(interval="hpd")),
        "max_psr": _plain(verdict.max_psr),
        "max_rhat": _plain(verdict.max_rhat),
        "min_ess_bulk": _plain(verdict.min_ess_bulk),
        "min_ess_tail": _plain(verdict.min_ess_tail),
        "divergences": verdict.divergences,
    }


def _convergence(fit: FitResults) -> dict[str, Any]:
    verdict = fit.convergence
    return {
        "converged": verdict.converged,
        "verdict": list(verdict.lines),
        "max_rhat_of": verdict.max_rhat_of,
        "max_psr_of": verdict.max_psr_of,
        "min_ess_bulk_of": verdict.min_ess_of,
        "min_ess_tail_of": verdict.min_ess_tail_of,
        "min_bfmi": _plain(verdict.min_bfmi),
        "cut_trajectories": _plain(verdict.cut_trajectories),
        "psr_by_iteration": _records(fit.tech8()),
        "kolmogorov_smirnov": _records(fit.kolmogorov_smirnov()),
    }


def _descriptives(fit: FitResults) -> dict[str, Any]:
    """Maximum likelihood moments of the unrestricted model; covariates are conditioned on."""
    found: dict[str, Any] = {"within": {"correlations": None}, "between": {"correlations": None}}
    if not (fit.has_unrestricted or fit.plan.needed):
        return {**found, "icc": None, "log_likelihood_h1": None}
    for level, moments in fit.observed_moments.items():
        pairs = {
            f"{moments.names[j]},{moments.names[i]}": _plain(moments.correlation[i, j])
            for i in range(len(moments.names))
            for j in range(i)
        }
        found[level or "between"] = {
            "correlations": pairs,
            "means": {n: _plain(v) for n, v in zip(moments.names, moments.mean, strict=True)},
            "variances": {n: _plain(moments.covariance[i, i]) for i, n in enumerate(moments.names)},
        }
    icc = None
    if fit.spec.multilevel and not fit.plan.needed:
        frame = fit.icc(interval="hpd").frame
        icc = {
            r["variable"]: _plain(r["ml"]) for r in frame[frame["what"] == "icc"].to_dict("records")
        }
    return {**found, "icc": icc, "log_likelihood_h1": _plain(fit.log_likelihood_h1)}


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


def _implied(fit: FitResults) -> dict[str, Any]:
    found: dict[str, Any] = {"within": None, "between": None}
    for level in fit.spec.levels:
        names, matrix = implied_correlations(fit.bound, level, fit.parameters, fit.sampled)
        pairs = {
            f"{names[j]},{names[i]}": _plain(matrix[i, j])
            for i in range(len(names))
            for j in range(i)
        }
        found[level or "between"] = {"correlations": pairs}
    return found


def _records(table: Table) -> list[dict[str, Any]]:
    return _frame(table.frame)


def _frame(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries: numbers plain, everything that is not a number as text or truth value."""
    return [{str(k): _value(v) for k, v in row.items()} for row in frame.to_dict("records")]


def _value(value: Any) -> Any:
    if isinstance(value, str | bool):
        return value
    if value is None or pd.isna(value):
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool | int):
        return value
    return _plain(value)


def _plain(value: Any) -> float | None:
    if value is None or pd.isna(value):
        return None
    value = float(value)
    return value if math.isfinite(value) else None


def _text(value: Any) -> str | None:
    return None if value is None or pd.isna(value) else str(value)
