"""Data: reading, transforming, checking, and reducing to sufficient statistics."""

from bmsem.data.bind import BoundModel, People, assemble, bind, observed_products
from bmsem.data.read import read_data

__all__ = ["BoundModel", "People", "assemble", "bind", "observed_products", "read_data"]
