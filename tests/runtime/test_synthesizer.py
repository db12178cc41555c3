"""Every array of every reference voice, from symbols to samples, without torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import voices
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.graphs import Stage
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.runtime.audio import int16_from_float
from sambert_trt.runtime.excitation import Excitation, denormalised
from sambert_trt.runtime.length import length_plan
from sambert_trt.runtime.stream import OFFLINE, ChunkPolicy, VocoderWindow
from sambert_trt.runtime.styles import Style
from sambert_trt.runtime.synthesizer import Predicted, Synthesizer
from sambert_trt.runtime.text.sentence import Sentence, Symbol
from sambert_trt.runtime.text.symbols import fields_from_units, sentence_from_symbols
from sambert_trt.runtime.voice import Voice, open_voice

WHOLE = ChunkPolicy(first=900, growth=1.0, most=900)
Opened = Callable[[Path], Voice]


def spoken(voice: Voice, line: str, style: Style | None = None) -> voices.Arrays:
    """Every array of a line under its reference name, all random parts zero."""
    synthesizer, manifest = voice.synthesizer, voice.manifest
    style = style or Style()
    sentence = sentence_from_symbols(line, fields_from_units(manifest.units))
    prepared = synthesizer.prepare(sentence, style)
    encoded = synthesizer.encode(prepared)
    predicted = synthesizer.predict(encoded, style)
    plan = synthesizer.regulate(encoded, predicted, style)
    stream = synthesizer.begin(plan, None)
    samples = [synthesizer.vocode(window) for window in stream.windows(OFFLINE)]
    vectors = prepared.conditioning
    width, r = manifest.projection_width, manifest.frames_per_step
    text = plan.memory[:, : r * width].reshape(-1, width)
    bare, speaker, emotion = (
        np.pad(np.repeat(rows, plan.durations, axis=0), ((0, len(text) - plan.frames), (0, 0)))
        for rows in (predicted.text, encoded.speaker, encoded.emotion)
    )
    found: voices.Arrays = {
        "ling": prepared.ids,
        "text_hid": encoded.text_hid,
        "text_hid_after_fp": encoded.text,
        "inter_length": np.array([len(encoded.text)]),
        "emo_hid": encoded.emotion,
        "spk_hid": encoded.speaker,
        "pitch": predicted.pitch,
        "energy": predicted.energy,
        "log_durations": predicted.log_durations,
        "durations": plan.durations,
        "memory": plan.memory,
        "memory_first_step": plan.memory[0],
        "lr_text": text,
        "lr_text_nopos": bare,
        "dur_pos": text - bare,
        "lr_spk": speaker,
        "lr_emo": emotion,
        "lr_length": np.array([plan.frames]),
        "x_band_width": np.array(plan.band),
        "h_band_width": np.array(plan.band),
        "wav": np.concatenate(samples),
    }
    found |= {name: array for name, array in stream.arrays().items() if array is not None}
    if vectors.emotion_ids is not None:
        found["emo"] = vectors.emotion_ids
    if vectors.speaker_ids is not None:
        found["spk"] = vectors.speaker_ids
    if manifest.filled_pauses:
        found |= pauses_of(voice, prepared.ids)
    return found


def pauses_of(voice: Voice, ids: NDArray[np.int64]) -> voices.Arrays:
    """Probabilities of the filled pauses, and what each of them is encoded as."""
    session = voice.synthesizer._sessions[Stage.TEXT_ENCODER]
    rows = voice.synthesizer._styles["filled_pauses"]
    names = ("fp_hid_en", "fp_hid_a", "fp_hid_e")
    return {
        "fp_prob": session.run({"ids": ids[None]})["pause_classes"][0],
        **dict(zip(names, rows, strict=True)),
    }


class Golden:
    """The reference arrays of a voice, and the symbols they belong to."""

    def __init__(self, shared: Path, voice: str) -> None:
        folder = shared / "golden" / voice
        cases = json.loads((folder / "cases.json").read_text(encoding="utf-8"))["cases"]
        self.symbols = {case["id"]: case["symbols"] for case in cases}
        self._file = np.load(folder / "expected.npz")

    def arrays(self, case: str) -> voices.Arrays:
        """A case's arrays by name."""
        names = [key for key in self._file.files if key.startswith(f"{case}/")]
        return {name.partition("/")[2]: self._file[name] for name in names}


