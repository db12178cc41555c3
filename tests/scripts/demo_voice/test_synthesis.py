"""Batches and windows sound as the whole sentence does in the reference, one by one."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from demo_voice.synthesis import Margins, Source, copy_synthesis, excitation, generate, whole_source
from demo_voice.vocoder import VocoderSizes
from numpy.typing import NDArray
from torch import nn

from sambert_trt.engines.manifest import F0Rule
from sambert_trt.export.hifigan import Generator
from sambert_trt.export.reference import Reference
from sambert_trt.export.signatures import vocoder_context

FRAMES = 70
KINDS = [(nsf, causal) for nsf in (False, True) for causal in (False, True)]


def a_generator(nsf: bool, causal: bool) -> Generator:
    """A narrow one whose layers all leave a trace in the wave."""
    torch.manual_seed(1)
    generator = Generator(VocoderSizes(16, nsf=nsf, causal=causal).config())
    for name, value in generator.named_parameters():
        if not name.startswith("source_module"):
            nn.init.normal_(value, std=0.5 / np.sqrt(value[0].numel()) if value.dim() > 1 else 0.1)
    return generator


def an_utterance(frames: int = FRAMES, seed: int = 0) -> SimpleNamespace:
    random = np.random.default_rng(seed)
    return SimpleNamespace(
        mel=random.standard_normal((frames, 80)).astype(np.float16),
        f0=(20 + 300 * random.random(frames)).astype(np.float32),
        voiced=random.random(frames) < 0.7,
    )


def reference_wave(generator: Generator, one: SimpleNamespace) -> NDArray[np.float32]:
    """What export/reference.py makes of an utterance, with random phases and noise."""
    reference = Reference(nn.Module(), generator, f0=f0_rule())  # type: ignore[arg-type]
    columns = [one.mel.astype(np.float32), one.f0[:, None], one.voiced[:, None]]
    mel = torch.from_numpy(np.concatenate(columns, axis=1, dtype=np.float32))
    excited = None
    if generator.config.nsf is not None:
        excited = reference.excitation(reference.denormalise(mel), np.random.default_rng(5))
    with torch.inference_mode():
        return generator(mel[:, :80].t()[None], excited)[0, 0].numpy()


def f0_rule() -> F0Rule:
    """Hertz as they are."""
    return F0Rule(
        dtype="float32",
        scale=1.0,
        offset=0.0,
        floor=30.0,
        voiced_from=0.6,
        harmonics=7,
        sampling_rate=16000,
    )


@pytest.mark.parametrize(("nsf", "causal"), KINDS)
def test_copy_synthesis_is_the_reference(nsf: bool, causal: bool) -> None:
    generator, one = a_generator(nsf, causal), an_utterance()
    wave = copy_synthesis(generator, one, np.random.default_rng(5))
    assert wave.shape == (FRAMES * 200,)
    assert np.std(wave) > 1e-3
    np.testing.assert_allclose(wave, reference_wave(generator, one), atol=1e-5)


@pytest.mark.parametrize(("nsf", "causal"), KINDS)
@pytest.mark.parametrize("first", [0, 5, 27, 60])
@torch.inference_mode()
def test_a_window_sounds_as_in_its_sentence(nsf: bool, causal: bool, first: int) -> None:
    generator = a_generator(nsf, causal)
    sentences = [an_utterance(seed=seed) for seed in (1, 2)]
    mel, excited = batch(generator, sentences)
    whole = generator(mel, excited)
    before, after = vocoder_context(generator.config)
    margins = Margins(min(before, first), min(after, FRAMES - first - 10))
    begin, end = first - margins.left, first + 10 + margins.right
    part = None if excited is None else excited[:, :, 200 * begin : 200 * end]
    window = generate(generator, mel[:, :, begin:end], part, margins)
    wanted = whole[:, :, 200 * first : 200 * (first + 10)]
    torch.testing.assert_close(window, wanted, atol=1e-5, rtol=0)
    assert (wanted[0] - wanted[1]).abs().max() > 1e-3


@torch.inference_mode()
def test_a_window_with_too_little_context_sounds_different() -> None:
    generator = a_generator(nsf=False, causal=True)
    mel, _ = batch(generator, [an_utterance()])
    cut = generate(generator, mel[:, :, 30:50], None, Margins(10, 0))
    whole = generator(mel, None)[:, :, 8000:10000]
    assert (cut - whole).abs().max() > 1e-4


@pytest.mark.parametrize("nsf", [False, True])
@torch.inference_mode()
def test_a_batch_sounds_as_its_sentences_one_by_one(nsf: bool) -> None:
    generator = a_generator(nsf, causal=True)
    sentences = [an_utterance(seed=seed) for seed in (3, 4, 5)]
    mel, excited = batch(generator, sentences)
    waves = generate(generator, mel, excited, Margins(0, 0))
    for wave, one in zip(waves, sentences, strict=True):
        alone = copy_synthesis(generator, one, np.random.default_rng(6))
        np.testing.assert_allclose(wave[0].numpy(), alone, atol=1e-5)


def batch(
    generator: Generator, sentences: list[SimpleNamespace]
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Mels and excitation of sentences of one length, each with the same chance."""
    mel = torch.from_numpy(np.stack([one.mel.astype(np.float32).T for one in sentences]))
    if generator.config.nsf is None:
        return mel, None
    sources = [whole_source(generator.config, one, np.random.default_rng(6)) for one in sentences]
    joined = {name: torch.cat([getattr(one, name) for one in sources]) for name in vars(sources[0])}
    return mel, excitation(generator, Source(**joined))


def test_low_f0_is_lifted_and_phases_move_the_wave() -> None:
    generator, one = a_generator(nsf=True, causal=True), an_utterance()
    one.f0[:], one.voiced[:] = 10.0, True
    source = whole_source(generator.config, one, None)
    lifted = replace(source, f0=torch.full_like(source.f0, 30.0))
    torch.testing.assert_close(excitation(generator, source), excitation(generator, lifted))
    turned = replace(source, phase=source.phase + 1)
    assert (excitation(generator, source) - excitation(generator, turned)).abs().max() > 1e-3
