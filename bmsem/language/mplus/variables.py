"""DATA, VARIABLE and DEFINE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bmsem.errors import ModelSyntaxError, did_you_mean
from bmsem.expressions import Expression, Name
from bmsem.language.mplus.commands import Command, Statement, Word, expand, option
from bmsem.language.mplus.constraint import expression_of
from bmsem.language.mplus.input import Ignored, Selection
from bmsem.spec import Transform

_DATA = ("FILE", "FORMAT", "TYPE", "NOBSERVATIONS", "NGROUPS", "LISTWISE", "VARIANCES")
_VARIABLE = (
    "NAMES", "USEVARIABLES", "USEOBSERVATIONS", "MISSING", "CLUSTER", "WITHIN", "BETWEEN",
    "CATEGORICAL", "COUNT", "IDVARIABLE", "AUXILIARY", "NOMINAL", "CENSORED", "GROUPING", "WEIGHT",
    "BWEIGHT", "STRATIFICATION", "CLASSES", "KNOWNCLASS", "SUBPOPULATION", "LAGGED", "TSCORES",
    "CONSTRAINT", "PATTERN", "DSURVIVAL", "SURVIVAL", "TIMECENSORED",
)  # fmt: skip
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "EQ": lambda a, b: a == b, "==": lambda a, b: a == b, "=": lambda a, b: a == b,
    "NE": lambda a, b: a != b, "/=": lambda a, b: a != b, "^=": lambda a, b: a != b,
    "GT": lambda a, b: a > b, ">": lambda a, b: a > b, "LT": lambda a, b: a < b,
    "<": lambda a, b: a < b, "GE": lambda a, b: a >= b, ">=": lambda a, b: a >= b,
    "LE": lambda a, b: a <= b, "<=": lambda a, b: a <= b,
}  # fmt: skip


# Kinds of auxiliary variables: those of missingness, and those of latent classes.
_AUXILIARY = ("M", "R", "E", "R3STEP", "DU3STEP", "DE3STEP", "DCATEGORICAL", "DCONTINUOUS", "BCH")


@dataclass
class Variables:
    """What DATA, VARIABLE and DEFINE said, while the input is read."""

    data_file: str | None = None
    names: list[str] = field(default_factory=list)
    use: list[str] | None = None
    cluster: str | None = None
    missing: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    selection: Selection | None = None
    lists: dict[str, list[str]] = field(default_factory=dict)
    transforms: list[Transform] = field(default_factory=list)
    ignored: list[Ignored] = field(default_factory=list)
    auxiliary: list[str] = field(default_factory=list)

    @property
    def by_case(self) -> dict[str, str]:
        """Every variable there is, by lower case."""
        made = [t.name for t in self.transforms]
        return {n.lower(): n for n in (*self.names, *made)}

    def ignore(self, statement: Statement, reason: str) -> None:
        self.ignored.append(Ignored(statement.place.line, statement.text, reason))

    def resolve(
        self, words: tuple[Word, ...], what: str, extra: list[str] | None = None
    ) -> list[str]:
        """Variables of a list; raises `ModelSyntaxError` for one that is not there."""
        known = self.by_case | {n.lower(): n for n in extra or ()}
        found = []
        for name, word in expand(words, list(known.values())):
            if name.lower() not in known:
                raise ModelSyntaxError(
                    f"unknown variable '{name}' in {what}", word.place,
                    hint=did_you_mean(name, known.values()),
                )  # fmt: skip
            found.append(known[name.lower()])
        return found


def read_data_command(command: Command, result: Variables) -> None:
    """DATA: the file; its format must be free."""
    for statement in command.statements:
        name, value = option(statement, _DATA, "DATA")
        if name == "FILE":
            result.data_file = _path(statement, value)
        elif name == "FORMAT" and not (value and value[0].upper == "FREE"):
            raise ModelSyntaxError(
                f"only FORMAT IS FREE is supported: {statement.text}", statement.place
            )
        elif name == "TYPE" and not (value and value[0].upper == "INDIVIDUAL"):
            raise ModelSyntaxError(
                f"only individual data are supported: {statement.text}", statement.place
            )
        elif name in ("NGROUPS", "VARIANCES"):
            raise ModelSyntaxError(f"{name} is not supported: {statement.text}", statement.place)
        elif name in ("NOBSERVATIONS", "LISTWISE"):
            result.ignore(statement, "all rows of the file are used")


def _path(statement: Statement, value: tuple[Word, ...]) -> str:
    if not value:
        raise ModelSyntaxError("FILE needs a name", statement.place, expected="FILE IS name.dat")
    first, last = value[0].place, value[-1].place
    return first.text[first.start : last.end].strip("\"' ")


def read_variable_command(command: Command, result: Variables, made: list[str]) -> None:
    """VARIABLE; ``made`` are the names that DEFINE will make."""
    # NAMES come first whatever their place, because the other lists refer to them.
    options = [(s, *option(s, _VARIABLE, "VARIABLE")) for s in command.statements]
    for _, name, value in options:
        if name == "NAMES":
            result.names = [n for n, _ in expand(value)]
    twice = {n for n in result.names if [m.lower() for m in result.names].count(n.lower()) > 1}
    if twice:
        raise ModelSyntaxError(f"NAMES lists '{min(twice)}' twice", command.place)
    for statement, name, value in options:
        match name:
            case "NAMES":
                continue
            case "USEVARIABLES":
                given = result.resolve(value, "USEVARIABLES", made)
                result.use = list(dict.fromkeys(given))
                for again in sorted({n for n in given if given.count(n) > 1}):
                    result.ignored.append(
                        Ignored(statement.place.line, again, "it is listed twice in USEVARIABLES")
                    )
            case "USEOBSERVATIONS":
                result.selection = _selection(statement, value, result)
            case "MISSING":
                result.missing += _missing(statement, value, result)
            case "CLUSTER":
                found = result.resolve(value, "CLUSTER")
                if len(found) != 1:
                    raise ModelSyntaxError(
                        f"CLUSTER takes one variable: {statement.text}", statement.place,
                        hint="Three-level models are not supported.",
                    )  # fmt: skip
                result.cluster = found[0]
            case "WITHIN" | "BETWEEN" | "CATEGORICAL" | "COUNT":
                result.lists[name] = result.resolve(value, name, made)
            case "AUXILIARY":
                _auxiliary(statement, value, result)
            case "IDVARIABLE":
                result.ignore(statement, "the variable is not part of the model")
            case _:
                raise ModelSyntaxError(
                    f"{name} is not supported: {statement.text}", statement.place
                )


def _missing(
    statement: Statement, value: tuple[Word, ...], result: Variables
) -> list[tuple[str, tuple[str, ...]]]:
    found: list[tuple[str, tuple[str, ...]]] = []
    names: list[Word] = []
    i = 0
    while i < len(value):
        word = value[i]
        if word.is_op(".", "*"):
            found.append(("ALL", (word.value,)))
        elif word.upper == "BLANK":
            raise ModelSyntaxError("MISSING = BLANK needs fixed format", word.place)
        elif word.is_op("("):
            close = next((j for j in range(i, len(value)) if value[j].is_op(")")), None)
            if close is None or not names:
                raise ModelSyntaxError(
                    "codes stand in brackets after variables", word.place, expected="ALL (-99)"
                )
            codes = tuple(_codes(value[i + 1 : close]))
            if len(names) == 1 and names[0].upper == "ALL":
                found.append(("ALL", codes))
            else:
                found += [(n, codes) for n in result.resolve(tuple(names), "MISSING")]
            names, i = [], close
        else:
            names.append(word)
        i += 1
    if names:
        raise ModelSyntaxError(
            f"codes are missing: {statement.text}",
            statement.place,
            expected="MISSING ARE ALL (-99)",
        )
    return found


def _codes(words: tuple[Word, ...]) -> list[str]:
    found: list[str] = []
    sign, first, last = "", "", None
    for word in words:
        if word.is_op("-"):
            # 8-10 is a range; -9 -8 are two numbers.
            joined = (
                last is not None and last.kind == "number" and last.place.end == word.place.start
            )
            sign, first = ("", found[-1]) if joined else ("-", "")
        elif word.kind == "number" and first:
            found += _range(first, word)
            first = ""
        elif word.kind == "number":
            found.append(sign + word.value)
            sign = ""
        elif not word.is_op(","):
            raise ModelSyntaxError(f"unexpected '{word.value}'", word.place, expected="a number")
        last = word
    return found


def _range(first: str, word: Word) -> list[str]:
    """The whole numbers after ``first``, up to ``word``."""
    low, high = float(first), float(word.value)
    if low != int(low) or high != int(high) or high <= low:
        raise ModelSyntaxError(
            f"'{first}-{word.value}' is no range", word.place, expected="a larger whole number"
        )
    return [str(n) for n in range(int(low) + 1, int(high) + 1)]


def _auxiliary(statement: Statement, value: tuple[Word, ...], result: Variables) -> None:
    """``AUXILIARY = (M) a b`` or ``a (M)``: correlates of missingness; else names without effect."""
    names = [w for w in value if not w.is_op("(", ")") and w.upper not in _AUXILIARY]
    kinds = {w.upper for w in value if w.upper in _AUXILIARY}
    if kinds == {"M"}:
        result.auxiliary += result.resolve(tuple(names), "AUXILIARY")
    elif kinds:
        raise ModelSyntaxError(
            f"AUXILIARY ({' '.join(sorted(kinds))}) is not supported: {statement.text}",
            statement.place, expected="AUXILIARY = (M) names, correlates of missing values",
        )  # fmt: skip
    else:
        result.ignore(statement, "the variable is not part of the model")


def _selection(statement: Statement, value: tuple[Word, ...], result: Variables) -> Selection:
    reader = _Condition(value, result)
    mask = reader.any_of()
    if reader.index < len(value):
        word = value[reader.index]
        raise ModelSyntaxError(f"unexpected '{word.value}'", word.place, expected="AND or OR")
    text = " ".join(w.value for w in value)
    return Selection(text, mask)


Mask = Callable[[pd.DataFrame], Any]


class _Condition:
    """``a EQ 1 AND (b GT 2 OR NOT c == 3)`` by recursive descent."""

    def __init__(self, words: tuple[Word, ...], variables: Variables) -> None:
        self.words, self.variables, self.index = words, variables, 0

    def peek(self) -> str:
        return self.words[self.index].upper if self.index < len(self.words) else ""

    def any_of(self) -> Mask:
        left = self.all_of()
        while self.peek() == "OR":
            self.index += 1
            left = _either(left, self.all_of())
        return left

    def all_of(self) -> Mask:
        left = self.one()
        while self.peek() == "AND":
            self.index += 1
            left = _both(left, self.one())
        return left

    def one(self) -> Mask:
        if self.peek() == "NOT":
            self.index += 1
            inner = self.one()
            return lambda frame: ~inner(frame)
        if self.peek() == "(":
            self.index += 1
            inner = self.any_of()
            if self.peek() != ")":
                raise ModelSyntaxError(
                    "a bracket is not closed", self.words[-1].place, expected="')'"
                )
            self.index += 1
            return inner
        if self.index + 2 >= len(self.words):
            raise ModelSyntaxError(
                "the condition ends too early", self.words[-1].place, expected="variable EQ value"
            )
        name, op = self.words[self.index], self.words[self.index + 1]
        column = self.variables.resolve((name,), "USEOBSERVATIONS")[0]
        compare = _COMPARE.get(op.upper)
        if compare is None:
            raise ModelSyntaxError(
                f"'{op.value}' does not compare", op.place, expected="EQ, NE, GT, LT, GE or LE"
            )
        self.index += 2
        sign = 1.0
        if self.peek() == "-":
            sign = -1.0
            self.index += 1
        if self.index >= len(self.words) or self.words[self.index].kind != "number":
            raise ModelSyntaxError("a number must follow", op.place, expected="a number")
        number = sign * float(self.words[self.index].value)
        self.index += 1
        return lambda frame: compare(frame[column].to_numpy(), number)


def _either(a: Mask, b: Mask) -> Mask:
    return lambda frame: np.logical_or(a(frame), b(frame))


def _both(a: Mask, b: Mask) -> Mask:
    return lambda frame: np.logical_and(a(frame), b(frame))


def defined_names(command: Command) -> list[str]:
    """Names that DEFINE makes."""
    return [
        s.words[0].value
        for s in command.statements
        if len(s.words) > 2 and s.words[1].is_op("=") and s.words[0].kind == "name"
    ]


def read_define(command: Command, result: Variables) -> None:
    """DEFINE: arithmetic, CLUSTER_MEAN and CENTER, in the order in which they are written."""
    for statement in command.statements:
        words = statement.words
        first = words[0]
        if first.upper == "CENTER":
            result.transforms += _center(statement, result)
            continue
        if first.upper in ("IF", "STANDARDIZE", "DO", "CUT", "_MISSING"):
            raise ModelSyntaxError(
                f"{first.upper} is not supported in DEFINE: {statement.text}", first.place
            )
        if len(words) < 3 or not words[1].is_op("="):
            raise ModelSyntaxError(
                f"this is not a definition: {statement.text}", first.place,
                expected="name = expression, or CENTER names (GROUPMEAN)",
            )  # fmt: skip
        extra = [w for w in words[2:] if w.is_op("=")]
        if extra:
            raise ModelSyntaxError(
                "a second '=' in one statement", extra[0].place, expected="';' before it",
                hint="Every statement ends with a semicolon.",
            )  # fmt: skip
        known = result.by_case
        name = known.get(first.value.lower(), first.value)
        if words[2].upper == "CLUSTER_MEAN":
            inner = words[4:-1]
            if len(words) < 6 or not words[3].is_op("(") or not words[-1].is_op(")"):
                raise ModelSyntaxError(
                    "CLUSTER_MEAN takes one variable in brackets", words[2].place
                )
            column = result.resolve(inner, "CLUSTER_MEAN")
            if len(column) != 1:
                raise ModelSyntaxError("CLUSTER_MEAN takes one variable", words[2].place)
            result.transforms.append(Transform(name, "cluster_mean", Expression(Name(column[0]))))
            continue
        expression = expression_of(words[2:], known)
        for used in sorted(expression.names() - set(known.values())):
            raise ModelSyntaxError(
                f"unknown variable '{used}' in DEFINE", first.place,
                hint=did_you_mean(used, known.values()),
            )  # fmt: skip
        result.transforms.append(Transform(name, "compute", expression))


def _center(statement: Statement, result: Variables) -> list[Transform]:
    words = statement.words
    kind = words[-2].upper if len(words) > 3 and words[-1].is_op(")") else ""
    if kind not in ("GRANDMEAN", "GROUPMEAN") or not words[-3].is_op("("):
        raise ModelSyntaxError(
            f"CENTER needs the kind of mean: {statement.text}", statement.place,
            expected="CENTER x y (GRANDMEAN) or CENTER x y (GROUPMEAN)",
        )  # fmt: skip
    function = "center_grandmean" if kind == "GRANDMEAN" else "center_groupmean"
    return [
        Transform(name, function, Expression(Name(name)))  # type: ignore[arg-type]
        for name in result.resolve(words[1:-3], "CENTER")
    ]
