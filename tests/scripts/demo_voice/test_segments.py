"""Windows hold what the dataset says there, with their context, and nothing held out."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from demo_voice.segments import SegmentSampler, Windows
from demo_voice.synthesis import Margins

from sambert_trt.engines.errors import InputError

HOP, MELS = 200, 80
CONTEXT = Margins(6, 3)
WINDOWS = Windows(frames=10, batch=5, quietest=1.0)


class Corpus:
    """Sentences of 40 to 60 frames in two emotions; f0 and audio tell sentence and place.

    Sample s of sentence n is 100 n + s / 200 in the unit of `audio`, its frame f has the f0 1000 n
    + f; so a window tells where it is from.
    """

    def __init__(self, count: int = 20) -> None:
        self.held_out = np.arange(count) % 5 == 3
        self.emotions = np.arange(count) % 2
        self.frame_counts = 40 + np.arange(count)
        names = [SimpleNamespace(name=name) for name in ("neutral", "happy")]
        mean, std = np.linspace(0.3, 0.5, MELS), np.linspace(0.1, 0.2, MELS)
        self.settings = SimpleNamespace(emotions=names, hop=HOP, mel_mean=mean, mel_std=std)

    def __len__(self) -> int:
        return len(self.held_out)

    def __getitem__(self, index: int) -> SimpleNamespace:
        frames = int(self.frame_counts[index])
        f0 = (1000 * index + np.arange(frames)).astype(np.float32)
        mel = np.repeat(f0[:, None] / 1e5, MELS, axis=1)
        voiced = np.arange(frames) % 2 == 0
        audio = np.repeat(f0, HOP)
        return SimpleNamespace(mel=mel, f0=f0, voiced=voiced, audio=audio, emotion=index % 2)


def sampler(windows: Windows = WINDOWS, corpus: Corpus | None = None) -> SegmentSampler:
    return SegmentSampler(corpus or Corpus(), windows, CONTEXT)  # type: ignore[arg-type]


def test_features_with_context_and_audio_without_are_of_the_same_place() -> None:
    drawing, random = sampler(), np.random.default_rng(0)
    for _ in range(30):
        batch = drawing.draw(random)
        inside = slice(batch.margins.left, batch.margins.left + WINDOWS.frames)
        count = batch.margins.left + WINDOWS.frames + batch.margins.right
        assert batch.mel.shape == (5, MELS, count)
        assert batch.audio.shape == (5, 1, WINDOWS.frames * HOP)
        assert (batch.audio[:, 0, ::HOP] == batch.f0[:, inside]).all()
        assert (batch.f0.diff(dim=1) == 1).all()
        assert np.allclose(batch.mel[:, 7], batch.f0 / 1e5, atol=1e-5)
        assert (batch.voiced == (batch.f0 % 2 == 0)).all()


def test_context_is_missing_only_where_sentences_end() -> None:
    drawing, random, corpus = sampler(), np.random.default_rng(1), Corpus()
    seen = set()
    for _ in range(200):
        batch = drawing.draw(random)
        first = batch.f0[:, 0].numpy() % 1000
        last = batch.f0[:, -1].numpy() % 1000
        ends = corpus.frame_counts[(batch.f0[:, 0].numpy() // 1000).astype(int)] - 1
        assert batch.margins.left == CONTEXT.left or (first == 0).all()
        assert batch.margins.right == CONTEXT.right or (last == ends).all()
        seen.add(batch.margins)
    assert seen == {CONTEXT, Margins(0, 3), Margins(6, 0)}


def test_nothing_held_out_is_learned_and_emotions_are_drawn_as_asked() -> None:
    corpus, random = Corpus(), np.random.default_rng(2)
    drawing = sampler(Windows(frames=10, batch=10, emotions=(0.8, 0.2)), corpus)
    drawn = np.concatenate(
        [drawing.draw(random).f0[:, 0].numpy() // 1000 for _ in range(100)]
    ).astype(int)
    assert not corpus.held_out[drawn].any()
    assert set(drawn) == set(np.flatnonzero(~corpus.held_out))
    assert np.mean(corpus.emotions[drawn]) == pytest.approx(0.2, abs=0.05)


def test_silence_is_rare() -> None:
    class HalfSilent(Corpus):
        def __getitem__(self, index: int) -> SimpleNamespace:
            one = super().__getitem__(index)
            frame = np.arange(len(one.audio)) // HOP
            return SimpleNamespace(**{**vars(one), "audio": np.where(frame < 25, 0.0, 1.0)})

    drawing, random = sampler(corpus=HalfSilent()), np.random.default_rng(3)
    batches = [drawing.draw(random) for _ in range(100)]
    inner = [one.audio for one in batches if one.margins == CONTEXT]
    silent = np.mean([(audio.abs().amax(dim=(1, 2)) == 0).float().mean() for audio in inner])
    assert 0 < silent < 0.2


def test_a_quieter_window_has_the_mel_of_the_quieter_wave() -> None:
    corpus = Corpus()
    plain, quiet = sampler(WINDOWS, corpus), sampler(Windows(10, 5, quietest=0.5), corpus)
    before = plain.draw(np.random.default_rng(4))
    after = quiet.draw(np.random.default_rng(4))
    one = after.audio.shape[0] - 5  # the first window: the same place in both
    gain = float(after.audio[one, 0, 100] / before.audio[one, 0, 100])
    assert 0.5 <= gain < 1
    mean, std = (
        np.asarray(x)[:, None] for x in (corpus.settings.mel_mean, corpus.settings.mel_std)
    )
    raw = before.mel[one].numpy() * std + mean
    wanted = (np.maximum(raw + 20 * np.log10(gain) / 100, 0) - mean) / std
    np.testing.assert_allclose(after.mel[one].numpy(), wanted, atol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_windows_has_the_other_mels_of_the_same_place(share: float) -> None:
    class Smoother(Corpus):
        def __getitem__(self, index: int) -> SimpleNamespace:
            one = super().__getitem__(index)
            return SimpleNamespace(**{**vars(one), "mel": one.mel + 5})

    drawing = SegmentSampler(Corpus(), WINDOWS, CONTEXT, Smoother(), share)  # type: ignore[arg-type]
    random, spoken = np.random.default_rng(7), []
    for _ in range(40):
        batch = drawing.draw(random)
        other = batch.mel[:, 7] > 2
        assert (other.all(dim=1) | ~other.any(dim=1)).all()
        assert np.allclose(batch.mel[:, 7] - 5 * other, batch.f0 / 1e5, atol=1e-4)
        spoken += other[:, 0].tolist()
    assert np.mean(spoken) == pytest.approx(share, abs=0.08)


def test_the_same_chance_draws_the_same_batch() -> None:
    first, again = (sampler().draw(np.random.default_rng(9)) for _ in range(2))
    assert (first.mel == again.mel).all()
    other = sampler().draw(np.random.default_rng(10))
    assert not (first.audio == other.audio).all()


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        (Windows(frames=60), "no sentence of the emotion happy with 69 frames"),
        (Windows(frames=4, quietest=2.0), "frames 4, quietest 2.0: out of range"),
        (Windows(emotions=(1.0,)), r"emotions \(1.0,\): out of range for 2 emotions"),
        (Windows(batch=0), "batch 0"),
    ],
)
def test_windows_that_cannot_be_drawn_are_refused(windows: Windows, said: str) -> None:
    corpus = Corpus(29)
    corpus.frame_counts[0] = 69
    with pytest.raises(InputError, match=said):
        sampler(windows, corpus)
