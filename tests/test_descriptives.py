"""The unrestricted model as descriptive statistics, intraclass correlations, design effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from models_and_designs import make_data

import bmsem
from bmsem import examples
from bmsem.descriptives import design_effects, intraclass_correlations

# Table 25.1 of the chapter: eight clusters of two.
PAIRS = [[5, 6], [3, 2], [7, 9], [2, 2], [3, 5], [6, 9], [4, 2], [8, 7]]


@pytest.fixture(scope="module")
def table_25_1():
    return pd.DataFrame({"y": np.ravel(PAIRS).astype(float), "cluster": np.repeat(range(8), 2)})


def test_the_several_icc_of_table_25_1(table_25_1):
    found = intraclass_correlations(table_25_1["y"].to_numpy(), table_25_1["cluster"].to_numpy())
    assert found["between_ml"] == pytest.approx(4.50, abs=1e-9)
    assert found["within_ml"] == pytest.approx(1.50, abs=1e-9)
    assert found["ml"] == pytest.approx(0.75, abs=1e-9)
    assert found["double_entry"] == pytest.approx(0.75, abs=1e-9)
    # Where the chapter errs: the analysis of variance gives 5.25, and 0.778.
    assert found["between_anova"] == pytest.approx(5.25)
    assert found["anova"] == pytest.approx(5.25 / 6.75)
    first, second = np.array(PAIRS).T
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.82, abs=0.005)


def test_double_entry_is_the_correlation_of_all_ordered_pairs():
    frame = make_data([1, 4, 2, 6, 3, 5, 2])
    y = frame["y1"].to_numpy()
    codes, _ = pd.factorize(frame["cluster"])
    left, right = [], []
    for i in range(len(y)):
        for j in range(len(y)):
            if i != j and codes[i] == codes[j]:
                left.append(y[i])
                right.append(y[j])
    found = intraclass_correlations(y, codes)
    assert found["double_entry"] == pytest.approx(np.corrcoef(left, right)[0, 1])


def test_anova_of_unequal_clusters_and_negative_icc():
    frame = make_data([1, 4, 2, 6, 3, 5, 2])
    codes, _ = pd.factorize(frame["cluster"])
    y = frame["x"].to_numpy()
    groups = [y[codes == j] for j in range(7)]
    n = np.array([len(g) for g in groups])
    total = n.sum()
    between = sum(len(g) * (g.mean() - y.mean()) ** 2 for g in groups) / 6
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (total - 7)
    n0 = (total - (n**2).sum() / total) / 6
    expected = (between - within) / (between + (n0 - 1) * within)
    found = intraclass_correlations(y, codes)
    assert found["anova"] == pytest.approx(expected)
    assert found["ml"] >= 0
    alternating = intraclass_correlations(np.tile([1.0, 2.0], 10), np.repeat(np.arange(10), 2))
    assert alternating["ml"] == pytest.approx(0.0, abs=1e-9)
    assert alternating["double_entry"] == pytest.approx(-1.0)
    assert alternating["anova"] < 0


@pytest.mark.parametrize("example", ["mvpa", "masks"])
def test_published_descriptives(example, published):
    file = {"mvpa": "table_25_4.inp", "masks": "table_25_7.inp"}[example]
    found = bmsem.describe(examples.path(example, file))
    printed = published[example]["descriptives"]
    for level in ("within", "between"):
        for pair, value in printed.get(f"{level}_correlations", {}).items():
            matrix = getattr(found, level).correlation
            first, second = pair.split(",")
            assert matrix.loc[first, second] == pytest.approx(value, abs=0.01), pair
    for name, value in printed.get("icc", {}).items():
        assert found.icc.loc[name, "icc"] == pytest.approx(value, abs=0.001)


def test_people_declared_as_clusters_are_averaged_and_that_is_said():
    found = bmsem.describe(examples.path("masks", "table_25_7.inp"))
    assert any("'intent' is declared between-only but varies" in note for note in found.notes)


def test_standard_errors_are_those_of_the_numerical_information():
    """Second differences of the dense log-likelihood, averaged over data replicated at the estimate.

    The expected information is compared with the observed one of a large sample.
    """
    from bmsem.descriptives.information import standard_errors
    from bmsem.likelihood.canonical import Layout

    sizes, counts = np.array([2.0, 5.0, 9.0]), np.array([30.0, 40.0, 25.0])
    t, w = 0.8, 2.0
    layout = Layout(0, np.array([0]), np.array([], dtype=np.intp), 0, 0)
    found = standard_errors(np.array([[t]]), np.array([[w]]), layout, sizes, counts)
    v = t + w / sizes
    # One-way random effects: Searle, Casella & McCulloch 1992, Variance Components, section 3.7.
    tt = 0.5 * (counts / v**2).sum()
    tw = 0.5 * (counts / (sizes * v**2)).sum()
    ww = 0.5 * (((sizes - 1) * counts).sum() / w**2 + (counts / (sizes * v) ** 2).sum())
    covariance = np.linalg.inv([[tt, tw], [tw, ww]])
    assert found.between[0, 0] == pytest.approx(np.sqrt(covariance[0, 0]))
    assert found.within[0, 0] == pytest.approx(np.sqrt(covariance[1, 1]))
    assert found.mean[0] == pytest.approx(1 / np.sqrt((counts / v).sum()))
    gradient = np.array([w, -t]) / (t + w) ** 2
    assert found.icc[0] == pytest.approx(np.sqrt(gradient @ covariance @ gradient))


def test_standard_errors_of_correlations_cover():
    """Over 200 simulated data sets the estimates scatter as the standard errors say."""
    random = np.random.default_rng(1)
    code = np.repeat(np.arange(80), 5)
    estimates, errors = [], []
    for _ in range(200):
        u = random.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 80)[code]
        e = random.multivariate_normal([0, 0], [[2, 0.6], [0.6, 1]], code.size)
        frame = pd.DataFrame(u + e, columns=["a", "b"]).assign(g=code)
        found = bmsem.describe(frame, "g")
        estimates.append([found.within.correlation.loc["a", "b"],
                          found.between.correlation.loc["a", "b"], found.icc.loc["a", "icc"],
                          found.between.covariance.loc["a", "b"]])  # fmt: skip
        errors.append([found.within.correlation_se.loc["a", "b"],
                       found.between.correlation_se.loc["a", "b"], found.icc.loc["a", "se"],
                       found.between.covariance_se.loc["a", "b"]])  # fmt: skip
    scatter, said = np.std(estimates, axis=0), np.mean(errors, axis=0)
    assert said == pytest.approx(scatter, rel=0.2)


def test_design_effects():
    """The chapter's errata: DEFT = sqrt(1 + ICC (n - 1)), DEFF its square."""
    found = design_effects(0.05, np.full(10, 20.0))
    assert found["deff"] == pytest.approx(1 + 19 * 0.05)
    assert found["deft"] == pytest.approx(np.sqrt(found["deff"]))
    assert found["effective_n"] == pytest.approx(200 / found["deff"])
    unequal = design_effects(0.1, np.array([5.0, 15.0]))
    assert unequal["n"] == pytest.approx(250 / 20)


