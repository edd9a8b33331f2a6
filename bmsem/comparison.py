"""Which of several models predicts best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bmsem.errors import ModelError

if TYPE_CHECKING:
    from bmsem.fit import Fit
    from bmsem.tables import Table


def compare(fits: Mapping[str, Fit]) -> Table:
    """Compare models of the same data by LOO, WAIC and both DICs, the best by LOO first.

    Parameters
    ----------
    fits
        Fits by name.

    Returns
    -------
    Table
        ``elpd_loo`` and its standard error, ``elpd_difference`` to the best model and the standard
        error of that difference, computed from the differences cluster by cluster (Vehtari, Gelman
        & Gabry 2017, Statistics and Computing 27, equation 24), ``p_loo``, ``waic``,
        ``dic_marginal`` and ``dic_conditional`` (the one that Mplus prints).

    Raises
    ------
    ModelError
        If there are fewer than two fits, or they are not of the same data: other clusters, other
        outcomes, or other values.

    Examples
    --------
    >>> bmsem.compare({"full": fit, "no direct path": other})          # doctest: +SKIP
    """
    from bmsem.tables import Table

    if len(fits) < 2:
        raise ModelError("Give at least two fits: compare({'a': fit_a, 'b': fit_b}).")
    names = list(fits)
    first = fits[names[0]]
    for name in names[1:]:
        _require_same_data(names[0], first, name, fits[name])
    loos = {name: fit.loo() for name, fit in fits.items()}
    order = sorted(names, key=lambda n: -loos[n].elpd)
    best = loos[order[0]].pointwise["elpd"].to_numpy()
    records, notes = [], []
    for name in order:
        fit, found = fits[name], loos[name]
        gap = found.pointwise["elpd"].to_numpy() - best
        conditional = fit.dic_conditional
        records.append(
            {
                "model": name,
                "elpd_loo": found.elpd,
                "se": found.se,
                "elpd_difference": float(gap.sum()),
                "se_difference": float(np.sqrt(len(gap) * gap.var(ddof=1))),
                "p_loo": found.p,
                "waic": fit.waic().ic,
                "dic_marginal": fit.dic_marginal.dic,
                "dic_conditional": np.nan if conditional is None else conditional.dic,
            }
        )
        notes += [f"{name}: {line}" for line in found.lines[1:]]
        if not fit.converged:
            notes.append(f"{name}: {fit.convergence.lines[0]}")
    notes.append(
        "A difference within twice its standard error is no evidence. The conditional DIC is about new "
        "people in the same clusters, everything else about new clusters; do not mix them."
    )
    return Table(pd.DataFrame(records), "Model comparison, best by LOO first", tuple(notes))


def _require_same_data(first: str, a: Fit, second: str, b: Fit) -> None:
    def fail(what: str) -> None:
        raise ModelError(
            f"'{first}' and '{second}' cannot be compared: {what}. Information criteria compare models "
            f"of the same outcomes in the same data."
        )

    if (a.bound.rows, a.bound.clusters) != (b.bound.rows, b.bound.clusters):
        fail(
            f"they have {a.bound.rows:,} rows in {a.bound.clusters:,} clusters and "
            f"{b.bound.rows:,} rows in {b.bound.clusters:,} clusters"
        )
    mine, theirs = (
        {*f.bound.structure.outcomes, *f.bound.structure.between_outcomes} for f in (a, b)
    )
    if mine != theirs:
        different = ", ".join(sorted(mine ^ theirs))
        fail(f"their modelled variables differ ({different})")
    if list(a.bound.cluster_ids) != list(b.bound.cluster_ids):
        fail("their clusters have other names or another order")
    for name in sorted(mine):
        if not np.isclose(_value(a, name), _value(b, name), rtol=1e-9).all():
            fail(f"'{name}' has other values")


def _value(fit: Fit, name: str) -> np.ndarray:
    structure = fit.bound.structure
    if name in structure.between_outcomes:
        return fit.bound.between_outcomes[:, structure.between_outcomes.index(name)]
    assert fit.bound.members is not None
    flat = fit.bound.members.by_cluster()
    i = structure.outcomes.index(name)
    return np.concatenate([flat.means[:, 0, i], flat.scatter[:, 0, i, i]])
