"""The cases written by hand in PyMC, as a skilled user would: cluster effects and factors sampled.

Every effect can be written centred (drawn about its mean) or non-centred (standard normal, scaled);
which of the two NUTS likes depends on how much the data say about each cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

from benchmarks.peers.cases import Case, Priors


@dataclass(frozen=True)
class Effects:
    """How effects of clusters and people are written, and the priors of everything else."""

    centred: bool
    priors: Priors

    def path(self, name: str) -> Any:
        return pm.Normal(name, 0.0, self.priors.path)

    def loading(self, name: str) -> Any:
        return pm.Normal(name, 1.0, self.priors.loading)

    def intercept(self, name: str) -> Any:
        return pm.Normal(name, 0.0, self.priors.intercept)

    def sd(self, name: str) -> Any:
        return pm.HalfNormal(name, self.priors.sd)

    def correlation(self, name: str) -> Any:
        """LKJ(2) of two: a Beta(2, 2) on (-1, 1)."""
        return pm.Deterministic(name, 2.0 * pm.Beta(f"{name} unit", 2.0, 2.0) - 1.0)

    def draw(self, name: str, mean: Any, scale: Any, size: int) -> Any:
        if self.centred:
            return pm.Normal(name, mean, scale, shape=size)
        return mean + scale * pm.Normal(f"{name} unit", 0.0, 1.0, shape=size)

    def pair(self, names: tuple[str, str], means: tuple[Any, Any], level: str, size: int) -> Any:
        """Two correlated effects: the second given the first."""
        first, second = (self.sd(f"{level} sd {n}") for n in names)
        rho = self.correlation(f"{level} correlation")
        a = self.draw(f"{level} {names[0]}", means[0], first, size)
        mean = means[1] + rho * second / first * (a - means[0])
        b = self.draw(f"{level} {names[1]}", mean, second * pt.sqrt(1.0 - rho**2), size)
        return a, b


def _clusters(frame: pd.DataFrame) -> tuple[np.ndarray, int]:
    g = frame["g"].to_numpy()
    return g, int(g.max()) + 1


def _of_cluster(frame: pd.DataFrame, name: str) -> np.ndarray:
    return frame.groupby("g")[name].first().to_numpy()


def _trial(frame: pd.DataFrame, effects: Effects, varying: bool) -> None:
    g, clusters = _clusters(frame)
    treat = _of_cluster(frame, "treat")
    means = tuple(
        effects.intercept(f"mean {n}") + effects.path(f"{n} ~ treat") * treat
        for n in ("advant", "peers")
    )
    ua, up = effects.pair(("advant", "peers"), means, "between", clusters)
    mean = (
        effects.intercept("mean mvpa")
        + effects.path("b advant") * ua
        + effects.path("b peers") * up
    )
    um = effects.draw("between mvpa", mean, effects.sd("between sd mvpa"), clusters)
    a, p, y = (frame[n].to_numpy() for n in ("advant", "peers", "mvpa"))
    sa, sp, rho = (
        effects.sd("within sd advant"),
        effects.sd("within sd peers"),
        effects.correlation("within correlation"),
    )
    pm.Normal("advant", ua[g], sa, observed=a)
    pm.Normal("peers", up[g] + rho * sp / sa * (a - ua[g]), sp * pt.sqrt(1.0 - rho**2), observed=p)
    slope = effects.intercept("mean slope") if varying else effects.path("w advant")
    if varying:
        slope = effects.draw("slope", slope, effects.sd("sd slope"), clusters)[g]
    mean = um[g] + slope * (a - ua[g]) + effects.path("w peers") * (p - up[g])
    pm.Normal("mvpa", mean, effects.sd("within sd mvpa"), observed=y)


def trial(frame: pd.DataFrame, effects: Effects) -> None:
    _trial(frame, effects, varying=False)


def varying_slope(frame: pd.DataFrame, effects: Effects) -> None:
    _trial(frame, effects, varying=True)


def factors(frame: pd.DataFrame, effects: Effects) -> None:
    g, clusters = _clusters(frame)
    treat = _of_cluster(frame, "treat")
    mb = effects.draw(
        "mb", effects.path("mb ~ treat") * treat, effects.sd("between sd mb"), clusters
    )
    yb = effects.draw("yb", effects.path("yb ~ mb") * mb, effects.sd("between sd yb"), clusters)
    mw = effects.draw("mw", 0.0, effects.sd("within sd mw"), g.size)
    yw = effects.draw("yw", effects.path("yw ~ mw") * mw, effects.sd("within sd yw"), g.size)
    for factor, b, w in (("y", yb, yw), ("m", mb, mw)):
        for i in (1, 2, 3):
            name = f"{factor}{i}"
            lb = 1.0 if i == 1 else effects.loading(f"between {name}")
            lw = 1.0 if i == 1 else effects.loading(f"within {name}")
            mean = effects.intercept(f"mean {name}") + lb * b
            u = effects.draw(
                f"between {name} part", mean, effects.sd(f"between sd {name}"), clusters
            )
            pm.Normal(name, u[g] + lw * w, effects.sd(f"within sd {name}"), observed=frame[name])


def slope(frame: pd.DataFrame, effects: Effects) -> None:
    g, clusters = _clusters(frame)
    u, s = effects.pair(
        ("y", "s"), (effects.intercept("mean y"), effects.intercept("mean s")), "between", clusters
    )
    x = frame["x"].to_numpy()
    pm.Normal("y", u[g] + s[g] * x, effects.sd("within sd y"), observed=frame["y"])


def mediation(frame: pd.DataFrame, effects: Effects) -> None:
    g, clusters = _clusters(frame)
    x, m = frame["x"].to_numpy(), frame["m"].to_numpy()
    means = pt.stack([effects.intercept(f"mean {n}") for n in ("sa", "sb", "sc")])
    factor, _, _ = pm.LKJCholeskyCov(
        "slopes", n=3, eta=2.0, sd_dist=pm.HalfNormal.dist(effects.priors.sd), compute_corr=True
    )
    if effects.centred:
        s = pm.MvNormal("s", means, chol=factor, shape=(clusters, 3))
    else:
        s = means + pm.Normal("s unit", 0.0, 1.0, shape=(clusters, 3)) @ factor.T
    um = effects.draw("um", effects.intercept("mean m"), effects.sd("between sd m"), clusters)
    mean = effects.intercept("mean y") + effects.path("b m") * um
    uy = effects.draw("uy", mean, effects.sd("between sd y"), clusters)
    pm.Normal("m", um[g] + s[g, 0] * x, effects.sd("within sd m"), observed=m)
    mean = uy[g] + s[g, 1] * (m - um[g]) + s[g, 2] * x
    pm.Normal("y", mean, effects.sd("within sd y"), observed=frame["y"])


MODELS: dict[str, Callable[[pd.DataFrame, Effects], None]] = {
    "table_25_3": trial, "low_icc": trial, "low_icc_vague": trial, "table_25_5": varying_slope,
    "factors": factors, "slope": slope, "mediation": mediation,
}  # fmt: skip


def written(case: Case, frame: pd.DataFrame, centred: bool) -> pm.Model:
    """The PyMC model of a case."""
    with pm.Model() as model:
        MODELS[case.name](frame, Effects(centred, case.priors))
    return model
