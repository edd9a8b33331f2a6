"""A fit: summary, draws, files, ArviZ, JSON, reproducibility, the other sampler."""

from __future__ import annotations

import json

import arviz as az
import numpy as np
import pandas as pd
import pymc as pm
import pytest
from models_and_designs import make_data

import bmsem
from bmsem import examples
from bmsem.results.statistics import (
    interval,
    one_tailed_p,
    potential_scale_reduction,
    summarise,
)


def test_every_parameter_mixes(mvpa_fit, masks_fit, hsb_fit):
    for fit in (mvpa_fit, masks_fit, hsb_fit):
        assert fit.converged
        assert fit.convergence.divergences == 0
        # 4 chains of 5,000: no parameter, intercepts included, holds the others up.
        assert fit.convergence.min_ess_bulk > 10_000


def test_summary_has_the_chapter_layout(mvpa_fit):
    text = str(mvpa_fit.summary())
    assert text.startswith("Converged: largest R-hat")
    order = ["Within Level", "mvpa ON", "peers WITH", "Residual Variances", "Between Level",
             "advant ON", "Intercepts", "New/Additional Parameters", "medadv"]  # fmt: skip
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    frame = mvpa_fit.summary().frame.set_index(["level", "lhs", "op", "rhs"])
    row = frame.loc[("between", "mvpa", "~", "advant")]
    draws = mvpa_fit.draws("p3bc")
    assert row["median"] == np.median(draws)
    assert row["p_one_tailed"] == np.mean(draws < 0)
    assert row["star"]
    assert not frame.xs("con1", level="lhs")["star"].item()


def test_interval_kinds_and_widths(mvpa_fit):
    def limits(**options):
        frame = mvpa_fit.summary(**options).frame
        return frame.loc[frame.lhs == "medadv", ["lower", "upper"]].to_numpy().ravel()

    draws = mvpa_fit.draws("medadv")
    assert limits(interval="equal") == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=1e-6)
    narrow, wide = limits(width=0.5), limits(width=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    with pytest.raises(bmsem.ModelError, match="between 0 and 1"):
        mvpa_fit.summary(width=95)
    with pytest.raises(bmsem.ModelError, match="'hpd' or 'equal'"):
        mvpa_fit.summary(interval="hdi")


def test_definitions_are_computed_draw_by_draw(mvpa_fit):
    product = mvpa_fit.draws("p1bc") * mvpa_fit.draws("p3bc")
    assert mvpa_fit.draws("medadv") == pytest.approx(product)
    with pytest.raises(bmsem.ModelError, match="Did you mean 'medadv'"):
        mvpa_fit.draws("medadvv")


def test_arviz_takes_the_tree(mvpa_fit):
    table = az.summary(mvpa_fit.data)
    assert "paths[between: mvpa ~ advant]" in table.index
    assert "defined[tot]" in table.index
    ess = az.ess(mvpa_fit.data)
    assert float(ess["paths"].min()) > 400
    assert mvpa_fit.data["sample_stats"]["diverging"].shape == (4, 5000)


def test_save_and_load(mvpa_fit, tmp_path):
    path = mvpa_fit.save(tmp_path / "fit.nc")
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]
    again = bmsem.load(path)
    assert again.spec == mvpa_fit.spec
    assert str(again) == str(mvpa_fit)
    assert str(again.standardized()) == str(mvpa_fit.standardized())
    assert again.bound.scales.sd == pytest.approx(mvpa_fit.bound.scales.sd)
    with pytest.raises(bmsem.DataError, match="There is no file"):
        bmsem.load(tmp_path / "other.nc")
    (tmp_path / "text.nc").write_text("not a fit")
    with pytest.raises(bmsem.DataError, match="not a NetCDF file"):
        bmsem.load(tmp_path / "text.nc")
    with pytest.raises(bmsem.DataError, match="cannot be written"):
        mvpa_fit.save(tmp_path / "missing" / "fit.nc")


def test_load_keeps_data_with_their_variables(tmp_path):
    """The written text may list the variables in another order than the model did."""
    frame = make_data([4, 6, 3, 5, 8, 2] * 5)
    text = "level: within\n y1 ~~ y2\n y3 ~ y4\nlevel: between\n z ~~ y2\n y3 ~ y4 + v + w\n z2 ~ w"
    fit = bmsem.model(text).fit(
        frame, cluster="cluster", draws=20, tune=20, chains=2, seed=1, progress=False
    )
    again = bmsem.load(fit.save(tmp_path / "fit.nc"))
    for one, other in ((fit, again), (again, fit)):
        assert str(one.standardized()) == str(other.standardized())
    for level in ("within", "between"):
        for name, value in fit.bound.scales.sd.items():
            if name[0] == level:
                assert again.bound.scales.sd[name] == pytest.approx(value)
    theirs = {p.full_name: again.parameters[..., p.index] for p in again.bound.structure.parameters}
    for p in fit.bound.structure.parameters:
        assert theirs[p.full_name] == pytest.approx(fit.parameters[..., p.index])


