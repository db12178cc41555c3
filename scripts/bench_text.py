"""Measures the text front end: how much it reads right, how fast it is, what it costs to start.

    python scripts/bench_text.py [--corpus DIR] [--polyphones DIR] [--rounds 7] [--json FILE]

Accuracy needs what is not part of the project and is skipped with a reason where it is absent: a
corpus folder with `metadata.csv` (columns `id`, `text` and `pinyin_numbered`), and a polyphone set
in the form of g2pM's CPP data (`test.sent`: one sentence a line, the character asked for between
two `▁`; `test.lb`: its pinyin). Speed is measured in this process on one thread after a warm-up;
start and memory in fresh processes. Standard library; pypinyin and g2pM take part as comparisons
where they are installed.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processor import load_average, processor_facts

__all__ = ["Score", "aligned", "main", "score_of", "spread"]

NORMALISATION = Path(__file__).parent.parent / "tests/runtime/text/data/normalisation.tsv"
UNPUNCTUATED = "今天天气真好我们一起去公园玩吧听说那里的花都开了一共有三百多种"
SAMPLE = (
    "清晨的山谷里飘着一层薄薄的雾气，河边的老人慢慢地收起了渔网。"
    "会议定于2024年5月1日上午9:30开始，大约有120人参加，费用是¥35.50。"
    "“你真的不去吗？”她问，“我们说好了一起去银行的。”"
    "今天的最高气温是28℃，比昨天高了3.5度，请多喝水。"
) * 50
"""What speed is measured on where there is no corpus."""

FIFTH = 5
"""One sentence in so many is held out, by its id: nobody looks at it while the front end is
improved, so of these only the count of errors is told."""

PROBE = """
import time
started = time.perf_counter()
from sambert_trt.runtime.text.frontend import MandarinFrontend
next(MandarinFrontend().readings("今天天气真好"))
print(time.perf_counter() - started)
for reading in MandarinFrontend().readings(TEXT):
    pass
