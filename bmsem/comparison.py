"""Which of several models predicts best."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bmsem.errors import ModelError
from bmsem.tables import Table

if TYPE_CHECKING:
    from bmsem.criteria.cross_validation import ELPD
    from bmsem.fit import Fit


@dataclass(frozen=True, eq=False)
class Comparison(Table):
    """Models of the same data side by side; print it, take ``frame``, or `plot` it."""

    def plot(self) -> Any:
        """Differences of elpd to the best model, with two standard errors and weights.

        Returns
        -------
        arviz_plots.PlotCollection

        Examples
        --------
        >>> collection = bmsem.compare({"one slope": fit, "varying": varying}).plot()
        """
        from bmsem.plots.influence import comparison

        return comparison(self.frame)


def compare(fits: Mapping[str, Fit]) -> Comparison:
    """Compare models of the same data by LOO, WAIC and both DICs, the best by LOO first.

    Parameters
    ----------
    fits
        Fits by name.

    Returns
    -------
    Comparison
        ``elpd_loo`` and its standard error, ``elpd_difference`` to the best model and the standard
        error of that difference, computed from the differences cluster by cluster (Vehtari, Gelman
        & Gabry 2017, Statistics and Computing 27, equation 24), ``weight`` (stacking: Yao, Vehtari,
        Simpson & Gelman 2018, Bayesian Analysis 13, equation 4, by ArviZ), ``p_loo``, ``waic`` and
        ``waic_se``, ``dic_marginal`` and ``dic_conditional`` (the one that Mplus prints; a DIC has
        no standard error). ``.plot()`` shows the differences.

    Raises
    ------
    ModelError
        If there are fewer than two fits, or they are not of the same data: other clusters, other
        outcomes, or other values.

    Examples
    --------
    >>> found = bmsem.compare({"one slope": fit, "varying slopes": varying})
    >>> abs(float(found.frame["weight"].sum()) - 1.0) < 1e-6
    True
    """
    if len(fits) < 2:
        raise ModelError("Give at least two fits: compare({'a': fit_a, 'b': fit_b}).")
    names = list(fits)
    first = fits[names[0]]
    for name in names[1:]:
        _require_same_data(names[0], first, name, fits[name])
    loos = {name: fit.loo() for name, fit in fits.items()}
    order = sorted(names, key=lambda n: -loos[n].elpd)
    weights = _stacking_weights([loos[name] for name in order])
    best = loos[order[0]].pointwise["elpd"].to_numpy()
    records, notes = [], []
    for name, weight in zip(order, weights, strict=True):
        fit, found = fits[name], loos[name]
        waic = fit.waic()
        gap = found.pointwise["elpd"].to_numpy() - best
        conditional = fit.dic_conditional
        records.append(
            {
                "model": name,
                "elpd_loo": found.elpd,
                "se": found.se,
                "elpd_difference": float(gap.sum()),
                "se_difference": float(np.sqrt(len(gap) * gap.var(ddof=1))),
                "weight": weight,
                "p_loo": found.p,
                "waic": waic.ic,
                "waic_se": 2.0 * waic.se,
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
    notes.append(
        "Weights are those of the mixture of the models that predicts best (stacking): of models that "
        "predict alike, one can take all the weight."
    )
    return Comparison(pd.DataFrame(records), "Model comparison, best by LOO first", tuple(notes))


def _stacking_weights(loos: Sequence[ELPD]) -> np.ndarray:
    """Weights of the models in the mixture that predicts best, in the order given."""
    import xarray as xr
    from arviz_stats import compare as compare_elpd
    from arviz_stats.utils import ELPDDataLOO

    pointwise = np.stack([loo.pointwise["elpd"].to_numpy() for loo in loos])
    # Weights depend on differences only, and the density of a large cluster is no number for exp.
    pointwise = pointwise - pointwise.max(axis=0)
    data = {
        str(i): ELPDDataLOO(
            elpd=values.sum(), se=loo.se, p=loo.p, n_samples=loo.draws, n_data_points=len(values),
            scale="log", warning=False, good_k=loo.good_k, elpd_i=xr.DataArray(values, dims="unit"),
        )
        for i, (loo, values) in enumerate(zip(loos, pointwise, strict=True))
    }  # fmt: skip
    with warnings.catch_warnings():
        # Models that predict alike are said to be so by their difference and its standard error.
        warnings.simplefilter("ignore")
        frame = compare_elpd(data, method="stacking", round_to="none")
    return frame["weight"].reindex([str(i) for i in range(len(loos))]).to_numpy(dtype=float)


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
        if not np.isclose(_value(a, name), _value(b, name), rtol=1e-9, equal_nan=True).all():
            fail(f"'{name}' has other values")


def _value(fit: Fit, name: str) -> np.ndarray:
    structure = fit.bound.structure
    if name in structure.between_outcomes:
        return fit.bound.between_outcomes[:, structure.between_outcomes.index(name)]
    i, moments = structure.outcomes.index(name), fit.bound.moments
    assert moments is not None
    return np.concatenate([moments.counts[:, i], moments.means[:, i], moments.within[[i]]])
