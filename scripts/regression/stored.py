"""A run of one side beside the record of an earlier one: what is the same at every run counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from .catalogue import Catalogue
from .machine import obstacles
from .record import Record, Side, SuiteStatus
from .report import of_suites, without_times

__all__ = ["Beside", "beside_record", "side_of_record"]


@dataclass(frozen=True)
class Beside:
    """What there is to judge.

    Attributes:
        record: the run, with the earlier one as its base.
        catalogue: judges neither times nor memory, nor what is measured by another method now.
        remarks: what else differs, in sentences.
    """

    record: Record
    catalogue: Catalogue
    remarks: tuple[str, ...]


def side_of_record(earlier: Record) -> Side:
    """What was measured then, by the name that it has in a report."""
    return replace(earlier.candidate, label=f"record of {earlier.started}")


def beside_record(record: Record, earlier: Record, catalogue: Catalogue) -> Beside:
    """Puts an earlier run beside this one; whether they may be compared is asked before."""
    side = side_of_record(earlier)
    gone = catalogue.unknown(side.values)
    kept = {name: values for name, values in side.values.items() if name not in gone}
    measured = [o.name for o in record.outcomes if o.status is SuiteStatus.MEASURED]
    base = replace(side, values=of_suites(kept, catalogue, measured))
    changed = _methods_changed(base, record.candidate, catalogue)
    return Beside(
        replace(record, base=base),
        without_times(catalogue).without_gates(changed),
        tuple(_remarks(obstacles(earlier.machine, record.machine), gone, changed)),
    )


def _remarks(
    elsewhere: tuple[str, ...], gone: list[str], changed: Mapping[str, str]
) -> Iterator[str]:
    yield from (f"the record is of another machine or software: {told}" for told in elsewhere)
    yield from (f"{name} stands in the record and is no metric any more" for name in gone)
    yield from (f"{name} is shown and not judged: {told}" for name, told in changed.items())
    yield "times and memory are shown and not judged: the record is of another run"


def _methods_changed(base: Side, candidate: Side, catalogue: Catalogue) -> dict[str, str]:
    """In words, by metric, what both sides have and measured by different methods."""
    both = set(base.values) & set(candidate.values)
    metrics = dict.fromkeys(catalogue.metric(name).name for name in catalogue.ordered(both))
    methods = {name: (base.method(name), candidate.method(name)) for name in metrics}
    return {
        name: f"the {base.label} measured it by method {before}, this run by method {now}"
        for name, (before, now) in methods.items()
        if before != now
    }
