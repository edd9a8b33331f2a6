"""The formula language: lavaan's operators, a block a level."""

from __future__ import annotations

from typing import cast

from bmsem.errors import ModelSyntaxError, Place, did_you_mean
from bmsem.expressions import parse_expression
from bmsem.language.blocks import read_prior_line, read_transform
from bmsem.language.terms import Term, TermReader
from bmsem.language.tokens import Token, statements, tokenize
from bmsem.spec import (
    Constraint,
    Interaction,
    Level,
    ModelSpec,
    RandomSlope,
    StatementBuilder,
    Transform,
    complete,
)

HEADERS = ("level", "within", "between", "cluster", "define", "priors")
_LEVELS: dict[str, Level] = {
    "within": "within", "between": "between", "1": "within", "2": "between",
}  # fmt: skip
_REFUSED = {
    "<~": "formative factors (<~) are not supported",
    "~*~": "scaling factors (~*~) are not supported",
    "~=": "'~=' is not an operator; did you mean '=~' (measured by)?",
    "<=": "use '<'; a bound includes its limit",
    ">=": "use '>'; a bound includes its limit",
}
_MAIN = ("=~", "~~", "~", ":=", "==", "<", ">", "|", "=", *_REFUSED)


def parse_formula(text: str, source: str = "model") -> ModelSpec:
    """Read a model in formula text.

    Parameters
    ----------
    text
        Formulas, one a line or separated by ``;``: ``=~`` measured by, ``~`` regressed on, ``~~``
        (co)variance, ``~ 1`` intercept, ``:=`` defined, ``==``, ``<``, ``>`` constraints; blocks
        ``level: within`` and ``level: between``; declarations ``within:``, ``between:``,
        ``cluster:``; blocks ``define:`` and ``priors:``.
    source
        What the text is called in messages.

    Raises
    ------
    ModelSyntaxError
        With the line, a caret, and what was expected.

    Examples
    --------
    >>> spec = parse_formula('''
    ... level: within
    ...   math ~ w*ses
    ... level: between
    ...   math ~ b*ses
    ... context := b - w
    ... ''')
    >>> spec.split
    ('math', 'ses')
    """
    return _Reader(text, source).read()


