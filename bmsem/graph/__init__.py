"""PyMC graphs of bound models. Importing this package imports PyMC."""

from bmsem.graph.build import Graph, GraphVariable, build_graph

__all__ = ["Graph", "GraphVariable", "build_graph"]
