"""A report's blocks as one HTML page: its pictures inside, recordings by relative links.

No scripts, nothing from elsewhere (a policy in the page forbids both), light or dark as the reader
has it, readable on a telephone and by ear. Texts are untrusted: every one is escaped.

Standard library only.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from .html_page import html_page
from .report_blocks import (
    Block,
    Cell,
    Code,
    Document,
    Listen,
    Mark,
    Paragraph,
    Picture,
    Section,
    Table,
    Tile,
    Tiles,
)
from .report_style import STYLE

__all__ = ["Drawings", "report_html"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src 'self' file:"


_SHORT, _LONG = 16, 32


@dataclass(frozen=True)
class Drawings:
    """Pictures by file name, as PNG or WebP: for light pages and for dark ones."""

    light: Mapping[str, bytes] = field(default_factory=dict)
    dark: Mapping[str, bytes] = field(default_factory=dict)


def report_html(document: Document, drawings: Drawings) -> str:
    """The text of report.html."""
    sections = (line for section in document.sections for line in _section(section, drawings))
    return html_page(
        _text(document.title),
        style=STYLE,
        policy=_POLICY,
        header=_header(document),
        content=(*_lead(document, drawings), *sections),
    )


def _header(document: Document) -> Iterator[str]:
    yield "<header>"
    yield f"<h1>{_text(document.title)}</h1>"
    yield f"<p>{_text(document.subtitle)}</p>"
    yield '<nav aria-label="Sections"><ul>'
    for section in document.sections:
        yield f'<li><a href="#{escape(section.anchor)}">{_text(section.title)}</a></li>'
    yield "</ul></nav>"
    yield "</header>"


def _lead(document: Document, drawings: Drawings) -> Iterator[str]:
    yield '<section class="lead" aria-label="Verdict">'
    for block in document.lead:
        yield from _block(block, drawings)
    yield "</section>"


def _section(section: Section, drawings: Drawings) -> Iterator[str]:
    yield f'<section id="{escape(section.anchor)}">'
    yield f"<h2>{_text(section.title)}</h2>"
    for block in section.blocks:
        yield from _block(block, drawings)
    yield "</section>"


def _block(block: Block, drawings: Drawings) -> Iterator[str]:
    if isinstance(block, Paragraph):
        yield f"<p>{_text(block.text)}</p>"
    elif isinstance(block, Code):
        yield f'<pre tabindex="0"><code>{_text(block.text)}</code></pre>'
    elif isinstance(block, Tiles):
        yield from ('<ul class="tiles">', *map(_tile, block.tiles), "</ul>")
    elif isinstance(block, Picture):
        yield from _picture(block, drawings)
    elif isinstance(block, Listen):
        yield from _listen(block)
    else:
        yield from _table(block)


def _tile(tile: Tile) -> str:
    kind = {True: "good", False: "bad", None: ""}[tile.good]
    sign = {True: "✓ within", False: "✗ beyond", None: ""}[tile.good]
    note = " · ".join(text for text in (sign, tile.note) if text)
    return (
        f'<li class="tile {kind}"><span class="label">{_text(tile.label)}</span> '
        f'<strong>{_text(tile.value)}</strong> <span class="note">{_text(note)}</span></li>'
    )


def _picture(picture: Picture, drawings: Drawings) -> Iterator[str]:
    light, dark = drawings.light.get(picture.name), drawings.dark.get(picture.name)
    if light is None:
        return
    kind = "pair" if dark is not None else "bright"
    yield f'<figure><div class="scroll" tabindex="0"><picture class="{kind}">'
    if dark is not None:
        yield f'<source media="(prefers-color-scheme: dark)" srcset="{_data(dark)}">'
    yield f'<img src="{_data(light)}" alt="{_text(picture.alt)}">'
    yield f"</picture></div><figcaption>{_text(picture.caption)}</figcaption></figure>"


def _data(content: bytes) -> str:
    kind = "webp" if content[8:12] == b"WEBP" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _listen(block: Listen) -> Iterator[str]:
    yield f'<div class="listen"><h3>{_text(block.title)}</h3><p lang="zh">{_text(block.text)}</p>'
    for label, path in block.recordings:
        name = f"{label}: {block.title}"
        yield (
            f'<p class="player"><a href="{escape(path)}">{_text(label)}</a> '
            f'<audio controls preload="none" src="{escape(path)}" '
            f'aria-label="{_text(name)}"></audio></p>'
        )
    yield "</div>"


def _table(table: Table) -> Iterator[str]:
    if table.folded:
        yield f"<details><summary>{_text(table.caption)}</summary>"
    else:
        yield f'<p class="caption" aria-hidden="true">{_text(table.caption)}</p>'
    label = _text(table.caption)
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
    yield f'<caption class="unseen">{_text(table.caption)}</caption>'
    heads = (f'<th scope="col"{_side(c.number)}>{_text(c.head)}</th>' for c in table.columns)
    yield f"<thead><tr>{''.join(heads)}</tr></thead><tbody>"
    numbers = [column.number for column in table.columns]
    yield from (_row(row, numbers) for row in table.rows)
    yield "</tbody></table></div>"
    if table.folded:
        yield "</details>"


def _row(cells: Sequence[Cell], numbers: Sequence[bool]) -> str:
    head = f'<th scope="row"{_side(numbers[0])}>{_cell(cells[0])}</th>'
    rest = (
        f"<td{_side(number, cell)}>{_cell(cell)}</td>"
        for cell, number in zip(cells[1:], numbers[1:], strict=True)
    )
    return f"<tr>{head}{''.join(rest)}</tr>"


def _side(number: bool, cell: Cell = "") -> str:
    """Numbers at the right, short words on one line, long texts with room."""
    length = len(cell.text if isinstance(cell, Mark) else cell)
    kind = "number" if number else "short" if length <= _SHORT else "long" if length > _LONG else ""
    return f' class="{kind}"' if kind else ""


def _cell(cell: Cell) -> str:
    if isinstance(cell, Mark):
        return f'<span class="{"good" if cell.good else "bad"}">{_text(cell.text)}</span>'
    return _text(cell)


def _text(text: str) -> str:
    """Escaped; control characters and what turns the writing direction become blanks."""
    plain = "".join(c if c.isprintable() or c in "\n\u3000" else " " for c in text)
    return escape(plain, quote=True)
