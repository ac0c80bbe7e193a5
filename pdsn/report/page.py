"""A page: one HTML file that holds all it shows and asks for nothing else."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from pdsn.files import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEXT = "#010203"
"""The colour of text and axes in a drawing: on the page that of the text around it, light or dark."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what it says, and the number that it is sorted by, where it is not the text."""

    text: str
    key: float | None = None


@dataclass(frozen=True)
class Table:
    """A table that is sorted by a click on a heading.

    Attributes:
        caption: what it shows, one sentence.
        head: the headings.
        rows: as many cells each; the first names the row.
        plain: holds words, not numbers: wrapped, and not sorted.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    plain: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture within the page.

    Attributes:
        content: the SVG itself, or a data URI.
        text: what it shows, for those who do not see it.
        caption: the line below it; "" for none.
    """

    content: str
    text: str
    caption: str = ""

    @property
    def is_drawing(self) -> bool:
        """Whether it is SVG."""
        return self.content.startswith("<svg")


@dataclass(frozen=True)
class Gallery:
    """Several pictures in rows."""

    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Folded:
    """Something that is shown when it is asked for."""

    title: str
    blocks: Sequence[Block]


Block = str | Table | Picture | Gallery | Folded
"""A paragraph, or one of these."""


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading.

    Attributes:
        anchor: its name in links.
        title: the heading.
        blocks: what it holds.
    """

    anchor: str
    title: str
    blocks: Sequence[Block] = field(default_factory=list)


def cells(texts: Iterable[str]) -> list[Cell]:
    """Cells that are sorted by their text, or by the number that it begins with."""
    return [Cell(text) for text in texts]


def write_page(path: Path, title: str, lead: str, sections: Sequence[Section]) -> None:
    """Write the page.

    Args:
        path: the HTML file, written whole or not at all.
        title: of the page.
        lead: the headline, one sentence.
        sections: in order; those without blocks are left out.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pdsn.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    kinds = {"table": Table, "picture": Picture, "gallery": Gallery, "folded": Folded}
    environment.tests |= {
        name: (lambda block, kind=kind: isinstance(block, kind)) for name, kind in kinds.items()
    }
    shown = [section for section in sections if section.blocks]
    page = environment.get_template("page.html").render(title=title, lead=lead, sections=shown)
    write_text(path, page)


def drawing(canvas: Figure, text: str, caption: str = "", name: str = "") -> Picture:
    """A figure as SVG whose text takes the page's colour.

    Args:
        canvas: see `figures.new_figure`.
        text: what it shows.
        caption: see `Picture`.
        name: tells its inner names from those of the page's other drawings.
    """
    import matplotlib

    stream = io.StringIO()
    _coloured(canvas)
    settings: dict[Any, str] = {
        "svg.fonttype": "none",
        "svg.hashsalt": name or text,
        "font.family": "sans-serif",
    }
    with matplotlib.rc_context(settings):
        canvas.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :].replace(TEXT, "currentColor")
    # Matplotlib calls the parts of every drawing alike, and a page may have each name once.
    prefix = f"d{hashlib.sha256((name or text).encode()).hexdigest()[:8]}-"
    svg = re.sub(r'(?<= id=")|(?<=href="#)|(?<=url\(#)', prefix, svg)
    return Picture(svg.strip(), text, caption)


def _coloured(canvas: Figure) -> None:
    """Give text and axes the colour that stands for the page's."""
    for axes in canvas.axes:
        axes.tick_params(colors=TEXT)
        for label in (axes.xaxis.label, axes.yaxis.label, axes.title):
            label.set_color(TEXT)
        for spine in axes.spines.values():
            spine.set_edgecolor(TEXT)
        legend = axes.get_legend()
        for text in legend.get_texts() if legend is not None else ():
            text.set_color(TEXT)


def photograph(
    path: Path, text: str, caption: str = "", *, widest: int = 900, quality: int = 80, top: int = 0
) -> Picture:
    """A picture from a file as a small JPEG.

    Args:
        path: the file.
        text: what it shows.
        caption: see `Picture`.
        widest: pixels; a wider one is reduced.
        quality: of the JPEG, 1 to 95.
        top: rows that are left out above: a caption of its own, which the page sets in letters.
    """
    with Image.open(path) as opened:
        picture = opened.convert("RGB").crop((0, top, *opened.size))
    if picture.width > widest:
        size = (widest, max(1, round(picture.height * widest / picture.width)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=quality, optimize=True)
    return Picture(f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}", text, caption)
