"""Prior beside posterior, prior sensitivity, prior predictive draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from matplotlib.image import imread

import bmsem
from bmsem.results.prior_plots import prior_posterior_plot

TRIAL = """
cluster: school
level: within
  m ~~ m
  y ~ w*m
level: between
  m ~ a*treat
  y ~ b*m + c*treat
ind := a*b
"""


@pytest.fixture(scope="module")
def frame():
    truth = {"w": 0.4, "a": 0.5, "b": 0.6, "c": 0.2, "within: sd(m)": 1.0, "within: sd(y)": 1.0,
             "between: sd(m)": 0.5, "between: sd(y)": 0.4}  # fmt: skip
    return bmsem.simulate(TRIAL, truth, bmsem.Design(30, 10, arms={"treat": 0.5}), seed=5)


@pytest.fixture(scope="module")
def fit(frame):
    return bmsem.model(TRIAL).fit(
        frame, priors={"icc(y)": "Beta(2, 10)", "c": "Normal(-2, 0.2)"}, seed=1, progress=False
    )


def blank(path):
    """Whether a picture shows nothing."""
    return float(imread(path).std()) < 0.01


def test_weighted_medians_are_those_of_fits_with_the_scaled_prior():
    """Normal(0, s) to the power alpha is Normal(0, s / sqrt(alpha)); the other priors are flat."""
    random = np.random.default_rng(2)
    data = pd.DataFrame({"y": 1.0 + random.normal(size=25)})

    def fitted(power):
        prior = f"Normal(0, {0.25 / np.sqrt(power)})"
        return bmsem.model("y ~ m*1").fit(
            data, priors={"preset": "mplus", "m": prior}, draws=8000, seed=1, progress=False
        )

    row = fitted(1.0).prior_sensitivity("m").frame.iloc[0]
    for column, power in (("weaker_prior", 0.8), ("stronger_prior", 1.25)):
        assert row[column] == pytest.approx(np.median(fitted(power).draws("m")), abs=0.01)
    assert row["weaker_prior"] > row["median"] + 0.02
    assert row["prior"] > 0.05
    assert "prior and data both count" in row["verdict"]


def test_sensitivity_tells_what_rests_on_the_prior(fit):
    found = fit.prior_sensitivity().frame.set_index("quantity")
    assert list(found.index) == ["w", "a", "b", "c", "ind"]
    assert found.loc["c", "prior"] > 0.05
    assert found.loc["w", "verdict"] == "rests on the data"
    assert found.loc["c", "weaker_prior"] > found.loc["c", "median"]
    assert found.loc["w", "conclusion"] == "above zero"
    assert found.loc["w", "conclusion_holds"] == "yes"
    one = fit.prior_sensitivity("treat -> y").frame
    assert one["quantity"].tolist() == ["treat -> y"]


def test_sensitivity_of_a_model_with_a_varying_slope(frame):
    text = TRIAL.replace("y ~ w*m", "s | y ~ m")
    fit = bmsem.model(text).fit(frame, draws=300, tune=300, chains=2, seed=1, progress=False)
    found = fit.prior_sensitivity(["a", "between: s ~ 1"]).frame
    assert found["verdict"].tolist() == ["rests on the data"] * 2


def test_flat_priors_cannot_be_scaled(frame):
    fit = bmsem.model(TRIAL).fit(frame, priors="mplus", draws=20, tune=50, seed=1, progress=False)
    with pytest.raises(bmsem.ModelError, match="Every prior is flat"):
        fit.prior_sensitivity()
    with pytest.raises(bmsem.ModelError, match="Prior beside posterior needs draws"):
        fit.prior_posterior()


def test_sensitivity_refuses_powers_that_are_no_pair(fit):
    with pytest.raises(bmsem.ModelError, match="One power lies below 1"):
        fit.prior_sensitivity(alphas=(0.5, 0.9))


def test_prior_beside_posterior(fit, tmp_path):
    plot = fit.prior_posterior()
    plot.savefig(tmp_path / "all.png")
    assert not blank(tmp_path / "all.png")
    fit.prior_posterior("treat -> y", draws=500).savefig(tmp_path / "one.png")
    assert not blank(tmp_path / "one.png")
    with pytest.raises(bmsem.ModelError, match="No parameter 'd'"):
        fit.prior_posterior("d")


def test_the_window_of_a_plot_shows_the_posterior():
    random = np.random.default_rng(1)
    wide, narrow = random.normal(0, 1000, (1, 2000)), random.normal(3, 0.1, (1, 2000))
    plot = prior_posterior_plot({"q": wide}, {"q": narrow}, {})
    low, high = plot.get_target("q", {}).get_xlim()
    assert 1 < low < narrow.min()
    assert narrow.max() < high < 5


def test_quantities_by_name(fit):
    within, between = (fit.draws(f"{level}: y ~~ y") for level in ("within", "between"))
    assert fit.quantity("icc(y)") == pytest.approx(between / (between + within))
    assert fit.quantity("between: sd(y)") == pytest.approx(np.sqrt(between))
    assert fit.quantity("treat -> y") == pytest.approx(fit.draws("ind") + fit.draws("c"))
    r_square = fit.r_square(interval="equal").set_index(["level", "variable"])
    assert np.median(fit.quantity("between: rsquare(y)")) == pytest.approx(
        r_square.loc[("between", "y"), "median"]
    )
    with pytest.raises(bmsem.ModelError, match="no predictors"):
        fit.quantity("within: rsquare(m)")


@pytest.fixture(scope="module")
def predictive(frame):
    return bmsem.model(TRIAL).prior_predictive(
        frame, priors={"icc(y)": "Beta(2, 10)", "paths": "Normal(0, 0.5)"}, draws=800, seed=3
    )


def test_implied_quantities_of_the_prior(predictive):
    implied = predictive.implied
    assert {"icc(y)", "icc(m)", "within: rsquare(y)", "between: rsquare(y)", "between: treat -> y",
            "ind"} <= set(implied)  # fmt: skip
    # Beta(2, 10) has mean 1/6; a product of independent normals has the product of their SDs.
    assert implied["icc(y)"].mean() == pytest.approx(1 / 6, abs=0.012)
    assert implied["ind"].std() == pytest.approx(0.25, abs=0.04)
    total = predictive.draws("a") * predictive.draws("b") + predictive.draws("c")
    assert implied["between: treat -> y"] == pytest.approx(total)
    frame = predictive.quantities().frame.set_index("quantity")
    assert frame.loc["icc(y)", "upper"] == pytest.approx(np.quantile(implied["icc(y)"], 0.975))


def test_data_at_draws_from_the_prior(predictive, frame):
    made = predictive.data(7)
    assert made["school"].tolist() == frame["school"].tolist()
    assert made["treat"].tolist() == frame["treat"].tolist()
    assert not np.allclose(made["y"], frame["y"])
    assert made.equals(predictive.data(7))
    with pytest.raises(bmsem.ModelError, match="draws 0 to 799"):
        predictive.data(800)


def test_prior_predictive_check(predictive, frame):
    found = predictive.check(frame, sets=60).frame.set_index(["variable", "statistic"])
    assert found.loc[("y", "SD"), "observed"] == pytest.approx(frame["y"].std())
    assert found["inside"].all()
    far = predictive.check(frame.assign(y=100 * frame["y"]), sets=60).frame
    far = far.set_index(["variable", "statistic"])
    assert not far.loc[("y", "SD"), "inside"]
    assert far.loc[("y", "SD"), "p_below"] == 1.0


def test_prior_predictive_plot(predictive, tmp_path):
    predictive.plot().savefig(tmp_path / "prior.png")
    assert not blank(tmp_path / "prior.png")


def test_prior_predictive_needs_proper_priors_and_the_data(frame):
    model = bmsem.model(TRIAL)
    with pytest.raises(bmsem.ModelError, match="A prior predictive check needs draws"):
        model.prior_predictive(frame, priors="mplus")
    with pytest.raises(bmsem.ModelError, match="Pass the data themselves"):
        model.prior_predictive(model.bind(frame))


def test_simulation_at_a_fit(fit, frame):
    design = bmsem.Design.from_data(frame, cluster="school")
    made = bmsem.simulate(fit.spec, fit, design, seed=1)
    assert list(made) == ["school", "m", "y", "treat"]
    assert made["y"].std() == pytest.approx(frame["y"].std(), rel=0.3)


def test_what_has_a_proper_prior_is_shown_and_the_rest_is_named(frame, tmp_path):
    priors = {"preset": "mplus", "a": "Normal(0, 1)", "b": "Normal(0, 1)",
              "within: sd(m)": "HalfNormal(1)", "icc(m)": "Beta(2, 8)",
              "icc(y)": "Beta(2, 8)"}  # fmt: skip
    fit = bmsem.model(TRIAL).fit(
        frame, priors=priors, draws=50, tune=100, chains=2, seed=1, progress=False
    )
    names = ["a", "ind", "between: sd(m)", "c", "treat -> y", "between: y ~~ y"]
    with pytest.warns(bmsem.ModelWarning, match=r"c, treat -> y, between: y ~~ y\.$"):
        plot = fit.prior_posterior(names, draws=200)
    plot.savefig(tmp_path / "proper.png")
    assert list(plot.viz["plot"].data_vars) == ["a", "ind", "between: sd(m)"]
    with pytest.raises(bmsem.ModelError, match="Prior beside posterior needs draws"):
        fit.prior_posterior("c", draws=20)


def test_draws_of_what_is_proper_follow_their_priors(frame):
    from bmsem.graph.prior_draws import proper_draws
    from bmsem.priors import prior_table

    bound = bmsem.model("m ~~ y\ny ~ b*treat\nb == 2*d\nm ~ d*treat").bind(frame)
    table = prior_table(bound, {"preset": "mplus", "d": "Normal(3, 1)", "sds": "HalfNormal(1)"})
    found = proper_draws(bound, table, 500, 1)
    at = {p.name: found[:, p.index] for p in bound.structure.parameters}
    assert at["d"].mean() == pytest.approx(3, abs=0.2)
    assert at["b"] == pytest.approx(2 * at["d"])
    # A flat density over covariances is one of the variances too.
    for name in ("m ~~ m", "y ~~ y", "m ~~ y", "y ~ 1"):
        assert np.isnan(at[name]).all()


QUOTED = """
cluster: `school id`
level: within
  `score 1` ~ w*`my x`
