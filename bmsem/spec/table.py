"""The parameter table: what every syntax ends in and everything after it starts from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from bmsem.expressions import Expression
from bmsem.tables import Grid, Tabular

if TYPE_CHECKING:
    from bmsem.spec.statements import Statements

Level = Literal["within", "between"] | None
"""``None`` is the one level of a model without clusters."""

On = Literal["parameter", "sd", "correlation", "icc", "r_square"]
"""The quantity that has a prior."""

LEVELS: tuple[Level, ...] = ("within", "between", None)
OPERATORS = ("=~", "~", "~~", "~1")
MATRIX_PRIORS = ("LKJ", "InverseWishart")


@dataclass(frozen=True)
class Prior:
    """A prior distribution by PyMC's name and arguments.

    Parameters
    ----------
    distribution
        Name of a class of ``pymc``, for instance ``"Normal"``.
    arguments
        Positional and named arguments: ``(("", 0.0), ("", 1.0))`` or ``(("mu", 0.0), …)``.
    on
        The quantity that has the distribution: the ``"parameter"`` as the table has it (a variance
        for ``y ~~ y``, a covariance for ``x ~~ y``), the ``"sd"`` of a variance, the
        ``"correlation"`` of a covariance, or what a variance follows from: the ``"icc"``, a between
        variance's share of the variance of both levels, or the ``"r_square"``, what a residual
        variance leaves of ``total``.
    total
        The variance that an R-square is a share of; ``None`` takes it from the data.
    """

    distribution: str
    arguments: tuple[tuple[str, float], ...] = ()
    on: On = "parameter"
    total: float | None = None

    def __str__(self) -> str:
        parts = [f"{k} = {_number(v)}" if k else _number(v) for k, v in self.arguments]
        text = f"{self.distribution}({', '.join(parts)})"
        if self.on == "parameter":
            return text
        of = "" if self.total is None else f" of {_number(self.total)}"
        return f"{self.on}{of} ~ {text}"

    @property
    def of_matrix(self) -> bool:
        """Whether this is a prior of a whole correlation or covariance matrix, of which it is told
        for one element."""
        return self.distribution in MATRIX_PRIORS


@dataclass(frozen=True)
class Parameter:
    """One row of the table.

    ``op`` is ``"=~"`` (lhs is measured by rhs), ``"~"`` (lhs is regressed on rhs), ``"~~"``
    (variance or covariance, of residuals where there are predictors) or ``"~1"`` (intercept or
    mean; ``rhs`` is empty). ``fixed`` is the value of a parameter that is not estimated; a fixed
    parameter may carry a label, which then stands for that value. ``start`` is a starting value,
    ``lower`` and ``upper`` are bounds.
    """

    level: Level
    lhs: str
    op: str
    rhs: str = ""
    label: str | None = None
    fixed: float | None = None
    start: float | None = None
    prior: Prior | None = None
    lower: float | None = None
    upper: float | None = None

    @property
    def key(self) -> tuple[Level, str, str, str]:
        """What identifies the row: two rows with one key are the same parameter."""
        if self.op == "~~" and self.rhs < self.lhs:
            return (self.level, self.rhs, self.op, self.lhs)
        return (self.level, self.lhs, self.op, self.rhs)

    @property
    def name(self) -> str:
        """The row without its level, as formula text: ``"mvpa ~ advant"``."""
        return f"{self.lhs} ~ 1" if self.op == "~1" else f"{self.lhs} {self.op} {self.rhs}"

    @property
    def full_name(self) -> str:
        """The row with its level: ``"between: mvpa ~ advant"``."""
        return f"{self.level}: {self.name}" if self.level else self.name

    @property
    def is_variance(self) -> bool:
        return self.op == "~~" and self.lhs == self.rhs

    @property
    def is_covariance(self) -> bool:
        return self.op == "~~" and self.lhs != self.rhs

    @property
    def free(self) -> bool:
        return self.fixed is None


@dataclass(frozen=True)
class Definition:
    """A derived parameter, ``name := expression``."""

    name: str
    expression: Expression

    def __str__(self) -> str:
        return f"{self.name} := {self.expression}"


@dataclass(frozen=True)
class Constraint:
    """A constraint between labelled parameters: ``left == right``, ``left > right`` or ``<``."""

    left: Expression
    relation: Literal["==", ">", "<"]
    right: Expression

    def __str__(self) -> str:
        return f"{self.left} {self.relation} {self.right}"


@dataclass(frozen=True)
class Transform:
    """A variable made from others before the model sees the data.

    ``function`` is ``"compute"`` (row by row), ``"cluster_mean"`` (observed mean of the cluster),
    ``"center_grandmean"`` or ``"center_groupmean"`` (deviation from the mean of all rows or of the
    cluster).
    """

    name: str
    function: Literal["compute", "cluster_mean", "center_grandmean", "center_groupmean"]
    expression: Expression

    def __str__(self) -> str:
        inner = str(self.expression)
        match self.function:
            case "compute":
                return f"{self.name} = {inner}"
            case "cluster_mean":
                return f"{self.name} = cluster_mean({inner})"
            case "center_grandmean":
                return f"{self.name} = center({inner}, grandmean)"
            case _:
                return f"{self.name} = center({inner}, groupmean)"


@dataclass(frozen=True)
class RandomSlope:
    """A path that varies between clusters: ``name | outcome ~ predictor`` at the within level."""

    name: str
    outcome: str
    predictor: str

    def __str__(self) -> str:
        return f"{self.name} | {self.outcome} ~ {self.predictor}"


@dataclass(frozen=True)
class Interaction:
    """A product of two variables, at least one of them latent: ``name | left XWITH right``."""

    level: Level
    name: str
    left: str
    right: str

    def __str__(self) -> str:
        return f"{self.name} | {self.left} XWITH {self.right}"


@dataclass(frozen=True, eq=False)
class ModelSpec(Tabular):
    """A complete model: every parameter, and what every variable is. It knows no data.

    Two specs are equal if they have the same parameters, definitions and variables, in whatever
    order they were written.

    Attributes
    ----------
    parameters
        The rows, defaults filled in.
    within_only, between_only
        Observed variables that exist at one level only.
    split
        Observed variables with a within and a between part.
    latent
        Factors, with their level.
    notes
        What was filled in or inferred that the user should know.
    standards
        What an effect must exceed to matter, by the effect's name.
    auxiliary
        Observed variables that tell about missing values of the others and are no part of the model:
        each is regressed on all others of its level, which restricts nothing.
    """

    parameters: tuple[Parameter, ...]
    definitions: tuple[Definition, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    transforms: tuple[Transform, ...] = ()
    slopes: tuple[RandomSlope, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    split: tuple[str, ...] = ()
    within_only: tuple[str, ...] = ()
    between_only: tuple[str, ...] = ()
    latent: tuple[tuple[Level, str], ...] = ()
    cluster: str | None = None
    notes: tuple[str, ...] = ()
    standards: tuple[tuple[str, float], ...] = ()
    statements: Statements | None = field(default=None, repr=False)
    auxiliary: tuple[str, ...] = ()

    @property
    def multilevel(self) -> bool:
        """Whether the model has a within and a between level."""
        return any(p.level is not None for p in self.parameters)

    @property
    def levels(self) -> tuple[Level, ...]:
        return ("within", "between") if self.multilevel else (None,)

    @property
    def observed(self) -> tuple[str, ...]:
        """Every observed variable of the model."""
        return self.split + self.within_only + self.between_only

    @property
    def labels(self) -> dict[str, tuple[Parameter, ...]]:
        """Rows by label, in the table's order."""
        found: dict[str, tuple[Parameter, ...]] = {}
        for row in self.parameters:
            if row.label is not None:
                found[row.label] = (*found.get(row.label, ()), row)
        return found

    def at(self, level: Level, op: str | None = None) -> tuple[Parameter, ...]:
        """Rows of a level, of one operator if given."""
        return tuple(p for p in self.parameters if p.level == level and (op is None or p.op == op))

    def latent_at(self, level: Level) -> tuple[str, ...]:
        return tuple(name for at, name in self.latent if at == level)

    @cached_property
    def without_auxiliary(self) -> ModelSpec:
        """The model that was asked about: what auxiliary variables added is left out."""
        if not self.auxiliary:
            return self
        extra = set(self.auxiliary)
        return replace(
            self,
            parameters=tuple(p for p in self.parameters if p.lhs not in extra),
            split=tuple(n for n in self.split if n not in extra),
            within_only=tuple(n for n in self.within_only if n not in extra),
            between_only=tuple(n for n in self.between_only if n not in extra),
            auxiliary=(),
        )

    def _content(self) -> tuple[object, ...]:
        # Starting values are part of the content: they are something the user wrote.
        rows = frozenset((p.key, replace(p, lhs="", rhs="")) for p in self.parameters)
        return (
            rows,
            frozenset(self.definitions),
            frozenset(self.constraints),
            self.transforms,
            frozenset(self.slopes),
            frozenset(self.interactions),
            frozenset(self.split),
            frozenset(self.within_only),
            frozenset(self.between_only),
            frozenset(self.latent),
            self.cluster,
            self.standards,
            frozenset(self.auxiliary),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelSpec) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def __str__(self) -> str:
        from bmsem.spec.display import describe

        return describe(self)

    def grid(self) -> Grid:
        """The parameter table as text cells."""
        from bmsem.spec.display import spec_grid

        return spec_grid(self, "Model")


def _number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")
