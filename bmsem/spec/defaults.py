"""From statements to the complete model: the one place where defaults are filled in.

The defaults are those that Mplus and lavaan share (Mplus User's Guide, chapters 9 and 17; lavaan's
``sem()``): the first loading of a factor is fixed at one; residual variances, and intercepts of
observed variables, are free; means of factors are zero; exogenous factors correlate, as do exogenous
observed variables that are modelled; so do the residuals of outcomes that predict nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from typing import Any

from bmsem.errors import ModelError, ModelSyntaxError, did_you_mean
from bmsem.spec.roles import Roles, fail, roles_of
from bmsem.spec.statements import PriorStatement, Statement, Statements
from bmsem.spec.table import Level, ModelSpec, Parameter
from bmsem.spec.targets import matrix_element, prior_on

Key = tuple[Level, str, str, str]


def complete(
    statements: Statements,
    *,
    split: Iterable[str] = (),
    between_only: Iterable[str] = (),
) -> ModelSpec:
    """Fill in the defaults and decide what each variable is.

    Parameters
    ----------
    statements
        What the user wrote.
    split, between_only
        Roles that the data decided for variables that were not declared.

    Raises
    ------
    ModelError
        If a factor has no scale, a label has two fixed values, or a definition names an unknown
        label.
    """
    roles = roles_of(statements, frozenset(split), frozenset(between_only))
    table = _Table(statements, roles)
    for level in roles.levels:
        table.auxiliary(level)
        table.loadings(level)
        table.variances(level)
        table.exogenous_covariances(level)
        table.outcome_covariances(level)
        table.intercepts(level)
    table.priors()
    for row in table.rows.values():
        if row.prior is not None and row.fixed is not None:
            fail(
                f"{row.full_name} is fixed at {row.fixed:g} and has a prior too",
                statements,
                (row.lhs, row.rhs),
                "Free it, or leave the prior out.",
            )
    rows = _shared_labels(table.ordered(), statements)
    spec = ModelSpec(
        rows,
        statements.definitions,
        statements.constraints,
        statements.transforms,
        statements.slopes,
        statements.interactions,
        roles.split,
        roles.within_only,
        roles.between_only,
        tuple((level, name) for level in roles.levels for name in roles.latent[level]),
        statements.cluster,
        tuple(roles.notes),
        statements.standards,
        statements,
        statements.auxiliary,
    )
    _check_scales(spec, statements)
    _check_names(spec, statements)
    return spec


def with_auxiliary(spec: ModelSpec, names: Iterable[str]) -> ModelSpec:
    """The model with more auxiliary variables.

    Raises
    ------
    ModelError
        If one of them is in the model, or the spec was not made from statements.
    """
    added = [n for n in dict.fromkeys(names) if n not in spec.auxiliary]
    if not added:
        return spec
    if spec.statements is None:
        raise ModelError(
            "Auxiliary variables need a model that was written, not made from a table."
        )
    used = [n for n in added if n in spec.observed]
    if used:
        raise ModelError(
            f"{', '.join(used)} cannot be auxiliary: already in the model, where what is missing is "
            f"accounted for."
        )
    said = spec.statements
    known = None if said.known is None else (*said.known, *added)
    return complete(replace(said, auxiliary=(*said.auxiliary, *added), known=known))


class _Table:
    """The rows of the model, by key, while defaults are added."""

    def __init__(self, statements: Statements, roles: Roles) -> None:
        self.statements = statements
        self.roles = roles
        self.rows: dict[Key, Parameter] = {s.row.key: s.row for s in statements.rows}
        self.said: dict[Key, Statement] = {s.row.key: s for s in statements.rows}
        self.products = {i.name for i in statements.interactions}

    def _of(self, level: Level, op: str) -> list[Parameter]:
        return [r for r in self.rows.values() if r.level == level and r.op == op]

    def _constant(self, level: Level, name: str) -> bool:
        """Whether the (residual) variance is fixed at zero, so that nothing can covary with it."""
        row = self.rows.get((level, name, "~~", name))
        return row is not None and row.fixed == 0.0

    def _add(self, level: Level, lhs: str, op: str, rhs: str = "", **what: float) -> None:
        row = Parameter(level, lhs, op, rhs, **what)  # type: ignore[arg-type]
        self.rows.setdefault(row.key, row)

    def auxiliary(self, level: Level) -> None:
        """Regress each auxiliary variable on all others of its level.

        Their joint distribution with the model's variables is then unrestricted, and that of the
        model's variables is untouched: the saturated correlates of Graham (2003, Structural Equation
        Modeling 10, 80-100), written as p(model) p(auxiliary | all else).
        """
        before = [n for n in self.roles.observed(level) if n not in self.statements.auxiliary]
        for name in self.statements.auxiliary:
            if name in self.roles.observed(level):
                for other in before:
                    self._add(level, name, "~", other)
                self._add(level, name, "~~", name)
                before.append(name)

    def loadings(self, level: Level) -> None:
        """Fix the first loading of each factor at one unless something else was said of it."""
        for factor in self.roles.latent[level]:
            first = next((r for r in self._of(level, "=~") if r.lhs == factor), None)
            if first is None or first.fixed is not None or self.said[first.key].freed:
                continue
            self.rows[first.key] = replace(first, fixed=1.0)

    def modelled(self, level: Level) -> list[str]:
        """Variables with a (residual) variance: all but the covariates that are conditioned on."""
        conditioned = self.conditioned(level)
        names = (*self.roles.observed(level), *self.roles.latent[level])
        return [name for name in names if name not in conditioned]

    def conditioned(self, level: Level) -> set[str]:
        """Exogenous variables of one level only of which no variance, covariance or mean is named.

        A variable with parts at both levels is always modelled: its parts are not observed.
        """
        own = {
            "within": self.roles.within_only,
            "between": self.roles.between_only,
            None: self.roles.between_only,
        }[level]
        named = {n for r in self._of(level, "~~") for n in (r.lhs, r.rhs)}
        named |= {r.lhs for r in self._of(level, "~1")}
        return set(own) - self.dependent(level) - named

    def dependent(self, level: Level) -> set[str]:
        """Outcomes and indicators."""
        slopes = {s.outcome for s in self.statements.slopes} if level == "within" else set()
        return (
            {r.lhs for r in self._of(level, "~")} | {r.rhs for r in self._of(level, "=~")} | slopes
        )

    def predictors(self, level: Level) -> set[str]:
        extra = self.statements.auxiliary
        found = {r.rhs for r in self._of(level, "~") if r.lhs not in extra}
        if level == "within":
            found |= {s.predictor for s in self.statements.slopes}
        for product in self.statements.interactions:
            if product.level == level:
                found |= {product.left, product.right}
        return found - self.products

    def variances(self, level: Level) -> None:
        for name in self.modelled(level):
            self._add(level, name, "~~", name)

    def exogenous_covariances(self, level: Level) -> None:
        dependent, predictors = self.dependent(level), self.predictors(level)
        free = [n for n in self.modelled(level) if n not in dependent]
        slopes = {s.name for s in self.statements.slopes}
        factors = [n for n in free if n in self.roles.latent[level] and n not in slopes]
        observed = [n for n in free if n in self.roles.observed(level) and n in predictors]
        for a, b in (*combinations(factors, 2), *combinations(observed, 2)):
            if not (self._constant(level, a) or self._constant(level, b)):
                self._add(level, a, "~~", b)
        if level != "between":
            observed = [n for n in observed if n not in self.roles.split]
        self._regress_on_covariates(level, observed)

    def _regress_on_covariates(self, level: Level, observed: list[str]) -> None:
        """Exogenous variables are related to the covariates that are conditioned on.

        A between part is latent, and a variable whose mean or variance is named may be missing. If it
        were independent of the covariates a priori, the part of it that the data leave open would be
        filled in as if it were, and the covariates' own effects would take up what is due to it,
        however many clusters there are.
        """
        covariates = [n for n in self.roles.observed(level) if n in self.conditioned(level)]
        used = self.predictors(level)
        for name in observed:
            added = [c for c in covariates if c in used]
            for covariate in added:
                self._add(level, name, "~", covariate)
            if added:
                what = f"the between part of {name}" if name in self.roles.split else name
                self.roles.notes.append(
                    f"{what} is regressed on {', '.join(added)}: exogenous variables are related (fix "
                    f"the path at 0 if they are independent)"
                )

    def outcome_covariances(self, level: Level) -> None:
        outcomes = {r.lhs for r in self._of(level, "~")} - set(self.statements.auxiliary)
        if level == "within":
            outcomes |= {s.outcome for s in self.statements.slopes}
        indicators = {r.rhs for r in self._of(level, "=~")}
        last = outcomes - self.predictors(level) - indicators
        slopes = {s.name for s in self.statements.slopes}
        for a, b in combinations([n for n in self.modelled(level) if n in last - slopes], 2):
            if not (self._constant(level, a) or self._constant(level, b)):
                self._add(level, a, "~~", b)

    def intercepts(self, level: Level) -> None:
        """Free intercepts of what is observed; a split variable has its own at the between level."""
        modelled = self.modelled(level)
        own = self.roles.within_only if level == "within" else self.roles.observed(level)
        for name in own:
            if name in modelled:
                self._add(level, name, "~1")
        for slope in self.statements.slopes:
            if level == "between":
                self._add(level, slope.name, "~1")

    def priors(self) -> None:
        """Attach the priors that were given apart from their parameter; groups' priors come last."""
        written = tuple(self.rows.values())
        own = [s for s in self.statements.priors if not s.target.is_group(written)]
        groups = [s for s in self.statements.priors if s.target.is_group(written)]
        for statement in own:
            prior = prior_on(statement.target, statement.prior)
            for row in self._meant(statement):
                if row.prior not in (None, prior):
                    message = (
                        f"{row.full_name} is given two different priors: {row.prior} and {prior}"
                    )
                    if statement.place is not None:
                        raise ModelSyntaxError(message, statement.place, hint="Keep one of them.")
                    raise ModelError(f"{message}. Keep one of them.")
                self.rows[row.key] = replace(row, prior=prior)
        # The narrower group goes before the broader one, and of two alike the later, as in a mapping.
        groups.reverse()
        groups.sort(key=lambda s: s.target.narrowness(written), reverse=True)
        for statement in groups:
            prior = prior_on(statement.target, statement.prior, group=True)
            for row in self._meant(statement):
                if row.prior is None and row.fixed is None:
                    self.rows[row.key] = replace(row, prior=matrix_element(prior, row))

    def _meant(self, statement: PriorStatement) -> list[Parameter]:
        try:
            return statement.target.find(self.rows.values())
        except ModelError as error:
            if statement.place is None:
                raise
            message, _, hint = str(error).partition(". ")
            raise ModelSyntaxError(message, statement.place, hint=hint or None) from None

    def ordered(self) -> list[Parameter]:
        """By level, and in a level as Mplus prints: BY, ON, WITH, intercepts, variances."""
        rank = {"=~": 0, "~": 1, "~~": 2, "~1": 3}

        def place(row: Parameter) -> tuple[int, int]:
            return (
                self.roles.levels.index(row.level) if row.level in self.roles.levels else 9,
                rank[row.op] + 2 * row.is_variance,
            )

        return sorted(self.rows.values(), key=place)


