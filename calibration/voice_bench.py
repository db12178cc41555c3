"""The bench of a real voice: the workshop's graphs, the judge's ears, the clock.

What is measured is kept in the work folder, so that an interrupted calibration goes on. May import
the runtime; no torch, no exporter.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sambert_trt.engines.graphs import Placement, Precision, Stage
from sambert_trt.engines.manifest import VoiceManifest

from .assessment import Candidate, Cost, Judgement
from .bench import Depth, WholeCost, is_plain
from .helpers import Helpers, Task
from .measurements import Measurements
from .recipe import Group, StagePlan
from .recipes import voice_digest
from .recording import Sample

if TYPE_CHECKING:
    from .costs import StageClock

__all__ = ["Judging", "Making", "Recorded", "VoiceBench"]

_PACKAGES = (
    "sambert-trt",
    "onnxruntime",
    "numpy",
    "tensorrt-rtx-cu13-libs",
    "pesq",
    "pystoi",
    "faster-whisper",
)
_BASES = (Precision.FP16, Precision.FP32)
_SAMPLES = 4
_FEW = 3
"""Sentences for a first impression."""
_QUICK_ROUNDS, _QUICK_SECONDS = 9, 0.8
_WHOLE_SECONDS = 14.0


_Candidates = Mapping[Stage, Candidate]


class Making(Protocol):
    """Writes candidates; a `Workshop`."""

    @property
    def placement(self) -> Placement: ...
    def groups(self, stage: Stage) -> tuple[Group, ...]: ...
    def candidate(self, stage: Stage, plan: StagePlan) -> Candidate: ...


class Judging(Protocol):
    """Compares candidates with fp32; a `Judge`."""

    def mel(self, candidates: _Candidates, *, first: int | None = None) -> Judgement: ...
    def wave(self, candidates: _Candidates, *, first: int | None = None) -> Judgement: ...
    def whole(self, candidates: _Candidates, *, first: int | None = None) -> Judgement: ...


class Recorded(Protocol):
    """What stages were given while texts were spoken; a `Recording`."""

    @property
    def seen(self) -> Mapping[Stage, int]: ...
    @property
    def texts(self) -> Mapping[int, str]: ...
    @property
    def skipped(self) -> Mapping[int, str]: ...
    def samples(self, stage: Stage) -> Iterable[Sample]: ...


class VoiceBench:
    """See `Bench`. Speed is measured for Placement.CPU, plans are weighed for TENSORRT.

    Args:
        directory: the voice.
        workshop: makes candidates.
        judge: hears the candidates.
        recording: what stages are timed with.
        sentences: what the whole voice is timed with.
        work: the folder of measurements.
        judged_by: everything that decides what the judges hear: texts, styles, recogniser.
        timed_by: everything that decides how long things take: machine, recorded texts.
        helpers: make candidates ahead; they end with the bench.
        symbols: whether `sentences` are symbol lines.
        threads: of the whole voice; stages are timed on one.
    """

    def __init__(
        self,
        directory: Path,
        manifest: VoiceManifest,
        workshop: Making,
        judge: Judging,
        recording: Recorded,
        sentences: Sequence[str],
        work: Path,
        *,
        judged_by: Iterable[object] = (),
        timed_by: Iterable[object] = (),
        helpers: Helpers | None = None,
        symbols: bool = False,
        threads: int = 1,
    ) -> None:
        self._directory, self._manifest, self._workshop = directory, manifest, workshop
        self._judge = judge
        self._recording, self._sentences = recording, tuple(sentences)
        self._symbols, self._threads = symbols, threads
        self._measured = Measurements(work / f"measurements.{workshop.placement.value}.jsonl")
        self._timed = workshop.placement is Placement.CPU
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sambert-plans")
        self._building = dict[str, Future[Cost]]()
        parts = (voice_digest(manifest), manifest.styles.sha256, *judged_by, *_versions())
        self._context = _digest(str(part) for part in parts)
        self._timing = _digest(str(part) for part in timed_by)
        self._helpers = helpers
        self._clocked: tuple[Stage, StageClock] | None = None

    @property
    def voice(self) -> str:
        """See `Bench`."""
        return voice_digest(self._manifest)

    def stages(self) -> tuple[Stage, ...]:
        """See `Bench`."""
        return tuple(stage for stage in Stage if stage in self._manifest.stages)

    def groups(self, stage: Stage) -> tuple[Group, ...]:
        """See `Bench`."""
        return self._workshop.groups(stage)

    def prepare(self, tasks: Iterable[Task]) -> None:
        """See `Bench`."""
        if self._helpers is not None:
            self._helpers.prepare(tasks)

    def candidate(self, stage: Stage, plan: StagePlan) -> Candidate:
        """See `Bench`."""
        self._await(stage)
        return self._workshop.candidate(stage, plan)

    def judge(
        self, candidates: Mapping[Stage, Candidate], depth: Depth, *, quick: bool = False
    ) -> Judgement:
        """See `Bench`."""
        judge, first = self._judge, _FEW if quick else None
        hear = {Depth.MEL: judge.mel, Depth.WAVE: judge.wave, Depth.WHOLE: judge.whole}[depth]
        changed = {s: c for s, c in candidates.items() if not is_plain(c.plan)}
        key = self._key("judge", depth.value, "few" if quick else "all", changed)
        return self._measured.judgement(key, lambda: hear(changed, first=first))

    def cost(self, candidate: Candidate, *, quick: bool = False) -> Cost:
        """See `Bench`."""
        kind = "quick" if quick and not is_plain(candidate.plan) else "full"
        key = self._cost_key(candidate, kind)
        return self._measured.cost(key, lambda: self._cost(candidate, quick))

    def sentence_seconds(self, stage: Stage) -> float:
        """See `Bench`; 1 where speed is not measured."""
        if not self._timed:
            return 1.0
        plain = self.candidate(stage, StagePlan(Precision.FP32))
        key = self._key("seconds", self._timing, "", {stage: plain})
        return self._measured.seconds(key, lambda: self._sentence_seconds(plain))

    def whole_cost(self, candidates: Mapping[Stage, Candidate]) -> WholeCost | None:
        """See `Bench`."""
        changed = {s: c for s, c in candidates.items() if not is_plain(c.plan)}
        if not self._timed:
            return None
        if not changed:
            return WholeCost(1.0, 1.0, 1.0)
        how = f"{self._timing} {self._threads}"
        key = self._key("whole", how, _digest(self._sentences), changed)
        return self._measured.whole_cost(key, lambda: self._whole_cost(changed))

    def begin(self) -> None:
        """Lets the plans of all stages in fp16 and fp32 be built while other things are done."""
        if self._timed:
            return
        for stage, base in itertools.product(self.stages(), _BASES):
            candidate = self.candidate(stage, StagePlan(base))
            if not self._measured.knows(self._cost_key(candidate, "full")):
                digest = candidate.record.file.sha256
                self._building[digest] = self._pool.submit(self._plan_cost, candidate, False)

    def close(self) -> None:
        """Waits for a plan that is being built; forgets those that are to come."""
        if self._helpers is not None:
            self._helpers.close()
        self._pool.shutdown(cancel_futures=True)
        self._put_away()

    def _await(self, *stages: Stage) -> None:
        if self._helpers is not None:
            self._helpers.wait(*stages)

    def _cost_key(self, candidate: Candidate, kind: str) -> str:
        timing = self._timing if self._timed else "plans"
        return self._key("cost", kind, timing, {candidate.stage: candidate})

    def _plan_cost(self, candidate: Candidate, quick: bool) -> Cost:
        from .costs import stage_cost

        reference = self._directory, self._manifest.stages[candidate.stage]
        return stage_cost(candidate, reference, (), plans=not quick)

    def _cost(self, candidate: Candidate, quick: bool) -> Cost:
        if not self._timed:
            building = None if quick else self._building.get(candidate.record.file.sha256)
            return building.result() if building else self._plan_cost(candidate, quick)
        clock = self._clock(candidate.stage)
        self._await()  # the clock wants a quiet machine
        if not quick and not is_plain(candidate.plan):
            return clock.cost(candidate)
        cost = clock.cost(candidate, rounds=_QUICK_ROUNDS, seconds=_QUICK_SECONDS)
        plain = is_plain(candidate.plan)
        return replace(cost, ratio=1.0, low=1.0, high=1.0) if plain else cost

    def _clock(self, stage: Stage) -> StageClock:
        """The clock of a stage; that of another one is put away."""
        from .costs import StageClock

        if self._clocked is None or self._clocked[0] is not stage:
            self._put_away()
            reference = self._directory, self._manifest.stages[stage]
            self._clocked = stage, StageClock(reference, self._recording.samples(stage))
        return self._clocked[1]

    def _put_away(self) -> None:
        clocked, self._clocked = self._clocked, None
        if clocked is not None:
            clocked[1].close()

    def _sentence_seconds(self, plain: Candidate) -> float:
        """Seconds of a few recorded runs or sequences, times how many a sentence has."""
        from sambert_trt.runtime.onnx_backend import OnnxBackend

        from .replay import replayed

        self._await()
        stage = plain.stage
        chosen = list(itertools.islice(self._recording.samples(stage), _SAMPLES))
        spoken = len(self._recording.texts) - len(self._recording.skipped)
        if not chosen or not spoken:
            return 0.0
        with (
            closing(OnnxBackend()) as backend,
            closing(backend.open(plain.directory, plain.record)) as session,
        ):
            replayed(session, chosen[0])
            started = time.thread_time()
            for sample in chosen:
                replayed(session, sample)
            seconds = time.thread_time() - started
        return seconds / len(chosen) * self._recording.seen[stage] / spoken

    def _whole_cost(self, candidates: Mapping[Stage, Candidate]) -> WholeCost:
        from .costs import voice_cost

        self._await()
        found = voice_cost(
            self._directory,
            candidates,
            self._sentences,
            symbols=self._symbols,
            threads=self._threads,
            seconds=_WHOLE_SECONDS,
        )
        return WholeCost(found.ratio, found.low, found.high)

    def _key(self, what: str, how: str, more: str, candidates: Mapping[Stage, Candidate]) -> str:
        files = (f"{stage.value}={candidates[stage].record.file.sha256}" for stage in candidates)
        return " ".join((what, how, more, self._context, *sorted(files)))


def _versions() -> tuple[str, ...]:
    """What measures: package versions, and this package's own sources."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return (
        *map(_version, _PACKAGES),
        _digest(path.read_text(encoding="utf-8") for path in sources),
    )


def _version(name: str) -> str:
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{name} absent"


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
