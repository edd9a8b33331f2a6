"""The scales on which NUTS sees standard deviations and paths: changes of coordinates, nothing else."""

from __future__ import annotations

import ctypes

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import approx_fprime

import bmsem
from bmsem.graph import build_graph
from bmsem.graph.transforms import ShortTail
from bmsem.priors import prior_table
from bmsem.sampling.compiled import compile_graph
from bmsem.sampling.starts import initial_point, point_at, starting_values

CHAIN = """
cluster: g
between: w
level: within
  z ~ y
  y ~ x
level: between
  z ~ y
  y ~ x
  x ~ w
"""


@pytest.fixture(scope="module")
def frame():
    """Clusters that hardly differ."""
    random = np.random.default_rng(3)
    g = np.repeat(np.arange(30), 10)
    w = random.normal(size=30)[g]
    x = 0.1 * (w + random.normal(size=30)[g]) + random.normal(size=g.size)
    y = 0.5 * x + random.normal(size=g.size)
    z = 0.5 * y + random.normal(size=g.size)
    return pd.DataFrame({"g": g, "w": w, "x": x, "y": y, "z": z})


@pytest.fixture(scope="module")
def bound(frame):
    return bmsem.model(CHAIN).bind(frame)


@pytest.fixture(scope="module")
def table(bound):
    return prior_table(bound, "weak")


@pytest.fixture(scope="module")
def graph(bound, table):
    return build_graph(bound, table)


@pytest.fixture(scope="module")
def compiled(graph):
    return compile_graph(graph, None).model


def density(model, point):
    """Value and gradient of the compiled log-density."""
    point = np.ascontiguousarray(point, dtype=float)
    gradient, value = np.empty_like(point), ctypes.c_double()
    double = ctypes.POINTER(ctypes.c_double)
    code = model.compiled_logp_func.ctypes(
        point.size,
        point.ctypes.data_as(double),
        gradient.ctypes.data_as(double),
        ctypes.byref(value),
        model.user_data.ctypes.data_as(ctypes.POINTER(ctypes.c_int64)),
    )
    assert code == 0
    return value.value, gradient


