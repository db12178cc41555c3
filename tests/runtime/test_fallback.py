"""A full card: smaller chunks and the processor, in the order asked for, and nothing unasked."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import voices
from fake_cuda import FakeCard, FakeDriver
from fake_gpu import MIB, fake_backend, fill_store
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sambert_trt.engines.errors import (
    BackendError,
    DeviceLostError,
    DeviceMemoryError,
    InputError,
    SambertError,
)
from sambert_trt.engines.graphs import AxisRange, GraphSpec, Placement, Precision, Stage
from sambert_trt.engines.manifest import StageRecord, VoiceManifest
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.backend import Array, Backend, Session, StepRun
from sambert_trt.runtime.budget import Isolation, MemoryBudget, ResidencyMode
from sambert_trt.runtime.fallback import CHUNKED, FallbackBackend, Remedy, remedies_from_text
from sambert_trt.runtime.gpu import GpuOptions
from sambert_trt.runtime.memory import MemoryReport
from sambert_trt.runtime.onnx_backend import OnnxBackend, OnnxSteps
from sambert_trt.runtime.stream import ChunkPolicy
from sambert_trt.runtime.trt_backend import TrtBackend
from sambert_trt.runtime.voice import open_voice

pytestmark = pytest.mark.filterwarnings("error")

Directory = Callable[[str], Path]
SMALLER, CPU = Remedy.SMALLER_CHUNK, Remedy.CPU
OUT_OF_MEMORY = "CUDA_ERROR_OUT_OF_MEMORY"
SMALL_CHUNKS = ChunkPolicy(first=6, growth=1.5, most=40)
LEAST_WORTH_CUTTING = 16


class Narrow:
    """A session on a device that has room for so many rows at once."""

    def __init__(self, session: Session, most: int) -> None:
        self._session, self._most = session, most
        self.taken: list[int] = []

    @property
    def graph(self) -> GraphSpec:
        return self._session.graph

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        rows = next(iter(inputs.values())).shape[1]
        self.taken.append(rows)
        if rows > self._most:
            raise DeviceMemoryError(f"no room for {rows} rows")
        return self._session.run(inputs)

    def steps(self, sizes: Mapping[str, int]) -> StepRun:
        return self._session.steps(sizes)

    def close(self) -> None:
        self._session.close()


class NarrowBackend:
    """ONNX Runtime with room for so many rows of some stages."""

    def __init__(self, most: Mapping[Stage, int]) -> None:
        self._inner, self._most = OnnxBackend(), most
        self.sessions: dict[Stage, Narrow] = {}
        self.closed = False

    @property
    def placement(self) -> Placement:
        return self._inner.placement

    def preferred(self, directory: Path, manifest: VoiceManifest) -> Precision:
        return Precision.FP32

    def open(self, directory: Path, record: StageRecord) -> Session:
        stage = record.graph.stage
        session = Narrow(self._inner.open(directory, record), self._most.get(stage, 1 << 30))
        self.sessions[stage] = session
        return session

    def memory_report(self) -> MemoryReport:
        return self._inner.memory_report()

    def close(self) -> None:
        self.closed = True


def noise(graph: GraphSpec, size: int, seed: int = 0) -> dict[str, Array]:
    """Inputs whose only dynamic axis has that size."""
    rng = np.random.default_rng(seed)
    fixed = replace(graph, axes={name: AxisRange(*[size] * 3) for name in graph.axes})
    return {
        tensor.name: rng.standard_normal([fixed.extent(entry).most for entry in tensor.shape])
        .astype(np.float32)
        for tensor in graph.inputs
    }  # fmt: skip


def opened(
    directory: Path, stage: Stage, most: int, remedies: Sequence[Remedy]
) -> tuple[FallbackBackend, Session, Narrow]:
    """A stage behind remedies, and the device it does not fit."""
    narrow = NarrowBackend({stage: most})
    backend = FallbackBackend(narrow, remedies, OnnxBackend() if CPU in remedies else None)
    session = backend.open(directory, manifest_from_directory(directory).stages[stage])
    return backend, session, narrow.sessions[stage]


# what is asked for


def test_remedies_by_name() -> None:
    assert remedies_from_text("smaller-chunk,cpu") == (SMALLER, CPU)
    assert remedies_from_text(" cpu , smaller-chunk ") == (CPU, SMALLER)
    assert remedies_from_text("cpu") == (CPU,)


@pytest.mark.parametrize("text", ["", ",", "cpu,", "gpu", "cpu,cpu", "cpu smaller-chunk", "CPU"])
def test_remedies_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="needs one or both of smaller-chunk, cpu"):
        remedies_from_text(text)


# smaller chunks


@pytest.mark.parametrize("variant", ["plain", "nsf", "five", "odd"])
@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 130), extra=st.integers(-20, 60), seed=st.integers(0, 9))
def test_a_vocoder_run_in_parts_is_the_whole_run(
    tiny_voice: Directory, variant: str, rows: int, extra: int, seed: int
) -> None:
    """A whole sentence, its true start and end included: each part sees its context, no more."""
    directory = tiny_voice(variant)
    whole, narrow = vocoders(directory)
    context = sum(whole.graph.context)
    narrow._most = max(context + LEAST_WORTH_CUTTING + extra, 1)
    narrow.taken.clear()
    session = FallbackBackend(Handed(narrow), [SMALLER]).open(directory, record_of(directory))
    inputs = noise(whole.graph, rows, seed)
    try:
        wave = session.run(inputs)["wave"]
    except DeviceMemoryError:
        assert rows > narrow._most < context + LEAST_WORTH_CUTTING
        return
    expected = whole.run(inputs)["wave"]
    assert wave.shape == expected.shape
    assert np.abs(wave - expected).max() < 1e-6
    assert (len(narrow.taken) > 1) == (rows > narrow._most)
    assert sum(1 for n in narrow.taken if n > narrow._most) < len(narrow.taken)


VOCODERS: dict[Path, tuple[Session, Narrow]] = {}


def vocoders(directory: Path) -> tuple[Session, Narrow]:
    """A voice's vocoder, with and without a limit, opened once."""
    if directory not in VOCODERS:
        whole = OnnxBackend().open(directory, record_of(directory))
        VOCODERS[directory] = whole, Narrow(whole, 0)
    return VOCODERS[directory]


