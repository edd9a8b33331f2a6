"""Simulated data: against implied moments, against the likelihood's score, and as designed."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from models_and_designs import MODELS as LINEAR
from test_cluster_likelihood import MODELS as BENT
from test_member_products import SINGLE, TWO_LEVELS

from bmsem.data import bind
from bmsem.errors import DataError, ModelError
from bmsem.language import parse_formula
from bmsem.likelihood.cluster_inputs import cluster_inputs, cluster_log_likelihood_at
from bmsem.likelihood.evaluate import log_likelihood
from bmsem.likelihood.inputs import kernel_inputs
from bmsem.moments import implied_moments
from bmsem.priors import prior_table
from bmsem.simulation import Covariate, Design, parameter_values, simulate, simulator
from bmsem.simulation.distributions import Distribution
from bmsem.spec import ModelSpec
from bmsem.structure import build_structure, free_parameters
from bmsem.structure.sampled import sampled_quantities

pytestmark = pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")

EXAMPLES = Path(__file__).resolve().parents[1] / "models"
TRIAL = """
    level: within
      y ~ pw*m
    level: between
      y ~ pb*m
      m ~ a*treat
    ind := a*pb
"""
TRUE = {
    "pw": 0.4, "pb": 0.5, "a": 0.3, "within: sd(m)": 1.2, "within: sd(y)": 0.9,
    "icc(m)": 0.2, "icc(y)": 0.1,
}  # fmt: skip
SLOPE = """
    within: x
    level: within
      s | y ~ x
    level: between
      s ~ c*w
      y ~ w
