"""A grid of models and designs that likelihood tests sweep over."""

from __future__ import annotations

import numpy as np
import pandas as pd

MODELS = {
    "paths": """
        level: within
          y1 ~ y2 + y3
          y2 ~~ y3
        level: between
          y1 ~ y2 + y3
          y2 + y3 ~ w
          y2 ~~ y3
    """,
    "factors at both levels": """
        level: within
          fw =~ y1 + y2 + y3 + y4
        level: between
          fb =~ y1 + y2 + y3 + y4
          fb ~ w
    """,
    "two factors and a path": """
        level: within
          f =~ y1 + y2
          g =~ y3 + y4
          g ~ f
        level: between
          fb =~ y1 + y2 + y3 + y4
    """,
    "between-only outcome": """
        level: within
          y1 ~ y2
        level: between
          z ~ y1 + y2
          y1 ~ y2
          y2 ~ w
          z ~~ y2
    """,
    "between mediators only": """
        level: within
          y1 ~~ y1
        level: between
          y1 ~ z + z2
          z + z2 ~ w
          z ~~ z2
    """,
    "covariates at both levels": """
        within: x
        level: within
          y1 ~ y2 + x
          y2 ~ x
        level: between
          y1 ~ y2 + w + v
    """,
    "within-only outcome": """
        within: x, u
        level: within
          y1 ~ u + x
          u ~ x
        level: between
          y1 ~ w
    """,
    "equalities and fixed values": """
        level: within
          fw =~ y1 + l2*y2 + l3*y3
          y4 ~ b*fw
          y2 ~~ e*y2
          y3 ~~ e*y3
        level: between
          fb =~ y1 + l2*y2 + l3*y3
          y4 ~ b*fb + 0.5*w
          y1 ~~ 0*y1
          y2 ~ m*1
          y3 ~ m*1
    """,
    "feedback": """
        level: within
          y1 ~ y2 + x
          y2 ~ y1 + x2
          y1 ~~ 0*y2
        level: between
          y1 ~~ y2
    """,
    "single level": """
        f =~ y1 + y2 + y3
        f ~ w
        z ~ f + v
    """,
}

DESIGNS = {
    "balanced": [5] * 14,
    "unequal": [2, 3, 3, 4, 5, 5, 7, 9, 4, 3, 6, 2],
    "singletons": [1, 1, 4, 1, 6, 2, 1, 3, 3, 5, 1, 2],
}


def make_data(sizes: list[int], seed: int = 7) -> pd.DataFrame:
    """Correlated individual (y1-y4, x, x2, u) and cluster (z, z2, w, v) variables, rows shuffled."""
    random = np.random.default_rng(seed)
    clusters = len(sizes)
    code = np.repeat(np.arange(clusters), sizes)
    rows = code.size
    mix = random.normal(size=(4, 4)) * 0.4 + np.eye(4)
    y = (random.normal(size=(clusters, 4)) @ mix)[code] + random.normal(size=(rows, 4)) @ mix.T
    frame = pd.DataFrame(y + np.array([3.0, -20.0, 100.0, 0.5]), columns=["y1", "y2", "y3", "y4"])
    for name in ("x", "x2", "u"):
        frame[name] = random.normal(size=rows) + 5.0
    for name in ("z", "z2", "w", "v"):
        frame[name] = (random.normal(size=clusters) * 2.0 + 1.0)[code]
    frame["cluster"] = np.array([f"c{c}" for c in code])
    return frame.sample(frac=1.0, random_state=seed).reset_index(drop=True)


# A two-level factor model of twelve indicators.
TWELVE = """
between: treat
level: within
  f1 =~ y1 + y2 + y3 + y4
  f2 =~ y5 + y6 + y7 + y8
  f3 =~ y9 + y10 + y11 + y12
level: between
  g1 =~ y1 + y2 + y3 + y4
  g2 =~ y5 + y6 + y7 + y8
  g3 =~ y9 + y10 + y11 + y12
  g1 ~ a*treat
  g2 ~ b*g1
  g3 ~ treat + c*g2
ind := a*b*c
"""
