"""What a fit says of itself: against the chapter's output, and at the edges."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from models_and_designs import make_data

import bmsem
from bmsem import examples
from bmsem.results.convergence import kolmogorov_smirnov, psr_by_iteration

TABLES = {"mvpa": "mvpa_fit", "masks": "masks_fit"}


@pytest.mark.parametrize("example", TABLES)
def test_published_predictive_check(example, published, request):
    """PPP, and its interval: Mplus replicates treat as well, which widens its interval by about 1."""
    printed = published[example]["bayes"]
    found = request.getfixturevalue(TABLES[example]).ppp()
    assert found.value == pytest.approx(printed["ppp"], abs=0.03)
    assert found.interval == pytest.approx(printed["ppp_chisq_difference_95"], abs=1.5)


def test_published_dic_is_the_conditional_one(mvpa_fit, published):
    printed = published["mvpa"]["bayes"]["dic"]
    conditional, marginal = mvpa_fit.dic("conditional"), mvpa_fit.dic()
    assert conditional.dic == pytest.approx(printed, abs=3)
    # 50 schools with three effects each, and the within parameters; 17 parameters.
    assert conditional.p_d == pytest.approx(150, abs=6)
    assert marginal.p_d == pytest.approx(17, abs=2)
    assert marginal.dic - conditional.dic > 300
    assert "given the cluster effects" in str(conditional)
    assert "integrated out" in str(marginal)


@pytest.mark.parametrize("example", TABLES)
def test_published_psr(example, request):
    fit = request.getfixturevalue(TABLES[example])
    assert fit.convergence.max_psr < 1.005
    by_iteration = fit.tech8().frame
    assert by_iteration["iteration"].iloc[-1] == fit.parameters.shape[1]
    assert by_iteration["psr"].iloc[-1] == pytest.approx(fit.convergence.max_psr)
    assert by_iteration["parameter"].iloc[-1] == fit.convergence.max_psr_of
    assert fit.kolmogorov_smirnov().frame["p_adjusted"].min() > 0.05


@pytest.mark.parametrize("level", ["within", "between"])
def test_published_implied_correlations(level, mvpa_fit, published):
    printed = published["mvpa"]["bayes"]["implied_correlations"][level]
    frame = mvpa_fit.residuals().frame
    frame = frame[(frame["level"] == level) & (frame["moment"] == "correlation")]
    found = {frozenset((r["variable"], r["with"])): r["median"] for r in frame.to_dict("records")}
    for pair, value in printed.items():
        assert found[frozenset(pair.split(","))] == pytest.approx(value, abs=0.01), pair


@pytest.mark.parametrize("level", ["within", "between"])
def test_published_observed_correlations_beside_them(level, mvpa_fit, published):
    printed = published["mvpa"]["descriptives"][f"{level}_correlations"]
    frame = mvpa_fit.residuals().frame
    frame = frame[(frame["level"] == level) & (frame["moment"] == "correlation")]
    rows = {frozenset((r["variable"], r["with"])): r for r in frame.to_dict("records")}
    for pair, value in printed.items():
        row = rows[frozenset(pair.split(","))]
        assert row["observed"] == pytest.approx(value, abs=0.01), pair
        assert row["difference"] == pytest.approx(row["observed"] - row["median"])


def test_icc_beside_the_published(mvpa_fit, published):
    frame = mvpa_fit.icc().frame
    rows = frame[frame["what"] == "icc"].set_index("variable")
    for name, value in published["mvpa"]["descriptives"]["icc"].items():
        assert rows.loc[name, "ml"] == pytest.approx(value, abs=0.01)
        between = mvpa_fit.draws(f"between: {name} ~~ {name}")
        assert rows.loc[name, "lower"] < value < rows.loc[name, "upper"]
        assert between.min() > 0
    # By hand: advant's residual between variance over itself and the within variance.
    b = mvpa_fit.draws("between: advant ~~ advant")
    w = mvpa_fit.draws("within: advant ~~ advant")
    left = frame[(frame["variable"] == "advant") & (frame["what"] == "given covariates")]
    assert left["median"].iloc[0] == pytest.approx(np.median(b / (b + w)))


def test_everything_after_sampling_is_quick(mvpa_fit):
    """4,000 draws; the target is five seconds in all and two for the PPP, here with room to spare."""
    from dataclasses import replace

    fit = replace(mvpa_fit, parameters=mvpa_fit.parameters[:, :1000], sample_stats={})
    started = time.perf_counter()
    fit.ppp()
    ppp = time.perf_counter() - started
    fit.to_json()
    for level in ("between", "within"):
        fit.latent("mvpa", level=level, draws=100)
    assert ppp < 4
    assert time.perf_counter() - started < 12


def test_arviz_takes_the_log_likelihood(mvpa_fit):
    import arviz as az

    found = az.loo(mvpa_fit.data, var_name="marginal")
    mine = mvpa_fit.loo()
    assert mine.unit == "cluster"
    assert found.elpd == pytest.approx(mine.elpd, abs=0.05)
    assert found.se == pytest.approx(mine.se, abs=0.05)
    assert mine.pointwise.index.name == "school"
    assert mvpa_fit.waic().elpd == pytest.approx(mine.elpd, abs=0.5)


def test_predictive_checks_find_what_is_wrong(hsb):
    """A model that leaves out the relation of two variables between schools."""
    text = "level: within\n math ~~ ses\nlevel: between\n math ~~ 0*ses"
    fit = bmsem.model(text).fit(hsb, cluster="school", draws=500, seed=1, progress=False)
    checks = fit.predictive_checks().frame
    row = checks[(checks["level"] == "between") & (checks["moment"] == "correlation")].iloc[0]
    assert row["ppp"] in (0.0, 1.0)
    within = checks[(checks["level"] == "within") & (checks["moment"] == "correlation")].iloc[0]
    assert 0.05 < within["ppp"] < 0.95
    ppp = fit.ppp()
    assert ppp.at("between") == 0.0
    assert ppp.at("overall") == 0.0
    assert ppp.at("within") > 0.05
    indices = fit.fit_indices().frame.set_index(["part", "index"])["median"]
    assert indices["between", "BRMSEA"] > 0.3
    # Within, the model is saturated: nothing is left that could misfit.
    assert np.isnan(indices["within", "BRMSEA"])
    assert indices["between", "BCFI"] < 0.3


def test_unbalanced_predictive_check_is_quick_and_near_one_half(hsb_fit):
    started = time.perf_counter()
    found = hsb_fit.ppp()
    assert time.perf_counter() - started < 20
    # A just-identified model reproduces every moment.
    assert found.value == pytest.approx(0.5, abs=0.05)


def test_compare(hsb):
    full = "level: within\n math ~ ses\nlevel: between\n math ~ ses"
    none = "level: within\n math ~ ses\nlevel: between\n math ~ 0*ses"
    options = {"cluster": "school", "draws": 500, "seed": 1, "progress": False}
    fits = {"none": bmsem.model(none).fit(hsb, **options),
            "full": bmsem.model(full).fit(hsb, **options)}  # fmt: skip
    table = bmsem.compare(fits)
    assert table.frame["model"].to_list() == ["full", "none"]
    assert table.frame["elpd_difference"].iloc[0] == 0
    assert table.frame["elpd_difference"].iloc[1] < -3 * table.frame["se_difference"].iloc[1]
    other = bmsem.model(full).fit(hsb[hsb["school"] != hsb["school"].iloc[0]], **options)
    with pytest.raises(bmsem.ModelError, match="cannot be compared: they have 7,185 rows"):
        bmsem.compare({"a": fits["full"], "b": other})
    changed = bmsem.model(full).fit(hsb.assign(math=hsb["math"] + 1.0), **options)
    with pytest.raises(bmsem.ModelError, match="'math' has other values"):
        bmsem.compare({"a": fits["full"], "b": changed})
    with pytest.raises(bmsem.ModelError, match="at least two"):
        bmsem.compare({"a": fits["full"]})


def test_leaving_out_a_cluster_agrees_with_refits():
    """Exact leave-one-cluster-out on 20 clusters: elpd within 0.5.

    With 4 x 4,000 draws, because importance weights of influential clusters are heavy-tailed: with
    4 x 1,000 the Monte Carlo error alone comes near to the half.
    """
    frame = make_data([6] * 20)
    text = "level: within\n y1 ~ b*y2\nlevel: between\n y1 ~ c*y2 + w\n y2 ~ w"
    model = bmsem.model(text)
    options = {"cluster": "cluster", "draws": 1000, "tune": 500, "seed": 1, "progress": False}
    whole = model.fit(frame, **(options | {"draws": 4000}))
    found = whole.loo()
    exact = 0.0
    for i, name in enumerate(whole.bound.cluster_ids):
        from bmsem.likelihood.reduced import (
            cluster_log_likelihood,
            cluster_rows,
            reduced_form,
        )

        # Weak priors are scaled by the data: those of the whole data are what is left out from.
        priors = {r.parameter.full_name: r.prior for r in whole.prior_table.rows if r.prior}
        rest = model.fit(frame[frame["cluster"] != name], priors=priors, **options)
        assert rest.bound.structure.outcomes == whole.bound.structure.outcomes
        value = cluster_log_likelihood(
            reduced_form(whole.bound, rest.flat_parameters), cluster_rows(whole.bound)
        )[:, i]
        exact += np.logaddexp.reduce(value) - np.log(len(value))
    assert found.elpd == pytest.approx(exact, abs=0.5)


def test_leaving_out_a_person(mvpa_fit):
    found = mvpa_fit.loo("person")
    assert found.unit == "person"
    assert len(found.pointwise) == 1000
    assert found.ic < mvpa_fit.loo().ic
    with pytest.raises(bmsem.ModelError, match="Unknown unit 'school'"):
        mvpa_fit.loo("school")


# -- convergence --------------------------------------------------------------------------------


def test_psr_by_iteration_is_the_definition():
    random = np.random.default_rng(1)
    draws = {"a": random.normal(size=(3, 400)), "b": random.normal([[0], [1], [2]], size=(3, 400))}
    found = psr_by_iteration(draws, 4)
    assert found["iteration"].to_list() == [100, 200, 300, 400]
    assert set(found["parameter"]) == {"b"}
    half = draws["b"][:, 150:300]
    w, b = half.var(axis=1, ddof=1).mean(), half.mean(axis=1).var(ddof=1)
    assert found["psr"].iloc[2] == pytest.approx(np.sqrt((w + b) / w))


def test_kolmogorov_smirnov_finds_the_chain_that_differs():
    random = np.random.default_rng(1)
    draws = {"same": random.normal(size=(4, 1000)),
             "other": random.normal([[0], [0], [0], [1.5]], size=(4, 1000))}  # fmt: skip
    found = kolmogorov_smirnov(draws).set_index("parameter")
    assert found.loc["same", "p_adjusted"] > 0.05
    assert found.loc["other", "p_adjusted"] < 1e-4


@pytest.fixture(scope="module")
def small():
    frame = make_data([4, 6, 3, 5, 8, 2] * 6)
    text = "level: within\n y1 ~ y2\nlevel: between\n y1 ~ y2 + w\n y2 ~ w"
    return bmsem.model(text), frame


def fit_small(small, **options):
    model, frame = small
    settings = {"cluster": "cluster", "draws": 300, "tune": 300, "chains": 2, "seed": 1,
                "progress": False} | options  # fmt: skip
    return model.fit(frame, **settings)


def test_extend_goes_on(small, tmp_path):
    fit = fit_small(small)
    longer = fit.extend(200)
    assert longer.parameters.shape[1] == 500
    assert longer.settings["draws"] == 500
    assert (longer.parameters[:, :300] == fit.parameters).all()
    assert longer.sample_stats["diverging"].shape == (2, 500)
    # Going on from where the chains were: no jump, and the same distribution.
    new, old = longer.parameters[:, 300:], fit.parameters
    error = np.sqrt(old.var(axis=(0, 1)) * (1 / 150 + 1 / 100))
    assert (np.abs(new.mean(axis=(0, 1)) - old.mean(axis=(0, 1))) < 5 * error).all()
    assert (fit.extend(200).parameters == longer.parameters).all()
    assert not (fit.extend(201).parameters[:, 500:] == longer.parameters[:, -1:]).all()
    again = bmsem.load(fit.save(tmp_path / "fit.nc"))
    assert again.extend(200).parameters == pytest.approx(longer.parameters)
    with pytest.raises(bmsem.ModelError, match="at least 1"):
        fit.extend(0)


def test_each_chain_starts_from_its_own_last_draw(small):
    """With hardly any steps taken, chains stay near to where they were put."""
    from bmsem.priors import prior_table
    from bmsem.sampling import sample

    model, frame = small
    bound = model.bind(frame, cluster="cluster")
    fit = fit_small(small)
    far = fit.parameters[:, -1].copy()
    place = [p.full_name for p in bound.structure.parameters].index("within: y1 ~ y2")
    far[0, place] += 30.0
    far[1, place] -= 30.0
    found = sample(
        bound, prior_table(bound), draws=1, tune=1, chains=2, seed=1, progress=False,
        start_from=far, max_depth=1,
    )  # fmt: skip
    assert found.parameters[0, 0, place] > 10
    assert found.parameters[1, 0, place] < -10


def test_a_fit_whose_prior_cannot_be_stored_says_so(small, tmp_path):
    import pymc as pm

    fit = fit_small(small, priors={"between: y1 ~ w": pm.Normal.dist(0, 1)}, draws=50)
    assert fit.extend(50).parameters.shape[1] == 100
    with pytest.raises(bmsem.ModelError, match="stored without its priors"):
        bmsem.load(fit.save(tmp_path / "fit.nc")).extend(10)


def test_until_a_criterion_is_met(small):
    lines = []
    fit = fit_small(small, draws=50, until="ess>400", progress=lines.append)
    assert min(fit.convergence.min_ess_bulk, fit.convergence.min_ess_tail) > 400
    assert fit.settings["until_met"]
    assert any("wanted ess>400" in line for line in lines)
    short = fit_small(small, draws=50, until="ess>100000", max_draws=120, progress=lines.append)
    assert short.parameters.shape[1] == 120
    assert not short.settings["until_met"]
    assert "Stopped at 120 draws" in lines[-1]


@pytest.mark.parametrize(
    ("until", "message"),
    [
        ("psr", "is not a condition"),
        ("psr>1.01", "points the wrong way"),
        ("prs<1.01", "Unknown figure 'prs'.*psr"),
        ("ess>4.4.4", "is not a number"),
    ],
)
def test_conditions_that_cannot_be_read(small, until, message):
    with pytest.raises(bmsem.ModelError, match=message):
        fit_small(small, until=until)


def test_interrupting_the_extension_keeps_the_draws(small, monkeypatch):
    from bmsem.fit import Fit
    from bmsem.results import extension

    fit = fit_small(small, draws=50)

    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Fit, "extend", interrupt)
    found = extension.extend_until(fit, "ess>100000", 1000)
    assert found.parameters.shape == fit.parameters.shape
    assert not found.complete
    assert "interrupted" in str(found.convergence)


# -- edges --------------------------------------------------------------------------------------

QUIET = pytest.mark.filterwarnings("error")


@QUIET
@pytest.mark.parametrize(
    "options",
    [
        {"chains": 1, "draws": 1500},
        {"draws": 4},
        {"draws": 4, "chains": 1},
        {"draws": 1, "chains": 1},
    ],
)
def test_one_chain_and_four_draws(small, options):
    """Right, or not a number with a reason; never a storm of warnings."""
    fit = fit_small(small, **options)
    found = fit.to_json()
    if options.get("draws", 300) <= 4:
        assert not fit.converged
        assert found["fit"]["elpd_loo"] is None
        with pytest.raises(bmsem.DataError, match="at least 25 draws"):
            fit.loo()
    else:
        assert "single chain" in str(fit.convergence)
    if options.get("chains") == 1:
        assert found["fit"]["max_psr"] is None
        assert not len(fit.tech8().frame)
    str(fit), str(fit.fit_measures()), str(fit.predictive_checks()), str(fit.kolmogorov_smirnov())
    assert fit.latent("y1", level="between").shape[-1] == 36


@QUIET
def test_no_degrees_of_freedom(hsb_fit):
    """A just-identified model: the chi-square is all sampling error, and the indices say so."""
    notes = " ".join(hsb_fit.fit_indices(null=False).notes)
    frame = hsb_fit.fit_indices(null=False).frame.set_index(["part", "index"])
    assert "p* =" in notes
    assert frame.loc[("within", "BGammaHat"), "median"] == pytest.approx(1.0, abs=0.01)


@QUIET
@pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")
def test_clusters_of_one_member():
    frame = make_data([1, 1, 4, 1, 6, 2, 1, 3, 3, 5, 1, 2] * 2)
    model = bmsem.model("level: within\n y1 ~ y2\nlevel: between\n y1 ~ y2\n y2 ~ w")
    fit = model.fit(frame, cluster="cluster", draws=200, chains=2, seed=1, progress=False)
    assert 0.02 < fit.ppp().value < 0.98
    assert np.isfinite(fit.loo("person").elpd)
    assert np.isfinite(fit.dic("conditional").dic)
    assert np.isfinite(fit.latent("y1", level="within").values).all()


def test_a_model_without_levels(tmp_path):
    frame = make_data([3] * 30)
    fit = bmsem.model("f =~ y1 + y2 + y3 + y4\nf ~ w").fit(
        frame, draws=300, chains=2, seed=1, progress=False
    )
    assert fit.ppp().table["part"].to_list() == ["overall"]
    assert fit.dic_conditional is None
    with pytest.raises(bmsem.ModelError, match="no cluster effects"):
        fit.dic("conditional")
    with pytest.raises(bmsem.ModelError, match="Unknown DIC 'mplus'"):
        fit.dic("mplus")
    with pytest.raises(bmsem.ModelError, match="no intraclass correlations"):
        fit.icc()
    with pytest.raises(bmsem.ModelError, match="No 'within' part"):
        fit.ppp().at("within")
    assert fit.loo().unit == "row"
    assert fit.latent("f").dims == ("chain", "draw", "row")
    assert set(fit.plausible_values(3).data_vars) == {"f"}
    again = bmsem.load(fit.save(tmp_path / "fit.nc"))
    assert str(again.fit_measures()) == str(fit.fit_measures())


def test_standardised_in_three_ways():
    frame = make_data([3] * 40)
    fit = bmsem.model("f =~ y1 + y2 + y3\nz ~ b*f + c*w\nf ~~ f").fit(
        frame, draws=300, chains=2, seed=1, progress=False
    )
    b, c = fit.draws("b"), fit.draws("c")
    factor = fit.draws("f ~~ f")
    w = frame["w"].var(ddof=0)
    total = fit.draws("z ~~ z") + b**2 * factor + c**2 * w

    def value(how: str, rhs: str) -> float:
        table = fit.standardized(how=how).frame
        return table[(table["op"] == "~") & (table["rhs"] == rhs)]["median"].iloc[0]

    assert value("stdyx", "f") == pytest.approx(np.median(b * np.sqrt(factor / total)))
    assert value("stdyx", "w") == pytest.approx(np.median(c * np.sqrt(w / total)))
    assert value("stdy", "f") == pytest.approx(np.median(b * np.sqrt(factor / total)))
    assert value("stdy", "w") == pytest.approx(np.median(c / np.sqrt(total)))
    assert value("std", "f") == pytest.approx(np.median(b * np.sqrt(factor)))
    assert value("std", "w") == pytest.approx(np.median(c))
    # The marker's loading is fixed, but standardised it has a posterior.
    table = fit.standardized().frame
    marker = table[(table["op"] == "=~") & (table["rhs"] == "y1")].iloc[0]
    assert 0 < marker["median"] <= 1
    assert marker["sd"] > 0
    with pytest.raises(bmsem.ModelError, match="Unknown standardisation"):
        fit.standardized(how="xyz")


def test_parameter_numbers_and_sample_statistics(mvpa_fit):
    numbers = mvpa_fit.parameter_specification().frame
    assert numbers["number"].to_list() == list(range(1, 18))
    assert (numbers["prior"] != "").all()
    frame = mvpa_fit.sample_statistics().frame
    row = frame[(frame["level"] == "between") & (frame["moment"] == "mean")].iloc[0]
    assert row["estimate"] == pytest.approx(62.998, abs=0.01)


def test_outputs_of_the_command_line(tmp_path, capsys):
    from bmsem.cli import OUTPUTS, main

    arguments = [
        "run",
        str(examples.path("mvpa", "table_25_3.inp")),
        "--seed",
        "1",
        "--draws",
        "300",
    ]
    assert main(arguments) in (0, 1)
    shown = capsys.readouterr().out
    for heading in ("Model fit", "Standardised estimates (STDYX", "Implied and observed moments",
                    "Implied moments (TECH4)", "Potential scale reduction by iteration",
                    "DIC, marginal", "DIC, conditional", "as Mplus prints it"):  # fmt: skip
        assert heading in shown
    assert "STDY:" not in shown
    every = [name for name in OUTPUTS if name != "standards"]
    assert main([*arguments, "--output", *every]) in (0, 1)
    shown = capsys.readouterr().out
    for heading in ("STDY:", "STD:", "SAMPSTAT", "TECH1", "Bayesian fit indices", "Intraclass",
                    "Contextual effects", "Cohen's d"):  # fmt: skip
        assert heading in shown


def test_descriptives_of_an_input_file(tmp_path, capsys):
    from bmsem.cli import main

    out = tmp_path / "out.json"
    assert main(["run", str(examples.path("mvpa", "table_25_4.inp")), "--json", str(out)]) == 0
    assert "ESTIMATED SAMPLE STATISTICS FOR WITHIN" in capsys.readouterr().out
    found = pd.read_json(out, typ="series")["descriptives"]
    assert found["icc"]["peers"] == pytest.approx(0.565, abs=0.001)
    assert main(["run", str(examples.path("mvpa", "table_25_4.inp")), "--save", "x.nc"]) == 2
    with pytest.raises(bmsem.ModelError, match=r"bmsem.describe\('table_25_4.inp'\)"):
        bmsem.read_mplus(examples.path("mvpa", "table_25_4.inp"))


def test_too_few_clusters_for_the_unrestricted_model():
    """Refused with the reason, and left out of the JSON, which is written all the same."""
    frame = make_data([5, 6, 7, 8])
    text = "level: within\n y1 ~~ y1\nlevel: between\n z ~ w\n z2 ~ w\n y1 ~ z"
    with pytest.warns(bmsem.DataWarning):
        fit = bmsem.model(text).fit(
            frame, cluster="cluster", draws=200, chains=2, seed=1, progress=False
        )
    with pytest.raises(bmsem.DataError, match="4 clusters are too few"):
        fit.ppp()
    assert fit.to_json()["fit"]["ppp"] is None
    str(fit.fit_measures())


def test_observed_moments_of_within_only_variables_are_those_of_describe():
    """They have no between part: what differs between clusters counts within."""
    random = np.random.default_rng(5)
    code = np.repeat(np.arange(40), 12)
    x = 0.8 * random.normal(size=40)[code] + random.normal(size=480)
    v = 0.8 * x + random.normal(size=480)
    y = random.normal(size=40)[code] + 0.5 * v + random.normal(size=480)
    frame = pd.DataFrame({"x": x, "v": v, "y": y, "g": code})
    text = "within: x, v\nlevel: within\n v ~ x\n y ~ v\nlevel: between\n y ~~ y"
    fit = bmsem.model(text).fit(frame, cluster="g", draws=100, chains=2, seed=1, progress=False)
    mine = fit.sample_statistics().frame
    mine = mine[(mine["level"] == "within") & (mine["moment"] == "covariance")]
    theirs = bmsem.describe(frame, "g", ["x", "v", "y"], within=["x", "v"]).within.covariance
    for row in mine.to_dict("records"):
        expected = theirs.loc[row["variable"], row["with"]]
        assert row["estimate"] == pytest.approx(expected, rel=1e-6), row


def test_a_saturated_part_has_no_fit_index():
    frame = make_data([5] * 30)
    fit = bmsem.model("level: within\n y1 ~~ y1\nlevel: between\n y1 ~ w").fit(
        frame, cluster="cluster", draws=500, seed=1, progress=False
    )
    table = fit.fit_indices()
    found = table.frame.set_index(["part", "index"])["median"]
    assert np.isnan(found["between", "BRMSEA"])
    assert "no degrees of freedom are left" in " ".join(table.notes)


def test_interrupting_the_warm_up_of_an_extension_keeps_the_fit(small, monkeypatch):
    from bmsem.errors import Interrupted
    from bmsem.results import extension

    fit = fit_small(small, draws=50)
    for raised in (KeyboardInterrupt(), Interrupted("before any chain")):

        def stop(*args, raised=raised, **options):
            raise raised

        monkeypatch.setattr(extension, "sample", stop)
        found = fit.extend(100)
        assert not found.complete
        assert (found.parameters == fit.parameters).all()
        found = extension.extend_until(fit, "ess>100000", 1000)
        assert (found.parameters == fit.parameters).all()


def test_replicates_do_not_repeat_data_simulated_with_the_fit_s_seed():
    """The first normal deviates of a generator are an obvious choice for data."""
    random = np.random.default_rng(1)
    frame = pd.DataFrame({"x": random.normal(size=80)})
    frame["y"] = frame["x"] + random.normal(size=80)
    fit = bmsem.model("y ~ x").fit(frame, draws=100, tune=200, chains=2, seed=1, progress=False)
    _, replicated = fit.ppp().draws.pair("overall")
    assert np.isfinite(replicated).all()
    # Chi-square with three degrees of freedom: intercept, slope and variance.
    assert replicated.mean() == pytest.approx(3.0, abs=0.7)
