"""The graph: priors and Jacobians, correlation matrices, constraints, the operation's gradient."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from models_and_designs import DESIGNS, MODELS, make_data

import bmsem
from bmsem import examples
from bmsem.graph import build_graph
from bmsem.graph.correlations import (
    correlation_matrix,
    correlations_from_partials,
    lkj_shapes,
    partial_correlations,
)
from bmsem.graph.op import two_level_log_likelihood
from bmsem.likelihood.evaluate import log_likelihood
from bmsem.likelihood.inputs import kernel_inputs
from bmsem.priors import prior_table
from bmsem.spec import Prior


def test_partial_correlations_and_back():
    random = np.random.default_rng(2)
    draws = random.normal(size=(30, 4))
    matrix = np.corrcoef(draws.T)
    partials = partial_correlations(matrix)
    assert correlation_matrix(partials, 4) == pytest.approx(matrix)
    rows, columns = np.tril_indices(4, -1)
    symbolic = correlations_from_partials(pt.constant(partials), 4).eval()
    assert symbolic == pytest.approx(matrix[rows, columns])


@pytest.mark.parametrize(("size", "eta"), [(3, 1.0), (3, 2.0), (5, 2.0)])
def test_lkj_marginals(size, eta):
    """Every correlation of an LKJ(eta) matrix is 2 Beta(b, b) - 1 with b = eta - 1 + p / 2."""
    random = np.random.default_rng(1)
    shapes = np.array(lkj_shapes(size, eta))
    partials = 2 * random.beta(shapes, shapes, size=(60_000, shapes.size)) - 1
    correlations = correlation_matrix(partials, size)
    rows, columns = np.tril_indices(size, -1)
    variance = 1 / (2 * (eta - 1 + size / 2) + 1)
    assert correlations[:, rows, columns].var(axis=0) == pytest.approx(variance, rel=0.03)
    # E log|R| needs more than the marginals: sum of E log(1 - z^2) over the partial correlations.
    from scipy.special import digamma

    expected = sum(2 * (digamma(b) - digamma(2 * b) + np.log(2)) for b in shapes)
    assert np.log(np.linalg.det(correlations)).mean() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_uniform_covariance_matrix_gives_the_inverse_wishart(size):
    """Flat on means and on Sigma: Sigma | y ~ IW(S, N - p - 2), whatever it is sampled as."""
    random = np.random.default_rng(8)
    n = 45
    values = random.normal(size=(n, size)) @ random.normal(size=(size, size)) + 5.0
    names = [f"y{i}" for i in range(size)]
    text = "\n".join(f"{a} ~~ {b}" for i, a in enumerate(names) for b in names[: i + 1])
    fit = bmsem.model(text).fit(
        pd.DataFrame(values, columns=names), priors="mplus", draws=6000, seed=2, progress=False
    )
    scatter = (values - values.mean(0)).T @ (values - values.mean(0))
    freedom = n - size - 2
    mean = scatter / (freedom - size - 1)
    assert fit.converged
    for i in range(size):
        for j in range(i + 1):
            draws = fit.draws(f"{names[i]} ~~ {names[j]}")
            m = freedom - size
            variance = (m + 1) * scatter[i, j] ** 2 + (m - 1) * scatter[i, i] * scatter[j, j]
            variance /= m * (m - 1) ** 2 * (m - 3)
            assert abs(draws.mean() - mean[i, j]) < 0.05 * np.sqrt(variance)
            assert draws.std() == pytest.approx(np.sqrt(variance), rel=0.06)


def test_sparse_block_is_uniform_over_its_positive_definite_cone():
    """A covariance block with a fixed zero, against importance sampling of the same posterior."""
    random = np.random.default_rng(5)
    n = 20
    values = random.normal(size=(n, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0.4], [0, 0, 1.0]])
    values -= values.mean(0)
    frame = pd.DataFrame(values, columns=["a", "b", "c"])
    fit = bmsem.model("a ~~ b\nb ~~ c\na ~~ 0*c").fit(
        frame, priors="mplus", draws=6000, seed=2, progress=False
    )
    names = ["a ~~ a", "b ~~ b", "c ~~ c", "a ~~ b", "b ~~ c"]
    drawn = np.stack([fit.draws(name).ravel() for name in names])
    # Proposal: a t with 8 degrees of freedom in log variances and Fisher-z correlations.
    va, vb, vc, ab, bc = drawn
    free = np.stack(
        [
            np.log(va),
            np.log(vb),
            np.log(vc),
            *np.arctanh([ab / np.sqrt(va * vb), bc / np.sqrt(vb * vc)]),
        ]
    )
    centre, cover = free.mean(1), np.cov(free)
    scale = np.sqrt(8 / random.chisquare(8, size=400_000))[:, None]
    points = centre + scale * random.multivariate_normal(np.zeros(5), cover, size=400_000)
    off = points - centre
    distance = np.einsum("ij,jk,ik->i", off, np.linalg.inv(cover), off)
    log_proposal = -0.5 * (8 + 5) * np.log1p(distance / 8)
    va, vb, vc = np.exp(points[:, :3]).T
    r, q = np.tanh(points[:, 3:]).T
    ab, bc = r * np.sqrt(va * vb), q * np.sqrt(vb * vc)
    # d(variances, covariances) = v dlog v, sd sd (1 - r^2) dz
    log_jacobian = np.log(va * vb * vc) + np.log((1 - r**2) * (1 - q**2))
    log_jacobian += 0.5 * np.log(va * vb * vb * vc)
    sigma = np.zeros((len(points), 3, 3))
    sigma[:, [0, 1, 2], [0, 1, 2]] = np.stack([va, vb, vc], axis=1)
    sigma[:, 0, 1] = sigma[:, 1, 0] = ab
    sigma[:, 1, 2] = sigma[:, 2, 1] = bc
    ok = r**2 + q**2 < 1
    points = np.stack([va, vb, vc, ab, bc], axis=1)[ok]
    sigma, log_proposal = sigma[ok], (log_proposal - log_jacobian)[ok]
    scatter = values.T @ values
    # The means are integrated out under a flat prior: N - 1 in place of N.
    log_target = -0.5 * (n - 1) * np.linalg.slogdet(sigma)[1]
    log_target -= 0.5 * np.trace(np.linalg.solve(sigma, scatter[None]), axis1=1, axis2=2)
    weight = np.exp(log_target - log_proposal - (log_target - log_proposal).max())
    weight /= weight.sum()
    assert 1 / (weight**2).sum() > 20_000
    for i in range(len(names)):
        mean = weight @ points[:, i]
        sd = np.sqrt(weight @ (points[:, i] - mean) ** 2)
        assert abs(drawn[i].mean() - mean) < 0.05 * sd
        assert drawn[i].std() == pytest.approx(sd, rel=0.05)


def test_operation_value_and_gradient_in_a_graph():
    bound = bmsem.model(MODELS["factors at both levels"]).bind(
        make_data(DESIGNS["unequal"]), cluster="cluster"
    )
    inputs = kernel_inputs(bound, prior_table(bound, "weak"))
    theta = pt.dvector()
    value, _ = two_level_log_likelihood(theta, inputs.data, inputs.integers, inputs.reals)
    function = pytensor.function([theta], [2 * value, pt.grad(2 * value, theta)])
    at = np.linspace(0.5, 1.0, len(inputs.order))
    expected, slope = log_likelihood(at, inputs.data, inputs.integers, inputs.reals)
    found = function(at)
    assert found[0] == pytest.approx(2 * expected)
    assert found[1] == pytest.approx(2 * slope)


def test_two_models_of_one_shape_do_not_share_data():
    """Data are inputs of the graph: a second model must not run on the first one's."""
    model = bmsem.model(MODELS["paths"])
    values = []
    for seed in (1, 2):
        bound = model.bind(make_data(DESIGNS["balanced"], seed), cluster="cluster")
        graph = build_graph(bound, prior_table(bound, "weak"))
        point = {k: np.full_like(v, 0.1) for k, v in graph.model.initial_point().items()}
        found = float(graph.model.compile_logp()(point))
        rvs = graph.model.replace_rvs_by_values([graph.model["parameters"]])[0]
        theta = rvs.eval({v: point[v.name] for v in graph.model.value_vars})
        direct = log_likelihood(theta, graph.inputs.data, graph.inputs.integers, graph.inputs.reals)
        prior = float(graph.model.compile_logp(vars=graph.model.free_RVs)(point))
        assert found == pytest.approx(direct[0] + prior)
        values.append(found)
    assert values[0] != pytest.approx(values[1])


