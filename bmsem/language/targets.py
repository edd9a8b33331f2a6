"""Names of parameters and groups written as text: ``p1``, ``between: y ~ x``, ``sd(y)``, ``paths``."""

from __future__ import annotations

from collections.abc import Iterable

from bmsem.errors import ModelSyntaxError, Place, did_you_mean
from bmsem.language.terms import TermReader
from bmsem.language.tokens import Token, tokenize
from bmsem.spec import Level, Parameter
from bmsem.spec.targets import Target

_EXPECTED = (
    "a label, a group such as 'paths', 'y ~ x', 'y ~~ y', 'f =~ y', 'y ~ 1', 'sd(y)', 'icc(y)', "
    "'rsquare(y)' or 'cor(x, y)'"
)
_QUANTITIES = {"sd": 1, "icc": 1, "rsquare": 1, "cor": 2}


def parse_target(text: str) -> Target:
    """Read what a prior or a value is given to.

    Raises
    ------
    ModelSyntaxError
        If the text is no name of a parameter or group; with a caret.

    Examples
    --------
    >>> parse_target("between: y ~ x").op
    '~'
    >>> str(parse_target("icc(y)"))
    'icc(y)'
    """
    tokens = [t for t in tokenize(text, "name") if t.kind != "newline"]
    if not tokens:
        raise ModelSyntaxError("a name is missing", Place(text or " ", 0, 1, "name"))
    return read_target(tokens)


def find_target(text: str, rows: Iterable[Parameter]) -> Target:
    """The same for a model's rows: their labels and names are read as they stand.

    So those are found that a text would have between back-quotes.

    Examples
    --------
    >>> find_target("score 1 ~ x", [Parameter(None, "score 1", "~", "x")]).lhs
    'score 1'
    """
    for row in rows:
        if text == row.label:
            return Target(name=text)
        if text == row.full_name:
            return Target(level=row.level, lhs=row.lhs, op=row.op, rhs=row.rhs)
    return parse_target(text)


def read_target(tokens: list[Token]) -> Target:
    """The same from tokens."""
    place = _span(tokens)
    level: Level = None
    if len(tokens) > 2 and tokens[1].is_op(":"):
        level = _level(tokens[0])
        tokens = tokens[2:]
    first = tokens[0]
    if len(tokens) == 1 and first.kind == "name":
        return Target(level=level, name=first.value)
    if first.is_word(*_QUANTITIES) and len(tokens) > 1 and tokens[1].is_op("("):
        return _quantity(tokens, level)
    if len(tokens) > 2 and first.kind == "name" and tokens[1].is_op("~", "~~", "=~"):
        end = Place(place.text, place.end - 1, place.end, place.source)
        terms = TermReader(tokens[2:], end).terms()
        if len(terms) == 1 and not terms[0].settings and terms[0].slope is None:
            term = terms[0]
            rhs = term.name if term.second is None else f"{term.name}:{term.second}"
            if term.constant:
                return Target(level=level, lhs=first.value, op="~1")
            return Target(level=level, lhs=first.value, op=tokens[1].value, rhs=rhs)
    raise ModelSyntaxError("this is not a label or a parameter", place, expected=_EXPECTED)


def _quantity(call: list[Token], level: Level) -> Target:
    """``sd(y)``, ``icc(y)``, ``rsquare(y)``, ``rsquare(y, 40)``, ``cor(x, y)``."""
    word = call[0].value.lower()
    inside = call[2:-1]
    total = None
    if word == "rsquare" and len(inside) == 3 and inside[1].is_op(",") and call[-1].is_op(")"):
        if inside[2].kind != "number" or not float(inside[2].value) > 0:
            raise ModelSyntaxError(
                f"'{inside[2].value}' is no variance", inside[2].place,
                expected="the total variance that the R-square is a share of",
            )  # fmt: skip
        total = float(inside[2].value)
        inside = inside[:1]
    names = [t for t in inside if t.kind == "name"]
    wanted = _QUANTITIES[word]
    commas = [t for t in inside if t.is_op(",")]
    if len(names) != wanted or len(commas) != wanted - 1 or len(inside) != 2 * wanted - 1:
        shown = f"{word}(x, y)" if wanted == 2 else f"{word}(y)"
        raise ModelSyntaxError(
            f"{call[0].value}(…) takes {'one variable' if wanted == 1 else 'two variables'}",
            _span(call), expected=shown,
        )  # fmt: skip
    if wanted == 2 and names[0].value == names[1].value:
        raise ModelSyntaxError("cor(…) takes two different variables", names[1].place)
    if word == "icc":
        if level == "within":
            raise ModelSyntaxError(
                "an intraclass correlation stands at the between level", _span(call),
                expected=f"icc({names[0].value})",
            )  # fmt: skip
        level = None
    match word:
        case "sd":
            on = "sd"
        case "icc":
            on = "icc"
        case "rsquare":
            on = "r_square"
        case _:
            on = "correlation"
    return Target(on, level, "", names[0].value, "~~", names[-1].value, total)  # type: ignore[arg-type]


def _level(token: Token) -> Level:
    if token.is_word("within"):
        return "within"
    if token.is_word("between"):
        return "between"
    raise ModelSyntaxError(
        f"unknown level '{token.value}'", token.place,
        hint=did_you_mean(token.value, ["within", "between"]),
    )  # fmt: skip


def _span(tokens: list[Token]) -> Place:
    first = tokens[0].place
    return Place(first.text, first.start, tokens[-1].place.end, first.source)
