"""Every free parameter with its prior and what becomes of it: sampled, integrated, determined."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from bmsem.data import BoundModel
from bmsem.errors import ModelError, ModelWarning, did_you_mean
from bmsem.expressions import Expression
from bmsem.language.prior_text import parse_prior
from bmsem.moments import unidentified
from bmsem.priors.blocks import CovarianceBlock, covariance_blocks
from bmsem.priors.presets import PRESETS, Preset
from bmsem.spec import Prior
from bmsem.spec.constraints import solve_constraints
from bmsem.structure import FreeParameter, kind_of

Role = Literal["sampled", "integrated", "determined"]

# Groups of parameters that a prior can be given to, optionally after "within: " or "between: ".
GROUPS = {
    "loadings": "loading",
    "paths": "path",
    "intercepts": "intercept",
    "variances": "variance",
    "sds": "variance",
    "covariances": "covariance",
    "correlations": "covariance",
}


@dataclass(frozen=True)
class ParameterPrior:
    """One free parameter's prior.

    ``prior`` is a `Prior`, a PyMC distribution object that the user gave, ``None`` if an LKJ prior on
    the block covers it or if it is determined by ``expression``.
    """

    parameter: FreeParameter
    role: Role
    prior: Prior | Any | None
    source: str
    expression: Expression | None = None
    lower: float | None = None
    upper: float | None = None
    given_on: str = "parameter"

    @property
    def on(self) -> str:
        """The quantity that has the prior: ``"parameter"``, ``"sd"`` or ``"correlation"``."""
        return self.prior.on if isinstance(self.prior, Prior) else self.given_on

    @property
    def proper(self) -> bool:
        """Whether the prior is a probability distribution."""
        return not (
            isinstance(self.prior, Prior) and self.prior.distribution in ("Flat", "HalfFlat")
        )


@dataclass(frozen=True)
class PriorTable:
    """The priors of a bound model; printable, and a data frame by `to_frame`.

    Attributes
    ----------
    rows
        One for each free parameter, in the order of the parameter vector.
    blocks
        Covariance blocks; the correlations of a full one have an LKJ(``lkj``) prior together.
    flat_covariances
        Whether the density is uniform over covariance matrices rather than correlation matrices.
    """

    preset: str
    rows: tuple[ParameterPrior, ...]
    blocks: tuple[CovarianceBlock, ...]
    lkj: float
    flat_covariances: bool

    @property
    def proper(self) -> bool:
        return not self.flat_covariances and all(r.proper for r in self.rows)

    def role(self, role: Role) -> tuple[ParameterPrior, ...]:
        return tuple(r for r in self.rows if r.role == role)

    def to_frame(self) -> pd.DataFrame:
        """Level, parameter, label, prior, the quantity it is on, role and where it comes from."""
        return pd.DataFrame(
            [
                {
                    "level": row.parameter.rows[0].level or "",
                    "parameter": row.parameter.rows[0].name,
                    "label": row.parameter.label or "",
                    "prior": self._shown(row),
                    "role": row.role,
                    "source": row.source,
                }
                for row in self.rows
            ]
        )

    def _shown(self, row: ParameterPrior) -> str:
        if row.role == "determined":
            return f"= {row.expression}"
        if row.prior is None:
            block = next(
                b for b in self.blocks if any(p[2] == row.parameter.index for p in b.pairs)
            )
            if not block.full:
                return "correlation ~ Uniform over positive-definite matrices"
            if self.flat_covariances:
                return f"uniform over {block.size} x {block.size} covariance matrices"
            return f"correlation ~ LKJ({self.lkj:g}), {block.size} x {block.size}"
        text = str(row.prior) if isinstance(row.prior, Prior) else _dist_text(row.prior)
        if row.lower is not None or row.upper is not None:
            low = "-inf" if row.lower is None else f"{row.lower:g}"
            high = "inf" if row.upper is None else f"{row.upper:g}"
            text += f" in [{low}, {high}]"
        return text

    def __str__(self) -> str:
        head = f"Priors (preset {self.preset}{'' if self.proper else ', improper'})"
        return f"{head}\n{self.to_frame().to_string(index=False)}"

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False)


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
        A preset (``"weak"``, ``"mplus"``, ``"blavaan"``), or a mapping of labels, parameters
        (``"between: mvpa ~ advant"``) or groups (``"paths"``, ``"between: sds"``) to priors; its key
        ``"preset"`` names the preset for the rest. A prior is text such as ``"Normal(0, 1)"``, a
        `Prior`, or a PyMC distribution made with ``.dist``.
    sample_intercepts
        Sample all intercepts instead of integrating out those with a normal or flat prior.

    Raises
    ------
    ModelError
        If a preset, label, parameter or group is unknown.
    """
    preset, given = _split(priors)
    parameters = bound.structure.parameters
    solved = solve_constraints(bound.spec)
    determined = dict(solved.determined)
    chosen = _given(parameters, given)
    apart = frozenset(
        p.index
        for p in parameters
        if p.kind == "covariance"
        and (
            len(p.rows) > 1
            or p.prior
            or p.index in chosen
            or p.label in determined
            or p.label in solved.bounds
            or p.rows[0].lower is not None
            or p.rows[0].upper is not None
        )
    )
    blocks = covariance_blocks(parameters, apart)
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
        on = "parameter"
        if p.index in chosen:
            (prior, on), source = chosen[p.index], "given"
        elif p.prior is not None:
            prior, source = p.prior, "model text"
        elif p.kind == "covariance" and p.index not in apart:
            prior, source = None, preset.name
        else:
            prior, source = preset.prior(p, bound.spec, bound.scales), preset.name
        low, high = solved.bounds.get(p.label or "", (None, None))
        first = p.rows[0]
        lower = low if low is not None else first.lower
        upper = high if high is not None else first.upper
        row = ParameterPrior(p, "sampled", prior, source, None, lower, upper, on)
        _check_row(row)
        integrable = (
            p.kind == "intercept"
            and all(r.op == "~1" for r in p.rows)
            and _is_gaussian(prior)
            and lower is None
            and upper is None
            and not sample_intercepts
            and not (bound.spec.slopes or bound.spec.interactions)
            and not any(p.name in e.names() for e in determined.values())
        )
        rows.append(replace(row, role="integrated") if integrable else row)
    table = PriorTable(preset.name, tuple(rows), blocks, preset.lkj, preset.flat_covariances)
    _check_identification(bound, table)
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


