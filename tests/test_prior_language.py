"""Priors on every quantity, written in every way, mean what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from models_and_designs import make_data
from scipy import stats

import bmsem
from bmsem.graph.distributions import range_of
from bmsem.graph.prior_draws import log_prior, prior_draws
from bmsem.language.mplus import parse_mplus
from bmsem.priors import prior_table
from bmsem.priors.support import DISTRIBUTIONS, support

LEVELS = """
level: within
  y1 ~ a*y2
  y2 ~~ y3
level: between
  y1 ~ b*y2
  y2 ~~ y3
"""
SEED = 20


@pytest.fixture(scope="module")
def frame():
    return make_data([4, 6, 3, 5, 8, 2] * 6)


def table(frame, text=LEVELS, priors="weak", cluster="cluster"):
    return prior_table(bmsem.model(text).bind(frame, cluster=cluster), priors)


def shown(found):
    rows = found.to_frame()
    return dict(zip((rows["level"] + ": " + rows["parameter"]).str.removeprefix(": "), rows["prior"],
                    strict=True))  # fmt: skip


def draws_of(frame, priors, text=LEVELS, count=4000, cluster="cluster"):
    bound = bmsem.model(text).bind(frame, cluster=cluster)
    found = prior_draws(bound, prior_table(bound, priors), count, SEED)
    return {r.full_name: found[:, p.index] for p in bound.structure.parameters for r in p.rows}


def uniform(values, distribution):
    """Kolmogorov-Smirnov p of draws against a distribution of scipy."""
    return stats.kstest(values, distribution.cdf).pvalue


WAYS = [
    ("a", "Normal(1, 2)", "within: y1 ~ y2", "Normal(1, 2)"),
    ("between: y1 ~ y2", "StudentT(4, 0, 1)", "between: y1 ~ y2", "StudentT(4, 0, 1)"),
    ("between: sd(y1)", "HalfNormal(2)", "between: y1 ~~ y1", "sd ~ HalfNormal(2)"),
    ("between: y1 ~~ y1", "InverseGamma(3, 2)", "between: y1 ~~ y1", "InverseGamma(3, 2)"),
    ("icc(y1)", "Beta(2, 18)", "between: y1 ~~ y1",
     "icc ~ Beta(2, 18)"),
    ("between: rsquare(y1, 40)", "Beta(2, 6)", "between: y1 ~~ y1",
     "r_square of 40 ~ Beta(2, 6)"),
    ("between: cor(y3, y2)", "Uniform(-0.5, 0.9)", "between: y2 ~~ y3",
     "correlation ~ Uniform(-0.5, 0.9)"),
    ("between: correlations", "LKJ(4)", "between: y2 ~~ y3", "correlation ~ LKJ(4), 2 x 2"),
    ("between: paths", "Normal(0, 3)", "between: y1 ~ y2", "Normal(0, 3)"),
    ("between: sds", "HalfNormal(3)", "between: y2 ~~ y2", "sd ~ HalfNormal(3)"),
    ("iccs", "Beta(1, 9)", "between: y3 ~~ y3",
     "icc ~ Beta(1, 9)"),
    ("between: matrices", "InverseWishart(2, 5)", "between: y2 ~~ y3",
     "inverse-Wishart(S = 0, d = 5), 2 x 2"),
    ("within: y1 ~~ y1", "Normal(2, 4)", "within: y1 ~~ y1", "Normal(2, 4), cut off below 0"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "prior", "row", "wanted"), WAYS)
def test_a_prior_in_the_text_is_the_one_of_the_mapping(frame, target, prior, row, wanted):
    if target == "between: matrices":
        # y1 is in no matrix with more than itself: IW(2, 5) of one variance.
        assert shown(table(frame, priors={target: prior}))["between: y1 ~~ y1"] == (
            "InverseGamma(alpha = 2.5, beta = 1)"
        )
    by_mapping = shown(table(frame, priors={target: prior}))
    by_text = shown(table(frame, f"{LEVELS}priors:\n {target} ~ {prior}"))
    assert by_mapping[row] == by_text[row] == wanted
    assert by_mapping == by_text


def test_implied_variances_are_printed(frame):
    """Quantiles of the variance are those of the ICC, turned over for an R-square."""
    found = table(
        frame, priors={"icc(y1)": "Beta(2, 18)", "between: rsquare(y2, 40)": "Beta(2, 6)"}
    )
    within = found.rows[[r.parameter.rows[0].full_name for r in found.rows].index(
        "between: y1 ~~ y1")].reference[1]  # fmt: skip
    low, high = (within * q / (1 - q) for q in stats.beta(2, 18).ppf([0.025, 0.975]))
    icc, r_square = found.notes
    assert icc == (
        f"between: y1 ~~ y1 = (within: y1 ~~ y1) icc / (1 - icc); at a within variance of "
        f"{within:.3g}, between {low:.3g} and {high:.3g} with 95% probability"
    )
    low, high = 40 * (1 - stats.beta(2, 6).ppf([0.975, 0.025]))
    assert r_square.endswith(f"r_square); between {low:.3g} and {high:.3g} with 95% probability")
    assert icc in str(found)
    assert icc in found._repr_html_()


def test_formula_text_reads_back(frame):
    for target, prior, _, _ in WAYS:
        spec = bmsem.model(f"{LEVELS}priors:\n {target} ~ {prior}").spec
        assert bmsem.model(bmsem.model(spec).formula).spec == spec, target


def test_a_parameters_own_prior_goes_before_a_groups(frame):
    text = (
        f"{LEVELS}priors:\n b ~ Normal(7, 1)\n paths ~ Normal(0, 3)\n within: paths ~ Normal(1, 2)"
    )
    found = shown(table(frame, text))
    assert found["between: y1 ~ y2"] == "Normal(7, 1)"
    assert found["within: y1 ~ y2"] == "Normal(1, 2)"
    given = {"paths": "Normal(0, 3)", "b": "Normal(7, 1)", "within: paths": "Normal(1, 2)"}
    assert shown(table(frame, priors=given)) == found


def test_a_label_called_like_a_group_is_a_label(frame):
    text = LEVELS.replace("a*y2", "sds*y2")
    for found in (table(frame, text, {"sds": "Normal(1, 2)"}),
                  table(frame, f"{text}priors:\n sds ~ Normal(1, 2)")):  # fmt: skip
        assert shown(found)["within: y1 ~ y2"] == "Normal(1, 2)"
        assert shown(found)["within: y1 ~~ y1"].startswith("sd ~ HalfStudentT")


def test_groups_leave_out_what_they_do_not_mean(frame):
    text = LEVELS.replace("y1 ~ a*y2", "s | y1 ~ y2")
    found = shown(table(frame, text, {"iccs": "Beta(1, 9)"}))
    assert found["between: y1 ~~ y1"] == "icc ~ Beta(1, 9)"
    assert found["between: s ~~ s"].startswith("sd ~")
    found = shown(table(frame, f"{LEVELS}a == 2*b", {"paths": "Normal(0, 3)"}))
    assert (found["within: y1 ~ y2"], found["between: y1 ~ y2"]) == ("= 2*b", "Normal(0, 3)")


def test_the_total_of_an_r_square_counts_for_pymc_distributions_too(frame):
    found = table(frame, priors={"between: rsquare(y1, 40)": pm.Beta.dist(2, 2)})
    assert "between: y1 ~~ y1 = 40 (1 - r_square)" in str(found)


def test_implied_variances_of_priors_that_are_cut_off_or_written_otherwise(frame):
    assert "(within: y1 ~~ y1) icc" in str(
        table(frame, priors={"icc(y1)": "Beta(mu=0.1, sigma=0.05)"})
    )
    (note,) = table(frame, priors={"icc(y1)": "Normal(0.1, 0.1)"}).notes
    assert float(note.split("between ")[-1].split(" and")[0]) > 0


def test_draws_follow_the_priors(frame):
    """Each quantity's draws against its distribution, the parameters being in natural units."""
    found = draws_of(
        frame,
        {
            "a": "Normal(1, 2)",
            "b": pm.StudentT.dist(4),
            "icc(y1)": "Beta(2, 18)",
            "within: rsquare(y1, 40)": "Beta(2, 6)",
            "between: sd(y2)": "HalfNormal(2)",
            "within: y3 ~~ y3": "Normal(1, 2)",
            "between: y1 ~ 1": "StudentT(4, 1, 3)",
            "between: cor(y2, y3)": "Uniform(-0.5, 0.9)",
        },
    )
    within, between = found["within: y1 ~~ y1"], found["between: y1 ~~ y1"]
    correlation = found["between: y2 ~~ y3"] / np.sqrt(
        found["between: y2 ~~ y2"] * found["between: y3 ~~ y3"]
    )
    lkj = found["within: y2 ~~ y3"] / np.sqrt(found["within: y2 ~~ y2"] * found["within: y3 ~~ y3"])
    checks = [
        (found["within: y1 ~ y2"], stats.norm(1, 2)),
        (found["between: y1 ~ y2"], stats.t(4)),
        (found["between: y1 ~ 1"], stats.t(4, 1, 3)),
        (between / (between + within), stats.beta(2, 18)),
        (1 - within / 40, stats.beta(2, 6)),
        (np.sqrt(found["between: y2 ~~ y2"]), stats.halfnorm(0, 2)),
        (found["within: y3 ~~ y3"], stats.truncnorm(-0.5, np.inf, 1, 2)),
        (correlation, stats.uniform(-0.5, 1.4)),
        # LKJ(2) of a pair.
        ((1 + lkj) / 2, stats.beta(2, 2)),
    ]
    assert min(uniform(*check) for check in checks) > 0.001


