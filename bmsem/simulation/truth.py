"""True values by name, made a parameter vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from bmsem.errors import ModelError, did_you_mean
from bmsem.expressions import Expression
from bmsem.language.targets import find_target
from bmsem.spec import Level, ModelSpec, On, Parameter, Target
from bmsem.spec.constraints import solve_constraints
from bmsem.structure import FreeParameter, build_structure, free_parameters

Array = NDArray[np.float64]

# Relative size of a negative eigenvalue that is rounding error, and of a difference that is none.
_ROUNDING = 1e-9


def parameter_values(spec: ModelSpec, given: Mapping[str, float]) -> Array:
    """The parameter vector (P,) of true values, in the order of `free_parameters`.

    Parameters
    ----------
    spec
        The model.
    given
        Values by label, by row (``"between: y ~ treat"``; without the level if it is a row of one
        level only) or by group (``"paths"``, ``"within: sds"``; a parameter's own value goes before
        a group's, a level's group before that of both). ``sd(y)`` is the standard deviation of a
        residual, ``cor(x, y)`` the correlation of two, ``icc(y)`` the residual intraclass correlation,
        which makes the between variance the within variance times icc / (1 - icc), and
        ``rsquare(y, 40)`` leaves the residual variance that is not explained of a variance of 40.

        Covariances and intercepts that are not given are 0, but for the mean of a varying slope, which
        is a path. Labels that constraints determine are computed.

    Raises
    ------
    ModelError
        If a parameter has no value, or two; if a name is unknown or that of a fixed parameter; or if
        the values are none that the model can have: a covariance matrix that is not positive
        semi-definite, a bound that is violated.

    Examples
    --------
    >>> from bmsem.language import parse_formula
    >>> spec = parse_formula('''
    ...     level: within
    ...       y ~~ y
    ...     level: between
    ...       y ~ b*treat
    ... ''')
    >>> dict(zip([p.name for p in free_parameters(spec)],
    ...          parameter_values(spec, {"b": 0.5, "within: y ~~ y": 0.9, "icc(y)": 0.1}).tolist()))
    {'within: y ~~ y': 0.9, 'b': 0.5, 'between: y ~ 1': 0.0, 'between: y ~~ y': 0.1}
    """
    truth = _Truth(spec)
    rows = spec.parameters
    targets = [(find_target(str(key), rows), value) for key, value in given.items()]
    single = [(t, v) for t, v in targets if not t.is_group(rows)]
    groups = [(t, v) for t, v in targets if t.is_group(rows)]
    for target, value in single:
        meant = truth.meant(target)
        own = [r for r in meant if r.free]
        if not own:
            raise ModelError(
                f"'{target}' is fixed at {meant[0].fixed:g} in the model ({meant[0].full_name}), so it "
                f"cannot be given the value {value}. Leave it out, or change the model."
            )
        truth.give(target, target.on, own[0], _number(str(target), value))
    # Of two groups the narrower goes before, as for priors; of equal ones the later.
    groups.reverse()
    for target, value in sorted(groups, key=lambda g: g[0].narrowness(rows), reverse=True):
        on = target.of_group()[1]
        for row in truth.meant(target):
            # Slopes and what stands between clusters only have no intraclass correlation.
            if on == "icc" and truth.variance_row("within", row.lhs) is None:
                continue
            if row.free and truth.index[row.key] not in truth.taken:
                truth.give(target, on, row, _number(str(target), value))
    values = truth.solve()
    check_values(spec, values)
    return values


def check_values(spec: ModelSpec, values: Array) -> None:
    """Refuse parameter vectors that no data can come from.

    Raises
    ------
    ModelError
        For a wrong number of values, one that is not finite, a negative variance, a covariance matrix
        that is not positive semi-definite, or a value out of its bounds.
    """
    structure = build_structure(spec)
    names = [p.name for p in structure.parameters]
    if values.shape != (len(names),):
        raise ModelError(
            f"The model has {len(names)} free parameters, but the values have the shape "
            f"{values.shape}. Give one for each, in this order: {', '.join(names)}."
        )
    for name, value in zip(names, values, strict=True):
        if not np.isfinite(value):
            raise ModelError(f"'{name}' is {value}, not a number.")
    bounds = solve_constraints(spec).bounds
    for p in structure.parameters:
        low, high = bounds.get(p.label or "", (None, None))
        lower = [b for b in (low, p.rows[0].lower) if b is not None]
        upper = [b for b in (high, p.rows[0].upper) if b is not None]
        if any(values[p.index] < b for b in lower) or any(values[p.index] > b for b in upper):
            raise ModelError(
                f"'{p.name}' is {values[p.index]:g}, but the model keeps it between "
                f"{max(lower, default=-np.inf):g} and {min(upper, default=np.inf):g}."
            )
    for level in spec.levels:
        part = structure.level(level)
        _check_covariances(level, part.variables, part.matrices(values)[1])


def _check_covariances(level: Level, names: tuple[str, ...], psi: Array) -> None:
    where = f" at the {level} level" if level else ""
    for name, variance in zip(names, np.diag(psi), strict=True):
        if variance < 0:
            raise ModelError(f"The variance of '{name}'{where} is {variance:g}: it is negative.")
    sd = np.sqrt(np.diag(psi))
    apart = psi / np.outer(np.where(sd > 0, sd, 1.0), np.where(sd > 0, sd, 1.0))
    found, vectors = np.linalg.eigh(apart) if len(psi) else (np.ones(1), psi)
    if found[0] >= -_ROUNDING:
        return
    involved = [n for n, c in zip(names, vectors[:, 0], strict=True) if abs(c) > 1e-6]
    raise ModelError(
        f"The residuals of {', '.join(involved)}{where} cannot have these variances and covariances "
        f"together: their covariance matrix is not positive semi-definite. Make the covariances "
        f"smaller; cor(x, y) gives them as correlations."
    )


class _Truth:
    """Values while they are found, some of which are computed from others."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.parameters = free_parameters(spec)
        self.index = {r.key: p.index for p in self.parameters for r in p.rows}
        self.values: dict[int, float] = {}
        self.sources: dict[int, str] = {}
        self.taken: set[int] = set()
        self.pending: list[tuple[FreeParameter, str, Callable[[], float | None]]] = []

    def meant(self, target: Target) -> list[Parameter]:
        defined = next((d for d in self.spec.definitions if d.name == target.name), None)
        if defined is not None:
            names = ", ".join(sorted(defined.expression.names()))
            raise ModelError(
                f"'{target}' is computed ({defined}): give the values of {names} instead."
            )
        return target.find(self.spec.parameters)

    def give(self, target: Target, on: On, row: Parameter, value: float) -> None:
        """A value for a parameter: at once, or as soon as the variances that it needs are known."""
        p = self.parameters[self.index[row.key]]
        self.taken.add(p.index)
        match on:
            case "parameter":
                self.set(p, value, str(target))
            case "sd":
                if value < 0:
                    raise ModelError(
                        f"'{target}' is {value:g}: a standard deviation is not below 0."
                    )
                self.set(p, value**2, str(target))
            case "correlation":
                if abs(value) > 1:
                    raise ModelError(f"'{target}' is {value:g}: a correlation is between -1 and 1.")
                self.pending.append((p, str(target), lambda: self._covariance(row, value)))
            case "icc":
                if not 0 <= value < 1:
                    raise ModelError(
                        f"'{target}' is {value:g}: an intraclass correlation is at least 0, below 1."
                    )
                self._within_variance(row, target)
                self.pending.append(
                    (p, str(target), lambda: self._between_variance(row, target, value))
                )
            case _:
                if target.total is None or not 0 <= value <= 1:
                    raise ModelError(
                        f"'{target}' is {value:g}: write rsquare({row.lhs}, total), with the variance "
                        f"that it is a share of, and give a share between 0 and 1."
                    )
                self.set(p, (1.0 - value) * target.total, str(target))

    def set(self, p: FreeParameter, value: float, source: str) -> None:
        old = self.values.get(p.index)
        if old is not None and abs(old - value) > _ROUNDING * max(1.0, abs(old)):
            raise ModelError(
                f"'{p.name}' has two values: {old:g} by '{self.sources[p.index]}' and {value:g} by "
                f"'{source}'. Give one of them."
            )
        self.values.setdefault(p.index, value)
        self.sources.setdefault(p.index, source)

    def solve(self) -> Array:
        """Every value, computing what can be computed until nothing is left."""
        determined = dict(solve_constraints(self.spec).determined)
        by_label = {p.label: p for p in self.parameters if p.label is not None}
        slopes = {s.name for s in self.spec.slopes}
        for p in self.parameters:
            computed = p.label in determined or p.index in self.taken
            if not computed and all(_zero_unless_given(r, slopes) for r in p.rows):
                self.set(p, 0.0, "the default")
        for label, expression in determined.items():
            self.pending.append((by_label[label], *self._constraint(label, expression)))
        while self.pending:
            waiting = []
            for p, source, compute in self.pending:
                value = compute()
                if value is None:
                    waiting.append((p, source, compute))
                else:
                    self.set(p, value, source)
            if len(waiting) == len(self.pending):
                break
            self.pending = waiting
        left = {p.index for p, _, _ in self.pending}
        missing = [p for p in self.parameters if p.index not in self.values]
        # What is only waiting for others is not to be given itself.
        asked = [p.name for p in missing if p.index not in left] or [p.name for p in missing]
        if missing:
            raise ModelError(
                f"{len(asked)} parameter(s) have no true value: {'; '.join(asked)}. Give each a number "
                f"(a label or a row as it stands here; sd(y) and icc(y) serve for variances)."
            )
        return np.array([self.values[p.index] for p in self.parameters])

    def _constraint(
        self, label: str, expression: Expression
    ) -> tuple[str, Callable[[], float | None]]:
        labels = {p.label: p.index for p in self.parameters if p.label is not None}

        def compute() -> float | None:
            found = {n: self.values.get(labels[n]) for n in expression.names() if n in labels}
            if any(v is None for v in found.values()):
                return None
            with np.errstate(all="ignore"):
                return float(
                    expression.evaluate(
                        {k: np.float64(v) for k, v in found.items() if v is not None}
                    )
                )

        return f"the constraint {label} == {expression}", compute

    def _variance(self, level: Level, name: str) -> float | None:
        row = self.variance_row(level, name)
        if row is None or not row.free:
            return 0.0 if row is None else row.fixed
        return self.values.get(self.index[row.key])

    def variance_row(self, level: Level, name: str) -> Parameter | None:
        return next((r for r in self.spec.at(level, "~~") if r.is_variance and r.lhs == name), None)

    def _covariance(self, row: Parameter, correlation: float) -> float | None:
        first, second = (self._variance(row.level, n) for n in (row.lhs, row.rhs))
        if first is None or second is None:
            return None
        return correlation * float(np.sqrt(max(first, 0.0) * max(second, 0.0)))

    def _within_variance(self, row: Parameter, target: Target) -> None:
        if self.variance_row("within", row.lhs) is None:
            split = [r.lhs for r in self.spec.at("within", "~~") if r.is_variance]
            raise ModelError(
                f"'{target}': '{row.lhs}' has no variance within clusters. "
                f"{did_you_mean(row.lhs, split)}"
            )

    def _between_variance(self, row: Parameter, target: Target, icc: float) -> float | None:
        within = self._variance("within", row.lhs)
        if within == 0.0 and icc > 0:
            raise ModelError(
                f"'{target}': the variance of '{row.lhs}' within clusters is 0, so that no between "
                f"variance makes an intraclass correlation of {icc:g}."
            )
        return None if within is None else within * icc / (1.0 - icc)


def _zero_unless_given(row: Parameter, slopes: set[str]) -> bool:
    return row.is_covariance or (row.op == "~1" and row.lhs not in slopes)


def _number(name: str, value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise ModelError(f"'{name}' is {value!r}, not a number.")
    return number
