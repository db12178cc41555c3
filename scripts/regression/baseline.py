"""Baselines of graphics cards: what an acceptance report of a card is compared with.

A baseline is one JSON file per card, `baselines/<card>.json`, made of a report that
`gpu_acceptance.py` wrote. It is replaced only when somebody asks for that. Numbers of a report
become metrics: `first_audio_ms` of the section `speech` is `card.speech.first_audio_ms`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sambert_trt.engines.errors import InputError
from sambert_trt.runtime.audio import replaced_file

from .catalogue import Catalogue
from .gate import Verdict, judged_values
from .readers import (
    Reader,
    check_schema,
    facts,
    fields_of,
    items,
    number,
    parsed,
    read_bytes,
    text,
    truth,
)
from .record import Samples

__all__ = [
    "SCHEMA",
    "Baseline",
    "Comparison",
    "baseline_from_file",
    "baseline_from_report",
    "baseline_path",
    "compared_baseline",
    "failures_from_report",
    "write_baseline",
]

SCHEMA = 1
_REPORT_SCHEMA = 1
_PASSED = "passed"
_CLOCKS = ("sm_most_mhz", "power_limit_w")
"""What somebody has set; the clocks of the moment come and go."""
_SLOWED = ("sm_mhz", "memory_mhz")
_STEADY = 0.03


@dataclass(frozen=True)
class Baseline:
    """What a card did.

    Attributes:
        card: its name.
        target: its compute capability, `sm_86`.
        driver: its version and the newest CUDA it runs.
        clocks: as NVML told them before the run, and `clocks_after` after it; empty without NVML.
        flavour: of TensorRT, with its version.
        voice: facts of the voice, as the acceptance has them.
        scale: full or quick, and the counts.
        numbers: by measured name.
        passed: whether the acceptance did.
        revision: of the checkout.
        started: when the acceptance began.
    """

    card: str
    target: str
    driver: Mapping[str, Any]
    clocks: Mapping[str, Any]
    clocks_after: Mapping[str, Any]
    flavour: str
    voice: Mapping[str, Any]
    scale: Mapping[str, Any]
    numbers: Mapping[str, float]
    passed: bool
    revision: str
    started: str
    schema: int = SCHEMA


@dataclass(frozen=True)
class Comparison:
    """A report beside a baseline.

    Attributes:
        differences: drivers, clocks, TensorRT, voices and scales that differ, in words: what became
            worse may come from there.
    """

    verdicts: tuple[Verdict, ...]
    differences: tuple[str, ...]


def baseline_path(folder: Path, card: str) -> Path:
    """Where the baseline of a card lies: `nvidia-geforce-rtx-3070.json`."""
    return folder / f"{re.sub(r'[^a-z0-9]+', '-', card.lower()).strip('-')}.json"


def baseline_from_report(path: Path) -> Baseline:
    """The numbers of an acceptance report.

    Raises:
        InputError: it is no report, of another schema, unfinished, or of no card.
    """
    try:
        return _from_report(_facts_of_report(path), str(path))
    except KeyError as error:
        raise InputError(
            f"{path} is no report of gpu_acceptance.py: it holds no {error.args[0]!r}; run it again"
        ) from error


def failures_from_report(path: Path) -> tuple[str, ...]:
    """What of an acceptance did not pass, a sentence each; empty where it passed.

    Raises:
        InputError: it is no report, or of another schema.
    """
    data, where = _facts_of_report(path), str(path)
    if data.get("verdict") == _PASSED:
        return ()
    sections = items(facts, data.get("sections", []), f"{where}: sections")
    targets = items(facts, data.get("targets", []), f"{where}: targets")
    found = [told for section in sections for told in _failed_in_section(section, where)]
    found += [
        f"{one.get('name')}: {one.get('value')} {one.get('unit')}; at most {one.get('limit')}"
        for one in targets
        if one.get("verdict") == "fail"
    ]
    return tuple(found) or (f"{where} names nothing that failed: look whether its sections ran",)


def baseline_from_file(path: Path) -> Baseline:
    """Reads a baseline.

    Raises:
        InputError: there is none, or it is of another schema.
    """
    where = str(path)
    data = parsed(read_bytes(path).decode(errors="replace"), where)
    check_schema(data, SCHEMA, where)
    texts: dict[str, Reader[Any]] = dict.fromkeys(
        ("card", "target", "flavour", "revision", "started"), text
    )
    tables = dict.fromkeys(("driver", "clocks", "clocks_after", "voice", "scale"), facts)
    readers = {**texts, **tables, "numbers": _numbers, "passed": truth, "schema": number}
    return Baseline(**{**fields_of(data, where, Baseline, readers), "schema": SCHEMA})


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Writes a baseline in the place of the one that is there.

    Raises:
        InputError: the acceptance did not pass.
        OutputError: it cannot be written.
    """
    if not baseline.passed:
        raise InputError(
            f"the acceptance of {baseline.card} of {baseline.started} did not pass; a baseline is "
            "made of one that did"
        )
    data = json.dumps(asdict(baseline), ensure_ascii=False, indent=1, allow_nan=False)
    with replaced_file(path) as fresh:
        fresh.write_text(data + "\n", encoding="utf-8")


