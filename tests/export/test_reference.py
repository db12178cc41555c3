"""The torch reference against the original's arrays, inner layers included, for every container."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import voices
from numpy.typing import NDArray

from sambert_trt.export.source import voice_source_from_files, voice_sources_from_path
from sambert_trt.runtime.ids import Ids
from sambert_trt.runtime.stream import OFFLINE
from sambert_trt.runtime.voice import Voice

torch = pytest.importorskip("torch")

from sambert_trt.export.reference import Conditioning, Reference  # noqa: E402
from sambert_trt.export.voice_export import LoadedVoice, load_voice  # noqa: E402

pytestmark = pytest.mark.export


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


Loaded = Callable[[Path], LoadedVoice]


def conditioning(arrays: voices.Arrays) -> Conditioning:
    speaker = arrays["spk"].astype(np.int64) if "spk" in arrays else None
    return Conditioning(arrays["ling"].astype(np.int64), arrays["emo"].astype(np.int64), speaker)


def arrays_of(file: Any, case: str) -> voices.Arrays:  # noqa: ANN401 - an open npz file
    names = [key for key in file.files if key.startswith(f"{case}/")]
    return {name.partition("/")[2]: file[name] for name in names}


def spoken(voice: LoadedVoice, expected: voices.Arrays) -> voices.Arrays:
    steps = voice.reference().steps(conditioning(expected))
    return {name: np.asarray(array) for name, array in steps}


@pytest.mark.parametrize(("voice", "case"), voices.GOLDEN_CASES)
def test_the_reference_is_the_original(shared: Path, loaded: Loaded, voice: str, case: str) -> None:
    folder = shared / "golden" / voice
    expected = arrays_of(np.load(folder / "expected.npz"), case)
    read = loaded(folder)
    found = spoken(read, expected)
    if read.settings.sambert.se:
        config = read.settings.sambert
        first = config.outputs_per_step * config.encoder_projection_units
        if "memory_first_step" in expected:
            assert np.abs(found["memory"][0] - expected["memory_first_step"]).max() <= 2e-5
        found["memory"] = np.delete(found["memory"], np.s_[first : first + 192], axis=1)
    names = set(found) & set(expected) - {"wav", "excitation"}
    assert len(names) >= 9
    wanted = {name: expected[name] for name in names}
    assert voices.beyond(found, wanted) == {}
    assert found["wav"].shape == expected["wav"].shape
    end_to_end = 5e-3 if read.f0 else 1e-5
    assert np.abs(found["wav"] - expected["wav"]).max() <= end_to_end


@pytest.mark.parametrize("voice", ["v2_nsf16k_mvn", "v3_nsf24k_mvn", "v4_se_nsfglobal16k"])
@pytest.mark.parametrize("case", ["u1", "u4"])
def test_the_reference_vocoder_from_the_stored_mel(
    shared: Path, loaded: Loaded, voice: str, case: str
) -> None:
    folder = shared / "golden" / voice
    expected = arrays_of(np.load(folder / "expected.npz"), case)
    reference = loaded(folder).reference()
    mel = torch.from_numpy(expected["mel_final"])
    with torch.no_grad():
        excitation = reference.excitation(mel, None)
        assert excitation is not None
        assert reference.generator is not None
        wave = reference.generator(mel[:, :80].t()[None], excitation)[0, 0].numpy()
    if "excitation" in expected:
        assert np.abs(excitation[0, 0].numpy() - expected["excitation"]).max() <= 1e-5
    assert np.abs(wave - expected["wav"]).max() <= 1e-5


class Recorder:
    """Outputs of modules by name, as often as they are called."""

    def __init__(self) -> None:
        self.calls: dict[str, list[NDArray[Any]]] = {}

    def hook(self, name: str, module: Any, *, first: bool = False) -> None:  # noqa: ANN401
        """Records what a module returns (or the first of what it returns)."""

        def record(_module: object, _inputs: object, output: Any) -> None:  # noqa: ANN401
            value = output[0] if first else output
            self.calls.setdefault(name, []).append(value.detach().numpy().copy())

        module.register_forward_hook(record)

    def rows(self, name: str) -> NDArray[Any]:
        """All calls of a module one below the other."""
        return np.concatenate([call.reshape(-1, call.shape[-1]) for call in self.calls[name]])


@pytest.mark.parametrize("voice", list(voices.GOLDEN))
@pytest.mark.parametrize("case", ["u1", "u2"])
def test_inner_layers(shared: Path, loaded: Loaded, voice: str, case: str) -> None:
    folder = shared / "golden" / voice
    trace = arrays_of(np.load(folder / "trace.npz"), case)
    expected = arrays_of(np.load(folder / "expected.npz"), case)
    read = copy.deepcopy(loaded(folder))
    model, generator, recorder = read.model, read.generator, Recorder()
    encoder, adaptor, decoder = (
        model.text_encoder.ling_enc,
        model.variance_adaptor,
        model.mel_decoder.mel_dec,
    )
    modules = {
        "am_enc_ln": encoder.ln,
        "am_pitch_fsmn": adaptor.pitch_predictor.fsmn,
        "am_dec_prenet": decoder.prenet,
        "am_dec_inproj": decoder.dec_in_proj,
        "am_dec_out": decoder.dec_out_proj,
        "am_post_fsmn": model.mel_postnet.fsmn,
        "voc_pre": generator.conv_pre,
        **{f"am_enc{i}": block for i, block in enumerate(encoder.fft)},
        **{f"am_dec{i}": block.pos_ffn for i, block in enumerate(decoder.pnca)},
    }
    for name, module in modules.items():
        recorder.hook(name, module)
    recorder.hook("am_pitch_blstm", adaptor.pitch_predictor.blstm, first=True)
    stages = range(len(generator.config.upsample_scales))
    for stage in stages:
        recorder.hook(f"voc_rep{stage}", generator.repeat_upsamples[stage].get_submodule("2"))
        recorder.hook(f"voc_up{stage}", generator.transpose_upsamples[stage].get_submodule("1"))
        if generator.config.nsf is not None:
            recorder.hook(f"voc_src{stage}", generator.source_downs[stage])
    for index, block in enumerate(generator.conv_blocks):
        recorder.hook(f"block{index}", block)
    steps = spoken(read, expected)
    vocode(read, expected.get("mel_final", steps["mel_final"]))
    count = len(generator.config.resblock_kernel_sizes)
    for stage in stages:
        of_stage = [recorder.calls[f"block{stage * count + i}"][-1] for i in range(count)]
        recorder.calls[f"voc_stage{stage}"] = [np.mean(of_stage, axis=0)]
    compared = sorted(set(trace) & set(recorder.calls))
    assert len(compared) >= 12 + 3 * len(stages)
    for name in compared:
        vocoder = name.startswith("voc_")
        found = recorder.calls[name][-1][0] if vocoder else recorder.rows(name)
        wanted = trace[name]
        count = min(len(found), len(wanted))
        assert count >= (len(steps["mel_final"]) if name == "am_post_fsmn" else len(wanted)), name
        columns = min(found.shape[1], wanted.shape[1])
        gap = np.abs(found[:count, :columns] - wanted[:count, :columns]).max()
        assert gap <= 2e-5 * scale(wanted), name


def vocode(read: LoadedVoice, mel: NDArray[Any]) -> None:
    """The vocoder alone, from a mel that another implementation computed."""
    reference, frames = read.reference(), torch.from_numpy(mel)
    with torch.no_grad():
        excitation = reference.excitation(frames, None)
        read.generator(frames[:, : read.generator.config.in_channels].t()[None], excitation)


def scale(array: NDArray[Any]) -> float:
    return max(1.0, float(np.abs(array).max()))


CONTAINERS = [
    ("extras/legacy_am_pytorch_model.bin", "extras/legacy_vocoder_pytorch_model.bin"),
    ("extras/legacy_am_plain_pickle.bin", "extras/voc_folded.pth"),
    ("extras/am_nonzip.pth", "extras/voc_parametrizations.pth"),
    ("extras/multi_ckpt/checkpoint_10.pth", "v1_plain16k/voc/ckpt/checkpoint_0.pth"),
]


@pytest.mark.parametrize(("acoustic", "vocoder"), CONTAINERS)
def test_every_container_speaks_as_v1(shared: Path, acoustic: str, vocoder: str) -> None:
    folder = shared / "golden/v1_plain16k"
    source = voice_source_from_files(
        am_config=folder / "am/config.yaml",
        am_checkpoint=shared / "golden" / acoustic,
        voc_config=folder / "voc/config.yaml",
        voc_checkpoint=shared / "golden" / vocoder,
        audio_config=folder / "audio_config.yaml",
        name="v1",
    )
    expected = arrays_of(np.load(folder / "expected.npz"), "u2")
    found = spoken(load_voice(source), expected)
    assert np.array_equal(found["durations"], expected["durations"])
    assert np.abs(found["wav"] - expected["wav"]).max() <= 1e-5


def test_a_repository_of_two_voices(shared: Path) -> None:
    extras = shared / "golden/extras"
    alpha, beta = map(load_voice, voice_sources_from_path(extras / "modelrepo_nomask"))
    expected = arrays_of(np.load(shared / "golden/v1_plain16k/expected.npz"), "u2")
    found = spoken(alpha, expected)
    assert np.abs(found["wav"] - expected["wav"]).max() <= 1e-5
    file = np.load(extras / "modelrepo_nomask_beta_u2.npz")
    moved = {name.rpartition("/")[2]: file[name] for name in file.files}
    other = spoken(beta, expected)
    assert set(moved) == {"wav", "postnet_outputs"}
    frames = len(moved["postnet_outputs"])
    other["postnet_outputs"] = other["postnet_outputs"][:frames]
    assert voices.beyond(other, moved) == {}
    assert np.abs(other["postnet_outputs"] - found["postnet_outputs"][:frames]).max() > 1e-3


LENGTHS = [
    *((variant, count) for variant in ("plain", "nsf", "odd") for count in (1, 2, 37, 150, 400)),
    *((variant, 60) for variant in ("se", "five", "byte", "fp")),
]


@pytest.mark.parametrize(("variant", "count"), LENGTHS)
def test_the_runtime_is_the_reference_at_any_length(
    tiny_source: Callable[[str], Path],
    tiny_voice: Callable[[str], Path],
    opened: Callable[[Path], Voice],
    loaded: Loaded,
    variant: str,
    count: int,
) -> None:
    compare(opened(tiny_voice(variant)), loaded(tiny_source(variant)), count)


@pytest.mark.parametrize("count", [1, 9, 100, pytest.param(400, marks=pytest.mark.slow)])
def test_the_demo_voice_at_any_length(
    root: Path,
    demo_voice: Path,
    opened: Callable[[Path], Voice],
    loaded: Loaded,
    count: int,
) -> None:
    compare(opened(demo_voice), loaded(root / "scripts/demo_voice/voice"), count)


def compare(voice: Voice, read: LoadedVoice, count: int) -> None:
    trace: voices.Arrays = {}
    line = voices.symbol_line(
        voice.manifest.units, count, seed=count, speakers=(voice.manifest.default_speaker or "F7",)
    )
    voice.say(symbols=line, seed=None, trace=trace)
    found = {name.partition("/")[2]: array for name, array in trace.items()}
    expected = spoken(read, found)
    assert set(expected) <= set(found)
    if not expected["durations"].any():
        assert "wav" not in found
        return
    waves = [arrays.pop("wav") for arrays in (found, expected)]
    expected.pop("excitation", None)
    assert voices.beyond(found, expected) == {}
    assert waves[0].shape == waves[1].shape
    assert np.abs(waves[0] - waves[1]).max() <= (5e-3 if read.f0 else 1e-5)


@pytest.mark.parametrize("speed", [0.25, 0.5, 3.0])
def test_a_slow_voice_is_the_reference_with_the_same_durations(
    tiny_source: Callable[[str], Path],
    tiny_voice: Callable[[str], Path],
    opened: Callable[[Path], Voice],
    loaded: Loaded,
    speed: float,
) -> None:
    """Stretched symbols widen the band; memory and frames stay those of the original's formulas."""
    from sambert_trt.runtime.styles import Style

    voice, read = opened(tiny_voice("odd")), loaded(tiny_source("odd"))
    trace: voices.Arrays = {}
    line = voices.symbol_line(voice.manifest.units, 25)
    voice.say(symbols=line, style=Style(speed=speed), trace=trace, policy=OFFLINE)
    usual: voices.Arrays = {}
    voice.say(symbols=line, trace=usual)
    if speed < 0.5:
        assert trace["0/x_band_width"] > usual["0/x_band_width"]
    reference, model = read.reference(), read.model
    with torch.no_grad():
        ids = conditioning({n: trace[f"0/{n}"] for n in ("ling", "emo", "spk")})
        text = model.text_encoder(torch.from_numpy(ids.ling))
        emotion = model.emo_tokenizer(torch.from_numpy(ids.emotion))
        speaker = reference.speaker_rows(ids, len(text))
        _, _, text = reference.prosody(text, speaker, emotion)
        durations = torch.from_numpy(trace["0/durations"])
        memory = reference.memory(text, speaker, emotion, durations)
        frames = int(durations.sum())
        decoded = reference.decode(memory, int(trace["0/x_band_width"]))
        decoded[frames:] = 0
        mel = decoded[:frames] + model.mel_postnet(decoded[:frames])
    assert np.abs(memory.numpy() - trace["0/memory"]).max() <= 2e-5
    assert np.abs(decoded.numpy() - trace["0/dec_outputs"]).max() <= 5e-5
    assert np.abs(mel.numpy() - trace["0/mel_final"]).max() <= 5e-5


