"""Plans are built where no card is, into a store of the suite's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from regression.record import NotMeasured
from regression.suite import Settings
from regression.suites import plans

from sambert_trt.engines import build_orders as orders_module
from sambert_trt.engines import builder
from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.errors import InputError
from sambert_trt.engines.flavours import installed_flavours
from sambert_trt.engines.graphs import Stage


def test_every_stage_has_a_plan_and_the_voice_gets_none(
    tiny_voice: Callable[[str], Path], tmp_path: Path
) -> None:
    usable = {item.flavour: item.usable for item in installed_flavours()}
    if not usable[Flavour.RTX]:
        pytest.skip("TensorRT for RTX is not installed")
    voice = tiny_voice("plain")
    before = {path: path.stat().st_mtime_ns for path in voice.rglob("*")}
    (found,) = plans.rounds(Settings(tmp_path, voice, tmp_path))
    facts = ("layers", "bytes", "scratch", "build.seconds")
    assert set(found) == {f"plan.{stage.value}.{fact}" for stage in Stage for fact in facts}
    assert min(found.values()) >= 0
    assert found["plan.vocoder.layers"] > 5
    assert len(list((tmp_path / "engines").glob("vocoder-*/plan"))) == 1
    assert before == {path: path.stat().st_mtime_ns for path in voice.rglob("*")}


def test_without_a_builder_nothing_is_measured(
    tiny_voice: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders_module, "installed_flavours", tuple)
    with pytest.raises(NotMeasured, match="no TensorRT builder"):
        next(iter(plans.rounds(Settings(tmp_path, tiny_voice("plain"), tmp_path))))


def test_a_stage_that_cannot_be_built_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Order:
        name = "vocoder (fp32)"

    def failed(orders: object) -> Any:  # noqa: ANN401
        yield builder.BuildResult(Order(), "failed", "no room", None)  # type: ignore[arg-type]

    monkeypatch.setattr(plans, "_orders", lambda settings: None)
    monkeypatch.setattr(builder, "build_engines", failed)
    with pytest.raises(InputError, match=r"no plan of vocoder \(fp32\): no room"):
        next(iter(plans.rounds(Settings(tmp_path, tmp_path, tmp_path))))
