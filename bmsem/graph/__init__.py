"""PyMC graphs of bound models. Importing this package imports PyMC."""

from bmsem.graph.build import build_graph

__all__ = ["build_graph"]