SATURATED = "y1 ~~ y2 + y3\ny2 ~~ y3"


def test_draws_of_matrices(frame):
    """Marginals: the variances of an inverse-Wishart are inverse-gamma, LKJ's correlations beta."""
    spec = f"{SATURATED}\npriors:\n matrices ~ InverseWishart(2, 6)"
    found = draws_of(frame, "weak", spec, cluster=None)
    for name in ("y1", "y2", "y3"):
        # X_ii ~ IG((d - p + 1) / 2, S_ii / 2).
        assert uniform(found[f"{name} ~~ {name}"], stats.invgamma(2.0, scale=1.0)) > 0.001
    mean = np.mean(stats.invwishart(6, 2 * np.eye(3)).rvs(4000, random_state=1)[:, 0, 1] > 0)
    assert np.mean(found["y1 ~~ y2"] > 0) == pytest.approx(mean, abs=0.05)
    found = draws_of(frame, {"correlations": "LKJ(3)"}, SATURATED, cluster=None)
    r = found["y1 ~~ y3"] / np.sqrt(found["y1 ~~ y1"] * found["y3 ~~ y3"])
    assert uniform((1 + r) / 2, stats.beta(3.5, 3.5)) > 0.001


def test_an_inverse_wishart_prior_with_a_scale_matrix(frame):
    """Element by element as in an input file, against scipy's draws."""
    scale = np.array([[2.0, 0.7, 0.1], [0.7, 1.0, 0.0], [0.1, 0.0, 3.0]])
    names = ("y1", "y2", "y3")
    labels = {(i, j): f"c{i}{j}" for i in range(3) for j in range(i + 1)}
    text = "\n".join(f"{names[i]} ~~ {label}*{names[j]}" for (i, j), label in labels.items())
    priors = "\n".join(f"{v} ~ IW({scale[k]}, 7)" for k, v in labels.items())
    found = draws_of(frame, "weak", f"{text}\npriors:\n{priors}", cluster=None, count=6000)
    wanted = stats.invwishart(7, scale).rvs(6000, random_state=2)
    for i, j in labels:
        assert stats.ks_2samp(found[f"{names[i]} ~~ {names[j]}"], wanted[:, i, j]).pvalue > 0.001


