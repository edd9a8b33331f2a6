"""The formula language: tokens, what each statement means, what is refused, and writing back."""

from __future__ import annotations

from pathlib import Path

import pytest

from bmsem.errors import ModelSyntaxError
from bmsem.expressions import parse_expression
from bmsem.language import parse_formula, parse_prior, write_formula
from bmsem.language.mplus import parse_mplus
from bmsem.language.tokens import statements, tokenize
from bmsem.spec import Constraint, Interaction, Prior, RandomSlope, Transform

HERE = Path(__file__).parent

# --- tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y ~ x", ["name:y", "op:~", "name:x"]),
        ("f=~y1+y2", ["name:f", "op:=~", "name:y1", "op:+", "name:y2"]),
        ("y~~y", ["name:y", "op:~~", "name:y"]),
        ("y~-1*x", ["name:y", "op:~", "op:-", "number:1", "op:*", "name:x"]),
        ("1e-3 .5 2. 7", ["number:1e-3", "number:.5", "number:2.", "number:7"]),
        ("a:=b==c", ["name:a", "op::=", "name:b", "op:==", "name:c"]),
        ("y ~*~ y", ["name:y", "op:~*~", "name:y"]),
        ("élan.1 ~ β_2", ["name:élan.1", "op:~", "name:β_2"]),
        ("`my x` ~ `a``b`", ["name:my x", "op:~", "name:a`b"]),
        ("prior(\"Normal(0, 1)\") rv('s')", ["name:prior", "op:(", "string:Normal(0, 1)", "op:)",
                                             "name:rv", "op:(", "string:s", "op:)"]),
        ("y # a 'comment\n! another\nz", ["name:y", "newline:\n", "newline:\n", "name:z"]),
        ("\ufeffy\u00a0~\tx\r\n", ["name:y", "op:~", "name:x", "newline:\n"]),
    ],
)  # fmt: skip
def test_tokens(text, expected):
    tokens = tokenize(text)
    assert [f"{t.kind}:{t.value}" for t in tokens] == expected
    for token in tokens:
        written = text[token.place.start : token.place.end]
        assert token.value in written.replace("``", "`")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("y ~ x\nz ~ x", 2),
        ("y ~ x; z ~ x;", 2),
        ("y ~\n  x +\n  z", 1),
        ("y ~ a *\n  x", 1),
        ("y ~ x   # why\n  + z", 1),
        ("d := (a\n  - b)", 1),
        ("within: x,\n  z\ny ~ x", 2),
        ("define:\n  x = 3", 2),
        ("y ~ x\n\n\nlevel: within", 2),
    ],
)
def test_statements_end_where_their_line_ends_unless_something_is_open(text, count):
    assert len(statements(tokenize(text))) == count


# --- meaning --------------------------------------------------------------------------------------

MEDIATION = """
level: within
  mvpa ~ p1w*advant + p2w*peers
  advant ~~ peers
level: between
  mvpa ~ p3b*advant + p4b*peers
  advant ~ p1b*treat
  peers ~ p2b*treat
  advant ~~ peers
medadv := p1b*p3b
con1 := p3b - p1w
"""


def row(spec, name):
    """The row with a name such as 'between: y ~ x'."""
    return next(r for r in spec.parameters if r.full_name == name)


def test_two_level_mediation():
    spec = parse_formula(MEDIATION)
    assert set(spec.split) == {"mvpa", "advant", "peers"}
    assert spec.between_only == ("treat",)
    assert {label: rows[0].full_name for label, rows in spec.labels.items()} == {
        "p1w": "within: mvpa ~ advant",
        "p2w": "within: mvpa ~ peers",
        "p3b": "between: mvpa ~ advant",
        "p4b": "between: mvpa ~ peers",
        "p1b": "between: advant ~ treat",
        "p2b": "between: peers ~ treat",
    }
    assert [str(d) for d in spec.definitions] == ["medadv := p1b*p3b", "con1 := p3b - p1w"]