def comparable(expected: voices.Arrays, found: voices.Arrays) -> voices.Arrays:
    """The arrays that are compared as they are; the caller compares the others."""
    wanted = {
        name: array
        for name, array in expected.items()
        if not name.startswith(("pcm_", "rand_", "har_")) and not name.endswith("_random")
    }
    columns = [found["ling"].T, *(found[n][None] for n in ("emo", "spk") if n in found)]
    rows = np.concatenate(columns)
    assert np.array_equal(wanted.pop("ids_with_eos")[: len(rows), :-1], rows)
    if "mel_final" in wanted:
        del wanted["wav"]
        wanted.pop("excitation", None)
    else:
        wanted["mel_final"] = wanted["postnet_outputs"][: wanted["lr_length"][0]]
    return wanted


def without_speaker(found: voices.Arrays, manifest: VoiceManifest) -> None:
    """The reference leaves the 192 speaker columns of an SE voice out, but for a few rows."""
    first = manifest.projection_width * manifest.frames_per_step
    columns = np.s_[first : first + manifest.speaker_width]
    found["memory"] = np.delete(found["memory"], columns, axis=1)
    found["lr_spk"] = found["lr_spk"][:4]


@pytest.fixture
def golden(shared: Path) -> Callable[[str], Golden]:
    """The reference arrays of a voice by name."""
    return lambda voice: Golden(shared, voice)


@pytest.mark.parametrize(("voice", "case"), voices.GOLDEN_CASES)
def test_every_array_of_the_reference(
    voice: str,
    case: str,
    golden: Callable[[str], Golden],
    golden_voice: Callable[[str], Path],
    opened: Opened,
) -> None:
    reference = golden(voice)
    expected = reference.arrays(case)
    found = spoken(opened(golden_voice(voice)), reference.symbols[case])
    manifest = opened(golden_voice(voice)).manifest
    if manifest.speakers == ("",):
        without_speaker(found, manifest)
    assert voices.beyond(found, comparable(expected, found)) == {}
    if manifest.f0 is not None:
        for name in {"wav", "excitation"} & set(expected):
            assert found[name].shape == expected[name].shape
            assert np.abs(found[name] - expected[name]).max() <= 5e-3
    assert np.abs(found["dec_outputs"]).max() > 0.1


def test_the_16_bit_samples_of_the_reference(shared: Path) -> None:
    for voice in voices.GOLDEN:
        expected = Golden(shared, voice).arrays("u2")
        found = int16_from_float(expected["wav"])
        assert found.dtype == np.int16
        assert np.array_equal(found, expected["pcm_modelscope"]), voice


NSF = ("v2_nsf16k_mvn", "v3_nsf24k_mvn", "v4_se_nsfglobal16k")


@pytest.mark.parametrize("voice", NSF)
@pytest.mark.parametrize("case", [f"u{i}" for i in range(7)])
def test_the_excitation_and_the_wave_of_a_stored_mel(
    voice: str,
    case: str,
    golden: Callable[[str], Golden],
    golden_voice: Callable[[str], Path],
    opened: Opened,
) -> None:
    speaker, expected = opened(golden_voice(voice)), golden(voice).arrays(case)
    mel = expected["mel_final"]
    source = speaker.synthesizer._excitation(None)
    assert source is not None
    excitation = source.chunk(mel[:, -2], mel[:, -1])
    if "excitation" in expected:
        assert np.abs(excitation - expected["excitation"]).max() <= 1e-5
    samples = vocoded(speaker, mel, excitation)
    assert np.abs(samples - expected["wav"]).max() <= 1e-5


