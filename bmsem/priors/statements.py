"""What a person says about a quantity, as text: ``between 0 and 10 with 95% probability``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from bmsem.errors import ModelError, ModelSyntaxError, Place

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_SHARE = rf"(?P<share>{_NUMBER})\s*(?P<percent>%)?(?:\s*(?:probability|chance))?"
_WITH = r"\s*(?:with|has|at)?\s*(?:a\s+)?(?:probability\s+(?:of\s+)?)?"
# A limit ends where its digits end, and is no share: "below 25%" has no limit.
_END = r"(?![\d.%eE])"
_INTERVAL = rf"between\s+(?P<low>{_NUMBER}){_END}\s+and\s+(?P<high>{_NUMBER}){_END}"
_BELOW = r"(?P<below>below|under|less\s+than|at\s+most|smaller\s+than)"
_ABOVE = r"(?P<above>above|over|more\s+than|at\s+least|larger\s+than|greater\s+than)"
_TAIL = rf"(?:{_BELOW}|{_ABOVE})\s+(?P<at>{_NUMBER}){_END}"
_MOMENT = r"(?P<moment>mean|median|mode|sd|standard\s+deviation)"
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_INTERVAL}{_WITH}{_SHARE}",
        rf"{_SHARE}\s*{_INTERVAL}",
        rf"{_TAIL}{_WITH}{_SHARE}",
        rf"{_SHARE}\s*{_TAIL}",
        rf"{_MOMENT}\s*(?:of|is|=)?\s*(?P<value>{_NUMBER})",
    )
)
_JOINED = re.compile(r"(?:[\s,;.]|and\b)*", re.IGNORECASE)

What = Literal["between", "below", "above", "mean", "median", "mode", "sd"]


@dataclass(frozen=True)
class Said:
    """One statement: an interval and its probability, a limit and its probability, or a moment."""

    what: What
    value: float
    high: float = 0.0
    share: float = 0.0

    def __str__(self) -> str:
        match self.what:
            case "between":
                return f"between {self.value:g} and {self.high:g} with {self.share:.4g} probability"
            case "below" | "above":
                return f"{self.what} {self.value:g} with {self.share:.4g} probability"
            case _:
                return f"{self.what} {self.value:g}"


def read_statements(text: str) -> list[Said]:
    """Statements of a text, joined by commas or 'and'.

    Raises
    ------
    ModelSyntaxError
        Where the text cannot be read.

    Examples
    --------
    >>> [str(s) for s in read_statements("mean 3, and below 0 with 2%")]
    ['mean 3', 'below 0 with 0.02 probability']
    """
    found: list[Said] = []
    at = 0
    while True:
        joined = _JOINED.match(text, at)
        at = joined.end() if joined else at
        if at >= len(text):
            break
        match = next((m for p in _PATTERNS if (m := p.match(text, at))), None)
        if match is None:
            word = re.compile(r"\S+").match(text, at)
            raise ModelSyntaxError(
                "this is no statement about a quantity",
                Place(text, at, word.end() if word else at + 1, "statement"),
                expected="'between 0 and 10 with 95% probability', 'below 0 with 2%', 'mean 3' or "
                "'sd 2'",
            )
        found.append(_said(match, text))
        at = match.end()
    if not found:
        raise ModelSyntaxError(
            "there is no statement", Place(text or " ", 0, 1, "statement"),
            expected="'between 0 and 10 with 95% probability'",
        )  # fmt: skip
    return found


def _said(match: re.Match[str], text: str) -> Said:
    groups = match.groupdict()
    if groups.get("moment"):
        word = " ".join(groups["moment"].lower().split())
        what = "sd" if word == "standard deviation" else word
        return Said(what, float(groups["value"]))  # type: ignore[arg-type]
    share = float(groups["share"])
    if groups["percent"]:
        share /= 100
    elif share > 1:
        place = Place(text, match.start("share"), match.end("share"), "statement")
        raise ModelSyntaxError(
            f"'{groups['share']}' is no probability", place, expected=f"{groups['share']}%"
        )
    if groups.get("low"):
        return Said("between", float(groups["low"]), float(groups["high"]), share)
    return Said("below" if groups.get("below") else "above", float(groups["at"]), 0.0, share)


def check_statements(said: list[Said]) -> None:
    """Refuse statements that contradict themselves or each other.

    Raises
    ------
    ModelError
    """
    for one in said:
        if one.what in ("between", "below", "above") and not 0 < one.share < 1:
            raise ModelError(f"'{one}': a probability lies between 0 and 1, such as 0.95 or 95%.")
        if one.what == "between" and not one.value < one.high:
            raise ModelError(f"'{one}': the first limit is not below the second.")
        if one.what == "sd" and not one.value > 0:
            raise ModelError(f"'{one}': a standard deviation is above zero.")
    # P(X < x) must rise with x.
    points = sorted(p for one in said for p in _points(one))
    for (x1, p1), (x2, p2) in pairwise(points):
        if (x1 < x2 and p1 >= p2) or (x1 == x2 and p1 != p2):
            raise ModelError(
                f"The statements contradict each other: {', and '.join(map(str, said))} would need "
                f"P(below {x1:g}) = {p1:.4g} and P(below {x2:g}) = {p2:.4g}."
            )


def _points(one: Said) -> list[tuple[float, float]]:
    """Limits and the probability below them."""
    match one.what:
        case "between":
            return [(one.value, (1 - one.share) / 2), (one.high, (1 + one.share) / 2)]
        case "below":
            return [(one.value, one.share)]
        case "above":
            return [(one.value, 1 - one.share)]
        case "median":
            return [(one.value, 0.5)]
        case _:
            return []
