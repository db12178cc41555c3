"""A report's tables: stages, sound, trials, ranges, half precision.

Numpy-free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sambert_trt.engines.graphs import Placement, Precision, Stage

from .assessment import Candidate, Cost, Judgement, Outcome, Trial
from .figures import Limits
from .recipe import Method
from .report_blocks import Cell, Column, Mark, Table
from .report_words import (
    DASH,
    Standing,
    amount,
    cost_of,
    measured,
    method_words,
    plan_words,
    quantity,
    seconds_words,
    shortened,
    speedup,
    standings,
    trial_of,
    why,
)

__all__ = [
    "SHOWN",
    "TITLES",
    "figure_table",
    "graph_sizes",
    "range_tables",
    "sound_table",
    "stage_table",
    "trial_table",
]

TITLES = {Placement.CPU: "Processor", Placement.TENSORRT: "TensorRT"}
SHOWN = ("mel_mae", "mel_lsd_p99", "mcd", "lsd", "pesq", "duration_changes")
"""The figures that tables of trials show, where any trial has them."""
_LONG = 12
"""Rows; a longer table is folded."""

Baseline = Mapping[Stage, Cost]


def graph_sizes(outcome: Outcome, base: Baseline) -> tuple[int, int]:
    """Bytes of all graphs, in fp32 (0: unknown) and as assigned."""
    before = _summed([_of(base.get(stage), "graph_bytes") for stage in outcome.candidates])
    return int(before or 0), sum(c.record.file.bytes for c in outcome.candidates.values())


def stage_table(outcome: Outcome, base: Baseline) -> Table:
    """Every stage of the assignment, and the whole voice."""
    trials = [trial_of(outcome, candidate) for candidate in outcome.candidates.values()]
    names = _named_figures(trial.judgement for trial in trials if trial)
    heads = ("speed (95 %)", "time", "graph MB", "plan MB", "scratch MB", "kernels")
    words = [Column(head, number=False) for head in ("stage", "precision", "treatment")]
    figures = [Column(quantity(name).label) for name in names]
    rows = [
        (*_stage_row(outcome, candidate, base.get(stage)), *_figure_cells(_judged(trial), names))
        for (stage, candidate), trial in zip(outcome.candidates.items(), trials, strict=True)
    ]
    if rows:
        rows.append((*_total_row(outcome, base), *[""] * len(names)))
    caption = "Every stage: fp32 → chosen. Figures are of that stage alone."
    return _filled(Table(caption, (*words, *map(Column, heads), *figures), tuple(rows)))


def _filled(table: Table) -> Table:
    """The table without columns of numbers in which nothing stands."""
    kept = [
        number
        for number, column in enumerate(table.columns)
        if not column.number or any(row[number] not in ("", DASH) for row in table.rows)
    ]
    columns = tuple(table.columns[number] for number in kept)
    rows = tuple(tuple(row[number] for number in kept) for row in table.rows)
    return Table(table.caption, columns, rows, table.folded)


def _judged(trial: Trial | None) -> Judgement | None:
    return None if trial is None else trial.judgement


def _stage_row(outcome: Outcome, candidate: Candidate, base: Cost | None) -> tuple[Cell, ...]:
    cost = cost_of(outcome, candidate, base)
    plain = candidate.plan.precision is Precision.FP32
    return (
        candidate.stage.value,
        candidate.plan.precision.value,
        "unchanged" if plain else plan_words(candidate.plan),
        DASH if plain else speedup(cost.ratio, cost.low, cost.high),
        _arrow(_seconds_before(cost), cost.seconds, seconds_words),
        _arrow(_of(base, "graph_bytes"), candidate.record.file.bytes, _mb),
        _arrow(_of(base, "plan_bytes"), cost.plan_bytes, _mb),
        _arrow(_of(base, "scratch_bytes"), cost.scratch_bytes, _mb),
        _arrow(_of(base, "kernels"), cost.kernels, _count),
    )


def _seconds_before(cost: Cost) -> float | None:
    """What fp32 took in the same rounds: at another time it takes longer or less."""
    return cost.seconds / cost.ratio if cost.seconds and cost.ratio else None


def _of(cost: Cost | None, name: str) -> float | None:
    return None if cost is None else getattr(cost, name)


def _arrow(before: float | None, after: float | None, words: Callable[[float], str]) -> str:
    """`18.4 → 9.2`; one number where it stays or where there is nothing to compare with."""
    if after is None:
        return DASH if before is None else f"{words(before)} → ?"
    texts = [words(value) for value in (before, after) if value is not None]
    return " → ".join(dict.fromkeys(texts))


def _mb(size: float) -> str:
    return amount(size / 1e6)


def _count(value: float) -> str:
    return f"{value:.0f}"


def _total_row(outcome: Outcome, base: Baseline) -> tuple[Cell, ...]:
    before, after = graph_sizes(outcome, base)
    return (
        "the whole voice",
        "",
        "",
        speedup(outcome.ratio, outcome.low, outcome.high),
        "",
        _arrow(before or None, after, _mb),
        _total(outcome, base, "plan_bytes", _mb),
        "",
        _total(outcome, base, "kernels", _count),
    )


def _total(outcome: Outcome, base: Baseline, name: str, words: Callable[[float], str]) -> str:
    costs = [cost_of(outcome, c, base.get(s)) for s, c in outcome.candidates.items()]
    before = _summed([_of(base.get(stage), name) for stage in outcome.candidates])
    return _arrow(before, _summed([_of(cost, name) for cost in costs]), words)


def _summed(values: Sequence[float | None]) -> float | None:
    """The sum, or None where one of them is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _named_figures(judgements: Iterable[Judgement | None]) -> list[str]:
    found = [judgement.figures for judgement in judgements if judgement is not None]
    return [name for name in SHOWN if any(getattr(f, name) is not None for f in found)]


