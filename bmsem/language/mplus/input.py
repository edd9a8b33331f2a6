"""What an input file asks for, as one immutable object."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bmsem.errors import DataError, DataWarning, NotSupportedError
from bmsem.spec import ModelSpec, Transform


def _numbers(column: pd.Series) -> pd.Series:
    """As numbers if all are; else as it is, for the message about what is not."""
    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError):
        return column


@dataclass(frozen=True)
class Indirect:
    """A request of MODEL INDIRECT: effects on ``outcome``, ``IND`` or ``VIA`` the variables."""

    outcome: str
    kind: str
    variables: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.outcome} {self.kind} {' '.join(self.variables)}"


@dataclass(frozen=True)
class Ignored:
    """A part of the input that has no effect here, and why."""

    line: int
    text: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: '{self.text}' has no effect: {self.reason}"


@dataclass(frozen=True)
class Selection:
    """USEOBSERVATIONS: its text, and the function from columns to a row mask."""

    text: str
    mask: Callable[[pd.DataFrame], Any]


@dataclass(frozen=True)
class MplusInput:
    """A Mplus input file, read.

    Attributes
    ----------
    title, data_file, names, use_variables, cluster
        As written.
    missing
        Codes for missing values by variable (``"ALL"`` for every variable); ``"."`` and ``"*"``
        stand for themselves.
    selection
        USEOBSERVATIONS, if given.
    within, between, categorical, count
        Lists of the VARIABLE command.
    transforms
        DEFINE, in order.
    analysis
        Options of ANALYSIS by name.
    spec
        The model; ``None`` without a MODEL command (TYPE = TWOLEVEL BASIC).
    indirect
        Requests of MODEL INDIRECT.
    outputs, plots
        Options of OUTPUT and PLOT with their arguments.
    ignored
        What has no effect here.
    """

    title: str
    data_file: str | None
    names: tuple[str, ...]
    use_variables: tuple[str, ...]
    cluster: str | None
    missing: tuple[tuple[str, tuple[str, ...]], ...]
    selection: Selection | None
    within: tuple[str, ...]
    between: tuple[str, ...]
    categorical: tuple[str, ...]
    count: tuple[str, ...]
    transforms: tuple[Transform, ...]
    analysis: dict[str, str]
    spec: ModelSpec | None
    indirect: tuple[Indirect, ...]
    outputs: tuple[tuple[str, tuple[str, ...]], ...]
    plots: tuple[str, ...]
    ignored: tuple[Ignored, ...]

    @property
    def type(self) -> tuple[str, ...]:
        """Words of ANALYSIS: TYPE."""
        return tuple(self.analysis.get("TYPE", "GENERAL").split())

    @property
    def basic(self) -> bool:
        """Whether descriptive statistics are asked for instead of a model."""
        return "BASIC" in self.type

    @property
    def interval(self) -> str:
        """``"hpd"`` if CINTERVAL(HPD) is asked for; Mplus's default is equal-tailed."""
        arguments = dict(self.outputs).get("CINTERVAL", ())
        return "hpd" if "HPD" in arguments else "equal"

    def require_estimable(self) -> None:
        """Raise `NotSupportedError` for what was read but cannot be estimated yet."""
        parts = []
        if "COMPLEX" in self.type:
            parts.append("TYPE = COMPLEX (clusters as a nuisance, robust standard errors)")
        for name, listed in (("CATEGORICAL", self.categorical), ("COUNT", self.count)):
            if listed:
                parts.append(f"{name} outcomes: {', '.join(listed)}")
        if parts:
            raise NotSupportedError(
                "This input was read, but bmsem cannot estimate it yet:\n  " + "\n  ".join(parts)
            )

    def messages(self) -> list[str]:
        """What the user should know: what was ignored."""
        return [str(i) for i in self.ignored]

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Data with missing codes made missing and USEOBSERVATIONS applied.

        Raises
        ------
        DataError
            If no row is selected.
        """
        result = frame.copy(deep=False)
        for variable, codes in self.missing:
            names = list(result.columns) if variable == "ALL" else [variable]
            numbers = [float(c) for c in codes if c not in (".", "*")]
            signs = [c for c in codes if c in (".", "*")]
            for name in names:
                column = result[name]
                if signs and not pd.api.types.is_numeric_dtype(column):
                    column = _numbers(column.replace(dict.fromkeys(signs, np.nan)))
                result[name] = column.mask(column.isin(numbers)) if numbers else column
        for message in self._codes_elsewhere(result):
            warnings.warn(message, DataWarning, stacklevel=3)
        if self.selection is not None:
            keep = np.asarray(self.selection.mask(result), dtype=bool)
            if not keep.any():
                raise DataError(f"USEOBSERVATIONS = {self.selection.text} selects no row.")
            result = result[keep]
        return result

    def _codes_elsewhere(self, frame: pd.DataFrame) -> list[str]:
        """Codes for missing values that occur as data in variables that they were not declared for."""
        declared: dict[str, list[str]] = {}
        for variable, codes in self.missing:
            for code in codes:
                if variable != "ALL" and code not in (".", "*"):
                    declared.setdefault(code, []).append(variable)
        made = {t.name for t in self.spec.transforms} if self.spec is not None else set()
        used = [n for n in self.use_variables if n not in made and n in frame.columns]
        found = []
        for code, names in declared.items():
            counts = {n: int((frame[n] == float(code)).sum()) for n in used if n not in names}
            counts = {n: c for n, c in counts.items() if c}
            if counts:
                shown = ", ".join(f"{n} (in {c:,} rows)" for n, c in counts.items())
                found.append(
                    f"{code} is declared missing for {', '.join(names)}, but occurs as data in {shown}, "
                    f"where it is taken as it is. If it is missing there too: MISSING ARE "
                    f"{' '.join([*names, *counts])} ({code});"
                )
        return found

    def __str__(self) -> str:
        lines = [f"MplusInput: {self.title or 'untitled'}"]
        for title, value in (
            ("data", self.data_file or ""),
            ("names", " ".join(self.names)),
            ("use variables", " ".join(self.use_variables)),
            ("cluster", self.cluster or ""),
            ("select", self.selection.text if self.selection else ""),
            ("type", " ".join(self.type)),
            ("output", " ".join(n + (f"({' '.join(a)})" if a else "") for n, a in self.outputs)),
            ("indirect", "; ".join(map(str, self.indirect))),
        ):
            if value:
                lines.append(f"  {title + ':':<16}{value}")
        if self.spec is not None:
            lines += ["  " + line for line in str(self.spec).splitlines()]
        return "\n".join([*lines, *(f"  {i}" for i in self.ignored)])