"""
LOOPS = {
    "a slope in a loop": """
        within: x, x2
        level: within
          f =~ y1 + y2 + y3
          s | y4 ~ f
          f ~ y4 + x2
          y4 ~ x
        level: between
          y1 ~~ y2
    """,
    "a product in a loop": """
        within: x, x2
        level: within
          f =~ y1 + y2 + y3
          int | x XWITH f
          y4 ~ f + int
          f ~ y4 + x2
        level: between
          y1 ~~ y2
    """,
}
ALL = LINEAR | BENT | LOOPS | {"Kenny and Judd": SINGLE, "x times f": TWO_LEVELS}


def design_of(spec: ModelSpec, sizes: list[int], seed: int = 0) -> Design:
    """A design with a value for all that the model conditions on."""
    structure = build_structure(spec)
    covariates = {n: Covariate("Normal(1, 1.5)", icc=0.2) for n in structure.within_covariates}
    covariates |= dict.fromkeys(structure.between_covariates, "Gamma(4, 2)")
    if "sex" in covariates:
        covariates["sex"] = Covariate("Bernoulli(0.4)")
    if not spec.multilevel:
        return Design(rows=sum(sizes), covariates=covariates, seed=seed)
    arms = {"w": 0.5} if covariates.pop("w", None) else {}
    return Design(len(sizes), sizes, arms=arms, covariates=covariates, seed=seed)


def random_theta(spec: ModelSpec, seed: int = 3) -> np.ndarray:
    """Values that keep every covariance matrix positive definite."""
    random = np.random.default_rng(seed)
    ranges = {"variance": (0.6, 1.4), "covariance": (-0.25, 0.25), "intercept": (-2.0, 2.0)}
    found = [random.uniform(*ranges.get(p.kind, (-0.5, 0.6))) for p in free_parameters(spec)]
    return np.array(found)


# Against the implied moments. ------------------------------------------------------------------


@pytest.mark.parametrize("name", LINEAR)
def test_moments_are_the_implied_ones(name):
    """Within 5 standard errors: means given covariates, covariances at both levels."""
    spec = parse_formula(LINEAR[name])
    clusters, n = 4000, 4 if spec.multilevel else 1
    ready = simulator(spec, design_of(spec, [n] * clusters))
    theta, s = random_theta(spec), ready.structure
    frame, _ = ready.data(theta, 11)
    first = frame.iloc[ready.layout.first]
    between, within = implied_moments(s.between, theta), implied_moments(s.within, theta)
    x = np.column_stack([np.ones(clusters), first[list(s.between_covariates)]])
    mean = x @ between.observed_coefficients.T
    nz, p = len(s.between_outcomes), len(s.outcomes)
    covariance = between.observed_covariance.copy()
    residual = first[list(s.between_outcomes)].to_numpy() - mean[:, :nz]
    if spec.multilevel:
        xw = np.column_stack([np.ones(len(frame)), frame[list(s.within_covariates)]])
        y = frame[list(s.outcomes)].to_numpy() - xw @ within.observed_coefficients.T
        y -= mean[ready.layout.codes, nz:]
        y = y.reshape(clusters, n, p)
        means = y.mean(axis=1)
        inside = (y - means[:, None]).reshape(-1, p)
        sigma = within.observed_covariance
        assert_covariance(inside.T @ inside / (clusters * (n - 1)), sigma, clusters * (n - 1))
        covariance[nz:, nz:] += sigma / n
        residual = np.hstack([residual, means])
        columns = (xw - xw.mean(axis=0)).reshape(clusters, n, -1)[..., 1:]
        if columns.shape[-1]:
            cross = np.einsum("jik,jip->kp", columns, y)
            total = np.diag(sigma + between.observed_covariance[nz:, nz:])
            assert np.abs(cross / np.sqrt(np.outer((columns**2).sum((0, 1)) * n, total))).max() < 5
    assert_covariance(residual.T @ residual / clusters, covariance, clusters)
    error = np.sqrt((x**2).T @ np.ones((clusters, 1)) * np.diag(covariance))
    assert np.abs((x.T @ residual) / np.maximum(error, 1e-9)).max() < 5


def assert_covariance(found: np.ndarray, true: np.ndarray, freedom: int) -> None:
    """Standard errors of covariances of normal variables: (s_ij^2 + s_ii s_jj) / freedom."""
    error = np.sqrt((true**2 + np.outer(np.diag(true), np.diag(true))) / freedom)
    assert np.abs((found - true) / np.maximum(error, 1e-9)).max() < 5


def test_moments_of_a_product_of_factors():
    """Kenny & Judd (1984): the product adds to the mean and to the variance of y."""
    spec = parse_formula(SINGLE)
    given = {"paths": 0.3, "b": 0.6, "loadings": 0.8, "variances": 0.3, "f ~~ f": 1.0, "h ~~ h": 0.9,
             "cor(f, h)": 0.4, "y ~ 1": 2.0}  # fmt: skip
    n = 200_000
    y = simulate(spec, given, Design(rows=n), seed=1)["y"]
    cov = 0.4 * np.sqrt(0.9)
    mean = 2.0 + 0.6 * cov
    variance = 0.09 * (1.0 + 0.9 + 2 * cov) + 0.36 * (0.9 + cov**2) + 0.3
    assert abs(y.mean() - mean) < 5 * np.sqrt(variance / n)
    fourth = float(((y - y.mean()) ** 4).mean())
    assert abs(y.var() - variance) < 5 * np.sqrt((fourth - variance**2) / n)


def test_moments_of_a_varying_slope():
    """Var(y | x) = u + 2 x cov(u, s) + x^2 var(s) + e at every x, and the mean bends with w."""
    spec = parse_formula(SLOPE.replace("y ~ w", "y ~ w\n s ~~ y"))
    given = {"c": 0.5, "s ~ 1": 0.7, "between: y ~ w": 0.2, "s ~~ s": 0.3, "cor(s, y)": 0.5,
             "between: sd(y)": 0.8, "within: y ~~ y": 1.1}  # fmt: skip
    clusters = 40_000
    x = np.tile([-1.0, 0.0, 2.0], clusters)
    design = Design(clusters, 3, arms={"w": 0.5}, covariates={"x": x})
    frame = simulate(spec, given, design, seed=2)
    y = frame["y"].to_numpy().reshape(clusters, 3)
    w = frame["w"].to_numpy().reshape(clusters, 3)[:, :1]
    at = np.array([-1.0, 0.0, 2.0])
    off = y - 0.2 * w - (0.7 + 0.5 * w) * at
    cov = 0.5 * 0.8 * np.sqrt(0.3)
    true = 0.64 + cov * (at + at[:, None]) + 0.3 * np.outer(at, at) + 1.1 * np.eye(3)
    assert_covariance(off.T @ off / clusters, true, clusters)
    assert np.abs(off.mean(axis=0) / np.sqrt(np.diag(true) / clusters)).max() < 5


def test_a_slope_multiplies_the_deviation_from_the_latent_mean():
    spec = parse_formula("level: within\n s | y ~ x\nlevel: between\n y ~ g*x\n s ~~ y")
    theta = random_theta(spec)
    frame, latents = simulate(spec, theta, Design(200, 6), seed=4, latent=True)
    codes = frame["cluster"].to_numpy() - 1
    assert frame["x"].to_numpy() == pytest.approx(
        latents["between: x"][codes] + latents["within: x"]
    )
    rest = frame["y"] - latents["between: y"][codes] - latents["s"][codes] * latents["within: x"]
    at = {p.name: theta[p.index] for p in free_parameters(spec)}
    assert rest.var() == pytest.approx(at["within: y ~~ y"], rel=5 * np.sqrt(2 / 1200))


def test_a_slope_on_a_within_only_variable_multiplies_raw_scores():
    spec = parse_formula(BENT["slope on a within-only outcome"])
    theta = random_theta(spec)
    design = design_of(spec, [5] * 100)
    frame, latents = simulate(spec, theta, design, seed=4, latent=True)
    codes = frame["cluster"].to_numpy() - 1
    rest = frame["y1"] - latents["between: y1"][codes] - latents["s"][codes] * frame["u"]
    at = {p.name: theta[p.index] for p in free_parameters(spec)}
    assert rest.var() == pytest.approx(at["within: y1 ~~ y1"], rel=5 * np.sqrt(2 / 500))


@pytest.mark.parametrize("name", LOOPS)
def test_loops_with_multipliers_are_solved(name):
    """What the equations leave of y4 and f has the residuals' variances and no correlation."""
    spec = parse_formula(LOOPS[name])
    given = {"loadings": 0.8, "variances": 1.0, "paths": 0.4, "intercepts": 0.3}
    given |= {"y4 ~ int": 0.5} if spec.interactions else {}
    n = 40_000
    design = design_of(spec, [20] * (n // 20))
    frame, latents = simulate(spec, given, design, seed=8, latent=True)
    codes = frame["cluster"].to_numpy() - 1
    f, y4 = latents["f"], latents["within: y4"]
    if spec.slopes:
        left = y4 - latents["s"][codes] * f - 0.4 * frame["x"]
    else:
        left = y4 - (0.4 + 0.5 * frame["x"]) * f
    rest = f - 0.4 * y4 - 0.4 * frame["x2"]
    assert_covariance(np.cov(left, rest), np.eye(2), n)


@pytest.mark.parametrize("level", ["within", "between"])
def test_a_product_waits_for_both_of_its_variables(level):
    """Without paths from them that would put them first; y1 depends on nothing else."""
    other = "between" if level == "within" else "within"
    spec = parse_formula(
        f"level: {level}\n y1 ~ y2\n y2 ~ int\n int | f XWITH g\n f =~ y3 + y4\n g =~ y5 + y6\n"
        f" g ~ f\nlevel: {other}\n y1 ~~ y2"
    )
    given = {"paths": 0.5, f"{level}: y2 ~ int": 0.9, "variances": 1.0, "loadings": 1.0}
    _, latents = simulate(spec, given, Design(3000, 3), seed=8, latent=True)
    y1, y2 = (latents[f"{level}: {n}"] for n in ("y1", "y2"))
    rest = y2 - 0.9 * latents["f"] * latents["g"]
    assert_covariance(np.cov(rest, y1 - 0.5 * y2), np.eye(2), len(rest))


# Against the likelihood. -----------------------------------------------------------------------


def joint_score(ready, theta: np.ndarray, seed: int) -> np.ndarray:
    """The gradient of log p(data, what is sampled | theta) at the truth."""
    frame, latents = ready.data(theta, seed)
    bound = bind(ready.spec, frame, ready.layout.cluster)
    assert [p.name for p in bound.structure.parameters] == [
        p.name for p in ready.structure.parameters
    ]
    plan = sampled_quantities(bound.structure, bound.spec.within_only)
    if not plan.needed:
        table = prior_table(bound, "mplus", sample_intercepts=True)
        k = kernel_inputs(bound, table, tuple(range(len(theta))))
        return log_likelihood(theta, k.data, k.integers, k.reals)[1]
    between, single = bound.structure.between.variables, not bound.spec.multilevel
    people = between if single else bound.structure.within.variables

    def latent(name: str) -> np.ndarray:
        return latents[name] if name in latents else latents[f"between: {name}"]

    rows = [latent(between[r]) for r in plan.rows]
    scores = [latents[people[r]] for r in plan.scores]
    sampled = np.column_stack(rows) if rows else np.empty((bound.clusters, 0))
    f = np.column_stack(scores) if scores else np.empty((0, 0))
    return cluster_log_likelihood_at(theta, sampled, cluster_inputs(bound), f)[1][: len(theta)]


@pytest.mark.parametrize("name", ALL)
def test_the_score_has_mean_zero_at_the_truth(name):
    spec = parse_formula(ALL[name])
    ready = simulator(spec, design_of(spec, [1, 2, 3, 4, 5, 6] * 8))
    theta = random_theta(ready.spec)
    scores = np.array([joint_score(ready, theta, seed) for seed in range(60)])
    assert np.isfinite(scores).all()
    z = scores.mean(axis=0) / (scores.std(axis=0, ddof=1) / np.sqrt(len(scores)))
    assert np.abs(z).max() < 5
    assert np.sqrt((z**2).mean()) < 2.2


@pytest.mark.parametrize("wrong", ["a", "within: sd(y)", "icc(m)", "pb"])
def test_the_score_tells_wrong_values(wrong):
    """What the test above would find: a parameter that is off by a quarter."""
    spec = parse_formula(TRIAL)
    ready = simulator(spec, Design(48, 4, arms={"treat": 0.5}))
    theta, truth = ready.values(TRUE), ready.values(TRUE | {wrong: 1.25 * TRUE[wrong]})
    scores = []
    for seed in range(60):
        frame, _ = ready.data(truth, seed)
        bound = bind(spec, frame, "cluster")
        k = kernel_inputs(
            bound, prior_table(bound, "mplus", sample_intercepts=True), tuple(range(len(theta)))
        )
        scores.append(log_likelihood(theta, k.data, k.integers, k.reals)[1])
    z = np.mean(scores, axis=0) / (np.std(scores, axis=0, ddof=1) / np.sqrt(60))
    assert np.abs(z).max() > 2.2


@pytest.mark.parametrize("name", ALL)
def test_simulated_data_bind_to_the_model(name):
    spec = parse_formula(ALL[name])
    frame = simulate(spec, random_theta(spec), design_of(spec, [3] * 40), seed=1)
    bound = bind(spec, frame, "cluster" if spec.multilevel else None)
    assert bound.spec.observed == spec.observed
    assert list(frame)[1 if spec.multilevel else 0 :] == list(spec.observed)
    assert bound.rows == 120


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.bms")), ids=lambda p: p.stem)
def test_the_examples_are_simulated_from_their_data(path):
    spec = parse_formula(path.read_text())
    source = {"masks": "intent norm att treat group", "mvpa": "mvpa advant peers treat school"}
    names = source.get(path.parent.name, "y1 y2 y3 m1 m2 m3 treat school").split()
    data = next(p for p in path.parent.iterdir() if p.suffix in (".dat", ".csv"))
    frame = pd.read_csv(data) if data.suffix == ".csv" else None
    if frame is None:
        frame = pd.read_csv(data, sep=r"\s+", header=None, names=names)
    frame = frame.sample(frac=1.0, random_state=1)
    design = Design.from_data(frame, cluster=spec.cluster)
    ready = simulator(spec, design)
    found, _ = ready.data(random_theta(ready.spec), 1)
    assert found.index.equals(frame.index)
    assert (found[spec.cluster] == frame[spec.cluster]).all()
    for name in ready.computed.conditioned:
        assert (found[name] == frame[name]).all()
    for name in ready.computed.simulated & set(frame):
        assert np.corrcoef(found[name], frame[name])[0, 1] < 0.3
    assert bind(spec, found).rows == len(frame)
    assert bind(ready.spec, found).spec.observed == ready.spec.observed


# True values. ----------------------------------------------------------------------------------


def test_true_values_by_every_kind_of_name():
    spec = parse_formula(TRIAL)
    found = dict(
        zip([p.full_name for p in free_parameters(spec)], parameter_values(spec, TRUE), strict=True)
    )
    assert found == pytest.approx({
        "within: y ~ m": 0.4, "between: y ~ m": 0.5, "between: m ~ treat": 0.3,
        "within: m ~~ m": 1.44, "within: y ~~ y": 0.81, "between: m ~~ m": 1.44 / 4,
        "between: y ~~ y": 0.09, "between: y ~ 1": 0.0, "between: m ~ 1": 0.0,
    })  # fmt: skip
    rows = {"within: y ~ m": 0.4, "between: y ~ m": 0.5, "m ~ treat": 0.3, "variances": 1.0,
            "between: sd(y)": 0.5, "rsquare(y, 2)": 0.4}  # fmt: skip
    with pytest.raises(ModelError, match=r"'rsquare\(y\)' stands at both levels"):
        parameter_values(spec, rows)
    rows["within: rsquare(y, 2)"] = rows.pop("rsquare(y, 2)")
    again = dict(
        zip([p.full_name for p in free_parameters(spec)], parameter_values(spec, rows), strict=True)
    )
    assert again["within: y ~~ y"] == pytest.approx(1.2)
    assert again["between: y ~~ y"] == 0.25
    assert again["between: m ~~ m"] == 1.0


def test_correlations_become_covariances():
    spec = parse_formula("y1 ~~ y2\ny1 ~~ y3\ny2 ~~ 4*y2\ny2 ~~ y3")
    given = {"sd(y1)": 3.0, "y3 ~~ y3": 2.0, "cor(y2, y1)": 0.5}
    found = dict(
        zip([p.name for p in free_parameters(spec)], parameter_values(spec, given), strict=True)
    )
    assert found["y1 ~~ y2"] == pytest.approx(3.0)
    assert found["y1 ~~ y3"] == 0.0


def test_determined_labels_are_computed():
    spec = parse_formula("y ~ a*x + b*z + c*w\ny ~~ v*y\na == 2*b\nc == a + v")
    found = dict(
        zip(
            [p.name for p in free_parameters(spec)],
            parameter_values(spec, {"b": 0.5, "v": 2.0}),
            strict=True,
        )
    )
    assert (found["a"], found["c"]) == (1.0, 3.0)
    parameter_values(spec, {"b": 0.5, "v": 2.0, "a": 1.0})
    with pytest.raises(ModelError, match="'a' has two values: 2 by 'a' and 1 by 'the constraint a"):
        parameter_values(spec, {"b": 0.5, "v": 2.0, "a": 2.0})
    with pytest.raises(ModelError, match=r"1 parameter\(s\) have no true value: b\."):
        parameter_values(spec, {"v": 2.0})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": None}, r"1 parameter\(s\) have no true value: a\."),
        ({"icc(m)": None, "pw": None}, "true value: pw; between: m ~~ m"),
        ({"aa": 1.0}, "'aa' is not a parameter of the model. Did you mean 'a'"),
        ({"y ~ m": 1.0}, "'y ~ m' stands at both levels"),
        ({"ind": 0.15}, "'ind' is computed .* give the values of a, pb instead"),
        ({"a": "many"}, "'a' is 'many', not a number"),
        ({"a": np.inf}, "'a' is inf, not a number"),
        ({"within: y ~~ y": 2.0}, "has two values: 2 by .* and 0.81 by|0.81 by .* and 2 by"),
        ({"within: sd(y)": -1.0}, r"'within: sd\(y\)' is -1: a standard deviation"),
        ({"icc(y)": 1.0}, r"'icc\(y\)' is 1: an intraclass correlation is at least 0, below 1"),
        ({"icc(treat)": 0.1}, r"'icc\(treat\)' is not a parameter of the model"),
        ({"within: sd(y)": None, "within: y ~~ y": -1.0},
         "The variance of 'y' at the within level is -1"),
        ({"within: sd(m)": 0.0}, "the variance of 'm' within clusters is 0"),
    ],
)  # fmt: skip
def test_true_values_that_cannot_be(change, message):
    given = {k: v for k, v in (TRUE | change).items() if v is not None}
    with pytest.raises(ModelError, match=message):
        parameter_values(parse_formula(TRIAL), given)


