"""Path diagrams of models and fits."""

from bmsem.diagrams.diagram import diagram
from bmsem.diagrams.render import Diagram, GraphvizMissing

__all__ = ["Diagram", "GraphvizMissing", "diagram"]
