"""Roles of undeclared variables, as the columns of real data decide them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bmsem.data.checks import varies_within
from bmsem.spec import ModelSpec, complete

if TYPE_CHECKING:
    from bmsem.simulation.covariates import Layout


def roles_by_data(spec: ModelSpec, data: pd.DataFrame, layout: Layout) -> ModelSpec:
    """The model with the roles that it has when it is fitted to these data.

    Columns that are absent, computed, missing or not numeric decide nothing.
    """
    if not spec.multilevel or spec.statements is None:
        return spec
    made = {t.name for t in spec.transforms}

    def constant(name: str) -> bool | None:
        if name in made or name not in data.columns:
            return None
        values = pd.to_numeric(data[name], errors="coerce")
        if values.isna().any():
            return None
        found = varies_within(values.to_numpy(dtype=float), layout.codes, layout.clusters)
        return found is None

    declared = set(spec.statements.between_only)
    predicts = {
        n for r in spec.at("within") if not r.is_variance and r.op != "~1" for n in (r.lhs, r.rhs)
    }
    split = [n for n in spec.between_only if n not in declared and constant(n) is False]
    between = [n for n in spec.split if n not in predicts and constant(n)]
    return (
        complete(spec.statements, split=split, between_only=between) if split or between else spec
    )
