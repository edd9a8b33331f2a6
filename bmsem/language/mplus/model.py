"""The MODEL command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bmsem.errors import ModelSyntaxError, did_you_mean
from bmsem.language.mplus.commands import (
    Command,
    Statement,
    Word,
    missing_semicolon,
    name_range,
)
from bmsem.spec import Interaction, Level, RandomSlope, StatementBuilder

_KEYWORDS = ("ON", "BY", "WITH", "PON", "PWITH", "XWITH")
_OPERATORS = {"ON": "~", "PON": "~", "BY": "=~", "WITH": "~~", "PWITH": "~~"}


@dataclass
class _Item:
    """A name in a list, with what stands behind it."""

    name: str
    word: Word
    settings: dict[str, Any]


class ModelReader:
    """Reads the statements of MODEL into a builder.

    ``names`` are the variables that may be used; matching ignores case, the names keep theirs.
    """

    def __init__(self, builder: StatementBuilder, names: list[str], twolevel: bool) -> None:
        self.builder = builder
        self.order = names
        self.names = {n.lower(): n for n in names}
        self.twolevel = twolevel
        self.level: Level = None
        self.labels: dict[str, str] = {}

    def read(self, command: Command) -> None:
        """All statements of the command."""
        self._collect_new_names(command)
        for statement in command.statements:
            first = statement.words[0]
            if first.kind == "level":
                self._level(first)
                continue
            if self.twolevel and self.level is None:
                raise ModelSyntaxError(
                    "this statement stands before %WITHIN% or %BETWEEN%", first.place,
                    hint="In TYPE = TWOLEVEL every statement belongs to a level.",
                )  # fmt: skip
            self._statement(statement)

    def _level(self, word: Word) -> None:
        name = word.value.strip("%").strip().lower()
        if name not in ("within", "between"):
            raise ModelSyntaxError(
                f"unknown part {word.value} of MODEL", word.place,
                expected="%WITHIN% or %BETWEEN%", hint=did_you_mean(name, ["within", "between"]),
            )  # fmt: skip
        if not self.twolevel:
            raise ModelSyntaxError(
                f"{word.value} needs TYPE = TWOLEVEL", word.place,
                hint="Add TYPE = TWOLEVEL to ANALYSIS.",
            )  # fmt: skip
        self.level = "within" if name == "within" else "between"
        self.builder.level(self.level)

    def _collect_new_names(self, command: Command) -> None:
        """Factors, varying slopes and interactions may be used before they are defined."""
        for statement in command.statements:
            words = statement.words
            for i, word in enumerate(words):
                if i and (word.is_op("|") or word.upper == "BY"):
                    names = [w for w in words[:i] if w.kind == "name"]
                    for w in names:
                        self.names.setdefault(w.value.lower(), w.value)

    def _statement(self, statement: Statement) -> None:
        words = statement.words
        first = words[0]
        for word in words:
            if word.is_op("{", "}", "~", "=", "<", ">", ":", "+", "/", "^", "**", "=="):
                hint = None
                if word.value == "=":
                    hint = "Constraints belong to MODEL CONSTRAINT, options to ANALYSIS."
                raise ModelSyntaxError(
                    f"'{word.value}' is not supported in MODEL: {statement.text}",
                    word.place,
                    hint=hint,
                )
        bar = next((i for i, w in enumerate(words) if w.is_op("|")), None)
        if bar is not None:
            self._bar(words, bar)
            return
        if first.is_op("["):
            self._means(words)
            return
        where = [i for i, w in enumerate(words) if w.kind == "name" and w.upper in _KEYWORDS]
        if not where:
            self._unknown_keyword(words)
            for item in self._items(words):
                self._add("~~", item.name, item.name, item)
            return
        if len(where) > 1:
            # The name before the second keyword belongs to the next statement.
            at = where[1] - 1
            while at > where[0] + 1 and words[at].place.line == words[at - 1].place.line:
                at -= 1
            at = max(at, where[0] + 1)
            raise missing_semicolon(words[at - 1], words[at])
        self._relation(words, where[0])

    def _unknown_keyword(self, words: tuple[Word, ...]) -> None:
        """'mvpa OON advant' would read as a list of variances; an unknown name gives it away."""
        for word in words[1:-1]:
            if word.kind == "name" and word.value.lower() not in self.names:
                near = [k for k in _KEYWORDS if _close(word.upper, k)]
                if near:
                    raise ModelSyntaxError(
                        f"unknown keyword '{word.value}'", word.place,
                        hint=f"Did you mean {near[0]}? Known: {', '.join(_KEYWORDS)}.",
                    )  # fmt: skip

    def _bar(self, words: tuple[Word, ...], bar: int) -> None:
        if bar != 1 or len(words) < 5:
            raise ModelSyntaxError(
                "'|' defines one varying slope or interaction", words[bar].place,
                expected="name | outcome ON predictor, or name | first XWITH second",
            )  # fmt: skip
        name = words[0].value
        keywords = [i for i, w in enumerate(words) if w.upper in _KEYWORDS]
        if not keywords or keywords[0] != 3 or words[3].upper not in ("ON", "XWITH"):
            raise ModelSyntaxError(
                "this is neither a varying slope nor an interaction", words[bar].place,
                expected="name | outcome ON predictor, or name | first XWITH second",
            )  # fmt: skip
        if len(keywords) > 1:
            raise missing_semicolon(words[keywords[1] - 2], words[keywords[1] - 1])
        left, right = self._variable(words[2]), self._variable(words[4])
        if len(words) > 5:
            raise ModelSyntaxError(f"unexpected '{words[5].value}'", words[5].place, expected="';'")
        if words[3].upper == "XWITH":
            self.builder.interaction(Interaction(self.level, name, left, right), words[0].place)
            return
        if self.level != "within":
            raise ModelSyntaxError(
                "a varying slope is defined under %WITHIN%", words[0].place,
                hint="Move it there; the slope is a variable under %BETWEEN%.",
            )  # fmt: skip
        self.builder.slope(RandomSlope(name, left, right), words[0].place)

    def _means(self, words: tuple[Word, ...]) -> None:
        close = next((i for i, w in enumerate(words) if w.is_op("]")), None)
        if close is None:
            raise ModelSyntaxError("'[' is not closed", words[0].place, expected="']'")
        inside = words[1:close]
        for word in inside:
            if "$" in word.value:
                raise ModelSyntaxError(
                    "thresholds are not supported: outcomes are continuous", word.place
                )
        for item in self._items((*inside, *words[close + 1 :])):
            self._add("~1", item.name, "", item)

    def _relation(self, words: tuple[Word, ...], at: int) -> None:
        keyword = words[at]
        if at == 0:
            raise ModelSyntaxError(f"nothing stands before {keyword.value}", keyword.place)
        if at == len(words) - 1:
            raise ModelSyntaxError(
                f"nothing follows {keyword.value}", keyword.place, expected="a variable"
            )
        kind = keyword.upper
        if kind == "XWITH":
            raise ModelSyntaxError(
                "XWITH needs a name for the product",
                keyword.place,
                expected="name | first XWITH second",
            )
        left = self._items(words[:at])
        right_words = words[at + 1 :]
        if kind in ("PON", "PWITH"):
            right = self._items(right_words)
            if len(left) != len(right):
                raise ModelSyntaxError(
                    f"{kind} pairs lists of one length, not {len(left)} and {len(right)}",
                    keyword.place,
                )
            pairs = [(a.name, b) for a, b in zip(left, right, strict=True)]
        else:
            right = self._items(right_words, repeats=len(left))
            n = len(right) // len(left)
            pairs = [(a.name, right[i * n + j]) for i, a in enumerate(left) for j in range(n)]
        for item in left:
            self.builder.mention(item.name, item.word.place)
        for name, item in pairs:
            self._add(_OPERATORS[kind], name, item.name, item)

    def _add(self, op: str, lhs: str, rhs: str, item: _Item) -> None:
        self.builder.parameter(self.level, lhs, op, rhs, place=item.word.place, **item.settings)

    def _variable(self, word: Word) -> str:
        if word.kind != "name":
            raise ModelSyntaxError(f"unexpected '{word.value}'", word.place, expected="a variable")
        found = self.names.get(word.value.lower())
        if found is None:
            raise ModelSyntaxError(
                f"unknown variable '{word.value}' in MODEL", word.place,
                hint=did_you_mean(word.value, self.names.values()),
            )  # fmt: skip
        return found

    def _items(self, words: tuple[Word, ...], repeats: int = 1) -> list[_Item]:
        """Names with their values; labels in brackets go to what stands before them.

        ``repeats`` is the number of left-hand variables that the list is for: the result holds the
        list so many times, labels given in the order of the parameters.
        """
        items: list[_Item] = []
        pending = 0  # first item that no bracket has labelled yet
        labels: list[tuple[int, int, list[str], Word]] = []
        i = 0
        while i < len(words):
            word = words[i]
            if word.is_op("("):
                close = next((j for j in range(i, len(words)) if words[j].is_op(")")), None)
                if close is None:
                    raise ModelSyntaxError("'(' is not closed", word.place, expected="')'")
                given = self._labels(words[i + 1 : close], word)
                start = pending
                if len(given) == 1:
                    line = word.place.line
                    start = next(
                        (k for k in range(pending, len(items)) if items[k].word.place.line == line),
                        pending,
                    )
                if start == len(items):
                    raise ModelSyntaxError("no parameter stands before this label", word.place)
                labels.append((start, len(items), given, word))
                pending = len(items)
                i = close + 1
                continue
            names, i = self._names(words, i)
            settings, i = self._value(words, i)
            items += [_Item(name, word, dict(settings)) for name in names]
        result = [
            _Item(item.name, item.word, dict(item.settings))
            for _ in range(repeats)
            for item in items
        ]
        for start, end, given, word in labels:
            places = [r * len(items) + k for r in range(repeats) for k in range(start, end)]
            if len(given) not in (1, len(places)):
                raise ModelSyntaxError(
                    f"{len(given)} labels for {len(places)} parameters", word.place,
                    hint="Give one label a parameter, or one for all of them to be equal.",
                )  # fmt: skip
            for n, place in enumerate(places):
                result[place].settings["label"] = given[n if len(given) > 1 else 0]
        return result

    def _names(self, words: tuple[Word, ...], i: int) -> tuple[list[str], int]:
        word = words[i]
        if word.kind != "name":
            raise ModelSyntaxError(f"unexpected '{word.value}'", word.place, expected="a variable")
        if i + 2 < len(words) and words[i + 1].is_op("-"):
            names = name_range(word, words[i + 2], self.order)
            for name in names:
                if name.lower() not in self.names:
                    raise ModelSyntaxError(
                        f"unknown variable '{name}' in the list {word.value}-{words[i + 2].value}",
                        word.place, hint=did_you_mean(name, self.names.values()),
                    )  # fmt: skip
            return [self.names[n.lower()] for n in names], i + 3
        return [self._variable(word)], i + 1

    def _value(self, words: tuple[Word, ...], i: int) -> tuple[dict[str, Any], int]:
        if i >= len(words) or not words[i].is_op("@", "*"):
            return {}, i
        sign, fixed = 1.0, words[i].value == "@"
        j = i + 1
        if j < len(words) and words[j].is_op("-"):
            sign, j = -1.0, j + 1
        if j < len(words) and words[j].kind == "number":
            value = sign * float(words[j].value.lower().replace("d", "e"))
            return ({"fixed": value} if fixed else {"start": value, "freed": True}), j + 1
        if fixed:
            raise ModelSyntaxError("'@' needs a value", words[i].place, expected="a number")
        return {"freed": True}, i + 1

    def _labels(self, words: tuple[Word, ...], bracket: Word) -> list[str]:
        found: list[str] = []
        i = 0
        while i < len(words):
            if i + 2 < len(words) and words[i + 1].is_op("-"):
                found += name_range(words[i], words[i + 2])
                i += 3
                continue
            if words[i].kind not in ("name", "number"):
                raise ModelSyntaxError(f"unexpected '{words[i].value}' in a label", words[i].place)
            found.append(words[i].value)
            i += 1
        if not found:
            raise ModelSyntaxError("an empty label", bracket.place)
        return [self.labels.setdefault(label.lower(), label) for label in found]


def _close(given: str, known: str) -> bool:
    """Whether two words are one letter apart."""
    if abs(len(given) - len(known)) > 1 or given == known:
        return False
    if len(given) == len(known):
        return sum(a != b for a, b in zip(given, known, strict=True)) == 1
    short, long = sorted((given, known), key=len)
    return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))
