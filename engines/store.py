"""The plans of a voice on disk: added whole or not at all, checked before anybody runs one.

    engines/<stage>-<precision>-<key>/{plan, record.json}

A plan is executable code. It is made on this machine or copied here by its owner, never
downloaded, and read only where nobody but its owner or root could have changed it.

Standard library only; `filelock` is imported where something is written. Reading takes no lock
and works in folders that cannot be written.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import shlex
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from .engine import EngineRecord, EngineSpec, Flavour, engine_record_from_json
from .errors import EngineError, EngineMissingError, OutputError, SchemaError
from .graphs import Precision, Stage
from .locks import locked
from .private import opened_folder, read_file, sync_folder, write_file
from .work_folder import clear_abandoned, path_bytes, put_in_place, work_folder

__all__ = ["ENGINES", "EngineCheck", "EngineStore", "Removal", "StoredEngine"]

ENGINES = "engines"
"""The folder of a voice that holds its plans."""

PLAN, RECORD, REASON = "plan", "record.json", "why.txt"
QUARANTINE, LOCK = "quarantine", ".lock"

_LOG = logging.getLogger(__name__)
_NAME = re.compile(
    rf"({'|'.join(s.value for s in Stage)})-({'|'.join(p.value for p in Precision)})-[0-9a-f]{{12}}"
)
_BLOCK = 1 << 20
_LARGEST_RECORD = 1 << 26
_LOCK_SECONDS = 120.0
_ATTEMPTS = 3


@dataclass(frozen=True)
class StoredEngine:
    """A plan that stands in a store, and what was recorded of it."""

    directory: Path
    record: EngineRecord

    @property
    def plan_path(self) -> Path:
        """The plan's file. Read it through `EngineStore.plan_bytes`, which checks it."""
        return self.directory / PLAN

    def obstacles(
        self, *, graph_sha256: str, recipe: str, flavour: Flavour, version: str, target: str
    ) -> tuple[str, ...]:
        """Why it cannot serve a voice's graph on a card with a TensorRT; nothing when it can."""
        spec, found = self.record.spec, []
        if spec.graph_sha256 != graph_sha256:
            found.append(
                f"graph: built from {spec.graph_sha256[:12]}, the voice now has {graph_sha256[:12]}"
            )
        if spec.recipe != recipe:
            found.append(f"recipe: built as {spec.recipe!r}, the voice now has {recipe!r}")
        return (*found, *spec.obstacles(flavour, version, target))


@dataclass(frozen=True)
class EngineCheck:
    """What `EngineStore.verify` found of one entry; `problem` is empty when it is good."""

    directory: Path
    engine: StoredEngine | None
    problem: str


@dataclass(frozen=True)
class Removal:
    """What `EngineStore.prune` removed, how many bytes it took, and why."""

    path: Path
    bytes: int
    reason: str


