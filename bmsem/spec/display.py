"""A parameter table as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bmsem.spec.table import ModelSpec, Parameter


def describe(spec: ModelSpec) -> str:
    """Variables, rows, definitions and notes, as `print(spec)` shows them."""
    lines = ["ModelSpec"]
    for title, names in (
        ("within and between", spec.split),
        ("within only", spec.within_only),
        ("between only" if spec.multilevel else "observed", spec.between_only),
    ):
        if names:
            lines.append(f"  {title + ':':<20}{', '.join(names)}")
    factors = [f"{name} ({level})" if level else name for level, name in spec.latent]
    if factors:
        lines.append(f"  {'latent:':<20}{', '.join(factors)}")
    if spec.cluster:
        lines.append(f"  {'cluster:':<20}{spec.cluster}")
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
