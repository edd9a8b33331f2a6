"""The table of estimates, laid out as Mplus prints it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.results.statistics import diagnosed, located, summarise
from bmsem.spec import Level, ModelSpec, Parameter
from bmsem.tables import Grid, Row, Tabular, number

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Summary(Tabular):
    """Estimates of every parameter; print it, or take the data frame.

    Attributes
    ----------
    frame
        A row a parameter: ``level``, ``section``, ``lhs``, ``op``, ``rhs``, ``label``, ``fixed``,
        the statistics of `bmsem.results.statistics.summarise`, and ``star`` (the interval excludes
        zero).
    head
        Lines that stand above the table: the convergence verdict.
    width
        Of the intervals, 0.95 as a rule.
    interval
        ``"hpd"`` or ``"equal"``.
    good
        Whether the fit has converged; ``None`` if that is not known.
    """

    frame: pd.DataFrame
    head: tuple[str, ...]
    width: float
    interval: str
    good: bool | None = None

    def __str__(self) -> str:
        return "\n".join((*self.head, "", *self._lines()))

    __repr__ = __str__

    def _lines(self) -> list[str]:
        tail = 100.0 * (1.0 - self.width) / 2.0
        words = "HPD" if self.interval == "hpd" else "equal-tailed"
        names = max((len(f"    {r}") for r in self.frame["shown"]), default=20)
        names = max(names, 24)
        head = (
            f"{'':<{names}} {'':>9} {'Posterior':>9} {'One-Tailed':>10} "
            f"{f'{self.width:.0%} {words} interval':^21}"
        )
        columns = (
            f"{'':<{names}} {'Estimate':>9} {'S.D.':>9} {'P-Value':>10} "
            f"{f'Lower {tail:.3g}%':>10} {f'Upper {tail:.3g}%':>10}  {'Sig':<3} {'R-hat':>6} {'ESS':>6}"
        )
        lines = [head.rstrip(), columns]
        level: object = ""
        section: object = ""
        for row in self.frame.to_dict("records"):
            if row["level_title"] != level:
                level, section = row["level_title"], ""
                lines += ["", str(level)]
            if row["section"] != section:
                section = row["section"]
                lines += ["", f"  {section}"]
            lines.append(f"{'    ' + row['shown']:<{names}} " + _numbers(row))
        return lines

    def grid(self) -> Grid:
        """The table as text cells, under headings of level and section."""
        rows: list[Row] = []
        level: object = None
        section: object = ""
        for row in self.frame.to_dict("records"):
            if row["level_title"] != level:
                level, section = row["level_title"], ""
                rows.append(Row((str(level),), heading=True, depth=1))
            if row["section"] != section:
                section = row["section"]
                rows.append(Row((str(section),), heading=True, depth=2))
            values = (row[k] for k in ("median", "sd", "p_one_tailed", "lower", "upper"))
            ess = row["ess_bulk"]
            rows.append(
                Row(
                    (row["shown"], *map(number, values), "*" if row["star"] else "",
                     number(row["rhat"]), "" if math.isnan(ess) else f"{ess:,.0f}"),
                    depth=2,
                )
            )  # fmt: skip
        words = "HPD" if self.interval == "hpd" else "equal-tailed"
        heads = (
            "", "Estimate", "Post. S.D.", "P (1-tail)", f"Lower {self.width:.0%} {words}",
            f"Upper {self.width:.0%} {words}", "", "R-hat", "ESS",
        )  # fmt: skip
        return Grid(heads, tuple(rows), lead=self.head, good=self.good)


def _numbers(row: dict) -> str:
    values = "".join(
        f" {row[key]:>{width}.3f}"
        for key, width in (
            ("median", 8),
            ("sd", 9),
            ("p_one_tailed", 10),
            ("lower", 10),
            ("upper", 10),
        )
    )
    star = "*" if row["star"] else ""
    if math.isnan(row["ess_bulk"]):
        return f"{values}  {star:<3}".rstrip()
    return f"{values}  {star:<3} {row['rhat']:>6.3f} {row['ess_bulk']:>6.0f}"


def summary_table(
    spec: ModelSpec,
    rows: dict[Parameter, Array],
    defined: dict[str, Array],
    *,
    width: float = 0.95,
    interval: str = "hpd",
    head: tuple[str, ...] = (),
    good: bool | None = None,
    fixed: dict[Parameter, Array] | None = None,
    diagnostics: dict[Parameter, dict[str, float]] | None = None,
    runs: int = 1,
) -> Summary:
    """Summarise every parameter, fixed ones included, in the chapter's order and sections.

    ``fixed`` has draws of what becomes of fixed parameters, if they do not stay at their values:
    standardised, a loading that is fixed at one has a posterior. ``runs`` as in
    `bmsem.results.statistics.diagnosed`.
    """
    records = []
    for row in spec.parameters:
        if row.free:
            known = diagnostics[row] if diagnostics else diagnosed(rows[row], runs)
            found = located(rows[row], width, interval) | known
        elif fixed is not None and row.fixed:
            found = summarise(fixed[row], width, interval, runs)
        else:
            found = _fixed(row.fixed or 0.0)
        records.append(
            {
                "level": row.level,
                "level_title": f"{row.level.title()} Level" if row.level else "Model",
                "section": _section(spec, row),
                "shown": row.rhs if row.op in ("=~", "~") or row.is_covariance else row.lhs,
                "lhs": row.lhs,
                "op": row.op,
                "rhs": row.rhs,
                "label": row.label,
                "fixed": row.fixed,
                **found,
                "star": (row.free or (fixed is not None and found["sd"] > 0))
                and found["lower"] * found["upper"] > 0,
            }
        )
    for name, draws in defined.items():
        found = summarise(draws, width, interval, runs)
        records.append(
            {
                "level": None,
                "level_title": "New/Additional Parameters",
                "section": "",
                "shown": name,
                "lhs": name,
                "op": ":=",
                "rhs": str(next(d.expression for d in spec.definitions if d.name == name)),
                "label": name,
                "fixed": None,
                **found,
                "star": found["lower"] * found["upper"] > 0,
            }
        )
    return Summary(pd.DataFrame(records), head, width, interval, good)


def _fixed(value: float) -> dict[str, float]:
    nan = float("nan")
    return {
        "median": value, "mean": value, "sd": 0.0, "p_one_tailed": 0.0, "lower": value,
        "upper": value, "rhat": nan, "psr": nan, "ess_bulk": nan, "ess_tail": nan,
    }  # fmt: skip


def endogenous(spec: ModelSpec, level: Level) -> set[str]:
    """Variables that something at the level points at."""
    found = {r.lhs for r in spec.at(level, "~")} | {r.rhs for r in spec.at(level, "=~")}
    if level == "within":
        found |= {s.outcome for s in spec.slopes}
    return found


def _section(spec: ModelSpec, row: Parameter) -> str:
    if row.op == "=~":
        return f"{row.lhs} BY"
    if row.op == "~":
        return f"{row.lhs} ON"
    if row.is_covariance:
        return f"{row.lhs} WITH"
    inner = row.lhs in endogenous(spec, row.level)
    if row.op == "~1":
        return "Intercepts" if inner else "Means"
    return "Residual Variances" if inner else "Variances"
