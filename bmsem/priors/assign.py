"""Which parameter has which prior: the preset's, the model text's, or the one that was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bmsem.data import BoundModel
from bmsem.errors import ModelError, did_you_mean
from bmsem.language import find_target
from bmsem.priors.blocks import covariance_blocks
from bmsem.priors.checks import check_identification, check_row, with_reference
from bmsem.priors.given import read_prior
from bmsem.priors.matrices import matrix_priors
from bmsem.priors.presets import PRESETS, Preset
from bmsem.priors.table import ParameterPrior, PriorTable
from bmsem.spec import ModelSpec, On, Parameter, Prior, Target
from bmsem.spec.constraints import solve_constraints
from bmsem.spec.targets import matrix_element, prior_on
from bmsem.structure import kind_of


def prior_table(
    bound: BoundModel,
    priors: str | Mapping[str, Any] = "weak",
    *,
    sample_intercepts: bool = False,
) -> PriorTable:
    """Give every free parameter a prior.

    Parameters
    ----------
    bound
        Model and data; presets may be scaled by the data.
    priors
        A preset (``"weak"``, ``"mplus"``, ``"blavaan"``), or a mapping of what has a prior to the
        prior; its key ``"preset"`` names the preset for the rest. What has a prior is a label, a
        parameter (``"between: mvpa ~ advant"``), another quantity (``"sd(y)"``, ``"icc(y)"``,
        ``"between: rsquare(y)"``, ``"cor(x, y)"``) or a group (``"paths"``, ``"between: sds"``,
        ``"iccs"``, ``"correlations"``). A prior is text such as ``"Normal(0, 1)"``, ``"LKJ(4)"``, a
        `Prior`, or a PyMC distribution made with ``.dist``.

        In whatever order they are given, a parameter's own prior goes before a group's, a group of
        one level before one of all levels, and a group that is part of another one before it
        (``"iccs"`` before ``"sds"``). Two keys that name the same, such as a label and its row, are
        an error.
    sample_intercepts
        Sample all intercepts instead of integrating out those with a normal or flat prior.

    Raises
    ------
    ModelError
        If a preset, label, parameter, group or distribution is unknown, or a prior excludes its
        parameter. What PyMC alone can tell, such as arguments that a distribution cannot have, is
        said when the model is built.

    Notes
    -----
    ``icc(y)`` is the intraclass correlation of what predictors leave, psi_B / (psi_B + psi_W): the
    between residual variance is then psi_W icc / (1 - icc), and the ICC has exactly the prior that it
    was given. ``rsquare(y)`` gives the residual variance V (1 - R-square), where V is the variance of
    y at the level, ``rsquare(y, 40)``, or else the one that the data show, which is printed.
    """
    preset, given = _split(priors)
    parameters = bound.structure.parameters
    solved = solve_constraints(bound.spec)
    determined = dict(solved.determined)
    chosen = _given(bound, given, frozenset(determined))
    own = {p.index: chosen[p.index].prior if p.index in chosen else p.prior for p in parameters}
    of_matrix = {i: v for i, v in own.items() if isinstance(v, Prior) and v.of_matrix}
    apart = frozenset(
        p.index
        for p in parameters
        if p.kind == "covariance"
        and (
            len(p.rows) > 1
            or (own[p.index] is not None and p.index not in of_matrix)
            or p.label in determined
            or p.label in solved.bounds
            or p.rows[0].lower is not None
            or p.rows[0].upper is not None
        )
    )
    plain = tuple(
        replace(b, lkj=preset.lkj, flat=preset.flat_covariances)
        for b in covariance_blocks(parameters, apart)
    )
    blocks, instead = matrix_priors(plain, parameters, of_matrix, apart)
    in_matrix = frozenset(of_matrix) - frozenset(instead)
    rows = []
    for p in parameters:
        kinds = {kind_of(r) for r in p.rows}
        if {"variance", "covariance"} <= kinds:
            raise ModelError(
                f"The label '{p.label}' stands on a variance and on a covariance. Give them two labels "
                f"and write the equality as a constraint between them."
            )
        if p.label in determined:
            if p.prior is not None or p.index in chosen:
                raise ModelError(
                    f"{p.name} has a prior, but is determined by a constraint: it equals "
                    f"{determined[p.label]}. Give the prior to what it is computed from."
                )
            rows.append(ParameterPrior(p, "determined", None, "constraint", determined[p.label]))
            continue
        prior: Any
        on: On = "parameter"
        total: float | None = None
        source = "given" if p.index in chosen else "model text"
        if p.index in instead:
            prior = instead[p.index]
        elif p.index in in_matrix:
            prior = None
        elif p.index in chosen:
            one = chosen[p.index]
            prior, on, total = one.prior, one.on, one.total
        elif p.prior is not None:
            prior = p.prior
        elif p.kind == "covariance" and p.index not in apart:
            prior, source = None, preset.name
        else:
            prior, source = preset.prior(p, bound.spec, bound.scales), preset.name
        low, high = solved.bounds.get(p.label or "", (None, None))
        first = p.rows[0]
        lower = low if low is not None else first.lower
        upper = high if high is not None else first.upper
        row = ParameterPrior(p, "sampled", prior, source, None, lower, upper, on, given_total=total)
        row = with_reference(row, bound)
        check_row(row)
        integrable = (
            p.kind == "intercept"
            and all(r.op == "~1" for r in p.rows)
            and _is_gaussian(prior)
            and lower is None
            and upper is None
            and not sample_intercepts
            and not bound.by_cell
            and not any(p.name in e.names() for e in determined.values())
        )
        rows.append(replace(row, role="integrated") if integrable else row)
    table = PriorTable(preset.name, tuple(rows), blocks)
    check_identification(bound, table)
    return table


def _is_gaussian(prior: Any) -> bool:
    """Whether a prior is a flat or a normal one, written as it should be.

    What is wrong with a normal prior is said where all distributions' arguments are checked.
    """
    if not isinstance(prior, Prior):
        return False
    words = [word for word, _ in prior.arguments]
    if prior.distribution == "Flat":
        return not words
    if prior.distribution != "Normal" or len(words) > 2:
        return False
    names = [w or ("mu", "sigma")[i] for i, w in enumerate(words)]
    if len(set(names)) < len(names) or not {"mu", "sigma", "tau"} >= set(names):
        return False
    spread = [v for n, (_, v) in zip(names, prior.arguments, strict=True) if n != "mu"]
    return len(spread) < 2 and all(v > 0 for v in spread)


def _split(priors: str | Mapping[str, Any]) -> tuple[Preset, dict[str, Any]]:
    if not isinstance(priors, str | Mapping):
        raise ModelError(
            f"priors={priors!r}: give the name of a preset ({', '.join(PRESETS)}) or a mapping such "
            f"as {{'paths': 'Normal(0, 1)'}}."
        )
    given = {} if isinstance(priors, str) else dict(priors)
    name = priors if isinstance(priors, str) else given.pop("preset", "weak")
    if name not in PRESETS:
        raise ModelError(f"Unknown priors '{name}'. {did_you_mean(str(name), PRESETS)}")
    return PRESETS[name], given


@dataclass(frozen=True)
class _Chosen:
    """A prior that was given, the quantity that it is on, the total of an R-square, and its key."""

    prior: Any
    on: On
    total: float | None
    key: str
    narrowness: tuple[int, int]


def _given(
    bound: BoundModel, given: dict[str, Any], determined: frozenset[str]
) -> dict[int, _Chosen]:
    """Priors by parameter index, of two keys that name a parameter the narrower one's.

    A group leaves out what constraints determine.
    """
    parameters = bound.structure.parameters
    index = {row.key: p.index for p in parameters for row in p.rows}
    rows = bound.spec.parameters
    found: dict[int, _Chosen] = {}
    for key, value in given.items():
        prior = read_prior(key, value)
        target = find_target(str(key), rows)
        free = _free_rows(bound.spec, key, target)
        group, narrowness = target.is_group(rows), target.narrowness(rows)
        on: On = target.of_group()[1] if group else target.on
        if isinstance(prior, Prior):
            prior = prior_on(target, prior, group)
        for row in free:
            if group and row.label in determined:
                continue
            element = matrix_element(prior, row) if group and isinstance(prior, Prior) else prior
            own = _Chosen(element, on, target.total, key, narrowness)
            before = found.setdefault(index[row.key], own)
            if before.key != key and before.narrowness == narrowness:
                raise ModelError(
                    f"Two priors are given to {parameters[index[row.key]].name}, by '{before.key}' and "
                    f"by '{key}'. Keep one of them."
                )
            if narrowness > before.narrowness:
                found[index[row.key]] = own
    return found


def _free_rows(spec: ModelSpec, key: str, target: Target) -> list[Parameter]:
    """The rows to which a key of a mapping gives a prior."""
    for definition in spec.definitions:
        if definition.name == target.name and target.name not in spec.labels:
            names = ", ".join(sorted(definition.expression.names()))
            raise ModelError(
                f"In the priors: '{key}' is computed ({definition}), so that its prior follows from "
                f"those of {names}. Give priors to these instead."
            )
    try:
        rows = target.find(spec.parameters)
    except ModelError as error:
        raise ModelError(f"In the priors: {error}") from None
    free = [row for row in rows if row.free]
    if not free:
        fixed = ", ".join(f"{row.full_name} = {row.fixed:g}" for row in rows)
        raise ModelError(
            f"A prior is given to '{key}', but there is nothing to estimate: {fixed} is fixed. "
            f"Free it, or leave the prior out."
        )
    return free
