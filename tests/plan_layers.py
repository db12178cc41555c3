"""The layers of a plan by what they do, for tests of what TensorRT makes of a graph."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sambert_trt.engines.engine import LayerRecord

_CONVOLUTION = re.compile(r"correlation|deconv|.*convolution.*", re.IGNORECASE)
_FUSED_CONVOLUTION = re.compile(r"__myl_\w*?(Corr|Deco|Conv)", re.ASCII)


def convolutions(layers: Iterable[LayerRecord]) -> tuple[LayerRecord, ...]:
    """The layers that convolve or convolve transposed, alone or fused with what follows.

    Matrix products that TensorRT writes for convolutions of one tap are not among them.
    """
    return tuple(
        layer
        for layer in layers
        if _CONVOLUTION.fullmatch(layer.kind)
        or (layer.kind == "runtime_fusion" and _FUSED_CONVOLUTION.match(layer.name))
    )


def stream_syncs(layers: Iterable[LayerRecord]) -> tuple[LayerRecord, ...]:
    """The layers where one CUDA stream signals or waits for another of the same plan."""
    return tuple(layer for layer in layers if layer.kind in ("wait", "signal"))


def host_reads(layers: Iterable[LayerRecord]) -> tuple[LayerRecord, ...]:
    """The layers that copy to the host, which waits: a loop whose length is known on the device.

    A plan with one of them cannot be captured as a CUDA graph.
    """
    return tuple(layer for layer in layers if layer.name.startswith("copy_d2h"))
