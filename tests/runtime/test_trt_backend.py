"""Speech through TensorRT's code path on a card that accounts for every byte."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
import voices
from fake_cuda import FakeCard
from fake_gpu import MIB, fake_backend, fill_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.errors import (
    BackendError,
    DeviceLostError,
    DeviceMemoryError,
    EngineError,
    EngineMissingError,
    GraphError,
    InputError,
    SambertError,
)
from sambert_trt.engines.graphs import AxisRange, Precision, Stage
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.budget import Isolation, MemoryBudget, ResidencyMode
from sambert_trt.runtime.cli import main
from sambert_trt.runtime.gpu import GpuOptions, PlanCopies
from sambert_trt.runtime.stream import ChunkPolicy
from sambert_trt.runtime.trt_backend import TrtBackend
from sambert_trt.runtime.voice import Voice, open_voice

pytestmark = pytest.mark.filterwarnings("error")

SMALL_CHUNKS = ChunkPolicy(first=6, growth=1.5, most=20)
ENGINE, SHARED = Isolation.ENGINE, Isolation.SHARED
ONE_ENGINE = MemoryBudget(total=300 * MIB, reserve=1 * MIB)
THREE_ENGINES = MemoryBudget(total=700 * MIB, reserve=1 * MIB)


@pytest.fixture(scope="module")
def with_plans(
    tiny_voice: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """A copy of a tiny voice with a fake plan for every stage."""
    made: dict[str, Path] = {}

    def directory(variant: str) -> Path:
        if variant not in made:
            made[variant] = tmp_path_factory.mktemp(variant) / variant
            shutil.copytree(tiny_voice(variant), made[variant])
            fill_store(made[variant])
        return made[variant]

    return directory


@pytest.fixture
def options(tmp_path: Path) -> GpuOptions:
    """The usual options, compiled kernels in a folder of the test's."""
    return GpuOptions(kernels=tmp_path / "kernels", prefetch=False)


def line_of(manifest: VoiceManifest, count: int = 5, seed: int = 0) -> str:
    return voices.symbol_line(manifest.units, count, seed)


def spoken(directory: Path, backend: TrtBackend | None, lines: list[str]) -> NDArray[np.float32]:
    with open_voice(directory, backend=backend, threads=2) as voice:
        return voice.say(symbols=lines, policy=SMALL_CHUNKS).samples


