"""What the user wrote, statement by statement, before defaults are filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bmsem.errors import ModelError, ModelSyntaxError, Place
from bmsem.expressions import Expression
from bmsem.spec.table import (
    Constraint,
    Definition,
    Interaction,
    Level,
    Parameter,
    Prior,
    RandomSlope,
    Transform,
)
from bmsem.spec.targets import Target


@dataclass(frozen=True)
class Statement:
    """A parameter that the user named, with what was said about it.

    ``freed`` records an explicit request to estimate (``NA*x`` or Mplus's ``*``), which overrides
    the default of fixing a first loading.
    """

    row: Parameter
    freed: bool = False
    place: Place | None = None


@dataclass(frozen=True)
class PriorStatement:
    """A prior given apart from the parameter, to a label, a row, or a group."""

    target: Target
    prior: Prior
    place: Place | None = None


@dataclass(frozen=True)
class Statements:
    """All that was said, immutable; `bmsem.spec.complete` makes a `ModelSpec` of it.

    ``known`` are the observed variables if the source lists them (Mplus's USEVARIABLES), else
    ``None``. ``split_by_default`` says what an undeclared variable is that is used at one level
    only: Mplus splits it, formula text infers its role (see `bmsem.spec.defaults`).
    """

    rows: tuple[Statement, ...] = ()
    definitions: tuple[Definition, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    transforms: tuple[Transform, ...] = ()
    slopes: tuple[RandomSlope, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    within_only: tuple[str, ...] = ()
    between_only: tuple[str, ...] = ()
    cluster: str | None = None
    known: tuple[str, ...] | None = None
    split_by_default: bool = False
    levels: tuple[Level, ...] = ()
    places: tuple[tuple[str, Place], ...] = ()
    priors: tuple[PriorStatement, ...] = ()
    standards: tuple[tuple[str, float], ...] = ()
    auxiliary: tuple[str, ...] = ()


@dataclass
class StatementBuilder:
    """Collects statements while a text is read; repeated mentions of a parameter are merged."""

    known: tuple[str, ...] | None = None
    split_by_default: bool = False
    cluster: str | None = None
    _rows: dict[tuple[Level, str, str, str], Statement] = field(default_factory=dict)
    _definitions: list[Definition] = field(default_factory=list)
    _constraints: list[Constraint] = field(default_factory=list)
    _transforms: list[Transform] = field(default_factory=list)
    _slopes: list[RandomSlope] = field(default_factory=list)
    _interactions: list[Interaction] = field(default_factory=list)
    _within: list[str] = field(default_factory=list)
    _between: list[str] = field(default_factory=list)
    _levels: list[Level] = field(default_factory=list)
    _places: dict[str, Place] = field(default_factory=dict)
    _priors: list[PriorStatement] = field(default_factory=list)
    _standards: dict[str, float] = field(default_factory=dict)
    _auxiliary: list[str] = field(default_factory=list)

    def level(self, level: Level) -> None:
        """A level block was opened."""
        if level not in self._levels:
            self._levels.append(level)

    def mention(self, name: str, place: Place) -> None:
        """Remember where a name was first used, for errors that only the data can show."""
        self._places.setdefault(name, place)

    def parameter(
        self,
        level: Level,
        lhs: str,
        op: str,
        rhs: str = "",
        *,
        label: str | None = None,
        fixed: float | None = None,
        freed: bool = False,
        start: float | None = None,
        prior: Prior | None = None,
        lower: float | None = None,
        upper: float | None = None,
        place: Place | None = None,
    ) -> None:
        """Mention a parameter. A second mention adds what the first left open.

        Raises
        ------
        ModelSyntaxError
            If two mentions give it different fixed values, labels, starting values or priors, or
            it is both fixed and freed.
        """
        row = Parameter(level, lhs, op, rhs, label, fixed, start, prior, lower, upper)
        self.level(level)
        if place is not None:
            for name in (lhs, rhs):
                self._places.setdefault(name, place)
        before = self._rows.get(row.key)
        was_fixed = before is not None and before.row.fixed is not None
        was_freed = before is not None and before.freed
        if (freed or was_freed) and (fixed is not None or was_fixed):
            self._fail(f"{row.full_name} is both fixed and freed", place, "Keep one of them.")
        if before is None:
            self._rows[row.key] = Statement(row, freed, place)
            return
        changes: dict[str, Any] = {}
        for what in ("label", "fixed", "start", "prior", "lower", "upper"):
            old, new = getattr(before.row, what), getattr(row, what)
            if new is None:
                continue
            if old is not None and old != new:
                self._fail(
                    f"{row.full_name} is given two different {_WORDS[what]}: {old} and {new}",
                    place,
                    "Keep one of them.",
                )
            changes[what] = new
        self._rows[row.key] = Statement(
            replace(before.row, **changes), freed or before.freed, before.place or place
        )

    def define(
        self,
        name: str,
        expression: Expression,
        place: Place | None = None,
        uses: Mapping[str, Place] | None = None,
    ) -> None:
        """Add ``name := expression``; ``uses`` says where the expression names each label."""
        if any(d.name == name for d in self._definitions):
            self._fail(f"'{name}' is defined twice", place, "Give the second one another name.")
        definition = Definition(name, expression)
        self._definitions.append(definition)
        self._uses(definition, uses)
        if place is not None:
            self._places.setdefault(name, place)

    def prior(
        self,
        target: Target,
        prior: Prior,
        place: Place | None = None,
    ) -> None:
        """Give a prior to a label, a row or a group."""
        self._priors.append(PriorStatement(target, prior, place))

    def standard(self, name: str, value: float, place: Place | None = None) -> None:
        """Say what an effect must exceed to matter."""
        if name in self._standards:
            self._fail(f"'{name}' has two standards", place, "Keep one of them.")
        self._standards[name] = value
        if place is not None:
            self._places.setdefault(f"standard: {name}", place)

    def constrain(self, constraint: Constraint, uses: Mapping[str, Place] | None = None) -> None:
        """Add a constraint; ``uses`` says where it names each label."""
        self._constraints.append(constraint)
        self._uses(constraint, uses)

    def _uses(self, owner: Definition | Constraint, uses: Mapping[str, Place] | None) -> None:
        # A label may be called like a variable, so its places are kept apart from the variable's.
        for name, place in (uses or {}).items():
            self._places.setdefault(f"{owner}: {name}", place)

    def transform(self, transform: Transform) -> None:
        self._transforms.append(transform)

    def slope(self, slope: RandomSlope, place: Place | None = None) -> None:
        """Define a varying slope.

        Raises
        ------
        ModelSyntaxError
            If its name already stands for another slope or for an interaction.
        """
        if slope in self._slopes:
            return
        self._unused(slope, place)
        self._slopes.append(slope)
        if place is not None:
            for name in (slope.name, slope.outcome, slope.predictor):
                self._places.setdefault(name, place)

    def interaction(self, interaction: Interaction, place: Place | None = None) -> None:
        """Define a product of two variables.

        Raises
        ------
        ModelSyntaxError
            If its name already stands for another product at its level or for a varying slope.
        """
        if interaction in self._interactions:
            return
        self._unused(interaction, place)
        self._interactions.append(interaction)
        if place is not None:
            for name in (interaction.name, interaction.left, interaction.right):
                self._places.setdefault(name, place)

    def _unused(self, new: RandomSlope | Interaction, place: Place | None) -> None:
        known: list[RandomSlope | Interaction] = [*self._slopes, *self._interactions]
        for old in known:
            levels = {getattr(item, "level", None) for item in (old, new)}
            # Products of the same variables at two levels may share their name.
            if old.name == new.name and (type(old) is not type(new) or len(levels) == 1):
                self._fail(
                    f"'{new.name}' is defined twice: '{old}' and '{new}'",
                    place,
                    "Give the second one another name.",
                )

    def declare(self, level: Level, names: Iterable[str], place: Place | None = None) -> None:
        """Declare variables as existing at one level only."""
        target, other = (
            (self._within, self._between) if level == "within" else (self._between, self._within)
        )
        for name in names:
            if name in other:
                self._fail(
                    f"'{name}' is declared both within-only and between-only",
                    place,
                    "A variable with a part at each level is declared at neither.",
                )
            if name not in target:
                target.append(name)
            if place is not None:
                self._places.setdefault(name, place)

    def auxiliary(self, names: Iterable[str], place: Place | None = None) -> None:
        """Name variables that tell about missing values only."""
        for name in names:
            if name not in self._auxiliary:
                self._auxiliary.append(name)
            if place is not None:
                self._places.setdefault(name, place)

    def build(self) -> Statements:
        """The statements as they stand, immutable."""
        return Statements(
            tuple(self._rows.values()),
            tuple(self._definitions),
            tuple(self._constraints),
            tuple(self._transforms),
            tuple(self._slopes),
            tuple(self._interactions),
            tuple(self._within),
            tuple(self._between),
            self.cluster,
            self.known,
            self.split_by_default,
            tuple(self._levels),
            tuple(self._places.items()),
            tuple(self._priors),
            tuple(self._standards.items()),
            tuple(self._auxiliary),
        )

    @staticmethod
    def _fail(message: str, place: Place | None, hint: str) -> None:
        if place is not None:
            raise ModelSyntaxError(message, place, hint=hint)
        raise ModelError(f"{message}. {hint}")


_WORDS = {
    "label": "labels",
    "fixed": "fixed values",
    "start": "starting values",
    "prior": "priors",
    "lower": "lower bounds",
    "upper": "upper bounds",
}
