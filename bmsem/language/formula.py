"""The formula language: lavaan's operators, a block a level."""

from __future__ import annotations

from typing import Literal, cast

from bmsem.errors import ModelSyntaxError, Place, did_you_mean
from bmsem.expressions import Expression, Name, parse_expression
from bmsem.language.blocks import (
    read_prior_line,
    read_standard,
    read_transform,
    span,
    text_of,
)
from bmsem.language.operators import (
    RELATIONS,
    missing_operator,
    nothing,
    operator_of,
    refuse,
    refuse_run_on,
    unknown_header,
)
from bmsem.language.terms import Term, TermReader
from bmsem.language.tokens import HEADERS, Token, statements, tokenize
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

_LEVELS: dict[str, Level] = {
    "within": "within", "between": "between", "1": "within", "2": "between",
}  # fmt: skip


def parse_formula(text: str, source: str = "model") -> ModelSpec:
    """Read a model in formula text.

    Parameters
    ----------
    text
        Formulas, one a line or separated by ``;``: ``=~`` measured by, ``~`` regressed on, ``~~``
        (co)variance, ``~ 1`` intercept, ``:=`` defined, ``==``, ``<``, ``>`` constraints, ``s | y ~
        x`` or ``y ~ rv("s")*x`` varying slope, ``int | x XWITH z`` or ``x:z`` product; before a
        variable ``label*``, ``0.5*`` (fixed), ``NA*`` (freed), ``start(0.8)*``, ``prior("Normal(0,
        1)")*``, ``lower(0)*``, ``upper(1)*``. Blocks ``level: within`` and ``level: between``;
        declarations ``within:``, ``between:``, ``cluster:``; blocks ``define:`` (``x2 = log(x)``,
        ``m = cluster_mean(x)``, ``c = center(x, grandmean)``) and ``priors:`` (``a ~ Normal(0,
        1)``, ``between: sd(y) ~ HalfNormal(2)``) and ``standards:`` (``tot = 20/7``, what an effect
        must exceed to matter). A block ends at the next header, ``define:`` also at the first
        formula. Comments begin with ``#`` or ``!``.
    source
        What the text is called in messages.

    Returns
    -------
    ModelSpec
        The complete table, defaults filled in.

    Raises
    ------
    ModelSyntaxError
        With the line, a caret, and what was expected.
    ModelError
        If the model cannot be completed and no place in the text is to blame.

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
    """Reads statement by statement into a `StatementBuilder`."""

    def __init__(self, text: str, source: str) -> None:
        self.text, self.source = text, source
        self.builder = StatementBuilder()
        self.level: Level = None
        self.block: str | None = None
        self.has_levels = False
        # Where something stands that needs a level, or that only a model with levels has.
        self.without_level: Place | None = None
        self.needs_levels: tuple[str, Place] | None = None
        self.within_only: set[str] = set()
        self.cluster_means: dict[str, Transform] = {}

    def read(self) -> ModelSpec:
        lines = statements(tokenize(self.text, self.source))
        if not lines:
            place = Place(self.text or " ", 0, 1, self.source)
            raise ModelSyntaxError("the model is empty", place, expected="a formula such as y ~ x")
        for tokens in lines:
            self.statement(tokens)
        if not self.has_levels and self.needs_levels is not None:
            what, place = self.needs_levels
            raise ModelSyntaxError(
                f"{what}, but the model has no levels", place,
                hint="Write its formulas under 'level: within' and 'level: between'.",
            )  # fmt: skip
        for transform in self.cluster_means.values():
            # After those of the define block: it may make the variable that is averaged.
            self.builder.transform(transform)
        said = self.builder.build()
        if not (said.rows or said.slopes or said.interactions):
            raise ModelSyntaxError(
                "there is no formula in this model", span(lines[0]),
                expected="a formula such as y ~ x",
            )  # fmt: skip
        return complete(said)

    def statement(self, tokens: list[Token]) -> None:
        found = operator_of(tokens)
        first = tokens[0]
        if len(tokens) > 1 and first.kind == "name" and tokens[1].is_op(":"):
            # In a priors block 'between: y ~ x ~ Normal(0, 1)' names a parameter.
            prior = self.block in ("priors", "standards") and found is not None
            if first.is_word(*HEADERS) and not prior:
                self.header(tokens)
                return
            if found is None:
                unknown_header(first)
        if self.block == "standards" and not any(t.is_op(":=") for t in tokens):
            self.builder.standard(*read_standard(tokens))
            return
        if found is None:
            missing_operator(tokens, self.block)
        i, op = found
        left, right = tokens[:i], tokens[i + 1 :]
        refuse(op)
        if op.value != "|" and self.block != "priors":
            refuse_run_on(tokens, i)
        if op.value == ":=":
            self.definition(left, op, right)
        elif op.value in RELATIONS:
            self.constraint(left, op, right)
        elif self.block == "define" and op.value == "=":
            self.define(left, op, right)
        elif self.block == "priors":
            self.prior(tokens)
        elif op.value == "=":
            raise ModelSyntaxError(
                "'=' is not an operator of a formula", op.place,
                expected="'~' (regressed on), '=~' (measured by), '~~' (covariance), ':=' (defined) "
                "or '==' (constraint)",
                hint="Variables are made in a block that starts with the line 'define:'.",
            )  # fmt: skip
        else:
            # Without levels no header follows a define block, so a formula ends it.
            self.block = None
            if op.value == "|":
                self.bar(left, op, right)
            else:
                self.formula(left, op, right)

    def header(self, tokens: list[Token]) -> None:
        word = tokens[0].value.lower()
        rest = tokens[2:]
        self.block = None
        if word in ("define", "priors", "standards"):
            self.block = word
            if rest:
                raise ModelSyntaxError(
                    f"'{word}:' stands on a line of its own", rest[0].place,
                    hint=f"Put what it contains on the lines after '{word}:'.",
                )  # fmt: skip
            return
        if not rest:
            hint = None
            if word in ("within", "between"):
                hint = f"To open a block write 'level: {word}'."
            raise ModelSyntaxError(
                f"nothing follows '{word}:'", tokens[1].place,
                expected="'within' or 'between'" if word == "level" else "a variable", hint=hint,
            )  # fmt: skip
        if word == "level":
            self.open_level(rest)
        else:
            self.declare(word, rest)

    def open_level(self, rest: list[Token]) -> None:
        name = rest[0].value.lower()
        if name not in _LEVELS:
            raise ModelSyntaxError(
                f"unknown level '{rest[0].value}'", rest[0].place,
                expected="'within' or 'between'", hint=did_you_mean(name, ["within", "between"]),
            )  # fmt: skip
        if len(rest) > 1:
            raise ModelSyntaxError(
                f"unexpected '{rest[1].value}'", rest[1].place, expected="the end of the line"
            )
        if self.without_level is not None:
            raise ModelSyntaxError(
                "this formula stands before the first level", self.without_level,
                hint="In a model with levels every formula stands under 'level: within' or "
                "'level: between'.",
            )  # fmt: skip
        self.has_levels = True
        self.level = _LEVELS[name]
        self.builder.level(self.level)

    def declare(self, word: str, rest: list[Token]) -> None:
        """``within: x, z``, ``between: w``, ``cluster: school``, ``auxiliary: a``."""
        names = [t for t in rest if not t.is_op(",")]
        wrong = next((t for t in names if t.kind != "name"), None)
        if wrong is not None or not names:
            wrong = wrong or rest[0]
            hint = None
            if operator_of(rest) is not None and word in ("within", "between"):
                hint = f"To open a block write 'level: {word}' on a line of its own."
            raise ModelSyntaxError(
                f"unexpected '{wrong.value}' in a declaration", wrong.place,
                expected="names of variables", hint=hint,
            )  # fmt: skip
        if word == "cluster":
            if len(names) > 1:
                raise ModelSyntaxError("there is one cluster variable", names[1].place)
            if self.builder.cluster not in (None, names[0].value):
                raise ModelSyntaxError(
                    f"the cluster variable is already '{self.builder.cluster}'", names[0].place
                )
            self.builder.cluster = names[0].value
            return
        if word == "auxiliary":
            for token in names:
                self.builder.auxiliary([token.value], token.place)
            return
        if self.needs_levels is None:
            self.needs_levels = (f"'{names[0].value}' is declared {word}-only", names[0].place)
        for token in names:
            self.builder.declare(cast(Level, word), [token.value], token.place)
            if word == "within":
                self.within_only.add(token.value)

    def define(self, left: list[Token], op: Token, right: list[Token]) -> None:
        made = read_transform(left, op, right)
        self.builder.transform(made)
        # One may condition on it at the within level instead, by saying so first.
        if made.function == "cluster_mean" and made.name not in self.within_only:
            self.builder.declare("between", [made.name], left[0].place)

    def prior(self, tokens: list[Token]) -> None:
        self.builder.prior(*read_prior_line(tokens))

    def definition(self, left: list[Token], op: Token, right: list[Token]) -> None:
        if not left:
            nothing("before", op, "a name")
        if len(left) != 1 or left[0].kind != "name":
            raise ModelSyntaxError(
                "':=' has one name on its left", span(left), expected="name := expression"
            )
        expression = parse_expression(*text_of(right, op))
        self.builder.define(left[0].value, expression, left[0].place, _uses(right))

    def constraint(self, left: list[Token], op: Token, right: list[Token]) -> None:
        if not left:
            nothing("before", op, "a label")
        another = operator_of(right)
        if another is not None:
            raise ModelSyntaxError(
                f"a second '{another[1].value}' in one constraint", another[1].place,
                hint="Write two constraints, each on its line.",
            )  # fmt: skip
        first, second = (parse_expression(*text_of(side, op)) for side in (left, right))
        relation = cast(Literal["==", ">", "<"], op.value)
        self.builder.constrain(Constraint(first, relation, second), _uses([*left, *right]))

    def bar(self, left: list[Token], op: Token, right: list[Token]) -> None:
        """``s | y ~ x``, ``int | x XWITH z``."""
        if len(left) != 1 or left[0].kind != "name":
            raise ModelSyntaxError(
                "'|' has one new name on its left", span(left) if left else op.place,
                expected="name | outcome ~ predictor, or name | first XWITH second",
            )  # fmt: skip
        name = left[0]
        product = next((i for i, token in enumerate(right) if token.is_word("xwith")), None)
        if product is not None:
            if product != 1 or len(right) != 3 or {right[0].kind, right[2].kind} != {"name"}:
                raise ModelSyntaxError(
                    "XWITH joins two variables", right[product].place,
                    expected="name | first XWITH second",
                )  # fmt: skip
            self.require_level(span([name, *right]))
            self.product(name.value, name.place, right[0].value, right[2].value, right[2].place)
            return
        inner = operator_of(right)
        if inner is None or inner[1].value != "~":
            raise ModelSyntaxError(
                "this is neither a varying slope nor a product", op.place,
                expected="name | outcome ~ predictor, or name | first XWITH second",
                hint="Thresholds (y | t1) are not supported: outcomes are continuous.",
            )  # fmt: skip
        i, tilde = inner
        outcome, predictor = right[:i], right[i + 1 :]
        if [t.kind for t in outcome] != ["name"] or [t.kind for t in predictor] != ["name"]:
            raise ModelSyntaxError(
                "a varying slope has one outcome and one predictor", tilde.place,
                expected="name | outcome ~ predictor",
            )  # fmt: skip
        self.builder.mention(outcome[0].value, outcome[0].place)
        self.builder.mention(predictor[0].value, predictor[0].place)
        self.slope(name.value, outcome[0].value, predictor[0].value, name.place)

    def slope(self, name: str, outcome: str, predictor: str, place: Place) -> None:
        if self.level == "between":
            raise ModelSyntaxError(
                "a varying slope is defined at the within level", place,
                hint="Move it under 'level: within'; the slope is then a variable at the between "
                "level.",
            )  # fmt: skip
        if self.needs_levels is None:
            self.needs_levels = (f"the slope '{name}' varies between clusters", place)
        self.builder.slope(RandomSlope(name, outcome, predictor), place)

    def product(self, name: str, place: Place, left: str, right: str, right_place: Place) -> None:
        self.builder.mention(right, right_place)
        self.builder.interaction(Interaction(self.level, name, left, right), place)

    def require_level(self, place: Place) -> None:
        if self.level is None and self.without_level is None:
            self.without_level = place

    def formula(self, left: list[Token], op: Token, right: list[Token]) -> None:
        if not left:
            nothing("before", op)
        if not right:
            nothing("after", op)
        self.require_level(span([*left, op, *right]))
        outcomes = TermReader(left, op.place).terms()
        for term in outcomes:
            if not term.plain:
                raise ModelSyntaxError(
                    "modifiers and products belong to the right side of a formula", term.place,
                    expected="one or more variables joined by '+'",
                )  # fmt: skip
        end = Place(self.text, right[-1].place.end - 1, right[-1].place.end, self.source)
        terms = TermReader(right, end).terms()
        for outcome in outcomes:
            for term in terms:
                self.add(outcome, op, term)

    def add(self, outcome: Term, op: Token, term: Term) -> None:
        """One parameter, or one varying slope."""
        lhs = self.variable(outcome)
        if op.value != "~":
            for wrong, message in (
                (term.slope, "rv(…) belongs to a regression ('~')"),
                (term.constant, "1 stands for the intercept and belongs to '~'"),
                (term.second, "a product can only be a predictor"),
            ):
                if wrong:
                    raise ModelSyntaxError(message, term.place, expected="a variable")
        if term.constant:
            self.builder.parameter(self.level, lhs, "~1", place=term.place, **term.settings)
            return
        rhs = self.variable(term)
        if op.value == "~" and lhs == rhs:
            raise ModelSyntaxError(
                f"'{lhs}' is regressed on itself", term.place,
                hint=f"Its variance is written {lhs} ~~ {lhs}.",
            )  # fmt: skip
        if term.slope is not None:
            self.slope(term.slope, lhs, rhs, term.place)
            return
        self.builder.parameter(self.level, lhs, op.value, rhs, place=term.place, **term.settings)

    def variable(self, term: Term) -> str:
        """The variable's name; products and cluster means are defined on their way."""
        name = self.name_of(term)
        if term.cluster_mean is not None:
            averaged = Expression(Name(term.cluster_mean))
            if name not in self.cluster_means:
                self.cluster_means[name] = Transform(name, "cluster_mean", averaged)
                if name not in self.within_only:
                    self.builder.declare("between", [name], term.place)
        elif term.second is not None:
            place = term.second_place or term.place
            self.product(name, term.place, term.name, term.second, place)
        self.builder.mention(name, term.place)
        return name

    @staticmethod
    def name_of(term: Term) -> str:
        return term.name if term.second is None else f"{term.name}:{term.second}"


def _uses(tokens: list[Token]) -> dict[str, Place]:
    """Where an expression names each label."""
    return {t.value: t.place for t in reversed(tokens) if t.kind == "name"}
