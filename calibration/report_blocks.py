"""What a report consists of, before it is Markdown or HTML: sections of a few kinds of blocks.

All texts are plain: whoever writes them out escapes them. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = [
    "Block",
    "Cell",
    "Code",
    "Column",
    "Document",
    "Listen",
    "Mark",
    "Paragraph",
    "Picture",
    "Section",
    "Table",
    "Tile",
    "Tiles",
]


@dataclass(frozen=True)
class Mark:
    """A cell that says whether something is well; the words alone must say it, too."""

    text: str
    good: bool


Cell = str | Mark


@dataclass(frozen=True)
class Column:
    """A column's head; numbers stand at the right."""

    head: str
    number: bool = True


@dataclass(frozen=True)
class Paragraph:
    """Sentences."""

    text: str


@dataclass(frozen=True)
class Code:
    """Commands, one a line."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows under heads; the first cell of a row is its head. Long ones may be `folded`."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    folded: bool = False


@dataclass(frozen=True)
class Tile:
    """One number that a reader should see first."""

    label: str
    value: str
    note: str = ""
    good: bool | None = None


@dataclass(frozen=True)
class Tiles:
    """The numbers to see first."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Picture:
    """A picture by its file's name, what it shows for those who do not see it, and its caption."""

    name: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Listen:
    """Recordings of one sentence: what each is, and its path beside the report."""

    title: str
    text: str
    recordings: tuple[tuple[str, str], ...]


Block = Paragraph | Code | Table | Tiles | Picture | Listen


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    anchor: str
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Document:
    """A report: `lead` stands above the first section."""

    title: str
    subtitle: str
    lead: tuple[Block, ...] = ()
    sections: tuple[Section, ...] = field(default_factory=tuple)
