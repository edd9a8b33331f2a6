"""Documents as HTML pages and as Markdown."""

from __future__ import annotations

import base64
import re
from html import escape

from bmsem.reports.document import Block, Document, Picture
from bmsem.tables import Tabular

_CODE = re.compile("`([^`]+)`")


def html(document: Document, whole: bool = True) -> str:
    """A page with everything inside, or its body alone for a notebook."""
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    environment = Environment(loader=PackageLoader("bmsem.reports"), autoescape=True)
    environment.filters["block"] = lambda block: Markup(_html_block(block))
    environment.filters["slug"] = slug
    template = environment.get_template("page.html" if whole else "body.html")
    return template.render(document=document)


def slug(text: str) -> str:
    """A name for a link inside of the page."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _html_block(block: Block) -> str:
    if isinstance(block, Picture):
        return f"<figure>{_html_picture(block)}</figure>"
    if isinstance(block, Tabular):
        return block.to_html()
    # Names of parameters stand between backticks.
    return f"<p>{_CODE.sub(r'<code>\1</code>', escape(block, quote=False))}</p>"


def _html_picture(picture: Picture) -> str:
    kind = "svg+xml" if picture.kind == "svg" else picture.kind
    data = base64.b64encode(picture.content).decode()
    source = f"data:image/{kind};base64,{data}"
    return f'<img class="{picture.kind}" src="{source}" alt="{escape(picture.alt)}">'


def markdown(document: Document, folder: str | None) -> str:
    """Headings, paragraphs, pipe tables, and links to pictures if there is a folder of them."""
    parts = [f"# {document.title}", *(f"> {line}" for line in document.lead)]
    parts.append("\n".join(f"- {line}" for line in document.conclusions))
    for section in document.sections:
        parts.append(f"## {section.title}")
        for block in section.blocks:
            if isinstance(block, Picture):
                if folder is not None:
                    parts.append(f"![{block.alt}]({folder}/{block.name}.{block.kind})")
            elif isinstance(block, Tabular):
                parts.append(block.to_markdown())
            else:
                parts.append(block)
    return "\n\n".join(parts) + "\n"
