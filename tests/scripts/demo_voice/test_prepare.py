"""Preparing a corpus: copies that fit, and runs that are interrupted, repeated or refused."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from demo_voice import parts
from demo_voice import prepare as command
from demo_voice.copies import copy_from_wave, divided, symbol_means
from demo_voice.corpus import corpus_from_folder, read_wave
from demo_voice.dataset import Dataset
from demo_voice.mel import MelRecipe
from demo_voice.parts import Part
from demo_voice.prepare import Request, Work, prepare

from sambert_trt.engines.errors import InputError, OutputError

ALONE = Work(jobs=1)
REQUEST = Request()


@pytest.fixture
def one_sentence_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three parts for three sentences."""
    monkeypatch.setattr(parts, "_SENTENCES", 1)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


def test_durations_at_another_speed_sum_to_the_rounded_whole() -> None:
    duration = np.array([3, 0, 7, 5, 0, 11])
    assert divided(duration, 1.0).tolist() == duration.tolist()
    for by in (1.15, 0.87, 2.0):
        found = divided(duration, by)
        assert found.sum() == round(26 / by)
        assert (found[[1, 4]] == 0).all()
        assert (np.abs(found - duration / by) <= 1).all()


def test_means_are_of_a_symbols_own_frames() -> None:
    values, duration = np.array([1.0, 3.0, 5.0, 8.0]), np.array([0, 2, 1, 0, 1])
    assert symbol_means(values, duration).tolist() == [0, 2, 5, 0, 8]


def test_a_happy_copy_is_higher_and_faster_and_a_sad_one_the_reverse(
    made_corpus: Path, tmp_path: Path
) -> None:
    settings = prepare(made_corpus, tmp_path / "data", REQUEST, ALONE, print)
    dataset = Dataset.open(tmp_path / "data")
    for place, hertz in ((0, 150.0), (3, 200.0), (6, 250.0)):
        neutral, happy, sad = (dataset[place + shift] for shift in range(3))
        for one, semitones in ((neutral, 0.0), (happy, 2.4), (sad, -2.4)):
            factor = 2 ** (semitones / 12)
            assert np.median(one.f0) == pytest.approx(hertz * factor, rel=0.005)
            assert len(one.f0) == round(len(neutral.f0) / factor)
            wanted = (hertz * factor - settings.f0_mean) / settings.f0_std
            np.testing.assert_allclose(one.pitch[one.duration > 0], wanted, atol=0.1)


def test_statistics_are_of_what_may_be_learned_from(made_corpus: Path, tmp_path: Path) -> None:
    settings = prepare(made_corpus, tmp_path / "data", REQUEST, ALONE, print)
    dataset = Dataset.open(tmp_path / "data")
    assert dataset.held_out.tolist() == [False] * 6 + [True] * 3
    learned = [dataset[index] for index in range(6)]
    mel = np.concatenate([one.mel for one in learned])
    moving = np.array(settings.mel_std) > 0.01
    np.testing.assert_allclose(mel[:, moving].mean(axis=0), 0, atol=0.01)
    np.testing.assert_allclose(mel[:, moving].std(axis=0), 1, atol=0.01)
    f0 = np.concatenate([one.f0[one.voiced] for one in learned])
    assert (settings.f0_mean, settings.f0_std) == pytest.approx((f0.mean(), f0.std()), rel=1e-4)


def test_processes_make_the_same_as_one(
    made_corpus: Path, tmp_path: Path, one_sentence_a_part: None
) -> None:
    seen: list[tuple[int, int]] = []
    many = prepare(
        made_corpus, tmp_path / "many", REQUEST, Work(jobs=2), print, lambda *at: seen.append(at)
    )
    one = prepare(made_corpus, tmp_path / "one", REQUEST, ALONE, print)
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert many.fingerprint == one.fingerprint
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_an_interrupted_run_goes_on_and_ends_the_same(
    made_corpus: Path, tmp_path: Path, one_sentence_a_part: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def interrupted(part: Part) -> tuple[str, ...]:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(part.sentences[0].id)
        return parts.made_part(part)

    monkeypatch.setattr(command, "made_part", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(made_corpus, tmp_path / "data", REQUEST, ALONE, print)
    with pytest.raises(InputError, match="holds no finished dataset"):
        Dataset.open(tmp_path / "data")
    monkeypatch.undo()
    monkeypatch.setattr(parts, "_SENTENCES", 1)
    read: list[str] = []
    real = parts.read_wave
    monkeypatch.setattr(parts, "read_wave", lambda s, r: (read.append(s.id), real(s, r))[1])
    prepare(made_corpus, tmp_path / "data", REQUEST, ALONE, print)
    assert read == ["one-0003"]
    prepare(made_corpus, tmp_path / "whole", REQUEST, ALONE, print)
    assert contents(tmp_path / "data") == contents(tmp_path / "whole")


def test_a_recording_that_has_changed_since_the_interruption_is_read_anew(
    made_corpus: Path, tmp_path: Path
) -> None:
    (made_corpus / "audio" / "one-0001.ogg").write_bytes(b"not yet")
    with pytest.raises(InputError, match="--skip-broken"):
        prepare(made_corpus, tmp_path / "data", REQUEST, ALONE, print)
    other = made_corpus / "audio" / "one-0002.ogg"
    (made_corpus / "audio" / "one-0001.ogg").write_bytes(other.read_bytes())
    assert prepare(made_corpus, tmp_path / "data", REQUEST, ALONE, print).utterances == 9


def test_a_finished_dataset_is_recognised_and_left_alone(made_corpus: Path, tmp_path: Path) -> None:
    first = prepare(made_corpus, tmp_path / "data", REQUEST, ALONE, print)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").glob("*.np*")}
    told: list[str] = []
    assert prepare(made_corpus, tmp_path / "data", REQUEST, ALONE, told.append) == first
    assert told == [f"{tmp_path / 'data'} is prepared already"]
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "data").glob("*.np*")}


