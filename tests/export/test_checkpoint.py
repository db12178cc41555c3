"""Checkpoints in every container, hostile and damaged ones included."""

from __future__ import annotations

import builtins
import functools
import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sambert_trt.engines.errors import SourceError
from sambert_trt.export import checkpoint_reader
from sambert_trt.export.checkpoint import (
    Part,
    check_container,
    check_tensors,
    folded_vocoder,
    save_safetensors,
    sha256_of,
    tensors_from_checkpoint,
    tensors_from_checkpoints,
    tensors_from_safetensors,
)
from sambert_trt.export.source import voice_sources_from_path

torch = pytest.importorskip("torch", reason="reading checkpoints needs the [export] extra")
pytestmark = pytest.mark.export

NOWHERE = Path("voice.pth")
Tensors = dict[str, NDArray[np.float32]]


@functools.cache
def read(golden: Path) -> dict[tuple[str, str], Tensors]:
    """Every reference checkpoint, with one start of the reading process."""
    jobs: list[tuple[tuple[str, str], tuple[Path, Part]]] = []
    for folder in sorted(golden.glob("v*")):
        source = voice_sources_from_path(folder)[0]
        jobs.append(((folder.name, "acoustic"), (source.am_checkpoint, "acoustic")))
        jobs.append(((folder.name, "vocoder"), (source.voc_checkpoint, "vocoder")))
    extras = golden / "extras"
    for path in sorted(path for path in extras.iterdir() if path.suffix in (".pth", ".bin")):
        part: Part = "vocoder" if "voc" in path.name else "acoustic"
        jobs.append(((path.name, part), (path, part)))
    nomask = voice_sources_from_path(extras / "modelrepo_nomask")
    jobs += [((source.name, "acoustic"), (source.am_checkpoint, "acoustic")) for source in nomask]
    jobs.append((("ten", "acoustic"), (extras / "multi_ckpt/checkpoint_10.pth", "acoustic")))
    jobs.append((("nine", "acoustic"), (extras / "multi_ckpt/checkpoint_9.pth", "acoustic")))
    tensors = tensors_from_checkpoints([job for _, job in jobs])
    return dict(zip((key for key, _ in jobs), tensors, strict=True))


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[tuple[str, str], Tensors]:
    return read(shared / "golden")


def same(a: Tensors, b: Tensors, tolerance: float = 0.0) -> bool:
    return a.keys() == b.keys() and all(
        a[name].shape == b[name].shape and np.abs(a[name] - b[name]).max() <= tolerance
        for name in a
    )


def test_reference_weights_are_plain_float32(golden: dict[tuple[str, str], Tensors]) -> None:
    assert len(golden) == 24
    for (name, part), tensors in golden.items():
        assert tensors, name
        for key, tensor in tensors.items():
            assert tensor.dtype == np.float32, (name, key)
            assert not key.startswith("align_attention"), name
            assert part == "acoustic" or key.endswith((".weight", ".bias")), (name, key)


@pytest.mark.parametrize(
    "name", ["am_nonzip.pth", "legacy_am_pytorch_model.bin", "legacy_am_plain_pickle.bin", "ten"]
)
def test_every_acoustic_container_holds_the_same(
    golden: dict[tuple[str, str], Tensors], name: str
) -> None:
    assert same(golden[name, "acoustic"], golden["v1_plain16k", "acoustic"])


@pytest.mark.parametrize(
    "name", ["voc_parametrizations.pth", "voc_folded.pth", "legacy_vocoder_pytorch_model.bin"]
)
def test_every_vocoder_container_holds_the_same(
    golden: dict[tuple[str, str], Tensors], name: str
) -> None:
    assert same(golden[name, "vocoder"], golden["v1_plain16k", "vocoder"], 1e-7)


def test_the_wrong_number_is_another_voice(golden: dict[tuple[str, str], Tensors]) -> None:
    assert not same(golden["nine", "acoustic"], golden["v1_plain16k", "acoustic"], 1e-3)


def test_voices_without_mask_rows(golden: dict[tuple[str, str], Tensors]) -> None:
    whole, alpha, beta = (golden[name, "acoustic"] for name in ("v1_plain16k", "alpha", "beta"))
    for name, tensor in whole.items():
        table = name.endswith(("_emb.weight", "tokenizer.weight")) and tensor.ndim == 2
        assert np.array_equal(alpha[name], tensor[:-1] if table else tensor), name
    changed = [name for name in alpha if not np.array_equal(alpha[name], beta[name])]
    assert len(changed) == 1
    assert np.abs(beta[changed[0]] - alpha[changed[0]]).max() == pytest.approx(0.25)


