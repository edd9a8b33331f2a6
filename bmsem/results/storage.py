"""Fits as DataTrees, and on disk."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bmsem.data import BoundModel, People, assemble
from bmsem.data.statistics import ClusterStatistics
from bmsem.errors import DataError, ModelWarning
from bmsem.language import parse_formula, write_formula
from bmsem.priors import PriorTable, prior_table
from bmsem.priors.matrices import matrix_elements
from bmsem.results.draws import GROUPS, group_of
from bmsem.results.fit import FitResults
from bmsem.spec import Prior
from bmsem.structure import build_structure
from bmsem.version import __version__

_LOG_LIKELIHOOD_LIMIT = 60_000_000


def to_datatree(fit: FitResults, log_likelihood: bool = True) -> xr.DataTree:
    """Draws by name, the sampler's statistics, and the data's sufficient statistics.

    The marginal ``log_likelihood`` by cluster is what `arviz.loo` takes; files do without it, and so
    do trees of models with varying slopes or products, and those in which it would take more than
    half a gigabyte (`Fit.log_likelihood` has it).
    """
    sample_dims = ("chain", "draw")
    chains, draws = fit.parameters.shape[:2]
    base = {"chain": np.arange(chains), "draw": np.arange(draws)}
    posterior: dict[str, Any] = {}
    coords: dict[str, Any] = dict(base)
    for kind, group in GROUPS.items():
        rows = [row for row in fit.rows if group_of(row) == group]
        if not rows:
            continue
        # Labels are an attribute: ArviZ's tables cannot take a second coordinate on a dimension.
        labels = json.dumps({r.full_name: r.label for r in rows if r.label})
        values = np.stack([fit.rows[r] for r in rows], axis=-1)
        posterior[group] = ((*sample_dims, kind), values, {"labels": labels})
        coords[kind] = [r.full_name for r in rows]
    if fit.defined:
        names = list(fit.defined)
        posterior["defined"] = (
            (*sample_dims, "definition"),
            np.stack([fit.defined[n] for n in names], axis=-1),
        )
        coords["definition"] = names
    if fit.sampled is not None and fit.sampled.shape[-1]:
        variables = [fit.bound.structure.between.variables[r] for r in fit.plan.rows]
        posterior["sampled"] = ((*sample_dims, "cluster", "quantity"), fit.sampled)
        coords["quantity"] = variables
        coords["cluster"] = _plain_labels(fit.bound.cluster_ids)
    if fit.scores is not None:
        people = fit.bound.structure.within if fit.spec.multilevel else fit.bound.structure.between
        posterior["scores"] = ((*sample_dims, "person", "factor"), fit.scores)
        coords["factor"] = [people.variables[r] for r in fit.plan.scores]
    if fit.filled is not None:
        posterior["filled"] = ((*sample_dims, "missing_value"), fit.filled)
    stats = {name: (sample_dims, np.asarray(v)) for name, v in fit.sample_stats.items()}
    unit = "cluster" if fit.spec.multilevel else "row"
    ids = _plain_labels(fit.bound.cluster_ids)
    tree = {
        "posterior": xr.Dataset(posterior, coords),
        "sample_stats": xr.Dataset(stats, base),
        "constant_data": _statistics(fit.bound),
    }
    # With sampled cluster quantities it takes an integral a draw and cluster, and is made on request.
    log_likelihood = log_likelihood and not fit.plan.needed
    if log_likelihood and chains * draws * len(ids) <= _LOG_LIKELIHOOD_LIMIT:
        tree["log_likelihood"] = xr.Dataset(
            {"marginal": ((*sample_dims, unit), fit.log_likelihood)}, {**base, unit: ids}
        )
    attributes = {
        "bmsem_version": __version__,
        "inference_library": fit.settings.get("sampler", ""),
        "title": fit.title,
        "model": write_formula(fit.spec),
        "settings": json.dumps(fit.settings),
        "timing": json.dumps(fit.timing),
        "priors": fit.priors.to_json(orient="records"),
        "interval": fit.interval,
        "complete": int(fit.complete),
        "notes": json.dumps(list(fit.bound.notes)),
        "prior_table": json.dumps(_prior_record(fit.prior_table)),
        "indirect": json.dumps(fit.indirect),
        "rows": fit.bound.rows,
    }
    result = xr.DataTree.from_dict(tree)
    result.attrs.update(attributes)
    return result


def _statistics(bound: BoundModel) -> xr.Dataset:
    structure = bound.structure
    values: dict[str, Any] = {
        "between_outcomes": (("cluster", "between_outcome"), bound.between_outcomes),
        "between_covariates": (("cluster", "between_covariate"), bound.between_covariates),
    }
    coords: dict[str, Any] = {
        "cluster": _plain_labels(bound.cluster_ids),
        "between_outcome": list(structure.between_outcomes),
        "between_covariate": list(structure.between_covariates),
    }
    if bound.spec.multilevel:
        coords["member_variable"] = [*structure.outcomes, *structure.within_covariates]
    if bound.gaps is None and bound.members is not None:
        flat = bound.members.by_cluster()
        values["cluster_size"] = (("cluster",), flat.counts[:, 0])
        values["cluster_mean"] = (("cluster", "member_variable"), flat.means[:, 0])
        values["cluster_scatter"] = (
            ("cluster", "member_variable", "member_variable_2"),
            flat.scatter[:, 0],
        )
        coords["member_variable_2"] = coords["member_variable"]
    if bound.people is not None:
        values["people"] = (("row", "member_variable"), bound.people.values)
        values["people_cluster"] = (("row",), bound.people.clusters.astype(np.int64))
        coords["row"] = _plain_labels(bound.people.index)
    return xr.Dataset(values, coords)


def _plain_labels(index: pd.Index) -> np.ndarray:
    """Labels that a file can hold: numbers as they are, everything else as text."""
    plain = index if pd.api.types.is_numeric_dtype(index) else [str(i) for i in index]
    return np.asarray(plain)


def _prior_record(table: PriorTable | None) -> dict[str, Any] | None:
    """The priors as plain values; ``None`` if one of them is a PyMC object."""
    if table is None:
        return None
    found = {}
    for row in table.rows:
        if row.prior is None:
            continue
        if not isinstance(row.prior, Prior):
            return None
        prior = row.prior
        found[row.parameter.full_name] = _record(prior)
    names = {row.parameter.index: row.parameter.full_name for row in table.rows}
    for index, prior in matrix_elements(table).items():
        found[names[index]] = _record(prior)
    return {"preset": table.preset, "priors": found}


def _record(prior: Prior) -> list[Any]:
    return [prior.distribution, prior.arguments, prior.on, prior.total]


def _read_priors(record: dict[str, Any] | None, bound: BoundModel) -> PriorTable | None:
    if record is None:
        return None
    given: dict[str, Any] = {"preset": record["preset"]}
    for name, (distribution, arguments, *rest) in record["priors"].items():
        given[name] = Prior(distribution, tuple((k, v) for k, v in arguments), *rest)
    with warnings.catch_warnings():
        # What there was to say was said when the model was fitted.
        warnings.simplefilter("ignore", ModelWarning)
        return prior_table(bound, given)


def save(fit: FitResults, path: Path) -> Path:
    """Write to a temporary file beside the target, then rename."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        tree = to_datatree(fit, log_likelihood=False)
        encoding = {"/constant_data": {"people": {"zlib": True, "complevel": 4}}}
        has_people = "people" in tree["constant_data"]
        tree.to_netcdf(partial, engine="h5netcdf", encoding=encoding if has_people else None)
        os.replace(partial, path)
    except OSError as error:
        raise DataError(f"'{path}' cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def load[F: FitResults](path: str | Path, cls: type[F]) -> F:
    """Read a fit that `Fit.save` wrote, as an object of the class ``cls``.

    Raises
    ------
    DataError
        If the file is missing, or is not a fit of bmsem.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"There is no file '{path}'.")
    try:
        tree = xr.load_datatree(path, engine="h5netcdf")
    except (OSError, ValueError) as error:
        raise DataError(f"'{path}' is not a NetCDF file: {error}") from error
    if "bmsem_version" not in tree.attrs:
        raise DataError(f"'{path}' was not written by bmsem: it has no 'bmsem_version'.")
    attributes = tree.attrs
    spec = parse_formula(str(attributes["model"]), source=str(path))
    fixed = tree["constant_data"].to_dataset()
    # Reading the text may list the variables in another order than they were stored in.
    structure = build_structure(spec)
    fixed = fixed.sel(
        between_outcome=list(structure.between_outcomes),
        between_covariate=list(structure.between_covariates),
    )
    members = None
    names = [*structure.outcomes, *structure.within_covariates]
    if "member_variable" in fixed.coords:
        fixed = fixed.sel(member_variable=names)
    if "cluster_mean" in fixed:
        fixed = fixed.sel(member_variable_2=names)
        members = ClusterStatistics(
            # Sums over columns round as they did when the fit was made.
            *(
                np.ascontiguousarray(fixed[name].values)[:, None]
                for name in ("cluster_size", "cluster_mean", "cluster_scatter")
            )
        )
    people = None
    if "people" in fixed:
        people = People(
            fixed["people"].values,
            fixed["people_cluster"].values.astype(np.intp),
            pd.Index(fixed["row"].values),
        )
    bound = assemble(
        spec,
        members,
        fixed["between_outcomes"].values,
        fixed["between_covariates"].values,
        pd.Index(fixed["cluster"].values, name=spec.cluster),
        int(attributes["rows"]),
        tuple(json.loads(str(attributes["notes"]))),
        people,
    )
    posterior = tree["posterior"].to_dataset()
    columns = []
    for parameter in bound.structure.parameters:
        row = parameter.rows[0]
        group = group_of(row)
        kind = str(posterior[group].dims[-1])
        columns.append(posterior[group].sel({kind: row.full_name}).values)
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    parameters = np.stack(columns, axis=-1) if columns else np.empty((*shape, 0))
    stats = {str(k): v.values for k, v in tree["sample_stats"].to_dataset().data_vars.items()}
    return cls(
        bound,
        pd.DataFrame(json.loads(str(attributes["priors"]))),
        parameters,
        stats,
        json.loads(str(attributes["settings"])),
        json.loads(str(attributes["timing"])),
        str(attributes["title"]),
        str(attributes["interval"]),
        bool(attributes["complete"]),
        _read_priors(json.loads(str(attributes.get("prior_table", "null"))), bound),
        tuple(
            (target, how, tuple(names))
            for target, how, names in json.loads(str(attributes.get("indirect", "[]")))
        ),
        _read_sampled(posterior, bound, shape),
        np.asarray(posterior["scores"].values) if "scores" in posterior else None,
        np.asarray(posterior["filled"].values) if "filled" in posterior else None,
    )


def _read_sampled(
    posterior: xr.Dataset, bound: BoundModel, shape: tuple[int, int]
) -> np.ndarray | None:
    plan = bound.plan
    if not plan.needed:
        return None
    names = [bound.structure.between.variables[r] for r in plan.rows]
    if not names:
        return np.empty((*shape, bound.clusters, 0))
    return np.asarray(posterior["sampled"].sel(quantity=names).values)
