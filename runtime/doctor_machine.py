"""What a machine has for speaking: packages, driver, cards, and what is wrong with each.

Packages that may crash or hang where a driver is broken (ONNX Runtime, CUDA, TensorRT) are tried in
processes of their own, which construct no TensorRT runtime. Nothing here raises.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.errors import SambertError
from sambert_trt.engines.flavours import InstalledFlavour, installed_flavours
from sambert_trt.engines.targets import RTX_TARGETS

from .devices import DeviceFacts, DriverFacts, devices, driver_facts

__all__ = ["CudaFacts", "MachineFacts", "OnnxFacts", "machine_facts", "tried"]

_SECONDS = 120.0

Value = TypeVar("Value")


@dataclass(frozen=True)
class OnnxFacts:
    """ONNX Runtime, or why there is none.

    `cuda_problem` says why its CUDA provider cannot be used; empty when it can, and where this
    build has none.
    """

    version: str | None = None
    providers: tuple[str, ...] = ()
    cuda_problem: str = ""
    problem: str = ""


@dataclass(frozen=True)
class CudaFacts:
    """How the CUDA driver is reached: versions of packages, the cards CUDA shows, or why not.

    `targets` are the capabilities of the cards, in the order CUDA counts them.
    """

    bindings: str | None = None
    pycuda: str | None = None
    targets: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class MachineFacts:
    """Everything found without a voice.

    `nvml` is the version of nvidia-ml-py; `driver_problem` and `cards_problem` say why `driver` is
    None or `cards` is empty.
    """

    sambert_trt: str
    python: str
    platform: str
    onnxruntime: OnnxFacts
    nvml: str | None
    driver: DriverFacts | None
    driver_problem: str
    cards: tuple[DeviceFacts, ...]
    cards_problem: str
    cuda: CudaFacts
    tensorrt: tuple[InstalledFlavour, ...]

    @property
    def usable(self) -> tuple[InstalledFlavour, ...]:
        """The TensorRT products that can be used, the preferred one first."""
        return tuple(item for item in self.tensorrt if item.usable)

    @property
    def targets(self) -> tuple[str, ...]:
        """The capabilities of the cards CUDA shows, else of those there are, each once."""
        found = self.cuda.targets or (card.target for card in self.cards)
        return tuple(dict.fromkeys(target for target in found if target))

    @property
    def suited(self) -> tuple[InstalledFlavour, ...]:
        """The products that can be used and that know a card of this machine."""
        known = any(target in RTX_TARGETS for target in self.targets)
        return tuple(p for p in self.usable if known or p.flavour is not Flavour.RTX)


def machine_facts() -> MachineFacts:
    """What is installed, which driver and cards there are, and what is wrong with them."""
    driver, driver_problem = tried(driver_facts)
    cards, cards_problem = tried(devices)
    products, _ = tried(installed_flavours)
    return MachineFacts(
        sambert_trt=_version("sambert-trt") or "unknown",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        platform=platform.platform(),
        onnxruntime=_onnx_facts(),
        nvml=_version("nvidia-ml-py"),
        driver=driver,
        driver_problem=driver_problem,
        cards=tuple(cards or ()),
        cards_problem=cards_problem or ("" if cards else "the driver shows no card"),
        cuda=_cuda_facts(),
        tensorrt=tuple(map(_loaded, products or ())),
    )


def tried(ask: Callable[[], Value]) -> tuple[Value | None, str]:
    """What a question gives, or None and what went wrong with it."""
    try:
        return ask(), ""
    except SambertError as error:
        return None, str(error)
    except Exception as error:  # the report is for machines where something unforeseen is broken
        return None, f"{type(error).__name__}: {error}"


_ONNX = """
import onnxruntime
onnxruntime.set_default_logger_severity(4)
providers, problem = onnxruntime.get_available_providers(), ""
if "CUDAExecutionProvider" in providers:
    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls(cuda=True, cudnn=True, directory="")
    model = bytes.fromhex(
        "080812003a320a0b0a017812017922034e65671201675a0f0a0178120a0a08080112040a020801620f0a0179"
        "120a0a08080112040a02080142040a001011"
    )  # one node
    session = onnxruntime.InferenceSession(
        model, providers=["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    if "CUDAExecutionProvider" not in session.get_providers():
        problem = "its CUDA provider does not load: CUDA, cuDNN or the driver is missing"
answer = {"version": onnxruntime.__version__, "providers": providers, "cuda_problem": problem}
"""

_CUDA = """
from cuda.bindings import driver
(error,) = driver.cuInit(0)
answer = {"problem": "" if error == 0 else f"cuInit fails with {error.name}", "targets": []}
kinds = driver.CUdevice_attribute
for index in range(driver.cuDeviceGetCount()[1] if error == 0 else 0):
    card = driver.cuDeviceGet(index)[1]
    major, minor = (
        driver.cuDeviceGetAttribute(kind, card)[1]
        for kind in (
            kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
        )
    )
    answer["targets"].append(f"sm_{major}{minor}")
"""

_TENSORRT = """
from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.flavours import trt_module
answer = {"version": trt_module(Flavour(%r)).__version__}
"""


def _onnx_facts() -> OnnxFacts:
    if _version("onnxruntime") is None and _version("onnxruntime-gpu") is None:
        return OnnxFacts(
            problem="onnxruntime is not installed; install it with: pip install 'sambert-trt[cpu]'"
        )
    answer, problem = _asked(_ONNX)
    if answer is None:
        return OnnxFacts(problem=f"onnxruntime does not work: {problem}")
    return OnnxFacts(
        str(answer["version"]), tuple(map(str, answer["providers"])), str(answer["cuda_problem"])
    )


def _cuda_facts() -> CudaFacts:
    facts = CudaFacts(_version("cuda-bindings"), _version("pycuda"))
    if facts.bindings is None:
        missing = "cuda-bindings is not installed; TensorRT needs it: pip install cuda-bindings"
        return replace(facts, problem=missing)
    answer, problem = _asked(_CUDA)
    if answer is None:
        return replace(facts, problem=f"the CUDA driver cannot be used: {problem}")
    return replace(facts, targets=tuple(answer["targets"]), problem=str(answer["problem"]))


def _loaded(item: InstalledFlavour) -> InstalledFlavour:
    """A product that looks usable, imported for real: only that shows a library that is broken."""
    if not item.usable:
        return item
    answer, problem = _asked(_TENSORRT % item.flavour.value)
    if answer is None:
        return replace(item, usable=False, reason=f"{item.module} cannot be imported: {problem}")
    if answer["version"] != item.version:
        reason = f"{item.module} says it is {answer['version']}, its package {item.version}"
        return replace(item, usable=False, reason=f"{reason}; install it anew")
    return item


def _version(package: str) -> str | None:
    return tried(lambda: importlib.metadata.version(package))[0]


def _asked(program: str) -> tuple[dict[str, Any] | None, str]:
    """Runs a program in a Python of its own; it leaves what it found in `answer`."""
    code = f"import sys\nsys.path[:] = sys.argv[1:]\n{program}\nimport json\n"
    code += "print('\\n' + json.dumps(answer))"
    try:
        finished = subprocess.run(
            (sys.executable, "-c", code, *sys.path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"the process that tried it gave no answer within {_SECONDS:.0f} s"
    except (OSError, ValueError) as error:
        return None, f"no process could be started to try it: {error}"
    if finished.returncode:
        return None, _last_words(finished.stderr, finished.returncode)
    answer, problem = tried(lambda: json.loads(finished.stdout.splitlines()[-1]))
    return (answer, "") if isinstance(answer, dict) else (None, problem or "no answer")


def _last_words(text: str, code: int) -> str:
    """The end of a traceback without the error's module, or how the process ended."""
    lines = text.strip().splitlines()
    if code == 1 and lines:
        return re.sub(r"^(\w+\.)+(?=\w+:)", "", lines[-1].strip())
    return f"the process that tried it ended with code {code}"
