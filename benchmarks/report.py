"""How every benchmark writes what it measured."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PACKAGES = ("bmsem", "pymc", "pytensor", "nutpie", "numba", "numpy")


def setting(name: str) -> dict[str, Any]:
    """The command, versions, cores and load that stand beside every result."""
    return {
        "command": f"python -m benchmarks {name}",
        "versions": {n: version(n) for n in PACKAGES},
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load at the end": round(os.getloadavg()[0], 2),
    }


def write(name: str, title: str, text: str, result: dict[str, Any]) -> None:
    """``name.md`` and ``name.json`` beside the benchmarks."""
    made = setting(name)
    versions = ", ".join(f"{k} {v}" for k, v in made["versions"].items())
    head = (
        f"# {title}\n\nMade by `{made['command']}`: {made['cores']} cores, Python {made['python']}, "
        f"{versions}.\n\n"
    )
    (HERE / f"{name}.md").write_text(head + text.rstrip() + "\n")
    (HERE / f"{name}.json").write_text(json.dumps(made | result, indent=1) + "\n")
    print(head + text)
