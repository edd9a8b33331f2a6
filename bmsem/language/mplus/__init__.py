"""Mplus input files."""

from bmsem.language.mplus.input import MplusInput
from bmsem.language.mplus.reader import parse_mplus

__all__ = ["MplusInput", "parse_mplus"]
