"""Defaults, roles, equality and the checks of a complete model."""

from __future__ import annotations

import pytest

from bmsem.errors import ModelError, ModelSyntaxError
from bmsem.language import parse_formula
from bmsem.spec import RandomSlope, StatementBuilder, complete


def names(spec, level=None):
    return {r.name for r in spec.at(level)}


def row(spec, name):
    return next(r for r in spec.parameters if r.full_name == name)


# --- defaults -------------------------------------------------------------------------------------


def test_regression():
    spec = parse_formula("y ~ x")
    assert names(spec) == {"y ~ x", "y ~ 1", "y ~~ y"}
    assert all(r.free for r in spec.parameters)


def test_exogenous_variables_are_conditioned_on_until_something_is_said_of_them():
    assert "x ~~ z" not in names(parse_formula("y ~ x + z"))
    # A named variance models x, not z, to which it is related.
    spec = parse_formula("y ~ x + z\nx ~~ x")
    assert names(spec) == {
        "y ~ x", "y ~ z", "y ~~ y", "y ~ 1", "x ~ z", "x ~~ x", "x ~ 1",
    }  # fmt: skip
    assert any("x is regressed on z" in note for note in spec.notes)
    assert {"x ~~ x", "z ~~ z", "x ~~ z"} <= names(parse_formula("y ~ x + z\nx ~ 1\nz ~ 1"))


def test_measurement():
    spec = parse_formula("f =~ y1 + y2\ng =~ z1 + z2")
    assert row(spec, "f =~ y1").fixed == row(spec, "g =~ z1").fixed == 1.0
    assert row(spec, "f =~ y2").free
    assert {"f ~~ f", "g ~~ g", "f ~~ g", "y1 ~~ y1", "y1 ~ 1"} <= names(spec)
    assert not {"f ~ 1", "g ~ 1", "y1 ~~ y2", "y1 ~~ z1"} & names(spec)


def test_a_factor_with_predictors_does_not_covary():
    spec = parse_formula("f =~ y1 + y2\ng =~ z1 + z2\nh =~ v1 + v2\nf ~ g + h")
    assert "g ~~ h" in names(spec)
    assert not {"f ~~ g", "f ~~ h"} & names(spec)


def test_residuals_of_last_outcomes_covary_those_of_mediators_do_not():
    spec = parse_formula("m1 + m2 ~ x\ny + z ~ m1 + m2")
    assert "y ~~ z" in names(spec)
    assert "m1 ~~ m2" not in names(spec)


def test_intercepts_of_split_variables_stand_at_the_between_level():
    spec = parse_formula("level: within\n y ~ x + c\nlevel: between\n y ~ x + w")
    assert names(spec, "within") == {"y ~ x", "y ~ c", "y ~~ y", "x ~~ x"}
    assert names(spec, "between") == {
        "y ~ x", "y ~ w", "x ~ w", "y ~~ y", "x ~~ x", "y ~ 1", "x ~ 1",
    }  # fmt: skip


def test_exogenous_between_parts_are_regressed_on_the_covariates():
    """Otherwise the latent part of x would be taken to be independent of w."""
    text = "level: within\n y ~ x\nlevel: between\n y ~ x + w"
    spec = parse_formula(text)
    assert "x ~ w" in names(spec, "between")
    assert any("x is regressed on w" in note for note in spec.notes)
    fixed = parse_formula(text + "\n x ~ 0*w")
    row = next(r for r in fixed.at("between", "~") if r.lhs == "x")
    assert row.fixed == 0.0


def test_nothing_covaries_with_a_constant():
    spec = parse_formula("level: within\n y1 ~~ y2\nlevel: between\n y1 + y2 ~ w\n y1 ~~ 0*y1")
    assert "y1 ~~ y2" not in names(spec, "between")


def test_a_fixed_parameter_has_no_prior():
    with pytest.raises(ModelSyntaxError, match=r"is fixed at 0\.5 and has a prior too"):
        parse_formula('y ~ prior("Normal(5, 1)")*0.5*x')