class EngineStore:
    """The `engines` folder of a voice. Constructing touches nothing; the folder need not exist."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def directory(self) -> Path:
        """The folder that holds the entries."""
        return self._directory

    def entries(self) -> list[StoredEngine]:
        """The readable entries by stage, precision and age, newest first.

        Raises:
            EngineError: the folder itself cannot be read.
        """
        return _sorted([entry for folder in self._folders() for entry in _readable(folder)])

    def get(self, spec: EngineSpec) -> StoredEngine:
        """The plan of exactly this specification.

        Raises:
            EngineMissingError: there is none; the message names each field in which the closest
                entry differs.
        """
        entries = self.entries()
        for entry in entries:
            if entry.record.spec.key == spec.key:
                return entry
        like = [e for e in entries if e.record.spec.stage is spec.stage]
        wanted = f"no {spec.precision.value} plan of {spec.stage.value} as asked for"
        if not like:
            found = f"{self._directory} holds no plan of this stage"
        else:
            closest = min(like, key=lambda e: len(e.record.spec.differences(spec)))
            fields = "; ".join(closest.record.spec.differences(spec))
            found = f"the closest, {closest.directory.name}, differs in {fields}"
        remedy = self._command(spec.precision, spec.flavour, spec.targets)
        raise EngineMissingError(f"{wanted}: {found}; build it with: {remedy}")

    def find(
        self,
        *,
        stage: Stage,
        precision: Precision,
        graph_sha256: str,
        recipe: str,
        flavour: Flavour,
        version: str,
        target: str,
    ) -> StoredEngine:
        """The newest plan of a stage that a machine can run.

        Args:
            graph_sha256, recipe: of the voice's graph in this precision, from its manifest.
            flavour, version: the TensorRT of this machine.
            target: its card, `sm_86`.

        Raises:
            EngineMissingError: there is none; the message names what stands against the closest.
        """
        entries = [e for e in self.entries() if e.record.spec.stage is stage]
        like = [e for e in entries if e.record.spec.precision is precision]
        reasons = [
            e.obstacles(
                graph_sha256=graph_sha256,
                recipe=recipe,
                flavour=flavour,
                version=version,
                target=target,
            )
            for e in like
        ]
        for entry, obstacles in zip(like, reasons, strict=True):
            if not obstacles:
                return entry
        if like:
            closest = min(range(len(like)), key=lambda i: len(reasons[i]))
            found = f"{like[closest].directory.name} does not fit: {'; '.join(reasons[closest])}"
        else:
            others = sorted({e.record.spec.precision.value for e in entries})
            found = f"{self._directory} holds it in {', '.join(others) or 'no precision'}"
        remedy = self._command(precision, flavour, (target,))
        raise EngineMissingError(
            f"no {precision.value} plan of {stage.value} runs here: {found}; "
            f"build it with: {remedy}"
        )

    def plan_bytes(self, entry: StoredEngine) -> bytes:
        """A plan's content, checked: who may write it, its size and its sha256.

        A plan that is not the one its record names moves to `quarantine`. One that was replaced
        since `entry` was read is the one returned.

        Raises:
            EngineMissingError: it is gone.
            EngineError: others own it or may write it, or its content is not the recorded one.
        """
        spec, problem = entry.record.spec, ""
        for _ in range(_ATTEMPTS):  # another process may be replacing it
            content, problem = self._tried(entry)
            if content is not None:
                return content
        remedy = self._command(spec.precision, spec.flavour, spec.targets)
        if not entry.directory.exists():
            raise EngineMissingError(f"{entry.directory} is gone; build it with: {remedy}")
        where = self._quarantined(entry.directory, problem)
        raise EngineError(f"{problem}; {where}; build it again with: {remedy}")

    def add(self, record: EngineRecord, plan: Path | bytes) -> StoredEngine:
        """Stores a plan under its key; one of the same key gives way once the new one is whole.

        Args:
            record: what was measured when `plan` was built.
            plan: its content, or a file with it, which stays.

        Raises:
            EngineError: the plan is not the one of the record, or the folder is not private.
            OutputError: it cannot be written; what stood there is unchanged.
        """
        try:
            with self._written() as (work, _):
                target = self._directory / entry_name(record.spec)
                fresh = work / "new" / target.name
                fresh.parent.mkdir(mode=0o700)
                fresh.mkdir(mode=0o700)
                self._write_entry(fresh, record, plan)
                put_in_place(fresh, target, work)
        except (OutputError, EngineError):
            raise
        except OSError as error:
            raise OutputError(
                f"the plan of {record.spec.stage.value} cannot be stored in {self._directory}: "
                f"{error.strerror or error}; make room or choose a writable place, and build again"
            ) from error
        return StoredEngine(target, record)

    def verify(self) -> list[EngineCheck]:
        """Reads every entry in full and says which are good; changes nothing.

        Raises:
            EngineError: the folder itself cannot be read.
        """
        checks = []
        for folder in self._folders():
            entry, problem = None, ""
            try:
                entry = _entry(folder)
                self._checked(folder, entry.record.spec.key)
            except (EngineError, SchemaError, _DamagedError, OSError) as error:
                problem = str(error)
            checks.append(EngineCheck(folder, entry, problem))
        return checks

    def prune(
        self,
        *,
        most_bytes: int | None = None,
        graphs: Collection[str] | None = None,
        obsolete: Callable[[EngineRecord], str] | None = None,
    ) -> list[Removal]:
        """Removes what nobody needs: quarantine, leftovers, unreadable, stale and surplus plans.

        Args:
            most_bytes: the oldest plans go until the rest takes no more than this.
            graphs: sha256 of the graphs the voice has now; plans of others go.
            obsolete: says why a plan is of no use any more, or nothing when it is.

        Raises:
            OutputError: the folder cannot be written.
            EngineError: the folder is not private.
        """
        if not self._directory.is_dir():
            return []
        try:
            with self._written() as (work, removed):
                for path, reason in self._surplus(most_bytes, graphs, obsolete):
                    _remove(path, reason, work, removed)
        except (OutputError, EngineError):
            raise
        except OSError as error:
            raise OutputError(
                f"{self._directory} cannot be pruned: {error.strerror or error}"
            ) from error
        return removed

    def _folders(self) -> list[Path]:
        """What may be an entry, by name."""
        try:
            names = sorted(p.name for p in self._directory.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise EngineError(
                f"{self._directory} cannot be read: {error.strerror or error}"
            ) from error
        return [self._directory / name for name in names if _NAME.fullmatch(name)]

    def _command(
        self, precision: Precision, flavour: Flavour, targets: Sequence[str] = ("current",)
    ) -> str:
        return build_command(self._directory.parent, precision, flavour, targets)

    def _tried(self, entry: StoredEngine) -> tuple[bytes | None, str]:
        """The plan, or what is wrong with its content."""
        try:
            return self._checked(entry.directory, entry.record.spec.key), ""
        except FileNotFoundError as error:
            time.sleep(0.01)
            return None, f"{error.filename or entry.directory} is missing"
        except (_DamagedError, SchemaError) as error:
            return None, str(error)

    def _checked(self, folder: Path, key: str) -> bytes:
        """The plan in a folder, compared with the record beside it."""
        with ExitStack() as stack:
            root = stack.enter_context(opened_folder(self._directory.resolve(), None))
            inner = stack.enter_context(opened_folder(folder, root))
            text = read_file(folder / RECORD, inner, _LARGEST_RECORD)
            record = engine_record_from_json(_text(text, folder), str(folder / RECORD))
            if record.spec.key != key:
                raise _DamagedError(f"{folder} holds a plan of another specification")
            content = read_file(folder / PLAN, inner, record.plan_bytes)
        if len(content) != record.plan_bytes:
            raise _DamagedError(
                f"{folder / PLAN} has {len(content)} bytes, its record says {record.plan_bytes}"
            )
        found = hashlib.sha256(content).hexdigest()
        if found != record.plan_sha256:
            raise _DamagedError(
                f"{folder / PLAN} has sha256 {found[:12]}, its record names "
                f"{record.plan_sha256[:12]}"
            )
        return content

    def _quarantined(self, folder: Path, problem: str) -> str:
        """Moves an entry away, notes why, and says where it is now."""
        place = self._directory / QUARANTINE
        target = place / f"{folder.name}-{secrets.token_hex(4)}"
        try:
            with suppress(FileExistsError):
                place.mkdir(mode=0o700)
            folder.rename(target)
        except OSError as error:
            return f"it stays there ({error.strerror or error})"
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        try:
            write_file(target / REASON, [f"{now} {problem}\n".encode("utf-8", "replace")])
        except OSError as error:
            _LOG.warning("%s cannot be written: %s", target / REASON, error)
        return f"it was moved to {target}"

    @contextmanager
    def _written(self) -> Iterator[tuple[Path, list[Removal]]]:
        """Yields a folder of this process inside the store, under the store's lock.

        What killed processes left is cleared first, and listed; the folder is gone afterwards.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with opened_folder(self._directory.resolve(), None):
            pass  # refused where others could swap files below us
        with locked(self._directory / LOCK, _LOCK_SECONDS, "rtx"):
            why = "left by a process that was stopped"
            cleared = [Removal(path, size, why) for path, size in clear_abandoned(self._directory)]
            with work_folder(self._directory) as work:
                yield work, cleared

    def _write_entry(self, fresh: Path, record: EngineRecord, plan: Path | bytes) -> None:
        digest, size = hashlib.sha256(), 0

        def measured() -> Iterator[bytes]:
            nonlocal size
            for block in _blocks(plan):
                digest.update(block)
                size += len(block)
                yield block

        write_file(fresh / PLAN, measured())
        if (size, digest.hexdigest()) != (record.plan_bytes, record.plan_sha256):
            raise EngineError(
                f"the plan of {record.spec.stage.value} has {size} bytes and sha256 "
                f"{digest.hexdigest()[:12]}, its record says {record.plan_bytes} and "
                f"{record.plan_sha256[:12]}; build it again"
            )
        write_file(fresh / RECORD, [record.as_json().encode()])
        sync_folder(fresh)

    def _surplus(
        self,
        most_bytes: int | None,
        graphs: Collection[str] | None,
        obsolete: Callable[[EngineRecord], str] | None,
    ) -> Iterator[tuple[Path, str]]:
        place = self._directory / QUARANTINE
        if os.path.lexists(place):
            yield place, "quarantine"
        rest = []
        for folder in self._folders():
            try:
                entry = _entry(folder)
            except (EngineError, SchemaError) as error:
                yield folder, str(error)
                continue
            spec = entry.record.spec
            reason = "" if obsolete is None else obsolete(entry.record)
            if graphs is not None and spec.graph_sha256 not in graphs:
                reason = f"the voice has no graph {spec.graph_sha256[:12]} any more"
            if reason:
                yield folder, reason
            else:
                rest.append(entry)
        yield from _over_the_cap(rest, most_bytes)


