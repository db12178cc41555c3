"""Every stage module against the whole-sentence module it is cut from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.engines.graphs import Stage
from sambert_trt.export.config import HifiganConfig, NsfConfig

torch = pytest.importorskip("torch")

from sambert_trt.export.hifigan import Generator  # noqa: E402
from sambert_trt.export.sambert import Fsmn, position_table  # noqa: E402
from sambert_trt.export.signatures import postnet_context, vocoder_context  # noqa: E402
from sambert_trt.export.stages import stage_modules  # noqa: E402
from sambert_trt.export.voice_export import LoadedVoice  # noqa: E402

pytestmark = pytest.mark.export

VARIANTS = ["plain", "nsf", "se", "fp", "byte", "five", "odd"]


@pytest.fixture
def tiny(
    tiny_source: Callable[[str], Path], loaded: Callable[[Path], LoadedVoice]
) -> Callable[[str], LoadedVoice]:
    """The modules of a tiny voice by variant."""
    return lambda variant: loaded(tiny_source(variant))


@pytest.mark.parametrize("count", [1, 6, 7, 130])
def test_positions_are_stored_rows_first_and_the_formula_beyond(
    tiny: Callable[[str], LoadedVoice], count: int
) -> None:
    """A stored table shorter than the sentence: the original then uses the formula for all rows.

    The graph keeps the stored rows. They are the formula's, so both agree."""
    model = tiny("odd").model
    stage = stage_modules(model, None)[Stage.TEXT_ENCODER].module
    ids = torch.randint(0, 4, (1, count, 4), generator=torch.Generator().manual_seed(count))
    with torch.no_grad():
        (found,) = stage(ids)
        expected = model.text_encoder(ids[0])
    assert (found[0] - expected).abs().max() <= 2e-6


