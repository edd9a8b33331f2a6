"""The likelihood given sampled cluster quantities: against its definition, by quadrature."""

from __future__ import annotations

from itertools import product as cartesian

import numpy as np
import pytest
from dense import groups_of, normal
from models_and_designs import make_data
from reference import numeric_gradient

import bmsem
from bmsem.data.bind import bind
from bmsem.likelihood.cluster_inputs import cluster_inputs, cluster_log_likelihood_at
from bmsem.priors import prior_table
from bmsem.structure.sampled import sampled_quantities

pytestmark = pytest.mark.filterwarnings("ignore::bmsem.errors.DataWarning")

MODELS = {
    "slope on a latent mean": """
        level: within
          s | y1 ~ y2
          y1 ~ y3
          y2 ~~ y3
        level: between
          y1 ~ y2 + y3
          y2 + y3 ~ w
          y2 ~~ y3
    """,
    "slope on a covariate, cross-level": """
        within: x
        level: within
          s | y1 ~ x
          y1 ~ y2
        level: between
          s ~ w
          s ~~ y1
          y1 ~ w
          y2 ~~ y2
    """,
    "slope predicts a between outcome": """
        within: x
        level: within
          s | y1 ~ x
        level: between
          z ~ s + y1 + w
          s ~~ y1
    """,
    "slope on a within factor": """
        level: within
          f =~ y1 + y2 + y3
          s | y4 ~ f
        level: between
          fb =~ y1 + y2 + y3
          y4 ~ fb + w
          s ~~ y4
    """,
    "slope of a factor on a covariate": """
        within: x
        level: within
          f =~ y1 + y2 + y3
          s | f ~ x
        level: between
          y1 ~~ y2
          s ~ w
          s ~~ y1
    """,
    "two varying paths": """
        level: within
          a | y2 ~ y3
          b | y1 ~ y2
          y1 ~ y3
        level: between
          y1 ~ y2 + y3
          y2 ~ y3
          a ~~ b
    """,
    "slope on a within-only outcome": """
        within: u
        level: within
          s | y1 ~ u
          u ~ x
        within: x
        level: between
          y1 ~ w
          s ~ w
    """,
    "observed times latent": """
        level: within
          fw =~ y1 + y2 + y3
        level: between
          fb =~ y1 + y2 + y3
          fb ~ w
          int | w XWITH fb
          y4 ~ fb + w + int
        level: within
          y4 ~ fw
    """,
    "latent times latent": """
        level: within
          y1 ~ y2 + y3
          y2 ~~ y3
        level: between
          int | y2 XWITH y3
          y1 ~ y2 + y3 + int
          y2 + y3 ~ w
          y2 ~~ y3
    """,
    "a quadratic factor": """
        level: within
          fw =~ y1 + y2 + y3
          y4 ~ fw
        level: between
          fb =~ y1 + y2 + y3
          fb ~ w
          sq | fb XWITH fb
          y4 ~ fb + sq
    """,
    "slope times a between variable": """
        within: x
        level: within
          s | y1 ~ x
        level: between
          int | s XWITH y1
          z ~ s + y1 + int
          s ~~ y1
    """,
    "observed times latent, within": """
        within: x
        level: within
          f =~ y1 + y2 + y3
          int | x XWITH f
          y4 ~ f + x + int
        level: between
          fb =~ y1 + y2 + y3
          y4 ~ fb + w
    """,
    "a group of people times latent, within": """
        within: sex
        level: within
          f =~ y1 + y2 + y3
          f ~ sex
          int | sex XWITH f
          y4 ~ f + sex + int
        level: between
          y4 ~ w
          y1 ~~ y4
    """,
    "latent times latent, within": """
        within: x
        level: within
          f =~ y1 + y2
          g =~ y3 + y4
          f ~ x
          int | f XWITH g
          y5 ~ f + g + int
        level: between
          y5 ~ y1 + w
    """,
    "a quadratic factor, within": """
        level: within
          f =~ y1 + y2 + y3
          sq | f XWITH f
          y4 ~ f + sq
        level: between
          y4 ~ w
    """,
    "within parts times a factor and each other": """
        level: within
          f =~ y1 + y2
          a | y3 XWITH f
          b | y3 XWITH y4
          y5 ~ f + y3 + y4 + a + b
          y4 ~ y3
        level: between
          y5 ~ y3
          y4 ~ w
    """,
    "two products of one factor, one of them on a factor": """
        within: x
        level: within
          f =~ y1 + y2
          g =~ y3 + y4
          a | f XWITH g
          b | x XWITH g
          y5 ~ f + g + a + b
          h =~ y5 + y6
          h ~ g + a
        level: between
          y5 ~ w
    """,
    "a product and varying slopes, one on the factor that is sampled": """
        within: x
        level: within
          f =~ y1 + y2
          g =~ y3 + y4
          int | f XWITH g
          s | y5 ~ x
          r | y5 ~ f
          y5 ~ g + int
        level: between
          s ~ w
          s ~~ y5
    """,
    "a slope on a factor and a group of people": """
        within: sex
        level: within
          f =~ y1 + y2 + y3
          int | sex XWITH f
          s | y4 ~ f
          y4 ~ int + sex
        level: between
          s ~ w
          s ~~ y4
    """,
    "without levels: latent times latent, observed times latent": """
        f =~ y1 + y2
        g =~ y3 + y4
        int | f XWITH g
        xf | x XWITH f
        y5 ~ f + g + int + xf + x
        f ~ x
    """,
}
SIZES = {"unequal": [3, 1, 4, 2, 5, 3, 2], "balanced": [3] * 6}
LARGER = [9] * 5


