"""A table that is made to be read, not computed with."""

from __future__ import annotations

from dataclasses import dataclass

from bmsem.tables.grid import Grid, Tabular


@dataclass(frozen=True)
class Written(Tabular):
    """Text cells that print in columns, between rules.

    Attributes
    ----------
    layout
        The cells.
    """

    layout: Grid

    def grid(self) -> Grid:
        """The table as text cells."""
        return self.layout

    def __str__(self) -> str:
        grid = self.layout
        indented = [(("  " * (r.depth - r.heading)) + r.cells[0], *r.cells[1:]) for r in grid.rows]
        rows = [r for r, row in zip(indented, grid.rows, strict=True) if not row.heading]
        columns = len(grid.heads)
        widths = [max([len(r[i]) for r in [grid.heads, *rows]]) for i in range(columns)]
        rule = "─" * (sum(widths) + 3 * (columns - 1))
        lines = [grid.title, *grid.lead, rule, self._line(grid.heads, widths), rule]
        for text, row in zip(indented, grid.rows, strict=True):
            lines.append(text[0] if row.heading else self._line(text, widths))
        return "\n".join([*(line for line in lines if line), rule, *grid.notes])

    __repr__ = __str__

    def _line(self, cells: tuple[str, ...], widths: list[int]) -> str:
        left = self.layout.text_columns
        return "   ".join(
            c.ljust(w) if i in left else c.rjust(w)
            for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