def test_the_names_of_a_vocoder(golden: dict[tuple[str, str], Tensors]) -> None:
    names = golden["v2_nsf16k_mvn", "vocoder"].keys()
    for name in (
        "conv_pre.conv1d.weight",
        "transpose_upsamples.3.1.deconv.weight",
        "repeat_upsamples.0.2.conv1d.weight",
        "conv_blocks.11.convs2.3.conv1d.bias",
        "source_module.ffn.0.weight",
        "source_downs.3.conv1d.weight",
    ):
        assert name in names


class Hostile:
    """Something a pickle rebuilds by calling a function."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:  # noqa: ANN401 - the signature of object
        return self.call


def torch_bytes(content: object, *, zipped: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def error_of(path: Path, part: Part = "acoustic", **limits: Any) -> str:  # noqa: ANN401
    with pytest.raises(SourceError) as caught:
        tensors_from_checkpoint(path, part, **limits)
    assert str(caught.value).strip()
    return str(caught.value)


def test_hostile_files_are_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is refused inside one process; a marker file would show that something ran."""
    marker = tmp_path / "ran"
    command = f"touch {marker}"
    write = f"open({str(marker)!r}, 'w').close()"
    tricks: dict[str, Any] = {
        "system": Hostile(os.system, command),
        "eval": Hostile(builtins.eval, write),
        "exec": Hostile(builtins.exec, write),
        "open": Hostile(builtins.open, str(marker), "w"),
        "getattr": Hostile(getattr, Hostile(builtins.__import__, "os"), "system"),
        "load": Hostile(pickle.loads, pickle.dumps(Hostile(os.system, command))),
    }
    refused = 0
    weights = {"a.weight": torch.ones(2, 2)}
    for trick in tricks.values():
        for content in ({"model": trick}, {"model": weights, "optimizer": trick}):
            files = (
                torch_bytes(content),
                torch_bytes(content, zipped=False),
                pickle.dumps({"fsnet": trick}, protocol=2),
                pickle.dumps({"fsnet": trick}, protocol=4),
            )
            for data in files:
                (tmp_path / "evil.pth").write_bytes(data)
                with pytest.raises(checkpoint_reader.RefusedError, match=r"refused|weights only"):
                    checkpoint_reader.tensors_from_file(tmp_path / "evil.pth", "acoustic", 1 << 20)
                refused += 1
                assert not marker.exists()
    assert refused == 48
    # The marker would have shown it: run by hand, the same bytes do create it.
    pickle.loads(pickle.dumps(Hostile(builtins.eval, f"open({str(marker)!r}, 'w').close()")))  # noqa: S301
    assert marker.exists()


