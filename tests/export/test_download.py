"""Downloads against a local stand-in for the hub, or a stub where modelscope is not installed."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest

from sambert_trt.engines.errors import SourceError
from sambert_trt.export.download import IGNORED, model_directory

WEIGHTS = bytes(range(256)) * 8192
FILES = {
    "configuration.json": b'{"framework": "pytorch"}',
    "voices/voices.json": b'{"voices": ["anna"]}',
    "voices/anna/am/ckpt/checkpoint_0.pth": WEIGHTS,
    "resource.zip": b"not wanted",
}


class Hub(ThreadingHTTPServer):
    """Answers the listing and file requests of one model; cuts the weights off once."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.ranges: list[str] = []
        self.served: list[str] = []
        self.cut = True

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        url = urlparse(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if "/models/anna/voice" not in url.path:
            self.json(404, {"Code": 10010205001, "Message": "not found", "Success": False})
        elif url.path.endswith("/repo/files"):
            self.json(200, {"Code": 200, "Success": True, "Data": {"Files": listing()}})
        elif url.path.endswith("/repo"):
            self.file(query["FilePath"])
        elif url.path.endswith("/revisions"):
            names = {"RevisionMap": {"Branches": [{"Revision": "master"}], "Tags": []}}
            self.json(200, {"Code": 200, "Success": True, "Data": names})
        else:
            self.json(200, {"Code": 200, "Success": True, "Data": {"Name": "voice"}})

    do_HEAD = do_GET  # noqa: N815 - the base class names it

    def json(self, status: int, data: object) -> None:
        self.reply(status, json.dumps(data).encode(), {"Content-Type": "application/json"})

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def file(self, path: str) -> None:
        body, wanted = FILES[path], self.headers.get("Range")
        self.server.served.append(path)
        if wanted:
            self.server.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            shown = f"bytes {start}-{len(body) - 1}/{len(body)}"
            self.reply(206, body[start:], {"Content-Range": shown})
        elif path.endswith(".pth") and self.server.cut:
            self.server.cut = False
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        else:
            self.reply(200, body, {})


def listing() -> list[dict[str, object]]:
    return [
        {
            "Path": path,
            "Name": Path(path).name,
            "Type": "blob",
            "Size": len(body),
            "Sha256": hashlib.sha256(body).hexdigest(),
            "Revision": "master",
        }
        for path, body in FILES.items()
    ]


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def in_process(cache: Path, endpoint: str, *model_ids: str) -> subprocess.CompletedProcess[str]:
    """Downloads in a fresh process, for the package reads its endpoint when imported.

    Standard output holds a line per model: its folder, or the error.
    """
    code = (
        "import sys; from pathlib import Path\n"
        "from sambert_trt.engines.errors import SourceError\n"
        "from sambert_trt.export.download import model_directory\n"
        "for model_id in sys.argv[2:]:\n"
        "    try:\n"
        "        said = str(model_directory(model_id, cache=Path(sys.argv[1])))\n"
        "    except SourceError as error:\n"
        "        said = 'SourceError ' + str(error)\n"
        "    sys.stdout.write(repr(said) + '\\n')\n"
    )
    paths = [path for path in sys.path if path]
    return subprocess.run(
        [sys.executable, "-c", code, str(cache), *model_ids],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(cache),
            "PYTHONPATH": ":".join(paths),
            "MODELSCOPE_ENDPOINT": endpoint,
            "MODELSCOPE_DOWNLOAD_RETRY_TIMES": "2",
        },
    )


needs_modelscope = pytest.mark.skipif(
    find_spec("modelscope") is None, reason="the modelscope package is not installed"
)


@needs_modelscope
def test_the_package_resumes_a_cut_download_leaves_out_the_front_end_and_says_what_is_absent(
    hub: Hub, tmp_path: Path
) -> None:
    done = in_process(tmp_path, hub.address, "anna/voice", "berta/voice")
    present, absent = map(ast.literal_eval, done.stdout.splitlines()[-2:])
    assert absent.startswith("SourceError ModelScope has no berta/voice")
    folder = Path(present)
    assert folder.is_dir(), done.stdout + done.stderr
    assert (folder / "voices/anna/am/ckpt/checkpoint_0.pth").read_bytes() == WEIGHTS
    assert hub.ranges == [f"bytes={len(WEIGHTS) // 2}-"]
    assert not (folder / "resource.zip").exists()
    assert "resource.zip" not in hub.served
    assert not list(folder.rglob("*.incomplete"))


@needs_modelscope
def test_the_package_says_when_it_is_offline(tmp_path: Path) -> None:
    offline = in_process(tmp_path, "http://127.0.0.1:9", "anna/voice").stdout
    assert "no connection to ModelScope" in offline


@contextmanager
def stub(monkeypatch: pytest.MonkeyPatch, function: Callable[..., str]) -> Iterator[None]:
    module = types.ModuleType("modelscope.hub.snapshot_download")
    module.snapshot_download = function  # type: ignore[attr-defined]
    for name in ("modelscope", "modelscope.hub"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield


def test_what_is_handed_to_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[tuple[object, object]] = []

    def download(*args: object, **kwargs: object) -> str:
        calls.append((args, kwargs))
        return str(tmp_path)

    with stub(monkeypatch, download):
        assert model_directory("anna/voice", revision="v1.0.4", cache=tmp_path) == tmp_path
    assert calls == [
        (
            ("anna/voice",),
            {"revision": "v1.0.4", "cache_dir": str(tmp_path), "ignore_patterns": list(IGNORED)},
        )
    ]


class NotExistError(Exception):
    """Named as the package's."""


class FileDownloadError(Exception):
    """Named as the package's; carries the errors of single files."""

    def __init__(self, files: dict[str, Exception]) -> None:
        super().__init__(f"{len(files)} files failed")
        self.failed_files = files


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ConnectionError("no route"), "no connection to ModelScope"),
        (FileDownloadError({"a": ConnectionError("reset")}), "no connection to ModelScope"),
        (NotExistError("gone"), "ModelScope has no anna/voice"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_the_packages_errors_become_one_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    def download(*_: object, **__: object) -> str:
        raise error

    with stub(monkeypatch, download), pytest.raises(SourceError, match=sentence):
        model_directory("anna/voice")


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelscope", None)
    monkeypatch.setitem(sys.modules, "modelscope.hub.snapshot_download", None)
    with pytest.raises(SourceError, match=r"pip install \"sambert-trt\[modelscope\]\""):
        model_directory("anna/voice")


@pytest.mark.parametrize(
    "model_id", ["anna", "anna/", "/voice", "../voice", "anna/../etc", "a/b/c", "a b/c", "ä/ö", ""]
)
def test_a_malformed_id_is_refused_before_anything_else(model_id: str) -> None:
    with pytest.raises(SourceError, match="is no ModelScope id"):
        model_directory(model_id)


def test_a_malformed_revision_is_refused() -> None:
    with pytest.raises(SourceError, match="is no revision"):
        model_directory("anna/voice", revision="--upload-pack=x")
