"""Grids of text cells as HTML, Markdown and LaTeX."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bmsem.tables.grid import Grid, Row

# Colours are those of the page around the table, so that a dark notebook stays dark.
_STYLE = (
    "border-collapse:collapse;font-variant-numeric:tabular-nums;border-top:1.5px solid;"
    "border-bottom:1.5px solid;margin:0.3em 0"
)
# Letters of a text that needs a broad column.
_LONG = 24
_GOOD, _BAD = "#009E73", "#D55E00"


def html(grid: Grid) -> str:
    """A self-contained HTML fragment."""
    parts = []
    if grid.title:
        parts.append(f'<p style="margin:0.4em 0"><b>{escape(grid.title)}</b></p>')
    if grid.lead:
        edge = "" if grid.good is None else f"border-left:4px solid {_GOOD if grid.good else _BAD};"
        lines = "<br>".join(map(escape, grid.lead))
        parts.append(f'<p style="{edge}padding-left:0.6em;margin:0.4em 0">{lines}</p>')
    width = len(grid.heads)
    cells = "".join(
        f'<th scope="col" style="{_cell(i, grid)}border-bottom:1px solid">{escape(h)}</th>'
        for i, h in enumerate(grid.heads)
    )
    head = f"<thead><tr>{cells}</tr></thead>" if any(grid.heads) else ""
    body = "".join(_html_row(row, grid, width) for row in grid.rows)
    parts.append(
        f'<div style="overflow-x:auto"><table class="bmsem" style="{_STYLE}">{head}'
        f"<tbody>{body}</tbody></table></div>"
    )
    for note in grid.notes:
        text = _note(escape(note), "<i>Note.</i>")
        parts.append(f'<p style="margin:0.2em 0;font-size:90%">{text}</p>')
    return "".join(parts)


def _cell(column: int, grid: Grid) -> str:
    side = "left" if column in grid.text_columns else "right"
    return f"text-align:{side};padding:0.15em 0.6em;"


def _html_row(row: Row, grid: Grid, width: int) -> str:
    if row.heading:
        outer = row.depth == 1
        style = f"text-align:left;padding:{'0.6em' if outer else '0.35em'} 0.6em 0.1em;"
        if not outer:
            em = 0.6 + 0.9 * (row.depth - 1)
            style += f"padding-left:{em:.1f}em;font-weight:normal;font-style:italic;"
        head = f'<th scope="rowgroup" colspan="{width}" style="{style}">'
        return f"<tr>{head}{escape(row.cells[0])}</th></tr>"
    cells = []
    for i, text in enumerate(row.cells):
        indent = f"padding-left:{0.6 + 0.9 * row.depth:.1f}em;" if i == 0 and row.depth else ""
        wrap = "white-space:nowrap;"
        if i in grid.text_columns:
            wrap = "min-width:14em;" if len(text) > _LONG else ""
        cells.append(f'<td style="{_cell(i, grid)}{indent}{wrap}">{escape(text)}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def markdown(grid: Grid) -> str:
    """A pipe table, with the title in bold and the notes below."""
    body = tabulated(grid, "pipe", "&nbsp;&nbsp;", "**{}**", "*{}*")
    title = [f"**{grid.title}**", ""] if grid.title else []
    lead = [*grid.lead, ""] if grid.lead else []
    notes = ["", *(f"{_note(n, '*Note.*')}  " for n in grid.notes)] if grid.notes else []
    return "\n".join([*title, *lead, body, *notes]).rstrip()


def latex(grid: Grid) -> str:
    """A ``table`` environment; needs ``\\usepackage{booktabs}``."""
    # Indents and headings are set after tabulate has escaped the cells.
    body = tabulated(grid, "latex_booktabs", "\0", "\1{}\2", "\3{}\2")
    marks = (
        ("\0", "\\quad "), ("\1", "\\textbf{"), ("\2", "}"), ("\3", "\\textit{"),
        ("→", "$\\rightarrow$"), ("↔", "$\\leftrightarrow$"),
    )  # fmt: skip
    for mark, command in marks:
        body = body.replace(mark, command)
    lines = ["\\begin{table}", "\\centering"]
    if grid.title:
        lines.append(f"\\caption{{{latex_text(grid.title)}}}")
    lines.append(body)
    notes = [*grid.lead, *grid.notes]
    if notes:
        text = _note(" ".join(map(latex_text, notes)), "\\textit{Note.}")
        lines += [
            "",
            "\\medskip",
            f"\\begin{{minipage}}{{\\linewidth}}\\small {text}\\end{{minipage}}",
        ]
    return "\n".join([*lines, "\\end{table}"])


def _note(text: str, word: str) -> str:
    """The word "Note." of a table in a paper, set apart."""
    return word + text.removeprefix("Note.") if text.startswith("Note.") else text


def latex_text(text: str) -> str:
    """Text with LaTeX's own characters escaped.

    >>> latex_text("50% of y_1 & more")
    '50\\\\% of y\\\\_1 \\\\& more'
    """
    own = {
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "<": r"\textless{}", ">": r"\textgreater{}",
    }  # fmt: skip
    return "".join(own.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in text)


def tabulated(grid: Grid, form: str, indent: str, outer: str, inner: str) -> str:
    """The rows by tabulate; headings are first cells of otherwise empty rows."""
    from tabulate import tabulate

    width = len(grid.heads)
    rows = []
    for row in grid.rows:
        if row.heading:
            text = (outer if row.depth == 1 else inner).format(row.cells[0])
            rows.append([indent * (row.depth - 1) + text, *[""] * (width - 1)])
        else:
            cells = [c.replace("|", "\\|") if form == "pipe" else c for c in row.cells]
            rows.append([indent * row.depth + cells[0], *cells[1:]])
    align = ["left" if i in grid.text_columns else "right" for i in range(width)]
    return tabulate(
        rows, headers=list(grid.heads), tablefmt=form, colalign=align if rows else None,
        disable_numparse=True,
    )  # fmt: skip
