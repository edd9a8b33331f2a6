"""Both languages: what they mean, that they agree, and that a spec reads back as itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from models_and_designs import MODELS

import bmsem
from bmsem import examples
from bmsem.expressions import parse_expression
from bmsem.language import parse_formula, parse_prior, write_formula
from bmsem.language.mplus import parse_mplus
from bmsem.spec import Prior
from bmsem.spec.constraints import solve_constraints

LISTINGS = {p.stem: p for p in (Path(__file__).parent / "listings").glob("*.inp")}


def listing(name: str):
    return parse_mplus(LISTINGS[name].read_text(), source=name)


@pytest.mark.parametrize(
    ("text", "written", "value"),
    [
        ("1 - 2 - 3", "1 - 2 - 3", -4),
        ("2^3^2", "2^3^2", 512),
        ("(2^3)^2", "(2^3)^2", 64),
        ("-2**2", "-2^2", -4),
        ("2*-3 + a", "2*-3 + a", -4),
        ("a/(b*4)", "a/(b*4)", 1 / 6),
        ("sqrt(a + 2) - exp(0)", "sqrt(a + 2) - exp(0)", 1),
        ("max(a, b) - min(a, b)", "max(a, b) - min(a, b)", 1),
        ("phi(0)", "phi(0)", 0.5),
        ("1.5d1 + .5", "15 + 0.5", 15.5),
    ],
)
def test_expressions(text, written, value):
    expression = parse_expression(text)
    assert str(expression) == written
    assert parse_expression(str(expression)) == expression
    assert expression.evaluate({"a": 2.0, "b": 3.0}) == pytest.approx(value)
    assert expression.evaluate({"a": np.full(3, 2.0), "b": 3.0}) == pytest.approx(value)


def test_constraints_are_solved():
    spec = parse_formula(
        "y ~ a*x + b*z + c*w + d*v\n0 == a - 2*b\nc == a + 1\nd > 0\n5 > d\nk := a*b"
    )
    solved = solve_constraints(spec)
    found = {name: e.evaluate({"b": 3.0}) for name, e in solved.determined}
    assert found == {"a": 6.0, "c": 7.0}
    assert solved.bounds == {"d": (0.0, 5.0)}
    for text, message in (
        ("y ~ a*x + b*z\na*a == b*b", "linear in none"),
        ("y ~ 1*a*x\na == 2", "no free label"),
    ):
        with pytest.raises(bmsem.ModelError, match=message):
            solve_constraints(parse_formula(text))
    with pytest.raises(bmsem.NotSupportedError, match="not a bound on one label"):
        solve_constraints(parse_formula("y ~ a*x + b*z\na > b"))


@pytest.mark.parametrize(
    "text", ["Normal(0, 1)", "Gamma(alpha = 2, beta = 0.5)", "sd ~ HalfNormal(1e-3)", "Flat()",
             "correlation ~ Uniform(-1, 1)"]
)  # fmt: skip
def test_priors_read_back(text):
    assert parse_prior(str(parse_prior(text))) == parse_prior(text)


MORE = [
    "y ~ `odd name` + x.1",
    "f =~ start(0.8)*a + NA*b + l*0.5*c\nf ~~ 1*f\nf ~ 0*1",
    'y ~ prior("Normal(0, 1)")*x + b*z\npriors:\n b ~ StudentT(4, 0, 1)\n sd(y) ~ HalfNormal(2)',
    "y ~~ lower(0.1)*y\ny ~ upper(3)*x",
    "a + b ~ x\na ~~ 0*b",
    "cluster: g\nlevel: 1\n y ~ x\nlevel: 2\n y ~ x + cluster_mean(z)",
    "define:\n x2 = log(x) + 1\n xc = center(x2, groupmean)\n m = cluster_mean(x)\n"
    "level: within\n y ~ xc\nlevel: between\n y ~ m",
    "level: within\n s | y ~ x\nlevel: between\n s ~ w\n s ~~ y\n s ~ 1\n y ~ x",
    'level: within\n y ~ rv("s")*x\nlevel: between\n y ~ s',
    "level: within\n f =~ y1 + y2 + y3\nlevel: between\n g =~ y1 + y2 + y3\n int | w xwith g\n"
    " z ~ g + w + int + w:g",
    "y ~ a*x + b*z\n a == 2*b\n b > 0\n d := a^2/b",
]
TEXTS = [*MODELS.values(), *MORE]


@pytest.mark.parametrize("text", TEXTS)
def test_a_spec_reads_back_as_itself(text):
    spec = parse_formula(text)
    written = write_formula(spec)
    again = parse_formula(written)
    assert again == spec
    assert again.parameters == spec.parameters
    assert write_formula(again) == written


@pytest.mark.parametrize("name", sorted(LISTINGS))
def test_every_listing_is_read_and_reads_back(name):
    given = listing(name)
    assert given.title
    if given.spec is not None:
        assert parse_formula(write_formula(given.spec)) == given.spec


@pytest.mark.parametrize(("folder", "table"), [("mvpa", "table_25_3"), ("masks", "table_25_6")])
def test_formula_twins_and_listings_give_one_spec(folder, table):
    twin = bmsem.model(examples.path(folder, f"{table}.bms")).spec
    assert bmsem.read_mplus(examples.path(folder, f"{table}.inp")).spec == twin
    assert listing(table).spec == twin


def test_equality_ignores_order_but_not_content():
    one = parse_formula("y ~ a*x + z\nz ~ x")
    assert one == parse_formula("z ~ x\ny ~ z + a*x")
    assert one != parse_formula("z ~ x\ny ~ z + b*x")
    assert one != parse_formula("z ~ x\ny ~ z + a*x\nx ~~ x")


def test_defaults():
    spec = parse_formula(
        """
        level: within
          f =~ y1 + y2 + y3
          g =~ y4 + y5 + y6
          u ~ f + x
          v ~ g
        level: between
          u ~ w + k
          v ~ u
        """
    )
    rows = {p.full_name: p for p in spec.parameters}
    assert rows["within: f =~ y1"].fixed == 1.0
    assert rows["within: f =~ y2"].free
    # Exogenous factors correlate, and so do outcomes that predict nothing.
    assert "within: f ~~ g" in rows
    assert "within: u ~~ v" in rows
    assert "between: u ~~ v" not in rows
    # w and k are conditioned on, x too: it is used at the within level only.
    assert spec.between_only == ("w", "k")
    assert spec.within_only == ("x",)
    assert "differences between clusters included" in spec.notes[0]
    assert not any(name in rows for name in ("between: w ~~ w", "within: x ~~ x"))
    # Intercepts stand at the between level, and factors have none.
    assert "between: y1 ~ 1" in rows
    assert not any(p.op == "~1" for p in spec.at("within"))


def test_table_25_3():
    given = listing("table_25_3")
    labels = {k: [r.full_name for r in v] for k, v in given.spec.labels.items()}
    assert labels == {
        "p1wc": ["within: mvpa ~ advant"], "p2wc": ["within: mvpa ~ peers"],
        "p3bc": ["between: mvpa ~ advant"], "p4bc": ["between: mvpa ~ peers"],
        "p1bc": ["between: advant ~ treat"], "p2bc": ["between: peers ~ treat"],
    }  # fmt: skip
    assert [str(d) for d in given.spec.definitions][2] == "tot := medadv + medpeer"
    assert given.outputs[0] == ("STANDARDIZED", ("STDYX",))
    assert given.interval == "hpd"
    assert [i.line for i in given.ignored] == [13, 13]
    given.require_estimable()


def test_table_25_5_varying_slope():
    given = listing("table_25_5")
    assert [str(s) for s in given.spec.slopes] == ["vs1 | mvpa ~ advant"]
    names = {p.full_name for p in given.spec.parameters}
    # 'peers ; advant' runs on into 'vs1 ;': a list of two variances, as Mplus reads it.
    assert {"between: vs1 ~ 1", "between: vs1 ~~ vs1", "between: advant ~~ advant"} <= names
    given.require_estimable()


def test_table_25_6_cluster_means():
    given = listing("table_25_6")
    assert [str(t) for t in given.transforms] == [
        "matt = cluster_mean(att)", "mnorm = cluster_mean(norm)"
    ]  # fmt: skip
    assert given.spec.split == ("intent",)
    assert [p.full_name for p in given.spec.at("within")] == ["within: intent ~~ intent"]


def test_table_25_8_labels_on_fixed_loadings():
    spec = listing("table_25_8").spec
    first = spec.labels["pw1"][0]
    assert (first.name, first.fixed) == ("lyw =~ y1", 1.0)
    assert spec.labels["pb6"][0].name == "lmb =~ m3"
    assert spec.latent == (
        ("within", "lyw"), ("within", "lmw"), ("between", "lyb"), ("between", "lmb")
    )  # fmt: skip


def test_table_25_9_interaction_and_last_semicolon():
    given = listing("table_25_9")
    assert [str(i) for i in given.spec.interactions] == ["int | treat XWITH lmb"]
    assert str(given.spec.definitions[-1]) == "diff := streat - scontrol"
    given.require_estimable()


def test_tables_that_ask_for_something_else():
    for name in ("table_25_2", "table_25_10"):
        with pytest.raises(bmsem.NotSupportedError, match="COMPLEX"):
            listing(name).require_estimable()
    for name in ("table_25_4", "table_25_7"):
        assert listing(name).basic
    assert str(listing("table_25_2").indirect[0]) == "mvpa IND treat"
    assert listing("table_25_10").transforms[-1].function == "center_groupmean"


def one_level(model: str, extra: str = "", variable: str = "") -> object:
    text = f"VARIABLE: NAMES ARE y1-y4 x1-x3; {variable}\nMODEL: {model}\n{extra}"
    return parse_mplus(text).spec


@pytest.mark.parametrize(
    ("model", "formula"),
    [
        ("y1-y2 ON x1 (a1-a2);", "y1 ~ a1*x1\ny2 ~ a2*x1"),
        ("y1 ON x1-x3 (b);", "y1 ~ b*x1 + b*x2 + b*x3"),
        ("y1 ON x1 (a)\n x2 (b);", "y1 ~ a*x1 + b*x2"),
        ("f BY y1-y4* (l1-l4); f@1;", "f =~ NA*l1*y1 + l2*y2 + l3*y3 + l4*y4\nf ~~ 1*f"),
        ("f BY y1@1 y2*0.5 y3; [f@0];", "f =~ 1*y1 + start(.5)*y2 + y3\nf ~ 0*1"),
        ("y1-y2 PON x1-x2;", "y1 ~ x1\ny2 ~ x2"),
        ("Y1 on X1; y1 WITH y2@0; y2 on x1;", "y1 ~ x1\ny2 ~ x1\ny1 ~~ 0*y2"),
        ("y1 ON x1; [y1] (m); y1 (v);", "y1 ~ x1\ny1 ~ m*1\ny1 ~~ v*y1"),
    ],
)
def test_mplus_model_statements(model, formula):
    assert one_level(model) == parse_formula(formula)


def test_model_constraint_and_priors():
    spec = one_level(
        "y1 ON x1 (a); y2 ON x2 (b); y1 WITH y2@0; y1 (v);",
        "MODEL CONSTRAINT: NEW(total*0.5 half); total = 2*half; half = A*b/2; 0 = a - b; a > 0;\n"
        "MODEL PRIORS: b ~ N(1, 4); v ~ IG(2, 3);",
    )
    assert [d.name for d in spec.definitions] == ["half", "total"]
    assert [str(c) for c in spec.constraints] == ["0 == a - b", "a > 0"]
    assert spec.labels["b"][0].prior == Prior("Normal", (("mu", 1.0), ("sigma", 2.0)))
    assert spec.labels["v"][0].prior == Prior("InverseGamma", (("alpha", 2.0), ("beta", 3.0)))


def test_missing_codes_and_selected_rows():
    given = parse_mplus(
        "VARIABLE: NAMES = y x g; MISSING = ALL (-99); USEVARIABLES = y x;\n"
        "USEOBSERVATIONS = g EQ 1 AND NOT (x GT 5 OR y == 0);\nMODEL: y ON x;"
    )
    frame = pd.DataFrame({"y": [1, -99, 3, 0, 2], "x": [1, 2, 9, 3, 4], "g": [1, 1, 1, 1, 2]})
    prepared = given.prepare(frame)
    assert prepared.index.tolist() == [0, 1]
    assert np.isnan(prepared.y[1])


def test_windows_line_ends_tabs_and_comments():
    text = LISTINGS["table_25_3"].read_text()
    noisy = text.replace("\n", "\r\n").replace("mvpa ON", "mvpa\tON ! a comment ; with it\r\n ")
    assert parse_mplus(noisy).spec == parse_mplus(text).spec