@pytest.mark.parametrize(
    ("formula", "name", "expected"),
    [
        ("y ~ b*x", "y ~ x", {"label": "b", "fixed": None}),
        ("y ~ 0.5*x", "y ~ x", {"fixed": 0.5}),
        ("y ~ -1e-2*x", "y ~ x", {"fixed": -0.01}),
        ("y ~ a*0.5*x", "y ~ x", {"label": "a", "fixed": 0.5}),
        ("y ~ start(0.8)*x", "y ~ x", {"start": 0.8}),
        ("y ~ start(-.8)*b*x", "y ~ x", {"start": -0.8, "label": "b"}),
        ("y ~ b*x + start(1)*x", "y ~ x", {"start": 1.0, "label": "b"}),
        ("y ~ lower(0)*upper(2)*x", "y ~ x", {"lower": 0.0, "upper": 2.0}),
        ('y ~ label("b")*x', "y ~ x", {"label": "b"}),
        ("y ~ `NA`*x", "y ~ x", {"label": "NA"}),
        ('y ~ prior("Normal(0, 1)")*x', "y ~ x", {"prior": parse_prior("Normal(0, 1)")}),
        ('y ~~ prior("sd ~ HalfNormal(2)")*y', "y ~~ y", {"prior": parse_prior("sd ~ HalfNormal(2)")}),
        ("y ~ m*1 + x", "y ~ 1", {"label": "m"}),
        ("y ~ 0*1", "y ~ 1", {"fixed": 0.0}),
        ("y + z ~ b*x", "z ~ x", {"label": "b"}),
        ("f =~ y1 + y2", "f =~ y1", {"fixed": 1.0}),
        ("f =~ y1 + y2", "f =~ y2", {"fixed": None}),
        ("f =~ NA*y1 + y2\nf ~~ 1*f", "f =~ y1", {"fixed": None}),
        ("f =~ l*y1 + l*y2\nf ~~ 1*f", "f =~ y2", {"label": "l", "fixed": 1.0}),
    ],
)  # fmt: skip
def test_modifiers(formula, name, expected):
    found = row(parse_formula(formula), name)
    assert {what: getattr(found, what) for what in expected} == expected


def test_order_of_levels_and_their_lavaan_names_do_not_matter():
    within, between = "level: 1\n y ~ x\n", "LEVEL: 2; y ~ x\n"
    assert parse_formula(within + between) == parse_formula(between + within)
    assert parse_formula(within + between).split == ("y", "x")


def test_declarations_stand_anywhere_with_or_without_commas():
    spec = parse_formula(
        "level: within\n y ~ x + z\n within: x z\nlevel: between\n y ~ w\nbetween: w\ncluster: school"
    )
    assert spec.within_only == ("x", "z")
    assert (spec.between_only, spec.split, spec.cluster) == (("w",), ("y",), "school")


@pytest.mark.parametrize("slope", ["s | y ~ x", 'y ~ rv("s")*x', "y ~ z + rv(s)*x"])
def test_varying_slopes(slope):
    spec = parse_formula(
        f"level: within\n {slope}\nlevel: between\n s ~ w\n s ~~ y\n z2 ~ s\n s ~ 1"
    )
    assert spec.slopes == (RandomSlope("s", "y", "x"),)
    assert ("between", "s") in spec.latent
    names = {r.full_name for r in spec.parameters}
    assert {"between: s ~ w", "between: s ~~ y", "between: z2 ~ s", "between: s ~ 1"} <= names
    assert "within: y ~ x" not in names


def test_a_bar_may_stand_before_the_first_level():
    spec = parse_formula("s | y ~ x\nlevel: within\n y ~ z\nlevel: between\n s ~ w")
    assert spec.slopes == (RandomSlope("s", "y", "x"),)


def test_interactions():
    spec = parse_formula("""
        level: within
          y ~ x
        level: between
          f =~ w1 + w2
          int | treat xwith f
          y ~ int + treat:f + treat + f
    """)
    assert spec.interactions == (
        Interaction("between", "int", "treat", "f"),
        Interaction("between", "treat:f", "treat", "f"),
    )
    assert row(spec, "between: y ~ treat:f").rhs == "treat:f"
    assert "treat:f" not in spec.observed and "int" not in spec.observed


def test_transforms():
    spec = parse_formula("""
        define:
          matt = cluster_mean(att)
          x2 = log(x) + 1
          xg = center(x, grandmean);  xc = center(log(x), groupmean)
        level: within
          y ~ att + xc
        level: between
          y + z ~ matt + cluster_mean(ses)
    """)
    assert spec.transforms == (
        Transform("matt", "cluster_mean", parse_expression("att")),
        Transform("x2", "compute", parse_expression("log(x) + 1")),
        Transform("xg", "center_grandmean", parse_expression("x")),
        Transform("xc", "center_groupmean", parse_expression("log(x)")),
        Transform("cluster_mean(ses)", "cluster_mean", parse_expression("ses")),
    )
    assert {"matt", "cluster_mean(ses)"} <= set(spec.between_only)


def test_without_levels_a_formula_ends_the_define_block():
    spec = parse_formula("define:\n  x2 = x^2\ny ~ x2")
    assert [str(t) for t in spec.transforms] == ["x2 = x^2"]
    assert row(spec, "y ~ x2").free


