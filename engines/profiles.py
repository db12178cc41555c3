"""The range of sizes a plan is built for: a graph's own axes, cut to what speech needs.

TensorRT sets scratch memory aside for the largest size of a profile, so a range that is never used
costs memory in every run. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping

from .errors import InputError
from .graphs import AxisRange, GraphSpec, Stage

__all__ = ["profile_from_graph"]

_CHUNK = 240
"""The longest chunk of mel frames the runtime's own chunk policies ask for."""

_MOST: dict[Stage, int] = {
    Stage.TEXT_ENCODER: 512,
    Stage.PROSODY: 512,
    Stage.MEMORY_KV: 128,
    Stage.POSTNET: _CHUNK + 16,
    Stage.VOCODER: _CHUNK,
}


def profile_from_graph(
    graph: GraphSpec, axes: Mapping[str, AxisRange] | None = None
) -> dict[str, AxisRange]:
    """The range of each dynamic axis a plan is built for.

    Args:
        graph: the stage's signature; a profile never leaves its ranges.
        axes: ranges that replace the usual ones, by axis name.

    Raises:
        InputError: a range that the graph does not take.
    """
    most = _MOST.get(graph.stage)
    if most is not None and graph.stage is Stage.VOCODER:
        most += sum(graph.context)
    profile = {}
    for name, axis in graph.axes.items():
        wanted = (axes or {}).get(name)
        if wanted is None:
            limit = axis.most if most is None else min(axis.most, max(most, axis.least))
            wanted = AxisRange(axis.least, min(axis.usual, limit), limit)
        elif wanted.least < axis.least or wanted.most > axis.most:
            raise InputError(
                f"{name} from {wanted.least} to {wanted.most}: the {graph.stage.value} graph takes "
                f"{axis.least} to {axis.most}"
            )
        profile[name] = wanted
    return profile
