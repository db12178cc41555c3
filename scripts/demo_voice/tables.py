"""An evaluation as Markdown: a line for each measure, the recordings beside the voice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .measures import Interval
from .scores import Evaluation, Figures, Target, Verdict, verdicts

__all__ = ["markdown_from_evaluation"]


@dataclass(frozen=True)
class _Measure:
    """How a figure is called and shown: times `scale`, with so many digits."""

    title: str
    scale: float = 1.0
    digits: int = 2
    unit: str = ""

    def words(self, value: float) -> str:
        """A value with its unit."""
        return f"{self.scale * value:.{self.digits}f}{self.unit}"

    def interval(self, found: Interval | None) -> str:
        """A value and its interval; a dash where nothing was measured."""
        if found is None:
            return "-"
        low, high = (f"{self.scale * x:.{self.digits}f}" for x in (found.low, found.high))
        return f"{self.words(found.value)} ({low} to {high})"


_MEASURES = {
    "syllable_error": _Measure("syllables heard wrongly", 100, 1, " %"),
    "toned_error": _Measure("the same with tones", 100, 1, " %"),
    "naturalness": _Measure("naturalness, DistillMOS, 1 to 5"),
    "f0_correlation": _Measure("correlation of log f0 with the recording"),
    "mel_error": _Measure("mel error, deviations of each band", 1, 3),
    "pesq": _Measure("PESQ, wide band"),
    "stoi": _Measure("STOI", 1, 3),
    "duration_error": _Measure("error of a symbol's duration, frames of 12.5 ms"),
    "length_ratio": _Measure("length of the speech / of the recording", 1, 3),
    "speaking_rate": _Measure("syllables a second, without pauses"),
    "pitch_shift": _Measure("mean pitch against neutral, semitones", 1, 2),
    "rate_change": _Measure("speaking rate against neutral", 100, 1, " %"),
}
_SIDES = {
    "speech": "from symbols",
    "text": "from plain text",
    "timed": "with true durations",
    "copy": "copy synthesis",
    "teacher": "recording",
}


def markdown_from_evaluation(evaluation: Evaluation, pictures: Sequence[str] = ()) -> str:
    """The evaluation as a page.

    Args:
        evaluation: the figures.
        pictures: files beside the page that it shows.
    """
    blocks = (
        [f"# How {evaluation.voice} speaks"],
        [_introduction(evaluation)],
        _missing(evaluation),
        _targets(evaluation),
        _table(evaluation.figures),
        *([f"## {name}", "", *_table(e.figures)] for name, e in evaluation.emotions.items()),
        [f"![{name}]({name})" for name in pictures],
    )
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _introduction(evaluation: Evaluation) -> str:
    files = ", ".join(f"{part} {digest[:12]}" for part, digest in evaluation.checkpoints.items())
    return (
        f"{evaluation.sentences} sentences that were never trained on; checkpoints: {files}. In "
        "parentheses is the 95 % interval, from a bootstrap over the sentences."
    )


def _missing(evaluation: Evaluation) -> list[str]:
    return [f"Not measured: {reason}." for reason in evaluation.missing.values()]


def _targets(evaluation: Evaluation) -> list[str]:
    rows = [_target_row(verdict) for verdict in verdicts(evaluation)]
    return ["| target | wanted | found | |", "|---|---|---|---|", *rows]


def _target_row(verdict: Verdict) -> str:
    target = verdict.target
    measure = _MEASURES[target.measure]
    value = "-" if verdict.value is None else measure.words(verdict.value)
    word = "not measured" if verdict.value is None else "reached" if verdict.reached else "missed"
    title = f"{verdict.emotion}: {measure.title}" if verdict.emotion else measure.title
    return f"| {title} | {_limit(target, verdict.emotion)} | {value} | {word} |"


def _limit(target: Target, emotion: str) -> str:
    way = " in its own direction" if emotion else ""
    bound = "at most" if target.most else "at least"
    return f"{bound} {_MEASURES[target.measure].words(target.limit)}{way}"


def _table(figures: Figures) -> list[str]:
    sides = [side for side in _SIDES if any(side in row for row in figures.values())]
    if not sides:
        return []
    head = "| | " + " | ".join(_SIDES[side] for side in sides) + " |"
    return [head, "|---" * (len(sides) + 1) + "|", *_rows(figures, sides)]


def _rows(figures: Figures, sides: Sequence[str]) -> Iterator[str]:
    for name, measure in _MEASURES.items():
        if name in figures:
            cells = (measure.interval(figures[name].get(side)) for side in sides)
            yield f"| {measure.title} | " + " | ".join(cells) + " |"
