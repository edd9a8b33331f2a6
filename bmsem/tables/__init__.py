"""Tables as they are shown: in a notebook, as Markdown, as LaTeX."""

from bmsem.tables.grid import Grid, Row, Tabular
from bmsem.tables.numbers import number
from bmsem.tables.table import Table
from bmsem.tables.written import Written

__all__ = ["Grid", "Row", "Table", "Tabular", "Written", "number"]
