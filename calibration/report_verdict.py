"""What a report says first: what was kept, what it gains, what it costs, how to use it.

Numpy-free.
"""

from __future__ import annotations

from collections.abc import Iterator

from sambert_trt.engines.graphs import Placement, Precision, Stage

from .assessment import Judgement, Outcome, Trial
from .report_blocks import Block, Code, Paragraph, Tile, Tiles
from .report_facts import Report
from .report_tables import SHOWN, TITLES, graph_sizes
from .report_words import (
    interval,
    measured,
    megabytes,
    plan_words,
    speedup,
    stage_words,
    standings,
    where,
    why,
)

__all__ = ["explain_text", "verdict", "verdict_sentences"]

_TILES = 4
_FIRST = ("mcd", "pesq", "duration_changes")
"""What tells most of how it sounds; other figures take the places that are left."""
_NEAREST = 3
"""The figures named in the verdict: those nearest to their limits, or beyond."""
_UNLIMITED = 3
"""So many figures are named where none is limited."""


def verdict(report: Report, outcome: Outcome) -> Iterator[Block]:
    """Two sentences, the numbers to see first, and the commands that use what was made."""
    yield Paragraph(" ".join(verdict_sentences(report, outcome)))
    yield Tiles(tuple(_tiles(report, outcome)))
    if _changed(outcome):
        yield Code(_command(outcome))


def verdict_sentences(report: Report, outcome: Outcome) -> tuple[str, str]:
    """What was kept and what it gains; what it costs in sound."""
    place, changed = where(outcome.placement), _changed(outcome)
    if not changed:
        return (
            f"{place}, nothing is worth keeping: every stage stays in fp32.",
            "So nothing is lost either; the trials say why, one by one.",
        )
    what = " and ".join(_stages_words(outcome, name, stages) for name, stages in changed.items())
    gain = f"{_speed_words(outcome)}, {_size_words(report, outcome)}"
    return f"{place}, the voice speaks with {what}: {gain}.", _loss(outcome)


def _stages_words(outcome: Outcome, precision: Precision, stages: list[Stage]) -> str:
    """`postnet and vocoder in int8`, `the other stages in fp16`."""
    others = [c for c in outcome.candidates.values() if c.plan.precision is not Precision.INT8]
    if precision is not Precision.INT8 and len(stages) == len(others) > 2:
        everything = len(stages) == len(outcome.candidates)
        return f"{'all' if everything else 'the other'} stages in {precision.value}"
    return f"{stage_words(stages)} in {precision.value}"


def _changed(outcome: Outcome) -> dict[Precision, list[Stage]]:
    """The stages that are not in fp32, by precision: int8 first."""
    found = dict[Precision, list[Stage]]()
    for precision in (Precision.INT8, Precision.FP16):
        for stage, candidate in outcome.candidates.items():
            if candidate.plan.precision is precision:
                found.setdefault(precision, []).append(stage)
    return found


def _speed_words(outcome: Outcome) -> str:
    ratio, low, high = outcome.ratio, outcome.low, outcome.high
    if ratio is None or not ratio > 0:
        return "its speed was not measured"
    between = interval(low, high)
    words = f"{1 / ratio:.2f} times as fast as fp32 end to end"
    if not between:
        return words
    doubt = ", which may be no gain at all" if low and high and low <= 1 <= high else ""
    return f"{words} (95 %: {between}{doubt})"


def _size_words(report: Report, outcome: Outcome) -> str:
    before, after = graph_sizes(outcome, report.baseline.get(outcome.placement, {}))
    words = f"{megabytes(after)} of graphs"
    return f"{words} instead of {megabytes(before)}" if before else words


