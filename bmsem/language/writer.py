"""A spec written back as formula text."""

from __future__ import annotations

from itertools import groupby

from bmsem.expressions import quoted
from bmsem.language.tokens import HEADERS
from bmsem.spec import Interaction, Level, ModelSpec, Parameter

# Words of the language. Between back-quotes they are names like any other.
_RESERVED = {*HEADERS, "na", "xwith", "sd", "cor"}


def write_formula(spec: ModelSpec) -> str:
    """Formula text that reads back as the same spec.

    Every row and every declaration is written, so that nothing depends on defaults or on what the
    data would decide.

    Parameters
    ----------
    spec
        Any spec, from whatever language it came.

    Examples
    --------
    >>> from bmsem.language import parse_formula
    >>> spec = parse_formula("y ~ b*x")
    >>> print(write_formula(spec), end="")
    y ~ b*x
    y ~ 1
    y ~~ y
    >>> parse_formula(write_formula(spec)) == spec
    True
    """
    levels = _levels(spec)
    lines: list[str] = []
    if spec.cluster:
        lines.append(f"cluster: {_name(spec.cluster)}")
    if None not in levels:
        for word, names in (("within", spec.within_only), ("between", spec.between_only)):
            if names:
                lines.append(f"{word}: {', '.join(map(_name, names))}")
    if spec.auxiliary:
        lines.append(f"auxiliary: {', '.join(map(_name, spec.auxiliary))}")
    if spec.transforms:
        lines.append("define:")
        for transform in spec.transforms:
            made = str(transform).removeprefix(f"{transform.name} = ")
            lines.append(f"  {_name(transform.name)} = {made}")
    for level in levels:
        body = _level(spec, level)
        if level is None:
            lines += body
        else:
            lines += [f"level: {level}", *(f"  {line}" for line in body)]
    lines += [f"{_name(d.name)} := {d.expression}" for d in spec.definitions]
    lines += [str(c) for c in spec.constraints]
    if spec.standards:
        lines.append("standards:")
        lines += [f"  {name} = {_number(value)}" for name, value in spec.standards]
    return "\n".join(lines) + "\n"


def _levels(spec: ModelSpec) -> list[Level]:
    used: set[Level] = {p.level for p in spec.parameters} | {i.level for i in spec.interactions}
    if spec.slopes:
        used.add("within")
    order: tuple[Level, ...] = ("within", "between", None)
    return [level for level in order if level in used]


def _level(spec: ModelSpec, level: Level) -> list[str]:
    lines = []
    if level == "within":
        for slope in spec.slopes:
            lines.append(f"{_name(slope.name)} | {_name(slope.outcome)} ~ {_name(slope.predictor)}")
    predictors = {row.rhs for row in spec.at(level, "~")}
    inline: dict[str, Interaction] = {}
    for product in spec.interactions:
        if product.level != level:
            continue
        if product.name == f"{product.left}:{product.right}" and product.name in predictors:
            inline[product.name] = product
        else:
            pair = f"{_name(product.left)} XWITH {_name(product.right)}"
            lines.append(f"{_name(product.name)} | {pair}")
    # Only neighbours are joined, so that the rows read back in the same order.
    for (left, _, _), rows in groupby(spec.at(level), key=_left):
        lines.append(f"{left} {' + '.join(_term(row, inline) for row in rows)}")
    return lines


def _left(row: Parameter) -> tuple[str, str, bool]:
    op = "~" if row.op == "~1" else row.op
    return f"{_name(row.lhs)} {op}", row.op, row.is_variance


def _term(row: Parameter, inline: dict[str, Interaction]) -> str:
    product = inline.get(row.rhs) if row.op == "~" else None
    if row.op == "~1":
        target = "1"
    elif product is not None:
        target = f"{_name(product.left)}:{_name(product.right)}"
    else:
        target = _name(row.rhs)
    parts = []
    if row.label is not None:
        parts.append(_name(row.label))
    if row.fixed is not None:
        parts.append(_number(row.fixed))
    elif row.op == "=~":
        # A first loading would be fixed at one.
        parts.append("NA")
    if row.prior is not None:
        parts.append(f'prior("{row.prior}")')
    for modifier, value in (("start", row.start), ("lower", row.lower), ("upper", row.upper)):
        if value is not None:
            parts.append(f"{modifier}({_number(value)})")
    return "*".join([*parts, target])


def _name(name: str) -> str:
    return f"`{name}`" if name.lower() in _RESERVED else quoted(name)


def _number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")
