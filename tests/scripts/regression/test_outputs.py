"""The files of a run: its verdict is told before they are tried, and one does not cost another."""

from __future__ import annotations

from pathlib import Path

import fake_perf
import pytest
from regression.gate import ExitStatus
from regression.outputs import Outputs, end_run
from regression.report import Report


def green() -> Report:
    return fake_perf.report(fake_perf.quiet_record(), remarks=())


def with_folders(folder: Path) -> Outputs:
    """The record and the page can be written; where two others were to go, folders lie now."""
    for name in ("summary.md", "perf.xml"):
        (folder / name).mkdir()
    return Outputs(
        json=folder / "record.json",
        markdown=folder / "summary.md",
        junit=folder / "perf.xml",
        html=folder / "page.html",
    )


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (ExitStatus.GREEN, 3),
        (ExitStatus.REGRESSION, 1),
        (ExitStatus.NOT_MEASURED, 3),
        (ExitStatus.INTERRUPTED, 130),
    ],
)
def test_files_that_fail_cost_neither_the_verdict_nor_the_others(
    status: ExitStatus, wanted: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = fake_perf.report(status=status)
    outputs = with_folders(tmp_path)
    assert end_run(report, outputs) == wanted
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == report.headline
    lines = said.err.splitlines()
    assert lines[0] == f"written: {outputs.json}, {outputs.html}"
    assert lines[1].startswith(f"perf: {outputs.markdown} is a folder")
    assert lines[2].startswith(f"perf: {outputs.junit} is a folder")
    assert lines[3] == (
        f"perf: 2 of 4 files could not be written; the run itself is {report.colour}, exit status "
        f"{wanted}"
    )
    assert all(path.is_file() for path in (outputs.json, outputs.html) if path is not None)


def test_the_verdict_is_told_before_a_file_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(report: Report) -> str:
        raise ValueError("a fault of the page")

    monkeypatch.setattr("regression.outputs.html", broken)
    report = green()
    with pytest.raises(ValueError, match="a fault of the page"):
        end_run(report, Outputs(html=tmp_path / "page.html"))
    assert capsys.readouterr().out.splitlines()[-1] == report.headline


def test_a_run_whose_files_are_written_keeps_its_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end_run(green(), Outputs(json=tmp_path / "record.json")) is ExitStatus.GREEN
    assert capsys.readouterr().err == f"written: {tmp_path / 'record.json'}\n"
    assert end_run(green(), Outputs()) is ExitStatus.GREEN
    assert capsys.readouterr().err == ""


def test_a_run_that_was_broken_off_names_no_history_as_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = Outputs(json=tmp_path / "record.json", history=tmp_path / "history.jsonl")
    assert end_run(fake_perf.report(status=ExitStatus.INTERRUPTED), outputs) == 130
    assert capsys.readouterr().err == f"written: {outputs.json}\n"
    assert not (tmp_path / "history.jsonl").exists()
