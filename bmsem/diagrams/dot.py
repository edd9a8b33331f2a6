"""A laid-out drawing in Graphviz's language, for ``neato -n2``: every place is given."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmsem.diagrams.elements import Arrow, Drawing
from bmsem.diagrams.geometry import Place
from bmsem.diagrams.labels import Labels
from bmsem.diagrams.layout import Layout, Variance

Array = NDArray[np.float64]

_POINTS = 72.0
# Of an arrow head, in inches.
_HEAD = 0.11
_FONT = "Helvetica,Arial,sans-serif"
_BLACK, _GREY, _LINE = "#1a1a1a", "#767676", "#9a9a9a"


def source(drawn: Drawing, laid: Layout, labels: Labels, title: str) -> str:
    """The text of a graph."""
    lines = [
        "digraph model {",
        f'  graph [fontname="{_FONT}", fontsize=12, bgcolor=white, splines=true, pad=0.15, '
        f"outputorder=edgesfirst, label={_quoted(title)}, labelloc=t];",
        f'  node [fontname="{_FONT}", fontsize=10.5, color="{_BLACK}", fontcolor="{_BLACK}", '
        f"fixedsize=true, style=filled, fillcolor=white];",
        f'  edge [color="{_BLACK}", arrowsize=0.7, penwidth=1.1];',
    ]
    shapes = {"box": "box", "oval": "ellipse", "product": "ellipse"}
    for node in drawn.nodes:
        place = laid.places[node.id]
        extra = ', fillcolor="#e8e8e8", fontsize=9' if node.shape == "product" else ""
        lines.append(_node(node.id, node.name, shapes[node.shape], place, extra))
    for i, arrow in enumerate(drawn.arrows):
        lines.append(_edge(arrow, laid.curves[i], i in labels.weak))
    for id, variance in laid.variances.items():
        lines += _variance(id, variance)
    for i, point in laid.dots.items():
        place = Place(point[0], point[1], 0.13, 0.13)
        lines.append(_node(f"dot {i}", "", "circle", place, f', fillcolor="{_BLACK}"'))
    for i, (text, place) in laid.labels.items():
        faint = f', fontcolor="{_GREY}"' if i in labels.weak else ""
        lines.append(_node(f"label {i}", text, "box", place, f", color=white, fontsize=9{faint}"))
    lines += _strip(drawn, laid)
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _at(point: Array) -> str:
    return f"{point[0] * _POINTS:.2f},{point[1] * _POINTS:.2f}"


def _node(name: str, text: str, shape: str, place: Place, extra: str = "") -> str:
    return (
        f"  {_quoted(name)} [label={_quoted(text)}, shape={shape}, width={place.width:.3f}, "
        f'height={place.height:.3f}, pos="{_at(place.middle)}"{extra}];'
    )


def _edge(arrow: Arrow, control: Array, weak: bool) -> str:
    tail, head = arrow.kind == "covariance", arrow.kind not in ("factor of product",)
    points, text = control.copy(), ""
    # The curve ends where the head begins.
    # Graphviz reads the tail's point first.
    if tail:
        text += f"s,{_at(control[0])} "
        points[0] = _shorter(control[0], control[1])
    if head:
        text += f"e,{_at(control[3])} "
        points[3] = _shorter(control[3], control[2])
    place = text + " ".join(_at(p) for p in points)
    looks = [f'pos="{place}"', f"dir={'both' if tail else 'forward' if head else 'none'}"]
    if arrow.kind in ("part", "factor of product"):
        looks += [f'color="{_LINE}"', "penwidth=0.9", "arrowsize=0.5"]
    elif weak:
        looks += [f'color="{_GREY}"', "style=dashed"]
    return f"  {_quoted(arrow.source)} -> {_quoted(arrow.target)} [{', '.join(looks)}];"


def _shorter(end: Array, inner: Array) -> Array:
    along = inner - end
    return end + along / (np.hypot(*along) + 1e-9) * _HEAD


def _variance(name: str, variance: Variance) -> list[str]:
    own, control = f"variance {name}", variance.control.copy()
    control[3] = _shorter(variance.control[3], variance.control[0])
    place = f"e,{_at(variance.control[3])} " + " ".join(_at(p) for p in control)
    return [
        _node(own, variance.text, "box", variance.place, ", color=white, fontsize=9"),
        f'  {_quoted(own)} -> {_quoted(name)} [pos="{place}", arrowsize=0.5, penwidth=0.9];',
    ]


def _strip(drawn: Drawing, laid: Layout) -> list[str]:
    """The two lines around the observed variables, and the names of the panels."""
    lines = []
    left, right = laid.span
    for i, y in enumerate(laid.lines):
        ends = [f"line {i} {side}" for side in ("left", "right")]
        for name, x in zip(ends, (left, right), strict=True):
            lines.append(
                f'  {_quoted(name)} [label="", shape=point, width=0.001, height=0.001, style=invis, '
                f'pos="{_at(np.array([x, y]))}"];'
            )
        a, b = np.array([left, y]), np.array([right, y])
        points = " ".join(_at(a + (b - a) * t) for t in (0, 1 / 3, 2 / 3, 1))
        lines.append(
            f'  {_quoted(ends[0])} -> {_quoted(ends[1])} [pos="{points}", dir=none, color="{_LINE}"];'
        )
    if laid.lines:
        for panel, y in (("between", laid.lines[0] + 0.13), ("within", laid.lines[1] - 0.13)):
            if panel in drawn.panels:
                place = Place(left + 0.35, y, 0.7, 0.16)
                look = f', color=white, fontsize=9, fontcolor="{_GREY}"'
                lines.append(_node(f"panel {panel}", panel.title(), "box", place, look))
    return lines
