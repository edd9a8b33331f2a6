"""The posterior predictive p-value as it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from bmsem.criteria.discrepancy import Part
from bmsem.criteria.predictive import PredictiveDraws
from bmsem.errors import ModelError
from bmsem.tables import Grid, Row, Tabular, number


@dataclass(frozen=True, eq=False)
class PosteriorPredictive(Tabular):
    """Posterior predictive checking by the likelihood-ratio chi-square; print it.

    ``draws`` has D(y, theta) and D(y_rep, theta) at each draw, for plots.
    """

    draws: PredictiveDraws

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for the model and for each level: ``ppp``, ``lower`` and ``upper`` (95% interval of
        observed less replicated chi-square), and the two means."""
        records = []
        for part in self.draws.parts():
            observed, replicated = self.draws.pair(part)
            lower, upper = np.quantile(observed - replicated, [0.025, 0.975])
            records.append(
                {"part": part, "ppp": float(np.mean(replicated > observed)), "lower": float(lower),
                 "upper": float(upper), "mean_observed": float(observed.mean()),
                 "mean_replicated": float(replicated.mean())}
            )  # fmt: skip
        return pd.DataFrame(records)

    def at(self, part: Part) -> float:
        """PPP ``"overall"``, ``"within"`` or ``"between"``.

        Raises
        ------
        ModelError
            If the model has no such part.
        """
        found = self.table[self.table["part"] == part]
        if not len(found):
            raise ModelError(f"No '{part}' part. There are: {', '.join(self.table['part'])}.")
        return float(found["ppp"].iloc[0])

    @property
    def value(self) -> float:
        """The overall posterior predictive p-value."""
        return self.at("overall")

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the overall chi-square difference, observed less replicated."""
        row = self.table.iloc[0]
        return float(row["lower"]), float(row["upper"])

    def __str__(self) -> str:
        lines = [
            "Posterior predictive checking using chi-square",
            f"({len(self.draws.draws):,} draws; near 0.5 if the model fits, near 0 if it does not)",
            "",
            f"    {'':<10} {'PPP':>7}   {'95% interval of observed - replicated':>38}",
        ]
        for row in self.table.to_dict("records"):
            interval = f"[{row['lower']:.3f}, {row['upper']:.3f}]"
            lines.append(f"    {row['part']:<10} {row['ppp']:>7.3f}   {interval:>38}")
        return "\n".join(lines)

    __repr__ = __str__

    def grid(self) -> Grid:
        """The table as text cells."""
        rows = tuple(
            Row((r["part"], number(r["ppp"]), f"[{number(r['lower'])}, {number(r['upper'])}]"))
            for r in self.table.to_dict("records")
        )
        return Grid(
            ("", "PPP", "95% interval of observed - replicated"), rows,
            "Posterior predictive checking using chi-square",
            notes=(
                f"{len(self.draws.draws):,} draws; PPP is near 0.5 if the model fits, near 0 if it "
                f"does not.",
            ),
        )  # fmt: skip