def record_of(directory: Path, stage: Stage = Stage.VOCODER) -> StageRecord:
    return manifest_from_directory(directory).stages[stage]


class Handed(NarrowBackend):
    """Gives the session it was made with."""

    def __init__(self, session: Narrow) -> None:
        self._session = session

    def open(self, directory: Path, record: StageRecord) -> Session:
        return self._session


def test_a_context_longer_than_half_the_run(tiny_voice: Directory) -> None:
    """Where the cut is halfway, the second part would be the whole again, without end."""
    directory = tiny_voice("five")
    before, after = record_of(directory).graph.context
    assert (before, after) == (23, 0)
    rows = before + LEAST_WORTH_CUTTING
    _, session, narrow = opened(directory, Stage.VOCODER, rows - 1, [SMALLER])
    session.run(noise(session.graph, rows))
    assert narrow.taken == [rows, 31, 31]


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 150), most=st.integers(LEAST_WORTH_CUTTING - 1, 80))
def test_keys_and_values_in_parts_are_the_same(tiny_voice: Directory, rows: int, most: int) -> None:
    directory = tiny_voice("plain")
    _, session, narrow = opened(directory, Stage.MEMORY_KV, most, [SMALLER])
    inputs = noise(session.graph, rows)
    found = session.run(inputs)["memory_kv"]
    expected = narrow._session.run(inputs)["memory_kv"]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-6


