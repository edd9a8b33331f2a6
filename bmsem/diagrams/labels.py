"""What stands on the arrows: labels and fixed values of a model, estimates of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bmsem.diagrams.elements import Drawing
from bmsem.results.quantities import record
from bmsem.spec import ModelSpec, Parameter
from bmsem.tables.numbers import number

if TYPE_CHECKING:
    from bmsem.results import FitResults
    from bmsem.results.standardized import Standardization


@dataclass(frozen=True)
class Labels:
    """Texts by the arrow's number, the arrows whose interval includes zero, and variances by node.

    Attributes
    ----------
    texts
        By number of the arrow.
    weak
        Numbers of arrows whose interval includes zero.
    variances
        Texts by id of the node.
    """

    texts: Mapping[int, str]
    weak: frozenset[int]
    variances: Mapping[str, str]


def spec_labels(spec: ModelSpec, drawn: Drawing, variances: bool) -> Labels:
    """Labels, and values of fixed parameters."""

    def text(row: Parameter) -> str:
        return row.label or ("" if row.free else f"{row.fixed:g}")

    return _collected(spec, drawn, text, lambda row: False, variances)


def fit_labels(
    fit: FitResults,
    drawn: Drawing,
    *,
    standardized: Standardization | None,
    intervals: bool,
    variances: bool,
    digits: int,
    width: float,
    interval: str | None,
) -> Labels:
    """Medians, with intervals below them."""
    kind = fit.checked_interval(width, interval)
    draws = fit.standardized_rows(standardized) if standardized else fit.rows
    known = {row: record(d, width, kind) for row, d in draws.items()}

    def text(row: Parameter) -> str:
        found = known.get(row)
        if found is None or found["sd"] == 0:
            value = found["median"] if found else row.fixed
            return f"{value:g}"
        shown = number(found["median"], digits)
        if not intervals:
            return shown
        return f"{shown}\n[{number(found['lower'], digits)}, {number(found['upper'], digits)}]"

    def weak(row: Parameter) -> bool:
        return row in known and not known[row]["star"] and known[row]["sd"] > 0

    return _collected(fit.spec, drawn, text, weak, variances)


def _collected(spec: ModelSpec, drawn: Drawing, text, weak, variances: bool) -> Labels:
    texts, faint = {}, set()
    for i, arrow in enumerate(drawn.arrows):
        if arrow.varying:
            texts[i] = arrow.varying
        elif arrow.row is not None:
            if words := text(arrow.row):
                texts[i] = words
            if weak(arrow.row):
                faint.add(i)
    beside = {}
    if variances:
        panels = {"within": "within", "between": "between", None: "between"}
        known = {n.id for n in drawn.nodes}
        for row in spec.parameters:
            if row.is_variance and (row.free or row.fixed):
                own = f"{panels[row.level]} {row.lhs}"
                words = text(row).split("\n")[0]
                if own in known and words:
                    beside[own] = words
    return Labels(texts, frozenset(faint), beside)