@pytest.mark.parametrize(
    ("text", "given", "message"),
    [
        ("y ~ 0.5*x", {"sd(y)": 1.0, "y ~ x": 0.5}, "'y ~ x' is fixed at 0.5"),
        ("y ~ b*x\nb > 0", {"sd(y)": 1.0, "b": -0.5}, "'b' is -0.5, .* between 0 and inf"),
        ("y ~~ x", {"variances": 1.0, "cor(x, y)": 1.5}, "a correlation is between -1 and 1"),
        ("y ~~ x", {"variances": 1.0, "y ~~ x": 1.5}, "residuals of y, x cannot have these"),
        ("level: within\n y ~~ x\n y ~~ z\n x ~~ z\nlevel: between\n y ~~ y",
         {"sds": 1.0, "cor(x, y)": 0.9, "cor(x, z)": 0.9, "within: y ~~ z": -0.9},
         "at the within level cannot have these"),
        ("y ~~ x", {"sd(x)": 1.0, "sd(y)": 0.0, "y ~~ x": 0.5}, "residuals of y, x|x, y cannot"),
    ],
)  # fmt: skip
def test_matrices_bounds_and_fixed_values(text, given, message):
    with pytest.raises(ModelError, match=message):
        parameter_values(parse_formula(text), given)


