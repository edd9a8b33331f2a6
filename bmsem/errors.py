"""What bmsem says when something is wrong: what was given, where, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


class BmsemError(Exception):
    """Base of every error that a user of bmsem can cause and mend."""


class ModelError(BmsemError):
    """The model is not one that can be bound to data or estimated."""


class NotSupportedError(ModelError):
    """The model or request is understood, but bmsem cannot estimate it yet."""


class DataError(BmsemError):
    """The data do not fit the model or cannot be read."""


class SamplingError(BmsemError):
    """Sampling could not start or could not go on."""


class Interrupted(SamplingError):
    """Sampling was interrupted before there was anything to keep."""


class ModelWarning(UserWarning):
    """Something in the model that deserves a look but does not stop the analysis."""


class DataWarning(UserWarning):
    """Something in the data that deserves a look but does not stop the analysis."""


@dataclass(frozen=True)
class Place:
    """A stretch of a text, so that an error can point at it.

    Parameters
    ----------
    text
        The whole text, newlines included.
    start, end
        Offsets of the first character and of the one after the last.
    source
        What the text is called in a message: ``"model"`` or a file's name.
    """

    text: str
    start: int
    end: int
    source: str = "model"

    @property
    def line(self) -> int:
        """Line number, from 1."""
        return self.text.count("\n", 0, self.start) + 1

    @property
    def column(self) -> int:
        """Column number, from 1."""
        return self.start - (self.text.rfind("\n", 0, self.start) + 1) + 1

    def marked(self) -> str:
        """The line with a caret under the place."""
        begin = self.text.rfind("\n", 0, self.start) + 1
        stop = self.text.find("\n", self.start)
        line = self.text[begin : stop if stop >= 0 else len(self.text)]
        width = max(1, min(self.end, begin + len(line)) - self.start)
        # Tabs are kept in the padding so that the caret stands under the character it means.
        padding = "".join(c if c == "\t" else " " for c in line[: self.start - begin])
        return f"    {line}\n    {padding}{'^' * width}"


class ModelSyntaxError(ModelError):
    """A model text or input file that cannot be read.

    The message names the source and the line, shows the line with a caret, and says what was
    expected and what to do.
    """

    def __init__(
        self, message: str, place: Place, *, expected: str | None = None, hint: str | None = None
    ) -> None:
        self.reason = message
        self.place = place
        self.expected = expected
        self.hint = hint
        parts = [
            f"{place.source}, line {place.line}, column {place.column}: {message}",
            place.marked(),
        ]
        if expected:
            parts.append(f"Expected: {expected}.")
        if hint:
            parts.append(hint)
        super().__init__("\n".join(parts))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that suggests the nearest known name and lists the others.

    >>> did_you_mean("advnat", ["mvpa", "advant", "peers"])
    "Did you mean 'advant'? Known: advant, mvpa, peers."
    """
    options = sorted({str(k) for k in known})
    by_fold = {o.casefold(): o for o in options}
    near = get_close_matches(name.casefold(), list(by_fold), n=1, cutoff=0.6)
    listing = f"Known: {', '.join(options)}." if options else "None is known."
    return f"Did you mean '{by_fold[near[0]]}'? {listing}" if near else listing
