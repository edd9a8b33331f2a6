"""Where everything stands: columns from causes to effects, rows so that arrows miss the nodes.

Each variable has one column for its box and its parts, so that what connects them is a vertical line
that nothing stands on. Rows are found by descent on a cost: arrows through nodes, crossings, height.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bmsem.diagrams.columns import ordered_columns
from bmsem.diagrams.elements import Arrow, Drawing, Node
from bmsem.diagrams.geometry import Place, bezier, crossings, curve

Array = NDArray[np.float64]

# Inches. Letters of 9 points are about so wide, lines so high.
LETTER, LINE = 0.070, 0.155
_MARGIN, _ROW, _BASE, _FAN, _TALL = 0.35, 1.0, 0.95, 1.15, 1.9
_STRIP = 0.55
_SAMPLES = np.linspace(0.0, 1.0, 41)


@dataclass(frozen=True, eq=False)
class Variance:
    """A residual variance: a number with a short arrow into its node."""

    text: str
    place: Place
    control: Array


@dataclass(frozen=True, eq=False)
class Layout:
    """Places in inches.

    Attributes
    ----------
    places
        Of nodes, by id.
    curves : (4, 2) each
        Of the drawing's arrows, in their order.
    labels
        Text and place by the arrow's number.
    dots
        Points of varying paths by the arrow's number.
    lines
        Heights of the two lines around the strip; empty without one.
    variances
        Beside nodes, by id.
    span
        Where the lines begin and end.
    """

    places: Mapping[str, Place]
    curves: tuple[Array, ...]
    labels: Mapping[int, tuple[str, Place]]
    dots: Mapping[int, Array]
    lines: tuple[float, ...]
    variances: Mapping[str, Variance]
    span: tuple[float, float] = field(default=(0.0, 0.0))


def text_size(text: str) -> tuple[float, float]:
    """Width and height of lines of text, in inches."""
    lines = text.split("\n")
    return LETTER * max(map(len, lines)) + 0.05, LINE * len(lines) + 0.03


def node_size(node: Node) -> tuple[float, float]:
    """Width and height of a node, in inches."""
    letters = max(map(len, node.name.split("\n")))
    if node.shape == "product":
        return max(0.42, 0.09 * letters + 0.18), 0.34
    if node.shape == "box":
        return max(0.72, 0.095 * letters + 0.22), 0.42
    return max(0.9, 0.105 * letters + 0.36), 0.52


def layout(
    drawn: Drawing, texts: Mapping[int, str], variances: Mapping[str, str] | None = None
) -> Layout:
    """Places for a drawing whose arrows have labels ``texts``, by their numbers.

    ``variances`` are texts by id of the node.
    """
    across = _across(drawn, texts)
    places: dict[str, Place] = {}
    lines: tuple[float, ...] = ()
    if "strip" in drawn.panels:
        lines = (_STRIP / 2 + 0.12, -_STRIP / 2 - 0.12)
        for node in drawn.nodes:
            if node.panel == "strip":
                places[node.id] = Place(across[node.column], 0.0, *node_size(node))
    for panel, sign in (("between", 1.0), ("within", -1.0)):
        if panel in drawn.panels:
            places |= _rows(drawn, panel, sign, across, places)
    curves = _curves(drawn, places, lines)
    dots = {
        i: bezier(curves[i], np.array([0.5]))[0] for i, a in enumerate(drawn.arrows) if a.varying
    }
    beside = _variances(drawn, places, curves, variances or {})
    fixed = [
        *places.values(),
        *(v.place for v in beside.values()),
        *(Place(d[0], d[1], 0.16, 0.16) for d in dots.values()),
    ]
    labels = _labels(drawn, fixed, curves, dots, texts)
    left = min(p.x - p.width / 2 for p in places.values())
    right = max(p.x + p.width / 2 for p in places.values())
    span = left - _MARGIN, right + _MARGIN
    return Layout(places, curves, labels, dots, lines, beside, span)


def _across(drawn: Drawing, texts: Mapping[int, str]) -> dict[str, float]:
    """The columns' middles."""
    columns, over = ordered_columns(drawn)
    wide = {c: max(node_size(n)[0] for n in drawn.nodes if n.column == c) for c in columns}
    label = max([text_size(t)[0] for t in texts.values()] or [0.3])
    measured = {c for own in over.values() for c in own}
    at, found = 0.0, {}
    for i, name in enumerate(columns):
        if i:
            before = columns[i - 1]
            gap = 0.25 if {name, before} <= measured else max(0.65, label + 0.3)
            near = (wide[before] + wide[name]) / 2 + gap
            # The fan of a factor's arrows must have room for their labels.
            at += max(near, label * 1.12) if {name, before} <= measured else near
        found[name] = at
    pending = dict(over)
    while pending:
        ready = {f: own for f, own in pending.items() if all(c in found for c in own)}
        if not ready:
            # Factors that measure each other have no order: beside everything else.
            ready = {next(iter(pending)): ()}
        for factor, own in ready.items():
            found[factor] = float(np.mean([found[c] for c in own])) if own else at + 1.0
            del pending[factor]
    return found


