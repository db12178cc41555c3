"""Writes the front end's word frequencies from jieba's dictionary (MIT licence, Sun Junyi).

`python scripts/make_words.py jieba/dict.txt runtime/text/data/words.txt`: words that occur at
least ten times, grouped by their cost, which is -8 log2 of their share of all words.
"""

from __future__ import annotations

import argparse
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

_WORD = re.compile("[〇\u4e00-\u9fff]{1,8}")
_LEAST = 10
_HEAD = """\
# Words by cost, which is -8 log2 of their share of a text; made by scripts/make_words.py from the
# dictionary of jieba 0.42.1, Copyright (c) 2013 Sun Junyi, MIT licence:
# Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
# associated documentation files (the "Software"), to deal in the Software without restriction,
# including without limitation the rights to use, copy, modify, merge, publish, distribute,
# sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
# furnished to do so, subject to the following conditions: The above copyright notice and this
# permission notice shall be included in all copies or substantial portions of the Software. THE
# SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
# LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
# NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
# DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
# OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def counted_words(path: Path) -> Iterator[tuple[str, int]]:
    """The words of a jieba dictionary and how often they occur."""
    for line in path.read_text(encoding="utf-8").splitlines():
        word, count, *_ = line.split(" ")
        if _WORD.fullmatch(word):
            yield word, int(count)


def words_by_cost(counts: dict[str, int]) -> dict[int, list[str]]:
    """The frequent words, the cheapest first."""
    total = sum(counts.values())
    groups: defaultdict[int, list[str]] = defaultdict(list)
    for word, count in counts.items():
        if count >= _LEAST or (len(word) == 1 and count):
            groups[round(-8 * math.log2(count / total))].append(word)
    return {cost: sorted(groups[cost]) for cost in sorted(groups)}


def main() -> None:
    """Reads the dictionary, writes the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dictionary", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    groups = words_by_cost(dict(counted_words(arguments.dictionary)))
    lines = (f"{cost} {' '.join(words)}\n" for cost, words in groups.items())
    arguments.target.write_text(_HEAD + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
