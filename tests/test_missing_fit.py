"""Fits of incomplete data: what they say, keep, give back and refuse; pooled fits of imputed data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bmsem
from bmsem import examples
from bmsem.likelihood.cells import model_cells
from bmsem.pooled import PooledFit

QUICK = {"seed": 1, "progress": False}


def trial():
    return bmsem.read_mplus(examples.path("mvpa", "table_25_3.inp"))


def holes(seed: int = 1) -> pd.DataFrame:
    """The trial's data with a fifth of advant and mvpa deleted at random, and a school's treat."""
    frame = trial().default_data()
    random = np.random.default_rng(seed)
    for name in ("mvpa", "advant"):
        frame.loc[random.random(len(frame)) < 0.2, name] = np.nan
    return frame


@pytest.fixture(scope="module")
def fit():
    return trial().fit(holes(), priors="weak", draws=1000, tune=500, **QUICK)


SLOPE = """
cluster: g
within: x
level: within
  s | y ~ m
  y ~ x
level: between
  y ~ m + w
  s ~ w
"""


@pytest.fixture(scope="module")
def sloped():
    """A varying slope on a variable of which some values are missing: these are sampled."""
    random = np.random.default_rng(3)
    g = np.repeat(np.arange(25), 8)
    w = random.integers(0, 2, 25).astype(float)
    m = random.normal(size=25)[g] + random.normal(size=200)
    y = (0.5 + 0.4 * random.normal(size=25))[g] * m + random.normal(size=25)[g]
    frame = pd.DataFrame({"g": g, "w": w[g], "m": m, "y": y + random.normal(size=200)})
    frame["x"] = random.normal(size=200)
    frame.loc[random.random(200) < 0.15, "m"] = np.nan
    frame.loc[random.random(200) < 0.15, "y"] = np.nan
    return bmsem.model(SLOPE).fit(frame, draws=300, tune=400, chains=2, **QUICK)


# -- one fit ----------------------------------------------------------------------------------


def test_estimates_are_near_those_of_the_complete_data(fit, mvpa_fit):
    assert fit.converged
    for name in ("p1wc", "p2wc", "p3bc", "p4bc", "p1bc", "p2bc", "tot"):
        mine, theirs = fit.draws(name), mvpa_fit.draws(name)
        # What is lost adds its own variance, and no more.
        lost = np.sqrt(max(mine.var() - theirs.var(), 0.0))
        assert abs(np.median(mine) - np.median(theirs)) < 2.5 * lost + 0.1 * theirs.std(), name
        assert 0.85 < mine.std() / theirs.std() < 1.35, name


def test_every_measure_of_fit(fit):
    frame = fit.fit_measures().frame.set_index("measure")
    assert 0.05 < frame.loc["PPP", "value"] < 0.95
    assert 0.05 < frame.loc["PPP, between level", "value"] < 0.95
    # As many effective parameters as there are free ones, about.
    assert fit.dic_marginal.p_d == pytest.approx(len(fit.bound.structure.parameters), abs=2.5)
    assert fit.loo().elpd == pytest.approx(fit.waic().elpd, abs=1.0)
    assert fit.dic("conditional").p_d > 100
    assert fit.log_likelihood.shape == (4, 1000, 50)
    total = fit.log_likelihood.sum(axis=-1)
    assert total == pytest.approx(fit.sample_stats["marginal_log_likelihood"], rel=1e-9)
    assert fit.predictive_checks().frame["ppp"].min() > 0.01
    assert set(fit.fit_indices(null=False).frame["index"]) >= {"BRMSEA", "BGammaHat"}


def test_moments_by_level(fit):
    residuals = fit.residuals().frame
    within = residuals[(residuals["level"] == "within") & (residuals["moment"] == "correlation")]
    # Within clusters the model is saturated.
    assert within["difference"].abs().max() < 0.02
    assert fit.log_likelihood_h1 >= fit.sample_stats["marginal_log_likelihood"].max()
    icc = fit.icc().frame.set_index(["variable", "what"])
    found = bmsem.describe(fit.imputations(1)[0], "school").icc["icc"]
    for name in ("mvpa", "peers", "advant"):
        assert icc.loc[(name, "icc"), "ml"] == pytest.approx(found[name], abs=0.06)


def test_a_misfit_is_seen_through_missing_values():
    frame = holes()
    text = """
    cluster: school
    between: treat
    level: within
      mvpa ~~ 0*advant
      peers ~ advant
    level: between
      mvpa ~ treat
      advant ~~ peers
    """
    found = bmsem.model(text).fit(frame, draws=250, tune=400, chains=2, **QUICK)
    assert found.ppp().value < 0.01
    table = found.predictive_checks().frame
    row = table[(table["level"] == "within") & (table["moment"] == "correlation")]
    assert row["ppp"].min() < 0.01


def test_imputations_keep_what_was_observed(fit):
    frame = holes()
    frames = fit.imputations(20, seed=3)
    assert len(frames) == 20
    absent = frame["mvpa"].isna()
    for one in frames:
        assert list(one.columns[:1]) == ["school"] and (one.index == frame.index).all()
        assert (one.loc[~absent, "mvpa"] == frame.loc[~absent, "mvpa"]).all()
        assert one.notna().all().all() and (one["school"] == frame["school"]).all()
        assert (one["treat"] == frame["treat"]).all()
    drawn = np.array([one.loc[absent, "mvpa"] for one in frames])
    assert (drawn.std(axis=0) > 1).all()
    # Nearer to what was deleted than the mean of the school is.
    truth = trial().default_data().loc[absent, "mvpa"]
    school = frame.groupby("school")["mvpa"].transform("mean")[absent]
    assert ((drawn.mean(axis=0) - truth) ** 2).mean() < 0.85 * ((school - truth) ** 2).mean()
    again = fit.imputations(20, seed=3)
    assert all(a.equals(b) for a, b in zip(frames, again, strict=True))
    with pytest.raises(bmsem.ModelError, match="n must lie"):
        fit.imputations(0)


def test_latent_quantities_come_back(fit):
    values = fit.latent("mvpa", "between", draws=100).mean(("chain", "draw"))
    assert values.sizes == {"cluster": 50}
    assert fit.latent("mvpa", "within", draws=5).sizes["row"] == 1000
    assert set(fit.plausible_values(5)) == {"mvpa_between", "peers_between", "advant_between"}


def test_saved_loaded_and_extended(fit, tmp_path):
    again = bmsem.load(fit.save(tmp_path / "fit.nc"))
    assert again.summary().frame.equals(fit.summary().frame)
    assert (again.bound.gaps.patterns.sum(axis=1) == fit.bound.gaps.patterns.sum(axis=1)).all()
    assert again.loo().elpd == pytest.approx(fit.loo().elpd, rel=1e-9)
    columns = list(fit.imputations(1)[0].columns)
    mine, theirs = fit.imputations(2, seed=1)[1], again.imputations(2, seed=1)[1]
    assert theirs[columns].notna().all().all()
    assert (theirs["mvpa"] == mine["mvpa"]).sum() == holes()["mvpa"].notna().sum() or (
        theirs["mvpa"].to_numpy() == pytest.approx(mine["mvpa"].to_numpy())
    )
    assert fit.extend(50).parameters.shape[1] == 1050


def test_plots_and_reports_are_drawn(fit, tmp_path):
    for name in ("cluster_means", "predictive", "residuals", "influence"):
        plot = getattr(fit.plot, name, None)
        if plot is not None:
            plot().savefig(tmp_path / f"{name}.png")
    fit.plot.context("mvpa", "advant").savefig(tmp_path / "context.png")
    report = fit.report("treat", "mvpa", figures=False)
    assert "Total effect of treat on mvpa" in str(report)


def test_the_plan_says_what_becomes_of_missing_values(fit):
    frame = holes()
    plan = trial().plan(frame)
    count = int(frame[["mvpa", "advant"]].isna().sum().sum())
    assert f"{count:,} missing values, at 4 patterns" in plan
    assert "one a pattern of missing values" in plan
    assert "4 patterns of missing values" in str(fit.bound)


def test_other_gaps_share_the_compiled_model():
    first = trial().fit(holes(2), priors="weak", draws=20, tune=50, chains=1, **QUICK)
    other = trial().fit(holes(3), priors="weak", draws=20, tune=50, chains=1, **QUICK)
    assert other.timing["compile"] == 0.0
    assert not (first.parameters == other.parameters).all()


def test_leaving_out_a_person_is_refused(fit):
    with pytest.raises(bmsem.NotSupportedError, match="Leave out clusters"):
        fit.loo("person")


# -- values that are sampled ------------------------------------------------------------------


def test_missing_values_that_a_slope_multiplies_are_sampled(sloped, tmp_path):
    cells = model_cells(sloped.bound, sloped.plan)
    m = sloped.bound.structure.outcomes.index("m")
    absent = np.isnan(sloped.bound.people.values[:, m])
    assert sloped.filled.shape == (2, 300, absent.sum())
    assert set(cells.filled[:, 1]) == {m}
    draw = np.random.default_rng(0).integers(0, 300)
    # Imputations carry these draws on.
    frames = sloped.imputations(600)
    flat = sloped.filled.reshape(600, -1)
    rows = cells.people[cells.filled[:, 0]]
    assert frames[draw]["m"].to_numpy()[rows] == pytest.approx(flat[draw])
    again = bmsem.load(sloped.save(tmp_path / "slope.nc"))
    assert (again.filled == sloped.filled).all()
    assert sloped.extend(20).filled.shape[1] == 320


def test_sampled_values_follow_what_is_known_of_the_person(sloped):
    """Who is above the cluster's mean of the outcome is so in its predictor, as a rule."""
    cells = model_cells(sloped.bound, sloped.plan)
    people = sloped.bound.people
    rows = cells.people[cells.filled[:, 0]]
    y, m = (sloped.bound.structure.outcomes.index(n) for n in "ym")
    means = sloped.bound.moments.means[people.clusters[rows]]
    drawn = sloped.filled.mean(axis=(0, 1))
    off = people.values[rows, y] - means[:, y]
    assert np.corrcoef(drawn - means[:, m], off)[0, 1] > 0.3


