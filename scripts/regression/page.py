"""A page of HTML in the project's look: what stands around a report, tables, escaping.

Nothing from elsewhere and no scripts: a policy in the page forbids both.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from html import escape

from sambert_trt.calibration.html_page import html_page

from .style import STYLE
from .words import one_line

__all__ = ["TABLE_END", "lines_of", "marked", "page", "table_head", "text"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_NUMBERS = (
    "base",
    "candidate",
    "change",
    "95 %",
    "tolerance",
    "typical",
    "from",
    "to",
    "time",
)
_CODE = re.compile(r"`([^`]+)`")
TABLE_END = "</tbody></table></div>"


def page(title: str, subtitle: str, content: Sequence[str]) -> str:
    """A page of the project's look around lines of HTML."""
    return html_page(
        text(title),
        style=STYLE,
        policy=_POLICY,
        header=(f"<header><h1>{text(title)}</h1><p>{text(subtitle)}</p></header>",),
        content=content,
    )


def table_head(
    names: Sequence[str], label: str, numbers: Collection[str] = _NUMBERS
) -> Iterator[str]:
    """Opens a table; `TABLE_END` closes it.

    Args:
        numbers: the columns that hold numbers.
    """
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{text(label)}"><table>'
    yield f'<caption class="unseen">{text(label)}</caption>'
    cells = (
        f'<th scope="col"{" class=number" if name in numbers else ""}>{text(name)}</th>'
        for name in names
    )
    yield f"<thead><tr>{''.join(cells)}</tr></thead><tbody>"


def text(words: str) -> str:
    """Escaped, on one line."""
    return escape(one_line(words), quote=True)


def marked(words: str) -> str:
    """Escaped, on one line; what stands between backticks is code. For texts of our own."""
    return _CODE.sub(r"<code>\1</code>", text(words))


def lines_of(words: str) -> str:
    """Escaped, its lines kept."""
    return "\n".join(text(line) for line in words.splitlines())
