"""A data frame with a head and words: how every table but the estimates is shown."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, eq=False)
class Table:
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

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{note}</p>" for note in self.notes)
        return f"<p><b>{self.title}</b></p>{self._shown().to_html(index=False, na_rep='')}{notes}"

    def _shown(self) -> pd.DataFrame:
        frame = self.frame.copy()
        if "star" in frame:
            frame["star"] = frame["star"].map(lambda s: "*" if s is True or s == 1 else "")
        for name in frame.columns:
            column = frame[name]
            if pd.api.types.is_float_dtype(column):
                frame[name] = column.map(_number)
            elif pd.api.types.is_bool_dtype(column):
                frame[name] = column.map({True: "yes", False: "no"})
        return frame.rename(columns=_HEADS)


_HEADS = {
    "sd": "S.D.", "p_one_tailed": "one-tailed P", "lower": "lower", "upper": "upper", "star": "",
    "margin_lower": "lower MOE", "margin_upper": "upper MOE", "p_exceeds": "P(beyond standard)",
    "p_equivalent": "P(equivalent to 0)", "clears": "interval beyond standard",
}  # fmt: skip


def _number(value: float) -> str:
    if pd.isna(value):
        return ""
    return f"{value:,.3f}" if abs(value) < 1e6 else f"{value:.4g}"
