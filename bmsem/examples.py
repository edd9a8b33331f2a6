"""The example models and their data, from the source tree or from an installed package."""

from __future__ import annotations

from pathlib import Path

from bmsem.errors import BmsemError, did_you_mean

_HERE = Path(__file__).resolve().parent
# An installed package carries the folder inside; in the source tree it stands beside the package.
_FOLDERS = (_HERE / "models", _HERE.parent / "models")


def _root() -> Path:
    for folder in _FOLDERS:
        if folder.is_dir():
            return folder
    raise BmsemError("The example models are not installed.")


def names() -> list[str]:
    """The examples that there are.

    >>> names()
    ['hsb', 'invariance', 'masks', 'moderation', 'mvpa', 'share']
    """
    return sorted(p.name for p in _root().iterdir() if (p / "README.md").is_file())


def path(name: str, file: str | None = None) -> Path:
    """The folder of an example, or one of its files.

    Raises
    ------
    BmsemError
        If there is no such example or file; the nearest is suggested.

    >>> path("mvpa", "table_25_3.inp").name
    'table_25_3.inp'
    """
    folder = _root() / name
    if not folder.is_dir():
        raise BmsemError(f"No example '{name}'. {did_you_mean(name, names())}")
    if file is None:
        return folder
    found = folder / file
    if not found.is_file():
        files = [p.name for p in folder.iterdir() if p.is_file()]
        raise BmsemError(f"The example '{name}' has no file '{file}'. {did_you_mean(file, files)}")
    return found
