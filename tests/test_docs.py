"""The guide: its code runs, its links lead somewhere, the gallery has every plot."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import matplotlib
import matplotlib.image
import pytest

import bmsem
from bmsem.plots import Plots

matplotlib.use("Agg")

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.S)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Fits of few draws, whatever a page asks for; files go to a folder of their own."""
    original = bmsem.Model.fit

    @functools.wraps(original)
    def fit(self, *arguments, **options):
        options |= {"draws": 300, "tune": 300, "progress": False}
        return original(self, *arguments, **options)

    monkeypatch.setattr(bmsem.Model, "fit", fit)
    monkeypatch.chdir(tmp_path)
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_code_of_a_page_runs(page, small):
    space: dict = {}
    for block in blocks(page):
        exec(compile(block, page.name, "exec"), space)


def test_there_is_code_to_run():
    assert {p.stem for p in PAGES if blocks(p)} >= {
        "coming_from_mplus", "coming_from_lavaan", "coming_from_brms", "gallery",
    }  # fmt: skip


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda p: p.stem)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


def test_the_gallery_has_every_plot():
    text = (ROOT / "docs" / "gallery.md").read_text()
    for name in (n for n in vars(Plots) if not n.startswith("_") and n != "fit"):
        assert f".plot.{name}(" in text, name
    for name in re.findall(r"gallery/(\w+\.png)", text):
        picture = matplotlib.image.imread(ROOT / "docs" / "gallery" / name)[..., :3]
        assert 0.004 < (picture < 0.9).any(axis=-1).mean() < 0.95


def test_what_the_tables_name_is_there():
    """Methods that the guide names exist."""
    from bmsem.fit import Fit

    for page in PAGES:
        text = page.read_text()
        for name in set(re.findall(r"\bfit\.(\w+)", text)) - {"plot", "nc"}:
            assert hasattr(Fit, name), f"{page.name}: fit.{name}"
        for name in set(re.findall(r"\bfit\.plot\.(\w+)", text)):
            assert hasattr(Plots, name), f"{page.name}: fit.plot.{name}"
        for name in set(re.findall(r"\bmodel\.(\w+)\(", text)):
            assert hasattr(bmsem.Model, name), f"{page.name}: model.{name}"
        for name in set(re.findall(r"\bbmsem\.(\w+)", text)):
            assert hasattr(bmsem, name), f"{page.name}: bmsem.{name}"