def test_draws_keep_bounds_and_constraints(frame):
    text = f"{LEVELS}b > 0.5\na == 2*b\npriors:\n b ~ Normal(0, 1)"
    found = draws_of(frame, "weak", text)
    assert found["between: y1 ~ y2"].min() > 0.5
    assert found["within: y1 ~ y2"] == pytest.approx(2 * found["between: y1 ~ y2"])
    truncated = stats.truncnorm(0.5, np.inf)
    assert uniform(found["between: y1 ~ y2"], truncated) > 0.001


def test_bounds_on_a_family_without_a_distribution_function(frame):
    """PyMC has none of the half-Student-t, the default for standard deviations."""
    text = "y1 ~~ v*y1\nv > 2\nv < 9"
    found = draws_of(frame, {"sd(y1)": "HalfStudentT(3, 2)"}, text, cluster=None)["y1 ~~ y1"]
    assert found.min() > 2
    assert found.max() < 9
    half = stats.t(3, 0, 2)
    inside = (half.cdf(np.sqrt(found)) - half.cdf(2**0.5)) / (half.cdf(3.0) - half.cdf(2**0.5))
    assert stats.kstest(inside, "uniform").pvalue > 0.001
    fit = posterior(frame, {"sd(y1)": "HalfStudentT(3, 2)"}, text, None, draws=200)
    assert 2 < fit.draws("v").min() < fit.draws("v").max() < 9


