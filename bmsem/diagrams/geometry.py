"""Points, boxes and curves, in inches; y grows upwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """A node's or a label's middle and size; ``round`` for an ellipse."""

    x: float
    y: float
    width: float
    height: float
    round: bool = False

    @property
    def middle(self) -> Array:
        return np.array([self.x, self.y])

    def overlaps(self, other: Place, gap: float = 0.0) -> bool:
        """Whether two boxes are nearer to each other than ``gap``."""
        return (
            abs(self.x - other.x) < (self.width + other.width) / 2 + gap
            and abs(self.y - other.y) < (self.height + other.height) / 2 + gap
        )

    def contains(self, points: Array, gap: float = 0.0) -> NDArray[np.bool_]:
        """Which of the points (n, 2) lie inside."""
        dx = np.abs(points[:, 0] - self.x) / (self.width / 2 + gap)
        dy = np.abs(points[:, 1] - self.y) / (self.height / 2 + gap)
        return dx**2 + dy**2 < 1.0 if self.round else (dx < 1.0) & (dy < 1.0)


def bezier(control: Array, at: Array) -> Array:
    """Points (n, 2) of a cubic curve with ``control`` points (4, 2)."""
    t = at[:, None]
    return (
        (1 - t) ** 3 * control[0]
        + 3 * (1 - t) ** 2 * t * control[1]
        + 3 * (1 - t) * t**2 * control[2]
        + t**3 * control[3]
    )


_FINE = np.linspace(0.0, 1.0, 201)


def curve(source: Place, target: Place, bow: float = 0.0) -> Array:
    """Control points (4, 2) from edge to edge; ``bow`` is how far it leaves the straight line.

    Positive to the left of the direction from source to target.
    """
    start, end = source.middle, target.middle
    along = end - start
    length = float(np.hypot(*along)) or 1.0
    left = np.array([-along[1], along[0]]) / length
    # A cubic's middle is three quarters of the way to its inner control points.
    lift = left * bow / 0.75
    # A bow leaves its nodes steeply, so that it is seen as one between near nodes too.
    near = 0.25 if bow == 0 else 0.1
    control = np.array([start, start + along * near + lift, start + along * (1 - near) + lift, end])
    points = bezier(control, _FINE)
    outside = ~source.contains(points) & ~target.contains(points)
    if not outside.any():
        return control
    first, last = _FINE[np.flatnonzero(outside)[[0, -1]]]
    return _between(control, float(first), float(last))


def _between(control: Array, first: float, last: float) -> Array:
    """The part of a curve between two of its parameters (de Casteljau)."""

    def split(c: Array, t: float) -> tuple[Array, Array]:
        a = c[:-1] * (1 - t) + c[1:] * t
        b = a[:-1] * (1 - t) + a[1:] * t
        m = b[0] * (1 - t) + b[1] * t
        return np.array([c[0], a[0], b[0], m]), np.array([m, b[1], a[2], c[3]])

    _, right = split(control, first)
    return split(right, (last - first) / (1 - first))[0]


def crossings(a: Array, b: Array) -> int:
    """How often two polylines (n, 2), (m, 2) cross."""
    p, r = a[:-1, None], (a[1:] - a[:-1])[:, None]
    q, s = b[None, :-1], (b[1:] - b[:-1])[None]

    def cross(u: Array, v: Array) -> Array:
        return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]

    below = cross(r, s)
    with np.errstate(divide="ignore", invalid="ignore"):
        t, u = cross(q - p, s) / below, cross(q - p, r) / below
    return int(((t > 0) & (t < 1) & (u > 0) & (u < 1)).sum())
