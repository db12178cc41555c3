"""Calibration texts: what the project's own cover, reading others, choosing from them, styles."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.calibration.texts import (
    FEWEST,
    calibration_texts,
    spread,
    styles,
    symbols_of_text,
)
from sambert_trt.engines.errors import InputError
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.styles import NEUTRAL, Style, conditioning
from sambert_trt.runtime.text import MandarinFrontend, ids_from_sentence
from sambert_trt.runtime.text.phones import phones_from_syllable, syllable_table

OWN = calibration_texts()
TONES = ("tone1", "tone2", "tone3", "tone4", "tone5")


@pytest.fixture
def stock(tiny_voice: Callable[[str], Path]) -> VoiceManifest:
    """A voice with the stock unit tables, two speakers and the stock emotions."""
    return manifest_from_directory(tiny_voice("fp"))


def common_characters() -> list[str]:
    """The 3755 characters of level 1 of GB 2312, which are those in everyday use."""
    rows = ((high, low) for high in range(0xB0, 0xD8) for low in range(0xA1, 0xFF))
    return [bytes(pair).decode("gb2312") for pair in rows if pair < (0xD7, 0xFA)]


def common_pairs() -> set[tuple[str, str]]:
    """The phones of common characters, each with the tones it has there."""
    from pypinyin import Style as Spelling
    from pypinyin import pinyin

    found: set[tuple[str, str]] = set()
    for character in common_characters():
        ((spelled,),) = pinyin(character, style=Spelling.TONE3, neutral_tone_with_five=True)
        phones, tone = phones_from_syllable(spelled)
        found |= {(phone, tone) for phone in phones}
    return found


def test_the_own_texts_are_240_different_sentences_of_all_lengths() -> None:
    assert len(OWN) == len(set(OWN)) == 240
    lengths = [len(text) for text in OWN]
    assert min(lengths) == 2
    assert 35 <= max(lengths) <= 40
    for least, most, wanted in ((2, 8, 25), (9, 16, 70), (17, 24, 90), (25, 40, 15)):
        assert sum(least <= length <= most for length in lengths) >= wanted


def test_the_own_texts_hold_every_kind_of_sentence() -> None:
    joined = "\n".join(OWN)
    for sign, wanted in {"？": 20, "！": 12, "，": 150, "、": 4, "儿": 80, "%": 1, "℃": 1}.items():
        assert joined.count(sign) >= wanted, sign
    assert sum(any(c.isdigit() for c in text) for text in OWN) >= 20
    assert sum(any(c.isascii() and c.isalpha() for c in text) for text in OWN) >= 8


def test_the_own_texts_hold_every_initial_and_final() -> None:
    phones = {phone for syllable in syllable_table().values() for phone in syllable}
    seen = {symbol[0] for text in OWN for symbol in symbols_of_text(text)}  # type: ignore[index]
    assert sorted(phones - seen) == []


def test_the_own_texts_hold_every_common_sound_in_all_its_tones() -> None:
    seen = {symbol for text in OWN for symbol in symbols_of_text(text)}
    wanted = common_pairs()
    assert len(wanted) > 250
    assert sorted(wanted - seen) == []


def test_a_stock_voice_reads_every_own_text_as_one_sentence(stock: VoiceManifest) -> None:
    frontend, tones = MandarinFrontend(stock.units, stock.language), Counter[str]()
    for text in OWN:
        (sentence,) = frontend.sentences(text)
        ids_from_sentence(sentence, stock.units, stock.emotions, stock.speakers)
        tones.update(symbol.units[1] for symbol in sentence.symbols)
        assert len(sentence.symbols) >= 3
    assert all(tones[tone] > 500 for tone in TONES)
    assert tones["tone0"] > 0


def test_no_own_text_loses_a_word_in_a_stock_voice(
    stock: VoiceManifest, caplog: pytest.LogCaptureFixture
) -> None:
    frontend = MandarinFrontend(stock.units, stock.language)
    with caplog.at_level(logging.WARNING):
        assert len(list(frontend.sentences("\n".join(OWN)))) == 240
    assert caplog.messages == []


def test_a_file_of_texts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, lines = tmp_path / "texts.txt", [f"第{number}句。" for number in range(FEWEST)]
    written = "\ufeff# 一\n\n  " + " \r\n".join(lines) + "\n   \n#二\n第3句。\n"
    path.write_bytes(written.encode("utf-8"))
    assert calibration_texts(path) == tuple(lines)
    assert caplog.messages == []


def test_few_texts_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "few.txt"
    path.write_text("你好。\n再见。\n", encoding="utf-8")
    assert len(calibration_texts(path)) == 2
    (message,) = caplog.messages
    assert "few.txt holds 2 texts" in message
    assert "20 or more" in message


def test_texts_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    with pytest.raises(InputError, match=r"texts\.txt cannot be read"):
        calibration_texts(path)
    with pytest.raises(InputError, match="cannot be read"):
        calibration_texts(tmp_path)
    path.write_bytes("你好。\n\n天气不错。".encode() + b"\n" + "再见。".encode("gb18030"))
    with pytest.raises(InputError, match=r"not UTF-8 \(line 4\): save it as UTF-8"):
        calibration_texts(path)
    path.write_text("你好。", encoding="utf-16")
    with pytest.raises(InputError, match=r"not UTF-8 \(line 1\)"):
        calibration_texts(path)
    path.write_text("\n # 只有注释\n", encoding="utf-8")
    with pytest.raises(InputError, match="holds no text: write one sentence a line"):
        calibration_texts(path)


def test_choosing_is_deterministic_and_whole(tmp_path: Path) -> None:
    once = spread(OWN, 50, 3)
    assert once == spread(OWN, 50, 3)
    assert once == spread([*OWN, *OWN], 50, 3)
    assert once != spread(OWN, 50, 4)
    assert len(set(once)) == 50
    assert set(once) < set(OWN)
    assert sorted(spread(OWN, 240)) == sorted(spread(OWN, 999)) == sorted(OWN)
    with pytest.raises(InputError, match="0 calibration texts asked for"):
        spread(OWN, 0)


@pytest.mark.parametrize("count", [20, 60, 120])
def test_a_choice_covers_more_symbols_than_chance(count: int) -> None:
    def covered(texts: tuple[str, ...]) -> int:
        return len(frozenset[object]().union(*(symbols[text] for text in texts)))

    symbols = {text: symbols_of_text(text) for text in OWN}
    chance = [tuple(random.Random(seed).sample(OWN, count)) for seed in range(20)]
    assert covered(spread(OWN, count)) > max(map(covered, chance))


@pytest.mark.parametrize("count", [20, 60, 120])
def test_a_choice_takes_short_and_long_texts_alike(count: int) -> None:
    ranked = sorted(OWN, key=len)
    position = {text: 4 * number // len(ranked) for number, text in enumerate(ranked)}
    quarters = Counter(position[text] for text in spread(OWN, count))
    assert min(quarters[quarter] for quarter in range(4)) >= 0.6 * count / 4


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.text("甲乙丙丁", max_size=6), max_size=30), st.integers(1, 40), st.integers(0, 9)
)
def test_any_texts_can_be_chosen_from(texts: list[str], count: int, seed: int) -> None:
    chosen = spread(texts, count, seed, set)
    assert len(chosen) == len(set(chosen)) == min(count, len(set(texts)))
    assert set(chosen) <= set(texts)


def test_what_a_text_is_valued_for_can_be_said() -> None:
    texts = ["ab", "cd", "ad", "abcd", "aaaaaaaaaa"]
    assert spread(texts, 2, 0, set).count("abcd") == 1
    assert "aaaaaaaaaa" in spread(texts, 1, 0, lambda text: range(len(text)))


@pytest.mark.parametrize("variant", ["plain", "fp", "se", "byte"])
def test_styles_are_those_a_voice_can_speak(
    tiny_voice: Callable[[str], Path], variant: str
) -> None:
    import numpy as np

    directory = tiny_voice(variant)
    manifest, tables = manifest_from_directory(directory), np.load(directory / "styles.npz")
    symbols = tuple(MandarinFrontend(manifest.units, manifest.language).sentences("好"))
    found = styles(manifest)
    assert found[0] == Style()
    for style in found:
        conditioning(symbols[0], style, manifest, tables["speaker"], tables["emotion"])
        assert 0.8 < style.speed < 1.25
        assert abs(style.pitch) < 1


def test_styles_hold_every_speaker_and_every_named_emotion(stock: VoiceManifest) -> None:
    found = styles(stock)
    emotions = Counter(style.emotion or stock.default_emotion for style in found)
    speakers = Counter(style.speaker or stock.default_speaker for style in found)
    assert sorted(speakers) == ["F7", "M7"]
    assert max(speakers.values()) - min(speakers.values()) <= 2
    named = [name for name in stock.emotions if name.startswith("emotion_")]
    assert sorted(emotions) == sorted(name for name in named if "placeholder" not in name)
    assert emotions[NEUTRAL] == len(found) // 2
    assert min(emotions.values()) == 1
    for trained in ("happy", "angry", "sad", "fear", "hate", "surprise"):
        assert emotions[f"emotion_{trained}"] >= 2
    assert len({(style.speed, style.pitch) for style in found}) >= 5


def test_every_speaker_speaks_in_a_voice_of_many(stock: VoiceManifest) -> None:
    from dataclasses import replace

    names = tuple(f"s{number}" for number in range(90))
    many = replace(stock, speakers=(*names, "_", "~"), default_speaker="s7", emotions=(NEUTRAL,))
    assert [style.speaker for style in styles(many)] == [None, *(n for n in names if n != "s7")]
