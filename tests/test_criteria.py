"""Predictive checks, DIC, WAIC, LOO, fit indices: against their definitions, by other routes."""

from __future__ import annotations

import numpy as np
import pytest
from dense import groups_of, joint, normal
from models_and_designs import DESIGNS, MODELS, make_data
from scipy.special import logsumexp
from test_likelihood import random_theta

import bmsem
from bmsem.criteria.cross_validation import person_log_likelihood, psis_loo, waic
from bmsem.criteria.deviance import conditional_dic, marginal_dic, marginal_log_likelihood
from bmsem.criteria.indices import ChiSquare, fit_indices
from bmsem.criteria.replicate import replicate, wishart
from bmsem.likelihood.reduced import reduced_form
from bmsem.moments import implied_moments

pytestmark = pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")

SOME = ["paths", "between-only outcome", "within-only outcome", "factors at both levels"]


def few_draws(model: str, design: str, count: int = 6):
    """A bound model and scattered parameter vectors near one point."""
    frame = make_data(DESIGNS[design])
    bound = bmsem.model(MODELS[model]).bind(frame, cluster="cluster")
    centre = random_theta(bound)
    random = np.random.default_rng(5)
    draws = centre * (1 + 0.05 * random.standard_normal((count, centre.size)))
    return frame, bound, draws


def effects_given_data(bound, group, theta):
    """Mean and covariance of the between parts of y, from the dense joint distribution."""
    mean, covariance = joint(bound, group, theta).posterior()
    nz, p = len(bound.structure.between_outcomes), len(bound.structure.outcomes)
    return mean[nz : nz + p], covariance[nz : nz + p, nz : nz + p]


def given_effects(bound, group, theta, u) -> float:
    """log p(y, z | u, theta) of a cluster, term by term."""
    s = bound.structure
    within, between = implied_moments(s.within, theta), implied_moments(s.between, theta)
    nz = len(s.between_outcomes)
    value = 0.0
    for _, person in group.iterrows():
        x = np.r_[1.0, person[list(s.within_covariates)].to_numpy(float)]
        mean = u + within.observed_coefficients @ x
        y = person[list(s.outcomes)].to_numpy(float)
        value += normal(y, mean, within.observed_covariance)
    if nz:
        x = np.r_[1.0, group[list(s.between_covariates)].iloc[0].to_numpy(float)]
        mean = between.observed_coefficients @ x
        cov = between.observed_covariance
        slopes = cov[:nz, nz:] @ np.linalg.pinv(cov[nz:, nz:], hermitian=True)
        z = group[list(s.between_outcomes)].iloc[0].to_numpy(float)
        rest = cov[:nz, :nz] - slopes @ cov[nz:, :nz]
        value += normal(z, mean[:nz] + slopes @ (u - mean[nz:]), rest)
    return value


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("model", SOME)
def test_conditional_dic_is_its_definition(model, design):
    """E over theta and u of -2 log p(y, z | u, theta), the expectation over u by quadrature points.

    The log-density is quadratic in u, so that points at the mean plus and minus the columns of a
    root of the covariance give its expectation exactly.
    """
    frame, bound, draws = few_draws(model, design, 3)
    groups = groups_of(bound, frame)
    expected = 0.0
    average = [np.zeros(len(bound.structure.outcomes)) for _ in groups]
    for theta in draws:
        for j, group in enumerate(groups):
            mean, covariance = effects_given_data(bound, group, theta)
            values, vectors = np.linalg.eigh(covariance)
            steps = (vectors * np.sqrt(np.maximum(values, 0.0) * len(mean))).T
            points = np.concatenate([mean + steps, mean - steps])
            deviances = [-2 * given_effects(bound, group, theta, u) for u in points]
            expected += np.mean(deviances) / len(draws)
            average[j] += mean / len(draws)
    centre = draws.mean(axis=0)
    at_mean = sum(
        -2 * given_effects(bound, group, centre, u)
        for group, u in zip(groups, average, strict=True)
    )
    found = conditional_dic(bound, draws)
    assert found is not None
    assert found.kind == "conditional"
    assert found.mean_deviance == pytest.approx(expected, rel=1e-8)
    assert found.deviance_at_mean == pytest.approx(at_mean, rel=1e-8)
    assert found.dic == pytest.approx(2 * expected - at_mean, rel=1e-8)