def test_constraints_hold_in_every_draw():
    frame = make_data(DESIGNS["unequal"])
    text = """
    level: within
      y1 ~ a*y2 + b*y3
      y2 ~~ v*y2
      y3 ~~ u*y3
    level: between
      y1 ~ y2 + c*w
    a == 2*b + 0.1
    0 == u - v^2
    c > 0.2
    """
    fit = bmsem.model(text).fit(
        frame, cluster="cluster", draws=200, tune=300, chains=2, seed=1, progress=False
    )
    assert fit.draws("a") == pytest.approx(2 * fit.draws("b") + 0.1)
    assert fit.draws("u") == pytest.approx(fit.draws("v") ** 2)
    assert (fit.draws("c") > 0.2).all()
    assert fit.draws("c").std() > 0


def test_priors_of_every_kind_are_met():
    """Bounded paths, standard deviations, correlations, and a PyMC distribution, in one model."""
    model = bmsem.read_mplus(examples.path("mvpa", "table_25_3.inp"))
    priors = {
        "preset": "mplus",
        "p3bc": "Uniform(0, 4)",
        "p2wc": "Gamma(2, 1)",
        "p1bc": pm.StudentT.dist(nu=3, mu=0.5, sigma=0.01),
        "between: sds": "HalfNormal(1)",
        "within: peers ~~ advant": Prior("Uniform", (("", 0.0), ("", 0.2)), "correlation"),
        "between: mvpa ~ 1": "Laplace(50, 1)",
    }
    fit = model.fit(priors=priors, seed=1, progress=False)
    assert fit.converged
    assert 0 < fit.draws("p3bc").min() < fit.draws("p3bc").max() < 4
    assert fit.draws("p2wc").min() > 0
    assert np.median(fit.draws("p1bc")) == pytest.approx(0.5, abs=0.01)
    assert fit.draws("between: mvpa ~~ mvpa").max() < 60
    r = fit.draws("within: peers ~~ advant") / np.sqrt(
        fit.draws("within: peers ~~ peers") * fit.draws("within: advant ~~ advant")
    )
    assert 0.15 < np.median(r) < r.max() < 0.2
    # A Laplace prior is not integrated out; it is sampled, and pulls the intercept towards 50.
    assert (
        50
        < np.median(fit.draws("between: mvpa ~ 1"))
        < np.median(model.fit(priors="mplus", seed=1, progress=False).draws("between: mvpa ~ 1"))
    )


def test_prior_of_an_unknown_distribution_is_named():
    model = bmsem.model('y ~ prior("Norml(0, 1)")*x')
    frame = pd.DataFrame({"y": [1.0, 2, 4, 3], "x": [1.0, 2, 3, 5]})
    with pytest.raises(
        bmsem.ModelError, match=r"not a distribution of PyMC.*Did you mean 'Normal'"
    ):
        model.to_pymc(frame)
    model = bmsem.model('y ~ prior("Normal(0, width=1)")*x')
    with pytest.raises(bmsem.ModelError, match="does not take"):
        model.to_pymc(frame)


@pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning", "ignore:The effect of Potentials")
@pytest.mark.parametrize("priors", ["weak", "blavaan"])
def test_proper_presets_can_be_drawn_from(priors):
    model = bmsem.model(MODELS["paths"]).to_pymc(
        make_data(DESIGNS["balanced"]), cluster="cluster", priors=priors
    )
    with model:
        prior = pm.sample_prior_predictive(50, random_seed=1, var_names=["parameters"])
    assert np.isfinite(prior["prior"]["parameters"].values).all()