def compared_baseline(base: Baseline, candidate: Baseline, catalogue: Catalogue) -> Comparison:
    """Judges a report against a baseline; a number that the report lacks has failed.

    Raises:
        InputError: they are of different cards.
    """
    cards = [f"{one.card} ({one.target})" for one in (base, candidate)]
    if cards[0] != cards[1]:
        raise InputError(
            f"the baseline is of {cards[0]}, the report of {cards[1]}; name the baseline of that "
            "card, or make one of the report"
        )
    sides = [
        {name: Samples(((value,),)) for name, value in one.numbers.items()}
        for one in (base, candidate)
    ]
    verdicts = judged_values(catalogue, *sides)
    return Comparison(tuple(verdicts), tuple(_differences(base, candidate)))


def _facts_of_report(path: Path) -> dict[str, Any]:
    data = parsed(read_bytes(path).decode(errors="replace"), str(path))
    check_schema(data, _REPORT_SCHEMA, str(path))
    return facts(data, str(path))


def _failed_in_section(section: Mapping[str, Any], where: str) -> Iterator[str]:
    """Checks that did not hold, and the error that a section ended in."""
    name, reason = section.get("name"), section.get("reason") or "failed without a reason"
    checks = items(facts, section.get("checks", []), f"{where}: {name}: checks")
    failed = [check for check in checks if not check.get("passed")]
    yield from (f"{name}: {check.get('name')}: {check.get('found')}" for check in failed)
    only_checks = failed and reason == "; ".join(str(check.get("name")) for check in failed)
    if section.get("status") not in (_PASSED, "not run") and not only_checks:
        yield f"{name}: {reason}"


def _from_report(data: Mapping[str, Any], where: str) -> Baseline:
    machine = facts(data["machine"], f"{where}: machine")
    card = facts(machine["card"], f"{where}: card")
    if "absent" in card:
        raise InputError(f"{where} is of no card: {card['absent']}; run it where there is one")
    if not truth(data["complete"], f"{where}: complete"):
        raise InputError(f"{where} is of a run that was broken off; run the acceptance again")
    sections = items(facts, data["sections"], f"{where}: sections")
    return Baseline(
        card=text(card["name"], f"{where}: card"),
        target=text(card["target"], f"{where}: target"),
        driver=facts(machine["driver"], f"{where}: driver"),
        clocks=facts(machine["clocks"], f"{where}: clocks"),
        clocks_after=facts(data["clocks_after"], f"{where}: clocks_after"),
        flavour=str(machine["used"] or "none"),
        voice=facts(data["voice"], f"{where}: voice"),
        scale=facts(data["scale"], f"{where}: scale"),
        numbers=dict(_section_numbers(sections, where)),
        passed=data["verdict"] == _PASSED,
        revision=str(machine["revision"]),
        started=text(data["started"], f"{where}: started"),
    )


def _section_numbers(
    sections: tuple[dict[str, Any], ...], where: str
) -> Iterator[tuple[str, float]]:
    """What was measured; a number nobody could tell is null in a report, and left out."""
    for section in sections:
        for name, value in facts(section["numbers"], f"{where}: numbers").items():
            if value is not None:
                measured = f"card.{section['name']}.{_slug(name)}"
                yield measured, number(value, f"{where}: {measured}")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _numbers(data: object, where: str) -> dict[str, float]:
    return {name: number(value, f"{where}.{name}") for name, value in facts(data, where).items()}


def _differences(base: Baseline, candidate: Baseline) -> Iterator[str]:
    pairs = {
        "TensorRT": ({"": base.flavour}, {"": candidate.flavour}),
        "driver": (base.driver, candidate.driver),
        "voice": (base.voice, candidate.voice),
        "scale": (base.scale, candidate.scale),
        "clocks": tuple({n: one.clocks.get(n) for n in _CLOCKS} for one in (base, candidate)),
    }
    for what, (before, now) in pairs.items():
        for name in dict.fromkeys((*before, *now)):
            if before.get(name) != now.get(name):
                was, found = before.get(name, "unknown"), now.get(name, "unknown")
                yield f"{what} {name}".rstrip() + f": {was} in the baseline, {found} now"
    yield from _slowed(base, candidate)


def _slowed(base: Baseline, candidate: Baseline) -> Iterator[str]:
    """Clocks right after the work that are not what they were."""
    for name in _SLOWED:
        was, now = base.clocks_after.get(name), candidate.clocks_after.get(name)
        if was and now and abs(now / was - 1) > _STEADY:
            yield f"clocks after the run, {name}: {was} in the baseline, {now} now"
