"""Shared fixtures: where the reference material is, and the voices exported once per run.

An exported voice stays in build/test-voices, and the next run's export finds it unchanged. Where
SAMBERT_TRT_TEST_VOICES names a folder (an environment without torch), voices are taken from there.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sambert_trt.runtime.voice import Voice

ROOT = Path(__file__).resolve().parent.parent
READY_VOICES = os.environ.get("SAMBERT_TRT_TEST_VOICES")
EXPORTED = Path(READY_VOICES) if READY_VOICES else ROOT / "build" / "test-voices"
SOURCES = ROOT / "build" / "test-sources"
BARE_NAMES = ("calibration", "engines", "export", "runtime")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # as in a job that a shell began in the background: processes under test would ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _load_helper(name: str) -> None:
    """Makes tests/<name>.py importable as <name>, without a folder more in sys.path."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


for helper in (
    "voices",
    "fake_cuda",
    "fake_trt",
    "fake_gpu",
    "fake_report",
    "fake_bench",
    "fake_perf",
    "warm_reader",
    "plan_layers",
):
    _load_helper(helper)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A bare `engines` beside `sambert_trt.engines` is a second copy of every class."""
    found = [name for name in BARE_NAMES if name in sys.modules]
    if found:
        sys.stderr.write(f"\nimported outside the namespace: {', '.join(found)}\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference material beside the project; tests that need it skip where it is absent."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip("reference material is not at ../shared")
    return path


_ready: set[str] = set()


def exported(name: str, source: Callable[[], object]) -> Path:
    """The directory of an exported voice; `source` is asked only where an export is possible."""
    target = EXPORTED / name
    if name in _ready:
        return target
    if READY_VOICES:
        if not (target / "voice.json").is_file():
            pytest.skip(f"{READY_VOICES} holds no voice {name}")
        return target
    pytest.importorskip("torch", reason="exporting a test voice needs torch")
    pytest.importorskip("onnx", reason="exporting a test voice needs onnx")
    from filelock import FileLock
    from warm_reader import warm_reader

    from sambert_trt.export.source import VoiceSource
    from sambert_trt.export.voice_export import export_voice

    EXPORTED.mkdir(parents=True, exist_ok=True)
    with FileLock(EXPORTED.parent / f"test-voices-{name}.lock"), warm_reader():
        found = source()
        assert isinstance(found, VoiceSource)
        export_voice(found, target)
    _ready.add(name)
    return target


def source_in(folder: Path) -> object:
    """The only voice of a folder."""
    from sambert_trt.export.source import voice_sources_from_path

    (found,) = voice_sources_from_path(folder)
    return found


def tiny_folder(variant: str) -> Path:
    """The source folder of a tiny voice, written anew when its recipe has changed."""
    import hashlib

    import voices

    recipe = (ROOT / "tests" / "voices.py").read_bytes()
    folder = SOURCES / variant / hashlib.sha256(recipe).hexdigest()[:12] / variant
    if not (folder / "complete").is_file():
        voices.write_voice(folder, variant)
        (folder / "complete").touch()
    return folder


@pytest.fixture(scope="session")
def tiny_source() -> Callable[[str], Path]:
    """The KAN-TTS folder of a tiny voice by variant (see voices.VARIANTS)."""
    pytest.importorskip("torch", reason="writing a voice needs torch")
    return tiny_folder


@pytest.fixture(scope="session")
def tiny_voice() -> Callable[[str], Path]:
    """The exported directory of a tiny voice by variant; it needs no reference material."""
    return lambda variant: exported(f"tiny-{variant}", lambda: source_in(tiny_folder(variant)))


@pytest.fixture(scope="session")
def golden_voice(shared: Path) -> Callable[[str], Path]:
    """The exported directory of a reference voice by name."""
    return lambda name: exported(name, lambda: source_in(shared / "golden" / name))


@pytest.fixture(scope="session")
def demo_voice() -> Path:
    """The exported demo voice."""
    return exported("demo", lambda: source_in(ROOT / "scripts" / "demo_voice" / "voice"))


@pytest.fixture(scope="session")
def real_voice(shared: Path) -> Path:
    """The acoustic model with real weights, exported with the first demo voice's vocoder."""

    def source() -> object:
        from sambert_trt.export.source import voice_source_from_files

        first, real = shared / "real" / "demo_seed", shared / "real" / "zhitian_emo"
        return voice_source_from_files(
            am_config=real / "am/config.yaml",
            am_checkpoint=real / "am/ckpt/checkpoint_0.pth",
            voc_config=first / "voc/config.yaml",
            voc_checkpoint=first / "voc/ckpt",
            audio_config=first / "audio_config.yaml",
            name="real",
        )

    return exported("real", source)


@pytest.fixture(scope="session")
def opened() -> Iterator[Callable[[Path], Voice]]:
    """Opens a voice directory once for all tests."""
    from sambert_trt.runtime.voice import open_voice

    found: dict[Path, Voice] = {}

    def open_once(directory: Path) -> Voice:
        if directory not in found:
            found[directory] = open_voice(directory, threads=1)
        return found[directory]

    yield open_once
    for voice in found.values():
        voice.close()