def _shared_labels(rows: list[Parameter], statements: Statements) -> tuple[Parameter, ...]:
    """Rows with one label are one parameter: they share its fixed value, start, prior, bounds."""
    by_label: dict[str, list[Parameter]] = {}
    for row in rows:
        if row.label is not None:
            by_label.setdefault(row.label, []).append(row)
    shared: dict[Key, Parameter] = {}
    for label, group in by_label.items():
        changes: dict[str, Any] = {}
        for what, word in (
            ("fixed", "fixed values"),
            ("start", "starting values"),
            ("prior", "priors"),
            ("lower", "lower bounds"),
            ("upper", "upper bounds"),
        ):
            values = list(dict.fromkeys(v for r in group if (v := getattr(r, what)) is not None))
            if len(values) > 1:
                where = "; ".join(
                    f"{r.full_name} = {getattr(r, what)}"
                    for r in group
                    if getattr(r, what) is not None
                )
                place = next((s.place for s in statements.rows if s.row.key == group[-1].key), None)
                message = f"label '{label}' has conflicting {word} ({where})"
                hint = "Parameters with one label are one parameter: give them one value, or two labels."
                if place is not None:
                    raise ModelSyntaxError(message, place, hint=hint)
                raise ModelError(f"{message}. {hint}")
            changes[what] = values[0] if values else None
        for row in group:
            shared[row.key] = replace(row, **changes)
    return tuple(shared.get(row.key, row) for row in rows)