def test_a_reference_without_a_vocoder_stops_after_the_mel(
    tiny_source: Callable[[str], Path], loaded: Loaded
) -> None:
    read = loaded(tiny_source("plain"))
    ids = Conditioning(np.zeros((3, 4), np.int64), np.zeros(3, np.int64), np.zeros(3, np.int64))
    names = [name for name, _ in Reference(read.model).steps(ids)]
    assert names[-1] == "mel_final"


def test_noise_of_the_reference_belongs_to_its_generator(
    tiny_source: Callable[[str], Path], loaded: Loaded
) -> None:
    read = loaded(tiny_source("nsf"))
    ids = Conditioning(np.ones((3, 4), np.int64), np.ones(3, np.int64), np.ones(3, np.int64))

    def wave(seed: int | None) -> NDArray[Any]:
        noise = None if seed is None else np.random.default_rng(seed)
        return np.asarray(dict(read.reference().steps(ids, noise=noise))["wav"])

    assert np.array_equal(wave(1), wave(1))
    assert np.abs(wave(1) - wave(2)).max() > 1e-3
    assert np.abs(wave(1) - wave(None)).max() > 1e-3


def test_the_runtime_draws_the_noise_the_reference_draws(
    tiny_source: Callable[[str], Path],
    tiny_voice: Callable[[str], Path],
    opened: Callable[[Path], Voice],
    loaded: Loaded,
) -> None:
    voice, read = opened(tiny_voice("nsf")), loaded(tiny_source("nsf"))
    trace: voices.Arrays = {}
    units = np.ones((8, 4), np.int64)
    audio = voice.say(ids=Ids(units), seed=7, trace=trace)
    arrays = {name.partition("/")[2]: array for name, array in trace.items()}
    noise = np.random.default_rng((7, 0))
    found = dict(read.reference().steps(conditioning(arrays), noise=noise))
    assert np.abs(audio.samples - found["wav"]).max() <= 5e-3


def test_every_case_has_its_arrays(shared: Path) -> None:
    for voice, count in voices.GOLDEN.items():
        folder = shared / "golden" / voice
        cases = json.loads((folder / "cases.json").read_text(encoding="utf-8"))["cases"]
        assert [case["id"] for case in cases] == [f"u{i}" for i in range(count)], voice
