"""Writing files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bmsem.errors import DataError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears complete or not at all.

    Raises
    ------
    DataError
        If its folder does not exist, or it cannot be written.
    """
    require_folder(path)
    try:
        descriptor, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    except OSError as error:
        raise DataError(f"'{path}' cannot be written: {error}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        # Readable for others, as files that are opened for writing are.
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise DataError(f"'{path}' cannot be written: {error}") from error


def require_folder(path: Path) -> None:
    """Raise `DataError` if there is no folder for the file."""
    if not path.absolute().parent.is_dir():
        raise DataError(f"The folder of '{path}' does not exist.")
