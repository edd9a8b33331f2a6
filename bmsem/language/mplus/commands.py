"""Input text as commands, commands as statements, statements as tokens with their places."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bmsem.errors import ModelSyntaxError, Place, did_you_mean

# What can be read, and what exists but cannot.
COMMANDS = (
    "TITLE", "DATA", "DEFINE", "VARIABLE", "ANALYSIS", "MODEL", "MODEL CONSTRAINT",
    "MODEL INDIRECT", "MODEL PRIORS", "OUTPUT", "PLOT", "SAVEDATA",
)  # fmt: skip
UNSUPPORTED = (
    "MODEL TEST", "MODEL POPULATION", "MODEL COVERAGE", "MODEL MISSING", "MONTECARLO",
    "DATA IMPUTATION", "DATA MISSING", "DATA WIDETOLONG", "DATA LONGTOWIDE", "DATA TWOPART",
    "DATA SURVIVAL", "DATA COHORT",
)  # fmt: skip

_HEADER = re.compile(r"(?m)^[ \t]*(?P<name>[A-Za-z]+(?:[ \t]+[A-Za-z0-9]+)?)[ \t]*:")
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<level>%[^%\n]*%)"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?(?![A-Za-z_]))"
    r"|(?P<name>[A-Za-z_][\w.#$&]*)"
    r"|(?P<op>==|/=|\^=|>=|<=|\*\*|[-+*/^=<>()\[\]{}|@~,;:.])"
)


@dataclass(frozen=True)
class Word:
    """A token of an input file."""

    kind: str
    value: str
    place: Place

    @property
    def upper(self) -> str:
        return self.value.upper()

    def is_op(self, *values: str) -> bool:
        return self.kind == "op" and self.value in values


@dataclass(frozen=True)
class Statement:
    """Words up to a semicolon."""

    words: tuple[Word, ...]

    @property
    def place(self) -> Place:
        first, last = self.words[0].place, self.words[-1].place
        return Place(first.text, first.start, last.end, first.source)

    @property
    def text(self) -> str:
        place = self.place
        return " ".join(blank_comments(place.text)[place.start : place.end].split())


@dataclass(frozen=True)
class Command:
    """A command with its statements; TITLE has its text instead."""

    name: str
    place: Place
    body: str
    statements: tuple[Statement, ...]


def blank_comments(text: str) -> str:
    """Comments replaced by blanks, so that places stay what they were."""
    return re.sub(r"![^\n]*", lambda m: " " * len(m[0]), text)


def split_commands(text: str, source: str) -> tuple[Command, ...]:
    """All commands of an input file.

    Raises
    ------
    ModelSyntaxError
        For text before the first command, an unknown or unsupported command, or a character that
        has no meaning.
    """
    clean = blank_comments(text)
    headers: list[tuple[str, re.Match[str]]] = []
    for match in _HEADER.finditer(clean):
        name = _resolve(match["name"])
        in_title = bool(headers) and headers[-1][0] == "TITLE"
        if name is None:
            if in_title:
                continue
            place = Place(text, match.start("name"), match.end("name"), source)
            given = " ".join(match["name"].split())
            raise ModelSyntaxError(
                f"unknown command '{given}'", place, hint=did_you_mean(given, COMMANDS)
            )
        if name in UNSUPPORTED:
            place = Place(text, match.start("name"), match.end("name"), source)
            raise ModelSyntaxError(f"the command {name} is not supported", place)
        headers.append((name, match))
    start = headers[0][1].start() if headers else len(clean)
    if clean[:start].strip() or not headers:
        at = len(clean) - len(clean.lstrip())
        raise ModelSyntaxError(
            "text before the first command", Place(text, at, at + 1, source),
            expected="a command such as 'TITLE:' or 'DATA:'",
        )  # fmt: skip
    commands = []
    for i, (name, match) in enumerate(headers):
        end = headers[i + 1][1].start() if i + 1 < len(headers) else len(clean)
        body = clean[match.end() : end]
        place = Place(text, match.start("name"), match.end("name"), source)
        found = () if name == "TITLE" else _statements(text, clean, match.end(), end, source)
        commands.append(Command(name, place, body, found))
    return tuple(commands)


def _resolve(given: str) -> str | None:
    words = given.upper().split()
    for name in (*COMMANDS, *UNSUPPORTED):
        parts = name.split()
        if len(parts) == len(words) and all(
            p == w or (len(w) >= 4 and p.startswith(w)) for p, w in zip(parts, words, strict=True)
        ):
            return name
    return None


def _statements(text: str, clean: str, start: int, end: int, source: str) -> tuple[Statement, ...]:
    found: list[Statement] = []
    current: list[Word] = []
    at = start
    while at < end:
        match = _TOKEN.match(clean, at, end)
        if match is None:
            raise ModelSyntaxError(
                f"'{clean[at]}' has no meaning here", Place(text, at, at + 1, source)
            )
        kind, at = match.lastgroup or "", match.end()
        if kind == "space":
            continue
        word = Word(kind, match[0], Place(text, match.start(), match.end(), source))
        if word.is_op(";") or kind == "level":
            if current:
                found.append(Statement(tuple(current)))
            current = []
            if kind == "level":
                # %WITHIN% and %BETWEEN% stand without a semicolon.
                found.append(Statement((word,)))
            continue
        current.append(word)
    if current:
        found.append(Statement(tuple(current)))
    return tuple(found)


def option(statement: Statement, known: tuple[str, ...], what: str) -> tuple[str, tuple[Word, ...]]:
    """Name and value of ``NAME IS value``, ``NAME ARE value`` or ``NAME = value``.

    Options may be shortened to four letters. Raises `ModelSyntaxError` for an unknown option, and
    where a second option shows that a semicolon is missing.
    """
    words = statement.words
    name = _prefix(words[0], known, what)
    rest = words[1:]
    if rest and (rest[0].is_op("=") or rest[0].upper in ("IS", "ARE")):
        rest = rest[1:]
    for before, word, after in zip((words[0], *rest), rest, rest[1:], strict=False):
        linked = after.is_op("=") or after.upper in ("IS", "ARE")
        if linked and word.kind == "name":
            raise missing_semicolon(before, word)
    return name, rest


def _prefix(word: Word, known: tuple[str, ...], what: str) -> str:
    given = word.upper
    if given in known:
        return given
    near = [k for k in known if len(given) >= 4 and k.startswith(given)]
    if near:
        return near[0]
    raise ModelSyntaxError(
        f"unknown option '{word.value}' of {what}", word.place, hint=did_you_mean(given, known)
    )


def missing_semicolon(before: Word, word: Word) -> ModelSyntaxError:
    """The error for a statement that runs into the next one at ``word``."""
    return ModelSyntaxError(
        f"'{word.value}' starts another statement before this one has ended", word.place,
        expected=f"';' at the end of line {before.place.line}",
        hint="Every statement ends with a semicolon.",
    )  # fmt: skip


def expand(words: tuple[Word, ...], order: list[str] | None = None) -> list[tuple[str, Word]]:
    """Names of a list, ``y1-y3`` spelled out: by number, or by position in ``order``."""
    found: list[tuple[str, Word]] = []
    i = 0
    words = tuple(w for w in words if not w.is_op(","))
    while i < len(words):
        word = words[i]
        if word.kind not in ("name", "number"):
            raise ModelSyntaxError(
                f"unexpected '{word.value}' in a list", word.place, expected="a name"
            )
        if i + 2 < len(words) and words[i + 1].is_op("-"):
            found += [(n, word) for n in name_range(word, words[i + 2], order)]
            i += 3
            continue
        found.append((word.value, word))
        i += 1
    return found


def name_range(first: Word, last: Word, order: list[str] | None = None) -> list[str]:
    """``y1-y3``: names with consecutive numbers, or variables between two others in a list."""
    if order is not None:
        lower = [n.lower() for n in order]
        if first.value.lower() in lower and last.value.lower() in lower:
            a, b = lower.index(first.value.lower()), lower.index(last.value.lower())
            if a <= b:
                return order[a : b + 1]
    one = re.fullmatch(r"(.*?)(\d+)", first.value)
    two = re.fullmatch(r"(.*?)(\d+)", last.value)
    if one and two and one[1].lower() == two[1].lower() and int(one[2]) <= int(two[2]):
        width = len(one[2]) if one[2].startswith("0") else 0
        return [f"{one[1]}{n:0{width}d}" for n in range(int(one[2]), int(two[2]) + 1)]
    place = Place(first.place.text, first.place.start, last.place.end, first.place.source)
    raise ModelSyntaxError(
        f"'{first.value}-{last.value}' is not a list of names", place,
        expected="two names of the variable list in order, or names that differ in their final number",
    )  # fmt: skip
