"""The frame of a self-contained HTML page: a head that lets nothing in, and a way to the content.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["html_page"]


def html_page(
    title: str, *, style: str, policy: str, header: Iterable[str], content: Iterable[str]
) -> str:
    """The text of a page.

    Args:
        title: HTML, escaped.
        style: CSS.
        policy: the Content-Security-Policy of the page.
        header, content: lines of HTML.
    """
    lines = (
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{title}</title>",
        f"<style>{style}</style>",
        "</head>",
        "<body>",
        '<a class="skip" href="#content">Skip to the report</a>',
        *header,
        '<main id="content">',
        *content,
        "</main>",
        "</body>",
        "</html>",
    )
    return "\n".join(lines) + "\n"
