"""A calibration report of a stock-size voice, made up: every kind of trial, figure and bad text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sambert_trt.calibration.assessment import (
    Candidate,
    Cost,
    Goal,
    Judgement,
    Outcome,
    Trial,
    Worst,
)
from sambert_trt.calibration.figures import Figures, Limits
from sambert_trt.calibration.recipe import Method, Recipe, StagePlan, Treatment
from sambert_trt.calibration.report import Example, HalfVoice, Machine, Report, Skipped, Texts
from sambert_trt.engines.graphs import AxisRange, GraphSpec, Placement, Precision, Stage, TensorSpec
from sambert_trt.engines.manifest import FileRecord, StageRecord

RATE = 16000
TEXTS = (
    "今天天气真好。",
    "他们在公园里放风筝。",
    "<script>alert('x')</script> & | **粗体** [链接](javascript:alert(1)) `代码`",
    "请在三点一刻到车站等我，不要迟到。",
    "这个问题，你怎么看？",
    "山高水长，来日方长。",
    "她唱了一首很老的歌。",
    "雪下了整整一夜。",
)
LIMITS = Limits(mel_mae=0.05, mcd=0.3, pesq=3.8, stoi=0.98, duration_changes=0.01, worst_mcd=0.6)
SIZES = {
    Stage.TEXT_ENCODER: 22_060_000,
    Stage.PROSODY: 3_790_000,
    Stage.DURATION_STEP: 1_330_000,
    Stage.MEMORY_KV: 1_980_000,
    Stage.DECODER_STEP: 17_410_000,
    Stage.POSTNET: 4_860_000,
    Stage.VOCODER: 18_350_000,
}
SECONDS = dict(zip(Stage, (0.011, 0.004, 0.00018, 0.0012, 0.0019, 0.021, 0.31), strict=True))
PLANS = dict(
    zip(
        Stage,
        (27_800_000, 6_700_000, 2_800_000, 2_100_000, 23_200_000, 9_300_000, 20_700_000),
        strict=True,
    )
)
SUMS = Treatment.W8A8_SUMS
BLOCKS = {f"resblocks.{i}": SUMS for i in range(4)}
VOCODER = StagePlan(Precision.FP32, BLOCKS)
POSTNET = StagePlan(Precision.FP32, {"ffn.0": Treatment.W8A8, "ffn.1": Treatment.W8A8})


@dataclass(frozen=True)
class FakeRendering:
    """What a judge gives of a sentence."""

    text: str
    rate: int
    reference: NDArray[np.float32]
    candidate: NDArray[np.float32]


def rendering(text: str = TEXTS[0], seconds: float = 0.5, noise: float = 0.003) -> FakeRendering:
    """A gliding tone with harmonics, and the same with some noise."""
    rng = np.random.default_rng(len(text))
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = 2 * np.pi * np.cumsum(180 + 60 * np.sin(2 * np.pi * 1.3 * time)) / RATE
    tone = sum(np.sin(k * pitch) / k for k in range(1, 24))
    wave = (0.2 * tone * (0.55 + 0.45 * np.sin(2 * np.pi * 2.1 * time))).astype(np.float32)
    other = (wave + noise * rng.standard_normal(wave.size)).astype(np.float32)
    return FakeRendering(text, RATE, wave, other)


def graph(stage: Stage) -> GraphSpec:
    """A signature."""
    tensor = TensorSpec("x", "float32", (1, "frames", 80))
    return GraphSpec(stage, (tensor,), (tensor,), {"frames": AxisRange(1, 64, 512)})


def figures(scale: float = 1.0) -> Figures:
    """What 8-bit convolutions cost, times a factor."""
    return Figures(
        mel_mae=0.0112 * scale,
        mel_max=0.37 * scale,
        mel_lsd=0.11 * scale,
        mel_lsd_p99=0.34 * scale,
        mcd=0.212 * scale,
        lsd=1.31 * scale,
        lsd_p99=3.9 * scale,
        stft=0.21 * scale,
        snr=24.3 - 4 * scale,
        pesq=4.64 - 0.55 * scale,
        stoi=1 - 0.004 * scale,
        f0_correlation=1 - 0.001 * scale,
        duration_changes=0.0,
        duration_largest=0,
    )


def judgement(scale: float = 1.0, broken: str = "") -> Judgement:
    """Over all texts; the third is the worst."""
    rng = np.random.default_rng(7)
    parts = tuple(figures(scale * f) for f in (*rng.uniform(0.7, 1.2, 2), 1.6, *[0.9] * 5))
    worst = {
        name: Worst(2, TEXTS[2], getattr(parts[2], name))
        for name in ("mel_mae", "mcd", "pesq", "lsd_p99")
    }
    return Judgement(replace(figures(scale), broken=broken), worst, parts)


def baseline(placement: Placement) -> dict[Stage, Cost]:
    """What fp32 costs."""
    if placement is Placement.CPU:
        return {stage: Cost(SIZES[stage], SECONDS[stage], 1.0, 1.0, 1.0) for stage in Stage}
    return {
        stage: Cost(
            SIZES[stage],
            plan_bytes=PLANS[stage],
            weights_bytes=SIZES[stage],
            scratch_bytes=18_400_000,
            kernels=115,
        )
        for stage in Stage
    }


def cost(stage: Stage, placement: Placement, ratio: float, share: float) -> Cost:
    """What a candidate costs, as shares of fp32's."""
    before = baseline(placement)[stage]
    if placement is Placement.CPU:
        seconds = SECONDS[stage] * ratio
        return Cost(int(SIZES[stage] * share), seconds, ratio, ratio * 0.97, ratio * 1.04)
    return replace(
        before,
        graph_bytes=int(SIZES[stage] * share),
        plan_bytes=int(PLANS[stage] * share),
        kernels=119,
    )


