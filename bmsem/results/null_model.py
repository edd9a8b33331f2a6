"""Chi-squares of a model and of the null model, as the fit indices take them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bmsem.criteria.discrepancy import Discrepancies, discrepancies
from bmsem.criteria.incomplete import observed_discrepancies
from bmsem.criteria.indices import ChiSquare
from bmsem.data import BoundModel, assemble
from bmsem.likelihood.canonical import layout_of, observed_data
from bmsem.likelihood.reduced import reduced_form
from bmsem.likelihood.saturated import Saturated
from bmsem.likelihood.unrestricted import unrestricted
from bmsem.priors import prior_table
from bmsem.sampling import sample
from bmsem.spec import Level, ModelSpec, Parameter

Array = NDArray[np.float64]


def part_chi_squares(
    bound: BoundModel, parameters: Array, observed: Discrepancies
) -> dict[str, ChiSquare]:
    """D(y, theta), p_D, p*, m and n of each part; ``observed`` holds D at the draws."""
    return _chi_squares(bound, observed, _observed(bound, parameters.mean(axis=0)[None]))


def _observed(bound: BoundModel, parameters: Array) -> Discrepancies:
    if bound.gaps is not None:
        return observed_discrepancies(bound, Saturated.of(bound), parameters)
    layout = layout_of(bound)
    data = observed_data(bound)[None]
    best = unrestricted(data, layout).value
    reduced = reduced_form(bound, parameters)
    return discrepancies(data, best, reduced, layout, levels=bound.spec.multilevel)


def _chi_squares(
    bound: BoundModel, draws: Discrepancies, at_mean: Discrepancies
) -> dict[str, ChiSquare]:
    layout = layout_of(bound)
    within, between = layout.free_parameters
    q = layout.z + len(layout.both)
    p = layout.outcomes
    rows, clusters = float(bound.rows), float(bound.clusters)
    sizes = {
        "overall": (within + between if bound.spec.multilevel else between, p + q, rows),
        "within": (within, p, rows - clusters),
        "between": (between, q, clusters),
    }
    if not bound.spec.multilevel:
        sizes["overall"] = (between, q, rows)
    found = {}
    for part, (moments, variables, n) in sizes.items():
        values, centre = draws.part(part), at_mean.part(part)  # type: ignore[arg-type]
        if values is None or centre is None:
            continue
        p_d = float(values.mean() - centre[0])
        found[part] = ChiSquare(values, p_d, moments, variables, n)
    return found


def null_spec(spec: ModelSpec, bound: BoundModel) -> ModelSpec:
    """The model of uncorrelated outcomes: means and variances at each level, nothing else."""
    structure = bound.structure
    rows: list[Parameter] = []
    top: Level = "between" if spec.multilevel else None
    only = set(spec.within_only)
    for name in structure.outcomes:
        rows.append(Parameter("within", name, "~~", name))
        if name in only:
            rows.append(Parameter("within", name, "~1"))
    for name in (*structure.between_outcomes, *structure.outcomes):
        if name not in only:
            rows += [Parameter(top, name, "~~", name), Parameter(top, name, "~1")]
    return replace(
        spec, parameters=tuple(rows), definitions=(), constraints=(), transforms=(), latent=(),
        slopes=(), interactions=(), statements=None,
    )  # fmt: skip


def null_chi_squares(bound: BoundModel, preset: str) -> dict[str, ChiSquare]:
    """Sample the null model (2 chains of 500 + 500) and return its chi-squares."""
    spec = null_spec(bound.spec, bound)
    complete = bound.gaps is None
    null = assemble(
        spec, bound.members if complete else None, bound.between_outcomes,
        bound.between_covariates, bound.cluster_ids, bound.rows,
        people=None if complete else bound.people,
    )  # fmt: skip
    samples = sample(
        null, prior_table(null, preset), draws=500, tune=500, chains=2, seed=1, progress=False
    )
    parameters = samples.parameters.reshape(-1, samples.parameters.shape[-1])
    return part_chi_squares(null, parameters, _observed(null, parameters))
