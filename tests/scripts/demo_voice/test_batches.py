"""Batches hold what the dataset says, cut as front ends might, and nothing that is held out."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from demo_voice.batches import Mixing, Sampler, Sentence
from demo_voice.variation import Line, Units, Variation, varied

from sambert_trt.engines.errors import InputError
from sambert_trt.export.phone_sets import vocabulary

TERMS = vocabulary("PinYin", ["F7"])
UNITS = Units(TERMS)
AS_IT_IS = Variation(0.0, 0.0, 0.0)
BEIJING = (
    "b_c tone3 s_begin word_begin, ei_c tone3 s_end word_middle, "
    "j_c tone1 s_begin word_middle, ing_c tone1 s_end word_end"
)
HEN = "h_c tone3 s_begin word_begin, en_c tone3 s_end word_end"
DA = "d_c tone4 s_begin word_begin, a_c tone4 s_end word_end"


def rows(text: str) -> list[list[int]]:
    """Ids of symbols; a break needs no more than its name."""
    tables = list(TERMS.units.values())
    found = []
    for symbol in text.split(", "):
        fields = symbol.split() if " " in symbol else [symbol, "tone_none", "s_none", "word_none"]
        found.append([table.index(field) for table, field in zip(tables, fields, strict=True)])
    return found


def line(text: str) -> Line:
    """Each sound lasts as many frames as its place; breaks other than #3 none."""
    ling = np.array(rows(text))
    silent = np.isin(ling[:, 0], [*UNITS.silent, UNITS.final])
    duration = np.where(silent, 0, np.arange(1, len(ling) + 1))
    duration[ling[:, 0] == UNITS.pause] = 9
    values = np.where(silent, 0, np.arange(len(ling))).astype(np.float32)
    return Line(ling, duration, values, -values)


SINGLE = ["b_c", "ei_c", "#1", "j_c", "ing_c", "#1", "h_c", "en_c", "#3", "d_c", "a_c", "#4"]
BREAKS = line(f"{BEIJING}, #1, {HEN}, #3, {DA}, #4")


@dataclass
class Corpus:
    """As many sentences as asked for, in two emotions; a frame holds its sentence's number."""

    count: int = 40

    def __post_init__(self) -> None:
        self.held_out = np.arange(self.count) % 10 == 3
        self.emotions = np.arange(self.count) % 2
        self.settings = SimpleNamespace(
            emotions=[SimpleNamespace(name="neutral"), SimpleNamespace(name="happy")]
        )
        self.lines = [
            line(f"{DA}, #3, " * (index % 3 + 1) + f"{HEN}, #4") for index in range(self.count)
        ]
        self.frame_counts = np.array([int(one.duration.sum()) for one in self.lines])

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:  # noqa: ANN401
        one = self.lines[index]
        return SimpleNamespace(index=index, ling=one.ling, duration=one.duration)

    def read(self, utterance: Any) -> Sentence:  # noqa: ANN401
        frames = np.full((self.frame_counts[utterance.index], 2), utterance.index, np.float32)
        return Sentence(self.lines[utterance.index], frames, int(self.emotions[utterance.index]))


def sampler(corpus: Any, mixing: Mixing) -> Sampler:  # noqa: ANN401
    return Sampler(corpus, corpus.read, UNITS, mixing)


def sounds(found: Line) -> list[str]:
    return [TERMS.units["sy"][row] for row in found.ling[:, 0]]


@pytest.mark.parametrize(
    "how", [AS_IT_IS, Variation(1, 0, 0), Variation(0, 1, 0), Variation(0, 0, 1)]
)
def test_what_is_heard_stays(how: Variation) -> None:
    chance = np.random.default_rng(1)
    for _ in range(20):
        found = varied(BREAKS, UNITS, how, chance)
        heard = ~np.isin(found.ling[:, 0], UNITS.silent)
        kept = ~np.isin(BREAKS.ling[:, 0], UNITS.silent)
        for name in ("duration", "pitch", "energy"):
            values = getattr(found, name)
            assert values[heard].tolist() == getattr(BREAKS, name)[kept].tolist()
            assert not values[~heard].any()
        assert found.ling[heard][:, :3].tolist() == BREAKS.ling[kept][:, :3].tolist()


