"""What the text measurements rest on: alignments, counting, files. No timing."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def bench(root: Path) -> ModuleType:
    """The script as a module."""
    sys.path.insert(0, str(root / "scripts"))
    try:
        return importlib.import_module("bench_text")
    finally:
        sys.path.pop(0)


@pytest.mark.parametrize(
    ("expected", "read", "pairs"),
    [
        ("a b c", "a x c", [("a", "a"), ("b", "x"), ("c", "c")]),
        ("a b c", "a c", [("a", "a"), ("b", ""), ("c", "c")]),
        ("a c", "a b c", [("a", "a"), ("", "b"), ("c", "c")]),
        ("a", "", [("a", "")]),
    ],
)
def test_syllables_are_aligned(
    bench: ModuleType, expected: str, read: str, pairs: list[tuple[str, str]]
) -> None:
    assert bench.aligned(expected.split(), read.split()) == pairs


def test_errors_are_counted_and_named(bench: ModuleType) -> None:
    score = bench.Score()
    bench.score_of(score, ["ni3", "hao3"], ["ni3", "hao4"], "你好。")
    bench.score_of(score, ["ni3"], ["ni3"], "你")
    assert score.accuracy == pytest.approx(2 / 3)
    assert (score.sentences, score.clean) == (2, 1)
    assert dict(score.errors) == {"好 hao3 > hao4": 1}


def test_a_corpus_is_read_and_a_fifth_of_it_kept_apart(bench: ModuleType, tmp_path: Path) -> None:
    lines = ["id,text,pinyin_numbered", *(f"{i},你好。,ni3 hao3" for i in range(9)), "9,你,ni2"]
    (tmp_path / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    found = bench.measure_corpus(bench.corpus_rows(tmp_path))["frontend"]
    aside = [i for i in range(10) if bench.held_out(str(i))]
    assert 0 < len(aside) < 10
    assert (found["all"]["syllables"], found["all"]["wrong"]) == (19, 1)
    assert found["held_out"]["sentences"] == len(aside)
    assert found["open"]["sentences"] == 10 - len(aside)
    assert found["held_out"]["errors"] == found["all"]["errors"] == {}
    assert bench.corpus_rows(tmp_path / "nowhere") == []


def test_the_character_between_the_signs_is_asked_for(bench: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "test.sent").write_text("在2024年，我去▁银▁行。\n", encoding="utf-8")
    (tmp_path / "test.lb").write_text("yin2\n", encoding="utf-8")
    found = bench.measure_polyphones(tmp_path)["frontend"]
    assert (found["syllables"], found["wrong"]) == (1, 0)
    assert bench.measure_polyphones(tmp_path / "nowhere").startswith("skipped: no test.sent")


def test_the_normalisation_table_counts_by_class(bench: ModuleType, tmp_path: Path) -> None:
    table = tmp_path / "cases.tsv"
    table.write_text("class\twritten\tspoken\nn\t3\t三\nn\t4\t五\n", encoding="utf-8")
    assert bench.measure_normalisation(table) == {"n": {"cases": 2, "right": 1}}


def test_a_report_is_printed_with_what_was_skipped(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--rounds", "1", "--processes", "1", "--sizes", "900", "--json"]
    assert bench.main([*arguments, str(tmp_path / "report.json")]) == 0
    printed = capsys.readouterr().out
    assert "corpus: skipped" in printed
    assert "characters per second" in printed
    assert (tmp_path / "report.json").is_file()