def test_the_mean_of_a_varying_slope_is_asked_for():
    spec = parse_formula(SLOPE)
    given = {"c": 0.5, "between: y ~ w": 0.2, "variances": 1.0}
    with pytest.raises(ModelError, match="true value: between: s ~ 1"):
        parameter_values(spec, given)
    with pytest.raises(ModelError, match="true value: between: s ~ 1; between: s ~~ s"):
        parameter_values(spec, {"paths": 0.5, "within: sds": 1.0, "iccs": 0.1})
    assert parameter_values(spec, {**given, "s ~ 1": 0.3}).size == len(free_parameters(spec))


def test_a_vector_is_checked():
    spec = parse_formula("y ~ x")
    design = Design(rows=10, covariates={"x": "Normal()"})
    with pytest.raises(ModelError, match="3 free parameters, but the values have the shape"):
        simulate(spec, np.zeros(2), design)
    with pytest.raises(ModelError, match="variance of 'y' is -1"):
        simulate(spec, np.full(3, -1.0), design)


# Designs. --------------------------------------------------------------------------------------


def anova_icc(values: np.ndarray, clusters: int) -> float:
    """Fisher's estimate for clusters of one size, people of a cluster together."""
    table = values.reshape(clusters, -1)
    n = table.shape[1]
    inside = table.var(axis=1, ddof=1).mean()
    between = table.mean(axis=1).var(ddof=1) - inside / n
    return float(between / (between + inside))


