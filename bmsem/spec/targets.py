"""Names of parameters and of groups of parameters, as priors and true values are given to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bmsem.errors import ModelError, did_you_mean
from bmsem.spec.table import Level, On, Parameter, Prior

# Groups of parameters: the operator of their rows (variances apart), and the quantity meant.
GROUPS: dict[str, tuple[str, On]] = {
    "loadings": ("=~", "parameter"),
    "paths": ("~", "parameter"),
    "intercepts": ("~1", "parameter"),
    "variances": ("~~", "parameter"),
    "sds": ("~~", "sd"),
    "iccs": ("~~", "icc"),
    "covariances": ("~~", "parameter"),
    "correlations": ("~~", "correlation"),
    "matrices": ("~~", "parameter"),
}
_VARIANCES = ("variances", "sds", "iccs")


@dataclass(frozen=True)
class Target:
    """What a prior or a true value is given to: a label, a row, or a group.

    Attributes
    ----------
    on
        The quantity meant: the parameter itself, the ``"sd"`` of a variance (``sd(y)``), the
        ``"correlation"`` of a covariance (``cor(x, y)``), the ``"icc"`` that a between variance is
        part of (``icc(y)``), or the ``"r_square"`` that a residual variance leaves.
    level
        As written; ``None`` if no level was.
    name
        A label or a group; empty for a row.
    lhs, op, rhs
        The row.
    total
        The variance that an R-square is a share of, if it was given.
    """

    on: On = "parameter"
    level: Level = None
    name: str = ""
    lhs: str = ""
    op: str = ""
    rhs: str = ""
    total: float | None = None

    def __str__(self) -> str:
        head = f"{self.level}: " if self.level else ""
        match self.on:
            case "sd" | "icc" if not self.name:
                return f"{head}{self.on}({self.lhs})"
            case "r_square":
                return f"{head}rsquare({self.lhs})"
            case "correlation" if not self.name:
                return f"{head}cor({self.lhs}, {self.rhs})"
            case _:
                row = Parameter(None, self.lhs, self.op, self.rhs).name
                return head + (self.name or row)

    def is_group(self, rows: Iterable[Parameter]) -> bool:
        """Whether this is a group: one of its names, and no row's label."""
        return self.name.lower() in GROUPS and not any(r.label == self.name for r in rows)

    def of_group(self) -> tuple[str, On]:
        """The group's name and the quantity that it means."""
        group = self.name.lower()
        return group, GROUPS[group][1]

    def find(self, rows: Iterable[Parameter]) -> list[Parameter]:
        """The rows that are meant.

        A row named without its level is found if it stands at one level only.

        Raises
        ------
        ModelError
            If there is none, or a name without a level could mean rows of two levels.
        """
        rows = list(rows)
        if self.is_group(rows):
            found = [r for r in rows if self._in_group(r)]
            if self.name.lower() == "iccs":
                # Slopes and variables of clusters have no part within.
                parts = {r.lhs for r in rows if r.is_variance and r.level == "within"}
                found = [r for r in found if r.lhs in parts]
            if found:
                return found
        elif self.name:
            found = [r for r in rows if r.label == self.name and self.level in (None, r.level)]
            if found:
                return found
        else:
            found = self._rows(rows)
            if found:
                return found
        names = {n for r in rows for n in (r.label, r.full_name) if n}
        raise ModelError(
            f"'{self}' is not a parameter of the model. {did_you_mean(str(self), names)}"
        )

    def narrowness(self, rows: Iterable[Parameter]) -> tuple[int, int]:
        """Of two names of a parameter the one with the larger narrowness goes before the other.

        A parameter's own name goes before a level's group, this before a group of all levels, and of
        two such groups the one with fewer rows goes before.
        """
        rows = list(rows)
        if not self.is_group(rows):
            return 2, 0
        of_level = self.level is not None or self.name.lower() == "iccs"
        return int(of_level), -len(self.find(rows))

    def _in_group(self, row: Parameter) -> bool:
        group = self.name.lower()
        if row.op != GROUPS[group][0] or self.level not in (None, row.level):
            return False
        if group == "iccs":
            return row.is_variance and row.level == "between"
        if row.op == "~~" and group != "matrices":
            return row.is_variance == (group in _VARIANCES)
        return True

    def _rows(self, rows: list[Parameter]) -> list[Parameter]:
        level: Level = "between" if self.on == "icc" else self.level
        key = Parameter(None, self.lhs, self.op, self.rhs).key[1:]
        found = [r for r in rows if r.key[1:] == key and level in (None, r.level)]
        if len({r.level for r in found}) > 1:
            raise ModelError(
                f"'{self}' stands at both levels: write 'within: {self}' or 'between: {self}'."
            )
        return found


def prior_on(target: Target, prior: Prior, group: bool = False) -> Prior:
    """The prior on the quantity that the target, a group's name perhaps, means: ``sd(y) ~ …``.

    Raises
    ------
    ModelError
        If the prior names another quantity itself.
    """
    on: On = target.of_group()[1] if group else target.on
    if prior.distribution == "LKJ" and on == "parameter":
        on = "correlation"
    if on == "parameter":
        return prior
    if prior.on not in ("parameter", on):
        raise ModelError(
            f"The prior '{prior}' is one of the {prior.on}, but it is given to '{target}', which is "
            f"the {on}. Name one of them."
        )
    return replace(prior, on=on, total=prior.total or target.total)


def matrix_element(prior: Prior, row: Parameter) -> Prior:
    """A group's prior for one of its rows: off the diagonal the scale of an inverse-Wishart is 0."""
    if prior.distribution == "InverseWishart" and row.is_covariance:
        return replace(prior, arguments=(("S", 0.0), *prior.arguments[1:]))
    return prior
