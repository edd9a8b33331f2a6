"""Lines of the ``define:`` and ``priors:`` blocks."""

from __future__ import annotations

from collections.abc import Callable

from bmsem.errors import ModelSyntaxError, Place, did_you_mean
from bmsem.expressions import parse_expression
from bmsem.language.prior_text import parse_prior
from bmsem.language.tokens import Token
from bmsem.spec import Level, Prior, Transform

Slice = Callable[[list[Token], Token], tuple[str, Place]]
Key = tuple[Level, str, str, str]


def read_transform(left: list[Token], op: Token, right: list[Token], text_of: Slice) -> Transform:
    """``name = expression``, ``name = cluster_mean(x)``, ``name = center(x, grandmean)``."""
    if len(left) != 1 or left[0].kind != "name":
        raise ModelSyntaxError(
            "a variable is made as name = expression", left[0].place if left else op.place
        )
    name = left[0].value
    word = right[0].value.lower() if right else ""
    call = len(right) > 3 and right[1].is_op("(") and right[-1].is_op(")")
    if call and word == "cluster_mean":
        return Transform(name, "cluster_mean", parse_expression(*text_of(right[2:-1], right[1])))
    if call and word == "center":
        kind = right[-2].value.lower()
        if kind not in ("grandmean", "groupmean") or not right[-3].is_op(","):
            raise ModelSyntaxError(
                "center(…) takes a variable and 'grandmean' or 'groupmean'", right[-2].place,
                hint=did_you_mean(kind, ["grandmean", "groupmean"]),
            )  # fmt: skip
        expression = parse_expression(*text_of(right[2:-3], right[1]))
        function = "center_grandmean" if kind == "grandmean" else "center_groupmean"
        return Transform(name, function, expression)  # type: ignore[arg-type]
    return Transform(name, "compute", parse_expression(*text_of(right, op)))


def read_prior_line(tokens: list[Token], text_of: Slice) -> tuple[str | Key, Prior, Place]:
    """``label ~ Normal(0, 1)`` or ``between: y ~ x ~ Normal(0, 1)``, ``sd(y)``, ``cor(x, y)``."""
    depth, last = 0, -1
    for i, token in enumerate(tokens):
        depth += token.is_op("(") - token.is_op(")")
        if depth == 0 and token.is_op("~"):
            last = i
    place = Place(
        tokens[0].place.text, tokens[0].place.start, tokens[-1].place.end, tokens[0].place.source
    )
    if last < 1:
        raise ModelSyntaxError(
            "this is not a prior", place, expected="target ~ Distribution(arguments)",
            hint="For example 'p1 ~ Normal(0, 1)' or 'between: sd(y) ~ HalfNormal(2)'.",
        )  # fmt: skip
    prior = parse_prior(*text_of(tokens[last + 1 :], tokens[last]))
    target = tokens[:last]
    level: Level = None
    if len(target) > 2 and target[1].is_op(":"):
        word = target[0].value.lower()
        if word not in ("within", "between"):
            raise ModelSyntaxError(
                f"unknown level '{target[0].value}'", target[0].place,
                hint=did_you_mean(word, ["within", "between"]),
            )  # fmt: skip
        level = word  # type: ignore[assignment]
        target = target[2:]
    values = [t.value for t in target]
    if len(target) == 1:
        return values[0], prior, target[0].place
    match values:
        case ["sd", "(", name, ")"]:
            return (
                (level, name, "~~", name),
                Prior(prior.distribution, prior.arguments, "sd"),
                place,
            )
        case ["cor", "(", first, ",", second, ")"]:
            on = Prior(prior.distribution, prior.arguments, "correlation")
            return (level, first, "~~", second), on, place
        case [name, "~", "1"]:
            return (level, name, "~1", ""), prior, place
        case [first, "=~" | "~" | "~~" as op, second]:
            return (level, first, op, second), prior, place
    raise ModelSyntaxError(
        "this is not a label or a parameter", target[0].place,
        expected="a label, 'y ~ x', 'y ~~ y', 'f =~ y', 'y ~ 1', 'sd(y)' or 'cor(x, y)'",
    )  # fmt: skip
