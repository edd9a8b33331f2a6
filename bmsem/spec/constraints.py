"""Equality constraints solved for a label, and inequalities as bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bmsem.errors import ModelError, NotSupportedError
from bmsem.expressions import Binary, Call, Expression, Name, Negative, Node, Number
from bmsem.spec.table import Constraint, ModelSpec


@dataclass(frozen=True)
class Solved:
    """What constraints say of labels.

    Attributes
    ----------
    determined
        Labels that are functions of the others, in an order in which they can be computed.
    bounds
        Lower and upper bound by label; ``None`` where there is none.
    """

    determined: tuple[tuple[str, Expression], ...]
    bounds: dict[str, tuple[float | None, float | None]]


def solve_constraints(spec: ModelSpec) -> Solved:
    """Solve each ``==`` for one label and read each inequality as a bound.

    ``a == b`` makes a the same as b; ``0 == a - 2*b`` is solved for a. An equality is solved for the
    first of its labels in which it is linear and that no other constraint has determined.

    Raises
    ------
    ModelError
        If an equality is linear in none of its labels, or contradicts another.
    NotSupportedError
        For an inequality between more than one label.
    """
    free = {label for label, rows in spec.labels.items() if rows[0].free}
    fixed = {label: rows[0].fixed for label, rows in spec.labels.items() if not rows[0].free}
    defined = {d.name: d.expression.root for d in spec.definitions}
    determined: dict[str, Expression] = {}
    bounds: dict[str, tuple[float | None, float | None]] = {}
    for constraint in spec.constraints:
        left, right = (
            _substitute(side.root, defined, fixed, determined)
            for side in (constraint.left, constraint.right)
        )
        if constraint.relation == "==":
            label, expression = _solve(constraint, left, right, free - set(determined))
            for known, value in determined.items():
                determined[known] = Expression(_replace(value.root, {label: expression.root}))
            determined[label] = expression
        else:
            label, lower, upper = _bound(constraint, left, right, free)
            old_lower, old_upper = bounds.get(label, (None, None))
            bounds[label] = (_tighter(old_lower, lower, max), _tighter(old_upper, upper, min))
    clash = set(bounds) & set(determined)
    if clash:
        raise NotSupportedError(
            f"'{min(clash)}' is determined by an equality and has a bound too; bound the labels "
            f"that it is computed from instead."
        )
    return Solved(tuple(determined.items()), bounds)


def _solve(
    constraint: Constraint, left: Node, right: Node, candidates: set[str]
) -> tuple[str, Expression]:
    names = [n for n in _ordered_names(left, right) if n in candidates]
    for name in names:
        try:
            coefficient, rest = _linear(Binary("-", left, right), name)
        except _NotLinear:
            continue
        if isinstance(coefficient, Number) and coefficient.value == 0.0:
            continue
        solution = _divide(_negate(rest), coefficient)
        return name, Expression(solution)
    if not names:
        raise ModelError(
            f"The constraint '{constraint}' has no free label left to solve for: its labels are "
            f"fixed or determined by other constraints."
        )
    raise ModelError(
        f"The constraint '{constraint}' cannot be solved: it is linear in none of "
        f"{', '.join(names)}. Write it as label == expression."
    )


def _bound(
    constraint: Constraint, left: Node, right: Node, free: set[str]
) -> tuple[str, float | None, float | None]:
    relation = constraint.relation
    if isinstance(right, Name):
        left, right = right, left
        relation = ">" if relation == "<" else "<"
    value = Expression(right)
    if not isinstance(left, Name) or left.name not in free or value.names():
        raise NotSupportedError(
            f"The inequality '{constraint}' is not a bound on one label. Only 'label > number' and "
            f"'label < number' can be used."
        )
    number = float(value.evaluate({}))
    return (left.name, number, None) if relation == ">" else (left.name, None, number)


def _tighter(
    old: float | None, new: float | None, pick: Callable[[float, float], float]
) -> float | None:
    if old is None or new is None:
        return new if old is None else old
    return pick(old, new)


class _NotLinear(Exception):
    """The node is not linear in the name."""


_ZERO = Number(0.0)


def _linear(node: Node, name: str) -> tuple[Node, Node]:
    """Coefficient and rest of a node as a linear function of a name."""
    match node:
        case Name(own) if own == name:
            return Number(1.0), _ZERO
        case Number() | Name():
            return _ZERO, node
        case Negative(operand):
            a, b = _linear(operand, name)
            return _negate(a), _negate(b)
        case Binary(op, left, right):
            a, b = _linear(left, name)
            c, d = _linear(right, name)
            if op in "+-":
                return _add(a, c, op), _add(b, d, op)
            if op == "*":
                if c == _ZERO:
                    return _multiply(a, d), _multiply(b, d)
                if a == _ZERO:
                    return _multiply(b, c), _multiply(b, d)
            if op == "/" and c == _ZERO:
                return _divide(a, d), _divide(b, d)
            if a == _ZERO and c == _ZERO:
                return _ZERO, node
        case Call(_, arguments):
            if all(name not in Expression(a).names() for a in arguments):
                return _ZERO, node
    raise _NotLinear


def _negate(a: Node) -> Node:
    match a:
        case Number(value):
            return Number(-value) if value else a
        case Negative(operand):
            return operand
        case Binary("-", left, right):
            return Binary("-", right, left)
    return Negative(a)


def _add(a: Node, b: Node, op: str) -> Node:
    if b == _ZERO:
        return a
    if isinstance(a, Number) and isinstance(b, Number):
        return Number(a.value + b.value if op == "+" else a.value - b.value)
    if a == _ZERO:
        return b if op == "+" else _negate(b)
    return Binary(op, a, b)


def _multiply(a: Node, b: Node) -> Node:
    if a == _ZERO or b == _ZERO:
        return _ZERO
    if a == Number(1.0):
        return b
    if b == Number(1.0):
        return a
    return Binary("*", a, b)


def _divide(a: Node, b: Node) -> Node:
    if a == _ZERO or b == Number(1.0):
        return a
    if b == Number(-1.0):
        return _negate(a)
    return Binary("/", a, b)


def _replace(node: Node, values: dict[str, Node]) -> Node:
    match node:
        case Name(name):
            return values.get(name, node)
        case Negative(operand):
            return Negative(_replace(operand, values))
        case Binary(op, left, right):
            return Binary(op, _replace(left, values), _replace(right, values))
        case Call(function, arguments):
            return Call(function, tuple(_replace(a, values) for a in arguments))
    return node


def _substitute(
    node: Node,
    defined: dict[str, Node],
    fixed: dict[str, float | None],
    determined: dict[str, Expression],
) -> Node:
    """Put in definitions (of each other too), fixed values, and what is already determined."""
    for _ in range(len(defined) + 1):
        node = _replace(node, defined)
    node = _replace(node, {k: Number(v) for k, v in fixed.items() if v is not None})
    return _replace(node, {k: e.root for k, e in determined.items()})


def _ordered_names(*nodes: Node) -> list[str]:
    found: dict[str, None] = {}

    def walk(node: Node) -> None:
        match node:
            case Name(name):
                found[name] = None
            case Negative(operand):
                walk(operand)
            case Binary(_, left, right):
                walk(left)
                walk(right)
            case Call(_, arguments):
                for argument in arguments:
                    walk(argument)

    for node in nodes:
        walk(node)
    return list(found)