def test_draws_of_sparse_matrices_are_covariance_matrices(frame):
    text = "y1 ~~ y2 + 0*y3\ny2 ~~ y3"
    found = draws_of(frame, {"correlations": "LKJ(1)"}, text, cluster=None)
    r12 = found["y1 ~~ y2"] / np.sqrt(found["y1 ~~ y1"] * found["y2 ~~ y2"])
    r23 = found["y2 ~~ y3"] / np.sqrt(found["y2 ~~ y2"] * found["y3 ~~ y3"])
    assert (r12**2 + r23**2).max() < 1.0
    # Beta(1.5, 1.5) on each in the unit disc.
    random = np.random.default_rng(1)
    pairs = 2 * random.beta(1.5, 1.5, (40_000, 2)) - 1
    pairs = pairs[(pairs**2).sum(1) < 1]
    assert stats.ks_2samp(r12, pairs[:, 0]).pvalue > 0.001


def test_the_density_of_the_prior(frame):
    """Against scipy, part by part."""
    bound = bmsem.model(LEVELS).bind(frame, cluster="cluster")
    given = {"preset": "blavaan", "icc(y1)": "Beta(2, 18)", "between: cor(y2, y3)": "Uniform(-1, 1)",
             "within: correlations": "LKJ(3)", "b": "Normal(1, 2)",
             "between: sd(y2)": "HalfNormal(2)"}  # fmt: skip
    priors = prior_table(bound, given)
    draws = prior_draws(bound, priors, 50, SEED)
    at = {p.rows[0].full_name: draws[:, p.index] for p in bound.structure.parameters}
    w, b = at["within: y1 ~~ y1"], at["between: y1 ~~ y1"]
    r = at["within: y2 ~~ y3"] / np.sqrt(at["within: y2 ~~ y2"] * at["within: y3 ~~ y3"])
    gamma = stats.gamma(1.0, scale=2.0)
    wanted = (
        stats.beta(2, 18).logpdf(b / (w + b))
        - np.log(2.0)  # the correlation's uniform density
        + 2.0 * np.log(1 - r**2)
        + stats.norm(1, 2).logpdf(at["between: y1 ~ y2"])
        + stats.norm(0, 10).logpdf(at["within: y1 ~ y2"])
        + stats.halfnorm(0, 2).logpdf(np.sqrt(at["between: y2 ~~ y2"]))
        + sum(stats.norm(0, 32).logpdf(at[f"between: y{i} ~ 1"]) for i in (1, 2, 3))
        + sum(gamma.logpdf(np.sqrt(at[f"within: y{i} ~~ y{i}"])) for i in (1, 2, 3))
        + gamma.logpdf(np.sqrt(at["between: y3 ~~ y3"]))
    )
    found = log_prior(bound, priors, draws).sum(axis=1)
    assert found == pytest.approx(wanted, abs=1e-9)


def test_the_density_of_matrices(frame):
    text = f"{SATURATED}\npriors:\n matrices ~ InverseWishart(2, 6)\n intercepts ~ Normal(0, 1)"
    bound = bmsem.model(text).bind(frame)
    priors = prior_table(bound)
    draws = prior_draws(bound, priors, 30, SEED)
    _, psi, coefficients = bound.structure.between.matrices(draws)
    wanted = [
        stats.invwishart(6, 2 * np.eye(3)).logpdf(x) + stats.norm.logpdf(c[:, 0]).sum()
        for x, c in zip(psi, coefficients, strict=True)
    ]
    difference = log_prior(bound, priors, draws).sum(axis=1) - wanted
    assert difference == pytest.approx(difference[0], abs=1e-9)


def posterior(frame, priors, text, cluster="cluster", **options):
    settings = {"draws": 2000, "tune": 800, "chains": 2, "seed": 3, "progress": False} | options
    return bmsem.model(text).fit(frame, cluster=cluster, priors=priors, **settings)


ONE_WAY = "level: within\n y1 ~~ y1\nlevel: between\n y1 ~~ y1"


def test_a_prior_on_an_icc_gives_the_posterior_of_the_between_variance(frame):
    """Against importance weights on draws under another prior: p(icc) d icc / d variance."""
    given = posterior(frame, {"icc(y1)": "Beta(3, 12)"}, ONE_WAY)
    base = {"between: y1 ~~ y1": "Uniform(0, 60)"}
    other = posterior(frame, base, ONE_WAY, draws=8000)
    w, b = (other.draws(f"{level}: y1 ~~ y1").ravel() for level in ("within", "between"))
    icc = b / (w + b)
    weights = stats.beta(3, 12).pdf(icc) * w / (w + b) ** 2
    wanted = np.average(icc, weights=weights)
    found = given.draws("between: y1 ~~ y1") / (
        given.draws("between: y1 ~~ y1") + given.draws("within: y1 ~~ y1")
    )
    assert found.mean() == pytest.approx(wanted, abs=0.008)
    assert given.convergence.converged


