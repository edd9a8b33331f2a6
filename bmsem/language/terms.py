"""The sides of a formula: terms with their modifiers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bmsem.errors import ModelSyntaxError, Place, did_you_mean
from bmsem.expressions import FUNCTIONS
from bmsem.language.prior_text import parse_prior
from bmsem.language.tokens import Token

MODIFIERS = ("start", "prior", "rv", "label", "lower", "upper")

_NUMERIC = ("start", "lower", "upper")
# Modifiers of lavaan that bmsem refuses, and what to write instead.
_REFUSED = {
    "c": (
        "vectors of modifiers (multiple groups) are not supported",
        "Give each term one modifier.",
    ),
    "equal": ("equal(…) is not supported", "Parameters with one label are equal: a*x1 + a*x2."),
    "efa": ("exploratory factors (efa(…)) are not supported", "Write each factor with '=~'."),
}


@dataclass
class Term:
    """One term: a variable, the constant 1, or a product of two variables, and what is said of it.

    ``settings`` are the keyword arguments of `bmsem.spec.StatementBuilder.parameter`; ``slope``
    is the name that ``rv("…")`` gives; ``cluster_mean`` the variable whose observed mean is meant.
    """

    name: str
    place: Place
    second: str | None = None
    second_place: Place | None = None
    constant: bool = False
    cluster_mean: str | None = None
    slope: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """Whether this is a name and nothing else."""
        return not (self.settings or self.constant or self.second or self.slope)


class TermReader:
    """Reads ``modifier*modifier*name + …`` from tokens; ``end`` is where they end."""

    def __init__(self, tokens: list[Token], end: Place) -> None:
        self.tokens = tokens
        self.index = 0
        self.end = end

    def peek(self) -> Token | None:
        return self.tokens[self.index] if self.index < len(self.tokens) else None

    def next_is(self, op: str) -> bool:
        token = self.peek()
        return token is not None and token.is_op(op)

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
                elif token.is_op(":"):
                    hint = "A product has two variables; name it first: int | x XWITH z."
                raise ModelSyntaxError(
                    f"unexpected '{token.value}'", token.place, expected="'+' or the end", hint=hint
                )
            self.index += 1
            found.append(self.term())
        return found

    def term(self) -> Term:
        """One variable with the modifiers before it."""
        settings: dict[str, Any] = {}
        while True:
            token = self.take("a variable")
            if token.is_op("-"):
                self._negative(token, settings)
            elif token.kind == "number":
                if self.next_is("*"):
                    self._set(settings, "fixed", float(token.value), token.place)
                    self.index += 1
                elif token.value == "1":
                    return self._finish(Term("1", token.place, constant=True), settings)
                else:
                    raise self._lonely_number(token, settings)
            elif token.kind != "name":
                raise ModelSyntaxError(
                    f"unexpected '{token.value}'", token.place, expected="a variable or a modifier"
                )
            elif self.next_is("(") and not token.quoted:
                if token.is_word("cluster_mean"):
                    name = self._inside(token).value
                    made = Term(f"cluster_mean({name})", token.place, cluster_mean=name)
                    return self._finish(made, settings)
                self._modifier(token, settings)
            elif self.next_is("*"):
                self.index += 1
                if token.value == "NA" and not token.quoted:
                    self._set(settings, "freed", True, token.place)
                else:
                    self._set(settings, "label", token.value, token.place)
            elif self.next_is(":"):
                self.index += 1
                second = self.take("a variable")
                if second.kind != "name":
                    raise ModelSyntaxError(
                        f"unexpected '{second.value}'", second.place, expected="a variable"
                    )
                made = Term(token.value, token.place, second.value, second.place)
                return self._finish(made, settings)
            else:
                return self._finish(Term(token.value, token.place), settings)

    @staticmethod
    def _finish(term: Term, settings: dict[str, Any]) -> Term:
        term.slope = settings.pop("rv", None)
        term.settings = settings
        if term.slope is None:
            return term
        if term.constant:
            raise ModelSyntaxError(
                "rv(…) needs a predictor", term.place, expected="a variable",
                hint="Intercepts vary between clusters in every model with levels.",
            )  # fmt: skip
        if term.second is not None:
            raise ModelSyntaxError(
                "a varying slope has one predictor", term.place,
                hint="Name the product first: int | x XWITH z, then rv(…)*int.",
            )  # fmt: skip
        if settings:
            raise ModelSyntaxError(
                "a varying slope has no other modifiers", term.place,
                hint=f"Its mean and variance are parameters of the between level: "
                f"{term.slope} ~ 1, {term.slope} ~~ {term.slope}.",
            )  # fmt: skip
        return term

    def _negative(self, sign: Token, settings: dict[str, Any]) -> None:
        number = self.take("a number")
        if number.kind != "number":
            raise ModelSyntaxError(
                "'-' can only stand before a fixed value", sign.place,
                hint="Write y ~ -1*x to fix a coefficient at -1.",
            )  # fmt: skip
        self._set(settings, "fixed", -float(number.value), sign.place)
        self._star(number)

    @staticmethod
    def _lonely_number(token: Token, settings: dict[str, Any]) -> ModelSyntaxError:
        hint = f"To fix the intercept write '{token.value}*1'."
        if label := settings.get("label"):
            hint = f"A modifier stands before its variable: {token.value}*{label}."
        return ModelSyntaxError(
            f"'{token.value}' is not a variable", token.place,
            expected="a variable, or 1 for the intercept", hint=hint,
        )  # fmt: skip

    def _star(self, after: Token) -> None:
        token = self.peek()
        if token is None or not token.is_op("*"):
            raise ModelSyntaxError(
                "a modifier needs a variable", token.place if token else after.place,
                expected=f"'*' and a variable after '{after.value}'",
            )  # fmt: skip
        self.index += 1

    def _inside(self, function: Token) -> Token:
        """The one token between the brackets of a function, a sign before a number included."""
        self.index += 1
        token = self.take("a value")
        sign = ""
        if token.is_op("-", "+"):
            sign = token.value
            token = self.take("a number")
        if token.kind == "op":
            raise ModelSyntaxError(f"unexpected '{token.value}'", token.place, expected="a value")
        close = self.take("')'")
        if not close.is_op(")"):
            hint = f"{function.value}(…) takes one value."
            if function.is_word("prior"):
                hint = 'A prior is written in quotes: prior("Normal(0, 1)").'
            elif function.is_word("cluster_mean"):
                hint = "Make the variable first, in a 'define:' block."
            raise ModelSyntaxError(
                f"unexpected '{close.value}'", close.place, expected="')'", hint=hint
            )
        return Token(token.kind, sign + token.value, token.place, token.quoted)

    def _modifier(self, token: Token, settings: dict[str, Any]) -> None:
        name = token.value.lower()
        if name in _REFUSED:
            message, hint = _REFUSED[name]
            raise ModelSyntaxError(message, token.place, hint=hint)
        if name not in MODIFIERS:
            hint = did_you_mean(token.value, [*MODIFIERS, "cluster_mean"])
            if name in (*FUNCTIONS, "center"):
                hint = f"Make the variable first, in a 'define:' block: new = {token.value}(…)."
            raise ModelSyntaxError(f"unknown modifier '{token.value}'", token.place, hint=hint)
        value = self._inside(token)
        wanted = ("number",) if name in _NUMERIC else ("string", "name")
        if value.kind not in (("string",) if name == "prior" else wanted):
            what = "number" if name in _NUMERIC else "text in quotes"
            raise ModelSyntaxError(f"{name}(…) takes a {what}", value.place)
        self._star(token)
        if name == "prior":
            inner = value.place
            place = Place(inner.text, inner.start + 1, inner.end - 1, inner.source)
            self._set(settings, "prior", parse_prior(value.value, place), value.place)
        else:
            given = float(value.value) if name in _NUMERIC else value.value
            self._set(settings, name, given, value.place)

    @staticmethod
    def _set(settings: dict[str, Any], what: str, value: Any, place: Place) -> None:
        if what in settings and settings[what] != value:
            raise ModelSyntaxError(
                f"two different values for one term: {settings[what]} and {value}", place,
                hint="Keep one of them.",
            )  # fmt: skip
        if {what, *settings} >= {"fixed", "freed"}:
            raise ModelSyntaxError(
                "this term is both fixed and freed (NA)", place, hint="Keep one of them."
            )
        settings[what] = value