def _check_scales(spec: ModelSpec, statements: Statements) -> None:
    """Each factor needs a unit: one fixed loading that is not zero, or a fixed variance."""
    slopes = {s.name for s in spec.slopes}
    for level, factor in spec.latent:
        if factor in slopes:
            continue
        loadings = [r for r in spec.at(level, "=~") if r.lhs == factor]
        variance = next(
            (r for r in spec.at(level, "~~") if r.is_variance and r.lhs == factor), None
        )
        tied = {r.label for r in spec.parameters if r.label and r.level != level and not r.free}
        if any(r.fixed for r in loadings) or (variance is not None and variance.fixed):
            continue
        if any(r.label in tied for r in loadings):
            continue
        # Loadings shared with a level where the factor has a scale give it one here.
        others = {
            r.label
            for r in spec.parameters
            if r.op == "=~" and r.label and (r.level, r.lhs) != (level, factor)
        }
        if any(r.label in others for r in loadings):
            continue
        # Effects coding: an equality constraint on the loadings can give a scale; whether it does is
        # seen when identification is checked.
        constrained = {
            n
            for c in spec.constraints
            if c.relation == "=="
            for n in (*c.left.names(), *c.right.names())
        }
        if any(r.label in constrained for r in loadings):
            continue
        fail(
            f"the factor '{factor}' has no scale: none of its loadings and not its variance is "
            f"fixed, so the model is not identified",
            statements,
            factor,
            f"Fix the first loading (leave out NA* or *), or the variance: {factor} ~~ 1*{factor} "
            f"(Mplus: {factor}@1).",
        )