class _Reader:
    def __init__(self, text: str, source: str) -> None:
        self.text, self.source = text, source
        self.builder = StatementBuilder()
        self.level: Level = None
        self.block: str | None = None
        self.before_levels: Place | None = None

    def read(self) -> ModelSpec:
        lines = statements(tokenize(self.text, self.source))
        if not lines:
            place = Place(self.text or " ", 0, 1, self.source)
            raise ModelSyntaxError("the model is empty", place, expected="a formula such as y ~ x")
        for tokens in lines:
            self.statement(tokens)
        return complete(self.builder.build())

    def span(self, tokens: list[Token]) -> Place:
        return Place(self.text, tokens[0].place.start, tokens[-1].place.end, self.source)

    def slice(self, tokens: list[Token], after: Token) -> tuple[str, Place]:
        """Source text of some tokens, for parsers that read text; comments become blanks."""
        if not tokens:
            raise ModelSyntaxError(
                f"nothing follows '{after.value}'", after.place, expected="an expression"
            )
        place = self.span(tokens)
        characters = [" "] * (place.end - place.start)
        for token in tokens:
            start = token.place.start - place.start
            piece = self.text[token.place.start : token.place.end]
            characters[start : start + len(piece)] = piece
        return "".join(characters), place

    def statement(self, tokens: list[Token]) -> None:
        first = tokens[0]
        if len(tokens) > 1 and first.kind == "name" and tokens[1].is_op(":"):
            word = first.value.lower()
            # Inside a priors block 'between: y ~ x ~ Normal(0, 1)' names a parameter.
            prior = self.block == "priors" and any(t.is_op("~", "~~", "=~") for t in tokens)
            if word in HEADERS and not prior:
                self.header(word, tokens)
                return
            if not prior and not any(t.is_op(*_MAIN) for t in tokens):
                raise ModelSyntaxError(
                    f"unknown header '{first.value}:'", first.place,
                    hint=did_you_mean(first.value, HEADERS),
                )  # fmt: skip
        operator = self.operator(tokens)
        if operator is None:
            self.no_operator(tokens)
            return
        i, op = operator
        left, right = tokens[:i], tokens[i + 1 :]
        if op.value in _REFUSED:
            raise ModelSyntaxError(_REFUSED[op.value], op.place)
        if op.value == ":=":
            self.definition(left, op, right)
        elif op.value in ("==", "<", ">"):
            self.constraint(left, op, right)
        elif self.block == "define":
            if op.value != "=":
                self.block = None
                self.statement(tokens)
                return
            made = read_transform(left, op, right, self.slice)
            self.builder.transform(made)
            if made.function == "cluster_mean":
                self.builder.declare("between", [made.name], self.span(left))
        elif self.block == "priors":
            target, prior_text, place = read_prior_line(tokens, self.slice)
            self.builder.prior(target, prior_text, place)
        elif op.value == "=":
            raise ModelSyntaxError(
                "'=' is not an operator of a formula", op.place,
                expected="'~' (regressed on), '=~' (measured by), '~~' (covariance) or ':=' (defined)",
                hint="Variables are made in a block that starts with the line 'define:'.",
            )  # fmt: skip
        elif op.value == "|":
            self.bar(left, op, right)
        else:
            self.formula(left, op, right)

    def operator(self, tokens: list[Token]) -> tuple[int, Token] | None:
        depth = 0
        for i, token in enumerate(tokens):
            depth += token.is_op("(") - token.is_op(")")
            if depth == 0 and token.is_op(*_MAIN):
                return i, token
        return None

    def no_operator(self, tokens: list[Token]) -> None:
        last = tokens[-1].place
        raise ModelSyntaxError(
            "this line is not a formula",
            Place(self.text, last.start, last.end, self.source),
            expected="an operator such as '~', '~~', '=~' or ':='",
        )

    def header(self, word: str, tokens: list[Token]) -> None:
        rest = [t for t in tokens[2:] if not t.is_op(",")]
        self.block = None
        if word in ("define", "priors"):
            self.block = word
            if rest:
                raise ModelSyntaxError(
                    f"'{word}:' stands on a line of its own", rest[0].place,
                    hint=f"Put what it contains on the lines after '{word}:'.",
                )  # fmt: skip
            return
        if not rest:
            raise ModelSyntaxError(f"nothing follows '{word}:'", tokens[1].place)
        if word == "level":
            name = rest[0].value.lower()
            if name not in _LEVELS or len(rest) > 1:
                raise ModelSyntaxError(
                    f"unknown level '{' '.join(t.value for t in rest)}'", rest[0].place,
                    expected="'within' or 'between'", hint=did_you_mean(name, ["within", "between"]),
                )  # fmt: skip
            if self.before_levels is not None:
                raise ModelSyntaxError(
                    "this formula stands before the first level", self.before_levels,
                    hint="In a model with levels every formula stands under 'level: within' or "
                    "'level: between'.",
                )  # fmt: skip
            self.level = _LEVELS[name]
            self.builder.level(self.level)
            return
        wrong = next((t for t in rest if t.kind != "name"), None)
        if wrong is not None:
            raise ModelSyntaxError(
                f"unexpected '{wrong.value}' in a declaration", wrong.place, expected="a variable"
            )
        if word == "cluster":
            if len(rest) > 1:
                raise ModelSyntaxError("there is one cluster variable", rest[1].place)
            self.builder.cluster = rest[0].value
            return
        for token in rest:
            self.builder.declare(cast(Level, word), [token.value], token.place)

    def definition(self, left: list[Token], op: Token, right: list[Token]) -> None:
        if len(left) != 1 or left[0].kind != "name":
            place = left[0].place if left else op.place
            raise ModelSyntaxError("':=' needs one name on its left", place, expected="a name")
        expression = parse_expression(*self.slice(right, op))
        self.builder.define(left[0].value, expression, left[0].place)

    def constraint(self, left: list[Token], op: Token, right: list[Token]) -> None:
        if not left:
            raise ModelSyntaxError(f"nothing stands before '{op.value}'", op.place)
        sides = [parse_expression(*self.slice(side, op)) for side in (left, right)]
        self.builder.constrain(Constraint(sides[0], op.value, sides[1]))  # type: ignore[arg-type]

    def bar(self, left: list[Token], op: Token, right: list[Token]) -> None:
        if len(left) != 1 or left[0].kind != "name":
            place = left[0].place if left else op.place
            raise ModelSyntaxError("'|' needs one new name on its left", place)
        name = left[0]
        words = [t.value.lower() for t in right]
        if "xwith" in words:
            i = words.index("xwith")
            if len(right) != 3 or i != 1 or right[0].kind != "name" or right[2].kind != "name":
                raise ModelSyntaxError(
                    "XWITH joins two variables",
                    right[i].place,
                    expected="name | first XWITH second",
                )
            self.require_level(left)
            self.builder.interaction(
                Interaction(self.level, name.value, right[0].value, right[2].value), name.place
            )
            return
        inner = self.operator(right)
        if inner is None or inner[1].value != "~":
            raise ModelSyntaxError(
                "after '|' a varying slope or an interaction is defined", op.place,
                expected="name | outcome ~ predictor, or name | first XWITH second",
                hint="Thresholds (y | t1) are not supported: outcomes are continuous.",
            )  # fmt: skip
        i, tilde = inner
        outcome, predictor = right[:i], right[i + 1 :]
        if len(outcome) != 1 or len(predictor) != 1 or predictor[0].kind != "name":
            raise ModelSyntaxError(
                "a varying slope has one outcome and one predictor", tilde.place,
                expected="name | outcome ~ predictor",
            )  # fmt: skip
        self.slope(name.value, outcome[0].value, predictor[0].value, name.place)

    def slope(self, name: str, outcome: str, predictor: str, place: Place) -> None:
        if self.level == "between":
            raise ModelSyntaxError(
                "a varying slope is defined at the within level", place,
                hint="Move it under 'level: within'; the slope is then a variable at the between level.",
            )  # fmt: skip
        self.builder.slope(RandomSlope(name, outcome, predictor), place)

    def require_level(self, tokens: list[Token]) -> None:
        if self.level is None and self.before_levels is None:
            self.before_levels = self.span(tokens)

    def formula(self, left: list[Token], op: Token, right: list[Token]) -> None:
        self.require_level([*left, op, *right])
        outcomes = self.outcomes(left, op)
        if not right:
            raise ModelSyntaxError(f"nothing follows '{op.value}'", op.place, expected="a variable")
        end = Place(self.text, right[-1].place.end - 1, right[-1].place.end, self.source)
        terms = TermReader(right, end).terms()
        for outcome in outcomes:
            for term in terms:
                self.add(outcome, op, term)

    def outcomes(self, left: list[Token], op: Token) -> list[Term]:
        if not left:
            raise ModelSyntaxError(
                f"nothing stands before '{op.value}'", op.place, expected="a variable"
            )
        terms = TermReader(left, left[-1].place).terms()
        for term in terms:
            if term.settings or term.constant or term.second or term.slope:
                raise ModelSyntaxError(
                    "modifiers belong to the right side of a formula", term.place,
                    expected="one or more variables joined by '+'",
                )  # fmt: skip
        return terms

    def add(self, outcome: Term, op: Token, term: Term) -> None:
        lhs = self.variable(outcome)
        self.builder.mention(lhs, outcome.place)
        if term.slope is not None:
            if op.value != "~":
                raise ModelSyntaxError("rv(…) belongs to a regression", term.place)
            self.slope(term.slope, lhs, self.variable(term), term.place)
            return
        if term.constant:
            if op.value != "~":
                raise ModelSyntaxError(
                    "1 stands for the intercept and belongs to '~'", term.place,
                    expected="a variable",
                )  # fmt: skip
            self.builder.parameter(self.level, lhs, "~1", place=term.place, **term.settings)
            return
        rhs = self.variable(term)
        if op.value == "~" and lhs == rhs:
            raise ModelSyntaxError(
                f"'{lhs}' is regressed on itself",
                term.place,
                hint="Its variance is written with '~~'.",
            )
        self.builder.parameter(self.level, lhs, op.value, rhs, place=term.place, **term.settings)

    def variable(self, term: Term) -> str:
        """The variable's name; products and cluster means are defined on their way."""
        if term.cluster_mean is not None:
            made = Transform(term.name, "cluster_mean", parse_expression(term.cluster_mean))
            self.builder.transform(made)
            self.builder.declare("between", [term.name], term.place)
            return term.name
        if term.second is None:
            return term.name
        name = f"{term.name}:{term.second}"
        self.builder.interaction(Interaction(self.level, name, term.name, term.second), term.place)
        return name
