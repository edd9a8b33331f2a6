"""What was integrated out comes back with its exact conditional distribution."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dense import groups_of, joint
from models_and_designs import DESIGNS, MODELS, make_data
from test_likelihood import random_theta

import bmsem
from bmsem.latent import between_draws, within_draws

pytestmark = pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")

SOME = ["paths", "between-only outcome", "within-only outcome", "factors at both levels",
        "equalities and fixed values"]  # fmt: skip


@pytest.mark.parametrize("design", ["unequal", "singletons"])
@pytest.mark.parametrize("model", SOME)
def test_draws_have_the_conditional_mean_and_covariance(model, design):
    """Of the between variables and one member's within ones together, against the dense normal."""
    frame = make_data(DESIGNS[design])
    bound = bmsem.model(MODELS[model]).bind(frame, cluster="cluster")
    theta = random_theta(bound)
    count = 20_000
    random = np.random.default_rng(4)
    parameters = np.repeat(theta[None], count, axis=0)
    between = between_draws(bound, parameters, random)
    people = bound.people
    within = within_draws(bound, people, parameters, between, random)
    position = {label: i for i, label in enumerate(frame.index)}
    for j in (0, 3):
        group = groups_of(bound, frame)[j]
        mean, covariance = joint(bound, group, theta).posterior()
        nb, nw = between.shape[-1], within.shape[-1]
        found = np.hstack([between[:, j], within[:, position[group.index[0]]]])
        size = nb + nw
        scale = np.sqrt(np.diag(covariance)[:size])
        assert found.mean(axis=0) == pytest.approx(mean[:size], abs=0.03 * (scale.max() + 0.01))
        expected = covariance[:size, :size]
        assert np.cov(found.T) == pytest.approx(
            expected, abs=0.05 * (np.abs(expected).max() + 1e-9)
        )


def test_single_level_factor_scores():
    frame = make_data([3] * 10)
    bound = bmsem.model(MODELS["single level"]).bind(frame)
    theta = random_theta(bound)
    parameters = np.repeat(theta[None], 20_000, axis=0)
    found = between_draws(bound, parameters, np.random.default_rng(1))[:, 7]
    mean, covariance = joint(bound, frame.iloc[[7]], theta).posterior()
    assert found.mean(axis=0) == pytest.approx(mean, abs=0.03)
    assert np.cov(found.T) == pytest.approx(covariance, abs=0.03)


@pytest.fixture(scope="module")
def scored():
    """A one-factor model at each level with known loadings and scores, fitted."""
    random = np.random.default_rng(8)
    clusters, size = 60, 10
    code = np.repeat(np.arange(clusters), size)
    fb, fw = random.normal(size=clusters), random.normal(size=code.size)
    loadings = np.array([1.0, 0.8, 0.9])
    y = np.outer(fb, loadings)[code] + 0.4 * random.normal(size=(clusters, 3))[code]
    y += np.outer(fw, loadings) + 0.7 * random.normal(size=(code.size, 3))
    frame = pd.DataFrame(y, columns=["y1", "y2", "y3"]).assign(g=[f"c{c:02d}" for c in code])
    text = "level: within\n fw =~ y1 + y2 + y3\nlevel: between\n fb =~ y1 + y2 + y3"
    fit = bmsem.model(text).fit(frame, cluster="g", draws=500, seed=1, progress=False)
    return fit, fb, fw


def test_factor_scores_correlate_with_the_truth_as_theory_says(scored):
    """corr(E[f | y], f)^2 is the scores' reliability, l' Sigma^-1 l times the factor's variance."""
    fit, fb, fw = scored
    loadings = np.array([1.0, 0.8, 0.9])
    within = np.outer(loadings, loadings) + 0.49 * np.eye(3)
    between = np.outer(loadings, loadings) + 0.16 * np.eye(3) + within / 10
    between_scores = fit.latent("fb").mean(("chain", "draw")).values
    assert np.corrcoef(between_scores, fb)[0, 1] == pytest.approx(
        np.sqrt(loadings @ np.linalg.solve(between, loadings)), abs=0.04
    )
    # Within, the cluster's part is known only as well as its mean: slightly less than this.
    within_scores = fit.latent("fw", draws=100).mean(("chain", "draw")).values
    theory = np.sqrt(loadings @ np.linalg.solve(within, loadings) * 0.9)
    assert np.corrcoef(within_scores, fw)[0, 1] == pytest.approx(theory, abs=0.03)


def test_coordinates_and_plausible_values(scored):
    fit, fb, _ = scored
    found = fit.latent("y1", level="between", draws=50)
    assert found.dims == ("chain", "draw", "cluster")
    assert found.sizes == {"chain": 4, "draw": 50, "cluster": 60}
    assert list(found.cluster.values[:2]) == ["c00", "c01"]
    assert fit.latent("fw", draws=2).dims == ("chain", "draw", "row")
    values = fit.plausible_values(20)
    assert set(values.data_vars) == {
        "y1_between", "y2_between", "y3_between", "fb_between", "fw_within"
    }  # fmt: skip
    assert values["fw_within"].sizes == {"imputation": 20, "row": 600}
    # Plausible values keep the factor's variance, which means of scores do not.
    spread = values["fb_between"].std("cluster").mean()
    variance = fit.draws("between: fb ~~ fb").mean()
    assert float(spread) == pytest.approx(np.sqrt(variance), rel=0.15)
    assert np.corrcoef(values["fb_between"].mean("imputation"), fb)[0, 1] > 0.9


def test_parts_add_up_to_the_data(scored):
    fit, _, _ = scored
    between = fit.latent("y2", level="between", draws=5, seed=3)
    within = fit.latent("y2", level="within", draws=5, seed=3)
    people = fit.bound.people
    total = between.values[..., people.clusters] + within.values
    column = fit.bound.structure.outcomes.index("y2")
    assert total == pytest.approx(np.broadcast_to(people.values[:, column], total.shape))


def test_a_loaded_fit_gives_the_same_scores(scored, tmp_path):
    fit, _, _ = scored
    again = bmsem.load(fit.save(tmp_path / "fit.nc"))
    for name in ("fb", "fw"):
        mine, theirs = (f.latent(name, draws=3, seed=2) for f in (fit, again))
        assert mine.values == pytest.approx(theirs.values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fx",), "No latent quantity 'fx'. Known: fb, fw"),
        (("y1",), "part at both levels"),
        (("fb", "within"), "No latent quantity 'fb' at the within level"),
        (("fb", "middle"), "No level 'middle'"),
    ],
)
def test_mistakes(scored, arguments, message):
    with pytest.raises(bmsem.ModelError, match=message):
        scored[0].latent(*arguments)


def test_too_many_scores_are_thinned_and_said(scored, monkeypatch):
    from bmsem.results import scores

    monkeypatch.setattr(scores, "_LATENT_LIMIT", 200_000)
    with pytest.warns(bmsem.DataWarning, match="draws of each chain are used"):
        found = scored[0].latent("fw")
    assert found.sizes["draw"] < 500