# -- rows -------------------------------------------------------------------------------------


def _rows(
    drawn: Drawing, panel: str, sign: float, across: Mapping[str, float], strip: Mapping[str, Place]
) -> dict[str, Place]:
    """Places of one panel's nodes; ``sign`` is 1 above the strip and -1 below."""
    nodes = [n for n in drawn.nodes if n.panel == panel]
    ids = {n.id for n in nodes}
    lines = [
        (a.source, a.target)
        for a in drawn.arrows
        if a.kind != "covariance" and a.source in ids and (a.target in ids or a.target in strip)
    ]
    loading = [a for a in drawn.arrows if a.kind == "loading" and a.source in ids]
    base = {a.target for a in loading if a.target in ids}
    fans = any(a.target in strip for a in loading) or bool(base)
    # Measured by factors of the panel and measuring none: the lowest row.
    lowest = {n.id for n in nodes if n.id in base and n.id not in {a.source for a in loading}}
    free = [n for n in nodes if n.id not in lowest]
    rows = min(4, max(1, len(free)))

    def placed(levels: Mapping[str, int]) -> dict[str, Place]:
        found = {}
        for n in nodes:
            up = _BASE + _ROW * levels.get(n.id, 0)
            if n.id not in lowest:
                # Room for the fan of a factor's arrows, down to the strip or to the lowest row.
                up += _TALL if lowest else _FAN * fans
            found[n.id] = Place(across[n.column], sign * up, *node_size(n), round=n.shape != "box")
        return found

    def cost(levels: Mapping[str, int]) -> float:
        found = placed(levels)
        every = {**strip, **found}
        total = 0.35 * sum(levels.values())
        total += 200.0 * sum(
            found[a.id].overlaps(found[b.id], 0.12) for a, b in combinations(nodes, 2)
        )
        segments = []
        for source, target in lines:
            p, q = every[source].middle, every[target].middle
            points = p + _SAMPLES[:, None] * (q - p)
            segments.append(np.array([p, q]))
            total += 25.0 * sum(
                every[n.id].contains(points, 0.1).any()
                for n in nodes
                if n.id not in (source, target)
            )
        for a, b in combinations(range(len(lines)), 2):
            if not set(lines[a]) & set(lines[b]):
                total += 6.0 * crossings(segments[a], segments[b])
        return total

    return placed(_best_levels([n.id for n in free], rows, cost))


def _best_levels(names: list[str], rows: int, cost) -> dict[str, int]:
    """Rows of the nodes by coordinate descent from several starts; the same for the same model."""
    if not names:
        return {}
    starts = [
        dict.fromkeys(names, 0),
        {n: i % rows for i, n in enumerate(names)},
        {n: (rows - 1 - i) % rows for i, n in enumerate(names)},
        {n: min(rows - 1, 1) for n in names},
    ]
    best: tuple[float, dict[str, int]] | None = None
    for levels in starts:
        value = cost(levels)
        for _ in range(6):
            before = value
            for name in names:
                for row in range(rows):
                    tried = {**levels, name: row}
                    new = cost(tried)
                    if new < value - 1e-9:
                        levels, value = tried, new
            if value >= before - 1e-9:
                break
        if best is None or value < best[0] - 1e-9:
            best = value, levels
    assert best is not None
    return best[1]


# -- curves -----------------------------------------------------------------------------------

_BOWS = (0.6, 0.8, 1.05, 1.4, 1.8, 2.3)


def _curves(
    drawn: Drawing, places: Mapping[str, Place], lines: tuple[float, ...]
) -> tuple[Array, ...]:
    """Straight where that is free; covariances always bow."""
    found: list[Array | None] = [None] * len(drawn.arrows)
    order = sorted(range(len(drawn.arrows)), key=lambda i: drawn.arrows[i].kind == "covariance")
    ends = {(a.source, a.target) for a in drawn.arrows if a.kind != "covariance"}
    for i in order:
        arrow = drawn.arrows[i]
        source, target = places[arrow.source], places[arrow.target]
        if arrow.kind == "covariance":
            choices = tuple(b * s for b in _BOWS for s in (1.0, -1.0))
        elif arrow.kind in ("part", "loading", "factor of product"):
            choices = (0.0,)
        elif (arrow.target, arrow.source) in ends:
            choices = (0.22, 0.4)
        else:
            choices = (0.0, 0.25, -0.25, 0.5, -0.5, 0.8, -0.8)
        others = [c for c in found if c is not None]
        curves = [curve(source, target, bow) for bow in choices]
        costs = [_curve_cost(c, arrow, places, others, lines) for c in curves]
        found[i] = curves[int(np.argmin(costs))]
    return tuple(c for c in found if c is not None)


