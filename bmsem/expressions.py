"""Arithmetic of derived parameters, constraints and data transformations.

One grammar serves ``:=`` and ``==`` in formula text and MODEL CONSTRAINT and DEFINE in Mplus input:
``+ - * / ^ **``, parentheses, numbers, names, and the functions in `FUNCTIONS`. A name with other
characters than letters, digits, ``_`` and ``.`` stands between back-quotes. A text becomes a small
tree that is evaluated node by node over any numeric type (floats, NumPy arrays of draws, PyTensor
variables, data columns); nothing is ever handed to Python's own evaluator.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bmsem.errors import ModelSyntaxError, Place, did_you_mean

# The functions that Mplus allows in MODEL CONSTRAINT and DEFINE (User's Guide, chapters 15 and 17),
# by their attribute in NumPy, which PyTensor shares but for the spelling of the inverse functions.
FUNCTIONS: dict[str, str] = {
    "sqrt": "sqrt",
    "log": "log",
    "log10": "log10",
    "exp": "exp",
    "abs": "abs",
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "min": "minimum",
    "max": "maximum",
    "phi": "phi",  # the standard normal distribution function
}

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
}
_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}
_UNARY_BINDING = 3  # -x^2 is -(x^2), and 2*-x is allowed

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?)"
    r"|(?P<name>[^\W\d][\w.#$]*)"
    r"|`(?P<quoted>(?:[^`\n]|``)+)`"
    r"|(?P<op>\*\*|[-+*/^(),]))"
)

_PLAIN = re.compile(r"[^\W\d][\w.]*")


def quoted(name: str) -> str:
    """A name as it is written in a text: between back-quotes where it is not a plain word.

    >>> quoted("score_1"), quoted("score 1")
    ('score_1', '`score 1`')
    """
    return name if _PLAIN.fullmatch(name) else f"`{name.replace('`', '``')}`"


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True)
class Name:
    """A label, a parameter or a data column."""

    name: str


@dataclass(frozen=True)
class Negative:
    """Unary minus."""

    operand: Node


@dataclass(frozen=True)
class Binary:
    """A sum, difference, product, quotient or power."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Call:
    """A function of one or more expressions."""

    function: str
    arguments: tuple[Node, ...]


Node = Number | Name | Negative | Binary | Call


@dataclass(frozen=True)
class Expression:
    """A parsed expression: printable, comparable, and evaluated over any numeric type.

    >>> e = parse_expression("a*(b + 1)^2")
    >>> str(e), sorted(e.names())
    ('a*(b + 1)^2', ['a', 'b'])
    >>> e.evaluate({"a": 2.0, "b": 3.0})
    32.0
    """

    root: Node

    def __str__(self) -> str:
        return _write(self.root)

    def names(self) -> frozenset[str]:
        """Names that must be given a value."""
        return frozenset(_names(self.root))

    def renamed(self, names: Mapping[str, str]) -> Expression:
        """The same expression with other names."""
        return Expression(_rename(self.root, names))

    def evaluate(
        self,
        values: Mapping[str, Any],
        functions: Mapping[str, Callable[..., Any]] | None = None,
    ) -> Any:
        """The value at ``values`` (scalars or arrays of one shape, by name).

        ``functions`` replaces the NumPy functions, for instance by those of PyTensor.
        Raises `KeyError` for a name without a value.
        """
        return _evaluate(self.root, values, functions or NUMPY_FUNCTIONS)


def _standard_normal_cdf(x: Any) -> Any:
    from scipy.special import ndtr

    return ndtr(x)


NUMPY_FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(np, attribute) for name, attribute in FUNCTIONS.items() if name != "phi"
}
NUMPY_FUNCTIONS["phi"] = _standard_normal_cdf


def _evaluate(node: Node, values: Mapping[str, Any], functions: Mapping[str, Any]) -> Any:
    match node:
        case Number(value):
            return value
        case Name(name):
            return values[name]
        case Negative(operand):
            return -_evaluate(operand, values, functions)
        case Binary(op, left, right):
            a = _evaluate(left, values, functions)
            return _OPERATORS[op](a, _evaluate(right, values, functions))
        case Call(function, arguments):
            return functions[function](*(_evaluate(a, values, functions) for a in arguments))


def _rename(node: Node, names: Mapping[str, str]) -> Node:
    match node:
        case Name(name):
            return Name(names.get(name, name))
        case Negative(operand):
            return Negative(_rename(operand, names))
        case Binary(op, left, right):
            return Binary(op, _rename(left, names), _rename(right, names))
        case Call(function, arguments):
            return Call(function, tuple(_rename(a, names) for a in arguments))
    return node


def _names(node: Node) -> list[str]:
    match node:
        case Number():
            return []
        case Name(name):
            return [name]
        case Negative(operand):
            return _names(operand)
        case Binary(_, left, right):
            return _names(left) + _names(right)
        case Call(_, arguments):
            return [name for argument in arguments for name in _names(argument)]


