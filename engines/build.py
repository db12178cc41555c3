"""The process that builds plans, and the only file that drives a TensorRT builder.

    python -m sambert_trt.engines.build

One line of JSON on standard input says what to build; the input stays open, and its end means that
nobody waits any more. Each event is one line of JSON on standard output:

    ready     what will build, and for which cards: version, targets, flags
    started   a job begins
    progress  a phase of the builder, and how many of its steps are done
    built     the plan is in its file: seconds, and the most memory this process has taken
    failed    a job has no plan: why
    refused   nothing can be built: the kind of error, and its message
    done      all jobs were tried

What the builder logs goes to a file per job. A process that serves never imports this: a builder
takes hundreds of megabytes. May not import numpy, torch or onnx.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from .build_log import SEVERITIES
from .engine import VERSION_COMPATIBLE, Flavour
from .errors import BackendError, InputError, SambertError
from .flavours import trt_module
from .manifest import FileRecord
from .targets import CURRENT
from .voice import checked_bytes

__all__ = ["main"]

EXCLUDE_LEAN_RUNTIME = "exclude_lean_runtime"
USER_ALLOCATION = "require_user_allocation"
TF32 = "tf32"
ONE_STREAM = "one_stream"

_EVERY = 0.1  # seconds between two progress events

Emit = Callable[[Mapping[str, Any]], None]


def main() -> int:
    """Answers one request; returns 0 where it was understood, even where a job failed."""
    emit = _Events()
    try:
        request = json.loads(sys.stdin.buffer.readline())
        threading.Thread(target=_end_with_the_parent, daemon=True).start()
        builder = PlanBuilder(request, emit)
        emit(builder.ready())
        for index, job in enumerate(request["jobs"]):
            builder.build(index, job)
    except SambertError as error:
        emit({"event": "refused", "error": type(error).__name__, "message": str(error)})
        return 1
    emit({"event": "done"})
    return 0


class PlanBuilder:
    """A TensorRT builder for certain cards and flags, and its one logger."""

    def __init__(self, request: Mapping[str, Any], emit: Emit) -> None:
        flavour = Flavour(request["flavour"])
        card = _card_for(flavour, request["targets"])
        self._emit = emit
        self._trt = _Bindings(trt_module(flavour), flavour)
        self._targets = self._trt.checked_targets(request["targets"], card)
        self._flags = self._trt.flags(lean=request["lean"], tf32=request["tf32"])
        self._logger = _logger_of(self._trt.module)
        self._builder = _builder_of(self._trt.module, self._logger)

    def ready(self) -> dict[str, Any]:
        """The event that says what will build."""
        version = str(self._trt.module.__version__)
        return {
            "event": "ready",
            "version": version,
            "targets": list(self._targets),
            "flags": list(self._flags),
        }

    def build(self, index: int, job: Mapping[str, Any]) -> None:
        """Builds one plan, and says how that went."""
        started = time.perf_counter()
        self._emit({"event": "started", "job": index})
        try:
            with self._logger.to(Path(job["log"])):
                self._write_plan(index, job)
        except _BuildError as error:
            self._emit({"event": "failed", "job": index, "message": str(error)})
            return
        except OSError as error:
            message = f"{error.filename or job['plan']} cannot be written: {error.strerror}"
            self._emit({"event": "failed", "job": index, "message": message})
            return
        seconds = time.perf_counter() - started
        event = {"event": "built", "job": index, "seconds": seconds, "peak_bytes": _peak_bytes()}
        self._emit(event)

    def _write_plan(self, index: int, job: Mapping[str, Any]) -> None:
        try:
            content = checked_bytes(Path(job["directory"]), FileRecord(**job["file"]))
        except SambertError as error:
            raise _BuildError(str(error)) from error
        network = self._builder.create_network(self._trt.network_flags())
        parser = self._trt.module.OnnxParser(network, self._logger)
        if not parser.parse(content):
            errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
            raise _BuildError(f"TensorRT cannot read the graph: {'; '.join(errors)}")
        del content
        config = self._configured(index, job)
        plan = self._builder.build_serialized_network(network, config)
        if plan is None:
            raise _BuildError("TensorRT made no plan")
        with Path(job["plan"]).open("wb") as file:
            file.write(plan)

    def _configured(self, index: int, job: Mapping[str, Any]) -> Any:
        module, config = self._trt.module, self._builder.create_builder_config()
        if job["shapes"]:
            profile = self._builder.create_optimization_profile()
            for name, *sizes in job["shapes"]:
                profile.set_shape(name, *map(tuple, sizes))
            if config.add_optimization_profile(profile) < 0:
                raise _BuildError(f"TensorRT refuses the profile {job['shapes']}")
        if job["workspace"]:
            config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, job["workspace"])
        config.profiling_verbosity = module.ProfilingVerbosity.DETAILED
        self._trt.apply_flags(config, self._flags)
        self._trt.apply_targets(config, self._targets)
        config.progress_monitor = _monitor_of(
            module, lambda event: self._emit({**event, "job": index})
        )
        return config


class _Bindings:
    """One product's Python module, and everything in which products and versions differ."""

    def __init__(self, module: Any, flavour: Flavour) -> None:
        self.module = module
        self._flavour = flavour

    def network_flags(self) -> int:
        """Strongly typed: to be asked for on 10.x, the only way on 11, where asking is allowed."""
        return 1 << int(self.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)

    def checked_targets(self, targets: list[str], card: str | None) -> tuple[str, ...]:
        """The cards to build for; `current` becomes the one of this machine.

        Raises:
            InputError: a card this product does not build for.
        """
        wanted = tuple(card or name if name == CURRENT else name for name in targets)
        possible = self._possible(card)
        refused = [name for name in wanted if name not in possible]
        if refused and self._flavour is Flavour.RTX:
            raise InputError(
                f"TensorRT for RTX {self.module.__version__} does not build for "
                f"{', '.join(refused)}; it builds for {', '.join(possible)}"
            )
        if refused:
            raise InputError(
                f"TensorRT builds for the card it runs on, which is {card}, not for "
                f"{', '.join(refused)}: build there, or use --flavour rtx for other cards"
            )
        return wanted

    def _possible(self, card: str | None) -> tuple[str, ...]:
        if self._flavour is not Flavour.RTX:
            return (card,) if card else ()
        names = [n for n in self.module.ComputeCapability.__members__ if n.startswith("SM")]
        numbers = sorted(int(name.removeprefix("SM")) for name in names)
        return tuple(f"sm_{number}" for number in numbers)

    def flags(self, *, lean: bool, tf32: bool) -> tuple[str, ...]:
        """The flags of every plan, by name, sorted.

        One stream: a second one takes 9 MB more scratch memory in the prosody stage, and waits.
        User allocation: a plan that allocates nothing while it runs can be captured as a CUDA
        graph; only TensorRT for RTX knows the flag.
        """
        wanted = {ONE_STREAM}
        if hasattr(self.module.BuilderFlag, USER_ALLOCATION.upper()):
            wanted.add(USER_ALLOCATION)
        if lean:
            wanted |= {VERSION_COMPATIBLE, EXCLUDE_LEAN_RUNTIME}
        if tf32:
            wanted.add(TF32)
        return tuple(sorted(wanted))

    def apply_flags(self, config: Any, names: tuple[str, ...]) -> None:
        """Sets the named flags. TF32 is on unless it is cleared: it rounds fp32 to 10 bits.

        Version compatibility comes first: leaving out the lean runtime is refused without it.
        """
        flags = self.module.BuilderFlag
        config.clear_flag(flags.TF32)
        for name in sorted(names, key=lambda name: name != VERSION_COMPATIBLE):
            if name == ONE_STREAM:
                config.max_aux_streams = 0
                continue
            config.set_flag(getattr(flags, name.upper()))
            if not config.get_flag(getattr(flags, name.upper())):
                raise _BuildError(f"TensorRT refuses the flag {name}")

    def apply_targets(self, config: Any, targets: tuple[str, ...]) -> None:
        """Names the cards to a product that builds for others; their number comes first."""
        if not hasattr(config, "num_compute_capabilities"):
            return
        config.num_compute_capabilities = len(targets)
        for index, target in enumerate(targets):
            capability = getattr(self.module.ComputeCapability, target.replace("sm_", "SM"))
            config.set_compute_capability(capability, index)


