"""A tiny voice is measured against recordings whose figures are known, because it made them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from demo_voice.evaluate import EVALUATION, write_evaluation
from demo_voice.examination import Sights, examine
from demo_voice.hearing import Ears
from demo_voice.material import Material, material_from_dataset
from demo_voice.measures import Interval
from demo_voice.scores import EmotionScores, Evaluation, evaluation_from_file, verdicts
from demo_voice.speaking import Speaker, opened_speaker
from demo_voice.tables import markdown_from_evaluation
from numpy.typing import NDArray

from sambert_trt.calibration.recogniser import Recogniser
from sambert_trt.engines.errors import InputError

TEXT = "你好"
SYLLABLES = (("n_c", "tone3"), ("i_c", "tone3"), ("h_c", "tone3"), ("ao_c", "tone3"))


@dataclass
class Recording:
    """As much of demo_voice.dataset.Utterance as is measured."""

    id: str
    text: str
    emotion: int
    held_out: bool
    ling: NDArray[np.int64]
    duration: NDArray[np.int64]
    mel: NDArray[np.float32]
    audio: NDArray[np.float32]
    f0: NDArray[np.float32]
    voiced: NDArray[np.bool_]


@pytest.fixture(params=["plain", "nsf"])
def speaker(request: pytest.FixtureRequest, tiny_voice: Callable[[str], Path]) -> Iterator[Speaker]:
    with opened_speaker(tiny_voice(request.param), 1) as found:
        yield found


def ling_of(speaker: Speaker) -> NDArray[np.int64]:
    """Two syllables and the final break."""
    units = speaker.manifest.units
    flags, places = ("s_begin", "s_end") * 2, ("word_begin", *["word_middle"] * 2, "word_end")
    rows = [(*SYLLABLES[i], flags[i], places[i]) for i in range(4)]
    rows.append(("#4", "tone_none", "s_none", "word_none"))
    return np.array(
        [[units[name].index(unit) for name, unit in zip(units, row, strict=True)] for row in rows]
    )


def recording(speaker: Speaker, durations: Sequence[int]) -> Recording:
    """What the voice itself says in these durations."""
    ling, frames = ling_of(speaker), np.array(durations, np.int64)
    spoken = speaker.spoken(ling, "neutral", frames)
    count = int(frames.sum())
    return Recording("a", TEXT, 0, True, ling, frames, spoken.mel, spoken.wave,
                     np.full(count, 200, np.float32), np.ones(count, np.bool_))  # fmt: skip


def material(speaker: Speaker, *sentences: Recording, shifted: Recording | None = None) -> Material:
    manifest = speaker.manifest
    others: dict[str, Any] = {"happy": [shifted] * len(sentences)}
    return Material(
        manifest.sample_rate, manifest.hop, "own", list(sentences), {"happy": 1.15}, others
    )  # type: ignore[arg-type]


class Always:
    """A transcriber that always hears the same."""

    def __init__(self, text: str) -> None:
        self.text = text

    def transcribe(self, wave: NDArray[np.float32]) -> str:
        return self.text


def test_a_voice_that_says_what_was_recorded_makes_no_error(speaker: Speaker) -> None:
    own = speaker.spoken(ling_of(speaker), "neutral").durations
    found, sights = examine(speaker, material(speaker, recording(speaker, own)), Ears())
    assert found.value("mel_error", "timed") == 0
    assert found.value("duration_error", "speech") == 0
    assert found.value("length_ratio", "speech") == 1
    assert found.sentences == 1
    assert sights.mels[0].text == TEXT
    assert np.array_equal(sights.mels[0].ours, sights.mels[0].teacher)


def test_durations_and_mels_that_differ_are_counted(speaker: Speaker) -> None:
    own = speaker.spoken(ling_of(speaker), "neutral").durations
    longer = recording(speaker, [n + 2 for n in own])
    wrong = replace(longer, mel=longer.mel + np.float32(0.25))
    found, _ = examine(speaker, material(speaker, wrong), Ears())
    assert found.value("duration_error", "speech") == 2
    assert found.value("length_ratio", "speech") == own.sum() / (own.sum() + 2 * len(own))
    assert found.value("mel_error", "timed") == pytest.approx(0.25, abs=1e-6)


def test_the_voice_speaks_as_it_does_for_everybody(
    tiny_voice: Callable[[str], Path], speaker: Speaker
) -> None:
    from sambert_trt.runtime import Ids, Style

    ling, trace = ling_of(speaker), dict[str, NDArray[Any]]()
    said = speaker._voice.say(ids=Ids(ling), style=Style(emotion="happy"), trace=trace)
    spoken = speaker.spoken(ling, "happy")
    assert np.array_equal(spoken.wave, said.samples)
    assert np.array_equal(spoken.durations, trace["0/durations"])
    mel = trace["0/mel_final"]
    channels = speaker.manifest.mel_channels
    assert np.array_equal(spoken.mel, mel[:, :channels])
    # the vocoder by itself makes the same of the same features
    rest = mel[:, channels:] if mel.shape[1] > channels else np.zeros((len(mel), 2), np.float32)
    copy = speaker.copied(mel[:, :channels], rest[:, 0], rest[:, 1] > 0)
    assert np.allclose(copy, said.samples, atol=1e-6)


def test_rate_and_pitch_of_an_emotion_are_against_neutral(speaker: Speaker) -> None:
    ling = ling_of(speaker)
    plain, happy = (speaker.spoken(ling, name).durations for name in ("neutral", "happy"))
    teacher = recording(speaker, [10, 10, 10, 10, 4])
    faster = replace(recording(speaker, [8, 8, 8, 8, 9]), emotion=1)
    found, sights = examine(speaker, material(speaker, teacher, shifted=faster), Ears())
    figures = found.emotions["happy"].figures
    change = figures["rate_change"]
    assert change["teacher"].value == pytest.approx(0.25)  # the break's 9 frames are no speech
    assert change["speech"].value == pytest.approx(plain[:4].sum() / happy[:4].sum() - 1)
    seconds = 40 * speaker.manifest.hop / speaker.manifest.sample_rate
    assert found.value("speaking_rate", "teacher") == pytest.approx(2 / seconds)
    assert set(sights.pitches) == {"neutral", "happy"}


def test_what_is_heard_is_kept_by_what_was_listened_to(speaker: Speaker) -> None:
    ears = Ears(Recogniser(Always("你号")), lambda wave: 3.5, {"other": "is not there"})
    sentence = recording(speaker, [6, 6, 6, 6, 0])
    found, _ = examine(speaker, material(speaker, sentence), ears)
    assert set(found.figures["syllable_error"]) == {"speech", "text", "copy", "teacher"}
    assert found.value("syllable_error", "speech") == 0
    assert found.value("toned_error", "teacher") == 0.5
    assert found.value("naturalness", "copy") == 3.5
    assert found.heard[0]["speech"] == "你号"
    assert found.missing == {"other": "is not there"}
    assert found.emotions["happy"].figures["syllable_error"]["speech"].value == 0


def test_an_evaluation_names_the_checkpoints_it_is_of(
    tiny_voice: Callable[[str], Path], tiny_source: Callable[[str], Path]
) -> None:
    with opened_speaker(tiny_voice("plain"), 1) as speaker:
        found, _ = examine(speaker, material(speaker, recording(speaker, [6] * 5)), Ears())
    folder = tiny_source("plain")
    assert found.checkpoints == {
        part: hashlib.sha256((folder / part / "ckpt/checkpoint_0.pth").read_bytes()).hexdigest()
        for part in ("am", "voc")
    }


def test_a_voice_of_another_rate_is_refused(speaker: Speaker) -> None:
    other = replace(material(speaker, recording(speaker, [6] * 5)), rate=16000)
    with pytest.raises(InputError, match=r"8000 Hz .* 16000 Hz .*prepare a dataset"):
        examine(speaker, other, Ears())


@dataclass
class Shelf:
    """As much of demo_voice.dataset.Dataset as is read."""

    rows: list[Any]
    pitch: dict[str, float] = field(default_factory=lambda: {"happy": 1.15, "neutral": 1.0})

    @property
    def settings(self) -> SimpleNamespace:
        emotions = [SimpleNamespace(name=name, pitch=p) for name, p in self.pitch.items()]
        return SimpleNamespace(
            emotions=emotions, sampling_rate=16000, hop=200, attribution="somebody"
        )

    @property
    def held_out(self) -> list[bool]:
        return [row.held_out for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> SimpleNamespace:
        found: SimpleNamespace = self.rows[index]
        return found


def row(text: str, emotion: int, *, held_out: bool = True) -> SimpleNamespace:
    return SimpleNamespace(text=text, emotion=emotion, held_out=held_out)


def test_only_held_out_sentences_are_measured_each_beside_its_shifted_copy() -> None:
    rows = [row("trained", 1, held_out=False), row("b", 1), row("b", 0), row("a", 0), row("c", 1)]
    found = material_from_dataset(Shelf(rows), 100)  # type: ignore[arg-type]
    assert [one.text for one in found.neutral] == ["b", "c"]
    assert found.plain == "neutral"
    assert found.pitch == {"happy": 1.15}
    assert found.shifted == {"happy": [rows[2], None]}


def test_fewer_sentences_are_spread_over_the_dataset() -> None:
    shelf = Shelf([row(str(i), 1) for i in range(10)])
    found = material_from_dataset(shelf, 3)  # type: ignore[arg-type]
    assert [one.text for one in found.neutral] == ["0", "3", "6"]


@pytest.mark.parametrize(
    ("shelf", "sentences", "message"),
    [
        (Shelf([row("a", 1)]), 0, "0 sentences asked for"),
        (Shelf([row("a", 1, held_out=False)]), 9, "no sentence out of training"),
        (Shelf([row("a", 0)], {"happy": 1.15}), 9, "emotions happy, none of them unshifted"),
    ],
)
def test_a_dataset_that_cannot_measure(shelf: Shelf, sentences: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        material_from_dataset(shelf, sentences)  # type: ignore[arg-type]


def one(value: float) -> Interval:
    return Interval(value, value, value, 1)


def evaluation(**figures: float) -> Evaluation:
    """Figures of free speech, and an emotion that is lower and slower."""
    sad = {"pitch_shift": {"speech": one(-2.5)}, "rate_change": {"speech": one(-0.05)}}
    return Evaluation(
        "voice",
        {"am": "a" * 64, "voc": "b" * 64},
        "somebody",
        2,
        {name: {"speech": one(value)} for name, value in figures.items()},
        {"sad": EmotionScores(0.87, sad)},
    )


def test_targets_of_an_emotion_count_in_its_own_direction() -> None:
    found = {
        (verdict.emotion, verdict.target.measure): verdict.reached
        for verdict in verdicts(evaluation(syllable_error=0.1))
    }
    assert found == {
        ("", "syllable_error"): True,
        ("", "naturalness"): False,  # not measured
        ("sad", "pitch_shift"): True,
        ("sad", "rate_change"): False,
    }


def test_the_page_says_what_was_reached_missed_and_not_measured() -> None:
    page = markdown_from_evaluation(evaluation(syllable_error=0.1234), ["mels.png"])
    assert "| syllables heard wrongly | at most 10.0 % | 12.3 % | missed |" in page
    assert "| naturalness, DistillMOS, 1 to 5 | at least 2.50 | - | not measured |" in page
    assert "| sad: mean pitch against neutral, semitones |" in page
    assert "2.50 | reached |" in page
    assert "![mels.png](mels.png)" in page


def test_an_evaluation_is_read_as_it_was_written(tmp_path: Path) -> None:
    wanted = evaluation(syllable_error=0.1)
    out = tmp_path / "new" / "quality"
    write_evaluation(out, wanted, Sights(), [])
    assert evaluation_from_file(out / EVALUATION) == wanted
    assert sorted(path.name for path in out.iterdir()) == [
        EVALUATION, "evaluation.md", "mels.png", "pitch.png",
    ]  # fmt: skip


def test_losses_of_a_training_are_drawn_beside(tmp_path: Path) -> None:
    run = tmp_path / "am"
    run.mkdir()
    with pytest.raises(InputError, match="am holds no losses"):
        write_evaluation(tmp_path / "out", evaluation(), Sights(), [run])
    assert not (tmp_path / "out" / EVALUATION).exists()
    lines = [{"step": n, "seconds": n, "lr": 1.0, "mel": 1 / n} for n in range(1, 9)]
    (run / "losses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_evaluation(tmp_path / "out", evaluation(), Sights(), [run])
    assert (tmp_path / "out" / "losses-am.png").read_bytes().startswith(b"\x89PNG")
    assert "losses-am.png" in (tmp_path / "out" / "evaluation.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON"), ("[]", "schema None"), ('{"schema": 2}', "schema 2, needs 1"),
     ('{"schema": 1}', "is no evaluation"),
     ('{"schema": 1, "figures": {"a": {"speech": {"value": 1}}}}', "is no evaluation")],
)  # fmt: skip
def test_what_is_no_evaluation_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / EVALUATION
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        evaluation_from_file(path)


def test_a_missing_evaluation_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"evaluation\.json cannot be read"):
        evaluation_from_file(tmp_path / EVALUATION)


def corpus_recording(corpus: Path, number: int) -> Recording:
    """A sentence of the corpus; its features are left empty."""
    import soundfile

    from sambert_trt.export.phone_sets import vocabulary
    from sambert_trt.runtime.text.symbols import (
        LINGUISTIC_FIELDS,
        ids_from_sentence,
        sentence_from_symbols,
    )

    with np.load(corpus / "durations.npz") as file:
        facts = {name: file[name][number] for name in ("id", "text", "symbols", "start_sample")}
        ends = np.cumsum(file["length"])
        durations = file["duration"][ends[number] - file["length"][number] : ends[number]]
    terms = vocabulary("PinYin", ["F7"])
    sentence = sentence_from_symbols(str(facts["symbols"]), LINGUISTIC_FIELDS)
    ling = np.array(ids_from_sentence(sentence, terms.units, terms.emotions, terms.speakers)[0])
    audio, _ = soundfile.read(corpus / "audio" / f"{facts['id']}.ogg", dtype="float32")
    frames, start = int(durations.sum()), int(facts["start_sample"])
    return Recording(
        str(facts["id"]), str(facts["text"]), 0, True, ling, durations.astype(np.int64),
        np.zeros((frames, 80), np.float32), audio[start : start + 200 * frames],
        np.full(frames, 200, np.float32), np.zeros(frames, np.bool_),
    )  # fmt: skip


def test_the_demo_voice_follows_the_melody_and_the_rhythm_of_recordings(
    shared: Path, demo_voice: Path
) -> None:
    corpus = shared / "corpus" / "hsk"
    if not corpus.is_dir():
        pytest.skip("the corpus is not at ../shared/corpus/hsk")
    sentences = [corpus_recording(corpus, number) for number in (0, 1, 3)]
    with opened_speaker(demo_voice, 1) as speaker:
        found, _ = examine(speaker, replace(material(speaker, *sentences), pitch={}), Ears())
    melody, ratio = found.value("f0_correlation", "timed"), found.value("length_ratio", "speech")
    wrong = found.value("duration_error", "speech")
    assert melody is not None
    assert melody > 0.4
    assert ratio == pytest.approx(1, abs=0.15)
    assert wrong is not None
    assert wrong < 2.5
