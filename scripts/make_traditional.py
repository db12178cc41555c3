"""Writes the front end's pairs of traditional and simplified characters from OpenCC's table.

`python scripts/make_traditional.py TSCharacters.txt runtime/text/data/traditional.txt`: the first
simplified form of each character, where it is another one that the dictionaries can read.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from sambert_trt.runtime.text.readings import readings

_IN_A_LINE = 24
_HEAD = """\
# Traditional characters, each with its simplified form; made by scripts/make_traditional.py from
# the table TSCharacters of OpenCC (https://github.com/BYVoid/OpenCC), Copyright 2010-2014 Carbo Kuo
# (BYVoid) and contributors, licensed under the Apache License, Version 2.0.
"""


def pairs_from_table(path: Path) -> Iterator[str]:
    """Each traditional character of a table together with its simplified form."""
    known = readings().characters
    for line in path.read_text(encoding="utf-8").splitlines():
        traditional, _, forms = line.partition("\t")
        simplified = forms.split(" ")[0]
        if simplified != traditional and simplified in known:
            yield traditional + simplified


def main() -> None:
    """Reads the table, writes the pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    pairs = sorted(pairs_from_table(arguments.table))
    starts = range(0, len(pairs), _IN_A_LINE)
    lines = (" ".join(pairs[start : start + _IN_A_LINE]) + "\n" for start in starts)
    arguments.target.write_text(_HEAD + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
