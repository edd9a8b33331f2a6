"""Intraclass correlations of data, by every common definition, with Bayesian intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bmsem.data import read_data
from bmsem.data.read import numeric_columns
from bmsem.descriptives import design_effects, intraclass_correlations
from bmsem.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from bmsem.tables import Table


def icc(
    data: Any,
    cluster: str,
    variables: str | Sequence[str],
    *,
    by: str | None = None,
    after: str | Sequence[str] = (),
    bayes: bool = True,
    priors: str | Mapping[str, Any] = "weak",
    width: float = 0.95,
    draws: int = 1000,
    seed: int = 1,
) -> Table:
    """Intraclass correlations of variables, for all rows, per arm, or after a treatment's effect.

    Parameters
    ----------
    data
        A data frame, a mapping of columns, or the path of a CSV file.
    cluster
        The column that tells the clusters apart.
    variables
        One or more variables with differences inside and between clusters.
    by
        A column (treatment arm, say): intraclass correlations of each of its values apart.
    after
        Cluster-level covariates whose effects are taken out first; the Bayesian and ``ml`` figures
        are then those of the residuals, the moment estimates are left out.
    bayes
        Whether to add the posterior: a random-intercept model is sampled for each.
    priors, draws, seed
        Of the Bayesian model.
    width
        Of its highest-density interval.

    Returns
    -------
    Table
        A row a variable (and arm): ``ml``, ``anova`` (ICC(1)), ``double_entry`` (Fisher's),
        ``reliability`` (ICC(2), of a cluster mean), ``bayes`` with ``sd``, ``lower``, ``upper``;
        ``deff`` and ``deft`` from the Bayesian estimate if there is one, else from ``ml``.
        Definitions: `bmsem.descriptives.intraclass`.

    Raises
    ------
    DataError
        If a variable or the cluster column is missing, or an arm has a single cluster.

    Examples
    --------
    >>> frame = {"y": [5, 6, 3, 2, 7, 9, 2, 2], "group": [1, 1, 2, 2, 3, 3, 4, 4]}
    >>> icc(frame, "group", "y", bayes=False).frame["ml"].round(3).to_list()
    [0.88]
    """
    from bmsem.tables import Table

    frame = read_data(data)
    names = [variables] if isinstance(variables, str) else list(variables)
    covariates = [after] if isinstance(after, str) else list(after)
    for name in (cluster, *([by] if by else [])):
        if name not in frame.columns:
            raise DataError(
                f"'{name}' is not a column of the data. {did_you_mean(name, map(str, frame.columns))}"
            )
    parts = [("", frame)] if by is None else [(v, g) for v, g in frame.groupby(by, sort=True)]
    records = []
    for arm, part in parts:
        for name in names:
            # Of the rows in which the variable and the covariates are observed.
            columns = numeric_columns(part, [name, *covariates], {}, missing=True)
            there = ~np.any([np.isnan(c) for c in columns.values()], axis=0)
            own = part[there]
            codes, ids = pd.factorize(own[cluster])
            if len(ids) < 2:
                raise DataError(
                    f"{by} = {arm} has a single cluster: nothing differs between clusters."
                    if by
                    else f"'{name}' is observed in a single cluster."
                )
            sizes = np.bincount(codes).astype(float)
            record: dict[str, Any] = {} if by is None else {str(by): arm}
            record["variable"] = name
            if covariates:
                record["ml"] = _residual_ml(own, cluster, name, covariates)
            else:
                found = intraclass_correlations(columns[name][there], codes)
                kinds = ("ml", "anova", "double_entry", "reliability")
                record |= {k: found[k] for k in kinds}
            estimate = record["ml"]
            if bayes:
                posterior = _posterior(own, cluster, name, covariates, priors, draws, seed, width)
                record |= posterior
                estimate = posterior["bayes"]
            effects = design_effects(estimate, sizes)
            records.append(
                {**record, "clusters": len(ids), "n": effects["n"], "deff": effects["deff"],
                 "deft": effects["deft"]}
            )  # fmt: skip
    what = f" after {', '.join(covariates)}" if covariates else ""
    return Table(pd.DataFrame(records), f"Intraclass correlations{what}")


def _text(name: str, covariates: list[str]) -> str:
    from bmsem.expressions import quoted

    y = quoted(name)
    lines = ["level: within", f"  {y} ~~ {y}", "level: between", f"  {y} ~~ {y}"]
    if covariates:
        lines.append(f"  {y} ~ {' + '.join(map(quoted, covariates))}")
        lines.insert(0, f"between: {', '.join(map(quoted, covariates))}")
    return "\n".join(lines)


def _residual_ml(frame: pd.DataFrame, cluster: str, name: str, covariates: list[str]) -> float:
    from bmsem.api import model
    from bmsem.likelihood.canonical import layout_of, observed_data
    from bmsem.likelihood.unrestricted import unrestricted

    bound = model(_text(name, covariates)).bind(frame, cluster=cluster)
    y = unrestricted(observed_data(bound)[None], layout_of(bound), 1e-12).parts.y
    between, within = float(y.between[0, 0, 0]), float(y.within[0, 0, 0])
    return between / (between + within)


def _posterior(
    frame: pd.DataFrame,
    cluster: str,
    name: str,
    covariates: list[str],
    priors: str | Mapping[str, Any],
    draws: int,
    seed: int,
    width: float,
) -> dict[str, float]:
    from bmsem.api import model
    from bmsem.results.quantities import quantities

    fit = model(_text(name, covariates)).fit(
        frame, cluster=cluster, priors=priors, draws=draws, seed=seed, progress=False
    )
    between = fit.draws(f"between: {name} ~~ {name}").reshape(-1)
    within = fit.draws(f"within: {name} ~~ {name}").reshape(-1)
    found = quantities((between / (between + within))[:, None], width, "hpd").iloc[0]
    return {
        "bayes": float(found["median"]), "sd": float(found["sd"]),
        "lower": float(found["lower"]), "upper": float(found["upper"]),
    }  # fmt: skip
