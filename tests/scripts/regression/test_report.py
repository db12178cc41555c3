"""What every form of a report tells alike."""

from __future__ import annotations

from dataclasses import replace

import fake_perf
from regression.html import html
from regression.markdown import markdown
from regression.report import Report
from regression.terminal import result_lines


def one_sided(**values: list[list[float]]) -> Report:
    """A run of one side, with these times of stages by session."""
    found = fake_perf.quiet_record(base=None)
    samples = {f"stage.{n}.seconds": fake_perf.samples_of(v) for n, v in values.items()}
    candidate = replace(found.candidate, values=samples)
    return fake_perf.report(replace(found, candidate=candidate))


def test_one_side_has_the_same_value_everywhere() -> None:
    """The geometric mean of the middle three; the median is 3 ms, the mean 6 ms."""
    report = one_sided(vocoder=[[1e-3, 2e-3, 3e-3, 8e-3, 16e-3]] * 3)
    told = "3.63 ms"
    assert f"stage.vocoder.seconds     {told}" in list(result_lines(report))
    assert f"| one call of a stage `stage.vocoder.seconds` | {told} |" in markdown(report)
    assert f'<td class="number">{told}</td>' in html(report)
