"""Reticular action model: structure matrices and implied moments, over plain arrays."""

from bmsem.moments.free import FreeParameter, free_parameters
from bmsem.moments.ram import Implied, LevelStructure, implied_moments
from bmsem.moments.structure import Structure, build_structure

__all__ = [
    "FreeParameter",
    "Implied",
    "LevelStructure",
    "Structure",
    "build_structure",
    "free_parameters",
    "implied_moments",
]
