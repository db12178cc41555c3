"""A plan while its engine is closed: on the disk, in this process's memory, or page-locked."""

from __future__ import annotations

from collections.abc import Callable

from sambert_trt.engines.store import EngineStore, StoredEngine

from .cuda import PinnedBuffer
from .gpu import PlanCopies

__all__ = ["WaitingPlan"]


class WaitingPlan:
    """A plan while its engine is closed: verified whenever it comes from the disk."""

    def __init__(
        self,
        store: EngineStore,
        entry: StoredEngine,
        pin: Callable[[bytes], PinnedBuffer] | None,
        copies: PlanCopies,
    ) -> None:
        self._store, self._entry, self._pin, self._copies = store, entry, pin, copies
        self._bytes: bytes | None = None
        self._buffer: PinnedBuffer | None = None

    @property
    def sha256(self) -> str:
        """Of the plan."""
        return self._entry.record.plan_sha256

    @property
    def host_bytes(self) -> int:
        """What it holds in this process."""
        kept = self._bytes is not None or self._buffer is not None
        return self._entry.record.plan_bytes if kept else 0

    def content(self) -> bytes | memoryview:
        """The plan's bytes.

        Raises:
            EngineError: the file is not the one its record names, or others may write it.
        """
        if self._buffer is not None:
            return self._buffer.content
        content = self._bytes or self._store.plan_bytes(self._entry)
        if self._pin is not None:
            self._buffer = self._pin(content)
            return self._buffer.content
        if self._copies is PlanCopies.MEMORY:
            self._bytes = content
        return content

    def close(self) -> None:
        """Drops the copy."""
        buffer, self._buffer, self._bytes = self._buffer, None, None
        if buffer is not None:
            buffer.close()