def test_variables_are_sorted_into_levels():
    frame = make_data([5, 7, 3, 6] * 6)
    found = bmsem.describe(frame, "cluster", ["y1", "y2", "w", "x"], within=["x"])
    assert list(found.within.mean.index) == ["y1", "y2", "x"]
    assert list(found.between.mean.index) == ["w", "y1", "y2"]
    assert list(found.icc.index) == ["y1", "y2"]
    assert found.within.mean["x"] == pytest.approx(frame["x"].mean())
    assert found.within.covariance.loc["x", "x"] == pytest.approx(frame["x"].var(ddof=0))
    assert "w is constant in every cluster" in str(found)
    assert found._repr_html_()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"cluster": None}, "Name the column"),
        ({}, {"cluster": "clster"}, "'clster' is not a column.*cluster"),
        ({"y1": 3.0}, {}, "'y1' does not vary"),
        ({"cluster": "a"}, {}, "only one cluster"),
        ({"cluster": range(20)}, {}, "single member"),
        ({}, {"variables": ["y9"]}, "y9"),
        ({}, {"variables": ["w", "v", "z", "y1"]}, "4 clusters are too few"),
    ],
)
def test_descriptives_that_cannot_be(change, options, message):
    frame = make_data([5] * 4).assign(**change)
    arguments = {"cluster": "cluster", "variables": ["y1", "y2"]} | options
    with pytest.raises(bmsem.DataError, match=message):
        bmsem.describe(frame, **arguments)


@pytest.fixture(scope="module")
def trial():
    return bmsem.read_mplus(examples.path("mvpa", "table_25_3.inp")).default_data()


def test_bayesian_icc_with_intervals_per_arm_and_after_treatment(trial):
    every = bmsem.icc(trial, "school", ["mvpa", "advant"], draws=500)
    frame = every.frame.set_index("variable")
    assert frame.loc["mvpa", "ml"] == pytest.approx(0.461, abs=0.001)
    assert frame.loc["mvpa", "lower"] < 0.461 < frame.loc["mvpa", "upper"]
    assert frame.loc["mvpa", "deft"] == pytest.approx(np.sqrt(1 + 19 * frame.loc["mvpa", "bayes"]))
    after = bmsem.icc(trial, "school", "advant", after="treat", draws=500).frame.iloc[0]
    assert after["ml"] < frame.loc["advant", "ml"]
    assert after["bayes"] < frame.loc["advant", "bayes"]
    arms = bmsem.icc(trial, "school", "advant", by="treat", draws=500).frame
    assert arms["treat"].to_list() == [0, 1]
    assert arms["clusters"].to_list() == [25, 25]
    assert (arms["lower"] < arms["ml"]).all()


def test_bayesian_icc_agrees_with_a_grid(table_25_1):
    """Under priors that the grid can have too: uniform variances, flat mean integrated out."""
    y = table_25_1["y"].to_numpy().reshape(8, 2)
    frame = bmsem.icc(table_25_1, "cluster", "y", priors="mplus", draws=8000).frame.iloc[0]
    between, within = np.meshgrid(np.linspace(0.01, 120, 2400), np.linspace(0.1, 12, 240))
    total = 2 * between + within
    means = y.mean(axis=1)
    log = -0.5 * (8 * np.log(within) + (y.var(axis=1) * 2).sum() / within)
    log += -0.5 * (7 * np.log(total) + 2 * ((means - means.mean()) ** 2).sum() / total)
    weight = np.exp(log - log.max())
    icc = (between / (between + within)).ravel()
    order = np.argsort(icc)
    cumulative = np.cumsum(weight.ravel()[order]) / weight.sum()
    median = icc[order][np.searchsorted(cumulative, 0.5)]
    assert frame["bayes"] == pytest.approx(median, abs=0.01)
