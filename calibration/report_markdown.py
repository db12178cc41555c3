"""A report's blocks as Markdown. Texts are untrusted: none of them can become markup.

Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

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
    Tiles,
)

__all__ = ["report_markdown"]

_MARKUP = re.compile(r"([\\`*\[\]<>|#~$&!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
_LIST = re.compile(r"^(\s*|\s*\d+(?=[.)]))([-+=:.)])")


def report_markdown(document: Document, pictures: str = "pictures") -> str:
    """The text of report.md.

    Args:
        pictures: the folder that pictures lie in, beside the report.
    """
    lines = [f"# {_escaped(document.title)}", "", _line(document.subtitle), ""]
    for block in document.lead:
        lines += [*_block(block, pictures), ""]
    for section in document.sections:
        lines += _section(section, pictures)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, pictures: str) -> Iterator[str]:
    yield from (f"## {_escaped(section.title)}", "")
    for block in section.blocks:
        yield from _block(block, pictures)
        yield ""


def _block(block: Block, pictures: str) -> Iterator[str]:
    if isinstance(block, Paragraph):
        yield _line(block.text)
    elif isinstance(block, Code):
        yield from ("```bash", *(_one_line(line) for line in block.text.splitlines()), "```")
    elif isinstance(block, Tiles):
        for tile in block.tiles:
            note = f" ({_escaped(tile.note)})" if tile.note else ""
            yield f"- {_escaped(tile.label)}: **{_escaped(tile.value)}**{note}"
    elif isinstance(block, Picture):
        yield f"![{_escaped(block.alt)}]({pictures}/{block.name})"
        yield from ("", _line(block.caption))
    elif isinstance(block, Listen):
        links = ", ".join(f"[{_escaped(label)}]({path})" for label, path in block.recordings)
        yield f"**{_escaped(block.title)}** ({links}): {_escaped(block.text)}"
    else:
        yield from _table(block)


def _table(table: Table) -> Iterator[str]:
    yield from (_line(table.caption), "")
    yield _row([column.head for column in table.columns])
    yield "|" + "|".join("---:" if column.number else "---" for column in table.columns) + "|"
    yield from (_row(row) for row in table.rows)


def _row(cells: Sequence[Cell]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(cell: Cell) -> str:
    return _escaped(cell.text if isinstance(cell, Mark) else cell)


def _escaped(text: str) -> str:
    """The text on one line; what Markdown or HTML would read is escaped."""
    plain = _MARKUP.sub(r"\\\1", _one_line(text)).replace("\\&", "&amp;").replace("\\<", "&lt;")
    return plain.replace("://", ":&#47;&#47;").replace("www.", "www&#46;").replace("@", "&#64;")


def _line(text: str) -> str:
    """The text as a line of its own, which begins no list and no rule."""
    return _LIST.sub(r"\1\\\2", _escaped(text))


def _one_line(text: str) -> str:
    """Control characters, line ends and what turns the writing direction become blanks."""
    return "".join(c if c.isprintable() or c == "\u3000" else " " for c in text)
