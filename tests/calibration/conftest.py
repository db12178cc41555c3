"""A processor that is strict about half precision, which ONNX Runtime's CPU kernels are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from onnx import ModelProto

Strict = Callable[["ModelProto"], "ModelProto"]


@pytest.fixture(scope="session")
def strict() -> Strict:
    """Rewrites a graph so that every operator on halves rounds what it puts out to halves."""
    pytest.importorskip("onnx", reason="graphs are converted with onnx")
    from sambert_trt.calibration.emulate import rounded_graph

    return rounded_graph
