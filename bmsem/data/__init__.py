"""Data: reading, transforming, checking, and reducing to sufficient statistics."""

from bmsem.data.bind import MISSING, bind, observed_products
from bmsem.data.bound import BoundModel, People, assemble
from bmsem.data.missing import Incomplete, MissingTable
from bmsem.data.read import read_data

__all__ = [
    "MISSING",
    "BoundModel",
    "Incomplete",
    "MissingTable",
    "People",
    "assemble",
    "bind",
    "observed_products",
    "read_data",
]
