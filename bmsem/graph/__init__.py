"""PyMC graphs of bound models. Importing this package imports PyMC."""

from bmsem.graph.build import Graph, GraphVariable, PriorGraph, build_graph, build_prior_graph

__all__ = ["Graph", "GraphVariable", "PriorGraph", "build_graph", "build_prior_graph"]
