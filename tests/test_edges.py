"""Models at the edge of what can be written."""

from __future__ import annotations

import json

import numpy as np
import pytest
from models_and_designs import make_data

import bmsem


@pytest.fixture(scope="module")
def frame():
    return make_data([4, 6, 3, 5, 8, 2] * 6)


def short_fit(frame, text, priors="weak", **options):
    settings = {"draws": 300, "tune": 300, "chains": 2, "seed": 1, "progress": False} | options
    cluster = "cluster" if "level" in text else None
    return bmsem.model(text).fit(frame, cluster=cluster, priors=priors, **settings)


@pytest.mark.parametrize(
    "text",
    [
        "level: between\n  z ~ w + z2\n  z2 ~ w",
        "y1 ~ 2*x\ny1 ~~ 3*y1",
        "level: within\n y1 ~~ c*y2\nlevel: between\n y1 ~~ c*y2",
        "y1 ~~ c*y2 + c*y3\ny2 ~~ c*y3",
        "y1 ~ a*y2\ny1 ~~ a*y1",
    ],
)
def test_they_run_and_can_be_written(frame, text, tmp_path):
    fit = short_fit(frame, text)
    assert np.isfinite(fit.parameters).all()
    json.dumps(fit.to_json(), allow_nan=False)
    assert str(bmsem.load(fit.save(tmp_path / "fit.nc"))) == str(fit)


def test_nothing_to_estimate(frame):
    with pytest.raises(bmsem.ModelError, match="nothing to estimate"):
        short_fit(frame, "y1 ~ 0*1\ny1 ~~ 1*y1")


@pytest.mark.parametrize("priors", ["weak", "mplus"])
def test_bounds_cut_the_posterior_off(frame, priors):
    """A bound on a variance is a bound on its root where the root is sampled."""
    free = short_fit(frame, "y1 ~ x\ny1 ~~ v*y1", priors, draws=6000)
    low, high = np.quantile(free.draws("v"), [0.3, 0.8])
    cut = short_fit(frame, f"y1 ~ x\ny1 ~~ v*y1\nv > {low}\nv < {high}", priors, draws=6000)
    inside = free.draws("v")[(free.draws("v") > low) & (free.draws("v") < high)]
    assert low < cut.draws("v").min() < cut.draws("v").max() < high
    assert abs(cut.draws("v").mean() - inside.mean()) < 0.06 * inside.std()
    assert cut.draws("v").std() == pytest.approx(inside.std(), rel=0.04)


def test_an_impossible_bound_is_refused(frame):
    with pytest.raises(bmsem.ModelError, match="is a variance; its upper bound -1"):
        short_fit(frame, "y1 ~~ v*y1\nv < -1")