def setup(name: str, design: str = "unequal", delete=None):
    """Data, model and a point; ``delete`` takes values out of the data frame."""
    frame = make_data(SIZES.get(design, LARGER))
    frame["w"] = np.where(frame["cluster"].isin(["c0", "c2", "c5"]), 1.0, 0.0)
    random = np.random.default_rng(5)
    frame["sex"] = random.integers(0, 2, len(frame)).astype(float)
    for extra in ("y5", "y6"):
        frame[extra] = 0.5 * frame["y1"] + random.normal(size=len(frame))
    if delete is not None:
        frame = delete(frame)
    spec = bmsem.model(MODELS[name]).spec
    bound = bind(spec, frame, "cluster" if spec.multilevel else None)
    table = prior_table(bound, "weak", sample_intercepts=True)
    inputs = cluster_inputs(bound, table, tuple(range(len(bound.structure.parameters))))
    plan = sampled_quantities(bound.structure, bound.spec.within_only)
    random = np.random.default_rng(2)
    theta = np.empty(len(bound.structure.parameters))
    for p in bound.structure.parameters:
        row = p.rows[0]
        theta[p.index] = {
            "variance": random.uniform(0.7, 1.5),
            "covariance": random.uniform(-0.2, 0.2),
            "intercept": bound.scales.mean.get((row.level, row.lhs), 0.0) + 0.3 * random.normal(),
        }.get(p.kind, random.uniform(-0.5, 0.8))
    sampled = np.empty((bound.clusters, len(plan.rows)))
    for i, row in enumerate(plan.rows):
        variable = bound.structure.between.variables[row]
        mean = bound.scales.mean.get(("between", variable), 0.0)
        sampled[:, i] = mean + 0.5 * random.normal(size=bound.clusters)
    scores = random.normal(size=(bound.rows if plan.scores else 0, len(plan.scores)))
    return frame, bound, plan, inputs, theta, sampled, scores