def _figure_cells(judgement: Judgement | None, names: Sequence[str]) -> list[Cell]:
    if judgement is None:
        return [DASH for _ in names]
    return [quantity(name).words(getattr(judgement.figures, name)) for name in names]


def sound_table(judgement: Judgement, limits: Limits) -> Table:
    """Every figure beside its limits and its worst sentence."""
    rows = list[tuple[Cell, ...]]()
    if judgement.figures.broken:
        rows.append(("broken", judgement.figures.broken, "", Mark("✗ unusable", False), "", ""))
    found = standings(judgement, limits)
    names = [item.name for item, _ in measured(judgement.figures)]
    for name in dict.fromkeys((*names, *(s.bound.figure for s in found))):
        rows.append(_sound_row(judgement, name, [s for s in found if s.bound.figure == name]))
    columns = (
        Column("figure", number=False),
        Column("whole voice"),
        Column("limit", number=False),
        Column("stands", number=False),
        Column("worst sentence"),
        Column("which", number=False),
    )
    return Table("The whole voice as chosen against the whole voice in fp32.", columns, tuple(rows))


def _sound_row(judgement: Judgement, name: str, found: Sequence[Standing]) -> tuple[Cell, ...]:
    item, worst = quantity(name), judgement.worst.get(name)
    limits = [f"{'worst: ' if s.bound.worst else ''}{s.limit_words}" for s in found]
    return (
        item.label,
        item.words(getattr(judgement.figures, name, None)),
        "; ".join(limits) or DASH,
        _stands(found),
        DASH if worst is None else item.words(worst.value),
        DASH if worst is None else f"{worst.sentence}: {shortened(worst.text)}",
    )


def _stands(found: Sequence[Standing]) -> Cell:
    if not found:
        return "not limited"
    if any(s.within is False for s in found):
        return Mark("✗ beyond", False)
    if any(s.within is None for s in found):
        return "? not measured"
    return Mark("✓ within", True)


def trial_table(outcome: Outcome) -> Table:
    """Everything that was tried, in order."""
    names = _named_figures(trial.judgement for trial in outcome.trials)
    columns = (
        Column("trial", number=False),
        Column("kept", number=False),
        Column("treatment", number=False),
        Column("why", number=False),
        Column("speed (95 %)"),
        Column("graph MB"),
        *(Column(quantity(name).label) for name in names),
    )
    rows = tuple(_trial_row(trial, names) for trial in outcome.trials)
    table = Table(f"All {len(rows)} trials, in order.", columns, rows, folded=len(rows) > _LONG)
    return _filled(table)


def _trial_row(trial: Trial, names: Sequence[str]) -> tuple[Cell, ...]:
    cost, broken = trial.cost, "" if trial.judgement is None else trial.judgement.figures.broken
    plain = trial.plan.precision is Precision.FP32
    return (
        trial.name,
        Mark("✓ kept", True) if trial.kept else Mark("✗ dropped", False),
        plan_words(trial.plan),
        "; ".join(text for text in (why(trial), broken and f"broken: {broken}") if text),
        DASH if plain else speedup(cost.ratio, cost.low, cost.high),
        _mb(cost.graph_bytes),
        *_figure_cells(trial.judgement, names),
    )


def figure_table(judgement: Judgement, limits: Limits, caption: str) -> Table:
    """Every figure beside its limit."""
    whole = sound_table(judgement, limits)
    return Table(caption, whole.columns[:4], tuple(row[:4] for row in whole.rows))


def range_tables(outcome: Outcome) -> list[Table]:
    """Trials that differ in nothing but how the ranges of activations were chosen."""
    alike = dict[object, list[Trial]]()
    for trial in outcome.trials:
        if trial.plan.treated:
            treated = tuple(sorted(trial.plan.treated.items()))
            alike.setdefault((trial.stage, trial.plan.base, treated), []).append(trial)
    several = [trials for trials in alike.values() if len(_methods(trials)) > 1]
    return [_range_table(outcome, trials) for trials in several]


def _methods(trials: Sequence[Trial]) -> set[tuple[Method, float]]:
    """Which methods there are; the percentile counts only where it is used."""
    plans = [trial.plan for trial in trials]
    return {(p.method, p.percentile if p.method is Method.PERCENTILE else 0.0) for p in plans}


def _range_table(outcome: Outcome, trials: Sequence[Trial]) -> Table:
    names = _named_figures(trial.judgement for trial in trials)
    rows = {
        method_words(trial.plan): (
            method_words(trial.plan),
            *_figure_cells(trial.judgement, names),
            Mark("✓ kept", True) if trial.kept else Mark("✗ dropped", False),
        )
        for trial in sorted(trials, key=lambda trial: trial.kept)
    }
    figures = [Column(quantity(name).label) for name in names]
    columns = (Column("range", number=False), *figures, Column("kept", number=False))
    treatment = plan_words(trials[0].plan).partition(" (")[0]
    caption = f"{TITLES[outcome.placement]}, {trials[0].name}: {treatment}"
    return Table(caption, columns, tuple(rows.values()))