def test_the_intraclass_correlation_is_the_one_given():
    spec = parse_formula("level: within\n y ~~ y\nlevel: between\n y ~~ y")
    given = {"within: sd(y)": 3.0, "icc(y)": 0.15}
    frame = simulate(spec, given, Design(4000, 10), seed=5)
    error = 0.85 * (1 + 9 * 0.15) * np.sqrt(2 / (10 * 9 * 4000))
    assert abs(anova_icc(frame["y"].to_numpy(), 4000) - 0.15) < 5 * error


@pytest.mark.parametrize("text", ["Normal(2, 3)", "Bernoulli(0.3)", "Gamma(1, 2)", "Poisson(0.7)"])
def test_a_covariate_has_its_distribution_and_its_icc(text):
    spec = parse_formula("within: x\nlevel: within\n y ~ x\nlevel: between\n y ~~ y")
    design = Design(8000, 6, covariates={"x": Covariate(text, icc=0.2)})
    x = simulate(spec, random_theta(spec), design, seed=6)["x"].to_numpy()
    assert abs(anova_icc(x, 8000) - 0.2) < 0.02
    given = Distribution(text)._frozen
    assert abs(x.mean() - given.mean()) < 5 * given.std() * np.sqrt(2.0 / x.size)
    assert x.std() == pytest.approx(given.std(), rel=0.04)


def test_two_indicators_of_one_half_are_correlated_by_the_arcsine_law():
    assert Distribution("Bernoulli(0.5)").score_correlation(0.2) == pytest.approx(
        np.sin(0.2 * np.pi / 2), abs=2e-3
    )


def test_sizes():
    assert Design(3, 20).cluster_sizes.tolist() == [20, 20, 20]
    assert Design(3, [1, 2, 3]).cluster_sizes.tolist() == [1, 2, 3]
    drawn = [Design(400, "Poisson(5)", seed=s).cluster_sizes for s in (1, 1, 2)]
    assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).any()
    assert drawn[0].min() >= 1
    assert abs(drawn[0].mean() - 5) < 5 * np.sqrt(5 / 400)
    spec = parse_formula(TRIAL)
    design = Design(30, "Uniform(10, 30)", arms={"treat": 0.5})
    frames = [simulate(spec, TRUE, design, seed) for seed in (1, 2)]
    for frame in frames:
        assert frame.groupby("cluster").size().tolist() == design.cluster_sizes.tolist()
    assert len(np.unique(design.cluster_sizes)) > 5
    # What is added to a design changes none of its sizes.
    assert (Design(30, "Uniform(10, 30)").cluster_sizes == design.cluster_sizes).all()


@pytest.mark.parametrize(
    ("arms", "counts"),
    [
        (0.5, {0: 20, 1: 20}),
        (0.3, {0: 28, 1: 12}),
        ({0: 0.34, 1: 0.33, 2: 0.33}, {0: 14, 1: 13, 2: 13}),
    ],
)
def test_arms_of_clusters_are_balanced(arms, counts):
    spec = parse_formula(TRIAL)
    frames = [
        simulate(spec, TRUE, Design(40, 3, arms={"treat": arms}), seed=seed) for seed in (1, 2)
    ]
    treats = [frame.groupby("cluster")["treat"].agg(["first", "nunique"]) for frame in frames]
    for treat in treats:
        assert treat["first"].value_counts().to_dict() == counts
        assert (treat["nunique"] == 1).all()
    assert (treats[0]["first"] != treats[1]["first"]).any()


def test_people_are_allocated_inside_their_clusters():
    spec = parse_formula("within: treat\nlevel: within\n y ~ treat\nlevel: between\n y ~~ y")
    design = Design(30, "Uniform(4, 15)", arms={"treat": {0: 0.5, 1: 0.25, 2: 0.25}})
    frame = simulate(spec, random_theta(spec), design, seed=1)
    n = len(frame)
    for code, share in ((0, 0.5), (1, 0.25), (2, 0.25)):
        mine = frame["treat"] == code
        assert abs(mine.sum() - share * n) <= 1
        own = mine.groupby(frame["cluster"]).sum() - share * frame.groupby("cluster").size()
        assert own.abs().max() <= 2
    single = parse_formula("y ~ treat")
    design = Design(rows=21, arms={"treat": 0.5})
    counts = {
        int(simulate(single, random_theta(single), design, s)["treat"].sum()) for s in range(9)
    }
    assert counts == {10, 11}


def test_seeds_and_redraws():
    spec = parse_formula(SLOPE)
    theta = random_theta(spec)
    covariates = {"x": "Normal(0, 1)"}
    for redraw in (True, False):
        design = Design(10, 5, arms={"w": 0.5}, covariates=covariates, redraw=redraw)
        a, b, c = (simulate(spec, theta, design, seed) for seed in (1, 1, 2))
        pd.testing.assert_frame_equal(a, b)
        assert (a["y"] != c["y"]).all()
        assert (a["x"] == c["x"]).all() == (not redraw)
    moved = Design(10, 5, arms={"w": 0.5}, covariates=covariates, redraw=False, seed=1)
    assert (simulate(spec, theta, moved, 1)["x"] != a["x"]).any()
    ready = simulator(spec, pickle.loads(pickle.dumps(design)))
    pd.testing.assert_frame_equal(ready.data(theta, 1)[0], a)
    pd.testing.assert_frame_equal(ready.data(theta, np.random.default_rng(1))[0], a)


def test_what_is_drawn_once_depends_on_nothing_else_in_the_design():
    found = [
        simulate(spec, random_theta(spec), Design(9, 4, covariates=given, redraw=False), seed=1)["x"]
        for spec, given in (
            (parse_formula("within: x\nlevel: within\n y ~ x\nlevel: between\n y ~~ y"),
             {"x": "Normal()"}),
            (parse_formula(SLOPE), {"x": "Normal()", "w": "Normal()"}),
        )
    ]  # fmt: skip
    assert (found[0] == found[1]).all()