def by_definition(bound, plan, group, theta, sampled, scores, posterior) -> float:
    """log p(y, z, C, f) of one cluster: slopes by Gauss-Hermite, cluster parts in the dense normal.

    The likelihood given the slopes is that of each person's within RAM with slopes and products in A
    or K.
    """
    s = bound.structure
    single = not bound.spec.multilevel
    people = s.between if single else s.within
    outcomes = s.between_outcomes if single else s.outcomes
    covariates = list(people.covariates[1:])
    nz, p, q = 0 if single else len(s.between_outcomes), len(outcomes), plan.size
    value_of = dict(zip(plan.rows, sampled, strict=True))
    m_h, t_h, hidden, result = np.zeros(0), np.zeros((0, 0)), [], 0.0
    if not single:
        a, psi, k = s.between.matrices(theta)
        x_between = np.r_[1.0, group[list(s.between_covariates)].iloc[0].to_numpy(float)]
        z = group[list(s.between_outcomes)].iloc[0].to_numpy(float)
        for m in plan.modulations:
            if m.level != "between":
                continue
            coefficient = theta[m.parameter] if m.parameter >= 0 else m.fixed
            number = group[m.observed].iloc[0] if m.observed else sampled[m.sampled]
            a[m.row, m.column] += coefficient * number
        total = np.linalg.inv(np.eye(len(a)) - a)
        mean, cov = (total @ k @ x_between)[:q], (total @ psi @ total.T)[:q, :q]
        # What is missing of z is left out.
        there = [r for r in range(nz) if not np.isnan(z[r])]
        known = [*there, *plan.rows]
        hidden = [r for r in range(nz, q) if r not in known]
        values = np.r_[z[there], [value_of[r] for r in plan.rows]]
        result = normal(values, mean[known], cov[np.ix_(known, known)]) if known else 0.0
        gain = np.linalg.solve(cov[np.ix_(known, known)], cov[np.ix_(known, hidden)]).T
        m_h = mean[hidden] + gain @ (values - mean[known])
        t_h = cov[np.ix_(hidden, hidden)] - gain @ cov[np.ix_(known, hidden)]
    slope_rows = [place.row for place in s.slopes]
    hs = [i for i, r in enumerate(hidden) if r in slope_rows]
    hu = [i for i, r in enumerate(hidden) if nz <= r < nz + p]
    y = group[list(outcomes)].to_numpy(float)
    x = np.column_stack([np.ones(len(group)), group[covariates].to_numpy(float)])
    rows = [*range(p), *plan.scores]
    n, size = len(group), len(rows)

    def given(slopes: np.ndarray) -> float:
        """log p(y, f, slopes | known)."""
        density = normal(slopes, m_h[hs], t_h[np.ix_(hs, hs)]) if hs else 0.0
        back = (
            np.linalg.solve(t_h[np.ix_(hs, hs)], t_h[np.ix_(hs, hu)]).T
            if hs
            else np.zeros((len(hu), 0))
        )
        u_mean = m_h[hu] + back @ (slopes - m_h[hs])
        u_cov = t_h[np.ix_(hu, hu)] - back @ t_h[np.ix_(hs, hu)]
        centre, spread = np.zeros(size), np.zeros((size, size))
        places = [hidden[i] - nz for i in hu]
        centre[places] = u_mean
        spread[np.ix_(places, places)] = u_cov
        for row, v in value_of.items():
            if nz <= row < nz + p:
                centre[row - nz] = v
        number = {hidden[i]: v for i, v in zip(hs, slopes, strict=True)} | value_of
        big = np.kron(np.ones((n, n)), spread)
        own = np.empty((n, size))
        for i in range(n):
            aw, psi_w, kw = people.matrices(theta)
            for place in s.slopes:
                target = kw if place.kind == "covariate" else aw
                target[place.target, place.source] += number[place.row]
            for product in s.products:
                if product.level == "between":
                    continue
                # With x, y - u or the sampled factor, whichever the plan says.
                m = next(
                    m
                    for m in plan.modulations
                    if (m.row, m.parameter) == (product.target, product.parameter) and m.member
                )
                if m.member == "covariate":
                    known_number = x[i, m.source]
                elif m.member == "score":
                    known_number = scores[i, m.source]
                else:
                    known_number = y[i, m.source] - (sampled[m.part] if m.part >= 0 else 0.0)
                coefficient = theta[m.parameter] if m.parameter >= 0 else m.fixed
                aw[m.row, m.column] += coefficient * known_number
            tw = np.linalg.inv(np.eye(len(aw)) - aw)
            own[i] = (tw @ kw @ x[i])[rows]
            block = slice(i * size, (i + 1) * size)
            big[block, block] += (tw @ psi_w @ tw.T)[np.ix_(rows, rows)]
        data = np.hstack([y, scores])
        return density + normal(data.ravel(), (own + centre).ravel(), big)

    if not hs:
        return result + given(np.empty(0))
    centre, covariance = (part[np.ix_(*[hs] * part.ndim)] for part in posterior)
    root = np.linalg.cholesky(covariance)
    nodes, weights = np.polynomial.hermite_e.hermegauss(25)
    terms = []
    for index in cartesian(range(25), repeat=len(hs)):
        u = nodes[list(index)]
        point = centre + root @ u
        log_weight = np.log(weights[list(index)]).sum() + 0.5 * u @ u
        terms.append(given(point) + log_weight + np.log(np.diag(root)).sum())
    return result + float(np.logaddexp.reduce(terms))


