"""Priors that cannot be meant, and what an ICC or an R-square needs to become a variance."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

from bmsem.data import BoundModel
from bmsem.errors import ModelError, ModelWarning, did_you_mean
from bmsem.moments import unidentified
from bmsem.priors.given import written
from bmsem.priors.support import DISTRIBUTIONS, Range, natural_range, overlap, support
from bmsem.priors.table import ParameterPrior, PriorTable
from bmsem.spec import On, Prior


def with_reference(row: ParameterPrior, bound: BoundModel) -> ParameterPrior:
    """What turns an ICC or an R-square into a variance, found and checked."""
    p = row.parameter
    first = p.rows[0]
    if row.on not in ("icc", "r_square") or p.kind != "variance":
        return row
    if len(p.rows) > 1:
        raise ModelError(
            f"{p.name} stands for {len(p.rows)} variances: a prior on {_NEEDS[row.on][1]} is one of "
            f"a single variance. Give it to the variance itself."
        )
    if row.on == "r_square":
        total = row.prior.total if isinstance(row.prior, Prior) else row.given_total
        if total is None:
            sd = bound.scales.sd.get((first.level, first.lhs))
            if sd is None:
                raise ModelError(
                    f"The data do not show the variance of {first.lhs}, of which its R-square is a "
                    f"share. Give it: rsquare({first.lhs}, variance)."
                )
            total = float(f"{sd**2:.3g}")
        prior = replace(row.prior, total=total) if isinstance(row.prior, Prior) else row.prior
        return replace(row, prior=prior, reference=(-1, total))
    within = next(
        (r for r in bound.spec.at("within", "~~") if r.is_variance and r.lhs == first.lhs), None
    )
    if first.level != "between" or within is None:
        raise ModelError(
            f"{first.lhs} has no within and between variance, so that it has no ICC. Give the prior to "
            f"its variance or standard deviation: sd({first.lhs})."
        )
    if within.fixed == 0:
        raise ModelError(
            f"The ICC of {first.lhs} has a prior, but its within variance is fixed at 0: the ICC is 1 "
            f"whatever the between variance is. Give the prior to 'between: sd({first.lhs})', or free "
            f"the within variance."
        )
    if within.fixed is not None:
        return replace(row, reference=(-1, within.fixed))
    index = next(q.index for q in bound.structure.parameters if within in q.rows)
    sd = bound.scales.sd.get(("within", first.lhs), 1.0)
    return replace(row, reference=(index, float(f"{sd**2:.3g}")))


_NEEDS: dict[On, tuple[str, str]] = {
    "sd": ("variance", "a standard deviation"),
    "icc": ("variance", "an intraclass correlation"),
    "r_square": ("variance", "an R-square"),
    "correlation": ("covariance", "a correlation"),
}


def check_row(row: ParameterPrior) -> None:
    """Refuse what cannot be meant: a prior on a quantity that the parameter has not, one that
    excludes it, bounds that would not be kept, an empty range."""
    p = row.parameter
    kind, what = _NEEDS.get(row.on, (p.kind, ""))
    if p.kind != kind:
        raise ModelError(f"{p.name} is a {p.kind}: it has no prior on {what}.")
    if row.lower is not None and row.upper is not None and row.lower >= row.upper:
        raise ModelError(
            f"The bounds of {p.name} leave nothing: above {row.lower:g} and below {row.upper:g}."
        )
    _check_support(row)
    if row.lower is None and row.upper is None:
        return
    if row.on in ("correlation", "icc", "r_square") or not isinstance(row.prior, Prior):
        said = {"correlation": "its correlation", "icc": "its ICC", "r_square": "its R-square"}
        what = f"a prior on {said[row.on]}" if row.on in said else "a PyMC distribution"
        what = "the prior of a matrix" if row.prior is None else what
        raise ModelError(
            f"{p.name} has bounds and {what} as its prior, which do not go together. Put the bounds "
            f"into the prior (pm.Truncated), or give the prior as text on the parameter itself."
        )


def _check_support(row: ParameterPrior) -> None:
    """A prior must be a distribution, and leave something of what the parameter can be."""
    name = row.parameter.name
    if row.prior is None:
        return
    if isinstance(row.prior, Prior) and row.prior.distribution not in DISTRIBUTIONS:
        unknown = row.prior.distribution
        raise ModelError(
            f"The prior {row.prior} of {name}: '{unknown}' is not a distribution of PyMC for one "
            f"continuous number. {did_you_mean(unknown, DISTRIBUTIONS)}"
        )
    if row.parameter.kind == "variance" and row.upper is not None and row.upper <= 0:
        raise ModelError(f"{name} is a variance; its upper bound {row.upper:g} excludes it.")
    given = support(row.prior)
    if given is not None:
        require_values(row, given)


def require_values(row: ParameterPrior, given: Range) -> None:
    """Refuse a prior whose values, the range ``given``, the parameter cannot have.

    Raises
    ------
    ModelError
    """
    own = natural_range(row.parameter.kind, row.on)
    bounds = (
        -math.inf if row.lower is None else row.lower,
        math.inf if row.upper is None else row.upper,
    )
    if row.on == "sd":
        bounds = (math.sqrt(max(bounds[0], 0.0)), math.sqrt(max(bounds[1], 0.0)))
    said = f"The prior {written(row.prior)} of {row.parameter.name}"
    if given[0] >= given[1]:
        raise ModelError(f"{said} has no values.")
    allowed = overlap(own, bounds) if row.on in ("parameter", "sd") else own
    if allowed is None or overlap(given, allowed) is None:
        what = {"sd": "standard deviation", "icc": "ICC", "r_square": "R-square",
                "correlation": "correlation"}.get(row.on, row.parameter.kind)  # fmt: skip
        low, high = allowed or own
        raise ModelError(
            f"{said} excludes every value that the {what} can have: its values lie between "
            f"{given[0]:g} and {given[1]:g}, those of the {what} between {low:g} and {high:g}."
        )


def check_identification(bound: BoundModel, table: PriorTable) -> None:
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
    names = set(unidentified(bound.structure, held, bound.covered))
    if not names:
        return
    rows = [r for r in table.rows if r.parameter.name in names]
    shown = ", ".join(r.parameter.name for r in rows)
    apart = bound.never_together
    if apart and not set(unidentified(bound.structure, held)) & names:
        message = (
            f"The pattern of missing values leaves parameters unidentified: {shown}. Nothing in the "
            f"data shows how these hang together: {'; '.join(apart)}."
        )
        remedy = "Fix them at zero, leave one of the variables out, or give informative priors."
    else:
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
