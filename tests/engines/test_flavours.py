"""Which TensorRT is here, told from metadata and files; the module, or why there is none."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sambert_trt.engines import flavours
from sambert_trt.engines.engine import Flavour
from sambert_trt.engines.errors import BackendError
from sambert_trt.engines.flavours import default_flavour, installed_flavours, trt_module

linux = pytest.mark.skipif(sys.platform != "linux", reason="libraries have such names on Linux")
NAMES = {
    Flavour.RTX: "tensorrt_rtx",
    Flavour.TENSORRT: "tensorrt",
    Flavour.LEAN: "tensorrt_lean",
}

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs made-up distributions where nothing else of TensorRT is."""
    others = [item for item in sys.path if not (Path(item) / "tensorrt_rtx_bindings").is_dir()]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *others])
    for name in tensorrt_modules():
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(flavours, "find_library", lambda name: None)
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)

    def installed(module: str, version: str, code: str = "", owner: str = "") -> None:
        (tmp_path / module).mkdir(exist_ok=True)
        (tmp_path / module / "__init__.py").write_text(
            f"__version__ = {version!r}\n{code}", encoding="utf-8"
        )
        owner = owner or f"{module}_cu13"
        facts = tmp_path / f"{owner}-{version}.dist-info"
        facts.mkdir(exist_ok=True)
        (facts / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {owner}\nVersion: {version}\n", encoding="utf-8"
        )
        (facts / "top_level.txt").write_text(f"{module}\n", encoding="utf-8")
        importlib.invalidate_caches()

    yield installed
    for name in tensorrt_modules():
        del sys.modules[name]


def tensorrt_modules() -> list[str]:
    return [name for name in sys.modules if name.startswith("tensorrt")]


def found(flavour: Flavour) -> flavours.InstalledFlavour:
    (item,) = (item for item in installed_flavours() if item.flavour is flavour)
    return item


def test_nothing_installed_names_what_to_install(install: Install) -> None:
    items = installed_flavours()
    assert [item.flavour for item in items] == list(Flavour)
    assert not any(item.usable or item.version for item in items)
    for item in items:
        assert f"{item.module} is not installed; install it with: pip install" in item.reason
    with pytest.raises(BackendError) as caught:
        default_flavour()
    assert all(item.reason in str(caught.value) for item in items)
    for flavour in Flavour:
        with pytest.raises(BackendError, match="is not installed; install it with: pip install"):
            trt_module(flavour)


@pytest.mark.parametrize("flavour", Flavour)
def test_bindings_with_their_libraries_are_usable(install: Install, flavour: Flavour) -> None:
    install(f"{NAMES[flavour]}_bindings", "11.4.0.106")
    install(f"{NAMES[flavour]}_libs", "11.4.0.106")
    assert found(flavour) == flavours.InstalledFlavour(
        flavour, "11.4.0.106", f"{NAMES[flavour]}_bindings", True, ""
    )
    assert default_flavour() is flavour
    assert trt_module(flavour).__version__ == "11.4.0.106"


def test_rtx_is_preferred_to_the_full_one_and_that_to_lean(install: Install) -> None:
    for flavour in reversed(Flavour):
        install(f"{NAMES[flavour]}_bindings", "11.4.0.106")
        install(f"{NAMES[flavour]}_libs", "11.4.0.106")
        assert default_flavour() is flavour


def test_a_module_without_separate_bindings_is_found(install: Install) -> None:
    install("tensorrt", "10.13.0.35", owner="tensorrt")
    install("tensorrt_libs", "10.13.0.35")
    assert found(Flavour.TENSORRT).module == "tensorrt"
    assert found(Flavour.TENSORRT).usable
    assert trt_module(Flavour.TENSORRT).__name__ == "tensorrt"


def test_a_folder_of_that_name_is_no_module(install: Install, tmp_path: Path) -> None:
    (tmp_path / "tensorrt").mkdir()
    assert not found(Flavour.TENSORRT).usable
    with pytest.raises(BackendError, match="is not installed"):
        trt_module(Flavour.TENSORRT)