def _write(node: Node, outer: int = 0) -> str:
    match node:
        case Number(value):
            return repr(value).removesuffix(".0")
        case Name(name):
            return quoted(name)
        case Call(function, arguments):
            return f"{function}({', '.join(_write(a) for a in arguments)})"
        case Negative(operand):
            text, binding = f"-{_write(operand, _UNARY_BINDING)}", _UNARY_BINDING
        case Binary(op, left, right):
            binding = _BINDING[op]
            # The left side of a power and the right side of the other operators need brackets
            # at equal binding, so that the written text parses to the same tree.
            first = _write(left, binding + (op == "^"))
            second = _write(right, binding + (op != "^"))
            gap = " " if binding == 1 else ""
            text = f"{first}{gap}{op}{gap}{second}"
    return f"({text})" if binding < outer else text


class _Parser:
    """Precedence climbing over the tokens of one expression."""

    def __init__(self, text: str, place: Place) -> None:
        self.text, self.place = text, place
        self.tokens: list[tuple[str, str, int]] = []
        position = 0
        end = len(text.rstrip())
        while position < end:
            match = _TOKEN.match(text, position)
            if match is None:
                at = position + len(text[position:]) - len(text[position:].lstrip())
                raise self.error(
                    f"'{text[at]}' has no meaning in an expression",
                    at,
                    "a number, a name, one of + - * / ^ ( ), or a function",
                )
            kind = match.lastgroup or "op"
            value, at = match[kind], match.start(kind)
            if kind == "quoted":
                value, at = value.replace("``", "`"), at - 1
            self.tokens.append((kind, "^" if value == "**" else value, at))
            position = match.end()
        self.tokens.append(("end", "", end))
        self.index = 0

    def error(
        self, message: str, at: int, expected: str | None = None, hint: str | None = None
    ) -> ModelSyntaxError:
        # What is missing at the end is marked at the last thing that is there.
        start = self.place.start + max(0, min(at, len(self.text.rstrip()) - 1))
        place = Place(self.place.text, start, start + 1, self.place.source)
        return ModelSyntaxError(message, place, expected=expected, hint=hint)

    def parse(self) -> Node:
        node = self.expression(1)
        kind, value, at = self.tokens[self.index]
        if kind != "end":
            raise self.error(
                f"unexpected '{value}'", at, "an operator or the end of the expression"
            )
        return node

    def expression(self, minimum: int) -> Node:
        left = self.operand()
        while True:
            kind, op, _ = self.tokens[self.index]
            if kind != "op" or op not in _BINDING or _BINDING[op] < minimum:
                return left
            self.index += 1
            # Powers associate to the right, the others to the left.
            right = self.expression(_BINDING[op] + (op != "^"))
            left = Binary(op, left, right)

    def operand(self) -> Node:
        kind, value, at = self.tokens[self.index]
        self.index += 1
        if kind == "number":
            return Number(float(value.lower().replace("d", "e")))
        if kind == "quoted":
            return Name(value)
        if kind == "name":
            if self.tokens[self.index][1] == "(":
                return self.call(value, at)
            return Name(value)
        if value == "-":
            return Negative(self.expression(_UNARY_BINDING))
        if value == "+":
            return self.expression(_UNARY_BINDING)
        if value == "(":
            node = self.expression(1)
            self.close()
            return node
        what = "the expression ends too early" if kind == "end" else f"unexpected '{value}'"
        raise self.error(what, at, "a number, a name, a function or '('")

    def call(self, name: str, at: int) -> Node:
        function = name.lower()
        if function not in FUNCTIONS:
            raise self.error(
                f"unknown function '{name}'", at, hint=did_you_mean(function, FUNCTIONS)
            )
        self.index += 1
        arguments = [self.expression(1)]
        while self.tokens[self.index][1] == ",":
            self.index += 1
            arguments.append(self.expression(1))
        self.close()
        wanted = 2 if function in ("min", "max") else 1
        if len(arguments) != wanted:
            given = len(arguments)
            raise self.error(f"{function} takes {wanted} argument(s), not {given}", at)
        return Call(function, tuple(arguments))

    def close(self) -> None:
        _, value, at = self.tokens[self.index]
        if value != ")":
            raise self.error("a bracket is not closed", at, "')'")
        self.index += 1


def parse_expression(text: str, place: Place | None = None) -> Expression:
    """Read an arithmetic expression.

    Parameters
    ----------
    text
        The expression.
    place
        Where it stands in a larger text, for error messages; ``place.start`` is the offset of
        ``text[0]``.

    Raises
    ------
    ModelSyntaxError
        With the place of the first thing that does not fit.
    """
    return Expression(_Parser(text, place or Place(text, 0, len(text))).parse())