def test_json_has_every_key(mvpa_fit):
    found = json.loads(json.dumps(mvpa_fit.to_json(), allow_nan=False))
    assert found["data"] == {
        "rows": 1000, "clusters": 50, "cluster_size": {"min": 20, "max": 20, "mean": 20.0}
    }  # fmt: skip
    assert found["settings"]["priors"] == "mplus"
    keys = {"level", "lhs", "op", "rhs", "label", "fixed", "median", "mean", "sd", "p_one_tailed",
            "hdi", "rhat", "psr", "ess_bulk", "ess_tail"}  # fmt: skip
    for part in ("parameters", "standardized"):
        assert all(set(row) == keys for row in found[part])
    tot = next(row for row in found["parameters"] if row["lhs"] == "tot")
    assert tot["op"] == ":="
    assert tot["level"] is None
    assert None not in found["fit"].values()
    assert found["fit"]["dic"] > found["fit"]["dic_conditional"]
    assert found["descriptives"]["icc"]["mvpa"] == pytest.approx(0.461, abs=0.001)
    assert found["implied"]["within"]["correlations"]["mvpa,peers"] == pytest.approx(
        0.475, abs=0.01
    )
    assert bmsem.model(found["model"]).spec == mvpa_fit.spec


def test_standardised_values_are_the_definition(mvpa_fit):
    """By hand from the draws: the path times the ratio of implied standard deviations."""
    v = {n: mvpa_fit.draws(f"between: {n} ~~ {n}") for n in ("mvpa", "advant", "peers")}
    cov = mvpa_fit.draws("between: advant ~~ peers")
    treat = np.repeat([0.0, 1.0], 25).var()
    p1, p2, p3, p4 = (mvpa_fit.draws(f"p{i}bc") for i in (1, 2, 3, 4))
    advant, peers = v["advant"] + p1**2 * treat, v["peers"] + p2**2 * treat
    both = cov + p1 * p2 * treat
    mvpa = p3**2 * advant + p4**2 * peers + 2 * p3 * p4 * both + v["mvpa"]
    frame = mvpa_fit.standardized().frame.set_index(["level", "lhs", "op", "rhs"])
    by_hand = np.median(p3 * np.sqrt(advant / mvpa))
    assert frame.loc[("between", "mvpa", "~", "advant"), "median"] == pytest.approx(by_hand)
    square = mvpa_fit.r_square().set_index(["level", "variable"])
    by_hand = np.median(1 - v["mvpa"] / mvpa)
    assert square.loc[("between", "mvpa"), "median"] == pytest.approx(by_hand)


SMALL = """
level: within
  y1 ~ b*y2
level: between
  y1 ~ y2 + w
"""


@pytest.fixture(scope="module")
def frame():
    return make_data([4, 6, 3, 5, 8, 2] * 5)


def test_same_seed_same_draws_and_new_data_reuse_the_compiled_model(frame):
    model = bmsem.model(SMALL)
    options = {"cluster": "cluster", "draws": 100, "tune": 200, "chains": 2, "progress": False}
    one = model.fit(frame, seed=5, **options)
    two = model.fit(frame, seed=5, **options)
    assert one.parameters == pytest.approx(two.parameters)
    assert two.timing["compile"] == 0.0
    other = model.fit(frame.assign(y1=frame.y1 * 3.0), seed=5, **options)
    assert other.timing["compile"] == 0.0
    assert np.median(other.draws("b")) == pytest.approx(3 * np.median(one.draws("b")), rel=0.2)


def test_pymc_sampler_agrees_with_nutpie(frame):
    model = bmsem.model(SMALL)
    options = {"cluster": "cluster", "draws": 1500, "tune": 700, "chains": 2, "seed": 3}
    fits = [model.fit(frame, sampler=s, progress=False, **options) for s in ("nutpie", "pymc")]
    for parameter in fits[0].bound.structure.parameters:
        a, b = (f.parameters[..., parameter.index] for f in fits)
        assert abs(a.mean() - b.mean()) < 0.15 * a.std()
        assert a.std() == pytest.approx(b.std(), rel=0.15)