def test_a_variable_that_is_centred_in_its_place_stays_raw_in_the_data():
    spec = parse_formula("define:\n x = center(x, grandmean)\ny ~ b*x")
    design = Design(rows=4000, covariates={"x": "Normal(50, 1)"})
    frame = simulate(spec, {"b": 2.0, "sd(y)": 1.0}, design, seed=1)
    assert abs(frame["x"].mean() - 50) < 1
    assert abs(frame["y"].mean()) < 5 / np.sqrt(4000)
    assert abs(bind(spec, frame).between_covariates.mean()) < 1e-9


def test_values_of_covariates_are_kept():
    spec = parse_formula(SLOPE)
    x, w = np.arange(12.0), np.array([0.0, 1.0, 1.0])
    design = Design(3, [5, 3, 4], covariates={"x": x, "w": w})
    frame = simulate(spec, random_theta(spec), design, seed=1)
    assert (frame["x"] == x).all()
    assert (frame["w"] == np.repeat(w, [5, 3, 4])).all()
    assert frame["cluster"].tolist() == [1] * 5 + [2] * 3 + [3] * 4


def test_real_data_decide_the_roles():
    """A variable used between clusters only is split if it varies inside them."""
    spec = parse_formula("level: within\n y ~~ y\nlevel: between\n y ~ b*m + c*w")
    random = np.random.default_rng(1)
    frame = pd.DataFrame({"m": random.normal(size=40), "g": np.repeat(list("dcba"), 10)})
    frame["w"] = np.repeat([0.0, 1.0, 0.0, 1.0], 10)
    ready = simulator(spec, Design.from_data(frame, cluster="g"))
    assert ready.spec.split == ("y", "m")
    found, latents = ready.data(random_theta(ready.spec), 1)
    assert (found["m"] != frame["m"]).all()
    assert latents["between: m"].shape == (4,)
    assert (found["g"] == frame["g"]).all() and (found["w"] == frame["w"]).all()
    # What is said of a column goes before it.
    again = simulator(spec, Design.from_data(frame, cluster="g", arms={"w": 0.25}))
    assert again.data(random_theta(again.spec), 1)[0]["w"].mean() == 0.25


def test_designs_are_printed():
    text = str(
        Design(50, "Poisson(20)", arms={"t": {0: 0.4, 1: 0.6}}, seed=3, redraw=False,
               covariates={"x": Covariate("Normal(0, 1)", 0.1), "v": np.zeros(50)})
    )  # fmt: skip
    assert "in 50 clusters of" in text and "drawn from Poisson(20)" in text
    assert "arms, t:  0.4 of 0, 0.6 of 1" in text
    assert "x ~ Normal(0, 1), icc 0.1" in text and "v, 50 values" in text
    assert "once (seed 3)" in text
    assert str(Design(rows=7)) == "Design\n  7 people, no clusters"


# Computed variables. ---------------------------------------------------------------------------


def test_covariates_are_computed_from_what_the_design_gives():
    spec = parse_formula("""
        cluster: g
        within: xc
        between: mx
        define:
          xc = center(x, groupmean)
          mx = cluster_mean(x)
        level: within
          y ~ b*xc
        level: between
          y ~ c*mx
    """)
    design = Design(2000, 5, covariates={"x": Covariate("Normal(3, 1)", icc=0.5)})
    given = {"b": 0.7, "c": -0.4, "variances": 1.0}
    frame = simulate(spec, given, design, seed=1)
    assert list(frame) == ["g", "y", "xc", "mx", "x"]
    means = frame.groupby("g")["x"].transform("mean")
    assert frame["mx"].to_numpy() == pytest.approx(means)
    assert frame["xc"].to_numpy() == pytest.approx(frame["x"] - means)
    rest = frame["y"] - 0.7 * frame["xc"] + 0.4 * frame["mx"]
    assert abs(np.polyfit(frame["xc"], rest, 1)[0]) < 5 / np.sqrt(8000)
    assert bind(spec, frame).spec.observed == spec.observed


def test_a_product_of_an_outcome_and_a_covariate_is_made_of_simulated_values():
    """m is simulated first, then mt = m * treat, which predicts y with m's raw scores."""
    spec = parse_formula("""
        within: mt, x
        define:
          half = 0.5*m
          mt = 2*half*treat
        level: within
          y ~ b*m + c*mt
          m ~ x
        level: between
          y ~ d*m + treat
          m ~ treat
    """)
    theta = random_theta(spec)
    at = {p.name: theta[p.index] for p in free_parameters(spec)}
    design = Design(300, 5, arms={"treat": 0.5}, covariates={"x": "Normal(0, 1)"})
    frame, latents = simulate(spec, theta, design, seed=3, latent=True)
    assert frame["mt"].to_numpy() == pytest.approx(frame["m"] * frame["treat"])
    codes = frame["cluster"].to_numpy() - 1
    own = frame["y"] - latents["between: y"][codes]
    rest = own - at["b"] * latents["within: m"] - at["c"] * frame["mt"]
    assert rest.var() == pytest.approx(at["within: y ~~ y"], rel=5 * np.sqrt(2 / 1500))
    assert bind(spec, frame, "cluster").spec.observed == spec.observed


@pytest.mark.parametrize("level", ["within", "between", ""])
def test_a_product_of_observed_variables_is_computed(level):
    """A mediator that is simulated times a covariate, at each level."""
    body = "\n".join(["  m ~ x", "  mx | m XWITH x", "  y ~ m + x + c*mx"])
    text = {
        "within": f"within: m, x\nlevel: within\n{body}\nlevel: between\n  y ~~ y",
        "between": f"level: within\n  v ~~ v\nbetween: y, m, x\nlevel: between\n{body}\n  v ~ y",
        "": body,
    }[level]
    spec = parse_formula(text)
    design = design_of(spec, [3] * 200)
    ready = simulator(spec, design)
    theta = random_theta(ready.spec)
    frame, _ = ready.data(theta, 1)
    assert frame["mx"].to_numpy() == pytest.approx(frame["m"] * frame["x"])
    scores = np.array([joint_score(ready, theta, seed) for seed in range(40)])
    z = scores.mean(axis=0) / (scores.std(axis=0, ddof=1) / np.sqrt(40))
    assert np.abs(z).max() < 5
    assert "mx" in bind(spec, frame, "cluster" if level else None).spec.observed


