"""Which values are missing: the patterns of people and of clusters, and how much is covered.

Under missing at random the likelihood of what was observed is enough (Rubin 1976, Biometrika 63,
581-592): nothing is filled in. People with one pattern share the covariance matrix of what is
observed of them; coverage is the share of people in whom two variables are both observed, which is what
their covariance is learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.tables import Grid, Row, Tabular

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Below this share of people a covariance is hardly covered by the data: Mplus's default limit.
LOW_COVERAGE = 0.10


@dataclass(frozen=True, eq=False)
class Incomplete:
    """Which modelled variables are observed, of people and of clusters.

    Attributes
    ----------
    patterns : (K, p)
        Distinct patterns of the outcomes of people (of rows, without levels); true where observed.
        The commonest first.
    pattern : (N,)
        Each person's.
    between : (J, nz)
        Of the between-only outcomes of each cluster; (N, 0) without levels.
    """

    patterns: Mask
    pattern: NDArray[np.intp]
    between: Mask

    @property
    def observed(self) -> Mask:
        """(N, p), true where a value is observed."""
        return self.patterns[self.pattern]


def incomplete(people: Array, between: Array) -> Incomplete | None:
    """The patterns of outcomes (N, p) and (J, nz) in which nan is missing; ``None`` if nothing is."""
    own, other = ~np.isnan(people), ~np.isnan(between)
    if own.all() and other.all():
        return None
    patterns, pattern, counts = np.unique(own, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    return Incomplete(patterns[order], rank[pattern.reshape(-1)], other)


@dataclass(frozen=True, eq=False)
class MissingTable(Tabular):
    """Patterns of missing values and covariance coverage; print it.

    Attributes
    ----------
    patterns
        A row a pattern: a column a variable (1 observed, 0 missing), ``people`` and ``share``.
    coverage
        Share of people in whom both variables are observed; its diagonal is the share of each.
    between_patterns, between_coverage
        The same for between-only variables, over ``clusters``; empty if there are none.
    notes
        What was dropped, and what is hardly covered.
    unit
        ``"people"``, or ``"rows"`` without levels.
    """

    patterns: pd.DataFrame
    coverage: pd.DataFrame
    between_patterns: pd.DataFrame
    between_coverage: pd.DataFrame
    notes: tuple[str, ...] = ()
    unit: str = "people"

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        own = [f.to_numpy().min(initial=1.0) for f in (self.coverage, self.between_coverage)]
        return min(own) >= 1.0

    @cached_property
    def low(self) -> list[tuple[str, str, float]]:
        """Pairs of variables with less than ten per cent coverage."""
        return [*low_coverage(self.coverage), *low_coverage(self.between_coverage)]

    def _parts(self) -> list[tuple[str, pd.DataFrame, pd.DataFrame]]:
        parts = [(self.unit, self.patterns, self.coverage)]
        if len(self.between_coverage):
            parts.append(("clusters", self.between_patterns, self.between_coverage))
        return parts

    def __str__(self) -> str:
        lines = []
        for unit, patterns, coverage in self._parts():
            shown = patterns.replace({True: "x", False: "."})
            shown["share"] = [f"{s:.1%}" for s in patterns["share"]]
            most = shown.head(_SHOWN)
            lines += [f"Patterns of missing values, {unit} (x observed, . missing)", ""]
            lines += [most.to_string(index=False)]
            if len(shown) > len(most):
                left = int(patterns[unit].iloc[_SHOWN:].sum())
                lines.append(f"and {len(shown) - len(most):,} more patterns with {left:,} {unit}")
            lines += [
                "",
                f"Covariance coverage, {unit}",
                "",
                coverage.to_string(float_format="%.3f"),
            ]
            lines.append("")
        lines += [f"note: {n}" for n in self.notes]
        return "\n".join(lines).rstrip()

    __repr__ = __str__

    def grid(self) -> Grid:
        """The patterns as text cells, with the coverage below."""
        variables = [c for c in self.patterns.columns if c not in (self.unit, "share")]
        rows = [
            Row(
                (
                    *("x" if r[v] else "" for v in variables),
                    f"{r[self.unit]:,}",
                    f"{r['share']:.1%}",
                )
            )
            for r in self.patterns.head(_SHOWN).to_dict("records")
        ]
        notes = list(self.notes)
        if len(self.patterns) > _SHOWN:
            notes.insert(0, f"The {_SHOWN} commonest of {len(self.patterns):,} patterns.")
        share = np.diag(self.coverage.to_numpy())
        notes.append(
            "Observed: "
            + ", ".join(f"{n} {s:.1%}" for n, s in zip(variables, share, strict=True))
            + "."
        )
        return Grid(
            (*variables, self.unit, "share"), tuple(rows), "Patterns of missing values",
            notes=tuple(notes),
        )  # fmt: skip


# Patterns that are printed.
_SHOWN = 20


def coverage_frame(observed: Mask, names: Sequence[str]) -> pd.DataFrame:
    """Share of rows in which both variables are observed."""
    number = observed.astype(float)
    share = number.T @ number / max(1, len(number))
    return pd.DataFrame(share, index=list(names), columns=list(names))


def pattern_frame(observed: Mask, names: Sequence[str], unit: str) -> pd.DataFrame:
    """Distinct patterns, the commonest first, with how many ``unit`` have them."""
    patterns, counts = np.unique(observed, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    frame = pd.DataFrame(patterns[order], columns=list(names))
    frame[unit] = counts[order]
    frame["share"] = counts[order] / max(1, len(observed))
    return frame


def low_coverage(coverage: pd.DataFrame) -> list[tuple[str, str, float]]:
    """Pairs of variables below `LOW_COVERAGE`, a variable with itself first."""
    names = list(coverage.columns)
    values = coverage.to_numpy()
    single = [
        (n, n, float(values[i, i])) for i, n in enumerate(names) if values[i, i] < LOW_COVERAGE
    ]
    few = {n for n, _, _ in single}
    pairs = [
        (names[i], names[j], float(values[i, j]))
        for i in range(len(names))
        for j in range(i)
        if values[i, j] < LOW_COVERAGE and not {names[i], names[j]} & few
    ]
    return [*single, *pairs]