@pytest.mark.parametrize("voice", NSF)
@pytest.mark.parametrize("case", ["u1", "u2"])
def test_the_recorded_random_parts(
    voice: str,
    case: str,
    golden: Callable[[str], Golden],
    golden_voice: Callable[[str], Path],
    opened: Opened,
) -> None:
    speaker, expected = opened(golden_voice(voice)), golden(voice).arrays(case)
    manifest, mel = speaker.manifest, expected["mel_final"]
    rule = manifest.f0
    assert rule is not None
    source = speaker.synthesizer._excitation(None)
    assert isinstance(source, Excitation)
    voiced = np.repeat(mel[:, -1], manifest.hop)
    multiples = np.arange(1, rule.harmonics + 2, dtype=np.float32)[:, None]
    step = np.repeat(mel[:, -2] * multiples / np.float32(rule.sampling_rate), manifest.hop, axis=1)
    fraction = np.mod(np.cumsum(step.astype(np.float64), axis=1).astype(np.float32), np.float32(1))
    phase, noise = expected["rand_phase"][:, None], expected["rand_noise"]
    scaled = noise * np.float32(0.003) if np.std(noise) > 0.5 else noise
    excitation = source.mixed(fraction, voiced, phase, scaled)
    assert np.abs(excitation - expected["excitation_random"]).max() <= 1e-5
    samples = vocoded(speaker, mel, excitation)
    assert np.abs(samples - expected["wav_random"]).max() <= 1e-5
    assert np.abs(samples - expected["wav"]).max() > 1e-3


