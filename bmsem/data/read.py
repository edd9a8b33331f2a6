"""Getting a table of numbers: a data frame, a CSV file, or a Mplus free-format file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bmsem.errors import DataError, did_you_mean


def read_data(source: Any, names: Sequence[str] | None = None) -> pd.DataFrame:
    """A data frame from whatever holds the data.

    Parameters
    ----------
    source
        A pandas data frame, anything with ``to_pandas()`` (polars, Arrow), a mapping of columns, or
        the path of a file. A file is read as CSV with a header unless ``names`` is given.
    names
        Column names of a Mplus free-format file: numbers separated by blanks, tabs or commas,
        without a header.

    Raises
    ------
    DataError
        If the file does not exist, has no rows, or has another number of columns than ``names``.
    """
    if isinstance(source, str | Path):
        frame = _read_file(Path(source), names)
    elif isinstance(source, pd.DataFrame):
        frame = source
    elif hasattr(source, "to_pandas"):
        frame = source.to_pandas()
    else:
        try:
            frame = pd.DataFrame(source)
        except (ValueError, TypeError) as error:
            raise DataError(
                f"Data of type {type(source).__name__} cannot be made a table ({error}). "
                f"Give a data frame, a mapping of columns, or the path of a file."
            ) from error
    if len(frame) == 0:
        raise DataError("The data have no rows.")
    twice = frame.columns[frame.columns.duplicated()].unique().tolist()
    if twice:
        raise DataError(f"The data have two columns named {', '.join(map(repr, twice))}.")
    return frame


def _read_file(path: Path, names: Sequence[str] | None) -> pd.DataFrame:
    if not path.is_file():
        near = (
            did_you_mean(path.name, [p.name for p in path.parent.iterdir() if p.is_file()])
            if path.parent.is_dir()
            else "The folder does not exist."
        )
        raise DataError(f"There is no data file '{path}'. {near}")
    try:
        if names is None:
            return pd.read_csv(path)
        frame = pd.read_csv(
            path, sep=r"[,\s]+", header=None, engine="python", skipinitialspace=True
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' cannot be read as a table: {error}") from error
    # A line that starts with blanks has an empty first field, one that ends so an empty last one.
    frame = frame.dropna(axis=1, how="all")
    if frame.shape[1] != len(names):
        raise DataError(
            f"'{path}' has {frame.shape[1]} columns, but {len(names)} names are given: "
            f"{' '.join(names)}."
        )
    frame.columns = pd.Index(names)
    return frame


def numeric_columns(
    frame: pd.DataFrame,
    names: Iterable[str],
    places: dict[str, Any] | None = None,
    *,
    missing: bool = False,
) -> dict[str, NDArray[np.float64]]:
    """Columns as floats, refusing what is not a finite number.

    ``missing`` allows missing values (NaN, None, pandas' NA), which come back as nan.

    Raises
    ------
    DataError
        Naming every variable at fault: not in the data, not numeric (with the first row and value),
        infinite, or missing (with the count).
    """
    columns: dict[str, NDArray[np.float64]] = {}
    faults: list[str] = []
    incomplete: list[str] = []
    for name in names:
        if name not in frame.columns:
            place = (places or {}).get(name)
            where = f"\n  {place.source}, line {place.line}:\n{place.marked()}" if place else ""
            faults.append(
                f"'{name}' is not a column of the data. "
                f"{did_you_mean(name, map(str, frame.columns))}{where}"
            )
            continue
        series = frame[name]
        if pd.api.types.is_datetime64_any_dtype(series) or pd.api.types.is_timedelta64_dtype(
            series
        ):
            faults.append(
                f"'{name}' holds dates or times. Make a number of it first, for instance days since "
                f"the start of the study."
            )
            continue
        numbers = pd.to_numeric(series, errors="coerce")
        try:
            values = numbers.to_numpy(dtype=float, na_value=np.nan)
        except (TypeError, ValueError):
            values = np.full(len(series), np.nan)
        absent = series.isna().to_numpy()
        words = np.isnan(values) & ~absent
        if words.any():
            row = int(np.flatnonzero(words)[0])
            faults.append(
                f"'{name}' is not numeric: {series.iloc[row]!r} in row {_label(frame, row)} "
                f"({int(words.sum())} such values). {_advice(series[words])}"
            )
            continue
        infinite = np.isinf(values)
        if infinite.any():
            row = int(np.flatnonzero(infinite)[0])
            faults.append(
                f"'{name}' has {int(infinite.sum())} infinite value(s), the first in row "
                f"{_label(frame, row)}."
            )
            continue
        if absent.any() and not missing:
            incomplete.append(f"{name} ({int(absent.sum())})")
            continue
        columns[name] = values
    if incomplete:
        faults.append(
            f"Missing values by variable: {', '.join(incomplete)}. This needs complete data: drop those "
            f"rows first (data.dropna(subset=[…])) and say so when you report."
        )
    if faults:
        raise DataError("\n".join(faults))
    return columns


def _advice(words: pd.Series) -> str:
    signs = sorted({str(w).strip() for w in words})
    if len(signs) <= 3 and all(not any(c.isalnum() for c in w) or w.upper() == "NA" for w in signs):
        shown = ", ".join(repr(w) for w in signs)
        return (
            f"If {shown} stands for missing, replace it: data.replace({signs[0]!r}, float('nan'))."
        )
    return "Code it as numbers, for instance 0 and 1."


def _label(frame: pd.DataFrame, row: int) -> str:
    return str(frame.index[row])
