"""A data frame with a head and words: how every table but the estimates is shown."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bmsem.tables.grid import Grid, Row, Tabular
from bmsem.tables.numbers import number


@dataclass(frozen=True, eq=False)
class Table(Tabular):
    """A titled table; print it, or take ``frame``.

    Attributes
    ----------
    frame
        The numbers.
    title
        What it is.
    notes
        What to make of it.
    """

    frame: pd.DataFrame
    title: str
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = self._shown()
        body = shown.to_string(index=False, na_rep="") if len(shown) else "  (nothing to show)"
        return "\n".join([self.title, "", body, *(("", *self.notes) if self.notes else ())])

    __repr__ = __str__

    def grid(self) -> Grid:
        """The table as text cells."""
        words = tuple(
            i
            for i, name in enumerate(self.frame.columns)
            if not pd.api.types.is_numeric_dtype(self.frame[name])
            or pd.api.types.is_bool_dtype(self.frame[name])
        )
        shown = self._shown().astype(object)
        rows = tuple(
            Row(tuple("" if pd.isna(v) else str(v) for v in values))
            for values in shown.itertuples(index=False)
        )
        return Grid(tuple(map(str, shown.columns)), rows, self.title, (), self.notes, words)

    def _shown(self) -> pd.DataFrame:
        frame = self.frame.copy()
        if "star" in frame:
            frame["star"] = frame["star"].map(lambda s: "*" if s is True or s == 1 else "")
        for name in frame.columns:
            column = frame[name]
            if pd.api.types.is_float_dtype(column):
                frame[name] = column.map(number)
            elif pd.api.types.is_bool_dtype(column):
                frame[name] = column.map({True: "yes", False: "no"})
        return frame.rename(columns=_HEADS)


_HEADS = {
    "sd": "S.D.", "p_one_tailed": "one-tailed P", "star": "",
    "margin_lower": "lower MOE", "margin_upper": "upper MOE", "p_exceeds": "P(beyond standard)",
    "p_equivalent": "P(equivalent to 0)", "clears": "interval beyond standard",
}  # fmt: skip
