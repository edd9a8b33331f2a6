"""A parameter table as text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bmsem.tables import Grid, Row

if TYPE_CHECKING:
    from bmsem.spec.table import ModelSpec, Parameter


def _roles(spec: ModelSpec) -> list[tuple[str, str]]:
    """What the variables are, in words."""
    extra, spec = spec.auxiliary, spec.without_auxiliary
    factors = [f"{name} ({level})" if level else name for level, name in spec.latent]
    found = [
        ("within and between", ", ".join(spec.split)),
        ("within only", ", ".join(spec.within_only)),
        ("between only" if spec.multilevel else "observed", ", ".join(spec.between_only)),
        ("latent", ", ".join(factors)),
        ("cluster", spec.cluster or ""),
        ("auxiliary", ", ".join(extra)),
    ]
    return [(title, names) for title, names in found if names]


def spec_grid(spec: ModelSpec, title: str, notes: tuple[str, ...] = ()) -> Grid:
    """A parameter table as text cells: rows by level, then what is made from them."""
    rows: list[Row] = []
    roles, spec = _roles(spec), spec.without_auxiliary
    for level in dict.fromkeys(p.level for p in spec.parameters):
        rows.append(Row((f"{level.title()} Level" if level else "Parameters",), True, 1))
        rows += [
            Row((p.name, p.label or "", _status(replace(p, label=None))), depth=1)
            for p in spec.at(level)
        ]
    for head, items in (
        ("Varying slopes", spec.slopes),
        ("Interactions", spec.interactions),
        ("Variables made from others", spec.transforms),
        ("Defined", spec.definitions),
        ("Constraints", spec.constraints),
        ("Standards of meaningfulness", [f"{n} = {v:g}" for n, v in spec.standards]),
    ):
        if items:
            rows.append(Row((head,), True, 1))
            rows += [Row((str(item), "", ""), depth=1) for item in items]
    lead = tuple(f"{role}: {names}" for role, names in roles)
    return Grid(
        ("Parameter", "Label", ""), tuple(rows), title, lead, (*spec.notes, *notes), (0, 1, 2)
    )


def describe(spec: ModelSpec) -> str:
    """Variables, rows, definitions and notes, as `print(spec)` shows them."""
    lines = ["ModelSpec"]
    lines += [f"  {title + ':':<20}{names}" for title, names in _roles(spec)]
    spec = spec.without_auxiliary
    for title, items in (
        ("transforms", spec.transforms),
        ("varying slopes", spec.slopes),
        ("interactions", spec.interactions),
    ):
        if items:
            lines += [f"  {title}:", *(f"    {item}" for item in items)]
    width = max((len(p.name) for p in spec.parameters), default=0)
    for level in dict.fromkeys(p.level for p in spec.parameters):
        lines.append(f"  level: {level}" if level else "  parameters:")
        lines += [f"    {p.name:<{width}}  {_status(p)}".rstrip() for p in spec.at(level)]
    for title, made in (("defined", spec.definitions), ("constraints", spec.constraints)):
        if made:
            lines += [f"  {title}:", *(f"    {item}" for item in made)]
    if spec.standards:
        lines.append("  standards of meaningfulness:")
        lines += [f"    {name} = {value:g}" for name, value in spec.standards]
    lines += [f"  note: {note}" for note in spec.notes]
    return "\n".join(lines)


def _status(row: Parameter) -> str:
    parts = ["free" if row.free else f"fixed at {row.fixed:g}"]
    if row.label:
        parts.append(f"label {row.label}")
    if row.start is not None:
        parts.append(f"start {row.start:g}")
    if row.prior is not None:
        parts.append(f"prior {row.prior}")
    if row.lower is not None or row.upper is not None:
        low = "-inf" if row.lower is None else f"{row.lower:g}"
        high = "inf" if row.upper is None else f"{row.upper:g}"
        parts.append(f"in [{low}, {high}]")
    return ", ".join(parts)
