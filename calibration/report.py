"""A calibration's report on disk: JSON, Markdown, one HTML page, pictures and recordings.

    Report ─ write_report ─▶ report.json, report.md, report.html, pictures/*.png, listen/*.wav

All of it is written beside and moved into place at the end, so that a run that fails leaves the
report of the one before. matplotlib where installed; without it there are no pictures.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from sambert_trt.engines.errors import OutputError, SambertError
from sambert_trt.runtime.backend import Array

from .report_content import document_of, recording_path
from .report_facts import (
    REPORT_SCHEMA,
    Example,
    HalfVoice,
    Machine,
    Renderings,
    Report,
    Skipped,
    Texts,
    listening_sentences,
    this_machine,
)
from .report_html import Drawings, report_html
from .report_json import report_from_json, report_json
from .report_markdown import report_markdown
from .report_verdict import explain_text, verdict_sentences

__all__ = [
    "REPORT_SCHEMA",
    "Example",
    "HalfVoice",
    "Machine",
    "Renderings",
    "Report",
    "Skipped",
    "Texts",
    "explain_text",
    "listening_sentences",
    "report_from_json",
    "report_json",
    "this_machine",
    "verdict_sentences",
    "write_report",
]

_LOG = logging.getLogger(__name__)
_PARTS = ("pictures", "listen", "report.json", "report.md", "report.html")
_MOST_SECONDS = 30
"""Of a recording: enough to hear what is wrong, and 12 of them stay below 20 MB."""
_WITHOUT = "matplotlib is not installed: pip install 'sambert-trt[calibrate]'"


def write_report(folder: Path, report: Report) -> None:
    """Writes a report into a folder, over the one that is there; other files in it stay.

    Raises:
        OutputError: the folder cannot be written; the report that was there is whole.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".report-", dir=folder))
        try:
            _write_parts(work / "new", report)
            _swap(work, folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _write_parts(folder: Path, report: Report) -> None:
    folder.mkdir()
    drawings, without = _drawings(report)
    document = document_of(report, drawings.light.keys(), without)
    _write(folder / "report.json", report_json(report))
    _write(folder / "report.md", report_markdown(document))
    _write(folder / "report.html", report_html(document, _embedded(drawings)))
    for name, content in drawings.light.items():
        (folder / "pictures").mkdir(exist_ok=True)
        (folder / "pictures" / name).write_bytes(content)
    for example in report.examples:
        _write_recordings(folder, example)


def _embedded(drawings: Drawings) -> Drawings:
    """The pictures as the page holds them: spectrograms, which are many and large, as WebP."""
    from .canvas import compacted

    light = {
        name: compacted(content) if name.startswith("spectrogram-") else content
        for name, content in drawings.light.items()
    }
    return Drawings(light, drawings.dark)


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "replace"))


def _drawings(report: Report) -> tuple[Drawings, str]:
    """Pictures for light and dark pages, or why there are none."""
    from .canvas import DARK, LIGHT
    from .plots import drawn_charts
    from .spectrograms import drawn_spectrograms

    try:
        light = {**drawn_charts(report, LIGHT), **drawn_spectrograms(report, LIGHT)}
        return Drawings(light, drawn_charts(report, DARK)), ""
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != "matplotlib":
            raise
        _LOG.warning("the report has no pictures: %s", _WITHOUT)
        return Drawings(), _WITHOUT


def _write_recordings(folder: Path, example: Example) -> None:
    if example.renderings is None:
        return
    (folder / "listen").mkdir(exist_ok=True)
    rate, sides = example.renderings.rate, example.renderings
    pairs = (("fp32", sides.reference), (example.placement.value, sides.candidate))
    for which, wave in pairs:
        _write_wave(folder / recording_path(example.sentence, which), wave, rate)


def _write_wave(path: Path, wave: Array, rate: int) -> None:
    """16 bits, at most `_MOST_SECONDS`; what is not finite is silence."""
    import soundfile

    finite = np.nan_to_num(wave[: rate * _MOST_SECONDS], nan=0.0, posinf=1.0, neginf=-1.0)
    try:
        soundfile.write(path, np.clip(finite, -1.0, 1.0), rate, "PCM_16", format="WAV")
    except soundfile.LibsndfileError as error:
        raise OSError(None, str(error)) from error


def _swap(work: Path, folder: Path) -> None:
    """Moves the new parts into place and the old ones away; takes all back if one move fails."""
    (work / "old").mkdir()
    with ExitStack() as undo:
        for name in _PARTS:
            old, new, target = work / "old" / name, work / "new" / name, folder / name
            if target.exists():
                target.replace(old)
                undo.callback(old.replace, target)
            if new.exists():
                new.replace(target)
                undo.callback(target.replace, new)
        undo.pop_all()


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except SambertError:
        raise
    except OSError as error:
        raise OutputError(
            f"writing the report into {folder} failed: {error.strerror or error}; "
            "what was there before is unchanged"
        ) from error