level: between
  `score 1` ~ b*treat
  `b-c` ~ treat
  `score 1` ~~ `b-c`
"""


@pytest.fixture(scope="module")
def quoted_frame():
    truth = {"b": 0.5, "w": 0.3, "within: sds": 1.0, "between: score 1 ~~ score 1": 0.2,
             "between: sd(`b-c`)": 0.5, "between: b-c ~ treat": 0.1}  # fmt: skip
    covariates = {"my x": bmsem.Covariate("Normal(0, 1)")}
    design = bmsem.Design(20, 8, arms={"treat": 0.5}, covariates=covariates)
    return bmsem.simulate(QUOTED, truth, design, seed=1)


def test_names_between_back_quotes(quoted_frame):
    model = bmsem.model(QUOTED)
    found = model.prior_predictive(quoted_frame, draws=100)
    assert {"icc(`score 1`)", "between: rsquare(`b-c`)"} <= set(found.implied)
    assert found.implied["icc(`score 1`)"] == pytest.approx(found.draws("icc(`score 1`)"))
    fit = model.fit(quoted_frame, draws=50, tune=100, chains=2, seed=1, progress=False)
    design = bmsem.Design.from_data(quoted_frame, cluster="school id")
    assert list(bmsem.simulate(model, fit, design, seed=1)) == list(quoted_frame)
    given = {"between: score 1 ~~ b-c": "Normal(0, 2)"}
    assert "Normal(0, 2)" in str(model.priors(quoted_frame, priors=given))


def test_simulation_at_a_stored_fit_whose_priors_were_not(frame, tmp_path):
    text = TRIAL.replace("ind := a*b", "c == a + b")
    fit = bmsem.model(text).fit(
        frame, priors={"b": pm.Normal.dist(0, 1)}, draws=50, tune=100, chains=2, seed=1,
        progress=False,
    )  # fmt: skip
    fit.save(tmp_path / "fit.nc")
    loaded = bmsem.load(tmp_path / "fit.nc")
    assert loaded.prior_table is None
    design = bmsem.Design.from_data(frame, cluster="school")
    made = [bmsem.simulate(text, one, design, seed=1) for one in (fit, loaded)]
    pd.testing.assert_frame_equal(*made)


def test_a_prior_predictive_check_takes_what_holds_data(predictive, frame, tmp_path):
    wanted = predictive.check(frame, sets=5).frame
    frame.to_csv(tmp_path / "data.csv", index=False)
    for data in (frame.to_dict("list"), tmp_path / "data.csv"):
        pd.testing.assert_frame_equal(predictive.check(data, sets=5).frame, wanted)
    with pytest.raises(bmsem.DataError, match="no column 'school', which tells the clusters apart"):
        predictive.check(frame.drop(columns="school"))
    with pytest.raises(bmsem.DataError, match="none of the variables that the model makes: m, y"):
        predictive.check(frame[["school", "treat"]])
    with pytest.raises(bmsem.ModelError, match="sets=0"):
        predictive.check(frame, sets=0)


def test_one_name_alone_and_a_seed_that_is_none(predictive, frame, tmp_path):
    predictive.plot("icc(y)").savefig(tmp_path / "one.png")
    assert not blank(tmp_path / "one.png")
    for seed in (-1, 1.5, "a", None):
        with pytest.raises(bmsem.ModelError, match="give a whole number from 0"):
            bmsem.model(TRIAL).prior_predictive(frame, seed=seed)
