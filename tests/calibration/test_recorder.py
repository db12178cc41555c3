"""Recording changes nothing, and what was recorded, asked again, gives the same bits."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import voices

from sambert_trt.engines.errors import InputError, OutputError, VoiceError
from sambert_trt.engines.graphs import Placement, Precision, Stage
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.backend import FEEDBACK, Array, Session
from sambert_trt.runtime.stream import OFFLINE, STREAMING, ChunkPolicy
from sambert_trt.runtime.styles import Style
from sambert_trt.runtime.voice import Voice, open_voice

pytest.importorskip("onnxruntime")

from sambert_trt.calibration import recorder
from sambert_trt.calibration.recorder import record
from sambert_trt.calibration.recording import Recording, Sample, Take, recording_from_folder
from sambert_trt.calibration.recording_backend import RecordingBackend
from sambert_trt.calibration.replay import digest_of, replayed
from sambert_trt.runtime.onnx_backend import OnnxBackend

pytestmark = pytest.mark.export

TEXTS = ["今天天气真好。", "你好", "我们去北京吧，好吗？", "一二三四五", "谢谢你", "再见。明天见！"]
SMALL = ChunkPolicy(first=5, growth=1.5, most=24)
QUICK = (Style(), Style(speed=1.5, pitch=0.5))


def lines(directory: Path, counts: Sequence[int] = (12, 30)) -> list[str]:
    manifest = manifest_from_directory(directory)
    return [
        voices.symbol_line(manifest.units, count, seed, speakers=(manifest.default_speaker,))
        for seed, count in enumerate(counts)
    ]


OPEN = ExitStack()
"""What several tests of this file share."""


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    """Closes it; opened again it would be another."""
    yield
    OPEN.close()
    for function in (plain_voice, recorded_voice, sessions_of):
        function.cache_clear()


@cache
def plain_voice(directory: Path) -> Voice:
    """A voice that nobody records."""
    return OPEN.enter_context(open_voice(directory, threads=1))


@cache
def recorded_voice(directory: Path, muted: frozenset[Stage]) -> tuple[Voice, RecordingBackend]:
    """A voice, and what records it."""
    backend = RecordingBackend(OnnxBackend(), list[Sample]().append, muted)
    return OPEN.enter_context(open_voice(directory, threads=1, backend=backend)), backend


@cache
def sessions_of(directory: Path) -> dict[Stage, Session]:
    """All stages, opened by a backend of their own."""
    manifest, backend = (
        manifest_from_directory(directory),
        OPEN.enter_context(closing(OnnxBackend())),
    )
    return {stage: backend.open(directory, manifest.stages[stage]) for stage in Stage}


def spoken(
    directory: Path, policy: ChunkPolicy, muted: frozenset[Stage] = frozenset()
) -> tuple[list[Sample], Array]:
    """What is recorded while a voice speaks two lines, and what is heard."""
    voice, backend = recorded_voice(directory, muted)
    samples: list[Sample] = []
    backend.sink = samples.append
    return samples, voice.say(symbols=lines(directory), policy=policy).samples


def answers(directory: Path, samples: Sequence[Sample]) -> list[dict[str, Array]]:
    """What sessions of a backend of their own answer."""
    return [replayed(sessions_of(directory)[sample.stage], sample) for sample in samples]


@pytest.fixture(params=["demo", *voices.VARIANTS])
def any_voice(request: pytest.FixtureRequest) -> Path:
    """One tiny voice after the other, and a trained one."""
    if request.param == "demo":
        found: Path = request.getfixturevalue("demo_voice")
        return found
    tiny: Callable[[str], Path] = request.getfixturevalue("tiny_voice")
    return tiny(request.param)


@pytest.mark.parametrize("policy", [OFFLINE, STREAMING, SMALL], ids=["offline", "stream", "small"])
def test_what_was_recorded_gives_the_same_bits_again(any_voice: Path, policy: ChunkPolicy) -> None:
    samples, heard = spoken(any_voice, policy)
    plain = plain_voice(any_voice).say(symbols=lines(any_voice), policy=policy).samples
    assert plain.tobytes() == heard.tobytes()
    assert {sample.stage for sample in samples} == set(Stage)
    found = answers(any_voice, samples)
    assert [digest_of(outputs) for outputs in found] == [sample.digest for sample in samples]
    wave = [out["wave"] for out, s in zip(found, samples, strict=True) if s.stage is Stage.VOCODER]
    assert sum(array.size for array in wave) >= np.count_nonzero(heard)


def test_another_input_gives_another_digest(tiny_voice: Callable[[str], Path]) -> None:
    """Were the digest of something else, the test above could not fail."""
    directory = tiny_voice("nsf")
    samples, _ = spoken(directory, SMALL)
    changed = []
    for sample in samples:
        name, array = next((n, a) for n, a in sample.inputs.items() if n != "mask")
        other = np.roll(array, 1, axis=-2)
        other = other if other.tobytes() != array.tobytes() else array + array.dtype.type(1)
        changed.append(replace(sample, inputs={**sample.inputs, name: other}))
    for outputs, sample in zip(answers(directory, changed), samples, strict=True):
        assert digest_of(outputs) != sample.digest, sample.stage


def test_each_call_of_the_postnet_knows_the_state_before_it(
    tiny_voice: Callable[[str], Path],
) -> None:
    directory = tiny_voice("plain")
    samples = [s for s in spoken(directory, SMALL)[0] if s.stage is Stage.POSTNET]
    first, *later = [s for s in samples if s.sentence == samples[0].sentence][:4]
    assert not first.state
    assert all(set(sample.state) == set(FEEDBACK[Stage.POSTNET]) for sample in later)
    assert all(sample.lengths == (1,) for sample in samples)
    assert len({sample.inputs["frames"].shape for sample in samples}) > 2
    stateless = [replace(sample, state={}) for sample in later]
    for outputs, sample in zip(answers(directory, stateless), later, strict=True):
        assert digest_of(outputs) != sample.digest


def test_a_sequence_is_kept_with_its_calls_and_rows(tiny_voice: Callable[[str], Path]) -> None:
    samples, _ = spoken(tiny_voice("plain"), SMALL)
    decoder = [sample for sample in samples if sample.stage is Stage.DECODER_STEP]
    durations = [sample for sample in samples if sample.stage is Stage.DURATION_STEP]
    assert [sample.inputs["condition"].shape[0] for sample in durations] == [12, 30]
    assert [sample.lengths for sample in durations] == [(12,), (30,)]
    for sample in decoder:
        steps = sum(sample.lengths)
        assert len(sample.lengths) > 1
        assert {len(array) for array in sample.inputs.values()} == {steps}
        assert sample.rows is not None
        assert len(sample.rows) >= steps + sample.sizes["window"] - 1
        assert set(sample.inputs) == {"memory", "mask"}
        assert not sample.state


def test_samples_are_copies(tiny_voice: Callable[[str], Path]) -> None:
    samples: list[Sample] = []
    directory = tiny_voice("plain")
    stage = manifest_from_directory(directory).stages[Stage.MEMORY_KV]
    session = RecordingBackend(OnnxBackend(), samples.append).open(directory, stage)
    shape = [size if isinstance(size, int) else 3 for size in stage.graph.inputs[0].shape]
    given = np.ones(shape, np.float32)
    session.run({"memory": given})
    given[:] = 7
    assert samples[0].inputs["memory"].max() == 1


@pytest.mark.parametrize("variant", ["plain", "nsf", "fp"])
def test_a_muted_vocoder_changes_nothing_else(
    variant: str, tiny_voice: Callable[[str], Path]
) -> None:
    directory = tiny_voice(variant)
    full, heard = spoken(directory, SMALL)
    quiet, silence = spoken(directory, SMALL, frozenset({Stage.VOCODER}))
    assert silence.shape == heard.shape
    assert heard.any()
    assert not silence.any()

    def told(samples: Sequence[Sample], stage: Stage) -> list[tuple[object, ...]]:
        return sorted(
            (s.digest * (stage is not Stage.VOCODER), *(a.tobytes() for a in s.arrays().values()))
            for s in samples
            if s.stage is stage
        )

    for stage in Stage:
        assert told(quiet, stage) == told(full, stage)
    assert {s.digest for s in quiet if s.stage is Stage.VOCODER} == {""}


@pytest.mark.parametrize("variant", ["plain", "nsf", "fp", "five"])
def test_a_muted_stage_has_the_shapes_of_a_real_one(
    variant: str, tiny_voice: Callable[[str], Path]
) -> None:
    directory = tiny_voice(variant)
    manifest, samples = manifest_from_directory(directory), spoken(directory, STREAMING)[0]
    seen: list[Sample] = []
    backend = RecordingBackend(OnnxBackend(), seen.append, frozenset(Stage))
    sessions = {stage: backend.open(directory, manifest.stages[stage]) for stage in Stage}
    for sample, real in zip(samples, answers(directory, samples), strict=True):
        muted = replayed(sessions[sample.stage], sample)
        assert {n: (a.shape, a.dtype) for n, a in muted.items()} == {
            n: (a.shape, a.dtype) for n, a in real.items()
        }
        assert not any(array.any() for array in muted.values())
    assert {sample.digest for sample in seen} == {""}


def test_steps_taken_over_from_another_backend_are_recorded_with_their_state(
    tiny_voice: Callable[[str], Path],
) -> None:
    directory = tiny_voice("plain")
    sample = next(s for s in spoken(directory, SMALL)[0] if s.stage is Stage.DECODER_STEP)
    stage, seen = manifest_from_directory(directory).stages[Stage.DECODER_STEP], list[Sample]()
    session = RecordingBackend(OnnxBackend(), seen.append).open(directory, stage)
    steps, cut = session.steps(sample.sizes), sample.lengths[0]
    assert sample.rows is not None
    steps.extend(sample.rows)
    first = steps.advance({name: array[:cut] for name, array in sample.inputs.items()})
    state, rows = steps.suspended()
    steps.close()
    other = session.steps(sample.sizes)
    other.resume(state, rows)
    second = other.advance({name: array[cut:] for name, array in sample.inputs.items()})
    other.close()
    other.close()
    whole = {name: np.concatenate([first[name], second[name]]) for name in first}
    assert digest_of(whole) == sample.digest
    assert len(seen) == 2
    assert [digest_of(out) for out in answers(directory, seen)] == [s.digest for s in seen]


def test_it_is_a_backend_like_the_one_inside(tiny_voice: Callable[[str], Path]) -> None:
    directory, inner, seen = tiny_voice("plain"), OnnxBackend(), list[Sample]()
    manifest, backend = manifest_from_directory(directory), RecordingBackend(inner, seen.append)
    assert backend.placement is inner.placement is Placement.CPU
    assert backend.preferred(directory, manifest) is Precision.FP32
    session = backend.open(directory, manifest.stages[Stage.PROSODY])
    assert session.graph == manifest.stages[Stage.PROSODY].graph
    assert len(backend.memory_report().engines) == 1
    session.close()
    assert not backend.memory_report().engines
    backend.close()


def test_digests_tell_names_and_bits_apart() -> None:
    zeros = np.zeros(3, np.float32)
    found = [
        digest_of(arrays)
        for arrays in ({"a": zeros}, {"b": zeros}, {"a": -zeros}, {"a": zeros, "b": zeros}, {})
    ]
    assert len(set(found)) == 5
    assert digest_of({"b": zeros, "a": -zeros}) == digest_of({"a": -zeros, "b": zeros})


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def whole(
    tiny_voice: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, bytes]]:
    """A voice, and the recording of TEXTS by one thread without an interruption."""
    folder = tmp_path_factory.mktemp("whole")
    record(tiny_voice("nsf"), TEXTS, folder, styles=QUICK, threads=1)
    return tiny_voice("nsf"), content(folder)


def test_a_voice_is_recorded(whole: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    recording = record(
        whole[0],
        TEXTS,
        tmp_path / "new" / "folder",
        styles=QUICK,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(number, 6) for number in range(7)]
    assert content(recording.folder) == whole[1]
    assert recording.skipped == {}
    assert recording.seen[Stage.TEXT_ENCODER] == 7
    assert all(recording.counts[stage] for stage in Stage)
    samples = [s for stage in Stage for s in recording.samples(stage)]
    assert {sample.sentence for sample in samples} == set(range(6))
    for outputs, sample in zip(answers(whole[0], samples), samples, strict=True):
        assert sample.digest == ("" if sample.stage is Stage.VOCODER else digest_of(outputs))
    again = record(whole[0], TEXTS, recording.folder, styles=QUICK, progress=lambda *_: None)
    assert content(again.folder) == whole[1]


class Killed(BaseException):
    """Like Ctrl-C, which ends a test run."""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("samples", [0, 6, 7, 17, 30])
def test_an_interrupted_recording_goes_on(
    samples: int,
    threads: int,
    whole: tuple[Path, dict[str, bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    directory, wanted = whole
    seen: list[Sample] = []

    def killing(take: Take, sample: Sample, add: Callable[[Take, Sample], None] = Take.add) -> None:
        seen.append(sample)
        if len(seen) > samples:
            raise Killed
        add(take, sample)

    with monkeypatch.context() as patch:
        patch.setattr(Take, "add", killing)
        with pytest.raises(Killed):
            record(directory, TEXTS, tmp_path, styles=QUICK, threads=threads)
    before = recording_from_folder(tmp_path)
    assert len(before.texts) < len(TEXTS)
    assert sum(before.seen.values()) <= samples
    spoken: list[int] = []
    keep = Recording.keep
    monkeypatch.setattr(
        Recording, "keep", lambda *args: (spoken.append(args[1].number), keep(*args))[1]
    )
    record(directory, TEXTS, tmp_path, styles=QUICK, threads=threads)
    assert content(tmp_path) == wanted
    assert sorted(spoken) == sorted(set(range(len(TEXTS))) - set(before.texts))


def test_ctrl_c_leaves_what_is_done(whole: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    def interrupted(done: int, total: int) -> None:
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        record(whole[0], TEXTS, tmp_path, styles=QUICK, progress=interrupted)
    assert 2 <= len(recording_from_folder(tmp_path).texts) < len(TEXTS)
    record(whole[0], TEXTS, tmp_path, styles=QUICK)
    assert content(tmp_path) == whole[1]


def test_texts_may_follow(whole: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    record(whole[0], TEXTS[:4], tmp_path, styles=QUICK)
    record(whole[0], TEXTS, tmp_path, styles=QUICK)
    assert content(tmp_path) == whole[1]


def test_other_texts_styles_seeds_and_voices_are_refused(
    whole: tuple[Path, dict[str, bytes]], tiny_voice: Callable[[str], Path], tmp_path: Path
) -> None:
    directory, texts = whole[0], TEXTS[:3]
    record(directory, texts, tmp_path, styles=QUICK)
    before = content(tmp_path)
    with pytest.raises(InputError, match=r"other texts or styles \(text 2 differs\)"):
        record(directory, [texts[0], "别的", texts[2]], tmp_path, styles=QUICK)
    with pytest.raises(InputError, match=r"text 3 differs\); record afresh"):
        record(directory, texts[:2], tmp_path, styles=QUICK)
    with pytest.raises(InputError, match="text 2 differs"):
        record(directory, texts, tmp_path)
    with pytest.raises(InputError, match="another seed"):
        record(directory, texts, tmp_path, styles=QUICK, seed=1)
    with pytest.raises(InputError, match="another voice, or other graphs"):
        record(tiny_voice("plain"), texts, tmp_path, styles=QUICK)
    assert content(tmp_path) == before
    fresh = record(tiny_voice("plain"), texts, tmp_path, styles=QUICK, fresh=True)
    assert len(fresh.texts) == 3
    assert content(record(directory, texts, tmp_path, styles=QUICK, fresh=True).folder) == before


def test_other_styles_npz_is_another_voice(
    whole: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    directory = tmp_path / "voice"
    shutil.copytree(whole[0], directory)
    manifest = manifest_from_directory(directory)
    record(directory, TEXTS[:1], tmp_path / "folder")
    changed = replace(manifest, styles=replace(manifest.styles, sha256="0" * 64))
    (directory / "voice.json").write_text(changed.as_json(), encoding="utf-8")
    with pytest.raises(InputError, match="another voice"):
        record(directory, TEXTS[:1], tmp_path / "folder")


def test_texts_that_cannot_be_spoken_are_left_out_and_named(
    whole: tuple[Path, dict[str, bytes]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = [TEXTS[0], "", TEXTS[1], "！？"]
    with caplog.at_level(logging.WARNING, recorder.__name__):
        recording = record(whole[0], texts, tmp_path)
    assert set(recording.skipped) == {1, 3}
    assert all("nothing to speak" in reason for reason in recording.skipped.values())
    assert "text 2 is left out: there is nothing to speak" in caplog.text
    samples = [s for stage in Stage for s in recording.samples(stage)]
    assert {sample.sentence for sample in samples} == {0, 2}


@pytest.mark.parametrize(("good", "message"), [(1, "only 1 of 3"), (0, "only 0 of 3")])
def test_too_few_texts_are_an_error(
    good: int, message: str, whole: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    texts = [*TEXTS[:good], "", "。", "?"][:3]
    for _ in range(2):
        with pytest.raises(InputError, match=f"{message} texts can be spoken .text {good + 1}: "):
            record(whole[0], texts, tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        {"texts": []},
        {"texts": "一个"},
        {"styles": ()},
        {"threads": 0},
        {"threads": 1000},
        {"seed": -1},
    ],
)
def test_what_cannot_be_recorded(
    arguments: dict[str, object], whole: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    with pytest.raises(InputError):
        record(whole[0], **{"texts": TEXTS, "folder": tmp_path / "x", **arguments})  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()


def test_symbol_lines_for_voices_that_read_no_text(
    tiny_voice: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = tiny_voice("byte")
    recording = record(directory, lines(directory), tmp_path / "symbols", symbols=True, threads=1)
    assert recording.seen[Stage.TEXT_ENCODER] == 2
    assert recording.skipped == {}


def test_nothing_is_made_for_what_is_no_voice(tmp_path: Path) -> None:
    with pytest.raises(VoiceError):
        record(tmp_path / "nowhere", TEXTS, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_one_process_at_a_time(
    whole: tuple[Path, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_LOCK_SECONDS", 0.1)
    found: list[BaseException] = []

    def twice(done: int, total: int) -> None:
        with pytest.raises(OutputError, match="another process"):
            record(whole[0], TEXTS[:1], tmp_path)
        found.append(OutputError())

    record(whole[0], TEXTS[:1], tmp_path, progress=twice)
    assert len(found) == 2


def test_a_folder_that_cannot_be_made(whole: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        record(whole[0], TEXTS, tmp_path / "file" / "folder")