def test_a_prior_on_an_inverse_wishart_is_conjugate():
    """Sigma given data with known means: IW(S + sum x x', d + n), here with intercepts fixed at 0."""
    random = np.random.default_rng(4)
    x = random.multivariate_normal([0, 0], [[1.0, 0.5], [0.5, 2.0]], size=25)
    text = "u ~~ v\nu ~ 0*1\nv ~ 0*1\npriors:\n matrices ~ InverseWishart(2, 6)"
    fit = posterior(pd.DataFrame(x, columns=["u", "v"]), None, text, None, draws=4000)
    wanted = stats.invwishart(31, 2 * np.eye(2) + x.T @ x)
    assert fit.draws("u ~~ v").mean() == pytest.approx(wanted.mean()[0, 1], rel=0.03)
    variance = stats.invgamma(15, scale=wanted.scale[0, 0] / 2)
    thin = fit.draws("u ~~ u").ravel()[::8]
    assert uniform(thin, variance) > 0.001


def test_saved_priors_are_the_same(frame, tmp_path):
    text = f"{LEVELS}priors:\n icc(y1) ~ Beta(3, 12)\n correlations ~ LKJ(3)\n"
    text += " within: rsquare(y1, 40) ~ Beta(2, 6)"
    fit = posterior(frame, None, text, draws=20, tune=50)
    fit.save(tmp_path / "fit.nc")
    loaded = bmsem.load(tmp_path / "fit.nc")
    assert shown(loaded.prior_table) == shown(fit.prior_table)
    text = "y1 ~~ y2\npriors:\n matrices ~ InverseWishart(2, 6)"
    fit = posterior(frame, "mplus", text, None, draws=20, tune=50)
    fit.save(tmp_path / "fit.nc")
    assert shown(bmsem.load(tmp_path / "fit.nc").prior_table) == shown(fit.prior_table)


MPLUS = """
DATA: FILE IS x.dat;
VARIABLE: NAMES ARE y1 y2 y3; USEVARIABLES ARE y1 y2 y3;
ANALYSIS: ESTIMATOR = BAYES;
MODEL: y1 ON y2 (p1);
  y2 WITH y3 (c);
  y2 (v2); y3 (v3); y1 (v1);
MODEL PRIORS:
"""


@pytest.mark.parametrize(
    ("line", "row", "wanted"),
    [
        ("p1 ~ N(0, 4);", "y1 ~ y2", "Normal(mu = 0, sigma = 2)"),
        ("p1 ~ U(-1, 5);", "y1 ~ y2", "Uniform(lower = -1, upper = 5)"),
        ("v1 ~ IG(2, 3);", "y1 ~~ y1", "InverseGamma(alpha = 2, beta = 3)"),
        ("v1 ~ G(2, 3);", "y1 ~~ y1", "Gamma(alpha = 2, beta = 3)"),
        ("v1 ~ IW(3, 4);", "y1 ~~ y1", "InverseGamma(alpha = 2, beta = 1.5)"),
        ("v1 ~ D(2, 3);", "y1 ~~ y1", "Beta(alpha = 2, beta = 3)"),
        ("v2-v3 ~ IW(1, 4); c ~ IW(0, 4);", "y2 ~~ y3", "inverse-Wishart(S = 0, d = 4), 2 x 2"),
        ("v2 v3 c ~ IW(0, -3);", "y2 ~~ y3", "uniform over 2 x 2 covariance matrices"),
        ("c ~ LKJ(3);", "y2 ~~ y3", "correlation ~ LKJ(3), 2 x 2"),
    ],
)
def test_model_priors_of_an_input_file(frame, line, row, wanted):
    spec = parse_mplus(MPLUS + line).spec
    found = shown(prior_table(bmsem.model(spec).bind(frame), "mplus"))
    assert {k.lower(): v for k, v in found.items()}[row] == wanted