class _BuildError(Exception):
    """A job that has no plan, and why."""


class _Events:
    """Writes events to what was standard output; what libraries print goes to standard error."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._file: TextIO = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def __call__(self, event: Mapping[str, Any]) -> None:
        with self._lock:
            try:
                self._file.write(json.dumps(event) + "\n")
                self._file.flush()
            except OSError:  # nobody listens any more; an exception would end in C++
                os._exit(1)


def _logger_of(module: Any) -> Any:
    """The one logger: TensorRT ignores every later one of a process."""

    class Logger(module.ILogger):  # type: ignore[misc]
        """Writes to the file of the job that runs; between jobs, errors to standard error."""

        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self._file: TextIO | None = None

        @contextmanager
        def to(self, path: Path) -> Iterator[None]:
            with path.open("w", buffering=1, encoding="utf-8", errors="replace") as file:
                self._file = file
                try:
                    yield
                finally:
                    self._file = None

        def log(self, severity: Any, message: str) -> None:
            letter = SEVERITIES[min(int(severity), len(SEVERITIES) - 1)]
            file = self._file or (sys.stderr if letter in "FE" else None)
            if file is not None:
                with suppress(OSError):  # an exception would end the process in C++
                    file.write(f"[{letter}] {message}\n")

    return Logger()


def _monitor_of(module: Any, emit: Emit) -> Any:
    class Monitor(module.IProgressMonitor):  # type: ignore[misc]
        """Sends each step of the outermost phase, of others a few a second; any thread calls."""

        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}
            self._outermost = ""
            self._next = 0.0

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self._steps[phase] = steps
            self._outermost = self._outermost if parent else phase
            self._send(phase, 0)

        def step_complete(self, phase: str, step: int) -> bool:
            self._send(phase, step + 1)
            return True

        def phase_finish(self, phase: str) -> None:
            self._steps.pop(phase, None)

        def _send(self, phase: str, done: int) -> None:
            now = time.monotonic()
            if phase == self._outermost or now >= self._next:
                self._next = now + _EVERY
                steps = self._steps.get(phase, 0)
                emit({"event": "progress", "phase": phase, "done": done, "steps": steps})

    return Monitor()


def _builder_of(module: Any, logger: Any) -> Any:
    try:
        builder = module.Builder(logger)
    except TypeError as error:  # what the bindings make of a null pointer
        raise BackendError(
            f"the TensorRT builder does not start ({error}): check the driver with nvidia-smi"
        ) from error
    return builder


def _card_for(flavour: Flavour, targets: list[str]) -> str | None:
    """This machine's card, where a build needs one: TensorRT for RTX builds without any."""
    if flavour is Flavour.RTX and targets and CURRENT not in targets:
        return None
    try:
        return _card()
    except BackendError as error:
        if flavour is Flavour.RTX:
            raise BackendError(
                f"{error}: name the card to build for, as in --target rtx3070 or --target sm_86"
            ) from error
        raise BackendError(
            f"{error}, and TensorRT builds only for the card it runs on: use --flavour rtx"
        ) from error


def _card() -> str:
    """The compute capability of the first card, as the driver says it."""
    try:
        from cuda.bindings import driver
    except ImportError as error:
        raise BackendError(f"{error.name} is not installed, which asks the driver") from error
    try:
        answer = driver.cuInit(0)
    except RuntimeError as error:  # the driver's library is not there
        raise BackendError("there is no NVIDIA driver here") from error
    _asked(driver, answer)
    (device,) = _asked(driver, driver.cuDeviceGet(0))
    names = driver.CUdevice_attribute
    major, minor = (
        _asked(driver, driver.cuDeviceGetAttribute(name, device))[0]
        for name in (
            names.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            names.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
        )
    )
    return f"sm_{major}{minor}"


def _asked(driver: Any, answer: tuple[Any, ...]) -> tuple[Any, ...]:
    status, *values = answer
    if status != driver.CUresult.CUDA_SUCCESS:
        raise BackendError(f"the NVIDIA driver finds no card here ({status.name})")
    return tuple(values)


def _peak_bytes() -> int:
    """The most memory this process has taken; -1 where the system does not say so."""
    if sys.platform == "win32":
        return -1
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _end_with_the_parent() -> None:
    """Ends this process, the builder's threads included, when its input ends."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
