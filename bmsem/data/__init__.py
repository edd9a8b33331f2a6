"""Data: reading, transforming, checking, and reducing to sufficient statistics."""

from bmsem.data.bind import BoundModel, bind
from bmsem.data.read import read_data

__all__ = ["BoundModel", "bind", "read_data"]
