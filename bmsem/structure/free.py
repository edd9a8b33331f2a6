"""From rows of the table to the vector of free parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bmsem.spec import ModelSpec, Parameter, Prior

Kind = Literal["loading", "path", "intercept", "variance", "covariance"]

_KINDS: dict[str, Kind] = {"=~": "loading", "~": "path", "~1": "intercept"}


def kind_of(row: Parameter) -> Kind:
    """What sort of parameter a row is."""
    if row.op == "~~":
        return "variance" if row.is_variance else "covariance"
    return _KINDS[row.op]


@dataclass(frozen=True)
class FreeParameter:
    """One entry of the parameter vector: one row, or all rows that share a label."""

    index: int
    kind: Kind
    rows: tuple[Parameter, ...]

    @property
    def name(self) -> str:
        """The label if there is one, else the row with its level."""
        return self.rows[0].label or self.rows[0].full_name

    @property
    def full_name(self) -> str:
        """The first row with its level, whatever its label."""
        return self.rows[0].full_name

    @property
    def label(self) -> str | None:
        return self.rows[0].label

    @property
    def prior(self) -> Prior | None:
        return self.rows[0].prior

    @property
    def start(self) -> float | None:
        return self.rows[0].start


def free_parameters(spec: ModelSpec) -> tuple[FreeParameter, ...]:
    """The free parameters of a model, in the order of the table.

    Rows that share a label are one parameter. A label on rows of different kinds is allowed (a path
    equal to a loading, say); the kind of the first row then decides its prior.
    """
    groups: dict[object, list[Parameter]] = {}
    for row in spec.parameters:
        if row.free:
            groups.setdefault(row.label if row.label is not None else row.key, []).append(row)
    return tuple(
        FreeParameter(i, kind_of(rows[0]), tuple(rows)) for i, rows in enumerate(groups.values())
    )