def test_a_modelled_computed_variable_is_simulated_as_if_observed():
    spec = parse_formula((EXAMPLES / "masks" / "table_25_6.bms").read_text())
    ready = simulator(spec, Design(50, 10, arms={"treat": 0.5}))
    assert [t.name for t in ready.computed.dropped] == ["matt", "mnorm"]
    frame, _ = ready.data(random_theta(spec), 1)
    assert (frame["att"] == frame["matt"]).all()
    assert bind(spec, frame).between_outcomes.shape == (50, 2)
    with pytest.raises(ModelError, match="gives 'att', of which nothing is made: 'matt = cluster"):
        simulator(spec, Design(50, 10, arms={"treat": 0.5}, covariates={"att": "Normal(0, 1)"}))


def test_the_level_of_an_input_can_be_told():
    spec = parse_formula(
        "within: xt\ndefine:\n xt = x*t\nlevel: within\n y ~ x + xt\nlevel: between\n y ~~ y"
    )
    what = {"arms": {"t": 0.5}, "covariates": {"x": "Normal(0, 1)"}}
    frames = [
        simulate(spec, random_theta(spec), Design(20, 6, levels=levels, **what), seed=1)
        for levels in ({"t": "between"}, {})
    ]
    varies = [int((f.groupby("cluster")["t"].nunique() > 1).sum()) for f in frames]
    assert varies == [0, 20]
    # Of clusters only what clusters are computed from.
    spec = parse_formula("between: l\ndefine:\n l = log(v)\nlevel: within\n y ~~ y\n"
                         "level: between\n y ~ l")  # fmt: skip
    design = Design(20, 6, covariates={"v": "Gamma(2, 1)"})
    frame = simulate(spec, random_theta(spec), design, seed=1)
    assert (frame.groupby("cluster")["v"].nunique() == 1).all()


# What is refused. ------------------------------------------------------------------------------

LOOP = """
    within: x, yx, m
    define:
      yx = y*x
    level: within
      y ~ m
      m ~ yx
      y ~~ 0*m
    level: between
      y ~~ y
"""
CENTERED = """
    within: x
    between: mm
    define:
      mm = cluster_mean(m)
    level: within
      m ~ x
      y ~ m
    level: between
      y ~ mm
"""


@pytest.mark.parametrize(
    ("text", "design", "message"),
    [
        (TRIAL, {}, r"says nothing .* treat, at the between level\. .*one a cluster.*arms=\{'treat'"),
        (SLOPE, {"arms": {"w": 0.5}}, "x, at the within level. .* one a person"),
        (TRIAL, {"arms": {"treat": 0.5, "tret": 0.5}}, "'tret', which is no covariate .* 'treat'"),
        (TRIAL, {"arms": {"treat": 0.5}, "covariates": {"m": "Normal()"}}, "gives 'm', which the"),
        (TRIAL, {"covariates": {"treat": Covariate("Normal(0, 1)", icc=0.2)}}, "has an icc of 0.2"),
        (TRIAL, {"arms": {"treat": 0.5}, "levels": {"treat": "within"}}, "puts 'treat' at the within"),
        (TRIAL, {"covariates": {"treat": np.zeros(30)}}, "'treat' stands at the between level, but"),
        (SLOPE, {"covariates": {"x": np.zeros(10), "w": "Normal()"}}, "'x' stands at the within level"),
        (TRIAL, {"arms": {"treat": 0.01}}, "Nobody is in the arm 1 of 'treat': its share of 10 is"),
        (CENTERED, {"covariates": {"x": "Normal()"}}, "'mm', which depends on simulated outcomes thr"),
        (CENTERED.replace("cluster_mean(m)", "2*m"), {"covariates": {"x": "Normal()"}},
         "computed from 'm', which varies inside clusters"),
        (CENTERED.replace("cluster_mean(m)", "log(q)"), {"covariates": {"x": "Normal()"}},
         r"mm, at the between level \(computed from q: mm = log\(q\)\)"),
        (CENTERED.replace("cluster_mean(m)", "log(q)"),
         {"covariates": {"x": "Normal()", "mm": "Normal()", "q": "Normal()"}}, "both 'mm' and what"),
        ("y ~ x", {"covariates": {"x": "Normal()"}}, "has clusters, but the model has no levels"),
        (LOOP, {"covariates": {"x": "Normal()"}}, "depend on each other"),
        ("level: within\n f =~ y1 + y2\n int | f XWITH f\n y3 ~ int\n f ~ y3\nlevel: between\n"
         " y3 ~~ y3", {}, "Both f and f depend on 'y3', which their product predicts"),
        ("cluster: w\n" + SLOPE, {"arms": {"w": 0.5}, "covariates": {"x": "Normal()"}},
         "'w' names the clusters"),
    ],
)  # fmt: skip
def test_designs_that_do_not_go_with_the_model(text, design, message):
    with pytest.raises((ModelError, DataError), match=message):
        simulator(parse_formula(text), Design(10, 3, **design))


