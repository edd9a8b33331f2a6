"""What a fit says: draws, summaries, convergence, files."""

from bmsem.results.fit import FitResults
from bmsem.results.storage import load

__all__ = ["FitResults", "load"]
