"""Independent tasks over local processes, with a progress bar."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Say = Callable[[int, int], None]


def run_tasks(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    finished: Callable[[Any, Any], None],
    *,
    cores: int | None = None,
    progress: bool | Say = True,
    title: str = "Replications",
    already: int = 0,
) -> None:
    """Call ``function`` with every task, and ``finished(task, result)`` as each is done.

    Parameters
    ----------
    function
        Takes a task; runs in another process unless ``cores`` is 1.
    cores
        Processes; by default as many as there are cores.
    progress
        A bar on a terminal or in a notebook, lines elsewhere; or a function of (done, all).
    already
        Tasks that an earlier run had finished, for the progress.

    Notes
    -----
    An interruption stops what has not been started and is raised again; what ``finished`` has seen
    stays.
    """
    count = min(cores or os.cpu_count() or 1, max(1, len(tasks)))
    with _progress(progress, title, already, already + len(tasks)) as advance:
        if count == 1:
            for task in tasks:
                finished(task, function(task))
                advance()
            return
        from joblib import Parallel, delayed

        # Processes that need no guarded main module, which a notebook or a script has not.
        pool = Parallel(n_jobs=count, return_as="generator_unordered", batch_size=1)
        with warnings.catch_warnings():
            # joblib says when a process had to be replaced; the tasks are done all the same.
            warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
            for task, result in pool(delayed(_with_task)(function, task) for task in tasks):
                finished(task, result)
                advance()


def _with_task(function: Callable[[Any], Any], task: Any) -> tuple[Any, Any]:
    return task, function(task)


@contextmanager
def _progress(
    progress: bool | Say, title: str, done: int, total: int
) -> Iterator[Callable[[], None]]:
    """A function that counts one more."""
    count = done
    if progress is True:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        console = Console(file=sys.stderr)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                   TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())  # fmt: skip
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(title, total=total, completed=done)
            yield lambda: bar.advance(task)
        return

    def advance() -> None:
        nonlocal count
        count += 1
        if callable(progress):
            progress(count, total)

    yield advance
