"""A spec written back as formula text."""

from __future__ import annotations

import re
from itertools import groupby

from bmsem.spec import Level, ModelSpec, Parameter

_PLAIN = re.compile(r"[^\W\d][\w.]*")
_RESERVED = {"NA", "level", "within", "between", "cluster", "define", "priors", "sd", "cor"}


def write_formula(spec: ModelSpec) -> str:
    """Formula text that reads back as the same spec.

    Every row is written, so that nothing depends on defaults.

    Examples
    --------
    >>> from bmsem.language import parse_formula
    >>> spec = parse_formula("y ~ b*x")
    >>> parse_formula(write_formula(spec)) == spec
    True
    """
    lines: list[str] = []
    if spec.cluster:
        lines.append(f"cluster: {_name(spec.cluster)}")
    if spec.multilevel:
        for word, names in (("within", spec.within_only), ("between", spec.between_only)):
            if names:
                lines.append(f"{word}: {', '.join(map(_name, names))}")
    if spec.transforms:
        lines.append("define:")
        for transform in spec.transforms:
            _, _, made = str(transform).partition(" = ")
            lines.append(f"  {_name(transform.name)} = {made}")
    for level in spec.levels:
        body = _level(spec, level)
        if level is None:
            lines += body
        else:
            lines += [f"level: {level}", *(f"  {line}" for line in body)]
    lines += [f"{_name(d.name)} := {d.expression}" for d in spec.definitions]
    lines += [str(c) for c in spec.constraints]
    return "\n".join(lines) + "\n"


def _level(spec: ModelSpec, level: Level) -> list[str]:
    lines = []
    if level != "between":
        for slope in spec.slopes:
            lines.append(f"{_name(slope.name)} | {_name(slope.outcome)} ~ {_name(slope.predictor)}")
    inline = set()
    for product in spec.interactions:
        if product.level != level:
            continue
        if product.name == f"{product.left}:{product.right}":
            inline.add(product.name)
        else:
            lines.append(
                f"{_name(product.name)} | {_name(product.left)} XWITH {_name(product.right)}"
            )
    # Only neighbours are joined, so that the rows read back in the same order.
    for (left, _, _), rows in groupby(spec.at(level), key=_left):
        lines.append(f"{left} {' + '.join(_term(row, inline) for row in rows)}")
    return lines


def _left(row: Parameter) -> tuple[str, str, bool]:
    op = "~" if row.op == "~1" else row.op
    return f"{_name(row.lhs)} {op}", row.op, row.is_variance


def _term(row: Parameter, inline: set[str]) -> str:
    if row.op == "~1":
        target = "1"
    elif row.rhs in inline:
        target = ":".join(map(_name, row.rhs.split(":", 1)))
    else:
        target = _name(row.rhs)
    parts = []
    if row.label is not None:
        plain = _PLAIN.fullmatch(row.label) and row.label != "NA"
        parts.append(row.label if plain else f'label("{row.label}")')
    if row.fixed is not None:
        parts.append(repr(row.fixed).removesuffix(".0"))
    elif row.op == "=~":
        parts.append("NA")
    if row.start is not None:
        parts.append(f"start({row.start!r})")
    if row.prior is not None:
        parts.append(f'prior("{row.prior}")')
    if row.lower is not None:
        parts.append(f"lower({row.lower!r})")
    if row.upper is not None:
        parts.append(f"upper({row.upper!r})")
    return "*".join([*parts, target])


def _name(name: str) -> str:
    plain = _PLAIN.fullmatch(name) and name not in _RESERVED
    return name if plain else f"`{name}`"
