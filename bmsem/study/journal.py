"""What a study has finished, line by line in a file that a kill can't spoil."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from bmsem.errors import DataError


class Journal:
    """Results by key, kept in memory and, with a path, in a file of JSON lines.

    The first line says what the study is. A line that was cut off when the process was killed is
    dropped when the file is opened again; its replication is done anew.

    Parameters
    ----------
    path
        Of the file; ``None`` keeps nothing.
    study
        What the study is, as JSON values: a file of another study is refused.

    Raises
    ------
    DataError
        If the file is no journal, belongs to another study, or cannot be written.
    """

    def __init__(self, path: Path | None, study: Mapping[str, Any]) -> None:
        self.path = path
        self.done: dict[str, Any] = {}
        self._file: IO[str] | None = None
        if path is None:
            return
        head = json.loads(json.dumps(dict(study)))
        try:
            if path.exists() and path.stat().st_size:
                self._read(path, head)
            self._file = path.open("a", encoding="utf-8")
            if not path.stat().st_size:
                self._line(head)
        except OSError as error:
            raise DataError(f"The study's file '{path}' cannot be used: {error}") from error

    def _read(self, path: Path, head: dict[str, Any]) -> None:
        text = path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        lines = whole.decode("utf-8", errors="replace").splitlines()
        try:
            found = json.loads(lines[0]) if lines else None
            records = [json.loads(line) for line in lines[1:]]
            self.done = {record["key"]: record["value"] for record in records}
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"'{path}' is not the file of a study. Give another path, or delete it."
            ) from error
        if found is None and not (json.dumps(head) + "\n").encode().startswith(text):
            # Nothing but the beginning of this study's own first line may be overwritten.
            raise DataError(
                f"'{path}' is not the file of a study. Give another path, or delete it."
            )
        if found is not None:
            _require_same(path, head, found)
        if len(whole) < len(text):
            # The last line was cut off by a kill.
            with path.open("r+b") as file:
                file.truncate(len(whole))

    def write(self, key: str, value: Any) -> None:
        """Keep a result; it is on disk when this returns."""
        self.done[key] = value
        if self._file is not None:
            self._line({"key": key, "value": value})

    def _line(self, record: Mapping[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def kept(self, total: int) -> str:
        """What an interrupted study has, in words."""
        if self.path is None:
            return "Nothing is kept of an interrupted study without a path: give it path='…'."
        return (
            f"{len(self.done)} of {total} replications are kept in '{self.path}': the same call goes on "
            f"from there."
        )

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _require_same(path: Path, head: dict[str, Any], found: Any) -> None:
    if not isinstance(found, dict):
        raise DataError(f"'{path}' is not the file of a study. Give another path, or delete it.")
    differ = [k for k in {**head, **found} if head.get(k) != found.get(k)]
    if differ:
        first = differ[0]
        raise DataError(
            f"'{path}' belongs to another study: its {', '.join(differ)} differ. {first} is there "
            f"{_short(found.get(first))} and here {_short(head.get(first))}. Give another path, or "
            f"delete the file."
        )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
