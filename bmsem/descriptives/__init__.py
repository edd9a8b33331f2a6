"""What data look like by level before a model is fitted."""

from bmsem.descriptives.describe import Descriptives, describe
from bmsem.descriptives.intraclass import design_effects, intraclass_correlations

__all__ = ["Descriptives", "describe", "design_effects", "intraclass_correlations"]