def test_the_position_table_is_sines_then_cosines() -> None:
    table = position_table(5, 8)[0]
    assert table.shape == (5, 8)
    assert table[0, 0] == pytest.approx(0.841471)
    assert table[0, 4] == pytest.approx(0.540302)
    assert table[4, 3] == pytest.approx(5e-4, rel=1e-4)
    assert table[4, 7] == pytest.approx(1.0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_prosody_is_the_predictors(tiny: Callable[[str], LoadedVoice], variant: str) -> None:
    voice = tiny(variant)
    config, adaptor = voice.model.config, voice.model.variance_adaptor
    stage = stage_modules(voice.model, None)[Stage.PROSODY].module
    text = torch.randn(1, 9, config.encoder_projection_units)
    speaker, emotion = (
        torch.randn(1, 9, config.speaker_units),
        torch.randn(1, 9, config.emotion_units),
    )
    unchanged = torch.tensor([1.0, 0.0]).repeat(1, 9, 1)
    changed = torch.tensor([0.5, -2.0]).repeat(1, 9, 1)
    with torch.no_grad():
        pitch, energy, added = stage(text, speaker, emotion, unchanged, unchanged)
        moved, same, _ = stage(text, speaker, emotion, changed, unchanged)
        u = torch.cat([text, speaker, emotion], dim=2)[0]
        assert (pitch[0] - adaptor.pitch_predictor(u)).abs().max() <= 1e-6
        assert (energy[0] - adaptor.energy_predictor(u)).abs().max() <= 1e-6
        expected = adaptor.add_prosody(text[0], pitch[0], energy[0])
    assert (added[0] - expected).abs().max() <= 1e-6
    assert torch.equal(moved, pitch * 0.5 - 2.0)
    assert torch.equal(same, energy)


@pytest.mark.parametrize("variant", ["plain", "odd", "five"])
@pytest.mark.parametrize("sizes", [[1], [3, 1, 20], [50], [2] * 12])
def test_postnet_chunks_are_the_postnet(
    tiny: Callable[[str], LoadedVoice], variant: str, sizes: list[int]
) -> None:
    voice = tiny(variant)
    postnet, channels = voice.model.mel_postnet, voice.model.config.num_mels
    stage = stage_modules(voice.model, None)[Stage.POSTNET].module
    left, right = postnet_context(voice.model.config)
    total = sum(sizes)
    frames = torch.randn(total, channels, generator=torch.Generator().manual_seed(total))
    padded = torch.nn.functional.pad(frames, (0, 0, left, right))
    mask = torch.nn.functional.pad(torch.ones(total, 1), (0, 0, left, right))
    h = c = torch.zeros(1, 1, voice.model.config.postnet_lstm_units)
    start, pieces = 0, []
    with torch.no_grad():
        expected = frames + postnet(frames)
        for size in sizes:
            rows = slice(start, start + left + size + right)
            mel, h, c = stage(padded[rows][None], mask[rows][None], h, c)
            pieces.append(mel[0])
            start += size
    assert (torch.cat(pieces) - expected).abs().max() <= 2e-6


@given(
    kernel=st.sampled_from([3, 4, 5, 7, 8, 11, 41]),
    shifts=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    frames=st.integers(1, 30),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_postnet_context_is_the_reach_of_its_layers(
    kernel: int, shifts: list[int], frames: int
) -> None:
    """NaN in one frame reaches exactly the frames whose context holds it."""
    shifts = [min(shift, kernel - 1) for shift in shifts]
    fsmn = Fsmn(3, 4, 5, kernel, shifts)
    lefts = sum(max(round((kernel - 1) / 2) + s, 0) for s in shifts)
    rights = sum(max((kernel - 1) // 2 - s, 0) for s in shifts)
    assert context_of(kernel, shifts) == (lefts, rights)
    x = torch.zeros(frames, 3)
    x[0] = float("nan")
    with torch.no_grad():
        reached = torch.isnan(fsmn(x)).any(dim=1).nonzero()[:, 0].tolist()
    assert fsmn(torch.zeros(frames, 3)).shape == (frames, 5)
    assert max(reached, default=0) <= min(lefts, frames - 1)
    x = torch.zeros(frames, 3)
    x[-1] = float("nan")
    with torch.no_grad():
        reached = torch.isnan(fsmn(x)).any(dim=1).nonzero()[:, 0].tolist()
    assert min(reached) == max(frames - 1 - rights, 0)


def context_of(kernel: int, shifts: list[int]) -> tuple[int, int]:
    """The context of a postnet with these layers."""
    from voices import PARAMS

    from sambert_trt.export.config import SambertConfig

    names = {field.name for field in dataclasses.fields(SambertConfig)}
    values = {name: value for name, value in PARAMS.items() if name in names}
    values |= {
        "postnet_filter_size": kernel,
        "postnet_shift": tuple(shifts),
        "predictor_shift": (0, 0),
        "dur_pred_prenet_units": (8,),
        "decoder_prenet_units": (8,),
    }
    return postnet_context(SambertConfig(**values))


configs = st.builds(
    HifiganConfig,
    in_channels=st.just(2),
    out_channels=st.just(1),
    channels=st.just(8),
    kernel_size=st.sampled_from([3, 7]),
    upsample_scales=st.sampled_from([(2, 2), (4, 2), (5, 4), (8, 2), (3, 2, 2)]),
    upsample_kernel_sizes=st.just(()),
    resblock_kernel_sizes=st.sampled_from([(3,), (3, 5)]),
    resblock_dilations=st.just(()),
    causal=st.booleans(),
    nsf=st.sampled_from([None, NsfConfig(3, 8000)]),
)


@given(config=configs, extra=st.integers(0, 7), dilations=st.sampled_from([(1,), (1, 3), (2, 5)]))
@settings(max_examples=24, deadline=None, derandomize=True)
def test_the_vocoder_context_is_exact(
    config: HifiganConfig, extra: int, dilations: tuple[int, ...]
) -> None:
    """NaN one frame inside the context reaches the frame's samples, one frame outside does not."""
    sizes = tuple(scale + extra + config.causal for scale in config.upsample_scales)
    config = dataclasses.replace(
        config,
        upsample_kernel_sizes=sizes,
        resblock_dilations=(dilations,) * len(config.resblock_kernel_sizes),
    )
    left, right = vocoder_context(config)
    model = Generator(config).eval()
    frame, frames = left + 2, left + right + 5
    assert reaches(model, frames, frame - left, frame)
    assert not reaches(model, frames, frame - left - 1, frame)
    assert reaches(model, frames, frame + right, frame)
    assert not reaches(model, frames, frame + right + 1, frame)


def reaches(model: Generator, frames: int, source: int, target: int) -> bool:
    """Whether a frame's samples read another frame's mel or excitation."""
    hop = model.config.hop
    mel = torch.zeros(1, 2, frames)
    mel[:, :, source] = float("nan")
    excitation = None
    if model.config.nsf is not None:
        excitation = torch.zeros(1, 1, frames * hop)
        excitation[:, :, source * hop : (source + 1) * hop] = float("nan")
    with torch.no_grad():
        wave = model(mel, excitation)[0, 0]
    return bool(torch.isnan(wave[target * hop : (target + 1) * hop]).any())


@pytest.mark.parametrize("variant", VARIANTS)
def test_signatures_are_the_modules_shapes(
    tiny: Callable[[str], LoadedVoice], variant: str
) -> None:
    from sambert_trt.export.onnx_graphs import example_inputs

    voice = tiny(variant)
    for stage, module in stage_modules(voice.model, voice.generator).items():
        graph = module.graph
        assert graph.stage is stage
        for size in ("least", "usual"):
            inputs = example_inputs(graph, size)
            with torch.no_grad():
                outputs = module.module(*(torch.from_numpy(a) for a in inputs.values()))
            shapes = [tuple(getattr(graph.extent(e), size) for e in t.shape) for t in graph.outputs]
            assert [tuple(out.shape) for out in outputs] == shapes, stage


def test_without_a_generator_there_is_no_vocoder(tiny: Callable[[str], LoadedVoice]) -> None:
    stages = stage_modules(tiny("plain").model, None)
    assert set(Stage) - set(stages) == {Stage.VOCODER}