@pytest.mark.parametrize("model", SOME)
def test_marginal_dic_and_waic_are_their_definitions(model):
    frame, bound, draws = few_draws(model, "unequal")
    groups = groups_of(bound, frame)
    dense = np.array([[joint(bound, g, theta).density() for g in groups] for theta in draws])
    found = marginal_log_likelihood(bound, draws)
    assert found == pytest.approx(dense, rel=1e-9)
    at_mean = -2 * sum(joint(bound, g, draws.mean(axis=0)).density() for g in groups)
    mean = -2 * dense.sum(axis=1).mean()
    dic = marginal_dic(bound, draws, found)
    assert dic.dic == pytest.approx(2 * mean - at_mean)
    assert dic.p_d == pytest.approx(mean - at_mean, rel=1e-6)
    lppd = logsumexp(dense, axis=0) - np.log(len(draws))
    p = dense.var(axis=0, ddof=1)
    result = waic(found, bound.cluster_ids, "cluster")
    assert result.elpd == pytest.approx((lppd - p).sum(), rel=1e-9)
    assert result.p == pytest.approx(p.sum(), rel=1e-7)
    assert result.se == pytest.approx(np.sqrt(len(groups) * (lppd - p).var(ddof=1)), rel=1e-9)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("model", SOME)
def test_a_person_given_the_others_is_a_ratio_of_densities(model, design):
    """log p(y_i | rest) = log p(cluster) - log p(cluster without i), both dense."""
    frame, bound, draws = few_draws(model, design, 2)
    found = person_log_likelihood(bound, draws)
    position = {label: i for i, label in enumerate(frame.index)}
    for group in groups_of(bound, frame)[:5]:
        for label in group.index:
            rest = group.drop(index=label)
            for d, theta in enumerate(draws):
                expected = joint(bound, group, theta).density()
                if len(rest):
                    expected -= joint(bound, rest, theta).density()
                elif bound.structure.between_outcomes:
                    nz = len(bound.structure.between_outcomes)
                    alone = joint(bound, group, theta)
                    mean = (alone.design @ alone.mean)[:nz]
                    cov = (alone.design @ alone.covariance @ alone.design.T)[:nz, :nz]
                    expected -= normal(alone.data[:nz], mean, cov)
                assert found[d, position[label]] == pytest.approx(expected, rel=1e-8, abs=1e-9)


def test_loo_is_the_exact_posterior_ratio_when_draws_are_many():
    """A normal mean with known variance: leave-one-out densities are known."""
    random = np.random.default_rng(2)
    y = random.normal(1.0, 2.0, 40)
    draws = random.normal(y.mean(), 2.0 / np.sqrt(len(y)), (8000, 1))
    log_likelihood = -0.5 * np.log(2 * np.pi * 4.0) - (y - draws) ** 2 / 8.0
    others = (y.sum() - y) / (len(y) - 1)
    variance = 4.0 + 4.0 / (len(y) - 1)
    exact = -0.5 * (np.log(2 * np.pi * variance) + (y - others) ** 2 / variance)
    import pandas as pd

    found = psis_loo(log_likelihood, pd.RangeIndex(len(y)), "row", 4)
    assert found.elpd == pytest.approx(exact.sum(), abs=0.05)
    assert found.pointwise["elpd"].to_numpy() == pytest.approx(exact, abs=0.02)
    assert found.p == pytest.approx(1.0, abs=0.4)
    assert not len(found.doubtful)
    with pytest.raises(bmsem.DataError, match="at least 25 draws"):
        psis_loo(log_likelihood[:20], pd.RangeIndex(len(y)), "row", 4)


