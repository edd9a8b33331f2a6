"""Priors from statements, and the two strategies for few clusters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import bmsem
from bmsem.priors.families import FAMILIES, frozen
from bmsem.spec import Prior


def scipy_of(prior):
    """SciPy's distribution written out here, independently of bmsem's table."""
    a = dict(prior.arguments)
    match prior.distribution:
        case "Normal":
            return stats.norm(a["mu"], a["sigma"])
        case "Gamma":
            return stats.gamma(a["alpha"], scale=1 / a["beta"])
        case "InverseGamma":
            return stats.invgamma(a["alpha"], scale=a["beta"])
        case "Beta":
            return stats.beta(a["alpha"], a["beta"])
        case "LogNormal":
            return stats.lognorm(a["sigma"], scale=np.exp(a["mu"]))
        case "HalfNormal":
            return stats.halfnorm(scale=a["sigma"])
        case "StudentT":
            return stats.t(a["nu"], a["mu"], a["sigma"])
        case "Exponential":
            return stats.expon(scale=1 / a["lam"])
        case "Uniform":
            return stats.uniform(a["lower"], a["upper"] - a["lower"])


@pytest.mark.parametrize(
    ("text", "family", "given", "limits"),
    [
        ("between 0 and 10 with 95% probability", "Normal", {}, [(0, 0.025), (10, 0.975)]),
        ("between -3 and -1 with a probability of 0.5", "Normal", {}, [(-3, 0.25), (-1, 0.75)]),
        ("90% between .05 and .2", "Beta", {}, [(0.05, 0.05), (0.2, 0.95)]),
        ("between 1 and 50 with 90%", "Gamma", {}, [(1, 0.05), (50, 0.95)]),
        ("between 1 and 50 with 90%", "InverseGamma", {}, [(1, 0.05), (50, 0.95)]),
        ("between 1 and 50 with 90%", "LogNormal", {}, [(1, 0.05), (50, 0.95)]),
        ("median 2, above 5 with 5%", "Normal", {}, [(2, 0.5), (5, 0.95)]),
        ("below 1 with 10% and above 4 with 5%", "LogNormal", {}, [(1, 0.1), (4, 0.95)]),
        ("between 0 and 10 with 95%", "StudentT", {"nu": 4}, [(0, 0.025), (10, 0.975)]),
        ("above 3 with 5% chance", "HalfNormal", {}, [(3, 0.95)]),
        ("between 0 and 3 with 95%", "HalfNormal", {}, [(3, 0.95)]),
        ("below 100 with 99%", "Exponential", {}, [(100, 0.99)]),
        ("between 2 and 4 with 50%", "Uniform", {}, [(2, 0.25), (4, 0.75)]),
        ("between 0.001 and 0.01 with 90%", "Gamma", {}, [(0.001, 0.05), (0.01, 0.95)]),
        ("between 10000 and 30000 with 90%", "Normal", {}, [(10000, 0.05), (30000, 0.95)]),
    ],
)
def test_probabilities_are_as_stated(text, family, given, limits):
    found = scipy_of(bmsem.elicit(text, family, **given))
    for at, p in limits:
        assert float(found.cdf(at)) == pytest.approx(p, abs=0.002)


def test_moments_are_as_stated():
    found = scipy_of(bmsem.elicit("mean 3, and below 0 with 2%"))
    assert found.mean() == pytest.approx(3)
    assert found.cdf(0) == pytest.approx(0.02, abs=5e-4)
    found = scipy_of(bmsem.elicit("sd 2, mean 1", "Gamma"))
    assert (found.mean(), found.std()) == pytest.approx((1, 2), rel=1e-3)
    found = scipy_of(bmsem.elicit(family="Beta", mean=0.1, sd=0.05))
    assert (found.mean(), found.std()) == pytest.approx((0.1, 0.05), rel=1e-3)
    for family in ("Gamma", "InverseGamma", "Beta", "LogNormal"):
        found = scipy_of(bmsem.elicit(family=family, mode=0.2, above=(0.5, 0.05)))
        grid = np.linspace(1e-3, 0.999, 5000)
        assert grid[found.pdf(grid).argmax()] == pytest.approx(0.2, abs=2e-3), family


def test_keywords_say_what_the_text_says():
    assert bmsem.elicit(between=(0, 10)) == bmsem.elicit("between 0 and 10 with 95%")
    assert bmsem.elicit(mean=3, below=(0, 0.02)) == bmsem.elicit("mean 3, below 0 with 2%")


def test_the_table_of_families_is_scipys():
    random = np.random.default_rng(1)
    for name, family in FAMILIES.items():
        names = (*family.given, *family.arguments)
        values = np.sort(random.uniform(2.5, 6, len(names)))
        prior = Prior(name, tuple(zip(names, map(float, values), strict=True)))
        own, positional = frozen(prior), Prior(name, tuple(("", float(v)) for v in values))
        assert float(frozen(positional).ppf(0.3)) == float(own.ppf(0.3)), name
        if (other := scipy_of(prior)) is not None:
            assert float(own.cdf(4.0)) == pytest.approx(float(other.cdf(4.0)))
    half = frozen(Prior("HalfStudentT", (("nu", 5.0), ("sigma", 2.0))))
    draws = np.abs(stats.t(5, 0, 2).rvs(400_000, random_state=1))
    assert half.mean() == pytest.approx(draws.mean(), rel=0.01)
    assert half.std() == pytest.approx(draws.std(), rel=0.02)
    assert float(half.cdf(1.5)) == pytest.approx((draws < 1.5).mean(), abs=0.003)


def test_families_are_pymcs():
    """The same density as the distribution that the sampler uses."""
    import pymc as pm

    for name, text in {
        "Normal": "Normal(1, 2)", "Gamma": "Gamma(2, 3)", "InverseGamma": "InverseGamma(3, 2)",
        "Beta": "Beta(2, 5)", "LogNormal": "LogNormal(0.3, 0.5)", "HalfNormal": "HalfNormal(2)",
        "Exponential": "Exponential(3)", "Laplace": "Laplace(0, 2)", "Cauchy": "Cauchy(0, 2)",
        "HalfCauchy": "HalfCauchy(2)", "StudentT": "StudentT(4, 0, 2)",
        "HalfStudentT": "HalfStudentT(4, 2)", "Uniform": "Uniform(0, 2)",
    }.items():  # fmt: skip
        prior = bmsem.language.parse_prior(text)
        values = [v for _, v in prior.arguments]
        known = {"StudentT": ("nu", "mu", "sigma")}.get(name)
        given = dict(zip(known, values, strict=True)) if known else {}
        dist = getattr(pm, name).dist(*([] if known else values), **given)
        wanted = float(np.exp(pm.logp(dist, 0.4).eval()))
        own = frozen(prior)
        density = float(own.cdf(0.4 + 1e-5) - own.cdf(0.4 - 1e-5)) / 2e-5
        assert density == pytest.approx(wanted, rel=1e-5), name


def test_describe_prior():
    found = bmsem.describe_prior("Normal(5, 2.5)")
    assert found["2.5%"] == pytest.approx(5 - 1.96 * 2.5, abs=1e-3)
    assert bmsem.describe_prior("StudentT(4, 0, 1)")["sd"] == pytest.approx(np.sqrt(2))
    with pytest.raises(bmsem.ModelError, match="Did you mean 'Normal'"):
        bmsem.describe_prior("Norml(0, 1)")
    with pytest.raises(bmsem.ModelError, match="lacks sigma"):
        bmsem.describe_prior("Normal(0)")


@pytest.mark.parametrize(
    ("text", "family", "message"),
    [
        ("between 10 and 0 with 95%", "Normal", "not below the second"),
        ("between 0 and 10 with 195%", "Normal", "between 0 and 1"),
        ("between -1 and 2 with 95%", "Gamma", "lies between 0 and inf, and -1 does not"),
        ("between 0.1 and 1.2 with 95%", "Beta", "lies between 0 and 1"),
        ("mean 3", "Normal", "Say more"),
        ("between 0 and 10 with 95%, mean 5", "Normal", "Say less"),
        ("below 0 with 50%, below 1 with 20%", "Normal", "contradict each other"),
        ("mean 20, above 5 with 5%", "Exponential", "Say less"),
        ("mean 20, above 5 with 5%", "Normal", "No Normal agrees"),
        ("mode 3", "HalfNormal", "mode of a HalfNormal says nothing"),
        ("between 0 and 1 with 90%", "Gauss", "not a family"),
        ("between 0 and 1 with 90%", "StudentT", "nu is missing"),
    ],
)
def test_statements_that_cannot_be_met(text, family, message):
    with pytest.raises(bmsem.ModelError, match=message):
        bmsem.elicit(text, family)


def test_statements_that_cannot_be_read():
    with pytest.raises(bmsem.ModelSyntaxError) as caught:
        bmsem.elicit("mean 3, and probably positive")
    assert "mean 3, and probably positive\n" in str(caught.value)
    line = next(x for x in str(caught.value).splitlines() if set(x.strip()) == {"^"})
    assert line.index("^") - str(caught.value).splitlines()[1].index("mean") == 12
    with pytest.raises(bmsem.ModelSyntaxError, match="'95' is no probability"):
        bmsem.elicit("between 0 and 10 with 95")
    with pytest.raises(bmsem.ModelError, match="Say something"):
        bmsem.elicit()


@pytest.mark.parametrize(
    ("text", "family", "limit", "below"),
    [
        ("between 0 and 0.2 with 90%, mean 0.1", "Beta", 0.2, 0.9),
        ("between 0.8 and 1 with 90%, median 0.9", "Beta", 0.8, 0.1),
        ("between 0 and 3 with 90%, mean 1.2", "Gamma", 3, 0.9),
    ],
)
def test_an_interval_up_to_an_end_of_the_family_is_one_limit(text, family, limit, below):
    found = scipy_of(bmsem.elicit(text, family))
    assert float(found.cdf(limit)) == pytest.approx(below, abs=0.002)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "between 0 and 0.2 with 90%",
            "say 1 thing.*up to an end of the Beta counts as one. Say more",
        ),
        ("between 0.8 and 1 with 90%", "say 1 thing.*above 0.8 .*up to an end of the Beta"),
        (
            "between 0 and 1 with 90%",
            "a Beta always lies between 0 and 1. Give a narrower interval",
        ),
    ],
)
def test_an_interval_up_to_an_end_may_say_too_little(text, message):
    with pytest.raises(bmsem.ModelError, match=message):
        bmsem.elicit(text, "Beta")


def test_limits_without_a_probability_are_not_guessed():
    for text in ("between 0 and 10", "mean 10, below 25%", "mean 3, below 10.5"):
        with pytest.raises(bmsem.ModelSyntaxError, match="no statement"):
            bmsem.elicit(text)


def test_far_from_zero():
    prior = bmsem.elicit("between 10001 and 10011 with 95%")
    found = scipy_of(prior)
    assert float(found.cdf(10001)) == pytest.approx(0.025, abs=0.002)
    assert float(found.cdf(10011)) == pytest.approx(0.975, abs=0.002)


def test_elicited_priors_are_used(tmp_path):
    prior = bmsem.elicit("between -1 and 1 with 95%")
    frame = bmsem.simulate("y ~ b*x", {"b": 0.2, "sd(y)": 1},
                           bmsem.Design(rows=50, covariates={"x": "Normal(0, 1)"}), seed=1)  # fmt: skip
    assert f"{prior}" in str(bmsem.model("y ~ b*x").priors(frame, priors={"b": prior}))


# Zitzmann, Helm & Hecht. ------------------------------------------------------------------------


def test_a_variance_prior_is_worth_so_many_clusters():
    """After J clusters with mean square v: IG((n + J) / 2, (n t + J v) / 2), as if n more with t."""
    prior = bmsem.between_variance_prior(icc=0.1, clusters_equivalent=6, total_variance=2.0)
    a, b = (v for _, v in prior.arguments)
    assert (a, b) == pytest.approx((3, 3 * 0.2))
    # With known mean: density of v times likelihood of 10 deviations of mean square 0.5.
    grid = np.linspace(0.05, 2, 400)
    log = stats.invgamma(a, scale=b).logpdf(grid) - 5 * np.log(grid) - 10 * 0.5 / (2 * grid)
    both = stats.invgamma(16 / 2, scale=(6 * 0.2 + 10 * 0.5) / 2).logpdf(grid)
    assert np.ptp(log - both) < 1e-9
    # The anticipated value lies between mode and mean.
    distribution = stats.invgamma(a, scale=b)
    assert grid[distribution.pdf(grid).argmax()] < 0.2 < distribution.mean()
    assert distribution.mean() == pytest.approx(0.2 * 6 / 4)


def test_a_path_prior_is_worth_so_many_clusters():
    """Its precision is the information of n clusters: n predictor variances over a residual one."""
    prior = bmsem.between_path_prior(
        0.5, clusters_equivalent=8, residual_variance=0.3, predictor_variance=0.25
    )
    mean, sd = (v for _, v in prior.arguments)
    random = np.random.default_rng(2)
    slopes = []
    for _ in range(4000):
        x = random.permutation([0.0] * 400 + [1.0] * 400)  # 100 samples of 8: variance 0.25
        y = np.sqrt(0.3) * random.normal(size=800)
        slopes.append(np.polyfit(x, y, 1)[0])
    assert mean == 0.5
    assert sd == pytest.approx(np.std(slopes) * 10, rel=0.04)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bmsem.between_variance_prior(0.0), "between 0 and 1"),
        (lambda: bmsem.between_variance_prior(1.2), "between 0 and 1"),
        (lambda: bmsem.between_variance_prior(0.1, -1), "clusters_equivalent must be above zero"),
        (lambda: bmsem.between_variance_prior(0.1, total_variance=0), "total_variance"),
        (lambda: bmsem.between_path_prior(0.5), "Give either sd"),
        (lambda: bmsem.between_path_prior(0.5, sd=1, clusters_equivalent=3), "Give either sd"),
        (lambda: bmsem.between_path_prior(0.5, sd=-1), "sd must be above zero"),
        (lambda: bmsem.between_path_prior(np.nan, sd=1), "give a number"),
        (lambda: bmsem.between_path_prior(0.5, clusters_equivalent=3), "residual_variance, predictor"),
    ],
)  # fmt: skip
def test_small_sample_priors_that_cannot_be(call, message):
    with pytest.raises(bmsem.ModelError, match=message):
        call()