def assert_same(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> None:
    """Equal but for rounding: the fake card's graphs are optimised a little differently."""
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-5


def lines_of(directory: Path, count: int = 2) -> list[str]:
    manifest = manifest_from_directory(directory)
    return [line_of(manifest, 4 + seed, seed) for seed in range(count)]


@pytest.mark.parametrize("captures", [True, False])
@pytest.mark.parametrize(
    ("isolation", "mode", "budget", "prefetch"),
    [
        (ENGINE, ResidencyMode.RESIDENT, None, False),
        (ENGINE, ResidencyMode.ON_DEMAND, None, True),
        (ENGINE, ResidencyMode.ON_DEMAND, THREE_ENGINES, False),
        (ENGINE, ResidencyMode.ON_DEMAND, THREE_ENGINES, True),
        (ENGINE, ResidencyMode.ON_DEMAND, ONE_ENGINE, False),
        (ENGINE, ResidencyMode.MINIMAL, None, False),
        (SHARED, ResidencyMode.RESIDENT, None, False),
        (SHARED, ResidencyMode.ON_DEMAND, None, True),
        (SHARED, ResidencyMode.MINIMAL, ONE_ENGINE, False),
    ],
)
def test_speech_is_the_same_as_on_the_processor(
    with_plans: Callable[[str], Path],
    options: GpuOptions,
    isolation: Isolation,
    mode: ResidencyMode,
    budget: MemoryBudget | None,
    prefetch: bool,
    captures: bool,
) -> None:
    """Whoever holds the memory, and however often engines come and go: not a sample differs."""
    directory = with_plans("nsf")
    lines = lines_of(directory)
    chosen = replace(options, isolation=isolation, mode=mode, budget=budget, prefetch=prefetch)
    backend, driver = fake_backend(chosen, captures=captures)
    limit = backend.memory_report().limit
    samples = spoken(directory, backend, lines)
    backend.close()
    driver.assert_clean()
    assert driver.cards[0].peak <= limit
    assert_same(samples, spoken(directory, None, lines))


def test_engines_stay_cold_until_a_sentence_reaches_them(
    with_plans: Callable[[str], Path], options: GpuOptions
) -> None:
    directory = with_plans("plain")
    backend, driver = fake_backend(options)
    with open_voice(directory, backend=backend, threads=1) as voice:
        engines = backend.memory_report().engines
        assert [engine.name.partition("/")[2] for engine in engines] == [s.value for s in Stage]
        assert {engine.state for engine in engines} == {"cold"}
        assert driver.used_by_us() == 0
        voice.say(symbols=lines_of(directory, 1))
        report = backend.memory_report()
        assert {engine.state for engine in report.engines} == {"open"}
        assert [engine.opens for engine in report.engines] == [1] * len(Stage)
        assert report.held >= driver.used_by_us() > 7 * 200 * MIB
        assert report.process == driver.used_by_us()
        assert backend.evict_idle() == len(Stage)
        assert driver.used_by_us() == 0
        voice.say(symbols=lines_of(directory, 1))
    assert driver.used_by_us() == 0
    backend.close()
    driver.assert_clean()


def test_interleaved_streams_hand_their_state_over(
    with_plans: Callable[[str], Path], options: GpuOptions
) -> None:
    """Two sentences take turns chunk by chunk on the same engines, with room for one of them."""
    directory = with_plans("plain")
    lines = lines_of(directory, 2)
    expected = [spoken(directory, None, [line]) for line in lines]
    backend, driver = fake_backend(replace(options, budget=ONE_ENGINE))
    with open_voice(directory, backend=backend, threads=2) as voice:
        streams = [voice.stream(symbols=line, policy=SMALL_CHUNKS) for line in lines]
        pieces: list[list[NDArray[np.float32]]] = [[], []]
        for pair in zip_longest(*streams):
            for number, chunk in enumerate(pair):
                if chunk is not None:
                    pieces[number].append(chunk.samples)
    backend.close()
    driver.assert_clean()
    assert min(map(len, pieces)) > 1
    for samples, wanted in zip(pieces, expected, strict=True):
        assert_same(np.concatenate(samples), wanted)


def test_two_voices_share_a_card(with_plans: Callable[[str], Path], options: GpuOptions) -> None:
    first, second = with_plans("plain"), with_plans("five")
    backend, driver = fake_backend(replace(options, budget=THREE_ENGINES))
    with open_voice(first, backend=backend) as one, open_voice(second, backend=backend) as two:
        for directory, voice in ((first, one), (second, two), (first, one)):
            lines = lines_of(directory, 1)
            samples = voice.say(symbols=lines, policy=SMALL_CHUNKS).samples
            assert_same(samples, spoken(directory, None, lines))
    backend.close()
    driver.assert_clean()


def test_a_step_runs_as_a_recorded_graph(
    with_plans: Callable[[str], Path], options: GpuOptions
) -> None:
    directory = with_plans("plain")
    backend, driver = fake_backend(options)
    manifest = manifest_from_directory(directory)
    spoken(directory, backend, [line_of(manifest, 40)])
    backend.close()
    recorded = driver.names().count("graph_instantiate")
    assert driver.names().count("graph_launch") > 5 * recorded > 0


@pytest.mark.parametrize("copies", list(PlanCopies))
def test_where_plans_wait(
    with_plans: Callable[[str], Path], options: GpuOptions, copies: PlanCopies
) -> None:
    directory = with_plans("plain")
    chosen = replace(options, plans=copies, isolation=SHARED, mode=ResidencyMode.MINIMAL)
    backend, driver = fake_backend(chosen)
    with open_voice(directory, backend=backend) as voice:
        voice.say(symbols=lines_of(directory, 1))
        kept = [engine.host_copy for engine in backend.memory_report().engines]
    assert all(kept) if copies is not PlanCopies.PAGE_CACHE else not any(kept)
    backend.close()
    driver.assert_clean()


def test_pinned_plans_need_a_context_that_stays() -> None:
    with pytest.raises(InputError, match="need isolation shared"):
        GpuOptions(plans=PlanCopies.PINNED)


def test_fp16_plans_are_preferred_where_all_are_there(
    with_plans: Callable[[str], Path], options: GpuOptions
) -> None:
    directory = with_plans("plain")
    backend, _ = fake_backend(options)
    manifest = manifest_from_directory(directory)
    assert backend.preferred(directory, manifest) is Precision.FP32
    halves = {
        stage: replace(record, graph=replace(record.graph, precision=Precision.FP16))
        for stage, record in manifest.stages.items()
    }
    assert (
        backend.preferred(directory, replace(manifest, variants={Precision.FP16: halves}))
        is Precision.FP32
    )
    backend.close()


def test_a_missing_plan_names_the_command(
    tiny_voice: Callable[[str], Path], options: GpuOptions
) -> None:
    backend, driver = fake_backend(options)
    with pytest.raises(EngineMissingError, match=r"sambert-build .*--target sm_86"):
        open_voice(tiny_voice("plain"), backend=backend)
    backend.close()
    driver.assert_clean()


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_plan_is_never_deserialised(
    tiny_voice: Callable[[str], Path], tmp_path: Path, options: GpuOptions, damage: str
) -> None:
    directory = Path(shutil.copytree(tiny_voice("plain"), tmp_path / "voice"))
    fill_store(directory)
    (plan,) = (directory / "engines").glob("postnet-*/plan")
    content = bytearray(plan.read_bytes())
    content[len(content) // 2] ^= 1
    plan.write_bytes(content[:-1] if damage == "cut" else content)
    backend, driver = fake_backend(options)
    with (
        open_voice(directory, backend=backend, threads=1) as voice,
        pytest.raises(EngineError, match="sambert-build"),
    ):
        voice.say(symbols=lines_of(directory, 1))
    backend.close()
    driver.assert_clean()


def test_a_card_that_is_too_small_says_so(
    with_plans: Callable[[str], Path], options: GpuOptions
) -> None:
    budget = MemoryBudget(total=210 * MIB, reserve=1 * MIB)
    backend, driver = fake_backend(replace(options, budget=budget))
    with pytest.raises(DeviceMemoryError, match=r"needs \d+ MB .*isolation shared"):
        open_voice(with_plans("plain"), backend=backend)
    backend.close()
    driver.assert_clean()


def test_what_others_use_counts(with_plans: Callable[[str], Path], options: GpuOptions) -> None:
    """With 3 GB of an 8 GB card left, engines go before the card is full."""
    directory = with_plans("plain")
    card = FakeCard(others=7 << 30)
    backend, driver = fake_backend(options, card)
    spoken(directory, backend, lines_of(directory, 1))
    assert backend.memory_report().counters["evicted"] > 0
    assert card.peak <= card.total
    backend.close()
    driver.assert_clean()


def test_a_card_that_fills_up_is_warned_about_once(
    with_plans: Callable[[str], Path], options: GpuOptions, caplog: pytest.LogCaptureFixture
) -> None:
    directory = with_plans("plain")
    card = FakeCard(others=5 << 30)
    backend, _ = fake_backend(replace(options, warn_bytes=6 << 30), card)
    spoken(directory, backend, lines_of(directory, 2))
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert "are in use" in said[0]
    assert "isolation shared" in said[0]
    assert backend.memory_report().advice == ()  # the voice is closed: the card is emptier
    backend.close()


@pytest.mark.parametrize("places", [6, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["CUDA_ERROR_OUT_OF_MEMORY", "CUDA_ERROR_UNKNOWN"])
@pytest.mark.parametrize("isolation", list(Isolation))
def test_a_failure_anywhere_leaves_nothing_behind(
    with_plans: Callable[[str], Path],
    options: GpuOptions,
    isolation: Isolation,
    name: str,
    places: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The n-th driver call fails, for n all over a sentence: one clear error or the same speech."""
    monkeypatch.setattr("sambert_trt.runtime.voice._warm_frontend", lambda manifest: None)
    directory = with_plans("plain")
    lines = lines_of(directory, 1)
    expected = spoken(directory, None, lines)
    chosen = replace(options, isolation=isolation, budget=THREE_ENGINES)
    backend, driver = fake_backend(chosen)
    begun = len(driver.calls)
    spoken(directory, backend, lines)
    total = len(driver.calls) - begun
    backend.close()
    outcomes = set()
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, *sorted(rng.choice(np.arange(4, total), places, replace=False))):
        backend, driver = fake_backend(chosen)
        driver.fail_at(int(n), name)
        said = ""
        try:
            assert_same(spoken(directory, backend, lines), expected)
        except SambertError as error:
            said = str(error)
        outcomes.add(name in said or "card is full" in said if said else None)
        driver.stop_failing()
        assert_same(spoken(directory, backend, lines), expected)
        backend.close()
        driver.assert_clean()
    assert True in outcomes
    assert False not in outcomes


def test_a_step_that_was_done_is_not_repeated(
    with_plans: Callable[[str], Path], options: GpuOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card says that it is full when a step's work is over: its state has moved on."""
    monkeypatch.setattr("sambert_trt.runtime.voice._warm_frontend", lambda manifest: None)
    directory = with_plans("plain")
    lines = lines_of(directory, 1)
    expected = spoken(directory, None, lines)
    backend, driver = fake_backend(options)
    spoken(directory, backend, lines)
    pops = driver.names().count("context_pop")
    errors = []
    for n in range(pops // 5, pops // 2):
        driver.fail_at(n, "CUDA_ERROR_OUT_OF_MEMORY", "context_pop")
        try:
            assert_same(spoken(directory, backend, lines), expected)
        except SambertError as error:
            errors.append(str(error))
        driver.stop_failing()
    backend.close()
    driver.assert_clean()
    assert errors
    assert all("the sentence cannot go on: context_pop() failed" in error for error in errors)


def test_a_lost_device_ends_in_one_error_and_no_loop(
    with_plans: Callable[[str], Path], options: GpuOptions
) -> None:
    directory = with_plans("plain")
    lines = lines_of(directory, 1)
    backend, driver = fake_backend(options)
    with open_voice(directory, backend=backend, threads=1) as voice:
        driver.fail_at(1, "CUDA_ERROR_ILLEGAL_ADDRESS", "stream_synchronize")
        with pytest.raises(DeviceLostError, match=r"CUDA_ERROR_ILLEGAL_ADDRESS.*restart"):
            voice.say(symbols=lines)
        calls = len(driver.calls)
        with pytest.raises(DeviceLostError, match=r"CUDA_ERROR_ILLEGAL_ADDRESS.*restart"):
            voice.say(symbols=lines)
        assert len(driver.calls) == calls
    backend.close()


def test_a_closed_voice_is_not_spoken_with(
    with_plans: Callable[[str], Path], options: GpuOptions
) -> None:
    directory = with_plans("plain")
    backend, driver = fake_backend(options)
    voice = open_voice(directory, backend=backend)
    long = line_of(manifest_from_directory(directory), 80)
    stream = voice.stream(symbols=long, policy=ChunkPolicy(2, 1.0, 2))
    next(stream)
    voice.close()
    with pytest.raises(SambertError):
        list(stream)
    backend.close()
    driver.assert_clean()
    with pytest.raises(BackendError, match="closed"):
        open_voice(directory, backend=backend)


def test_compiled_kernels_outlast_the_process(
    with_plans: Callable[[str], Path], options: GpuOptions
) -> None:
    directory = with_plans("plain")
    assert options.kernels is not None
    for _ in range(2):
        backend, _ = fake_backend(options)
        spoken(directory, backend, lines_of(directory, 1))
        backend.close()
    assert len(list(options.kernels.glob("*.kernels"))) == len(Stage)


def test_a_plan_of_narrower_ranges_limits_the_voice(
    tiny_voice: Callable[[str], Path], tmp_path: Path, options: GpuOptions
) -> None:
    directory = Path(shutil.copytree(tiny_voice("plain"), tmp_path / "voice"))
    fill_store(directory, axes={"symbols": AxisRange(1, 4, 6)})
    backend, _ = fake_backend(options)
    manifest = manifest_from_directory(directory)
    with open_voice(directory, backend=backend) as voice:
        with pytest.raises(InputError, match="this voice takes 6 at once"):
            voice.say(symbols=line_of(manifest, 9))
        assert len(voice.say(symbols=line_of(manifest, 2)).samples)
    backend.close()


def test_no_card_of_that_number() -> None:
    with pytest.raises(BackendError, match="there is no card 3: the driver shows 1"):
        fake_backend(GpuOptions(device=3))


def test_the_flavour_decides_which_plans_run(
    with_plans: Callable[[str], Path], options: GpuOptions
) -> None:
    backend, _ = fake_backend(replace(options, flavour=Flavour.LEAN))
    with pytest.raises(EngineMissingError, match="flavour: rtx built, lean is here"):
        open_voice(with_plans("plain"), backend=backend)
    backend.close()


def test_a_command_that_lost_its_card_has_a_status_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(options: object) -> None:
        raise DeviceLostError("the card answers nothing more to this process; restart it")

    monkeypatch.setattr("sambert_trt.runtime.backends.backend_from_options", lost)
    assert main(["say", "好", "--voice", "anywhere", "--backend", "tensorrt"]) == 3
    assert "restart it" in capsys.readouterr().err


@st.composite
def situations(draw: st.DrawFn) -> tuple[GpuOptions, list[tuple[int, str]], int]:
    """How a card is used, which driver calls fail and how, and how many speak at once."""
    isolation = draw(st.sampled_from(Isolation))
    mode = draw(st.sampled_from(ResidencyMode))
    smallest = 1500 if mode is ResidencyMode.RESIDENT and isolation is ENGINE else 250
    budget = MemoryBudget(draw(st.integers(smallest, 2500)) * MIB, MIB)
    copies = list(PlanCopies) if isolation is SHARED else [PlanCopies.PAGE_CACHE, PlanCopies.MEMORY]
    options = GpuOptions(
        isolation=isolation,
        mode=mode,
        budget=budget,
        plans=draw(st.sampled_from(copies)),
        prefetch=draw(st.booleans()),
    )
    names = ("CUDA_ERROR_OUT_OF_MEMORY", "CUDA_ERROR_UNKNOWN", "CUDA_ERROR_LAUNCH_FAILED")
    failures = draw(st.lists(st.tuples(st.integers(1, 900), st.sampled_from(names)), max_size=3))
    return options, failures, draw(st.integers(1, 3))


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(situation=situations())
def test_whatever_happens_the_books_are_balanced(
    with_plans: Callable[[str], Path],
    options: GpuOptions,
    monkeypatch: pytest.MonkeyPatch,
    situation: tuple[GpuOptions, list[tuple[int, str]], int],
) -> None:
    """Several threads speak while driver calls fail: each gets the right speech or one error of
    ours, the card is never above the budget, and nothing is left on it."""
    monkeypatch.setattr("sambert_trt.runtime.voice._warm_frontend", lambda manifest: None)
    directory = with_plans("plain")
    chosen, failures, threads = situation
    lines = lines_of(directory, threads)
    expected = [expected_speech(directory, line) for line in lines]
    backend, driver = fake_backend(replace(chosen, kernels=options.kernels))
    limit = backend.memory_report().limit
    for number, name in failures:
        driver.fail_at(number, name)

    def speak(voice: Voice, line: str) -> NDArray[np.float32] | SambertError:
        try:
            return voice.say(symbols=line, policy=SMALL_CHUNKS).samples
        except SambertError as error:
            return error

    with suppress(SambertError), open_voice(directory, backend=backend, threads=2) as voice:
        with ThreadPoolExecutor(threads) as pool:
            found = [*pool.map(partial(speak, voice), lines)]
        for ours, theirs in zip(found, expected, strict=True):
            if isinstance(ours, SambertError):
                assert failures, ours
            else:
                assert_same(ours, theirs)
    with suppress(SambertError):
        backend.close()
    driver.assert_clean()
    assert driver.cards[0].peak <= limit


@cache
def expected_speech(directory: Path, line: str) -> NDArray[np.float32]:
    return spoken(directory, None, [line])


def test_a_voice_that_did_not_open_can_be_opened_again(
    with_plans: Callable[[str], Path], options: GpuOptions
) -> None:
    directory = with_plans("plain")
    backend, driver = fake_backend(replace(options, mode=ResidencyMode.RESIDENT))
    driver.fail_at(3, "CUDA_ERROR_UNKNOWN", "stream_create")
    with pytest.raises(BackendError, match="stream_create"):
        open_voice(directory, backend=backend)
    assert backend.memory_report().engines == ()
    lines = lines_of(directory, 1)
    assert_same(spoken(directory, backend, lines), spoken(directory, None, lines))
    backend.close()
    driver.assert_clean()


def test_a_budget_is_never_more_than_the_card(options: GpuOptions) -> None:
    chosen = replace(options, budget=MemoryBudget(total=8 << 30, reserve=MIB))
    backend, _ = fake_backend(chosen, FakeCard(total=6 << 30))
    assert backend.memory_report().limit == (6 << 30) - MIB
    backend.close()


def test_an_array_of_another_dtype_is_refused(
    with_plans: Callable[[str], Path], options: GpuOptions
) -> None:
    directory = with_plans("plain")
    backend, driver = fake_backend(options)
    record = manifest_from_directory(directory).stages[Stage.MEMORY_KV]
    session = backend.open(directory, record)
    memory = np.zeros((1, 3, int(record.graph.inputs[0].shape[2])))
    with pytest.raises(GraphError, match=r"memory_kv\.memory takes float32, got float64"):
        session.run({"memory": memory})
    session.close()
    backend.close()
    driver.assert_clean()


@pytest.mark.parametrize("call", ["copy_on_device", "copy_to_host", "copy_to_device"])
def test_nothing_stays_queued_after_an_error(
    with_plans: Callable[[str], Path], options: GpuOptions, call: str
) -> None:
    """With one scratch for all, the next engine would compute in memory that is still in use."""
    directory = with_plans("plain")
    backend, driver = fake_backend(replace(options, isolation=SHARED))
    with open_voice(directory, backend=backend, threads=1) as voice:
        driver.fail_at(1, "CUDA_ERROR_UNKNOWN", call)
        with pytest.raises(BackendError, match=call):
            voice.say(symbols=lines_of(directory, 1))
        names = driver.names()
        failed = len(names) - 1 - names[::-1].index(call)
        assert "stream_synchronize" in names[failed:]
    backend.close()
    driver.assert_clean()


def test_idle_engines_make_room_for_a_run(
    with_plans: Callable[[str], Path], options: GpuOptions
) -> None:
    directory = with_plans("plain")
    backend, driver = fake_backend(options)
    lines = lines_of(directory, 1)
    with open_voice(directory, backend=backend, threads=1) as voice:
        driver.fail_at(20, "CUDA_ERROR_OUT_OF_MEMORY", "memory_alloc")
        samples = voice.say(symbols=lines, policy=SMALL_CHUNKS).samples
        driver.stop_failing()
        assert backend.memory_report().counters["evicted"] > 0
    assert_same(samples, spoken(directory, None, lines))
    backend.close()
    driver.assert_clean()
