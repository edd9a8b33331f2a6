"""Priors as a table that can be read before anything is sampled."""

from bmsem.priors.assign import prior_table
from bmsem.priors.presets import PRESETS
from bmsem.priors.table import ParameterPrior, PriorTable

__all__ = ["PRESETS", "ParameterPrior", "PriorTable", "prior_table"]
