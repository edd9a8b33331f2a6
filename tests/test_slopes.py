"""Varying slopes and between-level products: the chapter's tables, recovered slopes, criteria."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from models_and_designs import make_data

import bmsem
from bmsem import examples
from bmsem.results.statistics import summarise


def row_name(level: str, printed: str) -> str:
    if level == "new":
        return printed
    left, word, right = printed.split()
    return f"{level}: {left} {'=~' if word == 'BY' else '~'} {right}"


@pytest.mark.parametrize("example", ["invariance", "moderation"])
def test_published_posterior(example, published, request):
    fit = request.getfixturevalue(example)
    assert fit.converged
    for level in ("within", "between", "new"):
        for printed, row in published[example]["bayes"].get(level, {}).items():
            median, sd, _, lower, upper = row
            found = summarise(fit.draws(row_name(level, printed)))
            assert found["median"] == pytest.approx(median, abs=0.1 * sd), printed
            assert found["sd"] == pytest.approx(sd, rel=0.08), printed
            assert found["lower"] == pytest.approx(lower, abs=0.25 * sd), printed
            assert found["upper"] == pytest.approx(upper, abs=0.25 * sd), printed


def test_published_fit_of_table_25_8(invariance, published):
    printed = published["invariance"]["bayes"]
    assert invariance.ppp().value == pytest.approx(printed["ppp"], abs=0.05)
    assert invariance.ppp().interval == pytest.approx(printed["ppp_chisq_difference_95"], abs=2.5)


def test_published_r_square_of_table_25_9(moderation, published):
    median, sd, *_ = published["moderation"]["bayes"]["r_square"]["between"]["lyb"]
    frame = moderation.r_square().set_index(["level", "variable"])
    assert frame.loc[("between", "lyb"), "median"] == pytest.approx(median, abs=0.15 * sd)


def test_published_slope_of_table_25_5(varying, published):
    printed = published["mvpa"]["varying_slope"]["between"]
    for name, key in (("between: vs1 ~ 1", "mean vs1"), ("between: vs1 ~~ vs1", "variance vs1")):
        median, sd, _, lower, upper = printed[key]
        found = summarise(varying.draws(name))
        assert found["median"] == pytest.approx(median, abs=0.1 * sd)
        assert found["sd"] == pytest.approx(sd, rel=0.1)
        assert found["lower"] == pytest.approx(lower, abs=0.2 * sd)
        assert found["upper"] == pytest.approx(upper, abs=0.25 * sd)
    assert varying.convergence.divergences == 0
    assert varying.convergence.max_rhat < 1.01


def test_conditional_dic_of_table_25_5(varying, mvpa_fit, published):
    found = varying.dic("conditional").dic
    assert found == pytest.approx(published["mvpa"]["varying_slope"]["dic"], abs=3)
    assert found - mvpa_fit.dic("conditional").dic == pytest.approx(3.6, abs=1.5)
    table = bmsem.compare({"varying": varying, "fixed": mvpa_fit})
    assert table.frame["model"].iloc[0] == "fixed"


@pytest.mark.parametrize(
    ("example", "table"), [("mvpa", "5"), ("invariance", "8"), ("moderation", "9")]
)
def test_formula_twins_are_the_same_model(example, table):
    given = bmsem.read_mplus(examples.path(example, f"table_25_{table}.inp"))
    twin = bmsem.model(examples.path(example, f"table_25_{table}.bms"))
    mine = {(p.key, p.fixed) for p in given.bind().spec.parameters}
    theirs = {(p.key, p.fixed) for p in twin.bind(given.default_data()).spec.parameters}
    assert mine == theirs


@pytest.mark.parametrize("example", ["invariance", "moderation"])
def test_data_are_rebuilt_byte_for_byte(example, tmp_path):
    import shutil
    import subprocess
    import sys

    root = examples.path(example).parent
    for source in (root / "exact.py", examples.path(example)):
        target = tmp_path / source.name
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    (tmp_path / example / f"{example}.dat").unlink()
    subprocess.run([sys.executable, str(tmp_path / example / "rebuild.py")], check=True)
    made = (tmp_path / example / f"{example}.dat").read_text().split()
    kept = (root / example / f"{example}.dat").read_text().split()
    assert [float(v) for v in made] == pytest.approx([float(v) for v in kept], abs=2e-6)


def test_the_plan_says_what_is_sampled(varying):
    model = bmsem.read_mplus(examples.path("mvpa", "table_25_5.inp"))
    text = model.plan()
    assert "50 numbers, one a cluster: the between part of advant, which vs1 multiplies" in text
    assert "50 cluster effects of each of mvpa, peers, vs1" in text
    assert "50 factorisations of 3 x 3" in text
    other = bmsem.read_mplus(examples.path("moderation", "table_25_9.inp")).plan()
    assert "2, by the value of treat" in other


@pytest.fixture(scope="module")
def simulated():
    """Slopes that vary with a known spread and depend on w, on a covariate of people."""
    random = np.random.default_rng(4)
    clusters, size = 80, 15
    code = np.repeat(np.arange(clusters), size)
    w = random.normal(size=clusters)
    slope = 0.5 + 0.4 * w + 0.5 * random.normal(size=clusters)
    x = random.normal(size=code.size)
    y = random.normal(size=clusters)[code] + slope[code] * x + random.normal(size=code.size)
    frame = pd.DataFrame({"y": y, "x": x, "w": w[code], "g": [f"c{c:02d}" for c in code]})
    text = "within: x\nlevel: within\n s | y ~ x\nlevel: between\n s ~ b*w\n y ~ w\n s ~~ y"
    fit = bmsem.model(text).fit(frame, cluster="g", draws=500, seed=1, progress=False)
    return fit, slope


def test_slopes_are_recovered(simulated):
    fit, slope = simulated
    assert fit.sampled.shape[-1] == 0  # nothing had to be sampled
    assert fit.draws("b").mean() == pytest.approx(0.4, abs=0.15)
    assert np.sqrt(fit.draws("between: s ~~ s")).mean() == pytest.approx(0.5, abs=0.12)
    found = fit.latent("s")
    assert found.dims == ("chain", "draw", "cluster")
    assert np.corrcoef(found.mean(("chain", "draw")).values, slope)[0, 1] > 0.9
    # Draws keep the spread that their means have lost.
    assert float(found.std("cluster").mean()) == pytest.approx(slope.std(), rel=0.15)
    assert set(fit.plausible_values(3).data_vars) == {"y_between", "s_between"}


def test_criteria_of_a_model_without_sampled_quantities(simulated):
    """The marginal likelihood needs no quadrature; the slope's variance is worth its parameters."""
    fit, _ = simulated
    frame = fit.fit_measures().frame.set_index("measure")["value"]
    assert "PPP" not in frame
    assert frame["DIC, marginal"] == pytest.approx(frame["PSIS-LOO by cluster"], rel=0.005)
    with pytest.raises(bmsem.NotSupportedError, match="differ between clusters"):
        fit.ppp()
    json.dumps(fit.to_json(), allow_nan=False)


