"""Tables as HTML, Markdown, LaTeX, and for papers."""

from __future__ import annotations

import html.parser
import re
import time

import numpy as np
import pandas as pd
import pytest

import bmsem
from bmsem.errors import ModelError
from bmsem.tables import Grid, Row, Table, Written, number


class _Cells(html.parser.HTMLParser):
    """The text cells of a page's tables, and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if self.rows and self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_numbers_have_no_negative_zero_and_nothing_for_nan():
    assert [number(v) for v in (1234.5, -0.0002, np.nan, 2.5e7)] == [
        "1,234.500", "0.000", "", "2.5e+07",
    ]  # fmt: skip


def test_cells_are_escaped_in_every_format():
    table = Table(pd.DataFrame({"x|y & <z>": ["a_b | <script>"], "sd": [0.5]}), "50% & more")
    assert "<script>" not in table.to_html()
    assert "&lt;script&gt;" in table.to_html()
    row = table.to_markdown().splitlines()[-1]
    assert row.replace("\\|", "").count("|") == 3
    latex = table.to_latex()
    assert r"50\% \& more" in latex
    assert r"a\_b" in latex
    assert (
        re.search(r"(?<!\\)[&%_#](?! )", latex.split("midrule")[1].split("bottomrule")[0]) is None
    )


def test_an_empty_table_is_shown():
    empty = Table(pd.DataFrame({"a": []}), "Nothing")
    for text in (empty.to_html(), empty.to_markdown(), empty.to_latex(), str(empty)):
        assert "Nothing" in text


def test_every_number_of_the_estimates_stands_in_every_format(mvpa_fit):
    summary = mvpa_fit.summary()
    written = [summary.to_html(), summary.to_markdown(), summary.to_latex(), str(summary)]
    for text in written:
        for row in summary.frame.to_dict("records"):
            assert f"{row['median']:.3f}" in text
            assert f"{row['upper']:.3f}" in text


def test_html_has_a_row_a_parameter_under_its_heading(mvpa_fit):
    rows = _Cells(mvpa_fit.to_html()).rows
    names = [row[0] for row in rows]
    frame = mvpa_fit.summary().frame
    headings = len(set(frame["level_title"])) + len(
        {(r["level_title"], r["section"]) for r in frame.to_dict("records") if r["section"]}
    )
    assert len(rows) == 1 + len(frame) + headings
    assert names.index("Within Level") < names.index("Between Level") < names.index("tot")
    at = names.index("tot")
    own = frame[frame["lhs"] == "tot"].iloc[0]
    assert rows[at][1] == f"{own['median']:.3f}"


def test_a_fit_shows_its_verdict_first(mvpa_fit):
    text = mvpa_fit.to_html()
    assert text.index("Converged: largest R-hat") < text.index("<table")
    assert "1,000 rows in 50 clusters of 20" in text


def test_a_fit_that_has_not_converged_says_so_in_html():
    model = bmsem.read_mplus(bmsem.examples.path("mvpa", "table_25_3.inp"))
    short = model.fit(draws=20, tune=20, chains=2, seed=1, progress=False)
    assert not short.converged
    text = short.to_html()
    assert "NOT CONVERGED" in text
    assert "#D55E00" in text
    assert "NOT CONVERGED" in str(short.table())


@pytest.mark.parametrize("kind", ["model", "bound", "priors", "effects", "ppp", "fit", "standards"])
def test_every_object_has_html_markdown_and_latex(mvpa_fit, kind):
    model = bmsem.read_mplus(bmsem.examples.path("mvpa", "table_25_3.inp"))
    made = {
        "model": lambda: model,
        "bound": model.bind,
        "priors": model.priors,
        "effects": lambda: mvpa_fit.effects("treat", "mvpa"),
        "ppp": mvpa_fit.ppp,
        "fit": mvpa_fit.fit_measures,
        "standards": lambda: mvpa_fit.meaningfulness({"tot": 20 / 7}),
    }[kind]()
    grid = made.grid()
    assert grid.rows
    assert all(row.heading or len(row.cells) == len(grid.heads) for row in grid.rows)
    page = _Cells(made._repr_html_())
    assert len(page.rows) == len(grid.rows) + any(grid.heads)
    assert made.to_markdown().count("|") > 4
    assert made.to_latex().count("\\begin") == made.to_latex().count("\\end")


def test_apa_table_as_the_manual_has_it(mvpa_fit):
    table = mvpa_fit.table(names={"mvpa": "Activity", "tot": "Total effect"}, title="Paths")
    text = str(table)
    own = mvpa_fit.summary().frame.set_index("label")
    total = own.loc["tot"]
    line = next(line for line in text.splitlines() if "Total effect" in line)
    limits = f"[{total['lower']:.2f}, {total['upper']:.2f}]"
    assert limits in line
    assert line.split()[2:4] == [f"{total['median']:.2f}", f"{total['sd']:.2f}"]
    # No zero before the point of a probability.
    assert re.search(r"\s(< )?\.\d{3}$", line)
    assert "Residual" not in text
    assert "Variances" not in text
    assert "Note. N = 1,000 in 50 clusters" in text
    assert r"\textit{Note.}" in table.to_latex()
    assert r"$\rightarrow$ Activity" in table.to_latex()
    assert "Variances" in str(mvpa_fit.table(every=True))
    assert isinstance(table, Written)


def test_table_takes_known_styles_and_names(mvpa_fit):
    assert str(mvpa_fit.table("mplus")) == str(mvpa_fit.summary())
    with pytest.raises(ModelError, match=r"Unknown style 'apa7'. Use 'apa' or 'mplus'."):
        mvpa_fit.table("apa7")
    with pytest.raises(ModelError, match=r"No 'mvp' in the model. Did you mean 'mvpa'"):
        mvpa_fit.table(names={"mvp": "Activity"})


def test_written_tables_line_up():
    grid = Grid(
        ("", "a"), (Row(("head",), True, 1), Row(("x", "1.00"), depth=1)), "T", notes=("n",)
    )
    lines = str(Written(grid)).splitlines()
    assert lines == [
        "T",
        "──────────",
        "         a",
        "──────────",
        "head",
        "  x   1.00",
        "──────────",
        "n",
    ]


def test_a_large_summary_is_quick(large_fit):
    start = time.perf_counter()
    text = large_fit.to_html()
    taken = time.perf_counter() - start
    assert len(large_fit.spec.parameters) >= 60
    assert large_fit.parameters.shape[0] * large_fit.parameters.shape[1] == 10_000
    assert "R-hat" in text
    # A second at most on its own; the bound leaves room for a busy machine.
    assert taken < 3.0, f"{taken:.2f} s"
