"""Section `onnx_cuda`: ONNX Runtime's CUDA provider, which also runs on data-centre cards."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np

from sambert_trt.engines.errors import BackendError
from sambert_trt.runtime import Voice, backend_from_name
from sambert_trt.runtime.voice import open_voice

from .card import Card
from .parity import speech_gap
from .peaks import Watch, watched
from .results import NotRunError, Result, middle, quantile
from .speed import TEN_SECONDS, first_audio, ten_seconds
from .tolerances import TF32
from .words import Words

__all__ = ["try_onnx_cuda"]


def try_onnx_cuda(card: Card, result: Result) -> None:
    """Speaks with the CUDA provider: the same speech, how fast, and what it takes of the card."""
    words, before = Words(card.manifest), card.free()
    sentence = words.sentence()
    try:
        made = card.onnx_cuda()
    except BackendError as error:
        raise NotRunError(str(error)) from error
    expected = _expected(card, sentence)
    with (
        closing(made) as backend,
        watched(card) as watch,
        open_voice(card.voice, backend=backend, threads=card.threads) as voice,
    ):
        trace: dict[str, Any] = {}
        samples = voice.say(symbols=sentence, trace=trace).samples
        _compare(result, trace, expected)
        finite = int(np.isfinite(samples).sum())
        result.check(
            "every sample is a number", 0 < finite == len(samples), f"{finite} of {len(samples)}"
        )
        _time(card, result, voice, words)
    _tell_memory(card, result, watch, before)


def _expected(card: Card, sentence: str) -> dict[str, Any]:
    trace: dict[str, Any] = {}
    with (
        closing(backend_from_name("cpu")) as processor,
        open_voice(card.voice, backend=processor, threads=card.threads) as voice,
    ):
        voice.say(symbols=sentence, trace=trace)
    return trace


def _compare(result: Result, found: dict[str, Any], expected: dict[str, Any]) -> None:
    ours, theirs = found["0/durations"], expected["0/durations"]
    same = ours.shape == theirs.shape
    gaps = np.abs(ours.astype(np.int64) - theirs) if same else np.array([np.iinfo(np.int64).max])
    different, most = int((gaps > 0).sum()), int(gaps.max(initial=0))
    result.check(
        "durations are the processor's, or a frame from it",
        same and most <= 1 and different <= max(1, len(gaps) // 20),
        f"{different} of {len(gaps)} differ, by {most} frames at most",
    )
    if different:
        result.notes.append("durations differ, so the mel cannot be compared frame by frame")
        return
    gap = speech_gap(found["0/mel_final"], expected["0/mel_final"])
    result.check(
        "the mel is the processor's",
        TF32.admits(gap.relative, gap.decibels),
        f"differs by {gap.most:.2g}, {gap.decibels:.0f} dB; allowed: {TF32} ({TF32.reason})",
    )


def _time(card: Card, result: Result, voice: Voice, words: Words) -> None:
    first, ten = list[float](), list[float]()
    for turn in range(card.counts.rounds + 1):
        both = first_audio(voice, words.phrase()), ten_seconds(voice, words.passage(4))
        if turn:
            first.append(both[0])
            ten.append(both[1])
    result.numbers |= {
        "first_audio_ms": middle(first),
        "first_audio_p95_ms": quantile(first, 0.95),
        "ten_seconds_ms": middle(ten),
        "ten_seconds_p95_ms": quantile(ten, 0.95),
        "real_time_factor": middle(ten) / 1e3 / TEN_SECONDS,
    }


def _tell_memory(card: Card, result: Result, watch: Watch, before: int) -> None:
    """ONNX Runtime works in the primary context, which stays with the process."""
    kept = before - card.settled(before)
    result.numbers |= {"peak_mb": watch.peak / 1e6, "kept_after_close_mb": kept / 1e6}
    if watch.process is not None:
        result.numbers["process_peak_mb"] = watch.process / 1e6
    result.notes.append(
        "the CUDA context, cuBLAS and cuDNN stay with the process after the voice is closed"
    )
