"""What a fit says: draws, summaries, convergence, files."""

from bmsem.results.fit import Fit
from bmsem.results.storage import load

__all__ = ["Fit", "load"]
