"""The operator that says what a statement is."""

from __future__ import annotations

from itertools import pairwise
from typing import NoReturn

from bmsem.errors import ModelSyntaxError, Place, did_you_mean
from bmsem.language.tokens import HEADERS, Token

RELATIONS = ("==", "<", ">")
FORMULAS = ("=~", "~~", "~")

_REFUSED = {
    "<~": ("formative factors ('<~') are not supported", "A factor is measured by '=~'."),
    "~*~": ("scaling factors ('~*~') are not supported", "Outcomes are continuous."),
    "~=": ("'~=' is not an operator", "Did you mean '=~' (measured by)?"),
    "<=": ("'<=' is not an operator", "Write '<': a bound includes its limit."),
    ">=": ("'>=' is not an operator", "Write '>': a bound includes its limit."),
}
_ALL = (*FORMULAS, *RELATIONS, ":=", "|", "=", *_REFUSED)


def operator_of(tokens: list[Token]) -> tuple[int, Token] | None:
    """The first operator outside brackets that makes a statement, with its position."""
    depth = 0
    for i, token in enumerate(tokens):
        depth += token.is_op("(") - token.is_op(")")
        if depth == 0 and token.is_op(*_ALL):
            return i, token
    return None


def refuse(op: Token) -> None:
    """Raise if the operator is one of lavaan's that bmsem has not, or one that nobody has."""
    if op.value in _REFUSED:
        message, hint = _REFUSED[op.value]
        raise ModelSyntaxError(message, op.place, hint=hint)


def refuse_run_on(tokens: list[Token], first: int) -> None:
    """Raise if a line that ends in an operator has swallowed the formula on the next one.

    ``y ~`` with nothing behind it goes on with the next line; if that has an operator of its own,
    the mistake is at the end of the line before.
    """
    second = operator_of(tokens[first + 1 :])
    if second is None:
        return
    line = second[1].place.line
    start = next(i for i, token in enumerate(tokens) if token.place.line == line)
    if start > first:
        last = tokens[start - 1]
        if last.is_op():
            return
        raise ModelSyntaxError(
            f"nothing follows '{last.value}'", last.place, expected="a variable",
            hint="A line that ends in an operator goes on with the next line.",
        )  # fmt: skip


def missing_operator(tokens: list[Token], block: str | None) -> NoReturn:
    """Say that a statement has no operator, at the place where one was due."""
    words = ("name", "number", "string")
    place = next(
        (b.place for a, b in pairwise(tokens)
         if a.kind in words and b.kind in words),
        tokens[-1].place,
    )  # fmt: skip
    if block == "define":
        raise ModelSyntaxError("this line makes no variable", place, expected="name = expression")
    if block == "priors":
        raise ModelSyntaxError(
            "this is not a prior", place, expected="target ~ Distribution(arguments)"
        )
    hint = None
    mplus = next((t for t in tokens[1:] if t.is_word("on", "by", "with")), None)
    if mplus is not None:
        place = mplus.place
        hint = "Mplus's ON is '~' here, BY '=~' and WITH '~~'; bmsem.read_mplus reads its input."
    elif any(t.is_word("xwith") for t in tokens):
        hint = "A product is named: int | x XWITH z."
    elif len(tokens) > 1 and tokens[0].is_word(*HEADERS):
        hint = f"Is ':' missing after '{tokens[0].value}'?"
    raise ModelSyntaxError(
        "this line is not a formula", place,
        expected="an operator such as '~', '~~', '=~' or ':='", hint=hint,
    )  # fmt: skip


def unknown_header(token: Token) -> NoReturn:
    raise ModelSyntaxError(
        f"unknown header '{token.value}:'", token.place, hint=did_you_mean(token.value, HEADERS)
    )


def nothing(
    where: str, op: Token, expected: str = "a variable", place: Place | None = None
) -> NoReturn:
    """Say that one side of an operator is empty."""
    verb = "follows" if where == "after" else "stands before"
    raise ModelSyntaxError(f"nothing {verb} '{op.value}'", place or op.place, expected=expected)
