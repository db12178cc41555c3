"""What graphs cost: paired statistics with a clock of their own, graphs, voices and plans."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from sambert_trt.engines.errors import BackendError, EngineError, InputError
from sambert_trt.engines.graphs import Precision, Stage
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.engines.voice import manifest_from_directory

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from sambert_trt.calibration import costs
from sambert_trt.calibration.assessment import Candidate, Cost
from sambert_trt.calibration.costs import (
    TIGHT,
    median_interval,
    paired,
    plan_record,
    stage_cost,
    voice_cost,
)
from sambert_trt.calibration.half import half_graph
from sambert_trt.calibration.recipe import StagePlan
from sambert_trt.calibration.recording import Sample
from sambert_trt.runtime.backend import SLIDING, zero_state

pytestmark = pytest.mark.export

WINDOW = 16


class Clock:
    """Time that passes only where work is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: Iterator[float]) -> Callable[[], None]:
        """A function that takes as long as the next number says; its calls are in `calls`."""

        def run() -> None:
            self.now += next(seconds)

        return run


def test_a_slower_function_has_a_ratio_above_one() -> None:
    clock = Clock()
    slow, quick = clock.work(cycle([0.3])), clock.work(cycle([0.2]))
    found = paired(quick, slow, rounds=20, clock=clock)
    assert found.ratio == pytest.approx(1.5)
    assert found.low == pytest.approx(1.5)
    assert found.high == pytest.approx(1.5)
    assert found.seconds == pytest.approx(0.3)
    assert paired(slow, quick, rounds=20, clock=clock).ratio == pytest.approx(1 / 1.5)


def test_what_slows_both_in_a_round_cancels() -> None:
    """The machine is ten times slower in some rounds; the warm-up is slow on one side only."""
    loads = [1.0, 10.0, 1.0, 3.0, 1.0, 7.0, 2.0, 1.0, 5.0]
    clock = Clock()
    found = paired(
        clock.work(iter([50.0, 2.0, *loads])),
        clock.work(iter([1.0, 1.0, *(0.5 * load for load in loads)])),
        rounds=len(loads),
        seconds=1e9,
        clock=clock,
    )
    assert found.ratio == pytest.approx(0.5)
    assert found.low == pytest.approx(0.5)
    assert found.high == pytest.approx(0.5)


def test_the_order_alternates_after_a_warm_up() -> None:
    said: list[str] = []
    clock = Clock()

    def side(name: str) -> Callable[[], None]:
        def run() -> None:
            said.append(name)
            clock.now += 1.0 if len(said) % 3 else 2.0

        return run

    found = paired(side("a"), side("b"), rounds=4, seconds=1e9, clock=clock)
    assert "".join(said) == "abab" + "ab" + "ba" + "ab" + "ba"
    assert found.rounds == 4