def vocoded(
    voice: Voice, mel: NDArray[np.float32], excitation: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """A whole mel as the vocoder's windows give it, exactly the declared context around each."""
    manifest, pieces = voice.manifest, []
    before, after = manifest.stages[Stage.VOCODER].graph.context
    hop, frames = manifest.hop, len(mel)
    for start in range(0, frames, 300):
        end = min(start + 300, frames)
        first, last = max(start - before, 0), min(end + after, frames)
        part = None if excitation is None else excitation[first * hop : last * hop]
        rows = mel[first:last, : manifest.mel_channels]
        window = VocoderWindow(rows, part, (start - first) * hop, (end - start) * hop)
        pieces.append(voice.synthesizer.vocode(window))
    return np.concatenate(pieces)


REAL_NAMES = [
    "utt0",
    "seg136",
    "seg133",
    "seg259",
    "seg066",
    "seg017",
    "seg188",
    "seg215",
    "seg090",
    "seg206",
    "sent013",
    "sent002",
    "sent023",
    "sent031",
    "sent085",
    "sent092",
    "sent045",
    "sent089",
    "sent006",
    "sent017",
]


@pytest.fixture
def real_arrays(shared: Path) -> Callable[[str], Any]:
    """The arrays of the voice with real weights, by file name."""
    return lambda name: np.load(shared / "real" / "zhitian_emo" / f"{name}.npz")


def real_line(voice: Voice, arrays: Any, name: str) -> str:  # noqa: ANN401
    """The symbols of a sentence given as ids."""
    manifest = voice.manifest
    fields = fields_from_units(manifest.units)
    tables = [*(manifest.units[field] for field in fields), manifest.emotions, manifest.speakers]
    ids = np.column_stack([arrays[f"{name}/inputs_{x}"] for x in ("ling", "emo", "spk")])
    rows = ("$".join(table[i] for table, i in zip(tables, row, strict=True)) for row in ids)
    return " ".join("{" + row + "}" for row in rows)


@pytest.mark.parametrize("name", [*REAL_NAMES, *(f"utt{i}" for i in range(1, 8))])
def test_real_weights_end_to_end(
    name: str, real_arrays: Callable[[str], Any], real_voice: Path, opened: Opened
) -> None:
    arrays, voice = real_arrays("expected_e2e"), opened(real_voice)
    found = decoded(voice, real_line(voice, arrays, name))
    assert np.array_equal(found["durations"], arrays[f"{name}/durations"])
    assert found["band"] == arrays[f"{name}/x_band_width"]
    valid = int(arrays[f"{name}/valid"])
    assert found["postnet"].shape[0] == valid
    for key in ("text_hid", "pitch", "energy", "log_dur"):
        assert np.abs(found[key] - arrays[f"{name}/{key}"]).max() <= 1e-3, key
    for key in ("dec_outputs", "postnet"):
        assert np.abs(found[key][:valid] - arrays[f"{name}/{key}"][:valid]).max() <= 1e-3, key


def decoded(voice: Voice, line: str) -> voices.Arrays:
    """A line as far as the mel."""
    synthesizer = voice.synthesizer
    sentence = sentence_from_symbols(line, fields_from_units(voice.manifest.units))
    encoded = synthesizer.encode(synthesizer.prepare(sentence, Style()))
    predicted = synthesizer.predict(encoded, Style())
    plan = synthesizer.regulate(encoded, predicted, Style())
    stream = synthesizer.begin(plan, None)
    stream.refine_until(plan.frames)
    return {
        "text_hid": encoded.text_hid,
        "pitch": predicted.pitch,
        "energy": predicted.energy,
        "log_dur": predicted.log_durations,
        "durations": plan.durations,
        "band": np.array(plan.band),
        "dec_outputs": stream.decoded,
        "postnet": stream.postnet,
    }


@pytest.mark.parametrize("name", REAL_NAMES)
def test_real_weights_from_real_encodings(
    name: str, real_arrays: Callable[[str], Any], real_voice: Path, opened: Opened
) -> None:
    arrays, voice = real_arrays("expected"), opened(real_voice)
    synthesizer, manifest = voice.synthesizer, voice.manifest
    text, speaker, emotion = np.split(arrays[f"{name}/var_in"], 3, axis=1)
    encoded = encoded_from(text, speaker, emotion)
    predicted = synthesizer.predict(encoded, Style())
    plan = synthesizer.regulate(encoded, predicted, Style())
    assert np.array_equal(plan.durations, arrays[f"{name}/durations"])
    assert plan.band == arrays[f"{name}/x_band_width"]
    assert plan.frames == arrays[f"{name}/valid"]
    stream = synthesizer.begin(plan, None)
    stream.refine_until(plan.frames)
    width = manifest.projection_width * manifest.frames_per_step
    found = {
        "pitch": predicted.pitch,
        "energy": predicted.energy,
        "log_dur": predicted.log_durations,
        "lr_text": plan.memory[:, :width].reshape(-1, manifest.projection_width),
        "memory": plan.memory,
        "dec_raw": stream.decoded,
        "postnet": stream.postnet,
    }
    for key, array in found.items():
        expected = arrays[f"{name}/{key}"][: len(array)]
        rows = plan.frames if key in ("dec_raw", "postnet") else len(array)
        assert np.abs(array[:rows] - expected[:rows]).max() <= 1e-3, key


def encoded_from(
    text: NDArray[np.float32], speaker: NDArray[np.float32], emotion: NDArray[np.float32]
) -> Any:  # noqa: ANN401
    """Encodings from elsewhere in the synthesizer's terms."""
    from sambert_trt.runtime.synthesizer import Encoded

    rows = [np.ascontiguousarray(x, np.float32) for x in (text, speaker, emotion)]
    return Encoded(rows[0], *rows)


def test_a_sentence_longer_than_the_graphs_take(
    tiny_voice: Callable[[str], Path], opened: Opened
) -> None:
    voice = opened(tiny_voice("plain"))
    most = voice.manifest.stages[Stage.TEXT_ENCODER].graph.axes["symbols"].most
    line = voices.symbol_line(voice.manifest.units, most + 1)
    with pytest.raises(InputError, match=f"{most + 1} symbols, this voice takes {most}"):
        spoken(voice, line)


def test_filled_pauses_that_lengthen_a_sentence_beyond_the_graphs(
    tiny_voice: Callable[[str], Path], opened: Opened
) -> None:
    voice = opened(tiny_voice("fp"))
    most = voice.manifest.stages[Stage.PROSODY].graph.axes["symbols"].most
    line = voices.symbol_line(voice.manifest.units, most, seed=3)
    with pytest.raises(InputError, match="with filled pauses the sentence has"):
        spoken(voice, line)


def test_a_sentence_without_symbols(tiny_voice: Callable[[str], Path], opened: Opened) -> None:
    voice = opened(tiny_voice("plain"))
    with pytest.raises(InputError, match="without symbols"):
        voice.synthesizer.prepare(Sentence("", ()), Style())


def test_speed_divides_the_durations(tiny_voice: Callable[[str], Path], opened: Opened) -> None:
    voice = opened(tiny_voice("plain"))
    line = voices.symbol_line(voice.manifest.units, 30)
    usual, slow = spoken(voice, line), spoken(voice, line, Style(speed=0.25))
    fast = spoken(voice, line, Style(speed=2.0))
    exact = np.exp(usual["log_durations"]) - np.float32(1)
    assert np.array_equal(slow["log_durations"], usual["log_durations"])
    for arrays, speed in ((usual, 1.0), (slow, 0.25), (fast, 2.0)):
        assert np.array_equal(
            arrays["durations"], np.floor(exact / np.float32(speed) + np.float32(0.5))
        )
        assert arrays["x_band_width"] == int(exact.max() / speed / 3 + 0.5)
    assert len(slow["wav"]) > 3 * len(usual["wav"])
    assert len(usual["wav"]) > 1.3 * len(fast["wav"])


@pytest.mark.parametrize("shift", [-1.5, 0.25, 3.0])
def test_shifts_move_the_contours_by_exactly_that(
    tiny_voice: Callable[[str], Path], opened: Opened, shift: float
) -> None:
    voice = opened(tiny_voice("plain"))
    line = voices.symbol_line(voice.manifest.units, 20)
    usual = spoken(voice, line)
    higher, louder = (
        spoken(voice, line, Style(pitch=shift)),
        spoken(voice, line, Style(energy=shift)),
    )
    assert np.array_equal(higher["pitch"], usual["pitch"] + np.float32(shift))
    assert np.array_equal(higher["energy"], usual["energy"])
    assert np.array_equal(louder["energy"], usual["energy"] + np.float32(shift))
    assert np.array_equal(louder["pitch"], usual["pitch"])
    assert not np.array_equal(higher["memory"], usual["memory"])
    assert not np.array_equal(louder["memory"], usual["memory"])


def test_a_symbol_longer_than_the_window_of_the_graphs(
    tiny_voice: Callable[[str], Path], opened: Opened
) -> None:
    voice = opened(tiny_voice("plain"))
    synthesizer = voice.synthesizer
    sentence = sentence_from_symbols(
        voices.symbol_line(voice.manifest.units, 4), fields_from_units(voice.manifest.units)
    )
    encoded = synthesizer.encode(synthesizer.prepare(sentence, Style()))
    predicted = synthesizer.predict(encoded, Style())
    logs, r = predicted.log_durations.copy(), voice.manifest.frames_per_step
    most = voice.manifest.stages[Stage.DECODER_STEP].graph.axes["window"].most - 1
    long = Predicted(predicted.pitch, predicted.energy, logs, predicted.text)
    logs[1] = np.log1p(np.float32(most * r + 2))
    plan = synthesizer.regulate(encoded, long, Style())
    assert plan.band == most + 1
    message = f"symbol 2 would last {most * r + 2} frames, .* holds {most * r}: raise the speed"
    with pytest.raises(InputError, match=message):
        synthesizer.begin(plan, None)
    logs[1] = np.log1p(np.float32(most * r))
    stream = synthesizer.begin(synthesizer.regulate(encoded, long, Style()), None)
    stream.decode_until(stream.mel.shape[0])
    assert np.isfinite(stream.decoded).all()


@pytest.mark.parametrize("variant", ["plain", "nsf"])
def test_a_sentence_of_no_frames_is_silent(
    tiny_voice: Callable[[str], Path],
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    variant: str,
) -> None:
    voice = opened(tiny_voice(variant))
    predict = Synthesizer.predict

    def shortened(self: Synthesizer, *arguments: Any) -> Predicted:  # noqa: ANN401
        found = predict(self, *arguments)
        zero = np.zeros_like(found.log_durations)
        return Predicted(found.pitch, found.energy, zero, found.text)

    monkeypatch.setattr(Synthesizer, "predict", shortened)
    trace: voices.Arrays = {}
    audio = voice.say(symbols=voices.symbol_line(voice.manifest.units, 3), trace=trace)
    assert audio.seconds == 0
    assert trace["0/durations"].tolist() == [0, 0, 0]
    assert "0/wav" not in trace


def test_emotion_and_speaker_of_a_symbol_decide_only_for_it(
    tiny_voice: Callable[[str], Path], opened: Opened
) -> None:
    voice = opened(tiny_voice("plain"))
    fields = fields_from_units(voice.manifest.units)
    units = [
        s.units
        for s in sentence_from_symbols(voices.symbol_line(voice.manifest.units, 3), fields).symbols
    ]
    symbols = (Symbol(units[0], "happy", "M7"), Symbol(units[1]), Symbol(units[2], "emotion_sad"))
    vectors = voice.synthesizer.prepare(Sentence("", symbols), Style()).conditioning
    names = voice.manifest
    assert vectors.emotion_ids is not None
    assert vectors.speaker_ids is not None
    assert [names.emotions[i] for i in vectors.emotion_ids] == [
        "emotion_happy",
        "emotion_neutral",
        "emotion_sad",
    ]
    assert [names.speakers[i] for i in vectors.speaker_ids] == ["M7", "F7", "F7"]


def test_the_runtime_denormalises_as_the_manifest_says(
    tiny_voice: Callable[[str], Path], opened: Opened
) -> None:
    rule = opened(tiny_voice("nsf")).manifest.f0
    assert rule is not None
    mel = np.array([[1.0, 0.5, 0.6], [2.0, -9.0, 0.5999]], np.float32)
    found = denormalised(mel, rule)
    assert found[:, 0].tolist() == [1.0, 2.0]
    assert found[:, 1] == pytest.approx([0.5 * 60.25 + 210.5, 30.0])
    assert found[:, 2].tolist() == [1.0, 0.0]
    assert denormalised(mel, None) is mel


def test_length_plans_of_a_voice_are_those_of_the_function(
    tiny_voice: Callable[[str], Path], opened: Opened
) -> None:
    """The voice hands its own timescales and r on: other ones give another memory."""
    voice = opened(tiny_voice("odd"))
    found = spoken(voice, voices.symbol_line(voice.manifest.units, 7))
    scales = voice.synthesizer._styles["duration_timescales"]
    text = np.zeros((7, voice.manifest.projection_width), np.float32)
    other = np.zeros((7, 1), np.float32)
    plan = length_plan(found["log_durations"], text, other, other, scales, frames_per_step=5)
    width = 5 * voice.manifest.projection_width
    codes = plan.memory[:, :width].reshape(-1, voice.manifest.projection_width)
    assert np.abs(codes - found["dur_pos"]).max() < 1e-6


def test_a_voice_is_opened_with_one_thread_as_with_four(
    tiny_voice: Callable[[str], Path], opened: Opened
) -> None:
    directory = tiny_voice("nsf")
    line = voices.symbol_line(opened(directory).manifest.units, 12)
    with open_voice(directory, threads=1) as one, open_voice(directory, threads=4) as four:
        first, second = one.say(symbols=line), four.say(symbols=line)
    assert np.array_equal(first.samples, second.samples)