def test_other_options_are_refused_with_the_difference(made_corpus: Path, tmp_path: Path) -> None:
    prepare(made_corpus, tmp_path / "data", REQUEST, ALONE, print)
    before = contents(tmp_path / "data")
    with pytest.raises(InputError, match="held_out_place is 3 there and 5 here") as caught:
        prepare(made_corpus, tmp_path / "data", replace(REQUEST, held_out_place=5), ALONE, print)
    assert "emotions" not in str(caught.value)
    assert contents(tmp_path / "data") == before


def test_everything_that_is_broken_is_told_at_once(made_corpus: Path, tmp_path: Path) -> None:
    (made_corpus / "audio" / "one-0001.ogg").write_bytes(b"OggS")
    (made_corpus / "audio" / "one-0003.ogg").unlink()
    told: list[str] = []
    with pytest.raises(InputError, match=r"2 sentences of .* cannot be used") as caught:
        prepare(made_corpus, tmp_path / "data", REQUEST, ALONE, told.append)
    for name in ("one-0001.ogg", "one-0003.ogg"):
        assert name in str(caught.value)
        assert sum(name in line for line in told) == 1
    assert not (tmp_path / "data" / "dataset.json").exists()


def test_broken_sentences_are_left_out_when_told_and_named(
    made_corpus: Path, tmp_path: Path
) -> None:
    (made_corpus / "audio" / "one-0001.ogg").write_bytes(b"OggS")
    told: list[str] = []
    work = replace(ALONE, skip_broken=True)
    settings = prepare(made_corpus, tmp_path / "data", REQUEST, work, told.append)
    assert settings.utterances == 6
    assert len(settings.skipped) == 1
    assert "one-0001.ogg (one-0001) cannot be read" in settings.skipped[0]
    assert told[-1] == f"1 sentences of {made_corpus} are left out"


def test_a_sentence_of_which_no_frame_is_left_is_named(made_corpus: Path) -> None:
    sentence = replace(
        corpus_from_folder(made_corpus, "F7").sentences[0], duration=np.array([0, 1, 0, 0, 0])
    )
    wave = read_wave(sentence, MelRecipe())
    with pytest.raises(InputError, match=r"one-0001\) is too short: 1 frames"):
        copy_from_wave(sentence, wave, 2.0, MelRecipe())


def test_nothing_left_to_learn_from_is_an_error(made_corpus: Path, tmp_path: Path) -> None:
    request = replace(REQUEST, held_out_every=1, held_out_place=0)
    with pytest.raises(InputError, match="no sentence is left to learn from"):
        prepare(made_corpus, tmp_path / "data", request, ALONE, print)


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (Request(emotions=("merry=1",)), "'merry=1'"),
        (Request(emotions=("happy",)), "'happy'"),
        (Request(emotions=("happy=13",)), "'happy=13'"),
        (Request(emotions=("happy=1", "happy=2")), "name each once"),
        (Request(held_out_place=40), "row 40 of every 40"),
        (Request(sentences=-1), "-1 sentences"),
    ],
)
def test_options_out_of_range_are_named(
    made_corpus: Path, tmp_path: Path, request_: Request, told: str
) -> None:
    with pytest.raises(InputError, match=told):
        prepare(made_corpus, tmp_path / "data", request_, ALONE, print)
    assert not (tmp_path / "data").exists()


def test_a_full_disk_is_told_and_leaves_nothing_half_written(
    made_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: object, **arrays: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OutputError, match="No space left on device; free some space"):
        prepare(made_corpus, tmp_path / "data", REQUEST, ALONE, print)
    assert not list((tmp_path / "data" / "parts").iterdir())


@pytest.mark.skipif(os.name != "posix", reason="needs the rights of POSIX folders")
def test_a_folder_that_is_a_file_is_an_error(made_corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot hold a dataset"):
        prepare(made_corpus, tmp_path / "data", REQUEST, ALONE, print)
    assert (tmp_path / "data").read_text("utf-8") == "mine"


def test_the_command_takes_its_options_and_says_what_it_made(
    made_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = ArgumentParser()
    command.add_arguments(parser)
    words = [str(made_corpus), str(tmp_path / "data"), "--emotions", "neutral=0", "--jobs", "1"]
    assert command.run(parser.parse_args([*words, "--sentences", "2"])) == 0
    assert "2 utterances" in capsys.readouterr().out
    assert len(Dataset.open(tmp_path / "data")) == 2
