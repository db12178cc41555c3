"""The comparison with modelopt: its numbers, its words, and that it leaves the voice alone."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import voices

from sambert_trt.engines.graphs import Stage
from sambert_trt.engines.voice import manifest_from_directory

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.export


@pytest.fixture(scope="module")
def check(root: Path) -> Iterator[Any]:
    """scripts/modelopt_check.py as a module."""
    spec = importlib.util.spec_from_file_location(
        "modelopt_check", root / "scripts" / "modelopt_check.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["modelopt_check"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["modelopt_check"]


def test_signal_to_noise_in_decibels(check: Any) -> None:  # noqa: ANN401
    wave = np.sin(np.arange(1000, dtype=np.float32))
    assert check.signal_to_noise(wave, wave) == float("inf")
    assert check.signal_to_noise(wave * np.float32(1.1), wave) == pytest.approx(20, abs=1e-3)
    assert check.signal_to_noise(np.zeros_like(wave), wave) == pytest.approx(0)


def test_without_modelopt_it_says_so(
    check: Any,  # noqa: ANN401
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert check.main(["nowhere", "nothing"]) == 1
    assert "nvidia-modelopt is not installed here" in capsys.readouterr().err


def test_a_quantizer_that_overwrites_its_input_does_not_reach_the_voice(
    check: Any,  # noqa: ANN401
    tiny_voice: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A modelopt that changes nothing but the file it was given, as the real one does."""
    from sambert_trt.calibration.recorder import record

    voice = tmp_path / "voice"
    shutil.copytree(tiny_voice("plain"), voice)
    before = {p: p.read_bytes() for p in voice.rglob("*") if p.is_file()}
    units = manifest_from_directory(voice).units
    lines = [voices.symbol_line(units, 24, seed=n) for n in range(4)]
    record(voice, lines, tmp_path / "recording", symbols=True, threads=1)
    asked: list[dict[str, Any]] = []

    def quantize(source: str, **options: Any) -> None:  # noqa: ANN401
        asked.append(options)
        shutil.copyfile(source, options["output_path"])
        Path(source).write_bytes(b"overwritten")

    package = {name: ModuleType(name) for name in ("modelopt", "modelopt.onnx")}
    module = ModuleType("modelopt.onnx.quantization")
    module.quantize = quantize  # type: ignore[attr-defined]
    for name, found in (*package.items(), (module.__name__, module)):
        monkeypatch.setitem(sys.modules, name, found)
    monkeypatch.setattr(check.importlib.util, "find_spec", lambda name: True)
    assert check.main([str(voice), str(tmp_path / "recording"), "--windows", "4"]) == 0
    assert {p: p.read_bytes() for p in voice.rglob("*") if p.is_file()} == before
    assert [options["calibration_method"] for options in asked] == ["entropy", "max"]
    assert {len(options["calibration_data"]["mel"]) for options in asked} == {2}
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert (
        sum("| modelopt |" in line and "| 0 |" in line and "inf dB" in line for line in lines) == 2
    )
    assert sum("| ours |" in line and "inf dB" not in line for line in lines) == 4


def test_windows_are_cropped_to_one_size(check: Any) -> None:  # noqa: ANN401
    from sambert_trt.calibration.recording import Sample

    class Recorded:
        def samples(self, stage: Stage) -> Iterator[Sample]:
            for frames in (10, 64, 100):
                mel = np.zeros((1, frames, 3), np.float32)
                yield Sample(stage, 0, {"mel": mel, "excitation": np.zeros((1, 5 * frames, 1))})

    shapes = [{n: a.shape for n, a in w.items()} for w in check.windows(Recorded())]
    assert shapes == [{"mel": (1, 64, 3), "excitation": (1, 320, 1)}] * 2