def _check_names(spec: ModelSpec, statements: Statements) -> None:
    known = set(spec.labels)
    for definition in spec.definitions:
        for name in sorted(definition.expression.names()):
            if name not in known:
                fail(
                    f"'{definition.name}' uses '{name}', which is neither a label nor defined "
                    f"before it",
                    statements,
                    (f"{definition}: {name}", definition.name),
                    did_you_mean(name, known),
                )
        if definition.name in spec.labels:
            fail(
                f"'{definition.name}' is defined and is also the label of a parameter",
                statements,
                definition.name,
                "Give one of them another name.",
            )
        known.add(definition.name)
    for constraint in spec.constraints:
        for name in sorted(constraint.left.names() | constraint.right.names()):
            if name not in known:
                fail(
                    f"the constraint '{constraint}' uses '{name}', which is not a label",
                    statements,
                    f"{constraint}: {name}",
                    did_you_mean(name, known),
                )
    rows = {n for p in spec.parameters for n in (p.name, p.full_name)}
    for name, _ in spec.standards:
        if name not in known and name not in rows and "->" not in name:
            fail(
                f"the standard of '{name}' is of something that is not in the model",
                statements,
                f"standard: {name}",
                did_you_mean(name, known | rows) + " Labels, derived parameters, rows such as "
                "'between: y ~ x' and chains such as 'x -> m -> y' can have one.",
            )
