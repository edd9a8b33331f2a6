"""What a report is made of, whatever it is written as."""

from __future__ import annotations

from dataclasses import dataclass

from bmsem.tables import Tabular


@dataclass(frozen=True)
class Picture:
    """A plot or a diagram.

    Attributes
    ----------
    name
        Of a file, without its suffix.
    alt
        What it shows, for those who do not see it.
    content
        PNG or SVG.
    kind
        ``"png"`` or ``"svg"``.
    """

    name: str
    alt: str
    content: bytes
    kind: str


Block = str | Tabular | Picture
"""A paragraph, a table, or a picture."""


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes
    ----------
    title
        Of the whole.
    lead
        What must be read first: the verdict on convergence.
    good
        Whether it is good.
    conclusions
        What was found, a line each.
    sections
        From top to bottom.
    """

    title: str
    lead: tuple[str, ...]
    good: bool
    conclusions: tuple[str, ...]
    sections: tuple[Section, ...]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Every picture, in order."""
        return tuple(b for s in self.sections for b in s.blocks if isinstance(b, Picture))
