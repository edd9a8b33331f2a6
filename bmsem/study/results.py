"""What a study found: by replication, and in measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bmsem.errors import ModelError, did_you_mean
from bmsem.study.arguments import listed
from bmsem.study.measures import MEASURES, performance
from bmsem.study.replicate import CHECKS, VALUES, Sampling, Task

Array = NDArray[np.float64]

_DIMS = ("scenario", "clusters", "priors", "replication")
_SHOWN = ("bias", "rmse", "coverage", "width", "excludes_zero")


@dataclass(frozen=True, eq=False)
class Study:
    """Estimates of every replication and their measures; print it for a table.

    Attributes
    ----------
    data
        `xarray.Dataset`: ``median``, ``mean``, ``sd``, ``lower``, ``upper`` by scenario, clusters,
        priors, effect and replication (nan where a fit failed), ``truth``, and for each fit ``rhat``
        (the largest), ``ess`` (the smallest), ``divergent`` (draws) and ``seconds``.
    errors
        Why fits failed: a row each.
    settings
        What the study is.
    """

    data: xr.Dataset
    errors: pd.DataFrame
    settings: Mapping[str, Any]
    sampling: Sampling

    @classmethod
    def collect(
        cls,
        settings: Mapping[str, Any],
        results: Mapping[Task, Mapping[str, Any]],
        truth: Mapping[tuple[str, int], Array],
        effects: Sequence[str],
        priors: Sequence[str],
        sampling: Sampling,
    ) -> Study:
        """Put replications in their places, in whatever order they were done."""
        scenarios = list(dict.fromkeys(s for s, _ in truth))
        clusters = list(dict.fromkeys(j for _, j in truth))
        replications = 1 + max(t.replication for t in results)
        shape = (len(scenarios), len(clusters), len(priors), replications)
        values = {k: np.full((*shape[:3], len(effects), replications), np.nan) for k in VALUES}
        checks = {k: np.full(shape, np.nan) for k in CHECKS}
        errors = []
        for task in sorted(results, key=lambda t: (t.scenario, t.clusters, t.replication)):
            s, j = scenarios.index(task.scenario), clusters.index(task.clusters)
            for p, name in enumerate(priors):
                found = results[task][name]
                checks["seconds"][s, j, p, task.replication] = found.get("seconds", np.nan)
                if "error" in found:
                    errors.append(
                        {"scenario": task.scenario, "clusters": task.clusters, "priors": name,
                         "replication": task.replication, "error": found["error"]}
                    )  # fmt: skip
                    continue
                for key in VALUES:
                    values[key][s, j, p, :, task.replication] = _floats(found[key])
                for key in ("rhat", "ess", "divergent"):
                    checks[key][s, j, p, task.replication] = _floats([found[key]])[0]
        true = np.array([[truth[s, j] for j in clusters] for s in scenarios])
        data = xr.Dataset(
            {
                **{k: ((*_DIMS[:3], "effect", "replication"), v) for k, v in values.items()},
                **{k: (_DIMS, v) for k, v in checks.items()},
                "truth": (("scenario", "clusters", "effect"), true),
            },
            {
                "scenario": scenarios, "clusters": clusters, "priors": list(priors),
                "effect": list(effects), "replication": np.arange(replications),
            },
        )  # fmt: skip
        columns = ["scenario", "clusters", "priors", "replication", "error"]
        return cls(data, pd.DataFrame(errors, columns=columns), dict(settings), sampling)

    @cached_property
    def measures(self) -> xr.Dataset:
        """Bias, RMSE, coverage and so on, each with its Monte Carlo standard error (``…_mcse``).

        By scenario, clusters, priors and effect; see `bmsem.study.measures` for the definitions.
        ``failed`` is the share of fits that failed, ``not_converged`` of those with an R-hat above
        1.05.
        """
        data = self.data
        truth = data["truth"].values[:, :, None, :]
        truth = np.broadcast_to(truth, data["median"].shape[:-1])
        found = performance(
            truth, *(data[k].values for k in ("median", "mean", "sd", "lower", "upper"))
        )
        dims = (*_DIMS[:3], "effect")
        variables: dict[str, Any] = {}
        for name, (value, error) in found.items():
            variables[name] = (dims, value, {"meaning": MEASURES[name]})
            variables[f"{name}_mcse"] = (dims, error)
        rhat = data["rhat"].values
        failed = np.isnan(data["median"].values).all(axis=-2)
        with np.errstate(all="ignore"):
            variables["failed"] = (_DIMS[:3], failed.mean(axis=-1))
            fitted = np.maximum((~failed).sum(axis=-1), 1)
            variables["not_converged"] = (_DIMS[:3], (rhat > 1.05).sum(axis=-1) / fitted)
        coords = {k: data[k] for k in dims}
        return xr.Dataset(variables, coords)

    def table(
        self,
        effect: str | None = None,
        measures: str | Sequence[str] = _SHOWN,
        errors: bool = False,
    ) -> pd.DataFrame:
        """Measures as a data frame, a row for each cell, set of priors and effect.

        Parameters
        ----------
        effect
            Only this one.
        measures
            Which; see `bmsem.study.measures.MEASURES`.
        errors
            Whether to show the Monte Carlo standard errors too.

        Raises
        ------
        ModelError
            If an effect or a measure is unknown.
        """
        effects = [str(e) for e in self.data["effect"].values]
        if effect is not None and effect not in effects:
            raise ModelError(f"The study has no effect '{effect}'. {did_you_mean(effect, effects)}")
        measures = listed(measures)
        for name in measures:
            if name not in MEASURES:
                raise ModelError(f"Unknown measure '{name}'. {did_you_mean(name, MEASURES)}")
        columns = [n for m in measures for n in ((m, f"{m}_mcse") if errors else (m,))]
        found = self.measures[columns].stack(row=[*_DIMS[:3], "effect"]).to_dataframe()
        frame = found[columns].reset_index()
        true = self.data["truth"].to_series()
        key = pd.MultiIndex.from_frame(frame[["scenario", "clusters", "effect"]])
        frame.insert(4, "truth", true.reindex(key).to_numpy())
        if effect is not None:
            frame = frame[frame["effect"] == effect].drop(columns="effect")
        frame = frame.sort_values(["scenario", "effect", "clusters"] if effect is None else
                                  ["scenario", "clusters"], kind="stable")  # fmt: skip
        if frame["scenario"].nunique() == 1:
            frame = frame.drop(columns="scenario")
        return frame.reset_index(drop=True)

    def differences(self, reference: str, effect: str | None = None) -> pd.DataFrame:
        """How much better or worse each set of priors did than ``reference`` on the same data.

        Mean squared error and width of the interval less those under the reference, over the
        replications that have both, with the standard errors of the paired differences: these tell
        priors apart that the measures' own standard errors do not.

        Raises
        ------
        ModelError
            If a set of priors or an effect is unknown.
        """
        known = [str(p) for p in self.data["priors"].values]
        effects = [str(e) for e in self.data["effect"].values]
        for name, among, what in ((reference, known, "priors"), (effect, effects, "effect")):
            if name is not None and name not in among:
                raise ModelError(f"The study has no {what} '{name}'. {did_you_mean(name, among)}")
        data = self.data
        squared = (data["median"] - data["truth"]) ** 2
        of_mean = (data["mean"] - data["truth"]) ** 2
        records = []
        for scenario in data["scenario"].values:
            for clusters in data["clusters"].values:
                for name in effects if effect is None else [effect]:
                    for prior in (p for p in known if p != reference):
                        at = {"scenario": scenario, "clusters": clusters, "effect": name}
                        record: dict[str, Any] = {**at, "priors": prior}
                        for key, values in (
                            ("mse", squared), ("mse_mean", of_mean),
                            ("width", data["upper"] - data["lower"]),
                        ):  # fmt: skip
                            own = values.sel(at, drop=True)
                            off = (own.sel(priors=prior) - own.sel(priors=reference)).values
                            off = off[np.isfinite(off)]
                            count = max(len(off), 1)
                            record[key] = float(off.mean()) if len(off) else np.nan
                            error = off.std(ddof=1) / np.sqrt(count) if len(off) > 1 else np.nan
                            record[f"{key}_mcse"] = float(error)
                        records.append(record)
        keys = [n for k in ("mse", "mse_mean", "width") for n in (k, f"{k}_mcse")]
        return pd.DataFrame(records, columns=["scenario", "clusters", "effect", "priors", *keys])

    def plot(
        self,
        effect: str | Sequence[str] | None = None,
        measures: str | Sequence[str] = ("bias", "rmse", "coverage", "width"),
        scenario: str | None = None,
    ) -> Any:
        """Measures over the number of clusters, a line for each set of priors.

        Returns
        -------
        matplotlib.figure.Figure
            Bars are Monte Carlo standard errors, twice.
        """
        from bmsem.study.plots import measures_figure

        effects = listed(effect) if effect is not None else None
        return measures_figure(
            self.measures, effects, listed(measures), scenario, self.sampling.width
        )

    def save(self, path: Any) -> Any:
        """Write results and measures as NetCDF."""
        from pathlib import Path

        both = self.data.merge(self.measures)
        both.to_netcdf(Path(path), engine="h5netcdf")
        return Path(path)

    def __str__(self) -> str:
        data = self.data
        sizes = data.sizes
        lines = [
            f"Study: {sizes['replication']:,} replications of {sizes['scenario'] * sizes['clusters']} "
            f"cell(s), each fitted under {', '.join(map(str, data['priors'].values))}",
            "",
            self.table().to_string(index=False, float_format=lambda v: f"{v:.3f}"),
            "",
            f"Intervals: {self.sampling.width:.0%}, "
            f"{'highest density' if self.sampling.interval == 'hpd' else 'equal-tailed'}. "
            f"excludes_zero is power where the truth is not zero, and the Type I error where it is.",
        ]
        return "\n".join([*lines, *self._cautions()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{line}</p>" for line in self._cautions())
        return self.table().to_html(index=False, float_format=lambda v: f"{v:.3f}") + notes

    def _cautions(self) -> list[str]:
        error = float(self.measures["coverage_mcse"].max())
        found = [f"Monte Carlo standard error of the coverage: at most {error:.3f}."]
        if len(self.errors):
            first = self.errors.iloc[0]
            found.append(
                f"{len(self.errors)} fits failed and are left out of the measures (study.errors): "
                f"{first['priors']}, {first['clusters']} clusters, {first['error']}"
            )
        worst = self.measures["not_converged"]
        if float(worst.max()) > 0:
            at = worst.where(worst == worst.max(), drop=True)
            found.append(
                f"Up to {float(worst.max()):.1%} of a cell's fits had an R-hat above 1.05 "
                f"({at['priors'].values[0]}, {at['clusters'].values[0]} clusters); they are kept in."
            )
        return found


def _floats(values: Sequence[float | None]) -> list[float]:
    return [np.nan if v is None else float(v) for v in values]
