"""A module of bmsem imports only from its own floor or from a lower one.

Imports inside functions and under ``TYPE_CHECKING`` count: they tie modules together as well.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

# The rules. ------------------------------------------------------------------------------------

# From the lowest floor to the highest; the parts of one line may import each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "version"),
    ("expressions", "files", "tables"),
    ("spec",),
    ("language", "structure"),
    ("data",),
    ("moments",),
    ("priors",),
    ("likelihood",),
    ("graph",),
    ("descriptives", "criteria", "effects", "simulation"),
    ("latent",),
    ("sampling",),
    ("results",),
    ("diagrams", "plots"),
    ("reports",),
    ("api", "cli", "fit", "plan", "comparison", "intraclass", "examples", "__init__", "__main__",
     "pooled", "study"),
)  # fmt: skip
# These may import nothing else of bmsem, whatever their floor.
ONLY: dict[str, set[str]] = {"examples": {"errors"}}
# Who may import a library (its companions such as arviz_stats go with it).
OWNERS: dict[str, set[str]] = {
    "pymc": {"graph", "sampling"},
    "pytensor": {"graph", "sampling"},
    "nutpie": {"graph", "sampling"},
    "xarray": {"comparison", "plots", "results", "study"},
    "arviz": {"comparison", "results", "criteria", "plots", "study"},
}
# These may import an owned library too, but not while they are being imported themselves.
LAZY: dict[str, set[str]] = {"api": {"pymc", "pytensor", "nutpie"},
                             "cli": {"pymc", "pytensor", "nutpie"}}  # fmt: skip
# `import bmsem` loads none of these: they take seconds.
SLOW = ("pymc", "pytensor", "arviz", "numba", "matplotlib")

# The checker. ----------------------------------------------------------------------------------

PACKAGE = Path(__file__).resolve().parents[1] / "bmsem"
HEIGHT = {part: height for height, parts in enumerate(FLOORS) for part in parts}


@dataclass(frozen=True)
class Violation:
    """An import that breaks a rule: by which module (without ``bmsem.``), of what, and why."""

    module: str
    imported: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"bmsem.{self.module}, line {self.line}: imports {self.imported}; {self.reason}"


def imports(tree: ast.AST, package: str) -> Iterator[tuple[str, int, bool]]:
    """Every imported dotted name, its line, and whether importing the module runs it.

    ``package`` is the one that relative imports start from. ``from a import b`` gives ``a.b``.
    """

    def visit(node: ast.AST, runs: bool) -> Iterator[tuple[str, int, bool]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, runs) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            start = parents[: len(parents) - node.level + 1] if node.level else []
            base = ".".join([*start, *filter(None, [node.module])])
            yield from ((f"{base}.{alias.name}", node.lineno, runs) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in (
            getattr(node.test, "id", ""),
            getattr(node.test, "attr", ""),
        ):
            for child in node.body:
                yield from visit(child, False)
            for child in node.orelse:
                yield from visit(child, runs)
        else:
            deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, runs and not deferred)

    return visit(tree, True)


def violations(source: str, module: str, *, is_package: bool = False) -> list[Violation]:
    """The imports of ``source`` that break a rule.

    Parameters
    ----------
    source
        Python text.
    module
        Its dotted name without ``bmsem.``: ``"graph.build"``, ``"__init__"`` for bmsem itself.
    is_package
        Whether the text is the ``__init__.py`` of the subpackage ``module``.
    """
    part = module.split(".")[0]
    if part not in HEIGHT:
        return [Violation(module, "", 1, f"'{part}' has no floor: give it one in FLOORS")]
    full = f"bmsem.{module}"
    package = full if is_package else full.rpartition(".")[0]
    found = []
    for name, line, runs in imports(ast.parse(source), package):
        top, _, rest = name.partition(".")
        if top == "bmsem":
            target = rest.split(".")[0]
            # `from bmsem import Fit` takes a name that is no module from the package itself.
            target = target if target in HEIGHT or _exists(target) else "__init__"
            reason = _floor_reason(part, target)
            imported = target
        else:
            imported = next((o for o in OWNERS if top == o or top.startswith(f"{o}_")), "")
            reason = _owner_reason(part, imported, runs) if imported else ""
        if reason:
            found.append(Violation(module, imported, line, reason))
    return found


def _exists(part: str) -> bool:
    return bool(part) and ((PACKAGE / part).is_dir() or (PACKAGE / f"{part}.py").is_file())


def _floor_reason(part: str, target: str) -> str:
    if target not in HEIGHT:
        return f"'{target}' has no floor: give it one in FLOORS"
    if target != part and part in ONLY and target not in ONLY[part]:
        return f"'{part}' may import only {', '.join(sorted(ONLY[part]))}"
    if HEIGHT[target] > HEIGHT[part]:
        return f"'{target}' is on a higher floor than '{part}'"
    return ""


def _owner_reason(part: str, library: str, runs: bool) -> str:
    if part in OWNERS[library]:
        return ""
    if library in LAZY.get(part, ()):
        return f"'{part}' may import {library} only inside a function" if runs else ""
    return f"only {', '.join(sorted(OWNERS[library]))} may import {library}"


def package_violations() -> list[Violation]:
    """The violations in all of bmsem."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        relative = file.relative_to(PACKAGE)
        is_package = file.name == "__init__.py" and len(relative.parts) > 1
        names = relative.parent.parts if is_package else relative.with_suffix("").parts
        source = file.read_text(encoding="utf-8")
        found += violations(source, ".".join(names), is_package=is_package)
    return found