def test_effects_coding_gives_a_scale():
    parse_formula("f =~ NA*y1 + l1*y1 + l2*y2 + l3*y3\nl1 + l2 + l3 == 3")


def test_a_varying_slope_has_a_mean_and_a_variance_and_keeps_to_itself():
    spec = parse_formula("level: within\n s | y ~ x\nlevel: between\n y + s ~ w")
    assert {"s ~ 1", "s ~~ s"} <= names(spec, "between")
    assert "s ~~ y" not in names(spec, "between") and "y ~~ s" not in names(spec, "between")


# --- roles ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "split", "within", "between"),
    [
        ("level: within\n y ~ x\nlevel: between\n y ~ x", {"y", "x"}, set(), set()),
        ("level: within\n y ~ x\nlevel: between\n y ~ w", {"y"}, {"x"}, {"w"}),
        # An outcome within has a between part even if it is not mentioned there.
        ("level: within\n y ~ x\nlevel: between\n w ~ v", {"y"}, {"x"}, {"w", "v"}),
        ("within: u\nlevel: within\n y ~ u\n u ~ x\nlevel: between\n y ~ w", {"y"}, {"u", "x"}, {"w"}),
        ("level: within\n f =~ y1 + y2\nlevel: between\n y1 ~ w", {"y1", "y2"}, set(), {"w"}),
        ("y ~ x", set(), set(), {"y", "x"}),
    ],
)  # fmt: skip
def test_roles(text, split, within, between):
    spec = parse_formula(text)
    assert (set(spec.split), set(spec.within_only), set(spec.between_only)) == (
        split,
        within,
        between,
    )


def test_an_inferred_within_only_covariate_is_said():
    spec = parse_formula("level: within\n y ~ x\nlevel: between\n y ~ w")
    assert any(note.startswith("x predicts at the within level only") for note in spec.notes)


def test_data_may_decide_roles():
    said = parse_formula("level: within\n y ~ x\nlevel: between\n y ~ w").statements
    spec = complete(said, split=["x"])
    assert set(spec.split) == {"y", "x"}
    assert {"x ~~ x", "x ~ 1"} <= names(spec, "between")


def test_mplus_splits_what_it_lists():
    builder = StatementBuilder(known=("y", "x", "v"), split_by_default=True)
    for level in ("within", "between"):
        builder.level(level)
    builder.parameter("within", "y", "~", "x")
    assert set(complete(builder.build()).split) == {"y", "x", "v"}


def test_variables_that_the_source_does_not_list_are_unknown():
    builder = StatementBuilder(known=("mvpa", "advant"))
    builder.parameter(None, "mvpa", "~", "advnat")
    with pytest.raises(ModelError, match="Did you mean 'advant'"):
        complete(builder.build())


# --- labels ---------------------------------------------------------------------------------------


def test_rows_with_one_label_share_what_is_said_of_one_of_them():
    spec = parse_formula('y ~ b*x + b*z + b*start(2)*x + b*lower(0)*z + b*prior("Normal(0, 1)")*z')
    for name in ("y ~ x", "y ~ z"):
        found = row(spec, name)
        assert (found.start, found.lower, str(found.prior)) == (2.0, 0.0, "Normal(0, 1)")


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("y ~ b*1*x\nz ~ b*2*x", 2, 9, "label 'b' has conflicting fixed values"),
        ("y ~ b*start(1)*x\nz ~ b*start(2)*x", 2, 16, "conflicting starting values"),
        ("y ~ b*upper(1)*x + b*upper(2)*z", 1, 31, "conflicting upper bounds"),
        (
            'y ~ b*prior("Normal(0, 1)")*x\nz ~ b*prior("Normal(0, 2)")*x',
            2,
            29,
            "conflicting priors",
        ),
    ],
)
def test_rows_with_one_label_must_agree(text, line, column, message):
    with pytest.raises(ModelSyntaxError, match=message) as caught:
        parse_formula(text)
    error = caught.value
    assert (error.place.line, error.place.column) == (line, column)
    assert "give them one value, or two labels" in error.hint


