"""What a table looks like, whatever it is written as."""

from __future__ import annotations

from dataclasses import dataclass

from bmsem.tables import formats


@dataclass(frozen=True)
class Row:
    """A row of cells, or a heading over the rows below it.

    ``depth`` of a heading is 1 for the outermost; of cells, how many headings they stand under.
    """

    cells: tuple[str, ...]
    heading: bool = False
    depth: int = 0


@dataclass(frozen=True)
class Grid:
    """A table as text cells.

    Attributes
    ----------
    heads
        Of the columns.
    rows
        From top to bottom.
    title
        Above it.
    lead
        Lines between the title and the table: what must be read first.
    notes
        Lines below it.
    text_columns
        Columns that are words, to be set flush left; the others are numbers.
    good
        Whether ``lead`` is good news, where it is a verdict.
    """

    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    title: str = ""
    lead: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    text_columns: tuple[int, ...] = (0,)
    good: bool | None = None


class Tabular:
    """What can be written as a table: give it `grid`, and it has every format."""

    def grid(self) -> Grid:
        """The table as text cells."""
        raise NotImplementedError

    def to_html(self) -> str:
        """As HTML without scripts or links; a notebook shows this form."""
        return formats.html(self.grid())

    def to_markdown(self) -> str:
        """As a Markdown pipe table.

        Examples
        --------
        >>> import pandas as pd
        >>> from bmsem.tables import Table
        >>> print(Table(pd.DataFrame({"path": ["y ~ x"], "median": [0.5]}), "One path").to_markdown())
        **One path**
        <BLANKLINE>
        | path   |   median |
        |:-------|---------:|
        | y ~ x  |    0.500 |
        """
        return formats.markdown(self.grid())

    def to_latex(self) -> str:
        """As a LaTeX ``table`` with the rules of the package booktabs."""
        return formats.latex(self.grid())

    def _repr_html_(self) -> str:
        return self.to_html()
