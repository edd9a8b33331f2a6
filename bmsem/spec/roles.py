"""What every variable is: its levels, whether it is latent, whether it has both parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from bmsem.errors import ModelError, ModelSyntaxError, Place, did_you_mean
from bmsem.spec.statements import Statements
from bmsem.spec.table import Level


@dataclass(frozen=True)
class Roles:
    """Observed variables by the levels that they have parts at, factors by level, and what to say."""

    levels: tuple[Level, ...]
    latent: dict[Level, tuple[str, ...]]
    split: tuple[str, ...]
    within_only: tuple[str, ...]
    between_only: tuple[str, ...]
    notes: list[str]

    def observed(self, level: Level) -> tuple[str, ...]:
        """Observed variables that have a part at the level."""
        if level == "within":
            return self.split + self.within_only
        if level == "between":
            return self.split + self.between_only
        return self.between_only


def roles_of(
    statements: Statements, told_split: frozenset[str], told_between: frozenset[str]
) -> Roles:
    """What each variable is, by how it is used and declared, and by what the data told of it.

    Raises
    ------
    ModelError
        If a variable is used where it has no part, or is unknown.
    """
    used: dict[Level, dict[str, None]] = {}
    outcomes: dict[Level, set[str]] = {}
    latent: dict[Level, dict[str, None]] = {}
    for statement in statements.rows:
        row = statement.row
        names = used.setdefault(row.level, {})
        names.update(dict.fromkeys(name for name in (row.lhs, row.rhs) if name))
        if row.op == "=~":
            latent.setdefault(row.level, {})[row.lhs] = None
            outcomes.setdefault(row.level, set()).add(row.rhs)
        elif row.op == "~":
            outcomes.setdefault(row.level, set()).add(row.lhs)
    for slope in statements.slopes:
        used.setdefault("within", {}).update({slope.outcome: None, slope.predictor: None})
        outcomes.setdefault("within", set()).add(slope.outcome)
        latent.setdefault("between", {})[slope.name] = None
    products: set[str] = set()
    for product in statements.interactions:
        used.setdefault(product.level, {}).update({product.left: None, product.right: None})
        products.add(product.name)

    single = None in used or (not used and not statements.levels)
    factors = {name for names in latent.values() for name in names}

    def observed(level: Level) -> list[str]:
        at = latent.get(level, {})
        return [n for n in used.get(level, {}) if n not in at and n not in products]

    notes: list[str] = []
    if single:
        extra = statements.auxiliary
        seen = (*(n for n in observed(None) if n not in extra), *extra)
        _unknown(seen, statements, factors)
        return Roles((None,), {None: tuple(latent.get(None, {}))}, (), (), seen, notes)

    within, between = observed("within"), observed("between")
    for name in statements.auxiliary:
        if name in factors or name in products:
            fail(
                f"the auxiliary variable '{name}' is not observed",
                statements,
                name,
                "Auxiliary variables are columns of the data.",
            )
    sides: tuple[tuple[Level, Level, list[str]], ...] = (
        ("within", "between", within),
        ("between", "within", between),
    )
    for own, other, found in sides:
        for name in found:
            if name in latent.get(other, {}):
                fail(
                    f"'{name}' stands at the {other} level only, but is used at the {own} level",
                    statements,
                    name,
                    f"A factor belongs to one level. Define one at the {own} level too, or let the path "
                    f"within clusters vary (s | y ~ x) and regress s on '{name}'.",
                )
    declared_within = set(statements.within_only)
    declared_between = set(statements.between_only)
    # A Mplus file lists what it uses: a variable there is in the model even if unmentioned.
    listed = list(statements.known or ()) if statements.split_by_default else []
    named = dict.fromkeys([*listed, *within, *between])
    everything = [*(n for n in named if n not in statements.auxiliary), *statements.auxiliary]
    _unknown(everything, statements, factors)
    for name, wrong, right in (
        *((n, "between", "within") for n in between if n in declared_within),
        *((n, "within", "between") for n in within if n in declared_between),
    ):
        fail(
            f"'{name}' is declared {right}-only but used at the {wrong} level",
            statements,
            name,
            f"Take it out of the {right}-only declaration, or out of the {wrong} block.",
        )
    roles: dict[str, list[str]] = {"split": [], "within": [], "between": []}
    for name in everything:
        if name in declared_within:
            roles["within"].append(name)
        elif name in declared_between or name in told_between:
            roles["between"].append(name)
        elif name in told_split or statements.split_by_default or name in statements.auxiliary:
            roles["split"].append(name)
        elif name not in within:
            roles["between"].append(name)
        elif name not in between and name not in outcomes.get("within", ()):
            roles["within"].append(name)
            notes.append(
                f"{name} predicts at the within level only: it is conditioned on as it is, "
                f"differences between clusters included; use it at the between level too to "
                f"separate its within and between effects."
            )
        else:
            roles["split"].append(name)
    return Roles(
        ("within", "between"),
        {level: tuple(latent.get(level, {})) for level in ("within", "between")},
        tuple(roles["split"]),
        tuple(roles["within"]),
        tuple(roles["between"]),
        notes,
    )


def _unknown(names: Iterable[str], statements: Statements, factors: set[str]) -> None:
    if statements.known is None:
        return
    known = set(statements.known)
    for name in names:
        if name not in known:
            fail(
                f"unknown variable '{name}'",
                statements,
                name,
                did_you_mean(name, [*known, *factors]),
            )


def fail(message: str, statements: Statements, names: str | tuple[str, ...], hint: str) -> NoReturn:
    """Raise with the place of the first of the names that has one."""
    places = dict(statements.places)
    for name in (names,) if isinstance(names, str) else names:
        place: Place | None = places.get(name)
        if place is not None:
            raise ModelSyntaxError(message, place, hint=hint)
    raise ModelError(f"{message[0].upper()}{message[1:]}. {hint}")
