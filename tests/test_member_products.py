"""Products of variables of people: moments, recovered scores, marginal criteria, messages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bmsem
from bmsem.criteria.slopes import marginal_log_likelihood_given
from bmsem.likelihood.cluster_inputs import cluster_inputs, cluster_log_likelihood_at
from bmsem.results.standardized import total_moments

SINGLE = """
    f =~ p + q
    h =~ r + s
    fh | f XWITH h
    y ~ f + h + b*fh
"""
TWO_LEVELS = """
    within: x
    level: within
      f =~ p + q
      f ~ x
      xf | x XWITH f
      y ~ f + x + c*xf
    level: between
      y ~ p
"""


def people(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    r = np.random.default_rng(seed)
    f = r.normal(size=n)
    h = 0.4 * f + 0.9 * r.normal(size=n)
    frame = pd.DataFrame(
        {
            "p": f + 0.5 * r.normal(size=n),
            "q": 0.8 * f + 0.5 * r.normal(size=n),
            "r": h + 0.5 * r.normal(size=n),
            "s": 0.9 * h + 0.5 * r.normal(size=n),
            "y": 1.0 + 0.5 * f + 0.3 * h + 0.6 * f * h + 0.6 * r.normal(size=n),
        }
    )
    return frame, f, h


def clustered(seed: int = 3, clusters: int = 30, size: int = 12) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    g = np.repeat(np.arange(clusters), size)
    n = g.size
    x = r.normal(size=n) + 1.0
    f = 0.3 * x + r.normal(size=n)
    u = 0.5 * r.normal(size=(3, clusters))
    frame = {
        "x": x,
        "p": u[0][g] + f + 0.5 * r.normal(size=n),
        "q": u[1][g] + 0.8 * f + 0.5 * r.normal(size=n),
        "y": u[2][g] + 0.4 * f + 0.2 * x + 0.5 * x * f + 0.6 * r.normal(size=n),
    }
    return pd.DataFrame({**frame, "g": g}).sample(frac=1.0, random_state=1).reset_index(drop=True)


@pytest.fixture(scope="session")
def single():
    frame, f, h = people(150, 1)
    fit = bmsem.model(SINGLE).fit(frame, draws=300, tune=400, chains=2, seed=1, progress=False)
    return fit, f, h


@pytest.fixture(scope="session")
def two_levels():
    return bmsem.model(TWO_LEVELS).fit(
        clustered(), cluster="g", draws=300, tune=300, chains=2, seed=1, progress=False
    )


def test_the_coefficients_are_found(single, two_levels):
    fit, _, _ = single
    for draws, true in ((fit.draws("b"), 0.6), (two_levels.draws("c"), 0.5)):
        assert abs(draws.mean() - true) < 3 * draws.std() < 0.6


def test_factor_scores_come_back(single):
    """The sampled factor and the one that was integrated out."""
    fit, f, h = single
    for name, truth in (("f", f), ("h", h)):
        found = fit.latent(name).mean(("chain", "draw"))
        assert np.corrcoef(found, truth)[0, 1] > 0.85
    values = fit.plausible_values(5)
    assert values["f"].shape == values["h"].shape == (5, 150)


def test_a_recovered_score_has_the_data_s_order(two_levels):
    """Rows of one cluster are not together in the data."""
    frame = clustered()
    found = two_levels.latent("f").mean(("chain", "draw")).to_numpy()
    own = frame["p"] - frame.groupby("g")["p"].transform("mean")
    assert np.corrcoef(found, own)[0, 1] > 0.8


def test_a_fit_with_scores_is_saved_and_extended(single, tmp_path):
    fit, _, _ = single
    again = bmsem.load(fit.save(tmp_path / "fit.nc"))
    assert again.scores == pytest.approx(fit.scores)
    assert again.latent("h").mean() == pytest.approx(float(fit.latent("h").mean()))
    longer = again.extend(20, tune=50)
    assert longer.scores.shape == (2, 320, 150, 1)
    assert longer.scores[:, :300] == pytest.approx(fit.scores)


def test_marginal_likelihood_of_a_person_against_a_grid(single):
    fit, _, _ = single
    theta = fit.flat_parameters.mean(axis=0)
    found = marginal_log_likelihood_given(
        fit.bound, fit.plan, theta[None], fit.flat_sampled, fit.flat_scores
    )[0]
    inputs = cluster_inputs(fit.bound)
    none = np.empty((150, 0))
    grid = np.linspace(-8, 8, 1601)
    logs = np.stack(
        [
            cluster_log_likelihood_at(theta, none, inputs, np.full((150, 1), v))[4][:, 0]
            for v in grid
        ]
    )
    exact = np.log(np.trapezoid(np.exp(logs - logs.max(0)), grid, axis=0)) + logs.max(0)
    assert found == pytest.approx(exact, abs=5e-3)
    assert np.isfinite(fit.loo().elpd) and np.isfinite(fit.dic().dic)


def test_implied_moments_against_simulation():
    """Kenny & Judd's moments: the product's part of the variance, and of the mean, of y."""
    frame, _, _ = people(60, 2)
    bound = bmsem.model(SINGLE).bind(frame)
    theta = np.empty(len(bound.structure.parameters))
    values = {"f =~ q": 0.8, "h =~ s": 0.9, "y ~ f": 0.5, "y ~ h": 0.3, "y ~ fh": 0.6,
              "f ~~ h": 0.4, "f ~~ f": 1.0, "h ~~ h": 0.97, "y ~ 1": 1.0, "y ~~ y": 0.36}  # fmt: skip
    for p in bound.structure.parameters:
        theta[p.index] = values.get(p.rows[0].name, 0.25 if p.kind == "variance" else 0.0)
    found = total_moments(bound, None, theta[None], np.empty((1, 60, 0)))
    large, _, _ = people(400_000, 3)
    at = [found.names.index(n) for n in ("p", "q", "r", "s", "y")]
    sample = large[["p", "q", "r", "s", "y"]]
    assert found.covariance[0][np.ix_(at, at)] == pytest.approx(sample.cov().to_numpy(), abs=0.02)
    assert found.mean[0][at] == pytest.approx(sample.mean().to_numpy(), abs=0.01)


def test_explained_variance_counts_the_product(two_levels):
    table = two_levels.r_square().set_index(["level", "variable"])
    # y within: 0.4 f + 0.2 x + 0.5 x f + noise of variance 0.36, of a total of about 2.3
    assert 0.7 < table.loc[("within", "y"), "median"] < 0.92


def test_what_can_not_be_said_is_refused():
    text = TWO_LEVELS.replace("xf | x XWITH f", "xf | f XWITH f")
    fit = bmsem.model(text).fit(
        clustered(), cluster="g", draws=5, tune=5, chains=1, seed=1, progress=False
    )
    assert "one a person: the factor f" in str(bmsem.model(text).plan(clustered(), cluster="g"))
    with pytest.raises(bmsem.NotSupportedError, match="all its people's scores"):
        fit.waic()
    with pytest.raises(bmsem.NotSupportedError, match="products within clusters"):
        fit.dic("conditional")
