"""From a model or a fit to its diagram."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bmsem.diagrams.dot import source
from bmsem.diagrams.elements import Drawing, drawing
from bmsem.diagrams.labels import fit_labels, spec_labels
from bmsem.diagrams.layout import layout
from bmsem.diagrams.render import Diagram
from bmsem.errors import ModelError
from bmsem.results import FitResults
from bmsem.spec import ModelSpec

if TYPE_CHECKING:
    from bmsem.results.standardized import Standardization


def diagram(
    of: ModelSpec | FitResults,
    *,
    standardized: Standardization | None = None,
    intervals: bool = True,
    variances: bool = False,
    level: str | None = None,
    title: str | None = None,
    digits: int = 2,
    width: float = 0.95,
    interval: str | None = None,
) -> Diagram:
    """The path diagram of a spec, with labels, or of a fit, with estimates.

    Paths whose interval includes zero are dashed; a path with a black dot varies between clusters.

    Parameters
    ----------
    of
        A spec or a fit.
    standardized
        ``"stdyx"``, ``"stdy"`` or ``"std"`` instead of raw estimates.
    intervals
        Whether intervals stand below the estimates.
    variances
        Whether (residual) variances are drawn.
    level
        Only ``"within"``, or only ``"between"``.
    title
        Above the diagram.
    digits
        Decimals of the estimates.
    width, interval
        Of the credible intervals.

    Raises
    ------
    ModelError
        If there is no such level, or ``standardized`` is asked of a spec.

    Examples
    --------
    >>> from bmsem import model
    >>> print(diagram(model("y ~ b*x").spec))
    Path diagram: x → y (b)
    """
    spec = (of if isinstance(of, ModelSpec) else of.spec).without_auxiliary
    drawn = drawing(spec, level)
    if isinstance(of, ModelSpec):
        if standardized is not None:
            raise ModelError("Only a fit has standardised estimates: fit the model first.")
        labels = spec_labels(spec, drawn, variances)
    else:
        labels = fit_labels(
            of, drawn, standardized=standardized, intervals=intervals, variances=variances,
            digits=digits, width=width, interval=interval,
        )  # fmt: skip
    laid = layout(drawn, labels.texts, labels.variances)
    return Diagram(source(drawn, laid, labels, title or ""), _described(drawn, labels.texts))


def _described(drawn: Drawing, texts: Mapping[int, str]) -> str:
    """Every path in words, for those who do not see the diagram."""
    parts = []
    for i, arrow in enumerate(drawn.arrows):
        if arrow.kind in ("part", "factor of product"):
            continue
        source, target = drawn.node(arrow.source), drawn.node(arrow.target)
        sign = "↔" if arrow.kind == "covariance" else "→"
        level = f"{source.panel}: " if len(drawn.panels) > 1 else ""
        text = texts.get(i, "").replace("\n", " ")
        varies = ", varies" if arrow.varying else ""
        shown = f" ({text}{varies})" if text else ""
        parts.append(f"{level}{source.name} {sign} {target.name}{shown}")
    return "; ".join(parts)
