"""What the gate says of metrics, of two looks, of sides that are not alike, and of a whole run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from regression.bands import Band
from regression.catalogue import Better, Catalogue, Gate, Metric, Scale
from regression.gate import (
    ExitStatus,
    Status,
    confirmed,
    exit_status,
    judge,
    suspects,
    verdicts_from_record,
)
from regression.record import Identity, Record, Samples, Side, SuiteOutcome, SuiteStatus

PAIRED = Metric(
    name="stage.{stage}.seconds",
    suite="stages",
    title="one call of a stage",
    unit="s",
    better=Better.LOWER,
    gate=Gate.PAIRED,
    scale=Scale.RATIO,
    tolerance=0.04,
    how="",
    look="",
)
LIMIT = replace(
    PAIRED, name="graph.{stage}.nodes", suite="graphs", title="nodes", unit="", gate=Gate.LIMIT
)
NAME = "stage.vocoder.seconds"
NODES = "graph.vocoder.nodes"
CATALOGUE = Catalogue((LIMIT, PAIRED))
IDENTITY = Identity("demo", "ab" * 32, "fp32", "cpu (onnxruntime 1.23)", 1)
WIGGLE = (0.99, 1.0, 1.01, 1.0, 0.98, 1.02, 1.0, 1.01)


def timed(factor: float = 1.0, sessions: int = 5) -> Samples:
    """Times around 2 ms; equal factors give equal samples."""
    return Samples(tuple(tuple(2e-3 * factor * w for w in WIGGLE) for _ in range(sessions)))


def one(*values: float) -> Samples:
    """One session."""
    return Samples((values,))


@pytest.mark.parametrize(
    ("factor", "status"),
    [
        (1.0, Status.OK),
        (1.01, Status.OK),
        (1.05, Status.UNDECIDED),
        (1.1, Status.WORSE),
        (0.9, Status.BETTER),
    ],
)
def test_a_paired_metric_by_its_interval(factor: float, status: Status) -> None:
    assert judge(PAIRED, timed(), timed(factor)).status is status


def test_more_is_better_the_other_way() -> None:
    metric = replace(PAIRED, better=Better.HIGHER, unit="1/s")
    verdict = judge(metric, timed(), timed(0.9))
    assert verdict.status is Status.WORSE
    assert "10.0 % slower" in verdict.sentence
    assert judge(metric, timed(), timed(1.1)).status is Status.BETTER


def test_the_sentence_holds_what_happened() -> None:
    sentence = judge(PAIRED, timed(), timed(1.1), name=NAME).sentence
    assert sentence.startswith("one call of a stage (vocoder) 10.0 % slower (")
    assert "tolerance 4 %, 2.20 ms instead of 2.00 ms" in sentence


@pytest.mark.parametrize("scale", list(Scale))
def test_both_values_lie_as_far_apart_as_the_change_between_them(scale: Scale) -> None:
    """Each side alone says otherwise: the rounds that are left out are others there."""
    metric = replace(PAIRED, scale=scale, tolerance=0.04 if scale is Scale.RATIO else 1e-4)
    base = Samples(((1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 9e-3), (2e-3,) * 6))
    factors = (1.5, 1.0, 1.0, 1.0, 1.0, 1.5)
    candidate = Samples(
        tuple(tuple(v * f for v, f in zip(s, factors, strict=True)) for s in base.sessions)
    )
    verdict = judge(metric, base, candidate)
    assert verdict.base is not None
    assert verdict.candidate is not None
    assert verdict.change is not None
    ratio = scale is Scale.RATIO
    apart = verdict.candidate / verdict.base if ratio else verdict.candidate - verdict.base
    assert apart == pytest.approx(verdict.change.estimate)


def test_an_interval_around_nothing_names_both_ways() -> None:
    sentence = judge(PAIRED, timed(), timed(1.002)).sentence
    assert "% faster to " in sentence
    assert "% slower)" in sentence


def test_few_values_must_lie_apart() -> None:
    """Three values a side cannot give p < 0.01: they fail where none of them overlap."""
    metric = replace(PAIRED, scale=Scale.DIFFERENCE, unit="B", tolerance=2e6)
    base = Samples(((100e6,), (100.1e6,), (100.2e6,)))
    apart = Samples(((105e6,), (105.1e6,), (105.2e6,)))
    verdict = judge(metric, base, apart)
    assert verdict.status is Status.WORSE
    assert "5 MB larger" in verdict.sentence
    drifting = (Samples(((100e6,), (110e6,), (120e6,))), Samples(((105e6,), (115e6,), (125e6,))))
    overlapping = judge(metric, *drifting)
    assert overlapping.status is Status.UNDECIDED
    assert "overlap" in overlapping.sentence


def test_two_values_a_side_cannot_fail() -> None:
    verdict = judge(PAIRED, Samples(((1.0,), (1.01,))), Samples(((1.3,), (1.4,))))
    assert verdict.status is Status.UNDECIDED
    assert "only 2 independent" in verdict.sentence


@pytest.mark.parametrize(
    ("tolerance", "candidate", "status"),
    [
        (0.0, 115, Status.OK),
        (0.0, 116, Status.WORSE),
        (0.0, 114, Status.BETTER),
        (0.1, 126.5, Status.OK),
        (0.1, 127, Status.WORSE),
        (0.1, 103, Status.BETTER),
    ],
)
def test_a_limit_to_the_edge(tolerance: float, candidate: float, status: Status) -> None:
    metric = replace(LIMIT, tolerance=tolerance)
    assert judge(metric, one(115), one(candidate)).status is status


def test_a_limit_from_nothing_to_something_fails() -> None:
    assert judge(LIMIT, one(0), one(0)).status is Status.OK
    verdict = judge(LIMIT, one(0), one(2))
    assert verdict.status is Status.WORSE
    assert "2 instead of 0" in verdict.sentence


def test_a_limit_on_a_difference() -> None:
    metric = replace(LIMIT, scale=Scale.DIFFERENCE, unit="B", tolerance=200_000)
    assert judge(metric, one(-50_000), one(150_000)).status is Status.OK
    assert judge(metric, one(-50_000), one(150_001)).status is Status.WORSE


def test_values_that_ought_to_be_the_same_are_named_where_they_are_not() -> None:
    metric = replace(LIMIT, tolerance=0.01)
    verdict = judge(metric, one(115, 116), one(115, 118))
    assert verdict.status is Status.UNDECIDED
    assert "not the same at every run: base 115, 116; candidate 115, 118" in verdict.sentence
    assert judge(metric, one(115, 116), one(118, 119)).status is Status.WORSE


def test_what_is_missing_fails_and_what_is_new_does_not() -> None:
    missing = judge(LIMIT, one(115), None, name=NODES)
    assert (missing.status, missing.failed) == (Status.MISSING, True)
    assert missing.sentence == "nodes (vocoder) is missing, it was 115"
    new = judge(LIMIT, None, one(115), name=NODES)
    assert (new.status, new.failed) == (Status.NEW, False)


def test_what_is_only_shown_never_fails() -> None:
    metric = replace(PAIRED, gate=Gate.NONE)
    for candidate in (timed(3.0), None, one(0.0)):
        verdict = judge(metric, timed(), candidate)
        assert verdict.status is Status.NOT_JUDGED
        assert not verdict.failed


def test_values_without_a_meaning_are_unusable() -> None:
    base = Samples(((1.0, 0.0),))
    verdict = judge(PAIRED, base, base)
    assert verdict.status is Status.UNUSABLE
    assert exit_status([verdict], ()) is ExitStatus.NOT_MEASURED


def test_the_second_look_decides() -> None:
    first = judge(PAIRED, timed(), timed(1.1))
    same, worse = judge(PAIRED, timed(), timed()), judge(PAIRED, timed(), timed(1.09))
    assert confirmed(first, worse, worse).status is Status.WORSE
    cleared = confirmed(first, same, worse)
    assert cleared.status is Status.UNDECIDED
    assert "at first 10.0 % slower" in cleared.sentence
    assert "in new processes no change" in cleared.sentence
    assert confirmed(first, same, same).status is Status.OK
    assert confirmed(first, judge(PAIRED, timed(), None), first).status is Status.UNUSABLE
    assert confirmed(same, worse, worse) is same


def test_suspects_are_what_leans_beyond_the_tolerance() -> None:
    leaning = judge(PAIRED, timed(), timed(1.05))
    assert leaning.status is Status.UNDECIDED
    assert suspects([leaning, judge(PAIRED, timed(), timed(1.1))]) == [PAIRED.name] * 2
    uncertain = judge(PAIRED, Samples(((1.0,), (1.0,))), Samples(((1.3,), (1.0,))))
    assert uncertain.change is not None
    assert uncertain.change.estimate > 1.1
    exact = judge(LIMIT, one(1), one(2))
    assert suspects([uncertain, exact, judge(PAIRED, timed(), timed(1.02))]) == []


def record(base: Samples, candidate: Samples) -> Record:
    """A run whose one paired metric has these values."""
    sides = [
        Side(label, "", False, IDENTITY, {NAME: values, NODES: one(115)})
        for label, values in (("main", base), ("working tree", candidate))
    ]
    done = SuiteOutcome("stages", SuiteStatus.MEASURED, 1.0)
    return Record("2026-01-01T00:00:00+00:00", (), {}, {}, sides[1], sides[0], (done,))


def statuses(run: Record) -> dict[str, Status]:
    """By measured name."""
    return {verdict.name: verdict.status for verdict in verdicts_from_record(run, CATALOGUE)}


def test_a_whole_run_takes_both_looks_together() -> None:
    run = record(timed(), timed(1.1))
    assert statuses(run) == {NODES: Status.OK, NAME: Status.WORSE}
    again = ({NAME: timed(sessions=10)}, {NAME: timed(1.1, sessions=10)})
    verdict = verdicts_from_record(replace(run, second_look=again), CATALOGUE)[1]
    assert verdict.status is Status.WORSE
    assert verdict.change is not None
    assert verdict.change.sessions == 15
    clear = ({NAME: timed(sessions=10)}, {NAME: timed(sessions=10)})
    assert not verdicts_from_record(replace(run, second_look=clear), CATALOGUE)[1].failed


def test_a_leaning_metric_fails_where_more_sessions_say_so() -> None:
    run = record(timed(sessions=2), timed(1.06, sessions=2))
    assert statuses(run)[NAME] is Status.UNDECIDED
    again = ({NAME: timed(sessions=20)}, {NAME: timed(1.06, sessions=20)})
    assert statuses(replace(run, second_look=again))[NAME] is Status.WORSE


def test_a_second_look_that_crashed_leaves_it_open() -> None:
    run = replace(record(timed(), timed(1.1)), second_look=({}, {}))
    assert statuses(run)[NAME] is Status.UNUSABLE


@pytest.mark.parametrize("gate", [Gate.LIMIT, Gate.NONE])
@pytest.mark.parametrize(("least", "most", "failed"), [(110, 120, False), (116, 120, True)])
def test_a_value_outside_of_its_band_fails_though_nothing_changed(
    gate: Gate, least: float, most: float, failed: bool
) -> None:
    band = Band(NODES, "abababab", least, most, "it was so")
    metrics = (replace(LIMIT, gate=gate), PAIRED)
    run = record(timed(), timed())
    verdict = verdicts_from_record(run, Catalogue(metrics, (band,)))[0]
    assert verdict.failed is failed
    told = "115 lies outside of 116 to 120, where this voice has to be: it was so"
    assert verdict.sentence.endswith(told) is failed
    other = Catalogue(metrics, (replace(band, weights="cdcdcdcd"),))
    assert not verdicts_from_record(run, other)[0].failed


def test_a_run_of_one_side_has_no_verdicts() -> None:
    assert verdicts_from_record(replace(record(timed(), timed()), base=None), CATALOGUE) == []


def test_what_a_crash_left_out_is_no_regression() -> None:
    run = record(timed(), timed())
    lost = replace(run.candidate, values={NODES: one(115)})
    crash = SuiteOutcome("stages", SuiteStatus.CRASHED, 1.0, "candidate: killed")
    crashed = replace(run, candidate=lost, outcomes=(crash,))
    verdicts = verdicts_from_record(crashed, CATALOGUE)
    assert verdicts[1].status is Status.NOT_JUDGED
    assert "candidate: killed" in verdicts[1].sentence
    assert exit_status(verdicts, crashed.outcomes) is ExitStatus.NOT_MEASURED
    assert statuses(replace(crashed, outcomes=()))[NAME] is Status.MISSING


@pytest.mark.parametrize(
    ("verdicts", "ends", "status"),
    [
        ([Status.OK, Status.UNDECIDED, Status.NEW], [SuiteStatus.MEASURED], ExitStatus.GREEN),
        ([Status.OK], [SuiteStatus.MEASURED, SuiteStatus.SKIPPED], ExitStatus.GREEN),
        ([Status.WORSE], [SuiteStatus.CRASHED], ExitStatus.REGRESSION),
        ([Status.MISSING], [SuiteStatus.MEASURED], ExitStatus.REGRESSION),
        ([Status.OK], [SuiteStatus.MEASURED, SuiteStatus.CRASHED], ExitStatus.NOT_MEASURED),
        ([], [SuiteStatus.SKIPPED], ExitStatus.NOT_MEASURED),
    ],
)
def test_exit_status(verdicts: list[Status], ends: list[SuiteStatus], status: ExitStatus) -> None:
    found = [replace(judge(LIMIT, one(1), one(1)), status=item) for item in verdicts]
    assert exit_status(found, [SuiteOutcome("x", end, 1.0) for end in ends]) is status