def test_sampled_and_integrated_intercepts_agree(frame):
    bound = bmsem.model(SMALL).bind(frame, cluster="cluster")
    from bmsem.priors import prior_table
    from bmsem.sampling import sample

    runs = [
        sample(bound, prior_table(bound, "weak", sample_intercepts=s), seed=1, draws=3000,
               chains=2, progress=False)
        for s in (False, True)
    ]  # fmt: skip
    for i in range(runs[0].parameters.shape[-1]):
        a, b = (r.parameters[..., i] for r in runs)
        assert abs(a.mean() - b.mean()) < 0.12 * a.std()
        assert a.std() == pytest.approx(b.std(), rel=0.1)


def test_a_user_can_extend_the_pymc_model(frame):
    model = bmsem.model(SMALL).to_pymc(
        frame, cluster="cluster", priors={"b": pm.StudentT.dist(nu=4, mu=0, sigma=1)}
    )
    assert {"paths", "b", "parameters"} <= {v.name for v in model.free_RVs + model.deterministics}
    assert list(model.coords["parameter"])[:1] == ["b"]
    with model:
        parameters = model["parameters"]
        pm.Potential("belief", pm.logp(pm.Normal.dist(0.0, 1e-3), parameters[0]))
        trace = pm.sample(300, tune=300, chains=1, random_seed=1, progressbar=False,
                          compute_convergence_checks=False)  # fmt: skip
    assert abs(float(trace["posterior"]["b"].mean())) < 0.01


def test_single_level_regression_has_the_textbook_posterior():
    """With flat priors the slopes are multivariate t about the least-squares estimates."""
    random = np.random.default_rng(4)
    x = random.normal(size=(80, 2)) + 4.0
    y = 1.0 + x @ [0.5, -1.0] + random.normal(size=80)
    frame = pd.DataFrame({"y": y, "x1": x[:, 0], "x2": x[:, 1]})
    fit = bmsem.model("y ~ a*x1 + b*x2").fit(
        frame, priors="mplus", draws=4000, seed=1, progress=False
    )
    design = np.column_stack([np.ones(80), x])
    estimate, rest = np.linalg.lstsq(design, y, rcond=None)[:2]
    # A uniform prior on the variance leaves n - k - 2 degrees of freedom for it.
    freedom = 80 - 3 - 2
    spread = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * rest[0] / (freedom - 2))
    for name, mean, sd in zip(("y ~ 1", "a", "b"), estimate, spread, strict=True):
        draws = fit.draws(name)
        assert abs(draws.mean() - mean) < 0.05 * sd
        assert draws.std() == pytest.approx(sd, rel=0.03)


def test_an_unconverged_fit_says_so():
    model = bmsem.read_mplus(examples.path("mvpa", "table_25_3.inp"))
    fit = model.fit(draws=10, tune=5, chains=2, seed=1, progress=False)
    assert not fit.converged
    assert "NOT CONVERGED" in str(fit).splitlines()[0]
    assert "run longer" in str(fit)


def test_statistics_of_known_draws():
    draws = np.linspace(-1, 3, 4000)[np.random.default_rng(0).permutation(4000)].reshape(4, 1000)
    assert one_tailed_p(draws, 1.0) == pytest.approx(0.25, abs=1e-3)
    assert one_tailed_p(draws, -1.0) == pytest.approx(0.75, abs=1e-3)
    assert interval(draws, 0.5, "equal") == pytest.approx((0.0, 2.0), abs=2e-3)
    assert summarise(draws)["rhat"] == pytest.approx(1.0, abs=0.01)
    # Chains with means 0, 0, 1, 1 and unit variance: sqrt((W + B) / W) with B = 1/3.
    base = np.random.default_rng(1).normal(size=(4, 20_000))
    base = (base - base[:, 10_000:].mean(1, keepdims=True)) / base[:, 10_000:].std(1, ddof=1)[
        :, None
    ]
    shifted = base + np.array([0.0, 0.0, 1.0, 1.0])[:, None]
    assert potential_scale_reduction(shifted) == pytest.approx(np.sqrt(4 / 3))


def test_start_values_must_be_positive_definite(frame):
    text = "y1 ~~ start(9)*y2\ny1 ~~ y1\ny2 ~~ y2"
    with pytest.raises(bmsem.SamplingError, match=r"not positive definite.*y1 ~~ y2 = 9"):
        bmsem.model(text).fit(frame.assign(y1=frame.y1), progress=False)
