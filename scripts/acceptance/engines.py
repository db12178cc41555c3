"""One engine at a time, opened the way the runtime opens it, to be timed and repeated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sambert_trt.engines.graphs import GraphSpec, Precision, Stage
from sambert_trt.engines.store import ENGINES, EngineStore, StoredEngine
from sambert_trt.runtime.backend import Array
from sambert_trt.runtime.budget import EngineCost
from sambert_trt.runtime.trt_api import LoadedPlan, TrtApi
from sambert_trt.runtime.trt_engine import TrtEngine
from sambert_trt.runtime.trt_layout import Layout
from sambert_trt.runtime.trt_space import CONTEXT_BYTES, OwnSpace, Space

from .card import Card

__all__ = ["StoredStage", "own_space", "stored_stage", "usual_inputs"]

Content = bytes | memoryview


@dataclass(frozen=True)
class StoredStage:
    """A stage's plan on the disk.

    Attributes:
        graph: its signature; the axes are the plan's profile.
    """

    card: Card
    graph: GraphSpec
    store: EngineStore
    entry: StoredEngine

    def plan(self) -> bytes:
        """The plan, read and verified."""
        return self.store.plan_bytes(self.entry)

    def opened(
        self,
        read: Callable[[], Content],
        open_space: Callable[[], Space],
        kernels: bytes | None = None,
        keep: Callable[[bytes | None], None] = lambda kernels: None,
    ) -> TrtEngine:
        """The engine, open; what `read` gives is deserialised.

        Args:
            kernels: compiled for this card earlier, if they were.
            keep: gets those compiled by the time the engine closes.
        """
        content, api = read(), TrtApi(self.card.trt)
        name = self.graph.stage.value

        def load() -> LoadedPlan:
            return api.loaded(content, name, kernels)

        return TrtEngine(self.graph, open_space, load, self._cost, keep=keep)

    @property
    def _cost(self) -> EngineCost:
        record = self.entry.record
        scratch = max(record.scratch_bytes, record.activation_bytes, 0)
        weights = max(record.weights_bytes, 0)
        return EngineCost(CONTEXT_BYTES, weights, scratch, Layout(self.graph).size)


def stored_stage(card: Card, stage: Stage, precision: Precision) -> StoredStage:
    """The plan of a stage that runs on the card.

    Raises:
        EngineMissingError: there is none.
    """
    record = card.manifest.record(stage, precision)
    store = EngineStore(card.voice / ENGINES)
    assert card.flavour is not None
    entry = store.find(
        stage=stage,
        precision=precision,
        graph_sha256=record.file.sha256,
        recipe=record.recipe,
        flavour=card.flavour,
        version=card.version or "",
        target=card.driver.capability(card.device),
    )
    graph = replace(record.graph, axes=dict(entry.record.spec.profile))
    return StoredStage(card, graph, store, entry)


def own_space(card: Card) -> OwnSpace:
    """A context of the engine's own."""
    return OwnSpace(card.driver, card.device)


def usual_inputs(graph: GraphSpec) -> dict[str, Array]:
    """Zeros of the usual sizes: an id every table has, and nothing masked."""
    inputs: dict[str, Array] = {}
    for tensor in graph.inputs:
        shape = tuple(graph.extent(entry).usual for entry in tensor.shape)
        inputs[tensor.name] = np.zeros(shape, np.dtype[Any](tensor.dtype))
    return inputs
