"""The likelihood with missing values: against the dense normal with rows and columns deleted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import test_cluster_likelihood as with_slopes
from dense import groups_of, joint, normal
from models_and_designs import DESIGNS, MODELS, make_data
from reference import numeric_gradient

import bmsem
from bmsem.data import bind
from bmsem.likelihood.cells import model_cells
from bmsem.likelihood.cluster_inputs import cluster_inputs, cluster_log_likelihood_at
from bmsem.likelihood.inputs import kernel_inputs
from bmsem.likelihood.kernel import packed_log_likelihood
from bmsem.priors import prior_table

pytestmark = pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")

OF_PEOPLE = ["y1", "y2", "y3", "y4", "u"]
OF_CLUSTERS = ["z", "z2"]
# Patterns of "few": which of the variables are missing.
FEW = [["y1"], ["y2", "y4"], ["y1", "y3", "u"]]


def delete(frame: pd.DataFrame, share: float, patterns: str, seed: int = 3) -> pd.DataFrame:
    """Values deleted at random: each by itself (many patterns), or by a few patterns."""
    random = np.random.default_rng(seed)
    frame = frame.copy()
    if patterns == "many":
        for name in OF_PEOPLE:
            frame.loc[random.random(len(frame)) < share, name] = np.nan
    else:
        kind = random.integers(0, len(FEW), len(frame))
        hit = random.random(len(frame)) < share
        for i, names in enumerate(FEW):
            frame.loc[hit & (kind == i), names] = np.nan
    ids = frame["cluster"].unique()
    for name in OF_CLUSTERS:
        gone = ids[random.random(len(ids)) < share]
        frame.loc[frame["cluster"].isin(gone), name] = np.nan
    return frame


def setup(name: str, design: str, share: float, patterns: str):
    frame = delete(make_data(DESIGNS[design]), share, patterns)
    spec = bmsem.model(MODELS[name]).spec
    bound = bind(spec, frame, "cluster" if spec.multilevel else None)
    random = np.random.default_rng(2)
    theta = np.empty(len(bound.structure.parameters))
    for p in bound.structure.parameters:
        row = p.rows[0]
        theta[p.index] = {
            "variance": random.uniform(0.7, 1.5),
            "covariance": random.uniform(-0.2, 0.2),
            "intercept": bound.scales.mean.get((row.level, row.lhs), 0.0) + 0.3 * random.normal(),
        }.get(p.kind, random.uniform(-0.5, 0.8))
    # Rows with nothing observed were dropped.
    kept = bound.people.index if bound.people is not None else bound.cluster_ids
    return frame.loc[kept], bound, theta


def dense_clusters(bound, frame, theta) -> list[float]:
    """log p of what is observed of each cluster: rows and columns of the full covariance deleted."""
    found = []
    for group in groups_of(bound, frame):
        whole = joint(bound, group, theta)
        seen = ~np.isnan(whole.data)
        mean = whole.design @ whole.mean
        covariance = whole.design @ whole.covariance @ whole.design.T
        found.append(normal(whole.data[seen], mean[seen], covariance[np.ix_(seen, seen)]))
    return found


GRID = [
    (name, design, share, patterns)
    for name in MODELS
    for design in DESIGNS
    for share, patterns in ((0.0, "many"), (0.05, "many"), (0.3, "many"), (0.3, "few"))
]


@pytest.mark.parametrize(("name", "design", "share", "patterns"), GRID)
def test_each_cluster_has_the_density_of_what_is_observed_of_it(name, design, share, patterns):
    frame, bound, theta = setup(name, design, share, patterns)
    none = np.empty((bound.clusters, 0))
    inputs = cluster_inputs(bound)
    value, _, _, _, by_cluster = cluster_log_likelihood_at(theta, none, inputs)
    expected = dense_clusters(bound, frame, theta)
    assert by_cluster[:, 0] == pytest.approx(expected, rel=1e-10, abs=1e-10)
    assert value == pytest.approx(sum(expected), rel=1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_without_missing_values_it_is_the_pooled_likelihood(name):
    _, bound, theta = setup(name, "unequal", 0.0, "many")
    assert bound.gaps is None and not bound.by_cell
    inputs = kernel_inputs(bound, prior_table(bound, "weak", sample_intercepts=True))
    pooled, gradient = packed_log_likelihood(
        theta[list(inputs.order)], inputs.data, inputs.integers, inputs.reals, np.empty(0),
        np.empty((0, 0)),
    )  # fmt: skip
    none = np.empty((bound.clusters, 0))
    by_cell = cluster_log_likelihood_at(theta, none, cluster_inputs(bound))
    assert by_cell[0] == pytest.approx(pooled, rel=1e-10)
    assert by_cell[1][list(inputs.order)] == pytest.approx(gradient, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("patterns", ["many", "few"])
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("name", MODELS)
def test_gradient(name, design, patterns):
    _, bound, theta = setup(name, design, 0.3, patterns)
    inputs = cluster_inputs(bound)
    none = np.empty((bound.clusters, 0))
    gradient = cluster_log_likelihood_at(theta, none, inputs)[1]

    def value(point: np.ndarray) -> float:
        return cluster_log_likelihood_at(point, none, inputs)[0]

    slopes = numeric_gradient(value, theta)
    assert gradient == pytest.approx(slopes, rel=1e-6, abs=1e-6 * (1 + np.abs(gradient).max()))


def test_rows_without_levels_are_told_apart_or_joined():
    _, bound, theta = setup("single level", "unequal", 0.3, "few")
    none = np.empty((bound.clusters, 0))
    apart, joined = cluster_inputs(bound), cluster_inputs(bound, joined=True)
    one = cluster_log_likelihood_at(theta, none, apart)
    other = cluster_log_likelihood_at(theta, np.empty((1, 0)), joined)
    assert len(other[4]) == 1 and len(one[4]) == bound.rows
    assert other[0] == pytest.approx(one[0], rel=1e-12)
    assert other[1] == pytest.approx(one[1], rel=1e-9, abs=1e-9)


def of_what_is_there(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    seen = ~np.isnan(x)
    return normal(x[seen], mean[seen], covariance[np.ix_(seen, seen)])


def setup_with_slopes(name: str):
    """A model with slopes or products, data of which a third is deleted, and what is sampled."""

    def thinned(frame: pd.DataFrame) -> pd.DataFrame:
        random = np.random.default_rng(4)
        frame = frame.copy()
        for column in ("y1", "y2", "y3", "y4", "y5", "y6", "u"):
            frame.loc[random.random(len(frame)) < 0.3, column] = np.nan
        frame.loc[frame["cluster"].isin(["c1", "c4"]), "z"] = np.nan
        return frame

    frame, bound, plan, inputs, theta, sampled, scores = with_slopes.setup(name, "unequal", thinned)
    index = bound.people.index if bound.people is not None else bound.cluster_ids
    frame = frame.loc[index].copy()
    cells = model_cells(bound, plan)
    filled = np.random.default_rng(6).normal(size=len(cells.filled))
    outcomes = bound.structure.outcomes or bound.structure.between_outcomes
    for value, (place, outcome) in zip(filled, cells.filled, strict=True):
        row, column = frame.index[cells.people[place]], outcomes[outcome]
        assert np.isnan(frame.loc[row, column])
        frame.loc[row, column] = value
    people = np.concatenate([scores.ravel(), filled])
    return frame, bound, plan, inputs, theta, sampled, scores, people


# Who has no value of a model's only outcome is dropped: nothing is missing of the others.
SEVERAL = [
    n for n, text in with_slopes.MODELS.items() if any(w in text for w in ("y2", "u ~", "z ~"))
]


@pytest.mark.parametrize("name", SEVERAL)
def test_slopes_and_products_with_missing_values_have_the_density_of_their_definition(
    name, monkeypatch
):
    frame, bound, plan, inputs, theta, sampled, scores, people = setup_with_slopes(name)
    assert bound.gaps is not None
    value, _, mean, covariance, by_cluster = cluster_log_likelihood_at(
        theta, sampled, inputs, people
    )
    monkeypatch.setattr(with_slopes, "normal", of_what_is_there)
    own = with_slopes.scores_of(bound, plan, frame, scores)
    expected = [
        with_slopes.by_definition(
            bound, plan, group, theta, sampled[j], own[j], (mean[j], covariance[j])
        )
        for j, group in enumerate(groups_of(bound, frame))
    ]
    assert by_cluster[:, 0] == pytest.approx(expected, rel=1e-7)
    assert value == pytest.approx(sum(expected), rel=1e-7)


@pytest.mark.parametrize("name", SEVERAL)
def test_gradient_by_all_that_is_sampled(name):
    _, _, _, inputs, theta, sampled, _, people = setup_with_slopes(name)
    gradient = cluster_log_likelihood_at(theta, sampled, inputs, people)[1]
    at = np.concatenate([theta, sampled.ravel(), people])
    a, b = theta.size, theta.size + sampled.size

    def value(point: np.ndarray) -> float:
        return cluster_log_likelihood_at(
            point[:a], point[a:b].reshape(sampled.shape), inputs, point[b:]
        )[0]

    slopes = numeric_gradient(value, at)
    assert gradient == pytest.approx(slopes, rel=1e-6, abs=1e-6 * (1 + np.abs(gradient).max()))


def test_what_is_sampled_of_missing_values_is_what_must_be_known():
    _, bound, plan, *_ = setup_with_slopes("slope on a latent mean")
    cells = model_cells(bound, plan)
    assert {bound.structure.outcomes[i] for _, i in cells.filled} == {"y2"}
    _, bound, plan, *_ = setup_with_slopes("slope on a covariate, cross-level")
    assert len(model_cells(bound, plan).filled) == 0
