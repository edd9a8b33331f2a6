"""What becomes of rows and covariates with missing values when a model is joined with data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.data.bound import MISSING_WORDS
from bmsem.data.missing import LOW_COVERAGE, MissingTable
from bmsem.errors import DataError, ModelError, NotSupportedError
from bmsem.spec import Level, ModelSpec, Parameter, Statement, complete
from bmsem.structure import Structure
from bmsem.structure.sampled import SampledQuantities

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def complete_rows(
    columns: dict[str, Array], frame: pd.DataFrame, cluster: str | None
) -> tuple[Mask, list[str]]:
    """Rows without a missing value, and what list-wise deletion costs, in words.

    Raises
    ------
    DataError
        If no row is complete.
    """
    absent = {name: np.isnan(values) for name, values in columns.items()}
    kept = ~np.any(list(absent.values()), axis=0)
    if kept.all():
        return kept, []
    by_name = ", ".join(f"{n} ({int(a.sum())})" for n, a in absent.items() if a.any())
    if not kept.any():
        raise DataError(f"No row is complete, so nothing is left list-wise: {by_name}.")
    said = f"{int((~kept).sum()):,} of {len(kept):,} rows"
    if cluster is not None:
        ids = frame[cluster]
        gone = ids.nunique() - ids[kept].nunique()
        said += f" and {gone:,} of {ids.nunique():,} clusters"
    return kept, [
        f"{MISSING_WORDS}: {said} are dropped list-wise, for missing {by_name}. Estimates are biased "
        f"unless values are missing completely at random."
    ]


def people_with_outcomes(
    spec: ModelSpec, structure: Structure, columns: dict[str, Array]
) -> tuple[Mask, list[str]]:
    """Rows in which an outcome is observed: the others tell nothing about the model.

    Raises
    ------
    DataError
        If there are none.
    """
    outcomes = structure.outcomes if spec.multilevel else structure.between_outcomes
    if not outcomes:
        return np.ones(len(next(iter(columns.values()))), dtype=bool), []
    kept = ~np.all([np.isnan(columns[n]) for n in outcomes], axis=0)
    if kept.all():
        return kept, []
    if not kept.any():
        raise DataError(f"No row has a value of any of {', '.join(outcomes)}.")
    return kept, [
        f"{MISSING_WORDS}: {int((~kept).sum()):,} of {len(kept):,} rows have no value of any of "
        f"{', '.join(outcomes)} and are dropped."
    ]


def with_covariates_modelled(
    spec: ModelSpec, structure: Structure, columns: dict[str, Array], model: bool
) -> tuple[ModelSpec, list[str]]:
    """The model in which incomplete covariates have a distribution, and what became of them.

    Raises
    ------
    DataError
        If a covariate is incomplete and ``model`` is false.
    """
    top: Level = "between" if spec.multilevel else None
    places: list[tuple[Level, str]] = [("within", n) for n in structure.within_covariates]
    places += [(top, n) for n in structure.between_covariates]
    found = [(level, name) for level, name in places if np.isnan(columns[name]).any()]
    if not found:
        return spec, []
    counts = ", ".join(f"{n} ({int(np.isnan(columns[n]).sum())})" for _, n in found)
    first = found[0][1]
    if not model:
        raise DataError(
            f"Covariates with missing values, in rows: {counts}. Covariates are conditioned on, so they "
            f"have no distribution from which a missing value could come. There are three ways out:\n"
            f"  missing='listwise' drops the rows;\n"
            f"  missing='model' gives them a distribution, as naming a covariate's mean or variance in "
            f"the model does ('{first} ~~ {first}');\n"
            f"  a list of multiply imputed data frames is fitted frame by frame, and pooled."
        )
    if spec.statements is None:
        raise ModelError("missing='model' needs a model that was written, not made from a table.")
    rows = tuple(Statement(Parameter(level, n, "~~", n)) for level, n in found)
    changed = replace(spec.statements, rows=(*spec.statements.rows, *rows))
    completed = complete(changed, split=spec.split, between_only=spec.between_only)
    return completed, [
        f"{MISSING_WORDS}: the covariates {counts} are incomplete and get a normal distribution, given "
        f"the complete covariates of their level."
    ]


def require_known_multipliers(structure: Structure, plan: SampledQuantities, z: Array) -> None:
    """Refuse a product with a between-only variable that is missing in some clusters.

    Raises
    ------
    NotSupportedError
        Naming it.
    """
    for modulation in plan.modulations:
        name = modulation.observed
        if name in structure.between_outcomes:
            absent = np.isnan(z[:, structure.between_outcomes.index(name)])
            if absent.any():
                raise NotSupportedError(
                    f"'{name}' is multiplied with a latent variable and missing in "
                    f"{int(absent.sum())} cluster(s): a product of two unknowns. Drop these clusters "
                    f"(missing='listwise'), or impute '{name}' and give the list of data frames."
                )


def missing_warnings(table: MissingTable) -> list[str]:
    """Variables that are hardly ever observed, alone or together."""
    if not table.low:
        return []
    shown = ", ".join(
        f"{a} ({share:.1%})" if a == b else f"{a} with {b} ({share:.1%})"
        for a, b, share in table.low[:6]
    ) + (", …" if len(table.low) > 6 else "")
    return [
        f"{MISSING_WORDS}: coverage below {LOW_COVERAGE:.0%} for {shown}. What is said about these "
        f"rests on few people and on the priors."
    ]
