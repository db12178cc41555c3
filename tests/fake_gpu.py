"""A voice with plans on the fake card: its store filled, and a backend over the fakes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fake_cuda import FakeCard, FakeDriver
from fake_trt import FakeTensorRT, plans_from_voice

from sambert_trt.engines.engine import EngineRecord, EngineSpec, Flavour
from sambert_trt.engines.graphs import AxisRange, Precision, Stage
from sambert_trt.engines.profiles import profile_from_graph
from sambert_trt.engines.store import EngineStore
from sambert_trt.engines.voice import manifest_from_directory
from sambert_trt.runtime.gpu import GpuOptions
from sambert_trt.runtime.trt_backend import TrtBackend

__all__ = ["MIB", "VERSION", "FakeMemory", "fake_backend", "fill_store"]

MIB = 1 << 20
VERSION = "1.7.1.116"
SCRATCH = 16 * MIB


class FakeMemory:
    """What NVML would say of the fake card."""

    def __init__(self, driver: FakeDriver, card: FakeCard) -> None:
        self._driver, self._card = driver, card

    def free(self) -> int | None:
        return self._card.total - self._driver.used()

    def process(self) -> int | None:
        return self._driver.used_by_us()


def fill_store(
    directory: Path,
    precision: Precision = Precision.FP32,
    *,
    target: str = "sm_86",
    version: str = VERSION,
    axes: Mapping[str, AxisRange] | None = None,
) -> None:
    """Puts a fake plan of every stage into a voice's store."""
    manifest = manifest_from_directory(directory)
    store = EngineStore(directory / "engines")
    for stage, plan in plans_from_voice(directory, manifest, precision).items():
        record = manifest.record(stage, precision)
        spec = EngineSpec(
            stage=stage,
            precision=precision,
            graph_sha256=record.file.sha256,
            recipe=record.recipe,
            profile=profile_from_graph(record.graph, axes),
            flags=(),
            workspace=0,
            flavour=Flavour.RTX,
            version=version,
            targets=(target,),
        )
        store.add(
            EngineRecord(
                spec=spec,
                plan_bytes=len(plan),
                plan_sha256=hashlib.sha256(plan).hexdigest(),
                weights_bytes=4 * record.parameters,
                scratch_bytes=SCRATCH,
                activation_bytes=SCRATCH,
                layers=(),
                build_seconds=1.0,
                tools={},
                created="2026-01-01T00:00:00Z",
            ),
            plan,
        )


def fake_backend(
    options: GpuOptions, card: FakeCard | None = None, *, captures: bool = True
) -> tuple[TrtBackend, FakeDriver]:
    """A backend on a fake card, and the driver that accounts for it; TensorRT need not be here."""
    options = replace(options, flavour=options.flavour or Flavour.RTX)
    card = card or FakeCard()
    driver = FakeDriver(card, captures=captures)
    backend = TrtBackend(
        options,
        driver=driver,
        module=FakeTensorRT(driver),
        version=VERSION,
        memory=FakeMemory(driver, card),
    )
    return backend, driver


STAGES = tuple(Stage)
