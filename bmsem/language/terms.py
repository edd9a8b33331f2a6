"""The right side of a formula: terms with their modifiers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bmsem.errors import ModelSyntaxError, Place, did_you_mean
from bmsem.language.prior_text import parse_prior
from bmsem.language.tokens import Token

MODIFIERS = ("start", "prior", "rv", "label", "lower", "upper")


@dataclass
class Term:
    """One term: a variable, the constant 1, or a product of two variables, and what is said of it."""

    name: str
    place: Place
    second: str | None = None
    constant: bool = False
    cluster_mean: str | None = None
    slope: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)


class TermReader:
    """Reads ``modifier*modifier*name + …`` from the tokens after an operator."""

    def __init__(self, tokens: list[Token], end: Place) -> None:
        self.tokens = tokens
        self.index = 0
        self.end = end

    def peek(self, offset: int = 0) -> Token | None:
        i = self.index + offset
        return self.tokens[i] if i < len(self.tokens) else None

    def take(self, expected: str) -> Token:
        token = self.peek()
        if token is None:
            raise ModelSyntaxError("the formula ends too early", self.end, expected=expected)
        self.index += 1
        return token

    def terms(self) -> list[Term]:
        """All terms, separated by ``+``."""
        found = [self.term()]
        while (token := self.peek()) is not None:
            if not token.is_op("+"):
                hint = None
                if token.kind in ("name", "number"):
                    hint = "Terms are joined by '+', modifiers to their variable by '*'."
                elif token.is_op("~", "~~", "=~"):
                    hint = "A second formula starts on a new line or after ';'."
                raise ModelSyntaxError(
                    f"unexpected '{token.value}'", token.place, expected="'+' or the end", hint=hint
                )
            self.index += 1
            found.append(self.term())
        return found

    def term(self) -> Term:
        settings: dict[str, Any] = {}
        slope = None
        while True:
            token = self.take("a variable")
            if token.is_op("-"):
                number = self.take("a number")
                if number.kind != "number":
                    raise ModelSyntaxError(
                        "'-' can only stand before a fixed value", token.place,
                        hint="Write y ~ -1*x to fix a coefficient at -1.",
                    )  # fmt: skip
                self._set(settings, "fixed", -float(number.value), token.place)
                self._star(number)
                continue
            following = self.peek()
            if token.kind == "number":
                if following is not None and following.is_op("*"):
                    self._set(settings, "fixed", float(token.value), token.place)
                    self.index += 1
                    continue
                if token.value == "1":
                    return Term("1", token.place, constant=True, settings=settings, slope=slope)
                raise ModelSyntaxError(
                    f"'{token.value}' is not a variable", token.place,
                    expected="a variable, or 1 for the intercept",
                    hint=f"To fix the intercept write '{token.value}*1'.",
                )  # fmt: skip
            if token.kind != "name":
                raise ModelSyntaxError(
                    f"unexpected '{token.value}'", token.place, expected="a variable or a modifier"
                )
            if following is not None and following.is_op("("):
                if token.value.lower() == "cluster_mean":
                    name = self._inside(token).value
                    return Term(
                        f"cluster_mean({name})", token.place, cluster_mean=name,
                        settings=settings, slope=slope,
                    )  # fmt: skip
                what = self._modifier(token, settings)
                slope = what or slope
                continue
            if following is not None and following.is_op("*"):
                self.index += 1
                if token.value == "NA":
                    self._set(settings, "freed", True, token.place)
                else:
                    self._set(settings, "label", token.value, token.place)
                continue
            if following is not None and following.is_op(":"):
                self.index += 1
                second = self.take("a variable")
                if second.kind != "name":
                    raise ModelSyntaxError(
                        f"unexpected '{second.value}'", second.place, expected="a variable"
                    )
                return Term(token.value, token.place, second.value, settings=settings, slope=slope)
            return Term(token.value, token.place, settings=settings, slope=slope)

    def _star(self, after: Token) -> None:
        token = self.peek()
        if token is None or not token.is_op("*"):
            raise ModelSyntaxError("a fixed value needs a variable", after.place, expected="'*'")
        self.index += 1

    def _inside(self, function: Token) -> Token:
        """The one token between the brackets of a function, a sign before a number included."""
        self.index += 1
        token = self.take("a value")
        sign = ""
        if token.is_op("-", "+"):
            sign = token.value
            token = self.take("a number")
        close = self.take("')'")
        if not close.is_op(")"):
            raise ModelSyntaxError(
                f"unexpected '{close.value}'", close.place, expected="')'",
                hint=f"{function.value}(…) takes one value.",
            )  # fmt: skip
        return Token(token.kind, sign + token.value, token.place)

    def _modifier(self, token: Token, settings: dict[str, Any]) -> str | None:
        name = token.value.lower()
        if name == "c":
            raise ModelSyntaxError(
                "vectors of modifiers (multiple groups) are not supported", token.place,
                hint="Give one modifier a term.",
            )  # fmt: skip
        if name not in MODIFIERS:
            raise ModelSyntaxError(
                f"unknown modifier '{token.value}'", token.place,
                hint=did_you_mean(token.value, [*MODIFIERS, "cluster_mean"]),
            )  # fmt: skip
        value = self._inside(token)
        self._star(value)
        wanted = "number" if name in ("start", "lower", "upper") else "string"
        if value.kind != wanted and not (wanted == "string" and value.kind == "name"):
            raise ModelSyntaxError(
                f"{name}(…) takes a {'number' if wanted == 'number' else 'text in quotes'}",
                value.place,
            )
        if name == "rv":
            return value.value
        if name == "prior":
            inner = value.place
            place = Place(inner.text, inner.start + 1, inner.end, inner.source)
            self._set(settings, "prior", parse_prior(value.value, place), value.place)
        elif name == "label":
            self._set(settings, "label", value.value, value.place)
        else:
            self._set(settings, name, float(value.value), value.place)
        return None

    @staticmethod
    def _set(settings: dict[str, Any], what: str, value: Any, place: Place) -> None:
        if what in settings and settings[what] != value:
            raise ModelSyntaxError(
                f"two different values for one term: {settings[what]} and {value}", place,
                hint="Keep one of them.",
            )  # fmt: skip
        settings[what] = value