def test_the_tree_has_what_was_sampled(varying):
    tree = varying.data
    assert tree["posterior"]["sampled"].dims == ("chain", "draw", "cluster", "quantity")
    assert "log_likelihood" not in tree.children
    assert varying.log_likelihood.shape[::2] == (4, 50)


def test_weak_priors_do_not_depend_on_where_a_slope_s_covariate_is_centred(simulated):
    fit, _ = simulated
    people = fit.bound.people
    frame = pd.DataFrame(people.values, columns=["y", "x"])
    frame["w"] = fit.bound.between_covariates[people.clusters, 0]
    frame["g"] = people.clusters
    frame["x"] += 100.0
    text = "within: x\nlevel: within\n s | y ~ x\nlevel: between\n s ~ b*w\n y ~ w\n s ~~ y"
    moved = bmsem.model(text).fit(frame, cluster="g", draws=500, seed=1, progress=False)
    for name in ("b", "between: s ~ 1"):
        mine, other = fit.draws(name), moved.draws(name)
        assert other.mean() == pytest.approx(mine.mean(), abs=0.3 * mine.std()), name


def test_saved_and_extended(simulated, varying, tmp_path):
    for fit in (simulated[0], varying):
        again = bmsem.load(fit.save(tmp_path / "fit.nc"))
        assert again.sampled == pytest.approx(fit.sampled)
        assert str(again.summary()) == str(fit.summary())
        assert again.extend(20).sampled.shape[1] == fit.sampled.shape[1] + 20


