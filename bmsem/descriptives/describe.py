"""The unrestricted two-level model by maximum likelihood: Mplus's TYPE = TWOLEVEL BASIC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.data.checks import varies_within
from bmsem.data.read import numeric_columns, read_data
from bmsem.data.statistics import cluster_statistics, observed_moments, pooled_statistics
from bmsem.data.transform import apply_transforms
from bmsem.descriptives.incomplete import incomplete_moments
from bmsem.descriptives.information import standard_errors
from bmsem.descriptives.intraclass import design_effects
from bmsem.errors import DataError, did_you_mean
from bmsem.language.mplus import parse_mplus
from bmsem.likelihood.canonical import Layout, TwoLevelData, reduced_from
from bmsem.likelihood.unrestricted import unrestricted
from bmsem.tables import Table

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LevelDescriptives:
    """Estimated moments of one level, as data frames with standard errors beside them."""

    level: str
    mean: pd.Series
    mean_se: pd.Series
    covariance: pd.DataFrame
    covariance_se: pd.DataFrame
    correlation: pd.DataFrame
    correlation_se: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Descriptives:
    """Within and between moments of clustered data; print it, or take its data frames.

    Attributes
    ----------
    within, between
        Moments of each level by maximum likelihood, with standard errors from the expected information.
    icc
        A row a variable with both parts: ``icc``, ``se``, variances, ``deff``, ``deft``,
        ``effective_n``.
    log_likelihood
        Of the unrestricted model, at its maximum.
    free_parameters
        How many parameters it has.
    rows, clusters, sizes
        N, J, and the clusters' sizes.
    notes
        What was inferred about the variables.
    """

    within: LevelDescriptives
    between: LevelDescriptives
    icc: pd.DataFrame
    log_likelihood: float
    free_parameters: int
    rows: int
    clusters: int
    sizes: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        low, high = int(self.sizes.min()), int(self.sizes.max())
        sizes = f"{low}" if low == high else f"{low} to {high}, mean {self.sizes.mean():.1f}"
        lines = [
            f"{self.rows:,} rows in {self.clusters:,} clusters of {sizes}",
            f"Unrestricted two-level model by maximum likelihood: log-likelihood "
            f"{self.log_likelihood:,.3f} with {self.free_parameters} free parameters",
        ]
        for found in (self.within, self.between):
            if not len(found.mean):
                continue
            title = found.level.upper()
            if found.level == "between" or (found.mean != 0).any():
                lines += [f"\nESTIMATED SAMPLE STATISTICS FOR {title}", "\n  Means"]
                for name in found.mean.index:
                    lines.append(
                        f"    {name:<12} {found.mean[name]:>10.3f}  (SE {found.mean_se[name]:.3f})"
                    )
            else:
                lines.append(f"\nESTIMATED SAMPLE STATISTICS FOR {title}")
            lines += ["\n  Covariances", _triangle(found.covariance)]
            lines += ["\n  Correlations", _triangle(found.correlation)]
        lines += [f"note: {note}" for note in self.notes]
        if not len(self.icc):
            return "\n".join(lines)
        lines += ["\nESTIMATED INTRACLASS CORRELATIONS", ""]
        shown = self.icc[["icc", "se", "deff", "deft", "effective_n"]].rename(
            columns={
                "icc": "ICC",
                "se": "SE",
                "deff": "DEFF",
                "deft": "DEFT",
                "effective_n": "N/DEFF",
            }
        )
        lines.append(_indent(shown.to_string(float_format="{:.3f}".format)))
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        size = f"{self.rows:,} rows in {self.clusters:,} clusters"
        parts = [f"<p>{size}; maximum likelihood under the unrestricted two-level model.</p>"]
        for found in (self.within, self.between):
            if not len(found.mean):
                continue
            table = found.correlation.copy()
            table.insert(0, "SD", np.sqrt(np.diag(found.covariance)))
            table.insert(0, "mean", found.mean)
            if found.level == "within" and not (found.mean != 0).any():
                table = table.drop(columns="mean")
            table = table.rename_axis("").reset_index()
            title = f"{found.level.title()} level: standard deviations and correlations"
            parts.append(Table(table, title).to_html())
        if len(self.icc):
            table = self.icc.rename_axis("").reset_index()
            parts.append(Table(table, "Intraclass correlations and design effects").to_html())
        parts += [f"<p>{note}</p>" for note in self.notes]
        return "".join(parts)

    def to_json(self) -> dict[str, Any]:
        """As nested dictionaries of plain values."""

        def level(found: LevelDescriptives) -> dict[str, Any]:
            return {
                "means": {k: float(v) for k, v in found.mean.items()},
                "means_se": {k: float(v) for k, v in found.mean_se.items()},
                "covariances": _pairs(found.covariance, diagonal=True),
                "covariances_se": _pairs(found.covariance_se, diagonal=True),
                "correlations": _pairs(found.correlation),
                "correlations_se": _pairs(found.correlation_se),
            }

        return {
            "within": level(self.within),
            "between": level(self.between),
            "icc": {str(n): float(r["icc"]) for n, r in self.icc.iterrows()},
            "icc_se": {str(n): float(r["se"]) for n, r in self.icc.iterrows()},
            "deff": {str(n): float(r["deff"]) for n, r in self.icc.iterrows()},
            "deft": {str(n): float(r["deft"]) for n, r in self.icc.iterrows()},
            "log_likelihood_h1": self.log_likelihood,
            "free_parameters_h1": self.free_parameters,
            "rows": self.rows,
            "clusters": self.clusters,
        }


def describe(
    data: Any,
    cluster: str | None = None,
    variables: Sequence[str] | None = None,
    *,
    within: Sequence[str] = (),
    between: Sequence[str] = (),
) -> Descriptives:
    """Estimate the unrestricted two-level model: Mplus's TYPE = TWOLEVEL BASIC.

    Parameters
    ----------
    data
        A data frame, a mapping of columns, the path of a CSV file, or the path of a Mplus input file
        (which names its own data, variables and clusters).
    cluster
        The column that tells the clusters apart.
    variables
        Columns to describe; by default all numeric ones but the cluster's.
    within, between
        Variables that exist at one level only. One that is constant in every cluster is between-only
        without being named. A named between variable that varies inside clusters is replaced by its
        observed cluster mean, which a note says.

    Raises
    ------
    DataError
        If a variable is not there, not numeric, missing everywhere, or without variance inside and
        between clusters.

    Examples
    --------
    >>> from bmsem import examples
    >>> found = describe(examples.path("mvpa", "table_25_4.inp"))
    >>> found.icc["icc"].round(3).to_dict()
    {'mvpa': 0.461, 'peers': 0.565, 'advant': 0.562}
    """
    if isinstance(data, str | Path) and Path(data).suffix.lower() == ".inp":
        return _describe_input(Path(data))
    frame = read_data(data)
    if cluster is None:
        raise DataError(
            "Name the column that tells the clusters apart: describe(data, cluster='…')."
        )
    if cluster not in frame.columns:
        raise DataError(
            f"The cluster variable '{cluster}' is not a column of the data. "
            f"{did_you_mean(cluster, map(str, frame.columns))}"
        )
    if variables is None:
        variables = [str(n) for n in frame.select_dtypes("number").columns if str(n) != cluster]
    names = list(dict.fromkeys([*variables, *within, *between]))
    columns = numeric_columns(frame, names, {}, missing=True)
    absent = int(frame[cluster].isna().sum())
    if absent:
        raise DataError(f"The cluster variable '{cluster}' is missing in {absent} row(s).")
    codes, ids = pd.factorize(frame[cluster])
    if len(ids) < 2:
        raise DataError(f"There is only one cluster in '{cluster}'.")
    if len(ids) == len(codes):
        raise DataError("Every cluster has a single member: the levels cannot be told apart.")
    for name in names:
        if np.isnan(columns[name]).all():
            raise DataError(f"'{name}' is missing in every row.")
        if np.nanmax(columns[name]) == np.nanmin(columns[name]):
            value = np.nanmax(columns[name])
            raise DataError(f"'{name}' does not vary: it is {value:g} in every row.")
    return _describe(columns, names, codes, ids, list(within), list(between))


def _describe(
    columns: dict[str, Array],
    names: list[str],
    codes: NDArray[np.intp],
    ids: pd.Index,
    within: list[str],
    between: list[str],
) -> Descriptives:
    notes = []
    counts = np.bincount(codes).astype(float)
    z_names, z_columns, y_names = [], [], []
    for name in names:
        values = columns[name]
        varies = varies_within(values, codes, len(ids)) is not None
        if name not in within and (name in between or not varies):
            if varies:
                notes.append(
                    f"'{name}' is declared between-only but varies inside clusters: its observed "
                    f"cluster mean is described."
                )
            elif name not in between:
                notes.append(f"{name} is constant in every cluster: it is between-only.")
            z_names.append(name)
            z_columns.append(observed_moments(values[:, None], codes, len(ids)).means[:, 0])
        else:
            y_names.append(name)
    z = np.column_stack(z_columns) if z_names else np.empty((len(ids), 0))
    y = np.column_stack([columns[n] for n in y_names]) if y_names else np.empty((len(codes), 0))
    only = np.array([i for i, n in enumerate(y_names) if n in within], dtype=np.intp)
    both = np.array([i for i, n in enumerate(y_names) if n not in within], dtype=np.intp)
    layout = Layout(len(z_names), both, only, 0, 0)
    needed = len(z_names) + 1
    if len(ids) <= needed:
        raise DataError(
            f"{len(ids)} clusters are too few for the covariances of {len(z_names)} between-only "
            f"variables: at least {needed + 1} are needed."
        )
    if np.isnan(y).any() or np.isnan(z).any():
        notes += _said(y, z, y_names, z_names)
        whole = ~np.isnan(y).all(axis=1)
        value, mean, sb, sw, errors = incomplete_moments(
            y[whole], z, codes[whole], ids, y_names, z_names, layout
        )
    else:
        members = cluster_statistics(y, codes, len(ids))
        pooled = pooled_statistics(members, z, np.empty((len(ids), 0)), len(y_names))
        data = TwoLevelData(pooled.scatter[None], pooled.cross[None], pooled.sizes, pooled.counts)
        found = unrestricted(data, layout, 1e-12)
        value = float(found.value[0])
        reduced = reduced_from(found.parts, layout)[0]
        mean = reduced.between_coefficients[:, 0] + pooled.shift[: len(z_names) + len(y_names)]
        sb, sw = reduced.between_covariance, reduced.within_covariance
        errors = standard_errors(sb, sw, layout, pooled.sizes, pooled.counts)
    q_names = [*z_names, *y_names]
    keep = [*range(len(z_names)), *(len(z_names) + both)]
    within_mean = np.zeros(len(y_names))
    within_mean[only] = mean[len(z_names) + only]
    within_mean_se = np.zeros(len(y_names))
    within_mean_se[only] = errors.mean[len(z_names) + only]
    icc = _icc_table(sb, sw, [y_names[i] for i in both], both, len(z_names), errors.icc, counts)
    return Descriptives(
        _level("within", y_names, within_mean, within_mean_se, sw, errors.within, errors.within_r),
        _level(
            "between", [q_names[i] for i in keep], mean[keep], errors.mean[keep],
            sb[np.ix_(keep, keep)], errors.between[np.ix_(keep, keep)],
            errors.between_r[np.ix_(keep, keep)],
        ),
        icc,
        value,
        sum(layout.free_parameters),
        len(codes),
        len(ids),
        counts.astype(np.int64),
        tuple(notes),
    )  # fmt: skip


def _said(y: Array, z: Array, y_names: list[str], z_names: list[str]) -> list[str]:
    """What is missing, in words."""
    absent = {n: int(c) for n, c in zip(y_names, np.isnan(y).sum(axis=0), strict=True)}
    absent |= {
        f"{n} (of clusters)": int(c) for n, c in zip(z_names, np.isnan(z).sum(axis=0), strict=True)
    }
    shown = ", ".join(f"{n} {c:,}" for n, c in absent.items() if c)
    return [
        f"Missing values ({shown}): maximum likelihood of what is observed, with standard errors from "
        f"the observed information."
    ]


def _level(
    level: str,
    names: list[str],
    mean: Array,
    mean_se: Array,
    covariance: Array,
    covariance_se: Array,
    correlation_se: Array,
) -> LevelDescriptives:
    def square(values: Array) -> pd.DataFrame:
        return pd.DataFrame(values, index=names, columns=names)

    sd = np.sqrt(np.diagonal(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = covariance / np.outer(sd, sd)
    return LevelDescriptives(
        level,
        pd.Series(mean, index=names),
        pd.Series(mean_se, index=names),
        square(covariance),
        square(covariance_se),
        square(correlation),
        square(correlation_se),
    )


def _icc_table(
    sb: Array,
    sw: Array,
    names: list[str],
    both: NDArray[np.intp],
    first: int,
    errors: Array,
    sizes: Array,
) -> pd.DataFrame:
    records = []
    for i, se in zip(both, errors, strict=True):
        between, within = float(sb[first + i, first + i]), float(sw[i, i])
        icc = between / (between + within)
        found = design_effects(icc, sizes)
        records.append(
            {
                "icc": icc, "se": se, "between": between, "within": within, "deff": found["deff"],
                "deft": found["deft"], "effective_n": found["effective_n"],
            }
        )  # fmt: skip
    columns = ["icc", "se", "between", "within", "deff", "deft", "effective_n"]
    return pd.DataFrame(records, index=names, columns=columns)


def _describe_input(path: Path) -> Descriptives:
    text = path.read_text(encoding="utf-8-sig")
    given = parse_mplus(text, source=path.name)
    if given.cluster is None or given.data_file is None:
        raise DataError(
            f"{path.name} names no {'cluster variable' if given.data_file else 'data'}."
        )
    frame = given.prepare(read_data(path.parent / given.data_file, names=given.names))
    frame = apply_transforms(frame, given.transforms, given.cluster)
    return describe(
        frame,
        given.cluster,
        given.use_variables,
        within=[n for n in given.within if n in given.use_variables],
        between=[n for n in given.between if n in given.use_variables],
    )


def _triangle(matrix: pd.DataFrame) -> str:
    names = [str(n) for n in matrix.index]
    values = matrix.to_numpy(dtype=float)
    width = max(10, *(len(n) + 2 for n in names)) if names else 10
    lines = ["    " + " " * 12 + "".join(f"{n:>{width}}" for n in names)]
    for i, name in enumerate(names):
        shown = "".join(f"{values[i, j]:>{width}.3f}" for j in range(i + 1))
        lines.append(f"    {name:<12}{shown}")
    return "\n".join(lines)


def _indent(text: str) -> str:
    return "\n".join("    " + line for line in text.split("\n"))


def _pairs(matrix: pd.DataFrame, diagonal: bool = False) -> dict[str, float | None]:
    names = [str(n) for n in matrix.index]
    values = matrix.to_numpy(dtype=float)
    found: dict[str, float | None] = {}
    for i in range(len(names)):
        for j in range(i + (1 if diagonal else 0)):
            value = float(values[i, j])
            found[f"{names[j]},{names[i]}"] = value if np.isfinite(value) else None
    return found
