"""What a voice's graphs are, counted as the runtime opens them; nothing is written beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from regression.record import NotMeasured
from regression.suite import Settings
from regression.suites import graphs

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.graphs import Stage
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime import onnx_backend

pytest.importorskip("onnx", reason="graphs are counted in their ONNX form")


@pytest.fixture
def measured(
    tiny_voice: Callable[[str], Path], tmp_path: Path
) -> Callable[[], Mapping[str, float]]:
    """Measures a tiny voice."""

    def once() -> Mapping[str, float]:
        (found,) = graphs.rounds(Settings(tmp_path, tiny_voice("plain"), tmp_path))
        return found

    return once


def test_every_stage_has_its_facts_and_the_voice_stays_as_it_was(
    measured: Callable[[], Mapping[str, float]], tiny_voice: Callable[[str], Path]
) -> None:
    import onnxruntime

    usual, voice = onnxruntime.SessionOptions, tiny_voice("plain")
    before = {path: path.stat().st_mtime_ns for path in voice.rglob("*")}
    found = measured()
    facts = ("bytes", "weights", "nodes", "kernels", "flops")
    names = {f"graph.{stage.value}.{fact}" for stage in Stage for fact in facts}
    assert set(found) == names | {"voice.bytes"}
    assert all(value > 0 for value in found.values())
    for stage, record in manifest_from_directory(voice).stages.items():
        assert found[f"graph.{stage.value}.bytes"] == record.file.bytes
        assert 0 < found[f"graph.{stage.value}.weights"] < record.file.bytes
    assert onnxruntime.SessionOptions is usual
    assert before == {path: path.stat().st_mtime_ns for path in voice.rglob("*")}


def test_kernels_are_those_of_the_options_the_runtime_chooses(
    measured: Callable[[], Mapping[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = measured()
    off = ["MatMulAddFusion", "ConvActivationFusion", "NchwcTransformer", "ConstantFolding"]
    monkeypatch.setattr(onnx_backend, "_disabled", lambda graph: off)
    other = measured()
    changed = {name for name in usual if usual[name] != other[name]}
    assert changed
    assert all(name.endswith(".kernels") for name in changed)


def test_what_is_lacking_is_said(
    measured: Callable[[], Mapping[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "_written", lambda path: monkeypatch.context())
    with pytest.raises(InputError, match=r"without onnxruntime\.SessionOptions"):
        measured()
    monkeypatch.setattr(graphs.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotMeasured, match="onnx is not installed"):
        measured()