def candidate(stage: Stage, plan: StagePlan, size: int) -> Candidate:
    """A stage's graph, wherever it lies."""
    record = StageRecord(FileRecord(f"onnx/{stage.value}.onnx", size, "0" * 64), graph(stage), size)
    return Candidate(stage, plan, Path(), record)


def trials(placement: Placement) -> tuple[Trial, ...]:
    """Groups of the vocoder one by one, range methods, a broken decoder, the final stages."""
    found = list[Trial]()

    def tried(
        stage: Stage, name: str, plan: StagePlan, numbers: tuple[float, float, float], why: str
    ) -> None:
        ratio, share, scale = numbers
        kept = why.startswith("kept")
        found.append(
            Trial(
                stage, name, plan, judgement(scale), cost(stage, placement, ratio, share), kept, why
            )
        )

    for number, name in enumerate(BLOCKS):
        plan = StagePlan(Precision.FP32, {name: SUMS})
        numbers = (0.93 - 0.08 * number, 0.9 - 0.05 * number, 0.12 + 0.11 * number)
        tried(Stage.VOCODER, f"vocoder/{name}", plan, numbers, "kept: inside the budget")
    for method, scale in zip(Method, (1.7, 1.0, 1.25, 1.12), strict=True):
        why = "kept: best of the ranges" if method is VOCODER.method else "another range is better"
        tried(Stage.VOCODER, "vocoder", replace(VOCODER, method=method), (0.46, 0.31, scale), why)
    tried(Stage.POSTNET, "postnet", POSTNET, (0.97, 0.42, 0.4), "kept: 2.8 MB smaller")
    decoder = StagePlan(Precision.FP32, {"attention": Treatment.W8})
    tried(
        Stage.DECODER_STEP,
        "decoder_step/attention",
        decoder,
        (1.06, 0.62, 0.2),
        "6 % slower: nothing on this processor multiplies int8 weights by floats faster",
    )
    everything = StagePlan(Precision.FP32, {"attention": Treatment.W8A8, "ffn": Treatment.W8A8})
    broken = judgement(12.0, "collapse: 3 of 8 sentences end early | <b>bold</b>")
    found.append(
        Trial(
            Stage.DECODER_STEP,
            "decoder_step",
            everything,
            broken,
            cost(Stage.DECODER_STEP, placement, 0.7, 0.3),
            False,
            "broken",
        )
    )
    half = StagePlan(Precision.FP16)
    found.append(
        Trial(Stage.PROSODY, "prosody", half, None, Cost(1_900_000), False, "not worth judging")
    )
    return tuple(found)


def outcome(placement: Placement = Placement.CPU, limits: Limits = LIMITS) -> Outcome:
    """Vocoder and postnet in int8."""
    plans: Mapping[Stage, StagePlan] = {
        stage: StagePlan(Precision.FP32 if placement is Placement.CPU else Precision.FP16)
        for stage in Stage
    } | {Stage.VOCODER: VOCODER, Stage.POSTNET: POSTNET}
    shares = {Stage.VOCODER: 0.31, Stage.POSTNET: 0.42}
    other = 1.0 if placement is Placement.CPU else 0.5
    timed = placement is Placement.CPU
    return Outcome(
        placement,
        Goal.SPEED,
        limits,
        Recipe("ab12" * 16, placement, plans, {"vocoder": "noise below -60 dB in the pauses"}),
        {s: candidate(s, p, int(SIZES[s] * shares.get(s, other))) for s, p in plans.items()},
        trials(placement),
        judgement(1.0),
        *((0.62, 0.60, 0.64) if timed else (None, None, None)),
        notes={"duration_step": "left alone: int8 changes 23 % of the durations"},
    )


def report(placements: tuple[Placement, ...] = tuple(Placement), seconds: float = 0.5) -> Report:
    """All of it."""
    return Report(
        voice="zhitian_emo",
        made="2026-03-01T12:34:56+00:00",
        machine=Machine(
            "AMD EPYC 7B13",
            2,
            "Linux-6.1-x86_64",
            "3.11.9",
            {"numpy": "2.4.6", "onnxruntime": "1.31.1"},
            "TensorRT for RTX 1.7.1.116",
            "",
            8_000_000_000,
        ),
        texts=Texts("mandarin.txt", 200, 8, (Skipped("☃☃", "no symbol of the voice"),)),
        outcomes=tuple(outcome(placement) for placement in placements),
        baseline={placement: baseline(placement) for placement in placements},
        phases={"record": 41.3, "ranges": 62.0, "search": 118.4, "judge": 35.2, "report": 3.1},
        peak_bytes=1_240_000_000,
        unmeasured={
            "speed on a card": "no graphics card here",
            "syllable errors": "no recogniser is installed",
            "fp16 rounding": "emulated: every operator's result is rounded to a half",
        },
        half=HalfVoice(
            Judgement(Figures(mel_mae=0.0015, mel_lsd_p99=0.35, duration_changes=0.0046), {}, ()),
            Limits(mel_mae=0.003, mel_lsd_p99=0.5, duration_changes=0.01),
            "ONNX Runtime, the result of every operator rounded to a half",
            34_960_000,
            69_780_000,
        ),
        examples=tuple(
            Example(placement, number, TEXTS[number], why, rendering(TEXTS[number], seconds))
            for placement in placements
            for number, why in ((2, "worst mcd"), (4, "typical"))
        ),
        method={"threads": "1 for timing, 2 for judging"},
    )
