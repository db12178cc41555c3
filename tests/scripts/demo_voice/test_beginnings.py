"""A training begins with the weights of a voice, where its models are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from demo_voice.acoustic_task import AcousticSizes, voice_vocabulary
from demo_voice.beginnings import begin_acoustic, begin_vocoder
from demo_voice.vocoder import VocoderSizes
from demo_voice.voice_files import TrainedVoice, contents_of_voice
from torch import nn
from warm_reader import warm_reader

from sambert_trt.engines.errors import InputError, SourceError
from sambert_trt.export.config import Vocabulary
from sambert_trt.export.hifigan import Generator
from sambert_trt.export.sambert import FLEXIBLE_ROWS, Sambert

SMALL = AcousticSizes(32, 1, 16, 16, 16, 16)
THIN = VocoderSizes(channels=16)
TERMS = voice_vocabulary("F7")


@pytest.fixture(autouse=True)
def quick_reading() -> Iterator[None]:
    """Checkpoints are read without waiting for torch."""
    with warm_reader():
        yield


@pytest.fixture
def voice(tmp_path: Path) -> tuple[Path, TrainedVoice]:
    """A voice folder of random weights, and what it was made of."""
    made = TrainedVoice(
        SMALL.config(), THIN.config(), a_model(1).state_dict(), a_generator(1).state_dict(), (3, 4),
        16000, "F7", (190.0, 25.0), {"sy": ["air_c"]}, "somebody",
    )  # fmt: skip
    for name, content in contents_of_voice(made).items():
        path = tmp_path / "voice" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "voice", made


def a_model(seed: int, sizes: AcousticSizes = SMALL, terms: Vocabulary = TERMS) -> Sambert:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Sambert(sizes.config(), terms)


def a_generator(seed: int, sizes: VocoderSizes = THIN) -> Generator:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Generator(sizes.config())


def assert_near(module: nn.Module, wanted: dict[str, torch.Tensor]) -> None:
    """The weights are those, rounded to half precision, and all of them learn."""
    found = module.state_dict()
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-6)
    assert all(one.requires_grad for one in module.parameters())


def test_both_models_get_the_weights(voice: tuple[Path, TrainedVoice]) -> None:
    folder, made = voice
    model, generator = a_model(2), a_generator(2)
    positions = model.state_dict()[FLEXIBLE_ROWS[0]].clone()
    assert begin_acoustic(model, TERMS, folder)["sy"] == ["air_c"]
    begin_vocoder(generator, folder)
    assert_near(model, made.acoustic)
    assert_near(generator, made.vocoder)
    assert torch.equal(model.state_dict()[FLEXIBLE_ROWS[0]], positions)


def speaks_elsewhere() -> tuple[Sambert, Vocabulary]:
    terms = replace(TERMS, emotions=TERMS.emotions[::-1])
    return a_model(2, terms=terms), terms


def has_two_speakers() -> tuple[Sambert, Vocabulary]:
    terms = replace(TERMS, speakers=(*TERMS.speakers, "F8"))
    return a_model(2, terms=terms), terms


def is_wider() -> tuple[Sambert, Vocabulary]:
    return a_model(2, replace(SMALL, inner=24, layers=2)), TERMS


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (speaks_elsewhere, "the emotions differ"),
        (has_two_speakers, "speakers have 4 rows, not 5"),
        (is_wider, "encoder_num_layers is 1 there, 2 here; encoder_ffn_inner_dim is 16 there, 24"),
    ],
)
def test_another_acoustic_model_is_refused_and_left_alone(
    voice: tuple[Path, TrainedVoice],
    other: Callable[[], tuple[Sambert, Vocabulary]],
    why: str,
) -> None:
    model, terms = other()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match=f"--begin-with .*its acoustic model is another.*{why}"):
        begin_acoustic(model, terms, voice[0])
    assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())


def test_another_vocoder_is_refused(voice: tuple[Path, TrainedVoice]) -> None:
    with pytest.raises(InputError, match=r"its vocoder is another one .*channels is 16 there, 32"):
        begin_vocoder(a_generator(2, VocoderSizes(channels=32)), voice[0])


def test_a_folder_without_a_voice_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        begin_vocoder(a_generator(2), tmp_path)
