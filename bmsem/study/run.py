"""Replications run and kept: what all studies share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bmsem.study.journal import Journal
from bmsem.study.pool import run_tasks


def run_study(
    function: Callable[[Any], Any],
    tasks: Mapping[str, Any],
    study: Mapping[str, Any],
    path: str | Path | None,
    *,
    cores: int | None = None,
    progress: bool | Callable[[int, int], None] = True,
    title: str = "Replications",
) -> list[Any]:
    """Results of all tasks, in their order; those that the study's file has are not done again.

    Parameters
    ----------
    function
        Takes a task; runs in another process unless ``cores`` is 1.
    tasks
        Hashable, by the key under which the result is kept.
    study, path
        What the study is, and its file; see `Journal`.
    cores, progress, title
        As in `run_tasks`.

    Raises
    ------
    DataError
        If the file belongs to another study or cannot be used.
    KeyboardInterrupt
        If interrupted, with a note on what is kept.
    """
    journal = Journal(Path(path) if path is not None else None, study)
    key_of = {task: key for key, task in tasks.items()}
    left = [key for key in tasks if key not in journal.done]
    try:
        run_tasks(
            function,
            [tasks[key] for key in left],
            lambda task, result: journal.write(key_of[task], result),
            cores=cores,
            progress=progress,
            title=title,
            already=len(tasks) - len(left),
        )
    except KeyboardInterrupt as interruption:
        interruption.add_note(journal.kept(len(tasks)))
        raise
    finally:
        journal.close()
    return [journal.done[key] for key in tasks]