class _DamagedError(Exception):
    """An entry whose content is not what it should be."""


def entry_name(spec: EngineSpec) -> str:
    """The folder of a plan: its stage, its precision, and the start of its key."""
    return f"{spec.stage.value}-{spec.precision.value}-{spec.key[:12]}"


def build_command(
    voice: Path, precision: Precision, flavour: Flavour, targets: Sequence[str]
) -> str:
    """The command line that builds a voice's plans."""
    builder = Flavour.TENSORRT if flavour is Flavour.LEAN else flavour
    words = ["sambert-build", str(voice), "--precision", precision.value]
    words += ["--flavour", builder.value]
    if flavour is Flavour.LEAN:
        words.append("--lean")
    for target in targets:
        words += ["--target", target]
    return shlex.join(words)


def _sorted(entries: list[StoredEngine]) -> list[StoredEngine]:
    stages, precisions = list(Stage), list(Precision)
    newest_first = sorted(entries, key=lambda e: e.record.created, reverse=True)
    return sorted(
        newest_first,
        key=lambda e: (
            stages.index(e.record.spec.stage),
            precisions.index(e.record.spec.precision),
        ),
    )


def _readable(folder: Path) -> Iterator[StoredEngine]:
    try:
        yield _entry(folder)
    except (EngineError, SchemaError) as error:
        _LOG.warning("%s", error)