# --- scale ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "f =~ y1 + y2",
        "f =~ NA*y1 + 1*y2",
        "f =~ NA*y1 + y2\nf ~~ 1*f",
        "level: within\n fw =~ y1 + l*y2\nlevel: between\n fb =~ NA*y1 + l*y2",
    ],
)
def test_factors_with_a_scale(text):
    assert parse_formula(text).latent


@pytest.mark.parametrize(
    "text", ["f =~ NA*y1 + y2", "f =~ NA*y1 + 0*y2", "f =~ NA*y1 + y2\nf ~~ 0*f"]
)
def test_factors_without_a_scale(text):
    with pytest.raises(ModelSyntaxError, match="the factor 'f' has no scale") as caught:
        parse_formula(text)
    assert (caught.value.place.line, caught.value.place.column) == (1, 1)
    assert "f ~~ 1*f" in caught.value.hint


# --- definitions ----------------------------------------------------------------------------------


def test_definitions_may_use_labels_and_what_is_defined_before():
    spec = parse_formula("y ~ a*x + b*z\nd := a - b\ne := d^2")
    assert [str(d) for d in spec.definitions] == ["d := a - b", "e := d^2"]
    with pytest.raises(ModelSyntaxError, match="'e' uses 'd'") as caught:
        parse_formula("y ~ a*x + b*z\ne := 2*d\nd := a - b")
    assert (caught.value.place.line, caught.value.place.column) == (2, 8)


def test_an_unknown_label_called_like_a_variable_is_found_where_it_is_used():
    with pytest.raises(ModelSyntaxError, match="'d' uses 'x'") as caught:
        parse_formula("y ~ a*x\nd := a*x")
    assert (caught.value.place.line, caught.value.place.column) == (2, 8)


# --- the builder and the table --------------------------------------------------------------------


def test_the_builder_without_places_raises_plain_errors():
    builder = StatementBuilder()
    builder.parameter(None, "y", "~", "x", label="a")
    with pytest.raises(ModelError, match="two different labels: a and b"):
        builder.parameter(None, "y", "~", "x", label="b")
    with pytest.raises(ModelError, match="both fixed and freed"):
        builder.parameter(None, "y", "~", "z", fixed=1.0, freed=True)
    builder.slope(RandomSlope("s", "y", "x"))
    with pytest.raises(ModelError, match="'s' is defined twice"):
        builder.slope(RandomSlope("s", "y", "z"))


def test_equality_ignores_order_and_the_sides_of_a_covariance():
    first = parse_formula("y ~ a*x + z\nx ~~ z\nd := a; e := 2*a")
    second = parse_formula("e := 2*a; d := a\nz ~~ x\ny ~ z\ny ~ a*x")
    assert first == second and hash(first) == hash(second)


@pytest.mark.parametrize(
    "other",
    [
        "y ~ x + z",
        "y ~ b*x",
        "y ~ 1*x",
        "y ~ start(1)*x",
        'y ~ prior("Normal(0, 1)")*x',
        "y ~ lower(0)*x",
        "cluster: g\ny ~ x",
        "define:\n x = x + 1\ny ~ x",
        "y ~ x\nx ~~ x",
        "level: within\n y ~ x\nlevel: between\n y ~~ y",
    ],
)
def test_specs_that_differ(other):
    assert parse_formula("y ~ x") != parse_formula(other)


def test_a_printed_spec_shows_everything():
    shown = str(
        parse_formula("""
        cluster: school
        define:
          m = cluster_mean(x)
        level: within
          y ~ w*lower(0)*x
          s | y ~ z
        level: between
          y ~ m + 0.5*v
        twice := 2*w
        w < 5
        """)
    )
    for part in (
        "school", "m = cluster_mean(x)", "s | y ~ z", "free, label w, in [0, inf]", "fixed at 0.5",
        "twice := 2*w", "w < 5", "between only:",
    ):  # fmt: skip
        assert part in shown