def test_short_functions_are_called_several_times_in_a_row() -> None:
    said: list[str] = []
    clock = Clock()

    def side(name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            said.append(name)
            clock.now += seconds

        return run

    found = paired(side("a", 0.01), side("b", 0.03), rounds=2, least=0.04, clock=clock)
    assert "".join(said) == "abab" + "aaaabbbb" + "bbbbaaaa"
    assert found.seconds == pytest.approx(0.03)
    assert found.ratio == pytest.approx(3.0)


def test_rounds_end_when_the_interval_is_tight() -> None:
    clock = Clock()
    steady = paired(clock.work(cycle([1.0])), clock.work(cycle([1.0])), rounds=1000, clock=clock)
    assert steady.rounds <= 10
    noise = np.random.default_rng(0)
    noisy = paired(
        clock.work(iter(noise.uniform(0.5, 1.5, 2000).tolist())),
        clock.work(iter(noise.uniform(0.5, 1.5, 2000).tolist())),
        rounds=60,
        seconds=1e9,
        clock=clock,
    )
    assert noisy.rounds == 60
    assert noisy.high - noisy.low > TIGHT
    assert noisy.low < 1 < noisy.high


def test_rounds_end_when_the_time_is_up_but_not_before_the_first() -> None:
    noise, clock = np.random.default_rng(1), Clock()
    times = iter(noise.uniform(0.5, 1.5, 2000).tolist())
    assert paired(clock.work(times), clock.work(times), seconds=8.0, clock=clock).rounds < 12
    assert paired(clock.work(times), clock.work(times), seconds=0.0, clock=clock).rounds == 1
    with pytest.raises(InputError, match="0 rounds asked for: needs 1 or more"):
        paired(clock.work(times), clock.work(times), rounds=0, clock=clock)


def test_a_median_lies_in_its_interval_which_narrows_with_samples() -> None:
    """Of 200 sets of samples, the interval misses the true median in about ten."""
    draws = np.random.default_rng(2).normal(1.0, 0.1, (200, 30))
    found = [median_interval(row.tolist(), draws=400) for row in draws]
    assert all(i.low <= i.median <= i.high for i in found)
    assert 0 < sum(not i.low <= 1.0 <= i.high for i in found) < 30
    wide = np.mean([i.high - i.low for i in found])
    few = [median_interval(row[:8].tolist(), draws=400) for row in draws]
    assert wide < 0.7 * np.mean([i.high - i.low for i in few])
    single = median_interval([3.0])
    assert (single.low, single.median, single.high) == (3.0, 3.0, 3.0)


@pytest.fixture
def voice(tiny_voice: Callable[[str], Path]) -> tuple[Path, VoiceManifest]:
    """A tiny voice with an excitation, and its manifest."""
    directory = tiny_voice("nsf")
    return directory, manifest_from_directory(directory)


def own(directory: Path, manifest: VoiceManifest, stage: Stage) -> Candidate:
    """The voice's own graph as a candidate."""
    return Candidate(stage, StagePlan(Precision.FP32), directory, manifest.stages[stage])


def halved(directory: Path, manifest: VoiceManifest, stage: Stage, work: Path) -> Candidate:
    """The same in half precision."""
    import onnx

    from sambert_trt.engines.manifest import StageRecord
    from sambert_trt.engines.voice import file_record

    record = manifest.stages[stage]
    model, graph = half_graph(onnx.load(directory / record.file.path), record.graph)
    name = f"{stage.value}.fp16.onnx"
    (work / name).write_bytes(model.SerializeToString(deterministic=True))
    found = StageRecord(file_record(work, name), graph, record.parameters, "fp16")
    return Candidate(stage, StagePlan(Precision.FP16), work, found)


def sample(manifest: VoiceManifest, stage: Stage, steps: int = 70, frames: int = 130) -> Sample:
    """Noise in the shape of what a stage is given."""
    graph, rng = manifest.stages[stage].graph, np.random.default_rng(0)
    axes = {"frames": frames, "symbols": 9, "steps": 9, "window": WINDOW}
    sizes = {name: axes[name] for name in graph.axes}
    fixed = replace(
        graph,
        axes={n: replace(a, least=1, usual=sizes[n], most=1 << 20) for n, a in graph.axes.items()},
    )
    stepped = stage in (Stage.DURATION_STEP, Stage.DECODER_STEP, Stage.POSTNET)
    inputs = {}
    for tensor in graph.inputs:
        shape = tuple(fixed.extent(entry).usual for entry in tensor.shape)
        lead = (steps,) if stepped else ()
        if tensor.dtype == "int64":
            inputs[tensor.name] = rng.integers(0, 4, lead + shape)
        else:
            inputs[tensor.name] = rng.standard_normal(lead + shape, np.float32)
    if not stepped:
        return Sample(stage, 0, inputs)
    rows = None
    for name in zero_state(graph, sizes):
        del inputs[name]
    if stage in SLIDING:
        width = inputs.pop(SLIDING[stage]).shape[-1]
        rows = rng.standard_normal((steps - 1 + WINDOW, width), np.float32)
    return Sample(stage, 0, inputs, sizes, rows, (steps - 5, 5))


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_is_timed_against_its_reference(
    stage: Stage, voice: tuple[Path, VoiceManifest]
) -> None:
    directory, manifest = voice
    steps = 3 if stage is Stage.POSTNET else 70
    reference = (directory, manifest.stages[stage])
    found = stage_cost(own(*voice, stage), reference, [sample(manifest, stage, steps)], rounds=2)
    assert found.graph_bytes == manifest.stages[stage].file.bytes
    assert found.seconds is not None
    assert found.seconds > 0
    assert found.ratio is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.ratio <= found.high
    assert found.plan_bytes is None


def test_seconds_are_those_of_one_step_and_both_sides_see_one_sample(
    voice: tuple[Path, VoiceManifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of six samples four are taken, of their 70 steps 24; the clock says what each takes."""
    clock, taken = Clock(), list[tuple[int, int]]()

    def replay(session: object, sample: Sample) -> None:
        taken.append((sample.sentence, sum(sample.lengths)))
        clock.now += 9.6

    monkeypatch.setattr(costs, "replayed", replay)
    monkeypatch.setattr(costs.time, "thread_time", clock)
    samples = [replace(sample(voice[1], Stage.DECODER_STEP), sentence=n) for n in range(6)]
    reference = (voice[0], voice[1].stages[Stage.DECODER_STEP])
    found = stage_cost(own(*voice, Stage.DECODER_STEP), reference, samples, rounds=4, seconds=1e9)
    assert [number for number, _ in taken] == [n % 4 for n in range(6) for _ in range(2)]
    assert {steps for _, steps in taken} == {24}
    assert found.seconds == pytest.approx(9.6 / 24)
    assert found.ratio == pytest.approx(1.0)


def test_a_vocoder_window_is_cropped_with_all_that_follows_it(
    voice: tuple[Path, VoiceManifest],
) -> None:
    graph = voice[1].stages[Stage.VOCODER].graph
    whole = sample(voice[1], Stage.VOCODER)
    short = costs._shortened(whole, graph)
    assert whole.inputs["mel"].shape[1] == 130
    for tensor in graph.inputs:
        array, original = short.inputs[tensor.name], whole.inputs[tensor.name]
        assert array.size * 130 == original.size * 32, tensor
        assert np.array_equal(array, original[tuple(map(slice, array.shape))])
    text = sample(voice[1], Stage.TEXT_ENCODER)
    assert costs._shortened(text, voice[1].stages[Stage.TEXT_ENCODER].graph).inputs == text.inputs


def test_a_sequence_is_shortened_at_its_end(voice: tuple[Path, VoiceManifest]) -> None:
    graph = voice[1].stages[Stage.DECODER_STEP].graph
    whole = replace(sample(voice[1], Stage.DECODER_STEP), lengths=(1, 15, 45, 9))
    short = costs._shortened(whole, graph)
    assert short.lengths == (1, 15, 8)
    assert {len(array) for array in short.inputs.values()} == {24}
    assert short.rows is not None
    assert len(short.rows) == 23 + WINDOW
    few = replace(sample(voice[1], Stage.DECODER_STEP, 8), lengths=(3, 5))
    assert costs._shortened(few, graph).lengths == (3, 5)


def test_without_samples_only_bytes_are_known(voice: tuple[Path, VoiceManifest]) -> None:
    record = voice[1].stages[Stage.PROSODY]
    found = stage_cost(own(*voice, Stage.PROSODY), (voice[0], record), [])
    assert found == Cost(graph_bytes=record.file.bytes)


def test_a_voice_with_candidates_is_timed_against_itself(
    voice: tuple[Path, VoiceManifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both voices say the same sentence in a round, and only one of them opens the candidate."""
    opened, said = list[Path](), list[tuple[int, str]]()
    from sambert_trt.runtime.onnx_backend import OnnxBackend
    from sambert_trt.runtime.voice import Voice

    plain_open = OnnxBackend.open

    def open_noted(self: OnnxBackend, directory: Path, record: object) -> object:
        opened.append(directory)
        return plain_open(self, directory, record)  # type: ignore[arg-type]

    monkeypatch.setattr(OnnxBackend, "open", open_noted)
    monkeypatch.setattr(Voice, "say", lambda self, text: said.append((id(self), text)))
    candidate = halved(*voice, Stage.VOCODER, tmp_path)
    found = voice_cost(voice[0], {Stage.VOCODER: candidate}, ["一。", "二。"], rounds=3)
    assert sorted(map(str, opened)).count(str(tmp_path)) == 1
    assert len(opened) == 14
    assert found.rounds == 3
    (first, one), (second, other) = said[:2]
    assert one == other
    assert [text for who, text in said if who == first] == ["一。", "二。", "一。", "二。", "一。"]
    assert [text for who, text in said if who == second] == ["一。", "二。", "一。", "二。", "一。"]
    assert first != second


def test_a_voice_speaks_while_it_is_timed(
    voice: tuple[Path, VoiceManifest], tmp_path: Path
) -> None:
    candidates = {Stage.VOCODER: halved(*voice, Stage.VOCODER, tmp_path)}
    found = voice_cost(voice[0], candidates, ["好。"], rounds=1)
    assert found.seconds > 0
    assert 0 < found.low <= found.ratio <= found.high
    with pytest.raises(InputError, match="no sentences to time a voice with"):
        voice_cost(voice[0], candidates, [])


def test_a_plan_is_weighed_without_a_card(
    voice: tuple[Path, VoiceManifest], tmp_path: Path
) -> None:
    if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("TensorRT for RTX is not installed: pip install 'sambert-trt[rtx]'")
    before = sorted(voice[0].rglob("*"))
    reference = (voice[0], voice[1].stages[Stage.MEMORY_KV])
    exact = stage_cost(own(*voice, Stage.MEMORY_KV), reference, [], plans=True)
    half = stage_cost(halved(*voice, Stage.MEMORY_KV, tmp_path), reference, [], plans=True)
    assert exact.plan_bytes is not None
    assert exact.kernels is not None
    assert exact.kernels > 0
    assert exact.scratch_bytes is not None
    assert exact.weights_bytes is not None
    assert half.weights_bytes is not None
    assert half.weights_bytes < exact.weights_bytes
    assert sorted(voice[0].rglob("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["memory_kv.fp16.onnx"]


def test_a_graph_that_tensorrt_refuses_is_named(
    voice: tuple[Path, VoiceManifest], tmp_path: Path
) -> None:
    if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("TensorRT for RTX is not installed: pip install 'sambert-trt[rtx]'")
    from sambert_trt.engines.voice import file_record

    (tmp_path / "x.onnx").write_bytes(b"no graph")
    record = replace(voice[1].stages[Stage.MEMORY_KV], file=file_record(tmp_path, "x.onnx"))
    candidate = Candidate(Stage.MEMORY_KV, StagePlan(Precision.FP32), tmp_path, record)
    with pytest.raises(EngineError, match=r"cannot build a candidate: memory_kv \(fp32\)"):
        plan_record(candidate)
    with pytest.raises(BackendError, match="cannot load the memory_kv graph"):
        stage_cost(candidate, (tmp_path, record), [sample(voice[1], Stage.MEMORY_KV)])


def test_without_a_builder_plans_are_not_known(
    voice: tuple[Path, VoiceManifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sambert_trt.engines.engine import Flavour
    from sambert_trt.engines.flavours import InstalledFlavour

    absent = InstalledFlavour(Flavour.RTX, None, "tensorrt_rtx", False, "not installed")
    monkeypatch.setattr(costs, "installed_flavours", lambda: (absent,))
    reference = (voice[0], voice[1].stages[Stage.MEMORY_KV])
    found = stage_cost(own(*voice, Stage.MEMORY_KV), reference, [], plans=True)
    assert found == Cost(graph_bytes=reference[1].file.bytes)