@pytest.mark.parametrize("power", [1, 2])
def test_short_tail_maps_positive_numbers_onto_the_line(power):
    sizes = np.array([0.5, 2.0, 30.0])
    transform = ShortTail(sizes, power)
    for z in (-6.0, -1.0, -1e-9, 0.0, 1e-9, 1.0, 4.0):
        line = np.full(3, z)
        natural = transform.backward(line).eval()
        assert (natural > 0).all()
        np.testing.assert_allclose(transform.forward(natural).eval(), line, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(transform.unconstrained(natural), line, rtol=1e-6, atol=1e-12)
        step = 1e-6
        up, down = (transform.backward(line + s).eval() for s in (step, -step))
        slope = (up - down) / (2 * step)
        np.testing.assert_allclose(transform.log_jac_det(line).eval(), np.log(slope), atol=1e-5)


def test_a_level_density_has_a_normal_tail():
    """The logarithm of a level density in x falls off like -z^2 / 2."""
    transform = ShortTail(np.ones(1), 1)
    at = [float(transform.log_jac_det(np.array([z])).eval()[0]) for z in (-5.0, -10.0)]
    assert at[0] - at[1] == pytest.approx(5 + 37.5, abs=1.0)


def test_every_path_on_a_hardly_known_variance_is_rescaled(bound, graph):
    names = {p.index: p.name for p in bound.structure.parameters}
    found = {names[index] for index, _ in graph.coordinates.paths}
    assert found == {"between: z ~ y", "between: y ~ x"}
    assert graph.coordinates.depth == 2


def test_scales_are_the_formula_written_out(bound, graph, table):
    values = starting_values(bound, table) + 0.1
    by_name = {p.name: values[p.index] for p in bound.structure.parameters}
    index = {p.name: p.index for p in bound.structure.parameters}
    prior = {r.parameter.index: r.prior.arguments[1][1] for r in table.rows if r.prior is not None
             and r.parameter.kind == "path"}  # fmt: skip
    sd, n, clusters = bound.scales.sd, 10.0, 30.0

    def seen(name):
        psi = by_name[f"between: {name} ~~ {name}"]
        return psi**2 / (psi + sd["within", name] ** 2 / n)

    def precision(path, outcome, spread):
        v = sd["between", outcome] ** 2 + sd["within", outcome] ** 2 / n
        return 1.0 / prior[index[path]] ** 2 + clusters / v * spread

    x = seen("x") + by_name["between: x ~ w"] ** 2 * sd["between", "w"] ** 2
    y = seen("y") + by_name["between: y ~ x"] ** 2 * x
    found = graph.coordinates.scales(lambda i: values[i], graph.coordinates.numbers)
    expected = {
        index["between: y ~ x"]: precision("between: y ~ x", "y", x) ** -0.5,
        index["between: z ~ y"]: precision("between: z ~ y", "z", y) ** -0.5,
    }
    assert found == pytest.approx(expected, rel=1e-12)


def test_the_density_is_that_of_the_model_with_the_jacobian(bound, graph, table, compiled):
    """Against PyMC's own log-density of the same model, and a numerical Jacobian."""
    ours = initial_point(graph, bound, table, rescaled=True)
    plain = initial_point(graph, bound, table)
    reference = graph.model.compile_logp()
    names = [graph.model.rvs_to_values[graph.model[v.name]].name for v in graph.variables]
    sizes = [len(v.indices) for v in graph.variables]

    def natural(z):
        out = np.empty(graph.size)
        double = ctypes.POINTER(ctypes.c_double)
        z = np.ascontiguousarray(z, dtype=float)
        compiled.compiled_expand_func.ctypes(
            z.size, out.size, z.ctypes.data_as(double), out.ctypes.data_as(double),
            compiled.user_data.ctypes.data_as(ctypes.POINTER(ctypes.c_int64)),
        )  # fmt: skip
        return out

    def values(z):
        full = np.zeros(len(bound.structure.parameters))
        full[list(graph.inputs.order)] = natural(z)
        return point_at(graph, bound, full)

    for seed in range(5):
        z = ours(seed)
        point = values(z)
        jacobian = approx_fprime(z, values, 1e-7)
        _, logdet = np.linalg.slogdet(jacobian)
        parts = np.split(point, np.cumsum(sizes)[:-1])
        shaped = dict(zip(names, parts, strict=True))
        value, gradient = density(compiled, z)
        assert value == pytest.approx(float(reference(shaped)) + logdet, abs=1e-4)
        numerical = approx_fprime(z, lambda q: density(compiled, q)[0], 1e-6)
        np.testing.assert_allclose(gradient, numerical, rtol=1e-3, atol=2e-2)
        # Starting points lie where they were meant to: one place, two coordinate systems.
        full = np.zeros(len(bound.structure.parameters))
        full[list(graph.inputs.order)] = natural(z)
        np.testing.assert_allclose(point_at(graph, bound, full, rescaled=True), z, rtol=1e-8)
    assert not np.allclose(ours(0), plain(0))


def test_well_known_variances_leave_paths_alone(frame):
    random = np.random.default_rng(1)
    u = random.normal(size=(30, 3))[frame["g"]]
    apart = frame.assign(x=frame["x"] + 3 * u[:, 0], y=frame["y"] + 3 * u[:, 1])
    apart = apart.assign(z=apart["z"] + 3 * u[:, 2])
    bound = bmsem.model(CHAIN).bind(apart)
    assert build_graph(bound, prior_table(bound, "weak")).coordinates is None


def test_paths_that_labels_tie_are_left_alone(frame):
    text = CHAIN.replace("level: between\n  z ~ y", "level: between\n  z ~ b*y", 1)
    text = text.replace("level: within\n  z ~ y", "level: within\n  z ~ b*y", 1)
    bound = bmsem.model(text).bind(frame)
    graph = build_graph(bound, prior_table(bound, "weak"))
    names = {p.index: p.name for p in bound.structure.parameters}
    assert {names[i] for i, _ in graph.coordinates.paths} == {"between: y ~ x"}
