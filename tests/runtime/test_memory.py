"""The report of who holds how much memory."""

from __future__ import annotations

import json

import pytest

from sambert_trt.runtime.memory import EngineMemory, MemoryReport

MB = 1_000_000
VOCODER = EngineMemory(
    "zhitian/vocoder", "open", 1, 3, 210 * MB, 10 * MB, 64 * MB, 2_500_000, 11 * MB
)
ENCODER = EngineMemory(
    "zhitian/text_encoder", "cold", 0, 1, 210 * MB, 25 * MB, 22 * MB, 1_500_000, 0
)
REPORT = MemoryReport(
    backend="TensorRT (rtx 1.7.1.116) on sm_86",
    isolation="engine",
    mode="on_demand",
    engines=(ENCODER, VOCODER),
    held=VOCODER.device_bytes,
    limit=8334 * MB,
    process=290 * MB,
    device_total=8590 * MB,
    device_free=7000 * MB,
    counters={"opened": 4, "evicted": 1},
    advice=("close what else uses the card",),
)
TEXT = """\
TensorRT (rtx 1.7.1.116) on sm_86: isolation engine, mode on_demand
engine                             state   context   weights   scratch   buffers host copy  opens
zhitian/text_encoder                cold     210.0      25.0      22.0       1.5       0.0      1
zhitian/vocoder                     open     210.0      10.0      64.0       2.5      11.0      3
held by engines 286 MB of 8334 MB
this process 290 MB, card 1590 MB used of 8590 MB
evicted 1, opened 4
close what else uses the card"""


def test_a_report_for_people() -> None:
    assert REPORT.as_text() == TEXT


def test_a_report_for_machines() -> None:
    data = json.loads(json.dumps(REPORT.as_dict()))
    assert data["held"] == sum(e["device_bytes"] for e in data["engines"] if e["state"] == "open")
    for engine in data["engines"]:
        parts = ("context", "weights", "scratch", "buffers")
        assert engine["device_bytes"] == sum(engine[part] for part in parts)
    assert data["device_used"] + data["device_free"] == data["device_total"]
    assert data["counters"] == {"opened": 4, "evicted": 1}
    assert data["advice"] == ["close what else uses the card"]
    assert data["backend"] == REPORT.backend


def test_what_nobody_can_tell() -> None:
    report = MemoryReport("ONNX Runtime 1.31.1 (cpu)", "none", "resident")
    assert report.as_text() == (
        "ONNX Runtime 1.31.1 (cpu): isolation none, mode resident\n"
        "held by engines 0 MB\n"
        "this process unknown, card unknown used of unknown"
    )
    data = json.loads(json.dumps(report.as_dict()))
    assert (data["process"], data["device_total"], data["device_used"]) == (None, None, None)
    assert data["engines"] == []


@pytest.mark.parametrize("total", [None, 8590 * MB])
def test_a_card_known_in_part(total: int | None) -> None:
    report = MemoryReport("b", "engine", "minimal", device_total=total)
    assert report.device_used is None
    assert report.as_text().endswith(
        f"card unknown used of {'unknown' if total is None else '8590 MB'}"
    )


def test_long_names_keep_the_stage() -> None:
    engine = EngineMemory("a" * 60 + "/vocoder", "opening", 0, 1, 0, 0, 0, 0, 0)
    line = MemoryReport("b", "engine", "minimal", (engine,)).as_text().splitlines()[2]
    assert line.startswith("a" * 24 + "/vocoder opening")
