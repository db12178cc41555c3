"""The sections in the order they run, what each needs, and running them one by one.

A section that fails, or cannot run, does not keep the others from it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from sambert_trt.engines.errors import DeviceLostError, SambertError

from .bare import copy_and_count, make_contexts, record_graphs
from .card import Card
from .failures import load_bad_plans
from .lasting import open_and_close, speak_long
from .machine import measure_install
from .parity import compare_speech, compare_stages
from .peaks import measure_peaks
from .provider import try_onnx_cuda
from .results import NotRunError, Outcome, Result, Status, Target
from .speed import time_loads, time_speech, time_steps

__all__ = ["SECTIONS", "Needs", "Section", "passed", "run_sections", "targets"]

_LOG = logging.getLogger(__name__)
NOT_ASKED = "not asked for"


class Needs(Enum):
    """What a section cannot do without."""

    NOTHING = 0
    CARD = 1
    TENSORRT = 2
    PLANS = 3


@dataclass(frozen=True)
class Section:
    """A part of the acceptance; `fill` puts what it finds into a result."""

    name: str
    title: str
    needs: Needs
    fill: Callable[[Card, Result], None]


def _prepare(card: Card, result: Result) -> None:
    """Sees to it that plans are there; where not, the sections that need them do not run."""
    try:
        card.prepare(card, result)
    except SambertError as error:
        card.no_plans = str(error)
        raise
    if result.failures and not card.precisions:
        card.no_plans = "; ".join(check.found for check in result.failures)


SECTIONS = (
    Section("plans", "Plans for this card", Needs.TENSORRT, _prepare),
    Section("install", "Size of the runtime on the disk", Needs.NOTHING, measure_install),
    Section("contexts", "CUDA contexts", Needs.CARD, make_contexts),
    Section("memory", "Allocations, copies and accounting", Needs.CARD, copy_and_count),
    Section("graphs", "CUDA graphs", Needs.CARD, record_graphs),
    Section("parity", "Each stage against ONNX Runtime", Needs.PLANS, compare_stages),
    Section("streaming", "Chunked and whole speech", Needs.PLANS, compare_speech),
    Section("load", "Opening engines", Needs.PLANS, time_loads),
    Section("step", "Steps of decoder and durations", Needs.PLANS, time_steps),
    Section("speech", "First audio and ten seconds of speech", Needs.PLANS, time_speech),
    Section("peak", "What speaking takes of the card", Needs.PLANS, measure_peaks),
    Section("cycles", "Engines opened and closed", Needs.PLANS, open_and_close),
    Section("sentences", "Thousands of sentences", Needs.PLANS, speak_long),
    # After this one, ONNX Runtime keeps the card's primary context for the process's life.
    Section("onnx_cuda", "ONNX Runtime's CUDA provider", Needs.CARD, try_onnx_cuda),
    # Last, because a plan that crashes TensorRT would end the process.
    Section("failures", "Plans that must not load", Needs.PLANS, load_bad_plans),
)


def run_sections(
    card: Card,
    only: Collection[str] = (),
    keep: Callable[[Sequence[Outcome]], None] = lambda outcomes: None,
) -> Iterator[Outcome]:
    """Runs the chosen sections, all without a choice; yields each outcome as it is known.

    Args:
        keep: gets all outcomes whenever one changes, the running one included.
    """
    outcomes = [Outcome(s.name, s.title, Status.NOT_RUN, "not reached") for s in SECTIONS]
    keep(outcomes)
    chosen = _chosen(only)
    for section, outcome in zip(SECTIONS, outcomes, strict=True):
        outcome.reason = _why_not(card, section, chosen)
        if not outcome.reason:
            outcome.status = Status.RUNNING
            outcome.reason = "the process ended in this section"
            keep(outcomes)
            try:
                _run(card, section, outcome)
            finally:
                keep(outcomes)
        yield outcome
    keep(outcomes)


def _chosen(only: Collection[str]) -> set[str]:
    """The sections to run: those asked for, and `plans` where one of them needs it."""
    chosen = {section.name for section in SECTIONS if not only or section.name in only}
    if any(s.needs is Needs.PLANS for s in SECTIONS if s.name in chosen):
        chosen.add("plans")
    return chosen


def _why_not(card: Card, section: Section, chosen: Collection[str]) -> str:
    """Why a section does not run; empty where it does."""
    if section.name not in chosen:
        return NOT_ASKED
    if section.needs is not Needs.NOTHING and card.absent:
        return card.absent
    return card.no_plans if section.needs in (Needs.TENSORRT, Needs.PLANS) else ""


def _run(card: Card, section: Section, outcome: Outcome) -> None:
    """Runs a section; whatever happens to it stands in its outcome."""
    card.say(f"{section.name}: {section.title}")
    start = time.perf_counter()
    try:
        section.fill(card, outcome.result)
    except NotRunError as error:
        outcome.status, outcome.reason = Status.NOT_RUN, str(error)
    except KeyboardInterrupt:
        outcome.status, outcome.reason = Status.INTERRUPTED, "interrupted"
        raise
    except DeviceLostError as error:
        outcome.status, outcome.reason = Status.FAILED, str(error)
        card.absent = f"the card was lost in the section {section.name}; run the rest with --only"
    except Exception as error:
        outcome.status = Status.FAILED
        kind = "" if isinstance(error, SambertError) else f"{type(error).__name__}: "
        outcome.reason = f"ended in an error: {kind}{error}"
        _LOG.debug("section %s", section.name, exc_info=True)
    else:
        failures = outcome.result.failures
        outcome.status = Status.FAILED if failures else Status.PASSED
        outcome.reason = "; ".join(check.name for check in failures)
    finally:
        outcome.seconds = time.perf_counter() - start


def targets(outcomes: Sequence[Outcome]) -> tuple[Target, ...]:
    """The numbers to reach on an RTX card of 8 GB, with what was measured of them."""
    numbers = {outcome.name: outcome.result.numbers for outcome in outcomes}

    def target(name: str, limit: float, unit: str, section: str, *keys: str) -> Target:
        found: Mapping[str, float] = numbers.get(section, {})
        value = next((found[key] for key in keys if key in found), None)
        return Target(name, limit, unit, value, section)

    return (
        target(
            "peak of the card, contexts included, at best",
            700,
            "MB",
            "peak",
            "peak_700_mb",
            "peak_mb",
        ),
        target("engine reopen, the slowest engine's median", 150, "ms", "load", "reopen_ms"),
        target("first audio, median", 50, "ms", "speech", "first_audio_ms"),
        target("10 s of speech, median", 100, "ms", "speech", "ten_seconds_ms"),
        target("runtime install with TensorRT for RTX", 450, "MB", "install", "install_mb"),
    )


def passed(outcomes: Sequence[Outcome]) -> bool:
    """Whether everything that ran passed, measured targets too, and the card was looked at.

    A run that was to look at a card and found none has not passed.
    """
    asked = [outcome for outcome in outcomes if outcome.reason != NOT_ASKED]
    ran = [outcome for outcome in asked if outcome.status is not Status.NOT_RUN]
    needs = {section.name: section.needs for section in SECTIONS}
    of_the_card = [outcome for outcome in asked if needs[outcome.name] is not Needs.NOTHING]
    looked = not of_the_card or any(outcome in ran for outcome in of_the_card)
    fine = all(outcome.status is Status.PASSED for outcome in ran)
    return bool(ran) and looked and fine and all(t.verdict != "fail" for t in targets(outcomes))