def test_a_hostile_file_through_the_whole_way(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = tmp_path / "checkpoint_0.pth"
    path.write_bytes(torch_bytes({"model": Hostile(os.system, f"touch {marker}")}))
    assert "asks to run posix.system" in error_of(path) or os.name == "nt"
    assert not marker.exists()


def test_a_pickle_cannot_change_what_it_may_call() -> None:
    head = b"\x80\x02cnumpy.core.multiarray\nscalar\n"
    for tail in (b"}X\x01\x00\x00\x00aK\x01sb.", b"N}X\x09\x00\x00\x00_functionK\x01s\x86b."):
        with pytest.raises(checkpoint_reader.RefusedError):
            checkpoint_reader._pickle_content(head + tail)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"\n <html><body>login</body>", "is a web page"),
        (b'{"Code": 404}', "is JSON"),
        (b"PK\x03\x04 cut", "is cut off"),
        (b"hello world", "is no checkpoint"),
        (b"\x89HDF\r\n\x1a\n", "is no checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    assert sentence in error_of(tmp_path / "a.pth")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    assert "does not exist" in error_of(tmp_path / "a.pth")
    assert "is no file" in error_of(tmp_path)


def archive(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in entries.items():
            file.writestr(f"checkpoint_0/{name}", content)
    return path


def test_archives_that_are_something_else(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    archive(path, {"data.pkl": bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    assert "compressed archive" in error_of(path)
    archive(path, {"readme.txt": b"hello"})
    assert "without data.pkl" in error_of(path)
    archive(path, {"data.pkl": b"x", "constants.pkl": b"x", "code/a.py": b"x"})
    assert "TorchScript" in error_of(path)


def test_an_archive_whose_entries_overlap_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.pth", {"data.pkl": b"x", "data/0": b"y" * 1000})
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02") + 20  # the sizes in the first central record
    content[place : place + 8] = (1 << 30).to_bytes(4, "little") * 2
    path.write_bytes(content)
    assert "claims more data" in error_of(path)


def test_what_checkpoints_must_hold(tmp_path: Path) -> None:
    """One start of the reader per part of the table would be slow: the reader runs in here."""
    path = tmp_path / "a.pth"
    weight = torch.ones(2, 2)
    table: list[tuple[object, str]] = [
        ({"model": {}}, "holds no acoustic model"),
        ({"model": {"generator": {"a": weight}}}, "holds no acoustic model; its keys are model"),
        ([weight], "holds a list"),
        ({"model": {"a": weight.int()}}, "holds a as torch.int32"),
        ({"model": {"a": torch.ones(1).expand(1 << 10)}}, "in less data than that needs"),
        ({"model": {"a": torch.ones(1 << 19)}}, "more than 1048576 bytes"),
        ({"model": {"a" * 300: weight}}, "names a tensor"),
        ({"model": {"align_attention.x": weight}}, "holds 0 tensors"),
        ({"fsnet": {"a": weight.to_sparse()}}, "weights are floats"),
    ]
    for content, sentence in table:
        path.write_bytes(torch_bytes(content))
        with pytest.raises(checkpoint_reader.RefusedError) as caught:
            checkpoint_reader.tensors_from_file(path, "acoustic", 1 << 20)
        assert sentence in str(caught.value)


def test_where_the_weights_may_stand(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    state = OrderedDict({"a.weight": torch.ones(2, 2, dtype=torch.float16)})
    prefixed = {f"module.{name}": value for name, value in state.items()}
    unused = {**state, "align_attention.key.weight": torch.ones(1)}
    for part, content in (
        ("acoustic", {"model": state, "steps": 3}),
        ("acoustic", {"model": prefixed}),
        ("acoustic", {"fsnet": unused}),
        ("acoustic", dict(state)),
        ("vocoder", {"model": {"generator": state, "discriminator": {}}}),
        ("vocoder", {"generator": state}),
        ("vocoder", dict(state)),
    ):
        path.write_bytes(torch_bytes(content))
        found = checkpoint_reader.tensors_from_file(path, part, 1 << 20)
        assert list(found) == ["a.weight"]
        assert found["a.weight"].dtype == np.float32


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "f8", "f2"])
def test_plain_pickles_of_every_protocol(protocol: int, dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    content = {"fsnet": {"a": array, "b": np.asfortranarray(array), "steps": array.sum()}}
    found = checkpoint_reader._pickle_content(pickle.dumps(content, protocol=protocol))
    assert isinstance(found, dict)
    for name in ("a", "b"):
        assert np.array_equal(found["fsnet"][name].array, array)
    assert found["fsnet"]["steps"] == 15


def test_weights_that_are_not_finite_and_limits(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(torch_bytes({"model": {"a": torch.tensor([1.0, float("nan")])}}))
    assert "not finite in a" in error_of(path)
    path.write_bytes(torch_bytes({"model": {"a": torch.tensor([1e300], dtype=torch.float64)}}))
    assert "not finite in a" in error_of(path)


def test_the_readers_limits(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(torch_bytes({"model": {"a": torch.ones(1)}}))
    assert "more than 0.05 s" in error_of(path, time_limit=0.05)
    path.write_bytes(pickle.dumps({"fsnet": {"a": np.ones(1 << 23, np.float32)}}))
    assert "needs more memory than it may have" in error_of(path, memory_limit=1 << 24)


@functools.cache
def small() -> dict[str, bytes]:
    """A checkpoint of each container, small enough to damage everywhere."""
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}
    arrays = {name: value.numpy() for name, value in state.items()}
    return {
        "zip": torch_bytes({"model": state, "steps": 3}),
        "old": torch_bytes({"model": state, "steps": 3}, zipped=False),
        "plain": pickle.dumps({"fsnet": arrays}, protocol=2),
        "plain4": pickle.dumps({"fsnet": arrays}, protocol=4),
    }


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kind=st.sampled_from(["zip", "old", "plain", "plain4"]),
    cut=st.none() | st.integers(0, 2000),
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4),
)
def test_damaged_files_are_read_or_refused(
    tmp_path: Path, kind: str, cut: int | None, changes: list[tuple[int, int]]
) -> None:
    """As the parent and the reading process do it, in here: nothing but tensors or an answer."""
    data = bytearray(small()[kind])
    for place, value in changes:
        data[place % len(data)] = value
    path, output = tmp_path / "a.pth", tmp_path / "out.safetensors"
    path.write_bytes(data[:cut] if cut is not None else data)
    try:
        check_container(path)
    except SourceError:
        return
    job = {"path": str(path), "part": "acoustic", "output": str(output)}
    reply = checkpoint_reader._reply(job, 1 << 20)
    if "error" in reply:
        assert reply["error"]
    else:
        assert all(t.dtype == np.float32 for t in tensors_from_safetensors(output)[0].values())


def test_folding_takes_the_norm_over_all_but_the_first_axis() -> None:
    rng = np.random.default_rng(0)
    v = rng.standard_normal((3, 4, 5)).astype(np.float32)
    g = rng.standard_normal((3, 1, 1)).astype(np.float32)
    wanted = torch._weight_norm(torch.tensor(v), torch.tensor(g), 0).numpy()
    for names in (
        ("weight_g", "weight_v"),
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    ):
        state = {f"ups.0.deconv.{names[0]}": g, f"ups.0.deconv.{names[1]}": v}
        found = folded_vocoder(state, NOWHERE)
        assert list(found) == ["transpose_upsamples.0.1.deconv.weight"]
        np.testing.assert_allclose(*found.values(), wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"a.weight_g": (2, 1)}, "only one of"),
        ({"a.weight_v": (2, 3)}, "only one of"),
        ({"a.weight_g": (3, 1), "a.weight_v": (2, 3)}, r"weight_g \[3, 1\]"),
        ({"a.weight_g": (2, 1), "a.weight_v": (2, 3), "a.weight": (2, 3)}, "twice"),
        ({"resblocks.0.b": (1,), "conv_blocks.0.b": (1,)}, "both its old and its new name"),
    ],
)
def test_weight_norms_that_do_not_fit(state: dict[str, tuple[int, ...]], sentence: str) -> None:
    tensors = {name: np.ones(shape, np.float32) for name, shape in state.items()}
    with pytest.raises(SourceError, match=sentence):
        folded_vocoder(tensors, NOWHERE)


def test_a_direction_of_length_zero_is_refused() -> None:
    state = {"a.weight_g": np.ones((1, 1), np.float32), "a.weight_v": np.zeros((1, 3), np.float32)}
    with pytest.raises(SourceError, match="row of zeros"):
        folded_vocoder(state, NOWHERE)


def zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


def test_differences_are_listed_at_once() -> None:
    expected = {"a": (2, 3), "b": (4,), "table": (1, 60, 8), "width": (1, 60, 8)}
    found = {"a": zeros(3, 2), "c": zeros(1), "table": zeros(1, 99, 8), "width": zeros(1, 60, 9)}
    with pytest.raises(SourceError) as caught:
        check_tensors(expected, found, flexible=("table", "width"))
    message = str(caught.value)
    assert "4 differences" in message
    for line in (
        "missing: b [4]",
        "unexpected: c [1]",
        "wrong shape: a [3, 2], needs [2, 3]",
        "wrong shape: width [1, 60, 9], needs [1, 60, 8]",
    ):
        assert line in message
    fitting = {"a": zeros(2, 3), "b": zeros(4), "table": zeros(1, 1, 8), "width": zeros(1, 60, 8)}
    check_tensors(expected, fitting, flexible=("table",))


def test_a_long_list_of_differences_is_cut() -> None:
    with pytest.raises(SourceError) as caught:
        check_tensors({}, {str(number): zeros(1) for number in range(50)})
    assert "50 differences" in str(caught.value)
    assert "and 30 more" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 22


def test_safetensors_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.safetensors"
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3).T}
    save_safetensors(path, tensors, {"sha256": "0" * 64})
    found, metadata = tensors_from_safetensors(path)
    assert metadata == {"sha256": "0" * 64}
    assert np.array_equal(found["a"], tensors["a"])
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(SourceError, match="no safetensors file"):
        tensors_from_safetensors(path)


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a").startswith("ba7816bf8f01cfea")
    with pytest.raises(SourceError, match="cannot be read"):
        sha256_of(tmp_path / "b")
