"""Arithmetic: reading, writing, evaluating."""

from __future__ import annotations

import numpy as np
import pytest

from bmsem.errors import ModelSyntaxError, Place
from bmsem.expressions import (
    Binary,
    Call,
    Expression,
    Name,
    Negative,
    Number,
    parse_expression,
)

VALUES = {"a": 2.0, "b": 3.0, "c": -0.5}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a + b*c", 0.5),
        ("(a + b)*c", -2.5),
        ("a - b - c", -0.5),
        ("a/b/c", 2.0 / 3.0 / -0.5),
        ("a^b^a", 512.0),
        ("a**b", 8.0),
        ("-a^2", -4.0),
        ("(-a)^2", 4.0),
        ("2*-a", -4.0),
        ("a^-1", 0.5),
        ("+a - -b", 5.0),
        ("1.5e1 + 1D-1 + .5", 15.6),
        ("sqrt(a*8) + abs(c)", 4.5),
        ("max(a, b) - min(a, b)", 1.0),
        ("LOG(exp(a))", 2.0),
        ("phi(0)", 0.5),
        ("acos(1) + asin(0) + atan(0) + log10(100)", 2.0),
    ],
)
def test_values(text, value):
    expression = parse_expression(text)
    assert expression.evaluate(VALUES) == pytest.approx(value)
    assert parse_expression(str(expression)) == expression


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("((a))+(b*c)", "a + b*c"),
        ("a-(b-c)", "a - (b - c)"),
        ("a/(b*c)", "a/(b*c)"),
        ("(a^b)^c", "(a^b)^c"),
        ("a^(b^c)", "a^b^c"),
        ("-(a+b)", "-(a + b)"),
        ("2.0*A", "2*A"),
        ("`my x`*`plain`", "`my x`*plain"),
        ("élan.1 + `a``b`", "élan.1 + `a``b`"),
        ("p#1", "`p#1`"),
    ],
)
def test_written_with_the_brackets_that_it_needs(text, written):
    assert str(parse_expression(text)) == written
    assert parse_expression(written) == parse_expression(text)


def test_any_tree_reads_back():
    random = np.random.default_rng(3)

    def tree(depth):
        kind = random.integers(0, 5) if depth else random.integers(0, 2)
        match int(kind):
            case 0:
                return Number(float(random.choice([0.0, 2.0, 0.1, 1e-7, 1e20])))
            case 1:
                return Name(str(random.choice(["a", "b_1", "x.2", "with space", "ü"])))
            case 2:
                return Negative(tree(depth - 1))
            case 3:
                return Binary(str(random.choice(list("+-*/^"))), tree(depth - 1), tree(depth - 1))
            case _:
                return Call("max", (tree(depth - 1), tree(depth - 1)))

    for _ in range(300):
        expression = Expression(tree(5))
        assert parse_expression(str(expression)) == expression, str(expression)


def test_names_and_renaming():
    expression = parse_expression("a*`my x` - max(a, b)")
    assert expression.names() == {"a", "my x", "b"}
    assert str(expression.renamed({"a": "q"})) == "q*`my x` - max(q, b)"


def test_arrays_are_evaluated_element_by_element():
    draws = np.array([1.0, 4.0])
    assert parse_expression("sqrt(a) + 1").evaluate({"a": draws}) == pytest.approx([2.0, 3.0])
    with pytest.raises(KeyError):
        parse_expression("a + z").evaluate({"a": draws})


@pytest.mark.parametrize(
    ("text", "at", "message", "advice"),
    [
        ("a +", 2, "ends too early", "a number, a name"),
        ("", 0, "ends too early", "a number, a name"),
        ("a b", 2, "unexpected 'b'", "an operator"),
        ("a * / b", 4, "unexpected '/'", "a number"),
        ("(a + b", 5, "not closed", "')'"),
        ("a)", 1, "unexpected ')'", "an operator"),
        ("a ? b", 2, "'?' has no meaning", "a number"),
        ("1 + sqr(a)", 4, "unknown function 'sqr'", "Did you mean 'sqrt'?"),
        ("max(a)", 0, "takes 2 argument(s), not 1", ""),
        ("log(a, b)", 0, "takes 1 argument(s), not 2", ""),
        ("`log`(a)", 5, "unexpected '('", "an operator"),
    ],
)
def test_mistakes_are_pointed_at(text, at, message, advice):
    before = "line one\nd := "
    whole = before + text
    place = Place(whole, len(before), len(whole))
    with pytest.raises(ModelSyntaxError) as caught:
        parse_expression(text, place)
    error = caught.value
    assert message in error.reason and advice in f"{error.expected} {error.hint}"
    assert (error.place.line, error.place.column) == (2, 6 + at)
