"""The reference suite: torch beside us by stage, programs as a whole, and what is there to name."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from regression.catalogue import catalogue_from_file
from regression.record import NotMeasured
from regression.suite import Settings
from regression.suites import reference
from regression.systems import OtherSystemError

from sambert_trt.engines.errors import InputError

PROGRAM = """
import json, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    assert asked["text"] and asked["threads"] == 1
    (line,) = asked["symbols"]
    assert line.startswith("{") and line.endswith("}"), line
    time.sleep(0.02)
    print(json.dumps({"seconds": 0.02, "samples": 16000, "sample_rate": 16000}), flush=True)
"""


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch with one thread: several wait for each other where the cores are busy."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def program(tmp_path: Path) -> str:
    """`--against` of a program that answers."""
    path = tmp_path / "other.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return f"other='{sys.executable}' '{path}'"


@pytest.mark.export
@pytest.mark.usefixtures("one_thread")
def test_torch_is_compared_by_stage_and_programs_as_a_whole(
    tiny_voice: Callable[[str], Path],
    tiny_source: Callable[[str], Path],
    tmp_path: Path,
    program: str,
) -> None:
    settings = Settings(
        tmp_path,
        tiny_voice("nsf"),
        tmp_path,
        source=tiny_source("nsf"),
        extra={"against": [program]},
    )
    with closing(reference.rounds(settings)) as rounds:  # type: ignore[type-var]
        found = list(itertools.islice(rounds, 2))
    stages = ("text_encoder", "prosody", "duration_step", "length", "decoder", "postnet")
    stages = (*stages, "excitation", "vocoder")
    wanted = {f"against.torch.{stage}.ratio" for stage in (*stages, "total")}
    catalogue = catalogue_from_file()
    assert {catalogue.metric(name).suite for name in found[0]} == {"reference"}
    for values in found:
        assert wanted | {"against.other.total.ratio"} <= set(values)
        assert all(value > 0 for value in values.values())


def test_a_program_needs_no_torch(
    tiny_voice: Callable[[str], Path],
    tmp_path: Path,
    program: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reference, "find_spec", lambda name: None)
    settings = Settings(
        tmp_path, tiny_voice("plain"), tmp_path, source=tmp_path, extra={"against": [program]}
    )
    with closing(reference.rounds(settings)) as rounds:  # type: ignore[type-var]
        assert list(next(rounds)) == ["against.other.total.ratio"]


def test_relative_commands_are_found_where_the_user_is(
    tiny_voice: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "other.py").write_text("raise SystemExit(5)", encoding="utf-8")
    extra = {"against": [f"other='{sys.executable}' other.py"], "folder": str(tmp_path)}
    settings = Settings(tmp_path, tiny_voice("plain"), tmp_path, extra=extra)
    with pytest.raises(OtherSystemError, match="other: ended with status 5"):
        next(reference.rounds(settings))


def test_what_is_asked_first_alternates(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measured(name: str, answer: Any) -> Any:  # noqa: ANN401
        asked.append(name)
        return answer

    theirs = {"seconds": 6.0, "stages": {"decoder": 4.0, "length": 1.0, "unknown": 1.0}}
    alone = {"stages": {"decoder": 2.0, "length": 0.5, "text": 9.0, "unknown": 0.0}}
    monkeypatch.setattr(reference, "time_runtime", lambda *a: measured("us", {"seconds": 3.0}))
    monkeypatch.setattr(reference, "time_stages", lambda *a: measured("alone", alone))
    nothing: Any = None
    for ours_first in (True, False):
        found = reference._beside_torch(
            nothing, nothing, nothing, lambda: measured("them", theirs), ours_first
        )
        assert found == {"total": 2.0, "decoder": 2.0, "length": 2.0}
    assert asked == ["us", "alone", "them", "them", "alone", "us"]


@pytest.mark.parametrize(
    ("source", "installed", "said"), [(None, True, "--source"), (".", False, "torch is not")]
)
def test_without_a_reference_nothing_is_measured(
    source: str | None,
    installed: bool,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reference, "find_spec", lambda name: object() if installed else None)
    settings = Settings(tmp_path, tmp_path, tmp_path, source=source and Path(source))
    with pytest.raises(NotMeasured, match=said):
        next(reference.rounds(settings))


def test_what_is_no_program_is_refused_before_anything_opens(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path / "no voice", tmp_path, extra={"against": ["program"]})
    with pytest.raises(InputError, match="NAME=COMMAND"):
        next(reference.rounds(settings))


@pytest.mark.export
def test_tensors_are_made_elsewhere_for_a_while(tiny_source: Callable[[str], Path]) -> None:
    torch = pytest.importorskip("torch")
    makers = [getattr(torch, name) for name in reference._MAKERS]
    with reference._made_on("meta"):
        made = (torch.arange(3), torch.zeros(2), torch.tensor([1.0]), torch.from_numpy(np.ones(2)))
        assert {tensor.device.type for tensor in made} == {"meta"}
        assert torch.ones(2).numpy().tolist() == [1.0, 1.0]
    assert [getattr(torch, name) for name in reference._MAKERS] == makers
    assert torch.arange(3).numpy().tolist() == [0, 1, 2]
    with pytest.raises(ZeroDivisionError), reference._made_on("meta"):
        print(1 // 0)
    assert torch.zeros(2).device.type == "cpu"


@pytest.mark.export
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("variant", ["nsf", "fp"])
def test_a_reference_speaks_alike_where_its_tensors_are_moved(
    variant: str,
    tiny_voice: Callable[[str], Path],
    tiny_source: Callable[[str], Path],
    opened: Callable[[Path], Any],
) -> None:
    voice = opened(tiny_voice(variant))
    ids = reference.ids_of(voice, next(voice.sentences("你好。")))
    speaker = reference._reference(tiny_source(variant), "cpu")
    usual = reference._timed_on("cpu", speaker, ids)["wave"]
    with reference._made_on("cpu"):
        moved = reference.time_reference(speaker, ids)["wave"]
    assert len(usual)
    assert (usual == moved).all()


@pytest.mark.export
@pytest.mark.usefixtures("one_thread")
def test_a_card_gets_a_reference_of_its_own(
    tmp_path: Path, tiny_source: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(reference, "_reference", lambda source, device: asked.append(device))
    monkeypatch.setattr(reference, "ids_of", lambda voice, sentence: None)
    settings = Settings(tmp_path, tmp_path, tmp_path, source=tmp_path)
    nothing: Any = SimpleNamespace()
    found = dict(reference._references(settings, nothing, nothing))
    assert list(found) == ["torch", "torch-cuda"]
    assert asked == ["cpu", "cuda"]