def test_priors_by_label_and_by_parameter():
    spec = parse_formula("""
        level: within
          y ~ b*x + z
          x ~~ z
        level: between
          f =~ y + x + z
          y ~ treat:f + cluster_mean(v)
        priors:
          b ~ Normal(0, 1)
          within: y ~ z ~ Normal(mu=0, sigma=2)
          within: cor(z, x) ~ Uniform(-1, 1)
          within: y ~~ y ~ Gamma(2, 1)
          between: sd(y) ~ HalfNormal(2)
          between: f =~ x ~ Normal(1, 5e-1)
          between: y ~ 1 ~ Normal(0, 10)
          between: y ~ treat:f ~ Normal(0, 3)
          between: y ~ cluster_mean(v) ~ Normal(0, 4)
    """)
    assert {r.full_name: str(r.prior) for r in spec.parameters if r.prior} == {
        "within: y ~ x": "Normal(0, 1)",
        "within: y ~ z": "Normal(mu = 0, sigma = 2)",
        "within: x ~~ z": "correlation ~ Uniform(-1, 1)",
        "within: y ~~ y": "Gamma(2, 1)",
        "between: y ~~ y": "sd ~ HalfNormal(2)",
        "between: f =~ x": "Normal(1, 0.5)",
        "between: y ~ 1": "Normal(0, 10)",
        "between: y ~ treat:f": "Normal(0, 3)",
        "between: y ~ cluster_mean(v)": "Normal(0, 4)",
    }


def test_constraints():
    spec = parse_formula("y ~ a*x + b*z + c*v\na == 2*b\nc > 0\nc < 5\nd := exp(c)")
    assert [str(c) for c in spec.constraints] == ["a == 2*b", "c > 0", "c < 5"]
    assert spec.constraints[0] == Constraint(parse_expression("a"), "==", parse_expression("2*b"))


@pytest.mark.parametrize(
    "prior",
    [
        Prior("Normal", (("", 0.0), ("", 1.0))),
        Prior("Normal", (("mu", -1.5), ("sigma", 1e-20))),
        Prior("StudentT", (("", 3.0), ("mu", 0.0), ("sigma", 2.5))),
        Prior("Flat"),
        Prior("HalfNormal", (("", 2.0),), "sd"),
        Prior("Uniform", (("lower", -1.0), ("upper", 1.0)), "correlation"),
    ],
)
def test_priors_read_back(prior):
    assert parse_prior(str(prior)) == prior


@pytest.mark.parametrize(
    ("text", "marked", "message"),
    [
        ("Normal(0, q)", "q", "'q' is not an argument"),
        ("Normal(0, )", ")", "an argument is missing"),
        ("Normal(0, 1", "Normal(0, 1", "is not a prior"),
        ("Normal", "Normal", "is not a prior"),
        ("Normal(mu=0, 1)", "1", "after a named argument"),
        ("Normal(mu=0, mu=1)", "mu=1", "given twice"),
    ],
)
def test_priors_that_are_none(text, marked, message):
    with pytest.raises(ModelSyntaxError, match=message) as caught:
        parse_prior(text)
    place = caught.value.place
    assert text[place.start : place.end] == marked


def test_places_of_variables_are_those_of_their_names():
    """Binding points at an unknown variable with them."""
    text = "y + z ~ b*x + cluster_mean(v) + p:q"
    places = dict(parse_formula(text).statements.places)
    for name in ("y", "z", "x", "p", "q"):
        assert text[places[name].start : places[name].end] == name


# --- writing back ---------------------------------------------------------------------------------