@pytest.mark.parametrize(
    ("priors", "message"),
    [
        ({"within: y1 ~~ y1": "Uniform(-2, -1)"}, "excludes every value that the variance"),
        ({"within: sd(y1)": "Uniform(-2, 0)"}, "excludes every value that the standard deviation"),
        ({"icc(y1)": "Uniform(1, 3)"}, "excludes every value that the ICC"),
        ({"between: cor(y2, y3)": "Uniform(2, 3)"}, "excludes every value that the correlation"),
        ({"a": "Uniform(3, 1)"}, "has no values"),
        ({"sd(y1)": "HalfNormal(1)"}, "stands at both levels: write 'within: sd"),
        ({"bb": "Normal(0, 1)"}, "Did you mean 'b'"),
        ({"icc(y9)": "Beta(1, 1)"}, "not a parameter of the model"),
        ({"loadings": "Normal(0, 1)"}, "not a parameter of the model"),
        ({"a": "LKJ(2)"}, "is a path"),
        ({"between: y2 ~~ y2": "InverseWishart(1, 4)"}, "Give it to between: y2 ~~ y3"),
        ({"between: matrices": "InverseWishart(1, 0.5)"}, "no probability distribution"),
        ({"a": "InverseWishart(1, 4)"}, "is a path"),
        ({"between: sd(y1)": bmsem.spec.Prior("Normal", (), "icc")}, "Name one of them"),
    ],
)
def test_priors_that_cannot_be(frame, priors, message):
    with pytest.raises(bmsem.ModelError, match=message):
        table(frame, priors=priors)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("icc(y1) ~ Beta(2, 2)\n icc(y1) ~ Beta(3, 2)", "two different priors"),
        ("within: icc(y1) ~ Beta(2, 2)", "stands at the between level"),
        ("sd(y1) ~ HalfNormal(1)", "stands at both levels"),
        ("between: rsquare(y1, -3) ~ Beta(1, 1)", "takes one variable"),
        ("correlations ~ LKJ(0)", "no distribution"),
        ("matrices ~ IW(1)", "takes 2 numbers"),
    ],
)
def test_prior_lines_that_cannot_be(text, message):
    with pytest.raises(bmsem.ModelSyntaxError, match=message):
        bmsem.model(f"{LEVELS}priors:\n {text}")


def test_a_prior_on_a_fixed_parameter(frame):
    text = LEVELS.replace("b*y2", "0.5*y2")
    with pytest.raises(bmsem.ModelError, match=r"between: y1 ~ y2 = 0.5 is fixed"):
        table(frame, text, {"between: y1 ~ y2": "Normal(0, 1)"})
    with pytest.raises(bmsem.ModelSyntaxError, match="has a prior too"):
        bmsem.model(f"{text}priors:\n between: y1 ~ y2 ~ Normal(0, 1)")


def test_an_icc_needs_two_parts(frame):
    text = "level: within\n y1 ~~ y1\nlevel: between\n w ~ y1\n w ~~ w"
    with pytest.raises(bmsem.ModelError, match="no within and between variance"):
        table(frame, text, {"icc(w)": "Beta(1, 1)"})


def test_improper_priors_have_no_draws(frame):
    bound = bmsem.model(LEVELS).bind(frame, cluster="cluster")
    with pytest.raises(bmsem.ModelError, match=r"improper \(mplus\): a, .* and \d+ more"):
        prior_draws(bound, prior_table(bound, "mplus"), 10)


# Distributions given as objects. ---------------------------------------------------------------


def test_distribution_objects_are_cut_off_like_text(frame):
    given = {"between: sd(y1)": pm.Normal.dist(0, 1), "within: y1 ~~ y1": pm.Normal.dist(1, 2),
             "between: cor(y2, y3)": pm.Normal.dist(0.8, 0.5)}  # fmt: skip
    found = shown(table(frame, priors=given))
    assert found["between: y1 ~~ y1"] == "Normal (PyMC distribution), cut off below 0"
    assert found["between: y2 ~~ y3"].endswith("cut off below -1, cut off above 1")
    draws = draws_of(frame, given)
    correlation = draws["between: y2 ~~ y3"] / np.sqrt(
        draws["between: y2 ~~ y2"] * draws["between: y3 ~~ y3"]
    )
    assert uniform(np.sqrt(draws["between: y1 ~~ y1"]), stats.halfnorm()) > 0.001
    assert uniform(draws["within: y1 ~~ y1"], stats.truncnorm(-0.5, np.inf, 1, 2)) > 0.001
    assert uniform(correlation, stats.truncnorm(-3.6, 0.4, 0.8, 0.5)) > 0.001


