"""A backend that opens candidates: it serves the judge, the clock and whoever opens the voice.

May import onnx and the runtime; no torch, no exporter.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sambert_trt.engines.errors import OutputError
from sambert_trt.engines.graphs import Placement, Precision, Stage
from sambert_trt.engines.manifest import StageRecord, VoiceManifest
from sambert_trt.engines.voice import checked_bytes, file_record
from sambert_trt.runtime.backend import Backend, Session
from sambert_trt.runtime.memory import MemoryReport

from .assessment import Candidate

__all__ = ["CandidateBackend", "Candidates"]

Candidates = Mapping[Stage, Candidate]


class CandidateBackend:
    """A backend that opens candidates in place of the voice's own graphs of their stages.

    Args:
        inner: opens the graphs.
        candidates: by stage; other stages open as the voice names them.
        rounded: open candidates that hold halves as a card computes them (see `rounded_graph`).
    """

    def __init__(self, inner: Backend, candidates: Candidates, rounded: bool = False) -> None:
        self._inner, self._candidates, self._rounded = inner, candidates, rounded

    @property
    def placement(self) -> Placement:
        """See `Backend.placement`."""
        return self._inner.placement

    def preferred(self, directory: Path, manifest: VoiceManifest) -> Precision:
        """See `Backend.preferred`: candidates stand in for graphs in fp32."""
        return Precision.FP32

    def open(self, directory: Path, record: StageRecord) -> Session:
        """See `Backend.open`."""
        candidate = self._candidates.get(record.graph.stage)
        if candidate is None:
            return self._inner.open(directory, record)
        if self._rounded and candidate.plan.base is Precision.FP16:
            return self._opened_rounded(candidate)
        return self._inner.open(candidate.directory, candidate.record)

    def memory_report(self) -> MemoryReport:
        """See `Backend.memory_report`."""
        return self._inner.memory_report()

    def close(self) -> None:
        """See `Backend.close`: whoever made the inner backend closes it."""

    def _opened_rounded(self, candidate: Candidate) -> Session:
        import onnx

        from .emulate import rounded_graph

        model = onnx.load_from_string(checked_bytes(candidate.directory, candidate.record.file))
        content, name = rounded_graph(model).SerializeToString(), "rounded.onnx"
        try:
            with tempfile.TemporaryDirectory(prefix="sambert-judge-") as folder:
                (Path(folder) / name).write_bytes(content)
                record = replace(candidate.record, file=file_record(Path(folder), name))
                return self._inner.open(Path(folder), record)
        except OSError as error:
            raise OutputError(
                f"a rounded graph could not be written to {tempfile.gettempdir()}: "
                f"{error.strerror or error}; make room, or name another place in TMPDIR"
            ) from error