def _loss(outcome: Outcome) -> str:
    whole = outcome.whole
    if whole.figures.broken:
        return f"It is unusable: {whole.figures.broken}."
    limited = standings(whole, outcome.limits)
    found = [s for s in limited if s.value is not None]
    unknown = list(dict.fromkeys(s.quantity.label for s in limited if s.value is None))
    unchecked = f"; {_listed(unknown)} not measured" if unknown else ""
    if not found:
        return _unlimited(whole)
    nearest = sorted(found, key=lambda s: (s.within is not False, -(s.used or 0.0)))[:_NEAREST]
    words = _listed([f"{s.label} {s.quantity.words(s.value)} ({s.limit_words})" for s in nearest])
    over = [s.label for s in found if s.within is False]
    if over or outcome.violations:
        asked = "; ".join(outcome.violations or over)
        return f"In sound it costs {words}: beyond the budget, kept because asked for ({asked})."
    others = f", and {len(found) - len(nearest)} more limits kept" if found[_NEAREST:] else ""
    return f"In sound it costs {words}{others}: inside the budget{unchecked}."


def _unlimited(whole: Judgement) -> str:
    found = measured(whole.figures)[:_UNLIMITED]
    if not found:
        return "Its sound was not judged."
    words = _listed([f"{item.label} {item.words(value)}" for item, value in found])
    return f"In sound it costs {words}; no limit was set."


def _listed(texts: list[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _command(outcome: Outcome) -> str:
    if outcome.placement is Placement.CPU:
        return "sambert-tts say TEXT --voice VOICE --precision int8 -o out.wav"
    return (
        "sambert-build VOICE --precision int8 --target CARD\n"
        "sambert-tts say TEXT --voice VOICE --backend tensorrt --precision int8 -o out.wav"
    )


def _tiles(report: Report, outcome: Outcome) -> Iterator[Tile]:
    label = f"{TITLES[outcome.placement]}: speed"
    if outcome.ratio is None:
        yield Tile(label, "unknown", "not measured on this machine")
    else:
        between = interval(outcome.low, outcome.high)
        note = "of fp32, end to end" + (f"; 95 %: {between}" if between else "")
        yield Tile(label, speedup(outcome.ratio), note)
    before, after = graph_sizes(outcome, report.baseline.get(outcome.placement, {}))
    yield Tile("graphs", megabytes(after), f"fp32: {megabytes(before)}" if before else "")
    found = [s for s in standings(outcome.whole, outcome.limits) if not s.bound.worst]
    found.sort(key=lambda s: s.bound.figure not in _FIRST)
    for standing in found[:_TILES]:
        value = standing.quantity.words(standing.value)
        yield Tile(standing.label, value, standing.limit_words, standing.within)


def explain_text(report: Report) -> str:
    """What `--explain` prints: per stage and group its treatment, gain, distortion and why."""
    lines = list[str]()
    for outcome in report.outcomes:
        lines += [*verdict_sentences(report, outcome), ""]
        for stage, candidate in outcome.candidates.items():
            lines.append(f"{stage.value}: {plan_words(candidate.plan)}")
            trials = [trial for trial in outcome.trials if trial.stage is stage]
            lines += [f"  {line}" for trial in trials for line in _explained(trial)]
        lines += [f"{name}: {text}" for name, text in outcome.notes.items()]
        lines.append("")
    if not report.outcomes:
        lines.append("No assignment was searched for in this run.")
    return "\n".join(_printable(line) for line in lines).rstrip() + "\n"


def _explained(trial: Trial) -> Iterator[str]:
    cost, mark = trial.cost, "kept   " if trial.kept else "dropped"
    speed = speedup(cost.ratio, cost.low, cost.high)
    yield f"{mark}  {trial.name}: {plan_words(trial.plan)}"
    gain = "speed not measured" if cost.ratio is None else f"{speed} of fp32's speed"
    yield f"         {gain}, {megabytes(cost.graph_bytes)}; {_distortion(trial.judgement)}"
    if trial.reason:
        yield f"         {why(trial)}"


def _distortion(judgement: Judgement | None) -> str:
    if judgement is None:
        return "sound not judged"
    if judgement.figures.broken:
        return f"broken: {judgement.figures.broken}"
    found = [(item, value) for item, value in measured(judgement.figures) if item.name in SHOWN]
    return ", ".join(f"{i.label} {i.words(v)}" for i, v in found) or "sound not judged"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