def test_slopes_on_a_covariate_agree_with_everything_sampled(simulated):
    """The same posterior from PyMC with every cluster effect and slope sampled by hand."""
    import nutpie
    import pymc as pm

    fit, _ = simulated
    people, w = fit.bound.people, fit.bound.between_covariates[:, 0]
    y, x = people.values[:, 0], people.values[:, 1]
    table = {r.parameter.full_name: r for r in fit.prior_table.rows}
    scale = {n: dict(r.prior.arguments) and [v for _, v in r.prior.arguments] for n, r in table.items()
             if r.prior is not None}  # fmt: skip
    with pm.Model() as by_hand:

        def normal(name: str, row: str):
            return pm.Normal(name, *scale[row])

        def sd(name: str, row: str):
            return pm.HalfStudentT(name, nu=scale[row][0], sigma=scale[row][1])

        a, b = normal("a", "between: s ~ 1"), normal("b", "between: s ~ w")
        c, d = normal("c", "between: y ~ 1"), normal("d", "between: y ~ w")
        sds = [sd("sd_y", "between: y ~~ y"), sd("sd_s", "between: s ~~ s")]
        own = sd("sd_w", "within: y ~~ y")
        unit = pm.Beta("unit", 2.0, 2.0)
        r = 2.0 * unit - 1.0
        z = pm.Normal("z", shape=(2, len(w)))
        u = c + d * w + sds[0] * z[0]
        s = a + b * w + sds[1] * (r * z[0] + pm.math.sqrt(1.0 - r**2) * z[1])
        pm.Normal("y", u[people.clusters] + s[people.clusters] * x, own, observed=y)
    tree = nutpie.sample(nutpie.compile_pymc_model(by_hand), draws=1000, tune=600, chains=2, seed=1,
                         progress_bar=False)  # fmt: skip
    for mine, theirs in (("between: s ~ 1", "a"), ("between: s ~ w", "b"), ("between: y ~ w", "d")):
        draws, other = fit.draws(mine), tree["posterior"][theirs].values
        assert draws.mean() == pytest.approx(other.mean(), abs=0.15 * other.std()), mine
        assert draws.std() == pytest.approx(other.std(), rel=0.12), mine
    other = tree["posterior"]["sd_s"].values ** 2
    draws = fit.draws("between: s ~~ s")
    assert draws.mean() == pytest.approx(other.mean(), abs=0.15 * other.std())


def test_simple_slopes(moderation):
    frame = moderation.simple_slopes("lyb", "lmb", by="treat").frame.set_index("treat")
    for value, name in (("0", "scontrol"), ("1", "streat"), ("difference", "diff")):
        assert frame.loc[value, "median"] == pytest.approx(np.median(moderation.draws(name)))
    with pytest.raises(bmsem.ModelError, match="does not moderate"):
        moderation.simple_slopes("lmb", "treat", by="lyb")


