"""The unrestricted two-level model: its factors, its maximum, level by level."""

from __future__ import annotations

import numpy as np
import pytest
from dense import groups_of, joint
from models_and_designs import DESIGNS, MODELS, make_data
from scipy.optimize import minimize
from test_likelihood import GRID, random_theta

import bmsem
from bmsem.criteria.discrepancy import discrepancies
from bmsem.likelihood.canonical import (
    RandomIntercepts,
    TwoLevelData,
    canonical,
    layout_of,
    observed_data,
    reduced_from,
    y_data,
)
from bmsem.likelihood.reduced import (
    ReducedForm,
    cluster_log_likelihood,
    cluster_rows,
    reduced_form,
)
from bmsem.likelihood.unrestricted import factor_log_likelihoods, maximise, unrestricted

pytestmark = pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")


def bind(model: str, design: str):
    frame = make_data(DESIGNS[design])
    cluster = None if model == "single level" else "cluster"
    return frame, bmsem.model(MODELS[model]).bind(frame, cluster=cluster)


@pytest.mark.parametrize(("model", "design"), GRID)
def test_each_cluster_has_its_dense_density(model, design):
    frame, bound = bind(model, design)
    theta = random_theta(bound)
    found = cluster_log_likelihood(reduced_form(bound, theta), cluster_rows(bound))
    expected = [joint(bound, group, theta).density() for group in groups_of(bound, frame)]
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("model", "design"), GRID)
def test_three_factors_make_the_likelihood_and_go_back(model, design):
    _, bound = bind(model, design)
    thetas = np.stack([random_theta(bound, seed) for seed in (1, 2)])
    reduced, layout = reduced_form(bound, thetas), layout_of(bound)
    parts = canonical(reduced, layout)
    value = sum(factor_log_likelihoods(observed_data(bound), layout, parts))
    expected = cluster_log_likelihood(reduced, cluster_rows(bound)).sum(axis=-1)
    assert value == pytest.approx(expected, rel=1e-11)
    back = reduced_from(parts, layout)
    for name in ReducedForm.__dataclass_fields__:
        assert getattr(back, name) == pytest.approx(getattr(reduced, name), abs=1e-10)


def dense_maximum(bound) -> float:
    """The unrestricted likelihood's maximum by a general optimiser, from two starting points."""
    layout, rows = layout_of(bound), cluster_rows(bound)
    q, p = bound.structure.between.observed, layout.outcomes
    only = layout.z + layout.only
    between, within = np.tril_indices(q), np.tril_indices(p)
    free = np.ones((q, 1 + layout.between_covariates), dtype=bool)
    free[only, 1:] = False
    ends = np.cumsum([free.sum(), p * layout.within_covariates, len(between[0]), len(within[0])])

    def unpack(t: np.ndarray) -> ReducedForm:
        pi = np.zeros(free.shape)
        pi[free] = t[: ends[0]]
        factor_b, factor_w = np.zeros((q, q)), np.zeros((p, p))
        factor_b[between] = t[ends[1] : ends[2]]
        factor_b[only] = 0.0
        factor_w[within] = t[ends[2] :]
        b = t[ends[0] : ends[1]].reshape(p, -1)
        return ReducedForm(pi, b, factor_b @ factor_b.T, factor_w @ factor_w.T)

    def loss(t: np.ndarray) -> float:
        try:
            return -float(cluster_log_likelihood(unpack(t), rows).sum())
        except np.linalg.LinAlgError:
            return 1e10

    best = np.inf
    for seed in (0, 1):
        start = 0.3 * np.random.default_rng(seed).standard_normal(ends[3])
        start[ends[1] : ends[2]] = np.eye(q)[between]
        start[ends[2] :] = np.eye(p)[within]
        found = minimize(loss, start, method="BFGS", options={"gtol": 1e-7, "maxiter": 3000})
        best = min(best, found.fun)
    return -best


OPTIMISED = ["paths", "between-only outcome", "covariates at both levels", "within-only outcome"]


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("model", OPTIMISED)
def test_maximum_is_that_of_a_general_optimiser(model, design):
    """Also with a between covariance matrix on its boundary, as in some of these."""
    _, bound = bind(model, design)
    found = unrestricted(observed_data(bound)[None], layout_of(bound), 1e-12)
    assert found.value[0] == pytest.approx(dense_maximum(bound), abs=1e-6)


