"""The three sets of default priors.

``weak``
    Proper and scaled to the data: Normal(0, 2.5 s_y / s_x) on paths and loadings, Normal on
    intercepts, half-Student-t(3, 0, s_y) on standard deviations, LKJ(2) on correlations. The factor
    2.5 and the half-t follow Gelman, Jakulin, Pittau & Su (2008, Annals of Applied Statistics 2,
    1360-1383) and Gelman (2006, Bayesian Analysis 1, 515-534); LKJ is Lewandowski, Kurowicka & Joe
    (2009, Journal of Multivariate Analysis 100, 1989-2001). s_y is the standard deviation at the
    level; for the standard deviation of a between part it is that of the whole variable, as in brms
    (Bürkner 2017, Journal of Statistical Software 80): a few clusters tell their own standard
    deviation badly, and a prior about an estimate that happens to be small makes intervals too narrow
    (benchmarks/few_clusters.md).
``mplus``
    The defaults of Mplus (Asparouhov & Muthen 2010, Bayesian analysis using Mplus, section 3):
    improper uniform on paths, loadings and intercepts, on variances (inverse-gamma(-1, 0)), and on
    covariance matrices (inverse-Wishart(0, -p-1)).
``blavaan``
    The defaults of blavaan (Merkle & Rosseel 2018, Journal of Statistical Software 85, table 1, and
    ``dpriors(target = "stan")``): gamma(1, 0.5) on standard deviations, Normal(0, 10) on paths and
    loadings, Normal(0, 32) on intercepts, uniform correlations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bmsem.data.scales import Scales
from bmsem.spec import Level, ModelSpec, Prior
from bmsem.structure import FreeParameter


def _prior(distribution: str, *arguments: float, on: str = "parameter") -> Prior:
    return Prior(distribution, tuple(("", float(a)) for a in arguments), on)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Preset:
    """Default priors: a function of the parameter and the data's scales, and LKJ's shape.

    ``flat_covariances`` marks a uniform density over covariance matrices rather than correlations.
    """

    name: str
    prior: Callable[[FreeParameter, ModelSpec, Scales], Prior]
    lkj: float
    flat_covariances: bool = False


def _weak(parameter: FreeParameter, spec: ModelSpec, scales: Scales) -> Prior:
    row = parameter.rows[0]
    sd = scales.sd
    outcome = row.rhs if row.op == "=~" else row.lhs
    predictor = row.lhs if row.op == "=~" else row.rhs
    s_y = sd.get((row.level, outcome), 1.0)
    match parameter.kind:
        case "loading" | "path":
            return _prior("Normal", 0.0, _round(2.5 * s_y / sd.get((row.level, predictor), 1.0)))
        case "intercept":
            # As if the predictors were centred: the intercept moves with the effect of each variable
            # that leads to this one, at either level and through others, times its mean.
            spread = (2.5 * s_y) ** 2
            for key in _sources(row.level, row.lhs, spec):
                if sd.get(key):
                    s = sd.get((key[0], row.lhs), s_y)
                    spread += (2.5 * s / sd[key] * scales.mean.get(key, 0.0)) ** 2
            centre = scales.mean.get((row.level, row.lhs), 0.0)
            scale = math.sqrt(spread)
            centre = 0.0 if abs(centre) < 1e-6 * scale else centre
            return _prior("Normal", _round(centre), _round(scale))
        case "variance":
            spread = scales.spread.get((row.level, outcome), 1.0)
            return _prior("HalfStudentT", 3.0, _round(spread), on="sd")
        case _:
            return _prior("Normal", 0.0, _round(s_y * sd.get((row.level, row.rhs), 1.0)))


def _sources(level: Level, name: str, spec: ModelSpec) -> set[tuple[Level, str]]:
    """Variables with a path to ``name``, directly or through others, with their level.

    The intercept of a variable with both parts stands at the between level, but the means of within
    covariates enter it too.
    """
    levels: tuple[Level, ...] = (level,)
    if level == "between" and name in spec.split:
        levels = ("between", "within")
    found: set[tuple[Level, str]] = set()
    for at in levels:
        arrows = [(r.rhs, r.lhs) for r in spec.at(at, "~")]
        arrows += [(r.lhs, r.rhs) for r in spec.at(at, "=~")]
        if at == "within":
            arrows += [(s.predictor, s.outcome) for s in spec.slopes]
        reached, stack = {name}, [name]
        while stack:
            target = stack.pop()
            for source, end in arrows:
                if end == target and source not in reached:
                    reached.add(source)
                    stack.append(source)
        found |= {(at, n) for n in reached - {name}}
    return found


def _mplus(parameter: FreeParameter, spec: ModelSpec, scales: Scales) -> Prior:
    return _prior("HalfFlat") if parameter.kind == "variance" else _prior("Flat")


def _blavaan(parameter: FreeParameter, spec: ModelSpec, scales: Scales) -> Prior:
    match parameter.kind:
        case "variance":
            return _prior("Gamma", 1.0, 0.5, on="sd")
        case "intercept":
            return _prior("Normal", 0.0, 32.0)
        case _:
            return _prior("Normal", 0.0, 10.0)


def _round(value: float) -> float:
    """Three digits: a prior that is printed is the prior that is used."""
    return float(f"{value:.3g}")


PRESETS: dict[str, Preset] = {
    "weak": Preset("weak", _weak, lkj=2.0),
    "mplus": Preset("mplus", _mplus, lkj=1.0, flat_covariances=True),
    "blavaan": Preset("blavaan", _blavaan, lkj=1.0),
}
