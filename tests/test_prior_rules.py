"""Priors and bounds do what they say, wherever they are put."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from models_and_designs import make_data

import bmsem
from bmsem.priors import prior_table


@pytest.fixture(scope="module")
def frame():
    return make_data([4, 6, 3, 5, 8, 2] * 6)


def fit(text, frame, **options):
    settings = {"draws": 400, "tune": 400, "chains": 2, "seed": 1, "progress": False} | options
    return bmsem.model(text).fit(frame, **settings)


@pytest.mark.parametrize("mean", [0.0, 50.0, 1000.0])
def test_weak_priors_do_not_depend_on_where_a_covariate_is_centred(mean):
    """The intercept's prior leaves room for every covariate's effect times its mean."""
    random = np.random.default_rng(3)
    code = np.repeat(np.arange(60), 10)
    x = random.normal(size=600)
    y = 2.0 * x + random.normal(size=60)[code] + random.normal(size=600)
    frame = pd.DataFrame({"y": y, "x": x + mean, "g": code})
    text = "within: x\nlevel: within\n y ~ b*x\nlevel: between\n y ~~ y"
    found = fit(text, frame, cluster="g").draws("b")
    assert found.mean() == pytest.approx(2.0, abs=0.12)
    w = random.normal(size=200)
    f = 0.5 * w + random.normal(size=200)
    items = {f"y{i}": f + 0.6 * random.normal(size=200) for i in range(3)}
    frame = pd.DataFrame({**items, "w": w + mean})
    found = fit("f =~ y0 + y1 + y2\nf ~ g*w", frame).draws("g")
    assert found.mean() == pytest.approx(0.5, abs=0.2)


def test_a_correlation_with_its_own_prior_has_no_other():
    """Six clusters: the flat prior on covariances must not tilt it."""
    random = np.random.default_rng(1)
    code = np.repeat(np.arange(12), 10)
    y = random.normal(size=(12, 2))[code] + random.normal(size=(120, 2))
    frame = pd.DataFrame(y, columns=["a", "b"]).assign(g=code)
    text = "level: within\n a ~~ b\nlevel: between\n a ~~ b"
    own = {"between: a ~~ b": bmsem.spec.Prior("Uniform", (("", -1.0), ("", 1.0)), "correlation"),
           "variances": "Uniform(0, 50)"}  # fmt: skip
    medians = [
        np.median(
            fit(text, frame, cluster="g", priors={"preset": preset, **own}, draws=4000).draws(
                "between: a ~~ a"
            )
        )
        for preset in ("mplus", "blavaan")
    ]
    assert medians[0] == pytest.approx(medians[1], rel=0.06)


@pytest.mark.parametrize("priors", ["weak", "mplus"])
def test_bounds_on_a_covariance_are_kept(frame, priors):
    found = fit("y1 ~~ k*y2\nk < 0.1\nk > -0.2", frame, priors=priors).draws("k")
    assert found.min() > -0.2
    assert found.max() < 0.1


def test_distributions_given_to_a_group_are_on_the_quantity_of_the_group(frame):
    """As text and as objects alike; one object serves several parameters."""
    medians = []
    for prior in ("HalfNormal(0.05)", pm.HalfNormal.dist(0.05)):
        found = fit("y1 ~ x\ny2 ~ x", frame, priors={"sds": prior}, draws=1500)
        medians.append([np.median(found.draws(f"{n} ~~ {n}")) for n in ("y1", "y2")])
    assert medians[0] == pytest.approx(medians[1], rel=0.05)


def test_variances_stay_positive(frame):
    found = fit('y1 ~~ prior("Normal(0, 1)")*y1', frame)
    assert found.draws("y1 ~~ y1").min() > 0
    text = "level: within\n x ~~ vw*x\nlevel: between\n x ~~ vb*x\nvb == 0.9 - vw"
    found = fit(text, frame, cluster="cluster", priors={"vw": "Uniform(0, 5)"})
    assert found.draws("vb").min() > 0


@pytest.mark.parametrize(
    ("text", "priors", "message"),
    [
        ("y1 ~ a*y2 + b*y3\na == b", {"a": "Normal(5, 1)"}, "determined by a constraint"),
        ("y1 ~ b*x\nb > 3", {"b": pm.Normal.dist(0, 1)}, "pm.Truncated"),
        ("y1 ~ b*x\nb > 3\nb < 1", None, "leave nothing"),
        ("y1 ~ x", {"y1 ~ 1": "Normal(0, sd=0.001)"}, "does not take 'sd'"),
        ("y1 ~ x", {"y1 ~ 1": "Normal(0, 1, 2, 3, 4, 5)"}, "arguments"),
        ("y1 ~ x", {"y1 ~~ y1": bmsem.spec.Prior("Uniform", (("", 0.0), ("", 1.0)), "correlation")},
         "no prior on a correlation"),
        ("y1 ~ b*x", {"b": bmsem.spec.Prior("HalfNormal", (("", 1.0),), "sd")},
         "no prior on a standard deviation"),
        ("y1 ~~ c*y2\ny3 ~~ c*y3", None, "a variance and on a covariance"),
    ],
)  # fmt: skip
def test_priors_that_cannot_be_meant(frame, text, priors, message):
    with pytest.raises(bmsem.ModelError, match=message):
        fit(text, frame, priors=priors)


def test_a_factor_of_factors_has_their_scale_in_any_order(frame):
    first = "f1 =~ y1 + y2\nf2 =~ y3 + y4\ng =~ f1 + f2"
    second = "g =~ f1 + f2\nf1 =~ y1 + y2\nf2 =~ y3 + y4"
    scales = [bmsem.model(text).bind(frame).scales.sd[None, "g"] for text in (first, second)]
    assert scales[0] == scales[1] == pytest.approx(frame["y1"].std(ddof=1))


def test_dates_are_no_numbers(frame):
    dated = frame.assign(x=pd.Timestamp("2024-01-01"))
    with pytest.raises(bmsem.DataError, match="holds dates"):
        bmsem.model("y1 ~ x").bind(dated)


def test_too_few_differences_inside_clusters():
    sizes = [2, 2] + [1] * 30
    with pytest.raises(bmsem.DataError, match="There are 2 differences between members"):
        bmsem.model("level: within\n y1 ~~ y2 + y3\nlevel: between\n y1 ~~ y2 + y3").bind(
            make_data(sizes), cluster="cluster"
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y1 ~ a*y2 + b*y3\na*b == 0.5", "is not finite at the starting values"),
        ("y1 ~~ 0*y1", "singular"),
        ("y1 ~~ start(1)*y2 + start(1)*y3\ny2 ~~ start(1)*y3\ny1 ~~ start(1)*y1\n"
         "y2 ~~ start(1)*y2\ny3 ~~ start(1)*y3", "singular"),
    ],
)  # fmt: skip
def test_starts_that_cannot_be(frame, text, message):
    with pytest.raises(bmsem.SamplingError, match=message):
        fit(text, frame)


def test_the_table_prints_what_is_used(frame):
    table = prior_table(bmsem.model("y1 ~~ k*y2\nk < 0.1").bind(frame))
    assert "in [-inf, 0.1]" in str(table)