# The tests. ------------------------------------------------------------------------------------


def test_every_module_keeps_to_its_floor() -> None:
    found = [str(v) for v in package_violations()]
    assert not found, "\n" + "\n".join(found)


def test_import_bmsem_is_quick() -> None:
    code = "import sys, bmsem; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, cwd=PACKAGE.parent,
    )  # fmt: skip
    assert not set(SLOW) & set(result.stdout.split())


@pytest.mark.parametrize(
    ("module", "source", "imported"),
    [
        ("errors", "import bmsem.spec.table", "spec"),
        ("moments.ram", "from bmsem.graph import build_graph", "graph"),
        ("moments.ram", "from bmsem import graph", "graph"),
        ("moments.ram", "from bmsem import Fit", "__init__"),
        ("moments.ram", "def f():\n    from bmsem.api import model", "api"),
        ("moments.ram", "if TYPE_CHECKING:\n    from bmsem.results import Fit", "results"),
        ("moments.ram", "from ..priors import table", "priors"),
        ("moments.ram", "from .. import priors", "priors"),
        ("language.mplus.reader", "from ...results.fit import Fit", "results"),
        ("examples", "from bmsem.spec import ModelSpec", "spec"),
        ("likelihood.kernel", "import pytensor.tensor as pt", "pytensor"),
        ("likelihood.kernel", "class A:\n    def f(self):\n        import pymc", "pymc"),
        ("sampling.run", "import xarray as xr", "xarray"),
        ("sampling.run", "from arviz_stats import rhat", "arviz"),
        ("api", "import pymc", "pymc"),
        ("api", "try:\n    import nutpie\nexcept ImportError:\n    pass", "nutpie"),
        ("cli", "if TYPE_CHECKING:\n    pass\nelse:\n    import pymc", "pymc"),
        ("attic", "", ""),
    ],
)
def test_checker_flags(module: str, source: str, imported: str) -> None:
    assert [v.imported for v in violations(source, module)] == [imported]


def test_checker_reads_relative_imports_of_a_package() -> None:
    assert not violations("from .table import ModelSpec", "spec", is_package=True)
    (found,) = violations("from ..graph import build", "spec", is_package=True)
    assert found.imported == "graph"


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "graph.build",
            "import pymc as pm\nfrom bmsem.likelihood.kernel import x\nfrom . import op",
        ),
        ("results.fit", "import xarray as xr\nfrom arviz_stats.base import array_stats"),
        ("api", "def fit():\n    import pymc"),
        ("api", "if typing.TYPE_CHECKING:\n    import pymc as pm"),
        ("examples", "from bmsem.errors import BmsemError\nfrom pathlib import Path"),
        ("cli", "from bmsem import examples\nfrom bmsem.api import model"),
    ],
)
def test_checker_passes(module: str, source: str) -> None:
    assert not violations(source, module)
