"""What a calibration found: ranks, their uniformity, coverage, plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import chisquare

from bmsem.errors import ModelError
from bmsem.priors import PriorTable
from bmsem.study.arguments import listed

# Fewer replications than this a bin make the chi-square test's approximation poor.
_A_BIN = 5


@dataclass(frozen=True, eq=False)
class Calibration:
    """Ranks of true values among posterior draws; print it for the verdict.

    Attributes
    ----------
    data
        `xarray.Dataset`: ``rank`` by quantity and replication, 0 to ``draws`` (nan where a fit failed),
        ``rhat``, ``divergent``, ``seconds``; attribute ``draws``, among how many the truth was ranked.
    errors
        Why fits failed: a row each.
    priors
        The priors that parameters were drawn from.
    """

    data: xr.Dataset
    errors: pd.DataFrame
    priors: PriorTable
    settings: Mapping[str, Any]

    @classmethod
    def collect(
        cls,
        settings: Mapping[str, Any],
        results: Sequence[Mapping[str, Any]],
        names: Sequence[str],
        draws: int,
        priors: PriorTable,
    ) -> Calibration:
        """Put replications in their order."""
        count = len(results)
        rank = np.full((len(names), count), np.nan)
        checks = {k: np.full(count, np.nan) for k in ("rhat", "divergent", "seconds")}
        errors = []
        for i, found in enumerate(results):
            checks["seconds"][i] = found["seconds"]
            if "error" in found:
                errors.append({"replication": i, "error": found["error"]})
                continue
            rank[:, i] = found["ranks"]
            checks["rhat"][i], checks["divergent"][i] = found["rhat"], found["divergent"]
        data = xr.Dataset(
            {"rank": (("quantity", "replication"), rank),
             **{k: (("replication",), v) for k, v in checks.items()}},
            {"quantity": list(names), "replication": np.arange(count)},
            {"draws": draws},
        )  # fmt: skip
        frame = pd.DataFrame(errors, columns=["replication", "error"])
        return cls(data, frame, priors, dict(settings))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """By quantity: p of the chi-square test of uniform ranks, and coverage of central intervals.

        ``p`` tests equal counts in bins of five replications or more (20 bins at most); ``p_adjusted``
        is it times the number of quantities (Bonferroni). ``coverage_50`` and ``coverage_95`` have
        Monte Carlo standard errors ``…_mcse``.
        """
        draws = int(self.data.attrs["draws"])
        records = []
        for name in self.data["quantity"].values:
            ranks = self.data["rank"].sel(quantity=name).values
            ranks = ranks[np.isfinite(ranks)]
            record: dict[str, Any] = {"quantity": str(name), "p": _uniformity(ranks, draws)}
            for width in (0.5, 0.95):
                inside, exact = _central(ranks, draws, width)
                key = f"coverage_{width * 100:.0f}"
                record[key] = inside
                record[f"{key}_expected"] = exact
                record[f"{key}_mcse"] = float(np.sqrt(exact * (1 - exact) / max(len(ranks), 1)))
            records.append(record)
        frame = pd.DataFrame(records)
        frame.insert(2, "p_adjusted", (frame["p"] * len(frame)).clip(upper=1.0))
        return frame

    @property
    def calibrated(self) -> bool:
        """Whether no quantity's ranks are known to depart from uniform (adjusted p below 0.05)."""
        return not bool((self.frame["p_adjusted"] < 0.05).any())

    def plot(self, names: str | Sequence[str] | None = None, **options: Any) -> Any:
        """Empirical distribution of the ranks less the uniform one, through arviz-plots.

        Points that depart are marked. See `arviz_plots.plot_ecdf_pit` for the options.

        Returns
        -------
        arviz_plots.PlotCollection
        """
        from arviz_plots import plot_ecdf_pit

        chosen = self._chosen(names)
        draws = int(self.data.attrs["draws"])
        # A rank as a number between 0 and 1, the middle of its step.
        values = {n: (self._ranks(n) + 0.5) / (draws + 1) for n in chosen}
        tree = xr.DataTree.from_dict(
            {"prior_sbc": xr.Dataset({n: (("sample",), v) for n, v in values.items()})}
        )
        columns = min(4, len(chosen))
        size = (3.2 * columns, 2.6 * -(-len(chosen) // columns))
        given: dict[str, Any] = {
            "figure_kwargs": {"figsize": size, "layout": "constrained"},
            "col_wrap": columns,
            "sample_dims": ["sample"],
        } | options
        return plot_ecdf_pit(tree, **given)

    def plot_ranks(self, names: str | Sequence[str] | None = None) -> Any:
        """Histograms of the ranks with the band that 95% of uniform counts lie in.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from bmsem.study.plots import ranks_figure

        chosen = self._chosen(names)
        draws = int(self.data.attrs["draws"])
        return ranks_figure({n: self._ranks(n) for n in chosen}, draws)

    def _ranks(self, name: str) -> Any:
        ranks = self.data["rank"].sel(quantity=name).values
        return ranks[np.isfinite(ranks)]

    def _chosen(self, names: str | Sequence[str] | None) -> list[str]:
        known = [str(n) for n in self.data["quantity"].values]
        chosen = listed(names) if names is not None else known
        wrong = [n for n in chosen if n not in known]
        if wrong:
            raise ModelError(f"'{wrong[0]}' was not ranked; ranked were {', '.join(known)}.")
        return chosen

    def __str__(self) -> str:
        frame = self.frame
        count = self.data.sizes["replication"]
        verdict = "Too few replications to tell"
        if frame["p"].notna().any():
            worst = frame.sort_values("p").iloc[0]
            verdict = "No departure from calibration" if self.calibrated else "NOT CALIBRATED"
            verdict += (
                f": smallest p {worst['p']:.4f} ({worst['quantity']}), "
                f"{worst['p_adjusted']:.2f} after Bonferroni"
            )
        shown = frame.drop(
            columns=[c for c in map(str, frame) if c.endswith(("_mcse", "_expected"))]
        )
        lines = [
            f"{verdict}; {count:,} replications, ranks among {self.data.attrs['draws']} draws.",
            "",
            shown.to_string(index=False, float_format=lambda v: f"{v:.3f}"),
        ]
        if len(self.errors):
            lines.append(
                f"\n{len(self.errors)} replications failed (calibration.errors), the first: "
                f"{self.errors.iloc[0]['error']}"
            )
        poor = int((self.data["rhat"] > 1.05).sum())
        if poor:
            lines.append(f"\n{poor} fits had an R-hat above 1.05: their ranks are less reliable.")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, _, _ = str(self).partition("\n")
        return f"<p>{head}</p>" + self.frame.to_html(index=False, float_format="{:.3f}".format)


def _uniformity(ranks: np.ndarray, draws: int) -> float:
    """Chi-square test of ranks 0 .. draws in bins that hold as equally many ranks as can be."""
    bins = min(20, len(ranks) // _A_BIN, draws + 1)
    if bins < 2:
        return float("nan")
    edges = np.linspace(0, draws + 1, bins + 1).round()
    counts = np.histogram(ranks, bins=edges - 0.5)[0]
    expected = len(ranks) * np.diff(edges) / (draws + 1)
    return float(chisquare(counts, expected).pvalue)


def _central(ranks: np.ndarray, draws: int, width: float) -> tuple[float, float]:
    """Share of ranks in a central set, and the share of all ranks that it has: about ``width``."""
    out = round((draws + 1) * (1 - width) / 2)
    inside = (ranks >= out) & (ranks <= draws - out)
    exact = (draws + 1 - 2 * out) / (draws + 1)
    return (float(inside.mean()) if len(ranks) else float("nan")), exact
