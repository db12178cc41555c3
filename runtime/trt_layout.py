"""Where an engine's tensors lie in device memory. Numpy only."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from sambert_trt.engines.graphs import GraphSpec, Stage, TensorSpec

from .backend import FEEDBACK, RETURNED, SLIDING

__all__ = ["BURST", "Layout", "most_bytes"]

_ALIGNMENT = 512

BURST: Mapping[Stage, int] = {Stage.DURATION_STEP: 64, Stage.DECODER_STEP: 32, Stage.POSTNET: 1}
"""How many steps are sent to the card at once."""


class Layout:
    """Where a stage's tensors lie in one block of device memory, and in its pinned twin.

    Regions: each tensor by its name; feedback inputs twice, `h/0` and `h/1`, in turns written and
    read; and for sequences what a burst of steps brings and gives, `mask/burst`.
    """

    def __init__(self, graph: GraphSpec) -> None:
        self.size = 0
        self._regions: dict[str, int] = {}
        feedback = FEEDBACK.get(graph.stage, {})
        steps = BURST.get(graph.stage, 0)
        sliding = SLIDING.get(graph.stage)
        for tensor in graph.inputs:
            size = most_bytes(graph, tensor)
            if tensor.name in feedback:
                self._add(f"{tensor.name}/0", size)
                self._add(f"{tensor.name}/1", size)
                continue
            self._add(tensor.name, size)
            if tensor.name == sliding:
                window = graph.extent(tensor.shape[0]).most
                self._add(f"{tensor.name}/burst", size // window * (window + steps - 1))
            elif steps:
                self._add(f"{tensor.name}/burst", size * steps)
        for tensor in graph.outputs:
            size = most_bytes(graph, tensor)
            if tensor.name not in feedback.values():
                self._add(tensor.name, size)
            if tensor.name in RETURNED.get(graph.stage, ()):
                self._add(f"{tensor.name}/burst", size * steps)

    def offset(self, region: str) -> int:
        """Where a region starts."""
        return self._regions[region]

    def _add(self, region: str, size: int) -> None:
        self._regions[region] = self.size
        self.size += -(-size // _ALIGNMENT) * _ALIGNMENT


def most_bytes(graph: GraphSpec, tensor: TensorSpec) -> int:
    """What a tensor takes at the largest sizes of its axes."""
    shape = (graph.extent(entry).most for entry in tensor.shape)
    return math.prod(shape) * np.dtype(tensor.dtype).itemsize
