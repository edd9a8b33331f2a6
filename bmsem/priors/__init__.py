"""Priors as a table that can be read before anything is sampled."""

from bmsem.priors.presets import PRESETS
from bmsem.priors.table import ParameterPrior, PriorTable, prior_table

__all__ = ["PRESETS", "ParameterPrior", "PriorTable", "prior_table"]
