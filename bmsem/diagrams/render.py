"""Diagrams as pictures and files, by Graphviz."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from bmsem.errors import BmsemError, ModelError
from bmsem.files import write_whole

FORMATS = (".svg", ".png", ".pdf", ".gv", ".dot")
_HINT = (
    "Graphviz draws the diagram, and its program 'neato' was not found. Install it with 'apt install "
    "graphviz', 'brew install graphviz', 'conda install graphviz' or 'winget install graphviz'. The "
    "diagram's source needs no Graphviz: it is diagram.source, and diagram.save('model.gv') writes it."
)


class GraphvizMissing(BmsemError):
    """The program that draws diagrams is not installed."""


@dataclass(frozen=True)
class Diagram:
    """A path diagram: it shows itself in a notebook, and `save` writes it.

    Attributes
    ----------
    source
        In Graphviz's language, with every place given: ``neato -n2 -Tsvg model.gv`` draws it.
    description
        What it shows, in words.
    """

    source: str
    description: str

    def svg(self) -> str:
        """As SVG, without anything loaded from elsewhere.

        Raises
        ------
        GraphvizMissing
            If Graphviz is not installed: with how to install it.
        """
        text = self._drawn("svg").decode("utf-8")
        text = text[text.index("<svg") :]
        # Words for those who do not see it; Graphviz writes the graph's name.
        words = f"<title>{escape(self.description)}</title>"
        text = re.sub(r"<title>model</title>", lambda m: words, text, count=1)
        # As broad as the page at most.
        root = '<svg role="img" style="max-width:100%;height:auto" '
        return re.sub(r"<svg ", root, text, count=1)

    def png(self, dpi: int = 150) -> bytes:
        """As PNG with so many points an inch."""
        return self._drawn("png", f"-Gdpi={dpi}")

    def pdf(self) -> bytes:
        """As PDF."""
        return self._drawn("pdf")

    def save(self, path: str | Path) -> Path:
        """Write the diagram: ``.svg``, ``.png``, ``.pdf``, or its source as ``.gv`` or ``.dot``.

        The file appears complete or not at all.

        Raises
        ------
        ModelError
            If the name ends otherwise.
        DataError
            If the file cannot be written.
        GraphvizMissing
            If Graphviz is not installed.
        """
        path = Path(path)
        match path.suffix.lower():
            case ".svg":
                content = self.svg().encode()
            case ".png":
                content = self.png()
            case ".pdf":
                content = self.pdf()
            case ".gv" | ".dot":
                content = self.source.encode()
            case other:
                raise ModelError(
                    f"A diagram is written as {', '.join(FORMATS)}, not as '{other or path.name}'."
                )
        write_whole(path, content)
        return path

    def __str__(self) -> str:
        return f"Path diagram: {self.description}"

    __repr__ = __str__

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            return {"image/svg+xml": self.svg(), "text/plain": str(self)}
        except GraphvizMissing as missing:
            return {"text/plain": f"{missing}\n\n{self.source}"}

    def _drawn(self, form: str, *options: str) -> bytes:
        import subprocess

        command = ["neato", "-n2", f"-T{form}", *options]
        try:
            done = subprocess.run(
                command, input=self.source.encode(), capture_output=True, check=True
            )
        except FileNotFoundError:
            raise GraphvizMissing(_HINT) from None
        except subprocess.CalledProcessError as error:
            words = error.stderr.decode(errors="replace").strip()
            raise BmsemError(f"Graphviz could not draw the diagram: {words}") from error
        return done.stdout
