"""Data: reading, transforming, checking, and reducing to sufficient statistics."""

from bmsem.data.bind import BoundModel, People, assemble, bind
from bmsem.data.read import read_data

__all__ = ["BoundModel", "People", "assemble", "bind", "read_data"]