@linux
def test_bindings_without_libraries_name_the_library(install: Install) -> None:
    install("tensorrt_bindings", "11.4.0.106")
    item = found(Flavour.TENSORRT)
    assert (item.version, item.usable) == ("11.4.0.106", False)
    assert "here without its libraries (libnvinfer.so.11); install them with" in item.reason


@linux
@pytest.mark.parametrize("name", ["libnvinfer.so.11", "libnvinfer.so.10", "libnvinfer.so"])
def test_libraries_of_the_system_count_when_their_version_fits(
    install: Install, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    install("tensorrt_bindings", "11.4.0.106")
    monkeypatch.setattr(flavours, "find_library", {"nvinfer": name}.get)
    assert found(Flavour.TENSORRT).usable is (name == "libnvinfer.so.11")


@linux
def test_libraries_on_the_search_path_count(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("tensorrt_bindings", "11.4.0.106")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/libnvinfer.so.11").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", os.pathsep.join(("", "/nowhere", str(tmp_path / "lib"))))
    assert found(Flavour.TENSORRT).usable


def test_libraries_of_another_version_are_a_reason(install: Install) -> None:
    install("tensorrt_rtx_bindings", "1.7.1.116")
    install("tensorrt_rtx_libs", "1.6.0.1")
    item = found(Flavour.RTX)
    assert not item.usable
    assert "has version 1.7.1.116, its libraries 1.6.0.1; install both anew" in item.reason


def test_two_packages_that_claim_the_module_are_a_reason(install: Install) -> None:
    install("tensorrt_rtx_bindings", "1.7.1.116", owner="tensorrt_rtx_cu12_bindings")
    install("tensorrt_rtx_bindings", "1.6.0.1", owner="tensorrt_rtx_cu13_bindings")
    item = found(Flavour.RTX)
    assert (item.version, item.usable) == (None, False)
    assert "no one package, or several, claim it" in item.reason


def test_metadata_that_cannot_be_read_is_a_reason_not_a_crash(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    install("tensorrt_rtx_bindings", "1.7.1.116")
    monkeypatch.setattr(flavours.Distribution, "read_text", broken)
    monkeypatch.setattr(flavours.Distribution, "at", broken)
    item = found(Flavour.RTX)
    assert not item.usable
    assert "tensorrt_rtx_bindings cannot be examined (UnicodeDecodeError" in item.reason


@pytest.mark.parametrize(
    "code",
    [
        "raise ImportError('libnvonnxparser.so.11: cannot open shared object file')",
        "raise FileNotFoundError('Could not find: nvinfer_11.dll')",
        "raise OSError('version GLIBC_2.99 not found')",
    ],
)
def test_an_import_that_fails_carries_its_cause(install: Install, code: str) -> None:
    install("tensorrt_bindings", "11.4.0.106", code)
    with pytest.raises(BackendError) as caught:
        trt_module(Flavour.TENSORRT)
    cause = code.split("'")[1]
    assert f"tensorrt_bindings is installed but cannot be imported ({cause})" in str(caught.value)
    assert "pip install 'sambert-trt[tensorrt]'" in str(caught.value)


def test_looking_imports_none_of_them() -> None:
    program = (
        "import sys\nfrom sambert_trt.engines.flavours import installed_flavours\n"
        "installed_flavours()\nprint(*sys.modules, sep='\\n')"
    )
    finished = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=True
    )
    assert not [n for n in finished.stdout.split() if n.startswith(("tensorrt", "numpy"))]


def test_what_is_really_installed_is_what_the_module_says() -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT for RTX is not installed")
    item = found(Flavour.RTX)
    assert item.usable, item.reason
    module = trt_module(Flavour.RTX)
    assert module.__version__ == item.version
    assert hasattr(module, "Builder")
    assert hasattr(module, "Runtime")
    assert default_flavour() is Flavour.RTX
