"""Execute the notebooks, in place or for a test.

    python -m notebooks.execute [names]

A cell tagged ``parameters`` holds the numbers of draws and replications; a test replaces them by small
ones.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
TIMEOUT = 1800


def names() -> list[str]:
    """The notebooks that there are."""
    return sorted(p.stem for p in HERE.glob("*.ipynb"))


def execute(name: str, parameters: Mapping[str, Any] | None = None) -> nbformat.NotebookNode:
    """A notebook with its outputs; ``parameters`` replace those of its cell with that tag.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    book = nbformat.read(HERE / f"{name}.ipynb", as_version=4)
    for cell in book.cells:
        if parameters and "parameters" in cell.metadata.get("tags", []):
            known = {line.split("=")[0].strip() for line in cell.source.splitlines() if "=" in line}
            unknown = set(parameters) - known
            if unknown:
                raise ValueError(f"{name} has no parameter {', '.join(sorted(unknown))}.")
            cell.source += "\n" + "\n".join(f"{k} = {v!r}" for k, v in parameters.items())
    client = NotebookClient(
        book, timeout=TIMEOUT, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}
    )
    client.execute()
    # Times of the cells' execution would change at every run.
    for cell in book.cells:
        cell.metadata.pop("execution", None)
    return book


def main(chosen: list[str]) -> None:
    for name in chosen or names():
        book = execute(name)
        nbformat.write(book, HERE / f"{name}.ipynb")
        print(f"{name}: {len(book.cells)} cells")


if __name__ == "__main__":
    main(sys.argv[1:])