print(next(l.split()[1] for l in open("/proc/self/status") if l.startswith("VmRSS:")))
print(next(l.split()[1] for l in open("/proc/self/status") if l.startswith("VmHWM:")))
"""


@dataclass
class Score:
    """Syllables read, those read wrongly, and what for what."""

    syllables: int = 0
    wrong: int = 0
    sentences: int = 0
    clean: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def accuracy(self) -> float:
        """The share read right; not a number where nothing was read."""
        return 1 - self.wrong / self.syllables if self.syllables else float("nan")

    def summary(self) -> dict[str, Any]:
        """For the report: the commonest errors as `expected > read`."""
        return {
            "syllables": self.syllables,
            "wrong": self.wrong,
            "accuracy": self.accuracy,
            "sentences": self.sentences,
            "sentences_right": self.clean,
            "errors": dict(self.errors.most_common(60)),
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line, measures, prints the tables; returns the exit status."""
    options = _parser().parse_args(arguments)
    report = measure(options)
    print("\n".join(tables(report)))
    if options.json is not None:
        text = json.dumps(report, ensure_ascii=False, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")
    return 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that is measured, as a mapping for `tables` and for JSON."""
    report: dict[str, Any] = {"machine": processor_facts(), "rounds": options.rounds}
    rows = corpus_rows(options.corpus)
    text = "".join(row["text"] for row in rows) if rows else SAMPLE
    report["speed"] = measure_speed(text, options.rounds)
    report["start"] = measure_start(options.processes)
    report["linearity"] = [measure_length(size) for size in options.sizes]
    report["corpus"] = (
        measure_corpus(rows) if rows else f"skipped: no metadata.csv in {options.corpus}"
    )
    report["polyphones"] = measure_polyphones(options.polyphones)
    report["normalisation"] = measure_normalisation(options.normalisation)
    report["load_at_end"] = load_average()
    return report


def corpus_rows(folder: Path | None) -> list[dict[str, str]]:
    """The rows of a corpus; none where there is no corpus."""
    if folder is None or not (folder / "metadata.csv").is_file():
        return []
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def measure_speed(text: str, rounds: int) -> dict[str, Any]:
    """Characters per second of processor time and of the clock, first round for warming up."""
    from sambert_trt.runtime.text.frontend import MandarinFrontend

    frontend = MandarinFrontend(_all_phones())
    rates: dict[str, list[float]] = {"cpu": [], "clock": []}
    for number in range(rounds + 1):
        clock, cpu = time.perf_counter(), time.process_time()
        count = sum(1 for _ in frontend.sentences(text))
        clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
        if number:
            rates["cpu"].append(len(text) / cpu)
            rates["clock"].append(len(text) / clock)
    return {"characters": len(text), "sentences": count, **{n: spread(r) for n, r in rates.items()}}


def _all_phones() -> dict[str, Sequence[str]]:
    """The tables of a voice with every phone there is."""
    from sambert_trt.runtime.text.letters import LETTERS
    from sambert_trt.runtime.text.phones import syllable_table

    phones = {phone for syllable in syllable_table().values() for phone in syllable}
    phones |= {p.rstrip("012") for name in LETTERS.values() for p in name.split()} - {"."}
    phones |= {"#1", "#2", "#3", "#4"}
    empty: dict[str, Sequence[str]] = dict.fromkeys(("tone", "syllable_flag", "word_segment"), ())
    return {"sy": sorted(phones), **empty}


def measure_start(processes: int) -> dict[str, Any]:
    """Seconds to the first sentence, and megabytes held and at most, of fresh processes."""
    program = PROBE.replace("TEXT", repr(SAMPLE * 3))
    found: dict[str, list[float]] = {"seconds": [], "held_mb": [], "peak_mb": []}
    for _ in range(processes):
        finished = subprocess.run(
            (sys.executable, "-c", program), check=True, capture_output=True, encoding="utf-8"
        )
        seconds, held, peak = map(float, finished.stdout.split())
        found["seconds"].append(seconds)
        found["held_mb"].append(held / 1024)
        found["peak_mb"].append(peak / 1024)
    return {name: spread(values) for name, values in found.items()}


def measure_length(size: int) -> dict[str, Any]:
    """One line of so many bytes without punctuation: seconds and what the memory grew by."""
    from sambert_trt.runtime.text.frontend import MandarinFrontend

    unit = len(UNPUNCTUATED.encode("utf-8"))
    text = UNPUNCTUATED * max(size // unit, 1)
    before = _peak_megabytes()
    started = time.process_time()
    count = sum(1 for _ in MandarinFrontend().readings(text))
    seconds = time.process_time() - started
    return {
        "bytes": len(text.encode("utf-8")),
        "sentences": count,
        "seconds": seconds,
        "characters_per_second": len(text) / seconds,
        "grown_mb": _peak_megabytes() - before,
    }


def _peak_megabytes() -> float:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return float("nan")


Reader = Callable[[str], list[str]]


def measure_corpus(rows: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Lexical syllables against the corpus, by reader, the held-out fifth apart."""
    found: dict[str, Any] = {}
    for name, reader in (("frontend", read_lexical), ("pypinyin", pypinyin_reader())):
        if reader is None:
            continue
        scores = {"open": Score(), "held_out": Score()}
        for row in rows:
            score = scores["held_out" if held_out(row["id"]) else "open"]
            score_of(score, row["pinyin_numbered"].split(), reader(row["text"]), row["text"])
        scores["held_out"].errors.clear()
        scores["all"] = _sum(scores.values())
        found[name] = {part: score.summary() for part, score in scores.items()}
    return found


def held_out(name: str) -> bool:
    """Whether the sentence of this id is in the fifth that nobody looks at."""
    return int(hashlib.md5(name.encode()).hexdigest(), 16) % FIFTH == 0


def _sum(scores: Iterable[Score]) -> Score:
    total = Score()
    for score in scores:
        for name in ("syllables", "wrong", "sentences", "clean"):
            setattr(total, name, getattr(total, name) + getattr(score, name))
    return total


def score_of(score: Score, expected: Sequence[str], read: Sequence[str], text: str) -> None:
    """Counts a sentence: substitutions, what is missing and what is too much are errors."""
    wrong = [(a, b) for a, b in aligned(expected, read) if a != b]
    score.syllables += len(expected)
    score.wrong += len(wrong)
    score.sentences += 1
    score.clean += not wrong
    hanzi = re.findall(r"[\u3400-\u9fff]", text)
    place = 0
    for a, b in aligned(expected, read):
        character = hanzi[place] if len(hanzi) == len(expected) and a else ""
        if a != b:
            score.errors[f"{character} {a or '-'} > {b or '-'}".strip()] += 1
        place += bool(a)


def aligned(expected: Sequence[str], read: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of the cheapest alignment; "" where one side has nothing."""
    if len(expected) == len(read):
        return list(zip(expected, read, strict=True))
    width = len(read) + 1
    cost = [list(range(width))]
    for i, a in enumerate(expected, start=1):
        row = [i]
        for j, b in enumerate(read, start=1):
            row.append(min(cost[i - 1][j - 1] + (a != b), cost[i - 1][j] + 1, row[-1] + 1))
        cost.append(row)
    pairs: list[tuple[str, str]] = []
    i, j = len(expected), len(read)
    while i or j:
        if i and j and cost[i][j] == cost[i - 1][j - 1] + (expected[i - 1] != read[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((expected[i], read[j]))
        elif i and cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
            pairs.append((expected[i], ""))
        else:
            j -= 1
            pairs.append(("", read[j]))
    return pairs[::-1]


def read_lexical(text: str) -> list[str]:
    """The front end's syllables before sandhi."""
    from sambert_trt.runtime.text.frontend import MandarinFrontend

    readings = MandarinFrontend().readings(text, ssml=False)
    return [s for reading in readings for word in reading.words for s in word.syllables]


def pypinyin_reader() -> Reader | None:
    """pypinyin alone, None where it is not installed."""
    with suppress(ImportError):
        from pypinyin import Style, lazy_pinyin

        def read(text: str) -> list[str]:
            return [
                re.sub(r"^er5$", "r5", syllable)
                for syllable in lazy_pinyin(
                    text, style=Style.TONE3, neutral_tone_with_five=True, errors="ignore"
                )
            ]

        return read
    return None


def g2pm_reader() -> Reader | None:
    """g2pM, None where it is not installed."""
    with suppress(ImportError):
        from g2pM import G2pM

        model = G2pM()
        return lambda text: [s.replace("u:", "v") for s in model(text, tone=True, char_split=False)]
    return None


def measure_polyphones(folder: Path | None) -> dict[str, Any] | str:
    """The readings of the characters asked for, by reader."""
    if folder is None or not (folder / "test.sent").is_file():
        return f"skipped: no test.sent in {folder}"
    asked = list(polyphones(folder))
    readers = (("frontend", read_lexical), ("pypinyin", pypinyin_reader()), ("g2pM", g2pm_reader()))
    return {name: polyphone_score(reader, asked).summary() for name, reader in readers if reader}


def polyphones(folder: Path) -> Iterator[tuple[str, int, str]]:
    """Sentences, the place of the character asked for, and its pinyin."""
    sentences = (folder / "test.sent").read_text(encoding="utf-8").splitlines()
    labels = (folder / "test.lb").read_text(encoding="utf-8").splitlines()
    for sentence, label in zip(sentences, labels, strict=True):
        place = sentence.index("▁")
        yield sentence.replace("▁", ""), place, label.strip().replace("u:", "v")


def polyphone_score(reader: Reader, asked: Sequence[tuple[str, int, str]]) -> Score:
    """Counts the characters asked for; a sentence that is read at another length is wrong."""
    score = Score()
    for sentence, place, label in asked:
        part, offset = _around(sentence, place)
        read = reader(part)
        hanzi = [i for i, c in enumerate(part) if "\u3400" <= c <= "\u9fff"]
        fits = len(read) == len(hanzi) and offset in hanzi
        got = read[hanzi.index(offset)] if fits else ""
        score_of(score, [label], [got], part[offset : offset + 1])
    return score


def _around(sentence: str, place: int) -> tuple[str, int]:
    """The clause of Chinese characters and commas around a place: numbers change the length."""
    run = re.compile(r"[\u3400-\u9fff，、。；：！？]+")
    for match in run.finditer(sentence):
        if match.start() <= place < match.end():
            return match[0], place - match.start()
    return sentence[place : place + 1], 0


def measure_normalisation(path: Path) -> dict[str, Any] | str:
    """The cases of a table `class TAB written TAB spoken`, by class."""
    if not path.is_file():
        return f"skipped: no {path}"
    from sambert_trt.runtime.text.normalize import normalize_text

    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    counts: dict[str, list[int]] = {}
    for row in rows:
        found = counts.setdefault(row["class"], [0, 0])
        found[0] += 1
        found[1] += normalize_text(row["written"]) == row["spoken"]
    return {name: {"cases": cases, "right": right} for name, (cases, right) in counts.items()}


def spread(samples: Sequence[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": statistics.median(samples), "least": min(samples), "most": max(samples)}


def tables(report: dict[str, Any]) -> Iterator[str]:
    """The report as Markdown."""
    machine, speed = report["machine"], report["speed"]
    yield f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"
    yield f"Python {machine['python']}"
    yield f"load average {machine['load']} before, {report['load_at_end']} after\n"
    yield f"| {speed['characters']} characters | median | least | most |"
    yield "|---|---|---|---|"
    for name, unit in (("cpu", "per second of the processor"), ("clock", "per second")):
        yield _row(f"characters {unit}", speed[name], 0)
    for name, digits in (("seconds", 2), ("held_mb", 1), ("peak_mb", 1)):
        yield _row(f"fresh process: {name}", report["start"][name], digits)
    yield "\n| bytes in one line | seconds | characters/s | memory grew by MB |\n|---|---|---|---|"
    for item in report["linearity"]:
        yield (
            f"| {item['bytes']} | {item['seconds']:.2f} | {item['characters_per_second']:.0f} "
            f"| {item['grown_mb']:.1f} |"
        )
    for name in ("corpus", "polyphones"):
        yield from _accuracy(name, report[name])
    yield from _classes(report["normalisation"])


def _row(name: str, values: dict[str, float], digits: int) -> str:
    return f"| {name} | " + " | ".join(f"{value:.{digits}f}" for value in values.values()) + " |"


def _accuracy(name: str, found: dict[str, Any] | str) -> Iterator[str]:
    if isinstance(found, str):
        yield f"\n{name}: {found}"
        return
    yield f"\n| {name} | syllables | wrong | accuracy % |\n|---|---|---|---|"
    for reader, scores in found.items():
        for part, score in (scores if "open" in scores else {"": scores}).items():
            yield (
                f"| {reader} {part} | {score['syllables']} | {score['wrong']} "
                f"| {100 * score['accuracy']:.2f} |"
            )
    own = found["frontend"].get("open", found["frontend"])
    worst = [f"{what} ({count})" for what, count in list(own["errors"].items())[:30]]
    yield "\nexpected > read: " + "; ".join(worst)


def _classes(found: dict[str, Any] | str) -> Iterator[str]:
    if isinstance(found, str):
        yield f"\nnormalisation: {found}"
        return
    yield "\n| normalisation | cases | right |\n|---|---|---|"
    for name, counts in found.items():
        yield f"| {name} | {counts['cases']} | {counts['right']} |"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, metavar="DIR", help="a folder with metadata.csv")
    parser.add_argument("--polyphones", type=Path, metavar="DIR", help="test.sent and test.lb")
    parser.add_argument(
        "--normalisation", type=Path, metavar="FILE", default=NORMALISATION, help="its table"
    )
    parser.add_argument("--rounds", type=int, default=7, help="after one to warm up (7)")
    parser.add_argument("--processes", type=int, default=5, help="fresh processes (5)")
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="*",
        default=(100_000, 1_000_000, 10_000_000),
        help="bytes of a line without punctuation (100000 1000000 10000000)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="every number, for machines")
    return parser


if __name__ == "__main__":
    sys.exit(main())
