"""What an evaluation found, as it is kept in JSON, and what a voice of this project has to reach.

Standard library and measures only.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sambert_trt.engines.errors import InputError

from .measures import Interval

__all__ = [
    "SCHEMA",
    "TARGETS",
    "EmotionScores",
    "Evaluation",
    "Target",
    "Verdict",
    "evaluation_from_file",
    "verdicts",
]

SCHEMA = 1

Figures = dict[str, dict[str, Interval]]


@dataclass(frozen=True)
class EmotionScores:
    """How an emotion differs from neutral.

    Attributes:
        pitch: the factor by which the corpus was resampled for it.
        figures: by measure and side; `pitch_shift` in semitones, `rate_change` as a share (0.1 is
            a tenth faster), `syllable_error`.
    """

    pitch: float
    figures: Figures


@dataclass(frozen=True)
class Evaluation:
    """What was measured of a voice.

    Attributes:
        voice: its name.
        checkpoints: sha256 of the files of its weights, `am` and `voc`.
        corpus: the attribution of what it was compared with.
        sentences: how many.
        figures: by measure, and by side: `speech` from symbols, `text` from plain text, `timed`
            with true durations, `copy` by the vocoder from true features, `teacher` the recording.
        emotions: by name, those other than neutral.
        missing: why a listener was not there, by its name.
        heard: of each sentence, what the recogniser wrote down, by side.
        seconds: how long it took.
    """

    voice: str
    checkpoints: dict[str, str]
    corpus: str
    sentences: int
    figures: Figures
    emotions: dict[str, EmotionScores] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    heard: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    schema: int = SCHEMA

    def value(self, measure: str, side: str) -> float | None:
        """A figure's value; None where it was not measured."""
        found = self.figures.get(measure, {}).get(side)
        return None if found is None else found.value

    def as_json(self) -> str:
        """The text of evaluation.json."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=1) + "\n"


@dataclass(frozen=True)
class Target:
    """A limit that a figure has to keep: at most it, or at least it."""

    measure: str
    side: str
    limit: float
    most: bool


@dataclass(frozen=True)
class Verdict:
    """A target, what of the voice it is about, and what was measured; None: nothing."""

    target: Target
    emotion: str
    value: float | None

    @property
    def reached(self) -> bool:
        """Whether the target is kept; what was not measured is not."""
        if self.value is None:
            return False
        target = self.target
        return self.value <= target.limit if target.most else self.value >= target.limit


TARGETS = (
    Target("syllable_error", "speech", 0.10, most=True),
    Target("naturalness", "speech", 2.5, most=False),
)
_EMOTION_TARGETS = (
    Target("pitch_shift", "speech", 2.0, most=False),
    Target("rate_change", "speech", 0.08, most=False),
)


def verdicts(evaluation: Evaluation) -> Iterator[Verdict]:
    """Every target with what was measured; an emotion's difference counts in its own direction."""
    for target in TARGETS:
        yield Verdict(target, "", evaluation.value(target.measure, target.side))
    for name, scores in evaluation.emotions.items():
        sign = 1.0 if scores.pitch >= 1 else -1.0
        for target in _EMOTION_TARGETS:
            found = scores.figures.get(target.measure, {}).get(target.side)
            yield Verdict(target, name, None if found is None else sign * found.value)


def evaluation_from_file(path: Path) -> Evaluation:
    """Reads evaluation.json.

    Raises:
        InputError: it cannot be read, is another schema, or lacks a key.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; evaluate the voice") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); evaluate the voice again") from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        raise InputError(f"{path} has schema {schema!r}, needs {SCHEMA}: evaluate the voice again")
    try:
        return _evaluation(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} is no evaluation ({error!r}); evaluate the voice again"
        ) from error


def _evaluation(data: Mapping[str, Any]) -> Evaluation:
    special: dict[str, Callable[[Any], Any]] = {"figures": _figures, "emotions": _emotions}
    known = {entry.name for entry in dataclasses.fields(Evaluation)}
    values = {name: special.get(name, _same)(data[name]) for name in known}
    return Evaluation(**values)


def _same(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    return value


def _figures(data: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Figures:
    return {
        measure: {side: Interval(**values) for side, values in sides.items()}
        for measure, sides in data.items()
    }


def _emotions(data: Mapping[str, Mapping[str, Any]]) -> dict[str, EmotionScores]:
    return {
        name: EmotionScores(float(entry["pitch"]), _figures(entry["figures"]))
        for name, entry in data.items()
    }