@pytest.mark.parametrize(
    ("key", "prior", "message"),
    [
        ("between: sd(y1)", lambda: pm.Uniform.dist(-2, -1),
         r"prior Uniform \(PyMC distribution\) of between: y1 ~~ y1 excludes every value"),
        ("icc(y1)", lambda: pm.TruncatedNormal.dist(2, 1, lower=1), "excludes every value that the ICC"),
        ("a", lambda: pm.Normal.dist(0, -1),
         r"Normal \(PyMC distribution\) of a has impossible arguments. It needs sigma > 0"),
        ("a", lambda: pm.Poisson.dist(3), "gives whole numbers"),
        ("a", lambda: pm.Normal.dist(0, 1, shape=3), "has 1 dimension"),
        ("a", lambda: pm.Normal.dist(0, 1) + 1, "computed from distributions"),
        ("a", lambda: pm.Normal, "is no prior"),
        ("a", lambda: None, "The prior of 'a' is None, which is no prior. Give text such as"),
        ("a", lambda: 3, "is no prior"),
    ],
)  # fmt: skip
def test_objects_that_cannot_be_priors(frame, key, prior, message):
    with pytest.raises(bmsem.ModelError, match=message):
        draws_of(frame, {key: prior()}, count=1)


def test_flat_objects_are_improper(frame):
    found = table(frame, priors={"a": pm.Flat.dist(), "between: sd(y1)": pm.HalfFlat.dist()})
    assert [r.parameter.name for r in found.rows if not r.proper] == ["a", "between: y1 ~~ y1"]
    with pytest.raises(bmsem.ModelError, match="these priors are improper"):
        found.require_proper("This")


def test_families_without_a_distribution_function_keep_to_the_natural_range(frame):
    """PyMC has no distribution function of a skew normal."""
    given = {
        "between: sd(y1)": "SkewNormal(alpha=2)",
        "within: rsquare(y1, 40)": "SkewNormal(alpha=2, mu=0.3, sigma=0.5)",
        "within: sd(y2)": pm.SkewNormal.dist(alpha=-1),
    }
    found = draws_of(frame, given, count=2000)
    half = stats.skewnorm(2)
    p = (half.cdf(np.sqrt(found["between: y1 ~~ y1"])) - half.cdf(0)) / half.sf(0)
    assert stats.kstest(p, "uniform").pvalue > 0.001
    r_square = 1 - found["within: y1 ~~ y1"] / 40
    assert 0 < r_square.min() < r_square.max() < 1
    half = stats.skewnorm(-1)
    p = (half.cdf(np.sqrt(found["within: y2 ~~ y2"])) - half.cdf(0)) / half.sf(0)
    assert stats.kstest(p, "uniform").pvalue > 0.001
    fit = posterior(frame, given, LEVELS, draws=100, tune=200)
    assert fit.draws("within: y1 ~~ y1").max() < 40
    bound = bmsem.model(LEVELS).bind(frame, cluster="cluster")
    assert np.isfinite(log_prior(bound, prior_table(bound, given), fit.flat_parameters)).all()


# Distributions that are none, and keys that clash. ---------------------------------------------


@pytest.mark.parametrize("name", ["Norml", "Poisson", "MvNormal"])
def test_what_is_no_distribution_is_refused_by_the_table(frame, name):
    message = rf"{name}\(0, 1\) of a: '{name}' is not a distribution of PyMC for one .*Normal"
    with pytest.raises(bmsem.ModelError, match=message):
        bmsem.model(LEVELS).priors(frame, cluster="cluster", priors={"a": f"{name}(0, 1)"})
    with pytest.raises(bmsem.ModelError, match=message):
        table(frame, f"{LEVELS}priors:\n a ~ {name}(0, 1)")


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ("Normal(0, -1)", r"Normal\(0, -1\) of a has impossible arguments. It needs sigma > 0"),
        ("StudentT(-1, 0, 1)", "impossible arguments. It needs .*nu > 0"),
        ("Gamma(2)", r"The prior Gamma\(2\) of a: "),
    ],
)
def test_impossible_arguments_are_refused_before_anything_is_sampled(frame, prior, message):
    model = bmsem.model(f"{LEVELS}priors:\n a ~ {prior}")
    for start in (model.to_pymc, model.prior_predictive):
        with pytest.raises(bmsem.ModelError, match=message):
            start(frame, cluster="cluster")


def test_the_known_distributions_are_pymcs():
    """Of one continuous number, with numbers as arguments."""
    others = {"CAR", "Dirichlet", "ICAR", "Interpolated", "KroneckerNormal", "LKJCorr", "MatrixNormal",
              "MvNormal", "MvStudentT", "StickBreakingWeights", "Wishart"}  # fmt: skip
    continuous = {
        k
        for k, v in vars(pm).items()
        if isinstance(v, type) and issubclass(v, pm.Continuous) and v is not pm.Continuous
    }
    assert continuous - others == set(DISTRIBUTIONS) & continuous
    assert all(hasattr(getattr(pm, name), "dist") for name in DISTRIBUTIONS)