def _check_row(row: ParameterPrior) -> None:
    """Refuse what cannot be meant: a prior on a quantity that the parameter has not, bounds that
    would not be kept, an empty range."""
    p = row.parameter
    for on, kind, what in (("sd", "variance", "a standard deviation"),
                           ("correlation", "covariance", "a correlation")):  # fmt: skip
        if row.on == on and p.kind != kind:
            raise ModelError(f"{p.name} is a {p.kind}: it has no prior on {what}.")
    if row.lower is None and row.upper is None:
        return
    if row.lower is not None and row.upper is not None and row.lower >= row.upper:
        raise ModelError(
            f"The bounds of {p.name} leave nothing: above {row.lower:g} and below {row.upper:g}."
        )
    if row.on == "correlation" or not isinstance(row.prior, Prior):
        what = "a prior on its correlation" if row.on == "correlation" else "a PyMC distribution"
        raise ModelError(
            f"{p.name} has bounds and {what} as its prior, which do not go together. Put the bounds "
            f"into the prior (pm.Truncated), or give the prior as text on the parameter itself."
        )


def _check_identification(bound: BoundModel, table: PriorTable) -> None:
    """An unidentified parameter needs a proper prior: without one there is no posterior."""
    held = frozenset(r.parameter.index for r in table.role("determined"))
    # Means and covariances do not tell varying slopes and products; people's residuals do.
    structure = bound.structure
    held |= {p.parameter for p in structure.products if p.parameter >= 0}
    slopes = {s.row for s in structure.slopes}
    for index in (
        structure.between.path_index,
        structure.between.covariance_index,
        structure.between.coefficient_index,
    ):
        held |= {int(i) for r, c, i in index if r in slopes}
    held |= {int(i) for r, c, i in structure.between.path_index if c in slopes}
    held |= {int(i) for r, c, i in structure.between.covariance_index if c in slopes}
    names = set(unidentified(bound.structure, held))
    if not names:
        return
    rows = [r for r in table.rows if r.parameter.name in names]
    shown = ", ".join(r.parameter.name for r in rows)
    message = (
        f"The model is not identified: many values of these parameters imply the same moments, so "
        f"that no data can tell them apart: {shown}."
    )
    remedy = (
        "Fix or equate some of them; a factor needs three indicators, or two and a relation to "
        "another variable."
    )
    if table.flat_covariances or not all(r.proper for r in rows):
        raise ModelError(
            f"{message} With improper priors ({table.preset}) there is no posterior. {remedy}"
        )
    warnings.warn(f"{message} Their posterior is their prior. {remedy}", ModelWarning, stacklevel=3)


def _split(priors: str | Mapping[str, Any]) -> tuple[Preset, dict[str, Any]]:
    given = {} if isinstance(priors, str) else dict(priors)
    name = priors if isinstance(priors, str) else given.pop("preset", "weak")
    if name not in PRESETS:
        raise ModelError(f"Unknown priors '{name}'. {did_you_mean(str(name), PRESETS)}")
    return PRESETS[name], given


def _given(
    parameters: tuple[FreeParameter, ...], given: dict[str, Any]
) -> dict[int, tuple[Any, str]]:
    """Priors by parameter index, and the quantity that they are on.

    A parameter's own prior goes before a group's.
    """
    names: dict[str, list[FreeParameter]] = {}
    for p in parameters:
        for name in {p.name, *(r.full_name for r in p.rows)}:
            names.setdefault(name, []).append(p)
    chosen: dict[int, tuple[Any, str]] = {}
    single: dict[int, tuple[Any, str]] = {}
    for key, value in given.items():
        prior = parse_prior(value) if isinstance(value, str) else value
        if key in names:
            for p in names[key]:
                single[p.index] = (prior, "parameter")
            continue
        level, _, group = key.rpartition(":")
        kind = GROUPS.get(group.strip().lower())
        if kind is None or level.strip().lower() not in ("", "within", "between"):
            raise ModelError(
                f"A prior is given to '{key}', which is not a parameter of the model. "
                f"{did_you_mean(key, [*names, *GROUPS])}"
            )
        on = {"sds": "sd", "correlations": "correlation"}.get(group.strip().lower(), "parameter")
        if isinstance(prior, Prior) and on != "parameter":
            prior = replace(prior, on=on)  # type: ignore[arg-type]
        for p in parameters:
            if p.kind == kind and (not level or p.rows[0].level == level.strip().lower()):
                chosen[p.index] = (prior, on)
    return chosen | single


def _dist_text(dist: Any) -> str:
    op = getattr(getattr(dist, "owner", None), "op", None)
    return f"{getattr(op, '_print_name', [type(dist).__name__])[0]} (PyMC distribution)"