@pytest.mark.parametrize("model", ["between-only outcome", "covariates at both levels"])
def test_replicates_have_the_moments_of_data_made_row_by_row(model):
    """Sufficient statistics drawn directly against those of simulated rows: means and variances."""
    frame, bound, draws = few_draws(model, "unequal", 1)
    theta = draws[0]
    random = np.random.default_rng(1)
    count = 4000
    reduced = reduced_form(bound, np.repeat(theta[None], count, axis=0))
    direct = replicate(bound, reduced, random)
    s = bound.structure
    nz, p = len(s.between_outcomes), len(s.outcomes)
    slow_scatter, slow_cross = [], []
    parts = []
    for group in groups_of(bound, frame):
        alone = joint(bound, group, theta)
        cov = alone.design @ alone.covariance @ alone.design.T
        x = group[list(s.within_covariates)].to_numpy(float)
        parts.append((x, alone.design @ alone.mean, np.linalg.cholesky(cov)))
    for _ in range(count // 4):
        scatter, columns = 0.0, []
        for x, mean, factor in parts:
            data = mean + factor @ random.standard_normal(len(mean))
            rows = np.hstack([data[nz:].reshape(-1, p), x])
            within = rows - rows.mean(axis=0)
            scatter = scatter + within.T @ within
            columns.append(np.r_[data[:nz], rows[:, :p].mean(axis=0)])
        slow_scatter.append(scatter)
        off = np.array(columns) - bound.pooled.shift[: nz + p]
        slow_cross.append(off.T @ off)
    q = nz + p
    fast_cross = direct.cross.sum(axis=1)[:, :q, :q]
    for fast, slow in ((direct.scatter, slow_scatter), (fast_cross, slow_cross)):
        slow = np.array(slow)
        error = np.sqrt(fast.var(axis=0) / len(fast) + slow.var(axis=0) / len(slow))
        assert (np.abs(fast.mean(axis=0) - slow.mean(axis=0)) < 5 * error + 1e-9).all()
        assert fast.std(axis=0) == pytest.approx(slow.std(axis=0), rel=0.2, abs=1e-9)


@pytest.mark.parametrize(("freedom", "size"), [(12, 3), (2, 3), (3, 3), (0, 2)])
def test_wishart_moments(freedom, size):
    """E W = f I, Var W_ij = f (1 + d_ij); also with fewer degrees of freedom than rows."""
    found = wishart(np.random.default_rng(3), 20_000, freedom, size)
    assert found.mean(axis=0) == pytest.approx(freedom * np.eye(size), abs=0.15)
    assert found.var(axis=0) == pytest.approx(freedom * (1 + np.eye(size)), rel=0.1, abs=0.05)


def test_fit_indices_by_hand():
    """p* - p_D = 4 degrees of freedom; a draw 6 above p* with n = 100 and 5 variables."""
    model = ChiSquare(np.array([26.0, 15.0]), 16.0, 20, 5, 100.0)
    null = ChiSquare(np.array([140.0, 150.0]), 10.0, 20, 5, 100.0)
    found = fit_indices(model, null)
    assert found["BRMSEA"] == pytest.approx([np.sqrt(6 / 400), 0.0])
    assert found["BGammaHat"] == pytest.approx([5 / (5 + 12 / 100), 1.0])
    assert found["BCFI"] == pytest.approx([1 - 6 / 120, 1.0])
    assert found["BTLI"] == pytest.approx([(13.0 - 2.5) / 12.0, (14.0 + 0.25) / 13.0])


def test_fit_indices_without_degrees_of_freedom_are_not_defined():
    found = fit_indices(ChiSquare(np.array([21.0]), 20.5, 20, 5, 100.0), None)
    assert np.isnan(found["BRMSEA"]).all()
    assert np.isnan(found["BCFI"]).all()
