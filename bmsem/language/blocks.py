"""Lines of the ``define:``, ``priors:`` and ``standards:`` blocks."""

from __future__ import annotations

import math

from bmsem.errors import ModelSyntaxError, Place, did_you_mean
from bmsem.expressions import parse_expression
from bmsem.language.operators import nothing
from bmsem.language.prior_text import parse_prior
from bmsem.language.targets import read_target
from bmsem.language.tokens import Token
from bmsem.spec import Prior, Transform
from bmsem.spec.targets import Target

_MEANS = ("grandmean", "groupmean")


def span(tokens: list[Token]) -> Place:
    """From the first token to the last."""
    first = tokens[0].place
    return Place(first.text, first.start, tokens[-1].place.end, first.source)


def text_of(tokens: list[Token], after: Token) -> tuple[str, Place]:
    """Source text of some tokens, for parsers that read text; comments become blanks."""
    if not tokens:
        nothing("after", after, "an expression")
    place = span(tokens)
    characters = [" "] * (place.end - place.start)
    for token in tokens:
        start = token.place.start - place.start
        piece = place.text[token.place.start : token.place.end]
        characters[start : start + len(piece)] = piece
    return "".join(characters), place


def read_transform(left: list[Token], op: Token, right: list[Token]) -> Transform:
    """``name = expression``, ``name = cluster_mean(x)``, ``name = center(x, grandmean)``."""
    if len(left) != 1 or left[0].kind != "name":
        raise ModelSyntaxError(
            "a variable is made as name = expression", span(left) if left else op.place
        )
    name = left[0].value
    call = next(
        (
            i
            for i, token in enumerate(right[:-1])
            if token.is_word("cluster_mean", "center") and right[i + 1].is_op("(")
        ),
        None,
    )
    if call is None:
        return Transform(name, "compute", parse_expression(*text_of(right, op)))
    function = right[call]
    if call > 0 or _closing(right) != len(right) - 1:
        raise ModelSyntaxError(
            f"{function.value}(…) stands alone", function.place,
            hint=f"Make it a variable of its own: new = {function.value}(…).",
        )  # fmt: skip
    if function.is_word("cluster_mean"):
        return Transform(name, "cluster_mean", parse_expression(*text_of(right[2:-1], right[1])))
    kind = right[-2]
    if len(right) < 6 or not kind.is_word(*_MEANS) or not right[-3].is_op(","):
        raise ModelSyntaxError(
            "center(…) takes a variable and 'grandmean' or 'groupmean'", kind.place,
            expected="center(x, grandmean) or center(x, groupmean)",
            hint=did_you_mean(kind.value, _MEANS) if right[-3].is_op(",") else None,
        )  # fmt: skip
    expression = parse_expression(*text_of(right[2:-3], right[1]))
    if kind.is_word("grandmean"):
        return Transform(name, "center_grandmean", expression)
    return Transform(name, "center_groupmean", expression)


def _closing(call: list[Token]) -> int:
    """Where the bracket closes that follows a function's name."""
    depth = 0
    for i, token in enumerate(call):
        depth += token.is_op("(") - token.is_op(")")
        if depth == 0 and i > 0:
            return i
    return -1


def read_prior_line(tokens: list[Token]) -> tuple[Target, Prior, Place]:
    """``label ~ Normal(0, 1)``, ``between: y ~ x ~ Normal(0, 1)``, ``icc(y) ~ Beta(2, 18)``.

    What has the prior, the prior, and where the first stands.
    """
    depth, last = 0, -1
    for i, token in enumerate(tokens):
        depth += token.is_op("(") - token.is_op(")")
        if depth == 0 and token.is_op("~"):
            last = i
    distribution = tokens[last + 1 :]
    if last < 1 or len(distribution) < 3 or not distribution[-1].is_op(")"):
        raise ModelSyntaxError(
            "this is not a prior", span(tokens), expected="target ~ Distribution(arguments)",
            hint="For example 'p1 ~ Normal(0, 1)' or 'between: sd(y) ~ HalfNormal(2)'. "
            "A 'priors:' block ends at the next line such as 'level: within': without levels put "
            "it last.",
        )  # fmt: skip
    prior = parse_prior(*text_of(distribution, tokens[last]))
    return read_target(tokens[:last]), prior, span(tokens[:last])


def read_standard(tokens: list[Token]) -> tuple[str, float, Place]:
    """``name = number``: name, number (an expression such as 20/7), and the name's place."""
    at = next((i for i in range(len(tokens) - 1, -1, -1) if tokens[i].is_op("=")), None)
    if at is None or at == 0:
        raise ModelSyntaxError(
            "this is not a standard", span(tokens), expected="name = number, such as 'tot = 20/7'",
            hint="A 'standards:' block ends at the next header: without levels put it last.",
        )  # fmt: skip
    text, place = text_of(tokens[at + 1 :], tokens[at])
    expression = parse_expression(text, place)
    if expression.names():
        raise ModelSyntaxError(
            f"a standard is a number, but '{sorted(expression.names())[0]}' is a name", place,
            expected="a number such as 0.5 or 20/7",
        )  # fmt: skip
    value = float(expression.evaluate({}))
    if not math.isfinite(value) or value == 0.0:
        raise ModelSyntaxError(
            f"a standard cannot be {value:g}", place,
            expected="the smallest effect that would matter, with its sign",
        )  # fmt: skip
    name, where = text_of(tokens[:at], tokens[at])
    return " ".join(name.split()).replace("- >", "->"), value, where