@pytest.mark.parametrize("variant", ["plain", "nsf"])
def test_speech_in_smaller_chunks_is_the_same(
    tiny_voice: Directory, variant: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Windows from the middle of a sentence have context on both sides already."""
    directory = tiny_voice(variant)
    line = line_of(directory, 150)
    narrow = NarrowBackend({Stage.VOCODER: 34, Stage.MEMORY_KV: 30})
    backend = FallbackBackend(narrow, [SMALLER])
    assert_same(spoken(directory, backend, line), spoken(directory, None, line))
    taken = narrow.sessions[Stage.VOCODER].taken
    assert sum(1 for rows in taken if rows > 34) > 2
    uses = backend.memory_report().counters["smaller-chunk"]
    assert [r.levelname for r in caplog.records] == ["WARNING"] * uses
    said = {record.getMessage().partition(":")[0] for record in caplog.records}
    assert uses > 2
    assert said == {"vocoder goes on in smaller chunks", "memory_kv goes on in smaller chunks"}


def test_one_use_is_said_once(tiny_voice: Directory, caplog: pytest.LogCaptureFixture) -> None:
    """However many parts it takes."""
    backend, session, narrow = opened(tiny_voice("plain"), Stage.VOCODER, 30, [SMALLER])
    session.run(noise(session.graph, 300))
    assert len(narrow.taken) > 10
    (record,) = caplog.records
    assert record.getMessage() == "vocoder goes on in smaller chunks: no room for 300 rows"
    assert backend.memory_report().counters == {"smaller-chunk": 1}


# what cannot be cut, and the order


def test_a_stage_that_cannot_be_cut(
    tiny_voice: Directory, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tiny_voice("plain")
    assert set(CHUNKED) == {Stage.VOCODER, Stage.MEMORY_KV}
    backend, session, narrow = opened(directory, Stage.TEXT_ENCODER, 2, [SMALLER])
    ids = {"ids": np.ones((1, 3, 4), np.int64)}
    with pytest.raises(DeviceMemoryError, match="no room for 3 rows"):
        session.run(ids)
    assert narrow.taken == [3]
    assert not caplog.records
    backend, session, narrow = opened(directory, Stage.TEXT_ENCODER, 2, [SMALLER, CPU])
    found, expected = session.run(ids), narrow._session.run(ids)
    assert np.array_equal(found["text_hid"], expected["text_hid"])
    assert backend.memory_report().counters == {"cpu": 1}


@pytest.mark.parametrize(
    ("remedies", "most", "counted", "parts"),
    [
        ([SMALLER, CPU], 40, {"smaller-chunk": 1}, True),
        ([CPU, SMALLER], 40, {"cpu": 1}, False),
        ([SMALLER, CPU], 5, {"smaller-chunk": 1, "cpu": 1}, True),
        ([CPU], 5, {"cpu": 1}, False),
    ],
)
def test_remedies_are_tried_in_their_order(
    tiny_voice: Directory,
    remedies: list[Remedy],
    most: int,
    counted: dict[str, int],
    parts: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend, session, narrow = opened(tiny_voice("nsf"), Stage.VOCODER, most, remedies)
    inputs = noise(session.graph, 90)
    wave = session.run(inputs)["wave"]
    assert np.abs(wave - narrow._session.run(inputs)["wave"]).max() < 1e-6
    assert backend.memory_report().counters == counted
    assert (len(narrow.taken) > 1) == parts
    names = {"smaller-chunk": "in smaller chunks", "cpu": "on the processor"}
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(counted)
    assert all(names[name] in text for name, text in zip(counted, said, strict=True))


def test_a_processor_without_room_is_no_end(tiny_voice: Directory) -> None:
    directory = tiny_voice("plain")
    full = NarrowBackend({Stage.VOCODER: 0})
    backend = FallbackBackend(NarrowBackend({Stage.VOCODER: 50}), [CPU, SMALLER], full)
    session = backend.open(directory, record_of(directory))
    assert session.run(noise(session.graph, 60))["wave"].shape == (1, 60 * 40)
    assert backend.memory_report().counters == {"cpu": 1, "smaller-chunk": 1}


def test_without_remedies_the_error_comes_through(
    tiny_voice: Directory, caplog: pytest.LogCaptureFixture
) -> None:
    backend, session, narrow = opened(tiny_voice("plain"), Stage.VOCODER, 5, [])
    with pytest.raises(DeviceMemoryError, match="no room for 90 rows"):
        session.run(noise(session.graph, 90))
    assert narrow.taken == [90]
    assert not caplog.records
    assert backend.memory_report().counters == {}


class Full(NarrowBackend):
    """Has no room for anything."""

    def open(self, directory: Path, record: StageRecord) -> Session:
        raise DeviceMemoryError(f"no room for {record.graph.stage.value}")


def test_a_processor_that_is_no_remedy_is_left_alone(tiny_voice: Directory) -> None:
    directory = tiny_voice("plain")
    backend = FallbackBackend(Full({}), [SMALLER], OnnxBackend())
    with pytest.raises(DeviceMemoryError, match="no room for vocoder"):
        backend.open(directory, record_of(directory))
    backend = FallbackBackend(Full({}), [CPU], OnnxBackend())
    assert backend.open(directory, record_of(directory)).graph.precision is Precision.FP32


def test_other_errors_are_no_reason_for_a_remedy(tiny_voice: Directory) -> None:
    _, session, narrow = opened(tiny_voice("plain"), Stage.VOCODER, 500, [SMALLER, CPU])
    with pytest.raises(BackendError, match="failed in the vocoder graph"):
        session.run({"mel": np.ones((1, 30, 3), np.float32)})
    assert narrow.taken == [30]


def test_closing_closes_both(tiny_voice: Directory) -> None:
    directory = tiny_voice("plain")
    narrow, processor = NarrowBackend({Stage.TEXT_ENCODER: 0}), NarrowBackend({})
    backend = FallbackBackend(narrow, [CPU], processor)
    session = backend.open(directory, record_of(directory, Stage.TEXT_ENCODER))
    ids = {"ids": np.ones((1, 3, 4), np.int64)}
    session.run(ids)
    session.close()
    for one in (narrow, processor):
        with pytest.raises(BackendError, match="was used after it was closed"):
            one.sessions[Stage.TEXT_ENCODER]._session.run(ids)
    backend.close()
    assert narrow.closed
    assert processor.closed


# a card that fills up


@pytest.fixture(scope="module")
def with_plans(tiny_voice: Directory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the plain tiny voice with a fake plan for every stage."""
    pytest.importorskip("filelock", reason="storing plans needs filelock")
    directory = tmp_path_factory.mktemp("full") / "plain"
    shutil.copytree(tiny_voice("plain"), directory)
    fill_store(directory)
    return directory


@pytest.fixture
def options(tmp_path: Path) -> GpuOptions:
    """The usual options, compiled kernels in a folder of the test's."""
    return GpuOptions(kernels=tmp_path / "kernels", prefetch=False)


def on_card(
    options: GpuOptions,
    remedies: Sequence[Remedy] = (CPU,),
    card: FakeCard | None = None,
    *,
    captures: bool = True,
) -> tuple[FallbackBackend, FakeDriver]:
    backend, driver = fake_backend(options, card, captures=captures)
    return FallbackBackend(backend, remedies, OnnxBackend() if CPU in remedies else None), driver


def line_of(directory: Path, count: int, seed: int = 0) -> str:
    return voices.symbol_line(manifest_from_directory(directory).units, count, seed)


def spoken(directory: Path, backend: Backend | None, line: str) -> NDArray[np.float32]:
    with open_voice(directory, backend=backend, threads=1) as voice:
        return voice.say(symbols=line, policy=SMALL_CHUNKS).samples


def assert_same(
    ours: NDArray[np.float32], theirs: NDArray[np.float32], tolerance: float = 1e-5
) -> None:
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < tolerance


def test_a_card_too_small_for_any_engine(
    with_plans: Path, options: GpuOptions, caplog: pytest.LogCaptureFixture
) -> None:
    """At opening: the stages that do not fit the budget are the processor's from the start."""
    budget = MemoryBudget(total=210 * MIB, reserve=1 * MIB)
    backend, driver = on_card(replace(options, budget=budget))
    line = line_of(with_plans, 5)
    assert_same(spoken(with_plans, backend, line), spoken(with_plans, None, line))
    assert backend.memory_report().counters["cpu"] == len(Stage)
    said = [record.getMessage() for record in caplog.records]
    assert sorted(text.partition(" ")[0] for text in said) == sorted(s.value for s in Stage)
    assert "memory_alloc" not in driver.names()
    backend.close()
    driver.assert_clean()


def test_a_card_that_others_filled(
    with_plans: Path, options: GpuOptions, caplog: pytest.LogCaptureFixture
) -> None:
    """At the first lease: each stage goes on the processor when a sentence reaches it."""
    card = FakeCard()
    backend, driver = on_card(options, card=card)
    line = line_of(with_plans, 5)
    with open_voice(with_plans, backend=backend, threads=1) as voice:
        card.others = card.total - 10 * MIB
        first = voice.say(symbols=line, policy=SMALL_CHUNKS).samples
        uses = backend.memory_report().counters["cpu"]
        assert uses >= len(Stage)
        assert len([r for r in caplog.records if r.levelname == "WARNING"]) == uses
        card.others = 0
        second = voice.say(symbols=line, policy=SMALL_CHUNKS).samples
        assert backend.memory_report().counters["cpu"] == uses
        assert backend.memory_report().counters["opened"] == len(Stage)
    for samples in (first, second):
        assert_same(samples, spoken(with_plans, None, line))
    backend.close()
    driver.assert_clean()


@pytest.mark.parametrize("mode", [ResidencyMode.MINIMAL, ResidencyMode.ON_DEMAND])
def test_a_card_that_fills_up_in_the_middle_of_a_sentence(
    with_plans: Path, options: GpuOptions, mode: ResidencyMode
) -> None:
    """Decoder and postnet go on from their state, which the card gives back as engines leave."""
    card = FakeCard()
    backend, driver = on_card(replace(options, mode=mode), card=card)
    line = line_of(with_plans, 40)
    with open_voice(with_plans, backend=backend, threads=1) as voice:
        stream = voice.stream(symbols=line, policy=SMALL_CHUNKS)
        pieces = [next(stream).samples]
        assert "cpu" not in backend.memory_report().counters
        trt = backend.primary
        assert isinstance(trt, TrtBackend)
        trt._manager.evict_idle()
        card.others = card.total
        pieces += [chunk.samples for chunk in stream]
    assert len(pieces) > 3
    assert backend.memory_report().counters["cpu"] >= 3
    assert_same(np.concatenate(pieces), spoken(with_plans, None, line))
    backend.close()
    driver.assert_clean()


@pytest.mark.parametrize("isolation", list(Isolation))
@pytest.mark.parametrize("call", ["memory_alloc", "pinned_alloc", "context_create"])
def test_an_allocation_that_fails_anywhere(
    with_plans: Path, options: GpuOptions, isolation: Isolation, call: str
) -> None:
    """Whether an engine opens, its scratch grows or a plan loads: the same speech, no leak."""
    line = line_of(with_plans, 12)
    expected = spoken(with_plans, None, line)
    chosen = replace(options, isolation=isolation, mode=ResidencyMode.MINIMAL)
    backend, driver = on_card(chosen)
    begun = driver.names().count(call)
    assert_same(spoken(with_plans, backend, line), expected)
    total = driver.names().count(call) - begun
    backend.close()
    helped = 0
    rng = np.random.default_rng(0)
    numbers = {1, 2, total, *rng.integers(1, total + 1, 6)} if total else set()
    for n in sorted(numbers):
        backend, driver = on_card(chosen)
        driver.fail_at(int(n), OUT_OF_MEMORY, call)
        assert_same(spoken(with_plans, backend, line), expected)
        helped += backend.memory_report().counters.get("cpu", 0)
        backend.close()
        driver.assert_clean()
    assert helped or not numbers


# sequences on a card


class Decoder:
    """The decoder's steps behind remedies on a fake card, and the same on the processor."""

    def __init__(self, directory: Path, backend: FallbackBackend, precision: Precision) -> None:
        record = manifest_from_directory(directory).record(Stage.DECODER_STEP, precision)
        self.window, self.session = 5, backend.open(directory, record)
        plain = OnnxBackend().open(directory, record_of(directory, Stage.DECODER_STEP))
        self.graph = plain.graph
        self.sequences = [one.steps({"window": self.window}) for one in (self.session, plain)]
        self._rng = np.random.default_rng(0)
        for sequence in self.sequences:
            sequence.extend(np.zeros((0, self._width), np.float32))
        self.extend(self.window - 1)

    @property
    def _width(self) -> int:
        return int(self.graph.input("memory_kv").shape[1])

    def extend(self, rows: int) -> None:
        """More keys and values for both."""
        values = self._rng.standard_normal((rows, self._width), np.float32)
        for sequence in self.sequences:
            sequence.extend(values)

    def gap(self, count: int) -> float:
        """How far both are apart over the next steps."""
        self.extend(count)
        memory = self.graph.input("memory").shape
        inputs = {
            "memory": self._rng.standard_normal((count, *memory), np.float32),
            "mask": np.zeros((count, 2, self.window), np.float32),
        }
        ours, theirs = (sequence.advance(inputs)["frames"] for sequence in self.sequences)
        assert ours.shape == theirs.shape == (count, *self.graph.outputs[0].shape)
        return float(np.abs(ours - theirs).max())


@pytest.mark.parametrize("before", [0, 1, 3, 40])
def test_a_sequence_goes_on_from_its_state(
    with_plans: Path, options: GpuOptions, before: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The engine was closed for others, who have filled the card when it is wanted again."""
    card = FakeCard()
    backend, driver = on_card(options, card=card)
    decoder = Decoder(with_plans, backend, Precision.FP32)
    if before:
        assert decoder.gap(before) < 1e-6
    trt = backend.primary
    assert isinstance(trt, TrtBackend)
    trt._manager.evict_idle()
    card.others = card.total
    assert decoder.gap(7) < 1e-6
    card.others = 0
    assert decoder.gap(3) < 1e-6
    assert backend.memory_report().counters["cpu"] == 1
    (record,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert record.getMessage().startswith("decoder_step goes on on the processor: ")
    assert driver.used_by_us() == 0
    decoder.session.close()
    backend.close()
    driver.assert_clean()


def test_scratch_that_cannot_grow_leaves_the_state(with_plans: Path, options: GpuOptions) -> None:
    """The engine closes to make room, which brings its state home, and does not open again."""
    card = FakeCard()
    backend, driver = on_card(options, card=card)
    manifest = manifest_from_directory(with_plans)
    session = backend.open(with_plans, manifest.stages[Stage.POSTNET])
    plain = OnnxBackend().open(with_plans, manifest.stages[Stage.POSTNET])
    sequences = [session.steps({}), plain.steps({})]
    gaps = []
    for number, frames in enumerate((6, 9, 20, 4)):
        inputs = {
            name: array[None]
            for name, array in noise(plain.graph, frames, number).items()
            if name in ("frames", "mask")
        }
        card.others = card.total if frames == 20 else 0
        mels = [sequence.advance(inputs)["mel"] for sequence in sequences]
        gaps.append(float(np.abs(mels[0] - mels[1]).max()))
    assert max(gaps) < 1e-6
    assert backend.memory_report().counters["cpu"] == 1
    session.close()
    backend.close()
    driver.assert_clean()


@pytest.mark.parametrize("remedies", [[CPU], [SMALLER, CPU]])
def test_steps_are_never_taken_twice(
    with_plans: Path, options: GpuOptions, remedies: list[Remedy], caplog: pytest.LogCaptureFixture
) -> None:
    """The third step of four has no room: two were taken, and what they made is lost."""
    backend, driver = on_card(options, remedies, captures=False)
    decoder = Decoder(with_plans, backend, Precision.FP32)
    assert decoder.gap(2) < 1e-6
    driver.fail_at(3, OUT_OF_MEMORY, "execute_async_v3")
    with pytest.raises(SambertError, match="card is full"):
        decoder.gap(4)
    for _ in range(2):
        with pytest.raises(SambertError, match="cannot go on"):
            decoder.gap(1)
    assert "cpu" not in backend.memory_report().counters
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    decoder.session.close()
    backend.close()
    driver.assert_clean()


def test_a_sequence_without_remedies(with_plans: Path, options: GpuOptions) -> None:
    """The error comes through; when there is room again, it goes on."""
    card = FakeCard()
    backend, driver = on_card(options, [SMALLER], card)
    decoder = Decoder(with_plans, backend, Precision.FP32)
    assert decoder.gap(3) < 1e-6
    trt = backend.primary
    assert isinstance(trt, TrtBackend)
    trt._manager.evict_idle()
    card.others = card.total
    with pytest.raises(DeviceMemoryError):
        decoder.sequences[0].advance(
            {
                "memory": np.zeros((1, *decoder.graph.input("memory").shape), np.float32),
                "mask": np.zeros((1, 2, decoder.window), np.float32),
            }
        )
    card.others = 0
    assert decoder.gap(5) < 1e-6
    decoder.session.close()
    backend.close()
    driver.assert_clean()


def test_a_sequence_moves_once(tiny_voice: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the processor has no room either, its error comes through."""
    directory = tiny_voice("plain")
    record = record_of(directory, Stage.DURATION_STEP)
    backend = FallbackBackend(NarrowBackend({}), [CPU], OnnxBackend())
    session = backend.open(directory, record)

    def full(*_: object) -> None:
        raise DeviceMemoryError("no room for steps")

    condition = np.ones((1, *session.graph.input("condition").shape), np.float32)
    with closing(session.steps({})) as steps:
        steps.advance({"condition": condition})
        monkeypatch.setattr(OnnxSteps, "advance", full)
        for _ in range(2):
            with pytest.raises(DeviceMemoryError, match="no room for steps"):
                steps.advance({"condition": condition})
    assert backend.memory_report().counters == {"cpu": 1}


def test_a_lost_card_is_no_full_one(with_plans: Path, options: GpuOptions) -> None:
    """After a sticky error nothing is retried anywhere: the state is gone."""
    backend, driver = on_card(options, [SMALLER, CPU])
    decoder = Decoder(with_plans, backend, Precision.FP32)
    assert decoder.gap(2) < 1e-6
    driver.fail_at(1, "CUDA_ERROR_ILLEGAL_ADDRESS", "stream_synchronize")
    for _ in range(2):
        with pytest.raises(DeviceLostError, match="restart"):
            decoder.gap(1)
    assert "cpu" not in backend.memory_report().counters


def test_a_moved_sequence_can_move_by_hand(with_plans: Path, options: GpuOptions) -> None:
    """`suspended` and `resume` work on either side."""
    card = FakeCard()
    backend, _ = on_card(options, card=card)
    decoder = Decoder(with_plans, backend, Precision.FP32)
    assert decoder.gap(2) < 1e-6
    for full in (False, True):
        if full:
            trt = backend.primary
            assert isinstance(trt, TrtBackend)
            trt._manager.evict_idle()
            card.others = card.total
            assert decoder.gap(2) < 1e-6
        state, rows = decoder.sequences[0].suspended()
        fresh = decoder.session.steps({"window": decoder.window})
        fresh.resume(state, rows)
        decoder.sequences[0].close()
        decoder.sequences[0] = fresh
        assert decoder.gap(3) < 1e-6


@pytest.mark.export
def test_half_state_goes_on_in_fp32(
    tiny_voice: Directory, tmp_path: Path, options: GpuOptions
) -> None:
    """On the card the state is float16; on the processor the fp32 graph goes on with it."""
    pytest.importorskip("onnx", reason="graphs are converted with onnx")
    from sambert_trt.calibration.variants import write_variants

    directory = Path(shutil.copytree(tiny_voice("plain"), tmp_path / "voice"))
    write_variants(directory, Precision.FP16)
    fill_store(directory, Precision.FP16)
    card = FakeCard()
    backend, driver = on_card(options, card=card)
    assert backend.preferred(directory, manifest_from_directory(directory)) is Precision.FP16
    decoder = Decoder(directory, backend, Precision.FP16)
    assert 0 < decoder.gap(6) < 2e-2
    state, _ = decoder.sequences[0].suspended()
    assert {name: array.dtype for name, array in state.items()} == {
        "frame": np.dtype(np.float16),
        "state": np.dtype(np.float16),
    }
    trt = backend.primary
    assert isinstance(trt, TrtBackend)
    trt._manager.evict_idle()
    card.others = card.total
    assert decoder.gap(6) < 2e-2
    moved, _ = decoder.sequences[0].suspended()
    assert {array.dtype for array in moved.values()} == {np.dtype(np.float32)}
    decoder.session.close()
    backend.close()
    driver.assert_clean()
