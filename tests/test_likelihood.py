"""The compiled likelihood against the dense one, over models and designs; gradients; intercepts."""

from __future__ import annotations

import numpy as np
import pytest
from models_and_designs import DESIGNS, MODELS, make_data
from reference import dense_log_likelihood

import bmsem
from bmsem.likelihood.evaluate import draw_intercepts, log_likelihood
from bmsem.likelihood.inputs import kernel_inputs
from bmsem.priors import prior_table

GRID = [(m, d) for m in MODELS for d in DESIGNS]


def setup(model: str, design: str, priors="mplus", **options):
    frame = make_data(DESIGNS[design])
    cluster = None if model == "single level" else "cluster"
    with np.errstate(all="ignore"):
        bound = bmsem.model(MODELS[model]).bind(frame, cluster=cluster)
    table = prior_table(bound, priors, **options)
    return frame, bound, table, kernel_inputs(bound, table)


def random_theta(bound, seed: int = 3) -> np.ndarray:
    """Values that keep every covariance matrix positive definite."""
    random = np.random.default_rng(seed)
    theta = np.empty(len(bound.structure.parameters))
    for p in bound.structure.parameters:
        row = p.rows[0]
        match p.kind:
            case "variance":
                theta[p.index] = random.uniform(0.8, 2.0)
            case "covariance":
                theta[p.index] = random.uniform(-0.3, 0.3)
            case "intercept":
                mean = bound.scales.mean.get((row.level, row.lhs), 0.0)
                theta[p.index] = mean + random.normal()
            case _:
                theta[p.index] = random.uniform(-0.6, 0.6)
    return theta


@pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")
@pytest.mark.parametrize(("model", "design"), GRID)
def test_value_equals_the_dense_density(model, design):
    frame, bound, _, inputs = setup(model, design, sample_intercepts=True)
    theta = random_theta(bound)
    value, _ = log_likelihood(theta[list(inputs.order)], inputs.data, inputs.integers, inputs.reals)
    assert value == pytest.approx(dense_log_likelihood(bound, frame, theta), rel=1e-10)


@pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")
@pytest.mark.parametrize("priors", ["mplus", "weak"])
@pytest.mark.parametrize(("model", "design"), GRID)
def test_gradient_equals_finite_differences(model, design, priors):
    _, bound, _, inputs = setup(model, design, priors)
    theta = random_theta(bound)[list(inputs.order)]

    def value(t):
        return log_likelihood(t, inputs.data, inputs.integers, inputs.reals)[0]

    _, gradient = log_likelihood(theta, inputs.data, inputs.integers, inputs.reals)
    # Fourth-order central differences: their own error is far below the tolerance.
    for i in range(theta.size):
        h = 2e-3 * max(1.0, abs(theta[i]))
        e = np.zeros(theta.size)
        e[i] = h
        slope = (
            8 * (value(theta + e) - value(theta - e))
            - (value(theta + 2 * e) - value(theta - 2 * e))
        ) / (12 * h)
        assert gradient[i] == pytest.approx(
            slope, rel=1e-6, abs=1e-6 * (1 + np.abs(gradient).max())
        )


@pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")
@pytest.mark.parametrize("priors", ["mplus", "weak"])
@pytest.mark.parametrize(
    "model",
    [
        "paths",
        "factors at both levels",
        "within-only outcome",
        "equalities and fixed values",
        "single level",
    ],
)
def test_integrated_intercepts_equal_the_exact_integral(model, priors):
    """The log-density is quadratic in the intercepts, so that three points an axis determine it."""
    frame, bound, table, inputs = setup(model, "unequal", priors)
    integrated = list(inputs.integrated)
    assert integrated
    theta = random_theta(bound)
    normals = [r.prior for r in table.role("integrated")]

    def joint(a):
        full = theta.copy()
        full[integrated] = a
        value = dense_log_likelihood(bound, frame, full)
        for prior, x in zip(normals, a, strict=True):
            if prior.distribution == "Normal":
                mean, sd = prior.arguments[0][1], prior.arguments[1][1]
                value -= 0.5 * ((x - mean) / sd) ** 2 + np.log(sd) + 0.5 * np.log(2 * np.pi)
        return value

    r = len(integrated)
    centre = np.array(
        [
            bound.scales.mean[
                bound.structure.parameters[i].rows[0].level,
                bound.structure.parameters[i].rows[0].lhs,
            ]
            for i in integrated
        ]
    )
    steps = np.eye(r)
    at = joint(centre)
    up = np.array([joint(centre + s) for s in steps])
    down = np.array([joint(centre - s) for s in steps])
    slope = (up - down) / 2
    curvature = np.empty((r, r))
    for i in range(r):
        for j in range(r):
            curvature[i, j] = (
                -(up[i] + down[i] - 2 * at)
                if i == j
                else -(joint(centre + steps[i] + steps[j]) - up[i] - up[j] + at)
            )
    shift = np.linalg.solve(curvature, slope)
    exact = at + 0.5 * slope @ shift + 0.5 * r * np.log(2 * np.pi)
    exact -= 0.5 * np.linalg.slogdet(curvature)[1]
    value, _ = log_likelihood(theta[list(inputs.order)], inputs.data, inputs.integers, inputs.reals)
    assert value == pytest.approx(exact, rel=1e-8)

    draws, values = draw_intercepts(
        np.tile(theta[list(inputs.order)], (40_000, 1)), inputs, np.random.default_rng(1)
    )
    assert values[0] == value
    error = np.sqrt(np.diag(np.linalg.inv(curvature)))
    assert np.abs(draws.mean(0) - centre - shift).max() < 5 * error.max() / np.sqrt(40_000)
    assert np.cov(draws.T).reshape(r, r) == pytest.approx(
        np.linalg.inv(curvature), rel=0.05, abs=0.05 * error.max() ** 2
    )


def test_outside_of_the_positive_definite_cone_the_density_is_zero():
    _, bound, _, inputs = setup("paths", "balanced")
    theta = random_theta(bound)
    covariance = next(p for p in bound.structure.parameters if p.kind == "covariance")
    theta[covariance.index] = 10.0
    value, gradient = log_likelihood(
        theta[list(inputs.order)], inputs.data, inputs.integers, inputs.reals
    )
    assert value == -np.inf
    assert not gradient.any()


def test_large_means_cost_no_digits():
    """Adding a constant to the data and to the intercepts changes nothing."""
    frame = make_data(DESIGNS["unequal"])
    model = bmsem.model(MODELS["paths"])
    values = []
    for shift in (0.0, 1e6):
        moved = frame.assign(y1=frame.y1 + shift, y2=frame.y2 + shift)
        bound = model.bind(moved, cluster="cluster")
        inputs = kernel_inputs(bound, prior_table(bound, "mplus"))
        theta = random_theta(bound)[list(inputs.order)]
        values.append(log_likelihood(theta, inputs.data, inputs.integers, inputs.reals)[0])
    assert values[1] == pytest.approx(values[0], rel=1e-9)
