"""A card's baseline is made of an acceptance report, kept, and what is worse than it is found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from acceptance.report import Report, write_report
from acceptance.results import Outcome, Result
from acceptance.results import Status as Ended
from regression.baseline import (
    Baseline,
    baseline_from_file,
    baseline_from_report,
    baseline_path,
    compared_baseline,
    failures_from_report,
    write_baseline,
)
from regression.catalogue import catalogue_from_file
from regression.gate import Status

from sambert_trt.engines.errors import InputError

NUMBERS = {
    "plans": {},
    "contexts": {"context_bytes": 209_715_200.0, "noise_bytes": 0.0},
    "load": {"reopen_ms": 80.0, "reopen_p95_ms": 95.0},
    "step": {
        "decoder_step fp16 as a CUDA graph ms": 0.21,
        "decoder_step fp16 ONNX Runtime, CPU ms": 1.9,
    },
    "speech": {"first_audio_ms": 31.0, "real_time_factor": 0.0062},
    "peak": {"peak_mb": 612.0, "peak_mb fp16, shared": 612.0},
}
MACHINE = {
    "card": {"name": "NVIDIA GeForce RTX 3070", "target": "sm_86", "bus": "0000:01:00.0"},
    "driver": {"version": "580.65", "cuda": "13.0"},
    "used": "rtx 1.7.1.116",
    "clocks": {"sm_mhz": 210, "sm_most_mhz": 2100, "power_limit_w": 220.0},
    "revision": "0123456789ab",
}
STEP = "card.step.decoder_step_fp16_as_a_cuda_graph_ms"


def report(
    tmp_path: Path,
    change: Callable[[dict[str, Any]], object] = lambda _: None,
    outcomes: Sequence[Outcome] = (),
) -> Path:
    """A report as the acceptance writes it, changed afterwards; without outcomes all passed."""
    outcomes = outcomes or [
        Outcome(name, name, Ended.PASSED, result=Result(numbers=dict(numbers)))
        for name, numbers in NUMBERS.items()
    ]
    found = Report(
        command=("python", "scripts/gpu_acceptance.py"),
        started="2026-01-01T00:00:00+00:00",
        machine=MACHINE,
        voice={"name": "demo", "sample_rate": 16000, "parameters": 17_000_000},
        scale={"scale": "full"},
        outcomes=outcomes,
        clocks_after={"sm_mhz": 1900, "memory_mhz": 7000},
        complete=True,
    )
    path = tmp_path / "report.json"
    write_report(found, path, tmp_path / "report.md")
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.fixture
def made(tmp_path: Path) -> Baseline:
    """The baseline of the unchanged report."""
    return baseline_from_report(report(tmp_path))


def statuses(base: Baseline, candidate: Baseline) -> dict[str, Status]:
    """By measured name."""
    found = compared_baseline(base, candidate, catalogue_from_file())
    return {verdict.name: verdict.status for verdict in found.verdicts}


def test_a_report_becomes_numbers_of_the_card(made: Baseline) -> None:
    assert (made.card, made.target, made.flavour) == (
        "NVIDIA GeForce RTX 3070",
        "sm_86",
        "rtx 1.7.1.116",
    )
    assert made.passed
    assert made.numbers[STEP] == 0.21
    assert made.numbers["card.peak.peak_mb_fp16_shared"] == 612.0
    assert len(made.numbers) == sum(map(len, NUMBERS.values()))


def test_a_baseline_comes_back(made: Baseline, tmp_path: Path) -> None:
    path = baseline_path(tmp_path, made.card)
    assert path.name == "nvidia-geforce-rtx-3070.json"
    write_baseline(path, made)
    assert baseline_from_file(path) == made


def test_the_same_numbers_are_fine(made: Baseline) -> None:
    found = compared_baseline(made, made, catalogue_from_file())
    assert {verdict.status for verdict in found.verdicts} == {Status.OK, Status.NOT_JUDGED}
    assert found.differences == ()


@pytest.mark.parametrize(
    ("name", "factor", "status"),
    [
        (STEP, 1.09, Status.OK),
        (STEP, 1.11, Status.WORSE),
        (STEP, 0.5, Status.BETTER),
        ("card.peak.peak_mb", 1.03, Status.WORSE),
        ("card.load.reopen_ms", 1.3, Status.WORSE),
        ("card.step.decoder_step_fp16_onnx_runtime_cpu_ms", 3.0, Status.NOT_JUDGED),
        ("card.contexts.noise_bytes", 1e6, Status.NOT_JUDGED),
    ],
)
def test_numbers_beyond_the_tolerance_fail(
    made: Baseline, name: str, factor: float, status: Status
) -> None:
    numbers = {**made.numbers, name: made.numbers[name] * factor}
    found = statuses(made, replace(made, numbers=numbers))
    assert found.pop(name) is status
    assert set(found.values()) <= {Status.OK, Status.NOT_JUDGED}


def test_the_sentence_holds_the_values(made: Baseline) -> None:
    worse = replace(made, numbers={**made.numbers, STEP: 0.252})
    found = compared_baseline(made, worse, catalogue_from_file())
    sentence = next(verdict.sentence for verdict in found.verdicts if verdict.name == STEP)
    assert "20.0 % slower, tolerance 10 %, 0.252 ms instead of 0.210 ms" in sentence


@pytest.mark.parametrize(
    "change", [lambda n: n.pop("first_audio_ms"), lambda n: n.update(first_audio_ms=None)]
)
def test_a_number_that_is_missing_fails(
    made: Baseline, change: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    def without(data: dict[str, Any]) -> None:
        change(next(s for s in data["sections"] if s["name"] == "speech")["numbers"])

    found = statuses(made, baseline_from_report(report(tmp_path, without)))
    assert found["card.speech.first_audio_ms"] is Status.MISSING


def test_another_card_is_refused(made: Baseline) -> None:
    other = replace(made, card="NVIDIA H200", target="sm_90")
    with pytest.raises(InputError, match=r"RTX 3070 \(sm_86\), the report of NVIDIA H200"):
        compared_baseline(made, other, catalogue_from_file())


def test_what_differs_besides_is_named(made: Baseline) -> None:
    other = replace(
        made,
        flavour="rtx 1.8",
        driver={"version": "590.1", "cuda": "13.0"},
        voice={**made.voice, "name": "other"},
        clocks={**made.clocks, "power_limit_w": 180.0, "sm_mhz": 400},
        clocks_after={"sm_mhz": 1500, "memory_mhz": 7001},
    )
    assert compared_baseline(made, other, catalogue_from_file()).differences == (
        "TensorRT: rtx 1.7.1.116 in the baseline, rtx 1.8 now",
        "driver version: 580.65 in the baseline, 590.1 now",
        "voice name: demo in the baseline, other now",
        "clocks power_limit_w: 220.0 in the baseline, 180.0 now",
        "clocks after the run, sm_mhz: 1900 in the baseline, 1500 now",
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d: d.update(complete=False), "was broken off"),
        (lambda d: d.update(schema=2), "schema 2, this version reads 1"),
        (lambda d: d["machine"].update(card={"absent": "no driver"}), "of no card: no driver"),
        (lambda d: d.pop("sections"), "holds no 'sections'"),
        (lambda d: d["sections"][1]["numbers"].update(x="much"), "card.contexts.x is 'much'"),
    ],
)
def test_a_report_that_cannot_be_used_is_named(
    change: Callable[[dict[str, Any]], object], named: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as refused:
        baseline_from_report(report(tmp_path, change))
    assert named in str(refused.value)


def test_an_acceptance_that_failed_makes_no_baseline(tmp_path: Path) -> None:
    failed = baseline_from_report(report(tmp_path, lambda d: d.update(verdict="failed")))
    path = tmp_path / "baseline.json"
    path.write_text("as it was", encoding="utf-8")
    with pytest.raises(InputError, match="did not pass"):
        write_baseline(path, failed)
    assert path.read_text(encoding="utf-8") == "as it was"


def test_what_failed_in_an_acceptance_is_named(tmp_path: Path) -> None:
    slow = Result(numbers={"reopen_ms": 180.0})
    slow.check("pieces", True, "as the graph")
    slow.check("the wave", False, "31 dB, 60 dB wanted")
    path = report(
        tmp_path,
        outcomes=[
            Outcome("load", "load", Ended.FAILED, "the wave", result=slow),
            Outcome("speech", "speech", Ended.FAILED, "ended in an error: out of memory"),
            Outcome("peak", "peak", Ended.NOT_RUN, "not asked for"),
            Outcome("step", "step", Ended.PASSED),
        ],
    )
    assert failures_from_report(path) == (
        "load: the wave: 31 dB, 60 dB wanted",
        "speech: ended in an error: out of memory",
        "engine reopen, the slowest engine's median: 180.0 ms; at most 150",
    )


def test_an_acceptance_that_passed_has_no_failures(tmp_path: Path) -> None:
    assert failures_from_report(report(tmp_path)) == ()


def test_a_failed_acceptance_without_a_failing_check_is_told(tmp_path: Path) -> None:
    (told,) = failures_from_report(report(tmp_path, lambda d: d.update(verdict="failed")))
    assert "names nothing that failed" in told


@pytest.mark.parametrize("schema", [0, 2])
def test_a_baseline_of_another_schema_is_refused(
    made: Baseline, schema: int, tmp_path: Path
) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(path, replace(made, schema=schema))
    with pytest.raises(InputError, match=f"schema {schema}, this version reads 1"):
        baseline_from_file(path)
