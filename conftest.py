"""What the examples in docstrings find: fits of the trial of physical activity, made once."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest


@cache
def _examples() -> dict[str, Any]:
    import bmsem

    def fitted(example: str, table: str) -> Any:
        model = bmsem.read_mplus(bmsem.examples.path(example, f"table_25_{table}.inp"))
        return model.fit(priors="weak", draws=500, tune=500, seed=1, progress=False)

    activity = bmsem.read_mplus(bmsem.examples.path("mvpa", "table_25_3.inp"))
    return {
        "bmsem": bmsem,
        "activity": activity,
        "students": activity.default_data(),
        "fit": fitted("mvpa", "3"),
        "varying": fitted("mvpa", "5"),
        "moderated": fitted("moderation", "9"),
    }


@pytest.fixture(autouse=True)
def _docstring_examples(request, tmp_path, monkeypatch):
    """Fits for the examples of docstrings, whose files go to a folder of their own."""
    if not isinstance(request.node, pytest.DoctestItem):
        yield
        return
    import matplotlib

    matplotlib.use("Agg")
    request.getfixturevalue("doctest_namespace").update(_examples())
    monkeypatch.chdir(tmp_path)
    yield
    import matplotlib.pyplot as plt

    plt.close("all")