def _entry(folder: Path) -> StoredEngine:
    """Reads an entry's record, and looks whether a plan stands beside it."""
    try:
        if folder.is_symlink():
            raise EngineError(f"{folder} is a link: plans stand in the store itself; remove it")
        text = read_file(folder / RECORD, None, _LARGEST_RECORD)
        record = engine_record_from_json(_text(text, folder), str(folder / RECORD))
        os.lstat(folder / PLAN)
    except OSError as error:
        raise EngineError(
            f"{error.filename or folder} cannot be read: {error.strerror or error}; "
            "build the plan again"
        ) from error
    if folder.name != entry_name(record.spec):
        raise EngineError(f"{folder} is the record of {entry_name(record.spec)}; remove it")
    return StoredEngine(folder, record)


def _text(content: bytes, folder: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SchemaError(f"{folder / RECORD} is not text; build the plan again") from error


def _blocks(plan: Path | bytes) -> Iterator[bytes]:
    if isinstance(plan, Path):
        with plan.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
    else:
        yield plan


def _over_the_cap(
    entries: list[StoredEngine], most_bytes: int | None
) -> Iterator[tuple[Path, str]]:
    if most_bytes is None:
        return
    total = sum(path_bytes(entry.directory) for entry in entries)
    for entry in sorted(entries, key=lambda e: e.record.created):
        if total <= most_bytes:
            return
        total -= path_bytes(entry.directory)
        yield entry.directory, f"the oldest, and all plans may take {most_bytes} bytes"


def _remove(path: Path, reason: str, work: Path, removed: list[Removal]) -> None:
    """Takes a path out of the store at once, then deletes it; links are not followed."""
    size = path_bytes(path)
    away = work / f"gone-{len(removed)}"
    path.rename(away)
    if away.is_symlink() or not away.is_dir():
        away.unlink()
    else:
        shutil.rmtree(away)
    removed.append(Removal(path, size, reason))
