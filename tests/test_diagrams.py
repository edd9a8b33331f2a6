"""Path diagrams: what is drawn, where it stands, and what is written on it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from itertools import combinations

import matplotlib.image
import numpy as np
import pytest
from models_and_designs import TWELVE

import bmsem
from bmsem import examples
from bmsem.diagrams import GraphvizMissing, diagram
from bmsem.diagrams.elements import drawing
from bmsem.diagrams.geometry import Place, bezier, crossings, curve
from bmsem.diagrams.labels import spec_labels
from bmsem.diagrams.layout import layout
from bmsem.errors import DataError, ModelError

MODELS = {
    "table 25.3": lambda: bmsem.read_mplus(examples.path("mvpa", "table_25_3.inp")),
    "table 25.5": lambda: bmsem.read_mplus(examples.path("mvpa", "table_25_5.inp")),
    "table 25.6": lambda: bmsem.read_mplus(examples.path("masks", "table_25_6.inp")),
    "table 25.8": lambda: bmsem.read_mplus(examples.path("invariance", "table_25_8.inp")),
    "table 25.9": lambda: bmsem.read_mplus(examples.path("moderation", "table_25_9.inp")),
    "context": lambda: bmsem.model(examples.path("hsb", "context.bms")),
    "arm": lambda: bmsem.model(examples.path("share", "arm_effect.bms")),
    "twelve indicators": lambda: bmsem.model(TWELVE),
    "1-1-1": lambda: bmsem.model(
        "level: within\n sa | m ~ x\n sb | y ~ m\n sc | y ~ x\nlevel: between\n sa ~~ sb\n sa ~~ sc\n"
        " sb ~~ sc\n m ~ x\n y ~ m + x"
    ),
    "serial": lambda: bmsem.model(
        "between: t\nlevel: within\n m1 ~~ m2\n m2 ~~ y\n m1 ~~ y\nlevel: between\n m1 ~ a1*t\n"
        " m2 ~ a2*t + d*m1\n y ~ b1*m1 + b2*m2 + c*t"
    ),
    "factors": lambda: bmsem.model("f =~ y1+y2+y3\ng =~ y4+y5+y6\ng ~ b*f + x\ny1 ~~ y4"),
    "second order": lambda: bmsem.model(
        "f1 =~ y1+y2+y3\nf2 =~ y4+y5+y6\nf3 =~ y7+y8+y9\nh =~ f1+f2+f3\nh ~ x"
    ),
    "cross loadings": lambda: bmsem.model(
        "f =~ i1+i2+i3+i4\nh =~ i4+i5+i6\nh ~ f + x\ni1 ~~ i2"
    ),
    "mediation": lambda: bmsem.model("m ~ a*x\ny ~ b*m + c*x"),
    "slope predicted": lambda: bmsem.model(
        "between: w\nlevel: within\n s | y ~ x\nlevel: between\n s ~ w\n y ~ w + x\n s ~~ y"
    ),
}  # fmt: skip
HAS_GRAPHVIZ = shutil.which("neato") is not None
needs_graphviz = pytest.mark.skipif(not HAS_GRAPHVIZ, reason="Graphviz is not installed")


def arrows(drawn, kind=None):
    """(source, target) by id."""
    return {(a.source, a.target) for a in drawn.arrows if kind in (None, a.kind)}


# -- what is drawn --------------------------------------------------------------------------------


def test_table_25_3_as_figure_25_2_has_it():
    drawn = drawing(MODELS["table 25.3"]().spec)
    assert {n.id: n.shape for n in drawn.nodes} == {
        "between treat": "box", "between mvpa": "oval", "between peers": "oval",
        "between advant": "oval", "box mvpa": "box", "box peers": "box", "box advant": "box",
        "within mvpa": "oval", "within peers": "oval", "within advant": "oval",
    }  # fmt: skip
    assert arrows(drawn, "path") == {
        ("between treat", "between advant"), ("between treat", "between peers"),
        ("between advant", "between mvpa"), ("between peers", "between mvpa"),
        ("within advant", "within mvpa"), ("within peers", "within mvpa"),
    }  # fmt: skip
    assert len(arrows(drawn, "covariance")) == 2
    assert arrows(drawn, "part") == {
        (f"{level} {v}", f"box {v}")
        for level in ("within", "between")
        for v in ("mvpa", "peers", "advant")
    }


def test_a_varying_path_has_a_dot_and_its_slope_an_oval_between():
    drawn = drawing(MODELS["table 25.5"]().spec)
    (varying,) = [a for a in drawn.arrows if a.varying]
    assert (varying.source, varying.target) == ("within advant", "within mvpa")
    assert drawn.node("between vs1").shape == "oval"
    laid = layout(drawn, {})
    ((number, point),) = laid.dots.items()
    on_curve = bezier(laid.curves[number], np.linspace(0, 1, 1001))
    assert np.abs(on_curve - point).sum(axis=1).min() < 0.01
    assert f'"dot {number}" [label="", shape=circle' in diagram(MODELS["table 25.5"]().spec).source


def test_indicators_need_no_oval_where_their_factor_points_at_them():
    drawn = drawing(MODELS["table 25.8"]().spec)
    panels = {n.id for n in drawn.nodes if n.panel != "strip"}
    assert panels == {"between treat", "between lyb", "between lmb", "within lyw", "within lmw"}
    assert ("between lyb", "box y1") in arrows(drawn, "loading")
    assert ("within lyw", "box y1") in arrows(drawn, "loading")


def test_a_product_stands_between_its_factors_and_its_outcome():
    drawn = drawing(MODELS["table 25.9"]().spec)
    assert arrows(drawn, "factor of product") == {
        ("between treat", "between int"), ("between lmb", "between int"),
    }  # fmt: skip
    assert ("between int", "between lyb") in arrows(drawn, "path")


def test_variables_of_one_level_are_boxes_there():
    drawn = drawing(MODELS["arm"]().spec)
    assert drawn.node("between arm").shape == "box"
    assert drawn.node("within male").shape == "box"
    assert {n.id for n in drawn.nodes if n.panel == "strip"} == {"box knowledge"}


def test_every_row_with_a_path_is_drawn_once():
    for make in MODELS.values():
        spec = make().spec
        drawn = drawing(spec)
        own = [a.row for a in drawn.arrows if a.row is not None]
        wanted = [
            r for r in spec.parameters
            if (r.op in ("~", "=~") or r.is_covariance) and (r.free or r.fixed)
        ]  # fmt: skip
        assert sorted(map(str, own)) == sorted(map(str, wanted))


def test_one_level_alone():
    drawn = drawing(MODELS["table 25.3"]().spec, "within")
    assert {n.panel for n in drawn.nodes} == {"within", "strip"}
    assert drawn.panels == ("strip", "within")
    with pytest.raises(ModelError, match=r"no level 'middle'.*'within' and 'between'"):
        diagram(MODELS["table 25.3"]().spec, level="middle")
    with pytest.raises(ModelError, match="no levels"):
        diagram(MODELS["mediation"]().spec, level="within")


# -- where it stands ------------------------------------------------------------------------------


def laid_out(name):
    spec = MODELS[name]().spec
    drawn = drawing(spec)
    texts = dict(spec_labels(spec, drawn, False).texts)
    return drawn, layout(drawn, texts)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_nothing_overlaps(name):
    drawn, laid = laid_out(name)
    for a, b in combinations(drawn.nodes, 2):
        assert not laid.places[a.id].overlaps(laid.places[b.id], 0.05), (a.id, b.id)
    labels = [place for _, place in laid.labels.values()]
    for i, label in enumerate(labels):
        for node in drawn.nodes:
            assert not label.overlaps(laid.places[node.id]), (label, node.id)
        for other in labels[i + 1 :]:
            assert not label.overlaps(other)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_no_arrow_goes_through_a_node(name):
    drawn, laid = laid_out(name)
    for arrow, control in zip(drawn.arrows, laid.curves, strict=True):
        points = bezier(control, np.linspace(0, 1, 101))
        for node in drawn.nodes:
            if node.id not in (arrow.source, arrow.target):
                assert not laid.places[node.id].contains(points).any(), (arrow, node.id)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_arrows_reach_from_edge_to_edge(name):
    drawn, laid = laid_out(name)
    for arrow, control in zip(drawn.arrows, laid.curves, strict=True):
        for end, point in ((arrow.source, control[0]), (arrow.target, control[3])):
            place = laid.places[end]
            assert not place.contains(point[None], -0.04).any()
            assert place.contains(point[None], 0.06).any()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_panels_keep_to_their_side_and_causes_stand_left_of_effects(name):
    drawn, laid = laid_out(name)
    for node in drawn.nodes:
        y = laid.places[node.id].y
        if laid.lines:
            side = {"between": y > laid.lines[0], "within": y < laid.lines[1], "strip": y == 0}
            assert side[node.panel]
    for arrow in drawn.arrows:
        if arrow.kind == "path":
            assert laid.places[arrow.source].x < laid.places[arrow.target].x, arrow
        if arrow.kind == "part":
            assert laid.places[arrow.source].x == laid.places[arrow.target].x


def test_covariances_bow():
    for name in ("table 25.3", "serial", "1-1-1", "twelve indicators"):
        drawn, laid = laid_out(name)
        for arrow, control in zip(drawn.arrows, laid.curves, strict=True):
            if arrow.kind == "covariance":
                middle = bezier(control, np.array([0.5]))[0]
                assert np.hypot(*(middle - (control[0] + control[3]) / 2)) > 0.1


def test_geometry():
    a, b = Place(0, 0, 1, 1, round=True), Place(4, 0, 1, 1)
    straight = curve(a, b)
    assert straight[0] == pytest.approx([0.5, 0], abs=0.03)
    assert straight[3] == pytest.approx([3.5, 0], abs=0.03)
    bow = bezier(curve(a, b, 1.0), np.linspace(0, 1, 101))
    assert bow[:, 1].max() == pytest.approx(1.0, abs=0.02)
    line = np.array([[2.0, -1.0], [2.0, 1.0]])
    assert crossings(straight[[0, 3]], line) == 1
    assert crossings(straight[[0, 3]], line + np.array([5.0, 0.0])) == 0


# -- what is written on it ------------------------------------------------------------------------


def test_a_spec_has_labels_and_fixed_values():
    text = diagram(MODELS["table 25.8"]().spec).source
    for label in ("pw2", "pb7", "pb6"):
        assert f'label="{label}"' in text
    assert 'label="1"' in diagram(MODELS["twelve indicators"]().spec).source


def test_a_fit_has_estimates_with_intervals(mvpa_fit):
    text = mvpa_fit.diagram().source
    frame = mvpa_fit.summary().frame.set_index("label")
    for label in ("p1wc", "p3bc", "p1bc"):
        row = frame.loc[label]
        limits = f"[{row['lower']:.2f}, {row['upper']:.2f}]"
        assert f'label="{row["median"]:.2f}\\n{limits}"' in text
    short = mvpa_fit.diagram(intervals=False, standardized="stdyx").source
    own = mvpa_fit.standardized(how="stdyx").frame.set_index("label").loc["p3bc"]
    assert f'label="{own["median"]:.2f}"' in short
    assert "[" not in re.sub(r"\[label=|\[pos=|graph \[|node \[|edge \[", "", short)


def test_paths_whose_interval_includes_zero_are_dashed(mvpa_fit):
    drawn = drawing(mvpa_fit.spec)
    edges = [x for x in mvpa_fit.diagram().source.splitlines() if " -> " in x and "line" not in x]
    dashed = {tuple(re.findall(r'"([^"]+)"', e)[:2]) for e in edges if "style=dashed" in e}
    frame = mvpa_fit.summary().frame
    weak = frame[(frame["op"].isin(["~", "=~"]) | (frame["lhs"] != frame["rhs"])) & ~frame["star"]]
    weak = weak[weak["op"].isin(["~", "~~", "=~"])]
    assert len(dashed) == len(weak) == 1
    assert dashed <= arrows(drawn)


def test_variances_on_request(mvpa_fit):
    frame = mvpa_fit.summary().frame
    own = frame[(frame["level"] == "between") & (frame["lhs"] == "mvpa") & (frame["rhs"] == "mvpa")]
    with_them = mvpa_fit.diagram(variances=True).source
    assert f'"variance between mvpa" [label="{own["median"].iloc[0]:.2f}"' in with_them
    assert "variance" not in mvpa_fit.diagram().source


def test_the_same_model_gives_the_same_text():
    assert (
        diagram(MODELS["table 25.9"]().spec).source == diagram(MODELS["table 25.9"]().spec).source
    )


def test_standardised_labels_need_a_fit(mvpa_fit):
    with pytest.raises(ModelError, match="Only a fit has standardised estimates"):
        diagram(mvpa_fit.spec, standardized="stdyx")
    with pytest.raises(ModelError, match="Unknown standardisation"):
        mvpa_fit.diagram(standardized="beta")


def test_names_that_need_quotes():
    text = 'level: within\n `a "b" y` ~ `x z`\nlevel: between\n `a "b" y` ~ w'
    try:
        model = bmsem.model(text)
    except bmsem.ModelSyntaxError:
        model = bmsem.model("level: within\n `a b y` ~ `x z`\nlevel: between\n `a b y` ~ w")
    made = model.diagram()
    assert "x z" in made.source
    if HAS_GRAPHVIZ:
        assert "x z" in made.svg()


# -- files ----------------------------------------------------------------------------------------


@needs_graphviz
@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_is_drawn_to_a_picture(name, tmp_path):
    made = MODELS[name]().diagram()
    path = made.save(tmp_path / "model.png")
    picture = matplotlib.image.imread(path)[..., :3]
    ink = (picture < 0.6).any(axis=-1)
    assert 0.004 < ink.mean() < 0.3
    assert not any(edge.any() for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]))


@needs_graphviz
def test_svg_is_self_contained_and_says_what_it_shows(mvpa_fit, tmp_path):
    text = mvpa_fit.diagram().svg()
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img"
    assert not re.search(r"(?:href|src|url\()\s*=?\s*[\"'(]?https?:", text)
    title = next(e for e in root.iter() if e.tag.endswith("title"))
    assert "between: treat → advant" in title.text
    words = [e.text for e in root.iter() if e.tag.endswith("}text") or e.tag == "text"]
    assert words.count("mvpa") == 3
    ElementTree.parse(mvpa_fit.diagram().save(tmp_path / "model.svg"))
    assert mvpa_fit.diagram().save(tmp_path / "model.pdf").read_bytes().startswith(b"%PDF")


@needs_graphviz
def test_a_notebook_gets_a_picture():
    bundle = MODELS["mediation"]().diagram()._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<svg")
    assert "x → m (a)" in bundle["text/plain"]


def test_without_graphviz_there_is_a_hint_and_the_source(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    made = MODELS["mediation"]().diagram()
    with pytest.raises(GraphvizMissing, match=r"apt install graphviz.*diagram\.source"):
        made.svg()
    with pytest.raises(GraphvizMissing):
        made.save(tmp_path / "model.svg")
    assert not list(tmp_path.iterdir())
    bundle = made._repr_mimebundle_()
    assert "apt install graphviz" in bundle["text/plain"]
    assert "digraph" in bundle["text/plain"]
    assert made.save(tmp_path / "model.gv").read_text() == made.source


def test_a_bad_name_leaves_no_file(tmp_path):
    made = MODELS["mediation"]().diagram()
    with pytest.raises(ModelError, match=r"\.svg, \.png, \.pdf, \.gv, \.dot, not as '\.jpg'"):
        made.save(tmp_path / "model.jpg")
    with pytest.raises(DataError, match="does not exist"):
        made.save(tmp_path / "missing" / "model.gv")
    assert not list(tmp_path.iterdir())


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "bmsem", *map(str, arguments)], capture_output=True, text=True
    )


def test_command_line(tmp_path):
    source = examples.path("mvpa", "table_25_3.inp")
    done = run("diagram", source, "-o", tmp_path / "model.gv")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model.gv").read_text().startswith("digraph")
    done = run("diagram", source, "-o", tmp_path / "model.bmp")
    assert done.returncode == 2
    assert "not as '.bmp'" in done.stderr
    done = run("diagram", source, "-o", tmp_path / "a.gv", "--standardized", "stdyx")
    assert done.returncode == 2
    assert "model without estimates" in done.stderr
    done = run("diagram", tmp_path / "none.inp", "-o", tmp_path / "a.gv")
    assert "There is no file" in done.stderr


def test_command_line_draws_a_saved_fit(mvpa_fit, tmp_path):
    path = mvpa_fit.save(tmp_path / "fit.nc")
    done = run("diagram", path, "-o", tmp_path / "fit.gv", "--standardized", "stdyx")
    assert done.returncode == 0, done.stderr
    # Reading the model back may list its variables in another order.
    drawn, own = (
        sorted(re.findall(r'label="([^"]*)"', text))
        for text in (
            (tmp_path / "fit.gv").read_text(), mvpa_fit.diagram(standardized="stdyx").source
        )
    )  # fmt: skip
    assert drawn == own
