"""Section `failures`: plans that must not load end in one clear error, and leave nothing behind.

Some are refused by the store, whose records and hashes do not fit; others carry a record that fits,
and TensorRT itself has to refuse them. Those come last: a crash there is in the report.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sambert_trt.engines.engine import EngineRecord
from sambert_trt.engines.errors import BackendError, EngineError, SambertError
from sambert_trt.engines.graphs import Stage
from sambert_trt.engines.manifest import StageRecord
from sambert_trt.engines.store import ENGINES, EngineStore
from sambert_trt.runtime.backend import Session
from sambert_trt.runtime.trt_backend import TrtBackend

from .card import Card
from .engines import stored_stage, usual_inputs
from .results import Cell, Result

__all__ = ["load_bad_plans"]

_STAGE = Stage.MEMORY_KV
"""The smallest: what fails is the same for all."""

_COLUMNS = ("plan", "loads", "errors", "bytes lost", "says")


@dataclass(frozen=True)
class _Good:
    """The plan that loads, and what it is of."""

    record: EngineRecord
    plan: bytes


@dataclass(frozen=True)
class _Bench:
    """Where bad plans are loaded: a voice of its own, and a backend."""

    card: Card
    backend: TrtBackend
    voice: Path
    record: StageRecord
    good: _Good
    times: int


Spoil = Callable[[Path, _Good, np.random.Generator], None]


def load_bad_plans(card: Card, result: Result) -> None:
    """Loads bad plans of several kinds in turn; afterwards the good one still runs."""
    precision, noise = card.precisions[0], card.noise()
    source = stored_stage(card, _STAGE, precision)
    good = _Good(source.entry.record, source.plan())
    kinds = _kinds(card, result)
    with tempfile.TemporaryDirectory() as folder, card.backend(prefetch=False) as backend:
        voice = Path(folder) / "voice"
        record = card.manifest.record(_STAGE, precision)
        _written(voice, good.record, good.plan)
        _load(backend, voice, record)
        rows = []
        bench = _Bench(
            card, backend, voice, record, good, -(-card.counts.failed_loads // len(kinds))
        )
        for name, spoil in kinds.items():
            card.say(f"failures: {name}, {bench.times} times")
            rows.append(_repeated(bench, result, name, spoil, noise))
        result.table("plans that must not load", _COLUMNS, rows)
        _written(voice, good.record, good.plan)
        _load(backend, voice, record)
        result.check("the good plan still loads and runs", True, "after all of them")


def _kinds(card: Card, result: Result) -> Mapping[str, Spoil]:
    """What is wrong with a plan, by name; what TensorRT itself has to refuse comes last."""
    kinds: dict[str, Spoil] = {
        "cut": _cut,
        "flipped bytes": _flipped,
        "of another TensorRT version": _other_version,
        "of another card": _other_card,
        "gone": _gone,
    }
    try:
        foreign = card.foreign_plan()
    except SambertError as error:
        result.notes.append(f"no plan for another card was handed to TensorRT: {error}")
    else:

        def of_another_card(voice: Path, good: _Good, rng: np.random.Generator) -> None:
            _forged(voice, good, foreign.content)

        kinds[f"of another card ({foreign.target}), its record forged"] = of_another_card
    kinds["random bytes, its record forged"] = _noise
    kinds["its beginning overwritten, its record forged"] = _beheaded
    kinds["cut, its record forged"] = _cut_and_forged
    return kinds


def _repeated(bench: _Bench, result: Result, name: str, spoil: Spoil, noise: int) -> list[Cell]:
    """Loads so many plans that are bad in one way."""
    said, unclear, before = Counter[str](), "", bench.card.free()
    for number in range(bench.times):
        spoil(bench.voice, bench.good, np.random.default_rng(number))
        try:
            _load(bench.backend, bench.voice, bench.record)
        except (EngineError, BackendError) as error:
            said[_first_words(error)] += 1
            unclear = unclear if str(error).strip() else "an error without words"
        except Exception as error:
            unclear = f"{type(error).__name__}: {error}"
    errors, lost = said.total(), before - bench.card.settled(before, noise)
    result.check(
        f"bad plan ({name}): refused, and nothing is left",
        errors == bench.times and not unclear and lost <= noise,
        f"{errors} of {bench.times} ended in an error of this project"
        f"{f', one in {unclear}' if unclear else ''}; {lost} bytes fewer are free; "
        f"allowed: {noise}",
    )
    return [name, bench.times, errors, lost, next(iter(said), "")]


def _load(backend: TrtBackend, voice: Path, record: StageRecord) -> None:
    """Opens, runs and closes the stage."""
    session: Session = backend.open(voice, record)
    try:
        session.run(usual_inputs(session.graph))
    finally:
        session.close()


def _written(voice: Path, record: EngineRecord, plan: bytes) -> Path:
    """Puts a plan alone into a voice's store; returns its folder."""
    store = EngineStore(voice / ENGINES)
    store.prune(most_bytes=0)
    return store.add(record, plan).directory


def _forged(voice: Path, good: _Good, plan: bytes) -> None:
    """A plan whose record says that all is well."""
    digest = hashlib.sha256(plan).hexdigest()
    _written(voice, replace(good.record, plan_bytes=len(plan), plan_sha256=digest), plan)


def _cut(voice: Path, good: _Good, rng: np.random.Generator) -> None:
    path = _written(voice, good.record, good.plan) / "plan"
    path.write_bytes(good.plan[: int(rng.integers(0, len(good.plan)))])


def _flipped(voice: Path, good: _Good, rng: np.random.Generator) -> None:
    path = _written(voice, good.record, good.plan) / "plan"
    content = bytearray(good.plan)
    for place in rng.integers(0, len(content), int(rng.integers(1, 65))):
        content[place] ^= 1 << int(rng.integers(0, 8))
    content[0] ^= 0x55  # two flips of one bit would cancel out
    path.write_bytes(content)


def _other_version(voice: Path, good: _Good, rng: np.random.Generator) -> None:
    spec = replace(good.record.spec, version=f"0.0.{int(rng.integers(1, 1000))}")
    _written(voice, replace(good.record, spec=spec), good.plan)


def _other_card(voice: Path, good: _Good, rng: np.random.Generator) -> None:
    spec = replace(good.record.spec, targets=(f"sm_{int(rng.integers(20, 60))}",))
    _written(voice, replace(good.record, spec=spec), good.plan)


def _gone(voice: Path, good: _Good, rng: np.random.Generator) -> None:
    _written(voice, good.record, good.plan)
    EngineStore(voice / ENGINES).prune(most_bytes=0)


def _noise(voice: Path, good: _Good, rng: np.random.Generator) -> None:
    _forged(voice, good, rng.bytes(len(good.plan)))


def _beheaded(voice: Path, good: _Good, rng: np.random.Generator) -> None:
    size = min(64, len(good.plan))
    _forged(voice, good, rng.bytes(size) + good.plan[size:])


def _cut_and_forged(voice: Path, good: _Good, rng: np.random.Generator) -> None:
    _forged(voice, good, good.plan[: int(rng.integers(1, len(good.plan)))])


def _first_words(error: SambertError) -> str:
    text = " ".join(str(error).split())
    return text if len(text) < 160 else f"{text[:157]}..."
