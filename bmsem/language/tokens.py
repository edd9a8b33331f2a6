"""Formula text as tokens that know their place, and tokens as statements."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from bmsem.errors import ModelSyntaxError, Place

Kind = Literal["name", "number", "string", "op", "newline"]

HEADERS = (
    "level", "within", "between", "cluster", "auxiliary", "define", "priors", "standards",
)  # fmt: skip
"""Words that open a block or a declaration when a colon follows."""

# Those that lavaan has and bmsem has not are tokens too, so that they can be refused with a reason.
_OPERATORS = ("=~", "~~", ":=", "==", "<~", "~*~", "~=", "<=", ">=", "~", "=", "<", ">", "|", "*",
              "+", "-", "/", "^", ":", ";", "(", ")", ",")  # fmt: skip
_PATTERN = re.compile(
    # Space may be what a web page or an editor put there: no-break spaces, a byte-order mark.
    r"(?P<space>(?:[^\S\n]|\ufeff)+)"
    r"|(?P<comment>[#!][^\n]*)"
    r"|(?P<newline>\n)"
    r"|(?P<number>(?>\d+\.?\d*|\.\d+)(?>[eE][+-]?\d+)?(?![^\W\d]))"
    r"|(?P<name>[^\W\d][\w.]*)"
    r"|`(?P<quoted>(?:[^`\n]|``)+)`"
    r"|\"(?P<double>[^\"\n]*)\"|'(?P<single>[^'\n]*)'"
    r"|(?P<op>" + "|".join(re.escape(o) for o in sorted(_OPERATORS, key=len, reverse=True)) + ")"
)

# A line that ends in one of these goes on.
_OPEN_ENDED = ("=~", "~~", "~", ":=", "==", "<", ">", "|", "*", "+", "-", "/", "^", ",", ":", "=",
               *("<~", "~*~", "~=", "<=", ">="))  # fmt: skip

_MPLUS = "This looks like Mplus input, which bmsem.read_mplus reads."
_HINTS = {
    "?": "A starting value is written start(0.8)*x.",
    "@": f"A value is fixed by 0.5*x. {_MPLUS}",
    "%": f"A level is opened by 'level: within' or 'level: between'. {_MPLUS}",
    "[": f"An intercept is written y ~ 1. {_MPLUS}",
    **dict.fromkeys("“”„‘’", "Quotation marks are written straight: \" or '."),  # noqa: RUF001
    **dict.fromkeys("−–—", "A minus sign is written '-'."),  # noqa: RUF001
    **dict.fromkeys("×·∗", "A modifier is joined to its variable by '*'."),  # noqa: RUF001
}


@dataclass(frozen=True)
class Token:
    """A word of the text: what it is, what it says, where it stands.

    ``quoted`` marks a name between back-quotes, which is a name whatever it says.
    """

    kind: Kind
    value: str
    place: Place
    quoted: bool = False

    def is_op(self, *values: str) -> bool:
        return self.kind == "op" and self.value in values

    def is_word(self, *words: str) -> bool:
        """Whether this is one of the words (given in lower case), not as the name of a variable."""
        return self.kind == "name" and not self.quoted and self.value.lower() in words


def tokenize(text: str, source: str = "model") -> list[Token]:
    """All tokens of a text, comments left out.

    Raises
    ------
    ModelSyntaxError
        At a character that has no meaning, or a quotation mark that is not closed.

    Examples
    --------
    >>> [(t.kind, t.value) for t in tokenize("y ~ 0.5*`my x`  # fixed")]
    [('name', 'y'), ('op', '~'), ('number', '0.5'), ('op', '*'), ('name', 'my x')]
    """
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _PATTERN.match(text, at)
        if match is None:
            raise _meaningless(text, at, source)
        kind, place = match.lastgroup, Place(text, match.start(), match.end(), source)
        value = match[kind] if kind else ""
        match kind:
            case "newline" | "number" | "name" | "op":
                tokens.append(Token(kind, value, place))
            case "quoted":
                tokens.append(Token("name", value.replace("``", "`"), place, quoted=True))
            case "double" | "single":
                tokens.append(Token("string", value, place))
        at = match.end()
    return tokens


def _meaningless(text: str, at: int, source: str) -> ModelSyntaxError:
    character, place = text[at], Place(text, at, at + 1, source)
    if character in "\"'`":
        return ModelSyntaxError(
            "a quotation mark is not closed", place, expected=f"{character} on the same line"
        )
    if character.isdigit() or character == ".":
        word = re.compile(r"[\w.]+").match(text, at)
        place = Place(text, at, word.end() if word else at + 1, source)
        return ModelSyntaxError(
            f"'{text[at : place.end]}' is neither a number nor a name", place,
            hint="Numbers and their variables are joined by '*': 2*x. A name that begins with a "
            "digit is written between back-quotes.",
        )  # fmt: skip
    shown = character if character.isprintable() else f"U+{ord(character):04X}"
    hint = "Names with other characters are written between back-quotes: `my name`."
    return ModelSyntaxError(
        f"'{shown}' has no meaning here", place, hint=_HINTS.get(character, hint)
    )


def statements(tokens: list[Token]) -> list[list[Token]]:
    """Tokens by statement.

    A statement ends at ``;`` or at the end of a line, unless a bracket is open, the line ends in an
    operator, or the next line begins with ``+``. A header such as ``level: within`` or ``define:``
    ends with its line, and ends what stands before it.

    Raises
    ------
    ModelSyntaxError
        At a bracket that has no partner.
    """
    found: list[list[Token]] = []
    current: list[Token] = []
    opened: list[Token] = []

    def finish() -> None:
        nonlocal current
        if opened:
            raise ModelSyntaxError("this bracket is not closed", opened[-1].place, expected="')'")
        if current:
            found.append(current)
        current = []

    for i, token in enumerate(tokens):
        if token.kind == "newline":
            later = (t for t in islice(tokens, i + 1, None) if t.kind != "newline")
            following = list(islice(later, 2))
            if not (current and _goes_on(current, bool(opened), following)):
                finish()
            continue
        if token.is_op(";"):
            finish()
            continue
        if token.is_op("("):
            opened.append(token)
        elif token.is_op(")"):
            if not opened:
                raise ModelSyntaxError("this bracket was never opened", token.place)
            opened.pop()
        current.append(token)
    finish()
    return found


def _goes_on(current: list[Token], in_brackets: bool, following: list[Token]) -> bool:
    """Whether a statement goes on after the end of its line, before the ``following`` tokens."""
    if len(following) == 2 and following[0].is_word(*HEADERS) and following[1].is_op(":"):
        return False
    if in_brackets or (following and following[0].is_op("+")):
        return True
    header = len(current) == 2 and current[1].is_op(":")
    return current[-1].is_op(*_OPEN_ENDED) and not header