@pytest.mark.parametrize(
    "dist",
    [
        lambda: pm.Normal.dist(0, 1), lambda: pm.Gamma.dist(2, 1), lambda: pm.Beta.dist(2, 1),
        lambda: pm.VonMises.dist(0, 1), lambda: pm.LogNormal.dist(0, 1), lambda: pm.Rice.dist(1, 1),
    ],
)  # fmt: skip
def test_known_ranges_are_pymcs(dist):
    assert support(dist()) == range_of(dist())


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("a", "within: y1 ~ y2", "a"),
        ("between: sd(y1)", "icc(y1)", "between: y1 ~~ y1"),
        ("sds", "variances", "within: y1 ~~ y1"),
        ("iccs", "between: iccs", "between: y1 ~~ y1"),
    ],
)
def test_two_keys_for_one_parameter_are_an_error(frame, first, second, shared):
    for one, other in ((first, second), (second, first)):
        with pytest.raises(bmsem.ModelError) as caught:
            table(frame, priors={one: "Beta(1, 2)", other: "Beta(1, 3)"})
        assert f"given to {shared}, by '{one}' and by '{other}'" in str(caught.value)


@pytest.mark.parametrize("turn", [1, -1])
def test_the_narrower_key_goes_before_the_broader_in_any_order(frame, turn):
    keys = {
        "paths": "Normal(0, 3)", "within: paths": "Normal(1, 2)", "b": "Normal(7, 1)",
        "matrices": "InverseWishart(1, 9)", "sds": "HalfNormal(3)", "iccs": "Beta(1, 9)",
        "within: sds": "HalfNormal(4)", "correlations": "LKJ(3)", "icc(y2)": "Beta(2, 9)",
    }  # fmt: skip
    found = shown(table(frame, priors=dict(list(keys.items())[::turn])))
    assert found["within: y1 ~ y2"] == "Normal(1, 2)"
    assert found["between: y1 ~ y2"] == "Normal(7, 1)"
    assert found["within: y1 ~~ y1"] == "sd ~ HalfNormal(4)"
    assert found["between: y1 ~~ y1"] == "icc ~ Beta(1, 9)"
    assert found["between: y2 ~~ y2"] == "icc ~ Beta(2, 9)"
    assert found["between: y2 ~~ y3"] == "correlation ~ LKJ(3), 2 x 2"


@pytest.mark.parametrize("priors", [["weak"], 3, None])
def test_priors_are_a_preset_or_a_mapping(frame, priors):
    with pytest.raises(bmsem.ModelError, match="give the name of a preset"):
        prior_table(bmsem.model(LEVELS).bind(frame, cluster="cluster"), priors)


def test_the_scale_of_an_inverse_wishart_is_printed(frame):
    text = (
        "y1 ~~ v1*y1 + c*y2\ny2 ~~ v2*y2\npriors:\n v1 ~ IW(2, 5)\n c ~ IW(0.7, 5)\n v2 ~ IW(1, 5)"
    )
    found = table(frame, text, cluster=None)
    assert [shown(found)[n] for n in ("y1 ~~ y1", "y1 ~~ y2", "y2 ~~ y2")] == [
        f"inverse-Wishart(S = {s}, d = 5), 2 x 2" for s in ("2", "0.7", "1")
    ]
    assert "S of an inverse-Wishart is the row's element" in str(found)


@pytest.mark.parametrize(
    ("text", "priors", "message"),
    [
        (LEVELS, {"sd(y1)": "HalfNormal(1)"},
         r"^In the priors: 'sd\(y1\)' stands at both levels: write 'within: sd\(y1\)' or"),
        (LEVELS + "tot := a*b", {"tot": "Normal(0, 1)"},
         r"'tot' is computed \(tot := a\*b\), so that its prior follows from those of a, b. Give"),
        (LEVELS, {"matrices": "LKJ(2)"},
         r"within: y1 ~~ y1 is a variance, and LKJ\(2\) is a prior of correlations only. Give it to "
         "'correlations'"),
        (LEVELS, {"a": "IW(1, 4)"}, "is a prior of covariance matrices only. Give it to 'matrices'"),
        ("level: within\n y1 ~~ 0*y1\nlevel: between\n y1 ~~ y1", {"icc(y1)": "Beta(1, 1)"},
         r"within variance is fixed at 0: the ICC is 1 .* Give the prior to 'between: sd\(y1\)'"),
    ],
)  # fmt: skip
def test_what_is_said_of_priors_that_cannot_be(frame, text, priors, message):
    with pytest.raises(bmsem.ModelError, match=message):
        table(frame, text, priors)
