"""Implied moments by the reticular action model, over plain arrays."""

from bmsem.moments.identification import unidentified
from bmsem.moments.ram import Implied, implied_moments

__all__ = ["Implied", "implied_moments", "unidentified"]