def test_a_given_mean_takes_the_place_of_one_of_outcomes():
    spec = parse_formula(CENTERED)
    ready = simulator(spec, Design(10, 3, covariates={"x": "Normal()", "mm": "Normal()"}))
    frame, _ = ready.data(random_theta(spec), 1)
    assert bind(ready.spec, frame, "cluster").between_covariates[:, 0] == pytest.approx(
        frame["mm"].to_numpy()[::3]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "A design has clusters and a size"),
        ({"clusters": 5, "rows": 5}, "A design has clusters and a size"),
        ({"clusters": 5}, "Say how many people"),
        ({"clusters": 1, "size": 5}, "clusters=1"),
        ({"rows": 1}, "rows=1"),
        ({"clusters": 3, "size": [1, 2]}, "size has 2 numbers for 3 clusters"),
        ({"clusters": 3, "size": 0}, "size=0: give a whole number"),
        ({"clusters": 3, "size": 2.5}, "size=2.5: give a whole number"),
        ({"clusters": 3, "size": "Poisson(1)"}, "a size below 1 in 37% of clusters"),
        ({"clusters": 3, "size": "Posson(20)"}, "Did you mean 'Poisson'"),
        ({"rows": 9, "arms": {"t": 1.5}}, "arms of 't' are 1.5"),
        ({"rows": 9, "arms": {"t": {"a": 0.5, "b": 0.5}}}, "codes, which are numbers"),
        ({"rows": 9, "arms": ["t"]}, "arms=.'t'.: give them by name"),
        ({"clusters": 5.5, "size": 3}, "clusters=5.5: give a whole number"),
        ({"rows": 9, "seed": -1}, "seed=-1: give a whole number"),
        ({"rows": 9, "arms": {"t": {0: 0.5, 1: 0.3}}}, "shares of 't' sum to 0.8"),
        (
            {"rows": 9, "arms": {"t": 0.5}, "covariates": {"t": "Normal()"}},
            "arms and as a covariate",
        ),
        ({"rows": 9, "levels": {"t": "within"}}, "neither an arm nor a covariate"),
        (
            {"rows": 9, "covariates": {"x": "Normal(0, -1)"}},
            "'x': Normal has no values with mu = 0",
        ),
        ({"rows": 9, "covariates": {"x": "Norml(0, 1)"}}, "'x': .* Did you mean 'Normal'"),
        ({"rows": 9, "covariates": {"x": "Bernoulli()"}}, "lack p: Bernoulli takes p, as in PyMC"),
        ({"rows": 9, "covariates": {"x": "Normal(sd=1)"}}, "takes mu, sigma, as in PyMC"),
        ({"rows": 9, "covariates": {"x": "0 to 1"}}, "is not a distribution: write its name"),
        ({"rows": 9, "covariates": {"x": [1, 2]}}, r"values of shape \(2,\); give 9, one a person"),
        ({"rows": 9, "covariates": {"x": ["a"] * 9}}, "values of 'x' are not numbers"),
        ({"rows": 2, "covariates": {"x": [1, np.nan]}}, "missing or infinite"),
    ],
)
def test_designs_that_cannot_be(arguments, message):
    with pytest.raises((ModelError, DataError), match=message):
        Design(**arguments)


def test_other_refusals():
    with pytest.raises(ModelError, match="at least 0 and below 1"):
        Covariate("Normal(0, 1)", icc=1.0)
    with pytest.raises(ModelError, match=r"cannot have an intraclass correlation of 0\.98"):
        Covariate("Bernoulli(0.5)", icc=0.98)
    with pytest.raises(ModelError, match="the design has no clusters"):
        simulator(parse_formula(TRIAL), Design(rows=20, arms={"treat": 0.5}))
    with pytest.raises(
        DataError, match=r"'skool' is not a column of the data. Did you mean 'school'"
    ):
        Design.from_data({"school": [1, 1, 2], "x": [1.0, 2.0, 3.0]}, cluster="skool")
    data = {"g": [1, 1, 2, 2], "treat": [0.0, 1.0, 1.0, 1.0]}
    spec = parse_formula("between: treat" + TRIAL)
    with pytest.raises(
        DataError, match="'treat' belongs to the between level of the model, but var"
    ):
        simulator(spec, Design.from_data(data, cluster="g"))
    loop = parse_formula("x ~ a*y\ny ~ b*x\nx ~~ 0*y")
    with pytest.raises(ModelError, match="feedback between x, y has no solution"):
        simulate(loop, {"a": 2.0, "b": 0.5, "variances": 1.0}, Design(rows=5))
    logs = parse_formula("define:\n l = log(m)\ny ~ l\nm ~ x")
    given = {"paths": 0.5, "variances": 1.0}
    with pytest.raises(ModelError, match=r"'l = log\(m\)' is not a finite number in \d+ simulated"):
        simulate(logs, given, Design(rows=50, covariates={"x": "Normal()"}), seed=1)


@pytest.mark.parametrize("turn", [1, -1])
def test_values_of_narrower_groups_go_before_in_any_order(turn):
    spec = parse_formula(TRIAL)
    given = {"paths": 0.1, "between: paths": 0.2, "a": 0.3, "sds": 1.0, "iccs": 0.2}
    values = parameter_values(spec, dict(list(given.items())[::turn]))
    found = dict(zip([p.name for p in free_parameters(spec)], values, strict=True))
    assert [found[n] for n in ("pw", "pb", "a")] == [0.1, 0.2, 0.3]
    assert found["between: m ~~ m"] == pytest.approx(0.25)


def test_names_that_are_no_words_are_read_as_they_stand():
    spec = parse_formula("`score 1` ~ `my x`")
    given = {"score 1 ~ my x": 0.5, "sd(`score 1`)": 2.0}
    values = dict(zip([p.name for p in free_parameters(spec)], parameter_values(spec, given),
                      strict=True))  # fmt: skip
    assert values == {"score 1 ~ my x": 0.5, "score 1 ~ 1": 0.0, "score 1 ~~ score 1": 4.0}


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_seeds_that_are_none(seed):
    design = Design(rows=5, covariates={"x": "Normal(0, 1)"})
    with pytest.raises(ModelError, match="give a whole number from 0"):
        simulate(parse_formula("y ~ b*x"), {"b": 0.5, "sd(y)": 1.0}, design, seed=seed)
