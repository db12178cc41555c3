"""Reading a corpus: what is wrong with it is named, with its file and id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from demo_voice.corpus import corpus_from_folder, read_wave
from demo_voice.mel import MelRecipe
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError

Arrays = dict[str, Any]


def changed(folder: Path, change: Callable[[Arrays], None]) -> None:
    """Changes durations.npz."""
    with np.load(folder / "durations.npz") as file:
        arrays = dict(file)
    change(arrays)
    np.savez(folder / "durations.npz", **arrays)


def test_sentences_come_in_the_order_of_the_list_with_ids_of_the_voice(made_corpus: Path) -> None:
    corpus = corpus_from_folder(made_corpus, "F7")
    first = corpus.sentences[0]
    assert corpus.problems == ()
    assert [one.id for one in corpus.sentences] == ["one-0001", "one-0002", "one-0003"]
    assert [one.index for one in corpus.sentences] == [1, 2, 43]
    assert first.ling[:, 0].tolist() == [34, 17, 16, 4, 143]  # n_c i_c h_c ao_c #4
    assert first.ling[:, 1].tolist() == [4, 4, 4, 4, 1]
    assert first.ling[:, 3].tolist() == [0, 2, 2, 1, 4]
    assert (first.frames, first.start) == (48, 800)


def set_value(name: str, row: int, value: object) -> Callable[[Arrays], None]:
    """A change of one value."""

    def change(arrays: Arrays) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][row] = value

    return change


def with_tone_nine(arrays: Arrays) -> None:
    """The second sentence has a tone that no table has."""
    lines = arrays["symbols"].tolist()
    arrays["symbols"] = np.array([lines[0], lines[1].replace("tone1", "tone9"), lines[2]])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (set_value("text", 1, "好"), "has the text '好', metadata.csv '老师好。'"),
        (set_value("id", 1, "one-9999"), "has no row for one-0002"),
        (set_value("frames", 1, 70), "sum to 68, its frames are 70"),
        (set_value("duration", 5, -7), "durations from -7 on"),
        (set_value("start_sample", 1, -3), "begins at sample -3"),
        (with_tone_nine, "has no tone 'tone9'"),
        (set_value("symbols", 1, "{n_c$tone3"), "of the 4 fields"),
    ],
)
def test_a_row_that_does_not_fit_is_named_and_the_others_stay(
    made_corpus: Path, change: Callable[[Arrays], None], told: str
) -> None:
    changed(made_corpus, change)
    corpus = corpus_from_folder(made_corpus, "F7")
    assert [one.id for one in corpus.sentences] == ["one-0001", "one-0003"]
    (problem,) = corpus.problems
    assert told in problem
    assert "one-0002" in problem
    assert "durations.npz" in problem


def test_a_missing_recording_is_named(made_corpus: Path) -> None:
    (made_corpus / "audio" / "one-0003.ogg").unlink()
    assert (
        "one-0003.ogg (one-0003) is not there" in corpus_from_folder(made_corpus, "F7").problems[0]
    )


def test_a_sentence_that_stands_twice_is_named(made_corpus: Path) -> None:
    changed(made_corpus, set_value("id", 1, "one-0001"))
    assert (
        "one-0001 stands there more than once" in corpus_from_folder(made_corpus, "F7").problems[0]
    )


def test_another_speaker_in_the_symbols_is_named(made_corpus: Path) -> None:
    corpus = corpus_from_folder(made_corpus, "F8")
    assert corpus.sentences == ()
    assert "no speaker 'F7'" in corpus.problems[0]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x93NUMPY"])
def test_a_broken_list_of_durations_is_an_error(made_corpus: Path, content: bytes) -> None:
    (made_corpus / "durations.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"durations\.npz cannot be read"):
        corpus_from_folder(made_corpus, "F7")


def test_an_array_that_is_missing_or_of_another_length_is_an_error(made_corpus: Path) -> None:
    changed(made_corpus, lambda arrays: arrays.update(duration=arrays["duration"][:-1]))
    with pytest.raises(InputError, match=r"duration has shape \(18,\), not \(19,\)"):
        corpus_from_folder(made_corpus, "F7")
    changed(made_corpus, lambda arrays: arrays.pop("frames"))
    with pytest.raises(InputError, match=r"lacks an array: .*frames"):
        corpus_from_folder(made_corpus, "F7")


def test_a_list_without_texts_is_an_error(made_corpus: Path) -> None:
    (made_corpus / "metadata.csv").write_text("id,level\none-0001,1\n", encoding="utf-8")
    with pytest.raises(InputError, match="no columns id and text"):
        corpus_from_folder(made_corpus, "F7")


@pytest.mark.parametrize(
    ("wave", "rate", "told"),
    [
        (np.zeros(20000), 16000, "silence"),
        (np.full(20000, 0.1), 8000, "8000 Hz and 1 channels"),
        (np.full((20000, 2), 0.1), 16000, "16000 Hz and 2 channels"),
        (np.full(5000, 0.1), 16000, "has 5000 samples, its symbols reach beyond sample 10200"),
    ],
)
def test_a_recording_that_does_not_fit_is_named(
    made_corpus: Path, wave: NDArray[np.float64], rate: int, told: str
) -> None:
    sentence = corpus_from_folder(made_corpus, "F7").sentences[0]
    path = made_corpus / "audio" / "one-0001.wav"
    soundfile.write(path, wave, rate)
    with pytest.raises(InputError, match=f"one-0001.*{told}"):
        read_wave(replace(sentence, audio=path), MelRecipe())


def test_a_damaged_recording_is_named(made_corpus: Path) -> None:
    sentence = corpus_from_folder(made_corpus, "F7").sentences[0]
    sentence.audio.write_bytes(b"OggS, and then nothing")
    with pytest.raises(InputError, match=r"one-0001\.ogg \(one-0001\) cannot be read"):
        read_wave(sentence, MelRecipe())


def test_sentences_of_the_real_corpus_can_be_used(real_sentences: Path) -> None:
    corpus = corpus_from_folder(real_sentences, "F7")
    assert corpus.problems == ()
    for sentence in corpus.sentences:
        assert len(read_wave(sentence, MelRecipe())) >= sentence.start + 200 * sentence.frames
