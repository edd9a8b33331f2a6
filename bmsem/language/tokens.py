"""Formula text as tokens that know their place, and tokens as statements."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from bmsem.errors import ModelSyntaxError, Place

Kind = Literal["name", "number", "string", "op", "newline"]

# Longest operators first. Those after the blank belong to lavaan and are refused with a reason.
_OPERATORS = ("=~", "~~", ":=", "==", "<~", "~*~", "~=", "<=", ">=", "~", "=", "<", ">", "|", "*",
              "+", "-", "/", "^", ":", ";", "(", ")", ",")  # fmt: skip
_PATTERN = re.compile(
    r"(?P<space>[ \t\r\f]+)"
    r"|(?P<comment>[#!][^\n]*)"
    r"|(?P<newline>\n)"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![^\W\d]))"
    r"|(?P<name>[^\W\d][\w.]*)"
    r"|`(?P<quoted>[^`\n]+)`"
    r"|\"(?P<double>[^\"\n]*)\"|'(?P<single>[^'\n]*)'"
    r"|(?P<op>" + "|".join(re.escape(o) for o in sorted(_OPERATORS, key=len, reverse=True)) + ")"
)

# A line that ends in one of these goes on.
_OPEN_ENDED = {"=~", "~~", "~", ":=", "==", "<", ">", "|", "*", "+", "-", "/", "^", ",", ":", "="}


@dataclass(frozen=True)
class Token:
    """A word of the text: what it is, what it says, where it stands."""

    kind: Kind
    value: str
    place: Place

    def is_op(self, *values: str) -> bool:
        return self.kind == "op" and self.value in values


def tokenize(text: str, source: str = "model") -> list[Token]:
    """All tokens of a text, comments left out.

    Raises
    ------
    ModelSyntaxError
        At a character that has no meaning, or a quote that is not closed.
    """
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _PATTERN.match(text, at)
        if match is None:
            place = Place(text, at, at + 1, source)
            if text[at] in "\"'`":
                raise ModelSyntaxError("a quotation mark is not closed", place)
            raise ModelSyntaxError(
                f"'{text[at]}' has no meaning here",
                place,
                hint="Names with other characters are written between back-quotes: `my name`.",
            )
        kind, place = match.lastgroup, Place(text, match.start(), match.end(), source)
        value = match[kind] if kind else ""
        match kind:
            case "newline" | "number" | "name" | "op":
                tokens.append(Token(kind, value, place))
            case "quoted":
                tokens.append(Token("name", value, place))
            case "double" | "single":
                tokens.append(Token("string", value, place))
        at = match.end()
    return tokens


def statements(tokens: list[Token]) -> list[list[Token]]:
    """Tokens by statement.

    A statement ends at ``;`` or at the end of a line, unless a bracket is open, the line ends in an
    operator, or the next line begins with ``+``. A header such as ``level: within`` or ``define:``
    ends with its line.
    """
    found: list[list[Token]] = []
    current: list[Token] = []
    depth = 0
    for i, token in enumerate(tokens):
        if token.kind == "newline":
            following = next((t for t in tokens[i + 1 :] if t.kind != "newline"), None)
            header = len(current) == 2 and current[1].is_op(":")
            goes_on = current and (
                depth > 0
                or (current[-1].is_op(*_OPEN_ENDED) and not header)
                or (following is not None and following.is_op("+"))
            )
            if not goes_on and current:
                found.append(current)
                current = []
            continue
        if token.is_op(";"):
            if current:
                found.append(current)
            current = []
            continue
        depth += token.is_op("(") - token.is_op(")")
        current.append(token)
    if current:
        found.append(current)
    return found