def test_simple_slopes_and_regions_of_a_cross_level_moderation(simulated):
    fit, _ = simulated
    table = fit.simple_slopes("y", "x", by="w", at=[-1, 0, 1]).frame
    mean = fit.draws("between: s ~ 1")
    assert table["median"].iloc[1] == pytest.approx(np.median(mean))
    assert table["median"].iloc[3] == pytest.approx(np.median(2 * fit.draws("b")))
    region = fit.johnson_neyman("y", "x", "w").frame
    for edge in (region["from"].iloc[-1], region["to"].iloc[0]):
        draws = (mean + fit.draws("b") * edge).ravel()
        near = summarise(draws.reshape(1, -1))
        assert min(abs(near["lower"]), abs(near["upper"])) < 0.03 or abs(edge) > 2


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("level: within\n s | y1 ~ w\nlevel: between\n y1 ~ y2", bmsem.DataError, "no within part"),
        ("level: within\n s | y1 ~ y2\n s | y3 ~ y2\nlevel: between\n y1 ~ y2",
         bmsem.ModelSyntaxError, "'s' is defined twice"),
        ("level: within\n y1 ~~ y1\nlevel: between\n int | w XWITH fx\n y1 ~ w + int",
         bmsem.DataError, "'fx' is not a column"),
        ("level: within\n f =~ y1 + y2 + y3\n int | w XWITH f\n y4 ~ f + int\nlevel: between\n y4 ~ w",
         bmsem.ModelError, "is across levels: 'w' is constant"),
        ("level: within\n f =~ y1 + y2 + y3\n int | fb XWITH f\n y4 ~ f + int\n"
         "level: between\n fb =~ y1 + y2 + y3\n y4 ~ fb",
         bmsem.ModelSyntaxError, "stands at the between level only"),
        ("level: within\n f =~ y1 + y2\n g =~ y3 + y4\n int | f XWITH g\n x ~ f + g + int\n"
         " f + g ~ x\nlevel: between\n x ~ w",
         bmsem.ModelError, "such a loop"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")
def test_mistakes(text, error, message):
    with pytest.raises(error, match=message):
        bmsem.model(text).bind(make_data([4, 6, 3, 5] * 5), cluster="cluster")


def test_the_product_of_two_observed_variables_is_computed_and_said():
    frame = make_data([4, 6, 3, 5] * 5)
    text = "level: within\n y1 ~~ y1\nlevel: between\n int | w XWITH v\n y1 ~ w + v + int"
    bound = bmsem.model(text).bind(frame, cluster="cluster")
    assert "int is the product of two observed variables, w and v" in str(bound)
    place = bound.structure.between_covariates.index
    x = bound.between_covariates
    assert x[:, place("int")] == pytest.approx(x[:, place("w")] * x[:, place("v")])


def test_bayes_factor_for_a_variance_near_zero(simulated, varying):
    """Against the analytic ratio where the posterior is the prior, and for slopes that do vary."""
    from bmsem.results.zero_variance import zero_variance_table
    from bmsem.spec import Prior

    fit, _ = simulated
    table = fit.zero_variance("between: s ~~ s").frame.set_index("prior scale")
    assert (table["bayes_factor"] < 0.2).all()
    draws = np.abs(np.random.default_rng(1).standard_t(3, 200_000)) * 2.0
    frame = zero_variance_table(draws, Prior("HalfStudentT", (("", 3.0), ("", 2.0)), "sd"), 0.3)
    assert frame["bayes_factor"].to_numpy() == pytest.approx(np.ones(3), rel=0.03)
    with pytest.raises(bmsem.NotSupportedError, match="needs a proper prior"):
        varying.zero_variance("between: vs1 ~~ vs1")
    with pytest.raises(bmsem.ModelError, match="is no free variance"):
        fit.zero_variance("between: s ~ w")


@pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")
def test_the_version_of_the_predictor_is_said_and_can_be_chosen():
    """Latent mean, observed mean, raw score: three different numbers are multiplied."""
    frame = make_data([4, 6, 3, 5] * 5)
    bare = "level: within\n s | y1 ~ {}\nlevel: between\n y1 ~ {}"
    latent = bmsem.model(bare.format("y2", "y2")).bind(frame, cluster="cluster")
    raw = bmsem.model("within: y2\n" + bare.format("y2", "w")).bind(frame, cluster="cluster")
    text = "define:\n d = center(y2, groupmean)\n m = cluster_mean(y2)\nwithin: d\nbetween: m\n"
    observed = bmsem.model(text + bare.format("d", "m")).bind(frame, cluster="cluster")
    for bound, words in (
        (latent, "deviations from its latent cluster mean"),
        (raw, "raw scores"),
        (observed, "observed cluster mean"),
    ):
        assert [words in n.split("(")[0] for n in bound.notes if n.startswith("s is")] == [True]
    assert raw.members.by_cluster().means[:, 0, 1].std() > 0.1
    assert observed.members.by_cluster().means[:, 0, 1] == pytest.approx(0.0, abs=1e-9)


def test_a_slope_in_a_loop_is_refused():
    """Conditioning on y2 would leave out what the loop does to it."""
    text = "level: within\n s | y1 ~ y2\n y2 ~ y1 + x\nlevel: between\n y1 ~~ y2"
    frame = make_data([5] * 30)
    with pytest.raises(bmsem.ModelError, match="y2 depends on y1 in turn"):
        bmsem.model(text).bind(frame, cluster="cluster")