def test_balanced_data_have_the_closed_form():
    """W = S / (N - J), V = covariance of the means, T = V - W / n."""
    frame, bound = bind("paths", "balanced")
    found = unrestricted(observed_data(bound)[None], layout_of(bound))
    reduced = reduced_from(found.parts, layout_of(bound))[0]
    y = frame[["y1", "y2", "y3"]]
    means = y.groupby(frame["cluster"]).transform("mean")
    w = (y - means).T @ (y - means) / (len(frame) - frame["cluster"].nunique())
    each = frame.groupby("cluster")[["y1", "y2", "y3"]].mean()
    x = np.column_stack([np.ones(len(each)), frame.groupby("cluster")["w"].first()])
    error = each - x @ np.linalg.lstsq(x, each, rcond=None)[0]
    v = error.T @ error / len(each)
    order = [["y1", "y2", "y3"].index(n) for n in bound.structure.outcomes]
    expected_w = w.to_numpy()[np.ix_(order, order)]
    expected_t = (v - w / 5).to_numpy()[np.ix_(order, order)]
    assert np.linalg.eigvalsh(expected_t).min() > 0
    assert reduced.within_covariance == pytest.approx(expected_w, abs=1e-8)
    assert reduced.between_covariance == pytest.approx(expected_t, abs=1e-8)


def test_many_data_sets_at_once_are_each_by_itself():
    _, bound = bind("between-only outcome", "singletons")
    layout, data = layout_of(bound), observed_data(bound)
    scales = np.array([1.0, 0.7, 1.5, 0.2])
    scatter = data.scatter * scales[:, None, None]
    cross = np.repeat(data.cross[None], 4, axis=0)
    together = unrestricted(TwoLevelData(scatter, cross, data.sizes, data.counts), layout, 1e-11)
    for i in range(4):
        one = TwoLevelData(scatter[i][None], cross[i][None], data.sizes, data.counts)
        assert unrestricted(one, layout, 1e-11).value[0] == pytest.approx(
            together.value[i], abs=1e-7
        )


@pytest.mark.parametrize("free", ["within", "between"])
@pytest.mark.parametrize("model", ["paths", "between-only outcome", "covariates at both levels"])
def test_maximum_over_one_level(model, free):
    """With the other level held, against a general optimiser."""
    _, bound = bind(model, "unequal")
    layout = layout_of(bound)
    theta = random_theta(bound)
    held = canonical(reduced_form(bound, theta[None]), layout).y
    data = y_data(observed_data(bound)[None], layout)
    found = maximise(data, free=free, fixed=held, tolerance=1e-12)
    p, kc = data.p, data.kc
    triangle = np.tril_indices(p)
    count = kc if free == "between" else layout.within_covariates

    def loss(t: np.ndarray) -> float:
        from bmsem.likelihood.unrestricted import random_intercept_log_likelihood

        coefficients = t[: p * count].reshape(1, p, count)
        factor = np.zeros((p, p))
        factor[triangle] = t[p * count :]
        matrix = (factor @ factor.T)[None]
        if free == "between":
            at = RandomIntercepts(coefficients, held.slopes, matrix, held.within)
        else:
            at = RandomIntercepts(held.gamma, coefficients, held.between, matrix)
        try:
            return -float(random_intercept_log_likelihood(data, at)[0])
        except bmsem.SamplingError:
            return 1e10

    start = np.concatenate([np.zeros(p * count), np.eye(p)[triangle]])
    best = minimize(loss, start, method="BFGS", options={"gtol": 1e-7, "maxiter": 3000})
    assert found.value[0] == pytest.approx(-best.fun, abs=1e-6)


@pytest.mark.parametrize(("model", "design"), GRID)
def test_no_model_fits_better_than_the_unrestricted(model, design):
    """And a level's chi-square, the other level free, lies between zero and the whole."""
    _, bound = bind(model, design)
    layout, data = layout_of(bound), observed_data(bound)[None]
    reduced = reduced_form(bound, np.stack([random_theta(bound, s) for s in range(5)]))
    best = unrestricted(data, layout).value
    found = discrepancies(data, best, reduced, layout, levels=bound.spec.multilevel)
    assert (found.overall > 0).all()
    for part in (found.within, found.between):
        if part is not None:
            assert (part > -1e-6).all()
            assert (part < found.overall + 1e-6).all()


def test_a_singular_within_covariance_is_refused_in_words():
    _, bound = bind("paths", "balanced")
    data = observed_data(bound)[None]
    data.scatter[:, 0] = data.scatter[:, 1]
    data.scatter[:, :, 0] = data.scatter[:, :, 1]
    with pytest.raises(bmsem.SamplingError, match="not positive definite"):
        unrestricted(data, layout_of(bound))