def test_criteria_that_would_need_their_integral_are_refused(sloped):
    for ask in (sloped.loo, sloped.waic, lambda: sloped.dic("marginal")):
        with pytest.raises(bmsem.NotSupportedError, match="Missing values of m"):
            ask()
    # What can be told is told, with the reason for the rest.
    assert "Missing values of m" in str(sloped.fit_measures())
    assert "missing values of m, which a varying slope" in sloped_plan(sloped)
    assert sloped.r_square() is not None


def sloped_plan(fit) -> str:
    from bmsem.plan import plan_text

    return plan_text(fit.bound, fit.prior_table)


# -- imputed data sets ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pooled(fit):
    return trial().fit(fit.imputations(4), priors="weak", draws=500, tune=500, **QUICK)


def test_pooled_estimates_are_those_of_the_mixture(fit, pooled):
    assert isinstance(pooled, PooledFit) and len(pooled.fits) == 4
    assert pooled.parameters.shape[:2] == (16, 500)
    every = np.concatenate([f.draws("tot") for f in pooled.fits])
    assert (pooled.draws("tot") == every).all()
    summary = pooled.summary().frame.set_index("label")
    assert summary.loc["tot", "median"] == pytest.approx(np.median(every))
    # Four imputations are few, but the posterior is about that under the likelihood.
    for name in ("p1wc", "p3bc", "tot"):
        mine, theirs = pooled.draws(name), fit.draws(name)
        assert abs(np.median(mine) - np.median(theirs)) < 0.5 * theirs.std()
    frame = pooled.standardized().frame
    assert frame["ess_bulk"].max() > 4000  # of all data sets together


