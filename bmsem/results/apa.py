"""Estimates as a table for a paper, in the style of the American Psychological Association.

Publication Manual of the American Psychological Association (2020, 7th edition, sections 7.8 to 7.21):
a title in title case, horizontal rules only, one column for both limits of an interval, two decimals,
no zero before the point of a number that cannot exceed one, and a general note that says what the
columns are.
"""

from __future__ import annotations

from collections.abc import Mapping

from bmsem.results.summary import Summary
from bmsem.tables import Grid, Row
from bmsem.tables.numbers import number, probability
from bmsem.tables.written import Written

_SECTIONS = {
    "=~": "Loadings", "~": "Paths", "cov": "Covariances", "~1": "Intercepts", "var": "Variances",
    ":=": "Derived",
}  # fmt: skip
# What a reader of a trial looks for: an analyst finds the rest in the whole table.
MAIN = ("=~", "~", "cov", ":=")


def apa_table(
    summary: Summary,
    *,
    title: str,
    sample: str,
    digits: int,
    names: Mapping[str, str],
    every: bool,
) -> Written:
    """The estimates as a table for a paper.

    Parameters
    ----------
    summary
        The estimates.
    title
        Of the table, without its number.
    sample
        How many people and clusters, for the note.
    digits
        Decimals of estimates; probabilities have three.
    names
        Words for variables and derived parameters.
    every
        Whether to list intercepts and variances too.
    """
    rows: list[Row] = []
    level: object = None
    section = ""
    for record in summary.frame.to_dict("records"):
        kind = _kind(record)
        if record["fixed"] is not None or not (every or kind in MAIN):
            continue
        if record["level_title"] != level:
            level, section = record["level_title"], ""
            heading = "Derived effects" if kind == ":=" else str(level)
            rows.append(Row((heading.replace(" Level", " level"),), True, 1))
        if _SECTIONS[kind] != section:
            section = _SECTIONS[kind]
            if kind != ":=":
                rows.append(Row((section,), True, 2))
        limits = (number(record[k], digits) for k in ("lower", "upper"))
        rows.append(
            Row(
                (_name(record, kind, names), number(record["median"], digits),
                 number(record["sd"], digits), f"[{', '.join(limits)}]",
                 probability(record["p_one_tailed"])),
                depth=1 if kind == ":=" else 2,
            )
        )  # fmt: skip
    kind = "highest-density" if summary.interval == "hpd" else "equal-tailed"
    width = f"{summary.width:.0%}"
    note = (
        f"Note. {sample}. Estimates are posterior medians; SD = posterior standard deviation; CrI = "
        f"{kind} credible interval; p = posterior probability that the effect has the other sign."
    )
    warning = () if summary.good is not False else (summary.head[0],)
    heads = ("Parameter", "Estimate", "SD", f"{width} CrI", "p")
    return Written(Grid(heads, tuple(rows), title, warning, (note,), good=None))


def _kind(record: dict) -> str:
    if record["op"] == "~~":
        return "var" if record["lhs"] == record["rhs"] else "cov"
    return record["op"]


def _name(record: dict, kind: str, names: Mapping[str, str]) -> str:
    left, right = (names.get(record[k], record[k]) for k in ("lhs", "rhs"))
    match kind:
        case "~" | "=~":
            ends = (left, right) if kind == "=~" else (right, left)
            return f"{ends[0]} → {ends[1]}"
        case "cov":
            return f"{left} ↔ {right}"
        case _:
            return left
