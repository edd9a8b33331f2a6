"""Compiled code on disk, kept in step with its sources.

Numba makes a function anew when its own file has changed, not when a file that it calls into has: after
an update of some files the code of before would go on running.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def forget_outdated(function: Any) -> None:
    """Delete what is on disk of a compiled function that is older than a source file beside it."""
    folder = Path(function.stats.cache_path)
    sources = Path(function.py_func.__code__.co_filename)
    if not folder.is_dir():
        return
    try:
        newest = max(f.stat().st_mtime for f in sources.parent.glob("*.py"))
        for kept in folder.glob(f"{sources.stem}.*.nb*"):
            if kept.stat().st_mtime < newest:
                kept.unlink(missing_ok=True)
    except OSError:
        # A folder that cannot be written, or another process that does the same just now.
        return