ROUND_TRIPS = {
    "regression": "y ~ x",
    "everything about one row": 'y ~ b*start(-0.5)*lower(-1e-9)*upper(1e20)*prior("Normal(0, 1)")*x',
    "fixed values": "y ~ -0.25*x + 1e-7*z + a*0.5*v\ny ~ 0*1\ny ~~ 2*y",
    "residual covariance fixed at zero": "y + z ~ x\ny ~~ 0*z",
    "first loading freed": "f =~ NA*y1 + a*y2 + y3\nf ~~ 1*f",
    "two first loadings": "f =~ y1 + 1*y2 + y3\ng =~ 2*z1 + z2\nf ~~ 0*g",
    "factor mean": "f =~ y1 + y2\nf ~ 1\ny1 ~ 0*1",
    "covariates that are modelled": "y ~ x + z\nx ~~ z\nx ~ 1",
    "mediation at two levels": MEDIATION,
    "declared": "cluster: g\nwithin: x\nbetween: w\nlevel: within\n y ~ x\nlevel: between\n y ~ w",
    "covariate modelled within": "within: x\nlevel: within\n y ~ x\n x ~~ x\nlevel: between\n y ~ w",
    "between level only": "level: between\n y ~ x",
    "equal loadings across levels": "level: within\n fw =~ y1 + l2*y2 + l3*y3\n"
    "level: between\n fb =~ NA*y1 + l2*y2 + l3*y3\n y1 ~~ 0*y1",
    "varying slope": "level: within\n s | y ~ x\n y ~ z\nlevel: between\n s ~ w\n y ~ w + s",
    "varying slope of a split variable": "level: within\n y ~ rv(s)*x\n"
    "level: between\n y ~ x\n s ~~ 0*y",
    "interactions": "level: within\n f =~ a + b\n y ~ f + f:z\nlevel: between\n fb =~ a + b\n"
    " i | fb XWITH t\n unused | fb XWITH fb\n y ~ i + t + fb:t",
    "interaction used nowhere": "f =~ a + b\n`f:z` | f XWITH z\ny ~ f + z",
    "transforms": "define:\n m = cluster_mean(log(a))\n x = x/10\n x = x + 1\n"
    " c = center(x, groupmean)\n g = center(c^2, grandmean)\n"
    "level: within\n y ~ a + g\nlevel: between\n y ~ m + cluster_mean(v)",
    "cluster mean as a covariate within": "within: m\ndefine:\n m = cluster_mean(a)\n"
    "level: within\n y ~ a + m\nlevel: between\n y ~~ y",
    "definitions and constraints": "y ~ a*x + b*z + c*1\nd := -(a - b)^2/exp(-c)\ne := d*2\n"
    "a == 2*b\nc > -1.5\nc < 5",
    "priors": "level: within\n y ~ b*x\n x ~~ x\nlevel: between\n y ~ b*x\npriors:\n b ~ Normal(0, 1)\n"
    " between: sd(y) ~ HalfNormal(2)\n within: y ~~ y ~ Gamma(alpha=2, beta=1e-3)",
    "correlation's prior": "y + z ~ x\npriors:\n cor(y, z) ~ Uniform(-1, 1)",
    "odd names": "cluster: `my school`\nlevel: within\n `a b` ~ `lab-1`*`näme` + `x:y` + `level` + NA\n"
    "level: between\n `a b` ~ `lab-1`*`1st` + `tick``ed`\n`d 1` := `lab-1`*2\n`lab-1` > 0",
    "names of the language": "`within` ~ `NA`*cluster + start + prior + xwith\ndefine ~ level:sd",
}  # fmt: skip


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_written_text_reads_back(name):
    spec = parse_formula(ROUND_TRIPS[name])
    text = write_formula(spec)
    again = parse_formula(text)
    assert again == spec, text
    assert [r.key for r in again.parameters] == [r.key for r in spec.parameters]
    assert write_formula(again) == text


MPLUS = {
    "listed variables are split": """
        TITLE: t
        DATA: FILE IS x.dat;
        VARIABLE: NAMES ARE g y x v w; CLUSTER IS g; WITHIN = x; BETWEEN = w;
        ANALYSIS: TYPE = TWOLEVEL;
        MODEL:
          %WITHIN%
          y ON x;
          %BETWEEN%
          y ON w;
    """,
    "numbers as labels": """
        DATA: FILE IS x.dat;
        VARIABLE: NAMES ARE y x z;
        MODEL: y ON x (1);
          y ON z (1);
          [y@0];
    """,
    "slope on a factor": """
        DATA: FILE IS x.dat;
        VARIABLE: NAMES ARE g y1-y4 w; CLUSTER IS g; BETWEEN = w;
        ANALYSIS: TYPE = TWOLEVEL RANDOM;
        MODEL:
          %WITHIN%
          fw BY y1* y2 y3;
          fw@1;
          s | y4 ON fw;
          %BETWEEN%
          fb BY y1-y3;
          y4 s ON w;
          fb WITH s@0;
    """,
}


@pytest.mark.parametrize("name", MPLUS)
def test_specs_from_mplus_read_back(name):
    spec = parse_mplus(MPLUS[name]).spec
    assert parse_formula(write_formula(spec)) == spec


@pytest.mark.parametrize("listing", sorted(p.name for p in (HERE / "listings").glob("*.inp")))
def test_the_chapters_models_read_back(listing):
    spec = parse_mplus((HERE / "listings" / listing).read_text(), listing).spec
    if spec is None:  # TYPE = BASIC has no model
        assert "BASIC" in (HERE / "listings" / listing).read_text().upper()
        return
    assert parse_formula(write_formula(spec)) == spec


def test_roles_that_the_data_decided_are_written():
    """Text alone cannot tell that z, used within only, also varies between."""
    from bmsem.spec import complete

    said = parse_formula("level: within\n y ~ x + z\nlevel: between\n y ~ w\n").statements
    spec = complete(said, split=["z"])
    assert spec.split == ("y", "z") and spec.within_only == ("x",)
    assert parse_formula(write_formula(spec)) == spec
