"""What a path diagram shows of a model: nodes and arrows, without places.

The conventions are those of Jaccard, *Group Administered Interventions and Cluster Designs*
("Influence Diagrams for Multilevel SEM", Figures 25.1 to 25.3): observed variables are boxes in a row
between two lines; their between-cluster parts are ovals above it, their within-cluster parts ovals
below; a variable of one level only is a box at its level; a path that varies between clusters has a
black dot; residual correlations are curves with two heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bmsem.errors import ModelError
from bmsem.spec import Level, ModelSpec, Parameter

Panel = Literal["between", "strip", "within"]
Shape = Literal["box", "oval", "product"]
Kind = Literal["path", "loading", "covariance", "part", "factor of product"]


@dataclass(frozen=True)
class Node:
    """A variable, a part of one, or a product.

    ``id`` is unique; ``name`` is what is written in it; variables of one ``column`` stand above each
    other.
    """

    id: str
    name: str
    panel: Panel
    shape: Shape
    column: str


@dataclass(frozen=True)
class Arrow:
    """An arrow from one node to another, of a row of the parameter table if there is one.

    ``varying`` is the name of the slope that a path has in each cluster.
    """

    source: str
    target: str
    kind: Kind
    row: Parameter | None = None
    varying: str = ""


@dataclass(frozen=True)
class Drawing:
    """Nodes and arrows of a model.

    Attributes
    ----------
    nodes, arrows
        In the order of the model.
    panels
        That are drawn, from top to bottom.
    """

    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]
    panels: tuple[Panel, ...]

    def node(self, id: str) -> Node:
        """By its id."""
        return next(n for n in self.nodes if n.id == id)


def drawing(spec: ModelSpec, level: str | None = None) -> Drawing:
    """What there is to draw of a model, or of one of its levels.

    Raises
    ------
    ModelError
        If the model has no such level.
    """
    if level is not None and (not spec.multilevel or level not in ("within", "between")):
        levels = "'within' and 'between'" if spec.multilevel else "no levels"
        raise ModelError(f"There is no level '{level}' to draw: the model has {levels}.")
    every: tuple[Level, ...] = ("between", "within") if spec.multilevel else (None,)
    chosen = [v for v in every if level is None or v == level]
    made = [_Panel(spec, v) for v in chosen]
    nodes = [n for panel in made for n in panel.nodes()]
    arrows = [a for panel in made for a in panel.arrows()]
    if not spec.multilevel:
        return Drawing(tuple(nodes), tuple(arrows), ("between",))
    used = {v for panel in made for v in panel.boxes()}
    strip = [Node(f"box {v}", v, "strip", "box", v) for v in spec.split if v in used]
    panels: list[Panel] = [v for v in ("between", "strip", "within") if v in (*chosen, "strip")]
    return Drawing((*nodes, *strip), tuple(arrows), tuple(panels))


class _Panel:
    """One level of a model."""

    def __init__(self, spec: ModelSpec, level: Level) -> None:
        self.spec, self.level = spec, level
        self.panel: Panel = "within" if level == "within" else "between"
        self.rows = [r for r in spec.at(level) if r.free or r.fixed]
        self.factors = spec.latent_at(level)
        slopes = {s.name for s in spec.slopes}
        self.slopes = tuple(s.name for s in spec.slopes) if level == "between" else ()
        self.factors = tuple(f for f in self.factors if f not in slopes)
        self.products = [p for p in spec.interactions if p.level == level]
        only = spec.within_only if level == "within" else spec.between_only
        products = {p.name for p in spec.interactions}
        self.observed = tuple(v for v in only if v not in products)
        self.indicators = {r.rhs for r in self.rows if r.op == "=~"}

    def parts(self) -> list[str]:
        """Split variables that have an oval at this level.

        An indicator needs none where its factor's arrow can point at its box.
        """
        if self.level is None:
            return []
        measured = {r.rhs for r in self.spec.parameters if r.op == "=~"}
        structural = {v for r in self.rows if r.op == "~" for v in (r.lhs, r.rhs)}
        structural |= {v for r in self.rows if r.is_covariance for v in (r.lhs, r.rhs)}
        structural |= {v for p in self.products for v in (p.left, p.right)}
        if self.level == "within":
            structural |= {v for s in self.spec.slopes for v in (s.outcome, s.predictor)}
        keep = {v for v in structural if v not in self.indicators or self._in_paths(v)}
        return [v for v in self.spec.split if v not in measured or v in keep]

    def _in_paths(self, name: str) -> bool:
        return any(r.op == "~" and name in (r.lhs, r.rhs) for r in self.rows)

    def boxes(self) -> list[str]:
        """Split variables that this level needs a box in the strip for."""
        return [*self.parts(), *(v for v in self.spec.split if v in self.indicators)]

    def nodes(self) -> list[Node]:
        def made(name: str, shape: Shape, column: str = "") -> Node:
            return Node(f"{self.panel} {name}", name, self.panel, shape, column or name)

        own = f"{self.panel} " if self.spec.multilevel else ""
        return [
            *(made(v, "box") for v in self.observed),
            *(made(v, "oval") for v in self.parts()),
            *(made(f, "oval", f"{own}{f}") for f in (*self.factors, *self.slopes)),
            *(made(p.name, "product", f"{own}{p.name}") for p in self.products),
        ]

    def arrows(self) -> list[Arrow]:
        known = {n.name: n.id for n in self.nodes()}

        def end(name: str) -> str:
            return known.get(name, f"box {name}")

        arrows = [Arrow(end(v), f"box {v}", "part") for v in self.parts()]
        for product in self.products:
            for name in dict.fromkeys((product.left, product.right)):
                arrows.append(Arrow(end(name), end(product.name), "factor of product"))
        for row in self.rows:
            if row.op == "~":
                arrows.append(Arrow(end(row.rhs), end(row.lhs), "path", row))
            elif row.op == "=~":
                arrows.append(Arrow(end(row.lhs), end(row.rhs), "loading", row))
            elif row.is_covariance:
                arrows.append(Arrow(end(row.lhs), end(row.rhs), "covariance", row))
        if self.level == "within":
            for slope in self.spec.slopes:
                arrows.append(
                    Arrow(end(slope.predictor), end(slope.outcome), "path", varying=slope.name)
                )
        return arrows