def test_words_are_cut_in_every_way() -> None:
    chance = np.random.default_rng(2)
    assert varied(BREAKS, UNITS, AS_IT_IS, chance) is BREAKS
    assert "#1" not in sounds(varied(BREAKS, UNITS, Variation(1, 0, 0), chance))
    drawn = {
        tuple(
            one for one in sounds(varied(BREAKS, UNITS, Variation(0, 1, 0), chance)) if "#" in one
        )
        for _ in range(40)
    }
    assert drawn == {("#3", "#4"), ("#1", "#3", "#4"), ("#2", "#3", "#4")}
    assert sounds(BREAKS)[4] == "#1", "what is drawn is a copy"


def test_each_syllable_can_be_a_word() -> None:
    found = varied(BREAKS, UNITS, Variation(0, 0, 1), np.random.default_rng(3))
    assert sounds(found) == SINGLE
    places = [TERMS.units["word_segment"][row] for row in found.ling[:, 3]]
    assert places[:6] == ["word_begin", "word_end", "word_none"] * 2
    assert found.duration.tolist() == [1, 2, 0, 3, 4, 0, 6, 7, 9, 9, 10, 0]


def test_a_batch_is_sentences_side_by_side() -> None:
    corpus = Corpus()
    mixing = Mixing(300, (1.0,), (0.0, 1.0), AS_IT_IS)
    batch = sampler(corpus, mixing).draw(np.random.default_rng(5))
    assert set(batch.emotion.tolist()) == {1}
    assert batch.mel.shape[0] == batch.ling.shape[0] == len(batch.emotion) > 2
    for place, frames in enumerate(batch.mel):
        index, count = int(frames[0, 0]), int(batch.duration[place].sum())
        assert index % 2 == 1
        assert count == corpus.frame_counts[index]
        assert (frames[:count] == index).all()
        assert not frames[count:].any()
        symbols = int(batch.symbols[place].sum())
        assert batch.ling[place, :symbols].tolist() == corpus.lines[index].ling.tolist()
    assert batch.to(torch.device("cpu")).mel is batch.mel


def test_nothing_held_out_is_learned_and_all_else_is() -> None:
    corpus, met = Corpus(), set[int]()
    drawing = sampler(corpus, Mixing(100, (0.5, 0.5), (0.5, 0.5)))
    chance = np.random.default_rng(6)
    for _ in range(60):
        batch = drawing.draw(chance)
        met |= {int(value) for value in batch.mel.flatten() if value}
    assert met == set(np.flatnonzero(~corpus.held_out).tolist()) - {0}


def test_joined_sentences_have_pauses_between_them() -> None:
    corpus = Corpus()
    batch = sampler(corpus, Mixing(1, (0.0, 0.0, 1.0), (1.0, 0.0), AS_IT_IS)).draw(
        np.random.default_rng(7)
    )
    names = [TERMS.units["sy"][row] for row in batch.ling[0, :, 0]]
    assert names.count("#4") == 1
    assert names[-1] == "#4"
    assert int(batch.duration.sum()) == batch.mel.shape[1]
    assert len(batch.mel) == 1
    assert {int(value) % 2 for value in batch.mel.flatten()} == {0}


def test_the_same_numbers_draw_the_same_batch() -> None:
    drawing = sampler(Corpus(), Mixing(100, (0.5, 0.5), (0.5, 0.5)))
    first, second, third = (drawing.draw(np.random.default_rng(seed)) for seed in (8, 8, 9))
    assert all(
        torch.equal(a, b) for a, b in zip(vars(first).values(), vars(second).values(), strict=True)
    )
    assert first.mel.shape != third.mel.shape or not torch.equal(first.mel, third.mel)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match="2 emotions"):
        sampler(Corpus(), Mixing(emotions=(1.0,)))
    with pytest.raises(InputError, match="nothing but zeros"):
        sampler(Corpus(), Mixing(emotions=(0.0, 0.0)))
    with pytest.raises(InputError, match="happy to learn from"):
        sampler(Corpus(1), Mixing(emotions=(1.0, 1.0)))
