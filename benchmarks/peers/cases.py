"""The models that are compared, as bmsem's formula text, with their data and priors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import bmsem
from bmsem import examples


@dataclass(frozen=True)
class Priors:
    """Standard deviations of the priors, proper and the same for everyone.

    Paths and intercepts are normal about zero, loadings about one, standard deviations half-normal;
    correlations are LKJ(2). What is compared is sampling, not prior knowledge.
    """

    path: float = 5.0
    loading: float = 1.0
    intercept: float = 50.0
    sd: float = 20.0


VAGUE = Priors()
# For variables whose standard deviation is about one.
SCALED = Priors(path=1.0, intercept=5.0, sd=1.0)


@dataclass(frozen=True)
class Case:
    """A model with data.

    Attributes
    ----------
    name, what
        For the table.
    text
        In bmsem's language.
    data
        Makes the frame, with the clusters' codes 0, 1, … in ``g``.
    """

    name: str
    what: str
    text: str
    data: Callable[[], pd.DataFrame]
    priors: Priors = VAGUE


def bmsem_priors(case: Case) -> dict[str, str]:
    """The priors of the groups of parameters that the case has, in bmsem's words."""
    p = case.priors
    rows = bmsem.model(case.text).spec.parameters
    free = [r for r in rows if r.free]
    has = {
        "paths": any(r.op == "~" for r in free),
        "loadings": any(r.op == "=~" for r in free),
        "correlations": any(r.is_covariance for r in free),
    }
    words = {
        "paths": f"Normal(0, {p.path:g})", "loadings": f"Normal(1, {p.loading:g})",
        "intercepts": f"Normal(0, {p.intercept:g})", "sds": f"HalfNormal({p.sd:g})",
        "correlations": "LKJ(2)",
    }  # fmt: skip
    return {name: prior for name, prior in words.items() if has.get(name, True)}


_TRIAL = """
cluster: g
between: treat
level: within
  mvpa ~ advant + peers
  advant ~~ peers
level: between
  mvpa ~ advant + peers
  advant ~ treat
  peers ~ treat
  advant ~~ peers
"""


def _coded(frame: pd.DataFrame, cluster: str) -> pd.DataFrame:
    codes, _ = pd.factorize(frame[cluster], sort=True)
    return frame.assign(g=codes).sort_values("g", kind="stable", ignore_index=True)


def trial() -> pd.DataFrame:
    """Table 25.3: 50 schools of 20, ICC about 0.5."""
    model = bmsem.read_mplus(examples.path("mvpa", "table_25_3.inp"))
    return _coded(model.default_data(), "school")


def weak_clusters() -> pd.DataFrame:
    """The same design with ICCs of 0.02."""
    random = np.random.default_rng(25)
    clusters, size, between = 50, 20, np.sqrt(0.02 / 0.98)
    g = np.repeat(np.arange(clusters), size)
    treat = (np.arange(clusters) % 2).astype(float)
    ua, up = (between * (random.normal(size=clusters) + 0.3 * treat) for _ in range(2))
    um = 0.5 * ua + 0.5 * up + between * random.normal(size=clusters)
    a, p = random.normal(size=(2, g.size))
    y = 0.4 * a + 0.4 * p + random.normal(size=g.size)
    columns = {"mvpa": um[g] + y, "advant": ua[g] + a, "peers": up[g] + p, "treat": treat[g]}
    return pd.DataFrame({**columns, "g": g})


def factors() -> pd.DataFrame:
    """Two factors of three indicators at each level, 100 clusters of 50."""
    return two_factors(np.full(100, 50), np.random.default_rng(8))


def two_factors(sizes: NDArray[np.int64], random: np.random.Generator) -> pd.DataFrame:
    """Factors y and m of three indicators at each level, m on a treatment of every second cluster."""
    clusters = len(sizes)
    g = np.repeat(np.arange(clusters), sizes)
    treat = (np.arange(clusters) % 2).astype(float)
    mb = 0.5 * treat + 0.6 * random.normal(size=clusters)
    yb = 0.5 * mb + 0.5 * random.normal(size=clusters)
    mw = random.normal(size=g.size)
    yw = 0.5 * mw + 0.8 * random.normal(size=g.size)
    frame = {"treat": treat[g], "g": g}
    for name, b, w in (("y", yb, yw), ("m", mb, mw)):
        for i, loading in enumerate((1.0, 0.9, 0.8), 1):
            own = 0.2 * random.normal(size=clusters)[g] + 0.6 * random.normal(size=g.size)
            frame[f"{name}{i}"] = loading * (b[g] + w) + own
    return pd.DataFrame(frame)


def slopes() -> pd.DataFrame:
    """A slope on a covariate of people that varies between 60 clusters of 15."""
    random = np.random.default_rng(4)
    clusters, size = 60, 15
    g = np.repeat(np.arange(clusters), size)
    x = random.normal(size=g.size)
    u, s = 0.5 * random.normal(size=clusters), 0.5 + 0.4 * random.normal(size=clusters)
    return pd.DataFrame({"y": u[g] + s[g] * x + random.normal(size=g.size), "x": x, "g": g})


def mediation() -> pd.DataFrame:
    """1-1-1 mediation with paths that vary and covary, 100 clusters of 21."""
    random = np.random.default_rng(11)
    clusters, size = 100, 21
    g = np.repeat(np.arange(clusters), size)
    covariance = np.array([[0.16, 0.05, 0.0], [0.05, 0.16, 0.0], [0.0, 0.0, 0.04]])
    a, b, c = random.multivariate_normal([0.6, 0.6, 0.2], covariance, clusters).T
    um, uy = 0.6 * random.normal(size=(2, clusters))
    x = random.normal(size=g.size)
    mw = a[g] * x + 0.8 * random.normal(size=g.size)
    y = uy[g] + 0.4 * um[g] + b[g] * mw + c[g] * x + 0.8 * random.normal(size=g.size)
    return pd.DataFrame({"x": x, "m": um[g] + mw, "y": y, "g": g})


CASES = {
    case.name: case
    for case in (
        Case("table_25_3", "Table 25.3, 50 x 20, ICC 0.5", _TRIAL, trial),
        Case("low_icc", "the same model, ICC 0.02", _TRIAL, weak_clusters, SCALED),
        Case("low_icc_vague", "the same, vague priors", _TRIAL, weak_clusters),
        Case("table_25_5", "Table 25.5, slope on a latent cluster mean",
             _TRIAL.replace("  mvpa ~ advant + peers\n", "  s | mvpa ~ advant\n  mvpa ~ peers\n", 1),
             trial),
        Case("factors", "two-level factors as in Table 25.8, 100 x 50", """
cluster: g
between: treat
level: within
  yw =~ 1*y1 + y2 + y3
  mw =~ 1*m1 + m2 + m3
  yw ~ mw
level: between
  yb =~ 1*y1 + y2 + y3
  mb =~ 1*m1 + m2 + m3
  yb ~ mb
  mb ~ treat
""", factors),
        Case("slope", "slope on a within-only covariate, 60 x 15", """
cluster: g
within: x
level: within
  s | y ~ x
level: between
  s ~~ y
""", slopes),
        Case("mediation", "1-1-1 mediation, three correlated slopes, 100 x 21", """
cluster: g
within: x
level: within
  sa | m ~ x
  sb | y ~ m
  sc | y ~ x
level: between
  y ~ m
  sa ~~ sb + sc
  sb ~~ sc
""", mediation),
    )
}  # fmt: skip
