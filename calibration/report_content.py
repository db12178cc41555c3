"""What a report consists of, in blocks: the verdict first, then stages, sound, trials, method.

    Report ─ document_of ─▶ Document ─ report_markdown, report_html ─▶ files

Numpy-free.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timezone

from .assessment import Goal, Outcome
from .report_blocks import Block, Column, Document, Listen, Paragraph, Picture, Section, Table
from .report_facts import Example, Report
from .report_tables import TITLES, figure_table, range_tables, sound_table, stage_table, trial_table
from .report_verdict import verdict
from .report_words import megabytes, quantity, seconds_words, standings

__all__ = ["document_of", "recording_path", "spectrogram_name"]

_TIMED = (
    "Time: fp32 and candidate take turns, round by round, in one process with the same threads and "
    "inputs; each round gives one ratio, and the speed is the median of them. The interval is a "
    "bootstrap over rounds and holds the median with 95 %. What else runs slows both sides alike."
)
_JUDGED = (
    "Sound: the same sentences are spoken in fp32 and by the candidate. Mels and waves are "
    "compared with the durations of fp32, because sentences of different length cannot be; "
    "durations where both run freely. All figures are against fp32, not against a human voice; "
    "means are over sentences."
)
_WORDS = (
    "MAE: mean absolute error, of the normalised mel. LSD: log-spectral distance. MCD: "
    "mel-cepstral distortion. p99: the 99th percentile over frames. PESQ: ITU-T P.862.2, up to "
    "4.64. STOI: short-time objective intelligibility, up to 1."
)
_LONG = 12


def document_of(report: Report, pictures: Collection[str] = (), without: str = "") -> Document:
    """The report in blocks.

    Args:
        pictures: names of those that there are; others are not mentioned.
        without: why there are none.
    """
    lead = [block for outcome in report.outcomes for block in verdict(report, outcome)]
    if not report.outcomes:
        lead.append(Paragraph("No assignment was searched for in this run."))
    sections = [
        *(_chosen(report, outcome) for outcome in report.outcomes),
        *(_tried(outcome) for outcome in report.outcomes),
        _half(report),
        _ranges(report),
        _listening(report),
        _unmeasured(report, without),
        _method(report),
        _run(report),
    ]
    title = f"Calibration of {report.voice}"
    shown = (_pictured(section, pictures) for section in sections if section.blocks)
    subtitle = f"{_moment(report.made)} · {report.machine.cpu}"
    return Document(title, subtitle, tuple(lead), tuple(shown))


def _moment(made: str) -> str:
    """`2026-03-01 12:34 UTC`; what is no date is left as it is."""
    with suppress(ValueError):
        return f"{datetime.fromisoformat(made).astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
    return made


def recording_path(sentence: int, which: str) -> str:
    """`listen/12-cpu.wav`; `which` is fp32 or a placement."""
    return f"listen/{sentence}-{which}.wav"


def spectrogram_name(example: Example) -> str:
    """`spectrogram-12-cpu.png`."""
    return f"spectrogram-{example.sentence}-{example.placement.value}.png"


def _pictured(section: Section, pictures: Collection[str]) -> Section:
    blocks = [b for b in section.blocks if not isinstance(b, Picture) or b.name in pictures]
    return Section(section.title, section.anchor, tuple(blocks))


def _chosen(report: Report, outcome: Outcome) -> Section:
    place = outcome.placement.value
    blocks: list[Block] = [
        stage_table(outcome, report.baseline.get(outcome.placement, {})),
        Picture(
            f"stages-{place}.png",
            f"Bars: time and size of each stage, fp32 beside what was chosen for {place}. "
            "The table above holds the same numbers.",
            "Every stage in fp32 and as chosen. Time: of a run, of step stages of a step.",
        ),
        sound_table(outcome.whole, outcome.limits),
        Picture(
            f"quality-{place}.png",
            "Bars: how much of each limit is used up. The table above holds the same numbers.",
            "How much of the quality budget is used up; 100 % is the limit.",
        ),
    ]
    blocks += [Paragraph(f"{name}: {note}") for name, note in outcome.notes.items()]
    return Section(f"{TITLES[outcome.placement]}: chosen", f"chosen-{place}", tuple(blocks))


def _tried(outcome: Outcome) -> Section:
    place = outcome.placement.value
    picture = Picture(
        f"sensitivity-{place}.png",
        "Points: what everything tried gains against what it distorts; the budget is a line. "
        "The table below holds the same numbers.",
        "Gain against distortion of everything tried. Circles are kept, crosses are dropped.",
    )
    blocks = (picture, trial_table(outcome)) if outcome.trials else ()
    return Section(f"{TITLES[outcome.placement]}: tried", f"tried-{place}", blocks)


def _half(report: Report) -> Section:
    half, blocks = report.half, list[Block]()
    if half is not None:
        size = f"{megabytes(half.fp32_bytes)} of graphs become {megabytes(half.graph_bytes)}"
        blocks.append(Paragraph(f"All stages in fp16: {size}. Computed by: {half.arithmetic}."))
        caption = "The whole voice in fp16 against fp32."
        blocks.append(figure_table(half.judgement, half.limits, caption))
    return Section("Half precision", "fp16", tuple(blocks))


def _ranges(report: Report) -> Section:
    tables = [table for outcome in report.outcomes for table in range_tables(outcome)]
    text = Paragraph("The same groups in int8; ranges of their activations chosen in several ways.")
    return Section("Range methods", "ranges", (text, *tables) if tables else ())


def _listening(report: Report) -> Section:
    blocks = [block for example in report.examples for block in _example(example)]
    return Section("Listen and look", "listen", tuple(blocks))


def _example(example: Example) -> Iterator[Block]:
    place, number = example.placement.value, example.sentence
    recordings = tuple((which, recording_path(number, which)) for which in ("fp32", place))
    kind, _, name = example.why.partition(" ")
    why = f"{kind} {quantity(name).label}" if name else kind
    yield Listen(f"Sentence {number} ({why})", example.text, recordings)
    alt = f"Spectrograms of sentence {number}: fp32, {place}, and their difference."
    caption = f"Sentence {number}: fp32, {place}, and the difference in dB."
    yield Picture(spectrogram_name(example), alt, caption)


def _unmeasured(report: Report, without: str) -> Section:
    rows = [(quantity(name).label, why) for name, why in report.unmeasured.items()]
    rows += [("pictures", without)] if without else []
    table = _facts("No number in this report stands for these.", ("what", "why"), rows)
    return Section("Not measured", "unmeasured", (table,) if rows else ())


def _method(report: Report) -> Section:
    texts = (_TIMED, _JUDGED, _WORDS, *(f"{n}: {text}" for n, text in report.method.items()))
    blocks: list[Block] = [Paragraph(text) for text in texts]
    blocks += [table for outcome in report.outcomes if (table := _budget(outcome)).rows]
    return Section("How it was measured", "method", tuple(blocks))


def _budget(outcome: Outcome) -> Table:
    goal = {Goal.SPEED: "the fastest", Goal.SIZE: "the smallest"}[outcome.goal]
    found = standings(outcome.whole, outcome.limits)
    return _facts(
        f"{TITLES[outcome.placement]}: the quality budget; {goal} assignment inside it was sought.",
        ("figure", "limit", "reason"),
        [(s.label, s.limit_words, s.bound.reason) for s in found],
    )


def _run(report: Report) -> Section:
    machine, texts = report.machine, report.texts
    facts = [
        ("processor", f"{machine.cpu}, {machine.cores} cores usable"),
        ("memory", megabytes(machine.memory_bytes)),
        ("system", machine.system),
        ("graphics card", machine.card or "none"),
        ("TensorRT", machine.tensorrt or "absent"),
        ("Python", machine.python),
        *machine.packages.items(),
        ("texts", f"{texts.source}: {texts.recorded} recorded, {texts.judged} judged"),
        ("peak memory of the run", megabytes(report.peak_bytes)),
    ]
    tables = [_facts("Machine and run.", ("what", "value"), facts)]
    if report.phases:
        spent = {**report.phases, "all": sum(report.phases.values())}
        rows = [(name, seconds_words(seconds)) for name, seconds in spent.items()]
        tables.append(_facts("Where the time of the run went.", ("phase", "time"), rows))
    named = _named_sentences(report)
    if named:
        tables.append(_facts("Sentences that are named above.", ("sentence", "text"), named))
    if texts.skipped:
        rows = [(skipped.text, skipped.reason) for skipped in texts.skipped]
        tables.append(_facts(f"Texts skipped: {len(rows)}.", ("text", "why"), rows))
    return Section("The run", "run", tuple(tables))


def _named_sentences(report: Report) -> list[tuple[str, str]]:
    """The worst sentences in full, by their numbers."""
    named = {example.sentence: example.text for example in report.examples}
    for outcome in report.outcomes:
        named |= {worst.sentence: worst.text for worst in outcome.whole.worst.values()}
    return [(str(number), named[number]) for number in sorted(named)]


def _facts(caption: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    columns = tuple(Column(head, number=False) for head in heads)
    return Table(caption, columns, tuple(rows), folded=len(rows) > _LONG)
