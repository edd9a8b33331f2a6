"""Plots of fits, on arviz-plots."""

from bmsem.plots.accessor import Plots

__all__ = ["Plots"]
