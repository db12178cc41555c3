"""What the suites speak: texts whose words never change. Standard library only."""

from __future__ import annotations

import re

from bench import SENTENCE, TEXT

__all__ = ["CLAUSES", "LONG", "MEDIUM", "SHORT", "TEXTS"]

_SENTENCES = tuple(re.findall("[^。]+。", TEXT))

SHORT = SENTENCE
"""Twenty syllables, one sentence."""

MEDIUM = "".join(_SENTENCES[:2])
"""Two sentences, about ten seconds."""

LONG = "".join(_SENTENCES[:6])
"""Six sentences, about thirty seconds."""

CLAUSES = tuple(f"{clause}。" for clause in re.findall("[^，。]+", TEXT)[:5])
"""Five short sentences."""

TEXTS = {"short": SHORT, "medium": MEDIUM, "long": LONG}
"""By the name that `speech.{length}.factor` uses."""