def scores_of(bound, plan, frame, scores) -> list[np.ndarray]:
    """Scores by cluster; the kernel has people cluster after cluster."""
    sizes = [len(g) for g in groups_of(bound, frame)]
    if not plan.scores:
        return [np.empty((n, 0)) for n in sizes]
    return np.split(scores, np.cumsum(sizes)[:-1])


@pytest.mark.parametrize("design", SIZES)
@pytest.mark.parametrize("name", MODELS)
def test_each_cluster_has_the_density_of_its_definition(name, design):
    frame, bound, plan, inputs, theta, sampled, scores = setup(name, design)
    assert plan.needed
    value, _, mean, covariance, by_cluster = cluster_log_likelihood_at(
        theta, sampled, inputs, scores
    )
    own = scores_of(bound, plan, frame, scores)
    expected = [
        by_definition(bound, plan, group, theta, sampled[j], own[j], (mean[j], covariance[j]))
        for j, group in enumerate(groups_of(bound, frame))
    ]
    assert by_cluster[:, 0] == pytest.approx(expected, rel=1e-7)
    assert value == pytest.approx(sum(expected), rel=1e-7)


@pytest.mark.parametrize("design", SIZES)
@pytest.mark.parametrize("name", MODELS)
def test_gradient_by_parameters_and_sampled_quantities(name, design):
    *_, inputs, theta, sampled, scores = setup(name, design)
    _, gradient, *_ = cluster_log_likelihood_at(theta, sampled, inputs, scores)
    at = np.concatenate([theta, sampled.ravel(), scores.ravel()])

    def value(point: np.ndarray) -> float:
        a, b = theta.size, theta.size + sampled.size
        return cluster_log_likelihood_at(
            point[:a], point[a:b].reshape(sampled.shape), inputs, point[b:].reshape(scores.shape)
        )[0]

    slopes = numeric_gradient(value, at)
    assert gradient == pytest.approx(slopes, rel=1e-6, abs=1e-6 * (1 + np.abs(gradient).max()))


@pytest.mark.parametrize("name", ["slope on a latent mean", "latent times latent"])
def test_sampled_quantities_are_integrated_out_by_quadrature(name):
    """log int p(y, C) dC against a fine grid.

    In clusters of nine: at parameters that were not fitted, those of one or two have two modes.
    """
    from bmsem.criteria.slopes import marginal_log_likelihood_given

    _, bound, plan, inputs, theta, sampled, _ = setup(name, "larger")
    random = np.random.default_rng(1)
    # Draws of C from about its posterior: of this theta, found from the grid.
    centre = sampled
    grid = np.linspace(-8, 8, 3001)
    logs = np.stack([cluster_log_likelihood_at(theta, centre + u, inputs)[4][:, 0] for u in grid])
    exact = np.log(np.trapezoid(np.exp(logs - logs.max(0)), grid, axis=0)) + logs.max(0)
    weight = np.exp(logs - logs.max(0))
    weight /= weight.sum(0)
    mean = (weight * grid[:, None]).sum(0)
    sd = np.sqrt((weight * (grid[:, None] - mean) ** 2).sum(0))
    draws = centre + (mean + sd * random.standard_normal((400, bound.clusters)))[..., None]
    found = marginal_log_likelihood_given(bound, plan, theta[None], draws)[0]
    assert found == pytest.approx(exact, abs=2e-3)