def _curve_cost(
    control: Array,
    arrow: Arrow,
    places: Mapping[str, Place],
    others: list[Array],
    lines: tuple[float, ...],
) -> float:
    points = bezier(control, _SAMPLES)
    outward = np.sign(control[0, 1]) if lines else 1.0
    chord, off = control[3] - control[0], points - control[0]
    area = np.abs(chord[0] * off[:, 1] - chord[1] * off[:, 0]).max()
    bow = float(area / (np.hypot(*chord) + 1e-9))
    cost = 1.2 * bow
    for id, place in places.items():
        if id not in (arrow.source, arrow.target):
            cost += 20.0 * place.contains(points, 0.06).any()
    cost += 3.0 * sum(crossings(points, bezier(o, _SAMPLES)) for o in others)
    if arrow.kind == "covariance" and (points[20, 1] - points[[0, -1], 1].mean()) * outward < 0:
        # Towards the strip, where the paths are.
        cost += 2.0
    if lines:
        inside = (points[1:-1, 1] < lines[0]) & (points[1:-1, 1] > lines[1])
        cost += 40.0 * float(inside.mean()) if arrow.kind == "covariance" else 0.0
    return cost


def _variances(
    drawn: Drawing,
    places: Mapping[str, Place],
    curves: tuple[Array, ...],
    texts: Mapping[str, str],
) -> dict[str, Variance]:
    """Each on the far side of its node from the strip, where no arrow ends."""
    lines = [bezier(c, _SAMPLES) for c in curves]
    found: dict[str, Variance] = {}
    measuring = {a.source for a in drawn.arrows if a.kind == "loading"}
    measured = {a.target for a in drawn.arrows if a.kind == "loading"} - measuring
    for id, text in texts.items():
        node, place = drawn.node(id), places[id]
        # Above what is above the strip, but below indicators in a row under their factor.
        sign = -1.0 if (node.panel == "within") != (id in measured) else 1.0
        width, height = text_size(text)
        choices = []
        for across in (0.3, -0.3, 0.0, 0.42, -0.42):
            x = place.x + across * place.width
            # Where the vertical at x leaves the node.
            high = np.sqrt(1.0 - 4.0 * across**2) if place.round else 1.0
            end = np.array([x, place.y + sign * high * place.height / 2])
            start = end + np.array([0.0, sign * 0.3])
            number = Place(x, start[1] + sign * height / 2, width, height)
            near = Place(x, (start[1] + end[1]) / 2, 0.12, 0.3)
            cost = abs(across) + sum(
                3.0 * (number.contains(line).any() + near.contains(line).any()) for line in lines
            )
            others = [*places.values(), *(v.place for v in found.values())]
            cost += 12.0 * sum(number.overlaps(p, 0.02) for p in others)
            control = start + np.linspace(0.0, 1.0, 4)[:, None] * (end - start)
            choices.append((cost, Variance(text, number, control)))
        found[id] = min(choices, key=lambda c: c[0])[1]
    return found


# -- labels -----------------------------------------------------------------------------------

_AT = (0.5, 0.42, 0.58, 0.34, 0.66, 0.27, 0.73, 0.8, 0.2)


def _labels(
    drawn: Drawing,
    fixed: list[Place],
    curves: tuple[Array, ...],
    dots: Mapping[int, Array],
    texts: Mapping[int, str],
) -> dict[int, tuple[str, Place]]:
    """Each label on its arrow, where it covers least; placed in turns until nothing moves."""
    lines = [bezier(c, _SAMPLES) for c in curves]
    found: dict[int, Place] = {}

    def choices(i: int) -> list[tuple[float, Place]]:
        width, height = text_size(texts[i])
        best = 0.7 if drawn.arrows[i].kind == "loading" else 0.5
        made = []
        for t in _AT:
            x, y = bezier(curves[i], np.array([t]))[0]
            # Beside the dot of a varying path, not on it.
            up = 0.2 if i in dots else 0.0
            made.append((2.0 * abs(t - best), Place(x, y + up, width, height)))
        return made

    def cost(i: int, place: Place) -> float:
        total = 12.0 * sum(place.overlaps(p, 0.02) for p in fixed)
        total += 12.0 * sum(place.overlaps(p, 0.02) for j, p in found.items() if j != i)
        return total + 3.0 * sum(
            place.contains(line).any() for j, line in enumerate(lines) if j != i
        )

    for _ in range(4):
        for i in texts:
            tried = choices(i)
            costs = [far + cost(i, place) for far, place in tried]
            found[i] = tried[int(np.argmin(costs))][1]
    return {i: (texts[i], place) for i, place in found.items()}