def test_imputations_that_differ_are_no_lack_of_convergence(pooled):
    worst = max(f.convergence.max_rhat for f in pooled.fits)
    assert pooled.convergence.max_rhat == pytest.approx(worst)
    assert "4 imputed data sets have converged" in pooled.convergence.lines[0]
    shares = pooled.missing_information().frame.set_index("parameter")["missing_information"]
    assert shares.between(0, 1).all()
    # peers is complete, advant is not.
    assert shares["within: peers ~~ peers"] < shares["within: advant ~~ advant"]


def test_what_belongs_to_one_data_set_is_asked_of_each(pooled, tmp_path):
    for ask in (
        pooled.ppp, pooled.loo, pooled.waic, pooled.residuals, pooled.predictive_checks,
        pooled.imputations, pooled.icc, pooled.plausible_values, pooled.sample_statistics,
        lambda: pooled.save(tmp_path / "x.nc"), lambda: pooled.latent("mvpa", "between"),
    ):  # fmt: skip
        with pytest.raises(bmsem.NotSupportedError, match=r"pooled.fits\[0\]"):
            ask()
    assert not list(tmp_path.iterdir())
    measures = pooled.fit_measures().frame.set_index("measure")
    values = [f.dic_marginal.dic for f in pooled.fits]
    assert measures.loc["DIC, marginal", "value"] == pytest.approx(np.mean(values))
    assert pooled.effects("treat", "mvpa") is not None


def test_a_bad_data_set_is_named():
    good = trial().default_data()
    bad = good.drop(columns="peers")
    with pytest.raises(bmsem.DataError, match="Data set 2 of 2: 'peers' is not a column"):
        trial().fit([good, bad], draws=10, tune=10, chains=1, **QUICK)
