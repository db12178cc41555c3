"""Who holds how much memory: one report for every backend. Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["EngineMemory", "MemoryReport"]


@dataclass(frozen=True)
class EngineMemory:
    """One engine. Bytes on the device, and of its plan in host memory; `state` as in residency."""

    name: str
    state: str
    leases: int
    opens: int
    context: int
    weights: int
    scratch: int
    buffers: int
    host_copy: int

    @property
    def device_bytes(self) -> int:
        """What it takes on the card while it is open."""
        return self.context + self.weights + self.scratch + self.buffers


@dataclass(frozen=True)
class MemoryReport:
    """Who holds what at this moment, in bytes; None where nobody can tell.

    Attributes:
        backend: what runs the graphs.
        held, limit: what engines hold by the books, and what they may; 0 where nothing limits them.
        process: what the driver counts for this process, contexts included.
        device_total, device_free: of the whole card, all processes together.
        counters: how often engines were opened, evicted, waited for, prefetched, or failed.
        advice: a sentence for each thing to do something about.
    """

    backend: str
    isolation: str
    mode: str
    engines: tuple[EngineMemory, ...] = ()
    held: int = 0
    limit: int = 0
    process: int | None = None
    device_total: int | None = None
    device_free: int | None = None
    counters: Mapping[str, int] = field(default_factory=dict)
    advice: tuple[str, ...] = ()

    @property
    def device_used(self) -> int | None:
        """What all processes hold of the card."""
        if self.device_total is None or self.device_free is None:
            return None
        return self.device_total - self.device_free

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        data["engines"] = [
            {**dataclasses.asdict(engine), "device_bytes": engine.device_bytes}
            for engine in self.engines
        ]
        data |= {"counters": dict(self.counters), "advice": [*self.advice]}
        return data | {"device_used": self.device_used}

    def as_text(self) -> str:
        """A table for people, in megabytes of 10^6 bytes."""
        lines = [f"{self.backend}: isolation {self.isolation}, mode {self.mode}"]
        if self.engines:
            columns = ("context", "weights", "scratch", "buffers", "host_copy")
            heads = "".join(f"{column.replace('_', ' '):>10}" for column in columns)
            lines.append(f"{'engine':32}{'state':>8}{heads}{'opens':>7}")
            lines += [
                f"{engine.name[-32:]:32}{engine.state:>8}"
                + "".join(f"{getattr(engine, column) / 1e6:10.1f}" for column in columns)
                + f"{engine.opens:7}"
                for engine in self.engines
            ]
        limit = f" of {_mb(self.limit)}" if self.limit else ""
        lines.append(f"held by engines {_mb(self.held)}{limit}")
        lines.append(
            f"this process {_mb(self.process)}, card {_mb(self.device_used)} used of "
            f"{_mb(self.device_total)}"
        )
        if self.counters:
            counted = (f"{name} {count}" for name, count in sorted(self.counters.items()))
            lines.append(", ".join(counted))
        return "\n".join([*lines, *self.advice])


def _mb(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e6:.0f} MB"
