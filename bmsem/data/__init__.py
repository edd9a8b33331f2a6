"""Data: reading, transforming, checking, and reducing to sufficient statistics."""

from bmsem.data.bind import bind, observed_products
from bmsem.data.bound import BoundModel, People, assemble
from bmsem.data.missing import Incomplete, MissingTable
from bmsem.data.read import read_data

__all__ = [
    "BoundModel",
    "Incomplete",
    "MissingTable",
    "People",
    "assemble",
    "bind",
    "observed_products",
    "read_data",
]
