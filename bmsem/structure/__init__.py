"""A spec as matrices over one vector of free parameters: it knows no data."""

from bmsem.structure.build import ProductPlace, SlopePlace, Structure, build_structure
from bmsem.structure.free import FreeParameter, Kind, free_parameters, kind_of
from bmsem.structure.level import LevelStructure

__all__ = [
    "FreeParameter",
    "Kind",
    "LevelStructure",
    "ProductPlace",
    "SlopePlace",
    "Structure",
    "build_structure",
    "free_parameters",
    "kind_of",
]
