"""What the measurements rest on: statistics, the stock voice, generated text. No timing."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def scripts(root: Path) -> dict[str, ModuleType]:
    """The scripts as modules."""
    sys.path.insert(0, str(root / "scripts"))
    try:
        return {name: importlib.import_module(name) for name in ("bench", "soak", "stock_voice")}
    finally:
        sys.path.pop(0)


def test_the_median_lies_in_its_interval(scripts: dict[str, ModuleType]) -> None:
    interval = scripts["bench"].median_interval([4.0, 1.0, 3.0, 2.0, 100.0])
    assert interval.median == 3.0
    assert 1.0 <= interval.low < interval.median < interval.high <= 100.0


def test_equal_samples_have_no_spread(scripts: dict[str, ModuleType]) -> None:
    assert str(scripts["bench"].median_interval([2.0] * 5)) == "2.00 (2.00 to 2.00)"


def test_the_slope_is_that_of_the_line(scripts: dict[str, ModuleType]) -> None:
    assert scripts["soak"].slope_per_step([10.0, 12.5, 15.0, 17.5]) == pytest.approx(2.5)


def test_generated_sentences_repeat_by_seed_and_vary(scripts: dict[str, ModuleType]) -> None:
    generated = scripts["soak"].generated_sentences
    first, again, other = (list(itertools.islice(generated(s), 50)) for s in (0, 0, 1))
    assert first == again
    assert first != other
    assert {len(text) > 30 for text in first} == {True, False}
    assert all(text.endswith("。") for text in first)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch with one thread: several wait for each other where the cores are busy."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.export
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("nsf", [False, True])
def test_the_stock_voice_speaks_the_sentence_in_usual_time(
    scripts: dict[str, ModuleType], tmp_path: Path, nsf: bool
) -> None:
    import numpy as np
    from warm_reader import warm_reader

    from sambert_trt.export.reference import Conditioning
    from sambert_trt.export.source import voice_sources_from_path
    from sambert_trt.export.voice_export import load_voice
    from sambert_trt.runtime.text import MandarinFrontend
    from sambert_trt.runtime.text.symbols import ids_from_sentence

    scripts["stock_voice"].write_stock_voice(tmp_path / "stock", nsf=nsf)
    with warm_reader():
        voice = load_voice(voice_sources_from_path(tmp_path / "stock")[0])
    terms = voice.settings.vocabulary
    sentence = next(MandarinFrontend(terms.units, "PinYin").sentences(scripts["bench"].SENTENCE))
    rows, _, _ = ids_from_sentence(sentence, terms.units, terms.emotions, terms.speakers)
    count = len(rows)
    ids = Conditioning(np.array(rows), np.full(count, 1), np.zeros(count, np.int64))
    arrays = {}
    for name, array in voice.reference().steps(ids):
        arrays[name] = array
        if name == "x_band_width":
            break
    assert arrays["durations"].sum() == pytest.approx(245, abs=20)
    assert arrays["x_band_width"] <= 8
