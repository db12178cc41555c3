"""A voice's files become a voice directory: weights checked, graphs written, manifest last."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sambert_trt.engines.errors import SambertError
from sambert_trt.engines.graphs import AxisRange, Stage
from sambert_trt.engines.manifest import F0Rule, FileRecord, StageRecord, VoiceManifest
from sambert_trt.engines.voice import (
    MANIFEST,
    checked_bytes,
    file_record,
    manifest_from_directory,
    replaced_directory,
)

from .checkpoint import (
    Part,
    check_tensors,
    save_safetensors,
    sha256_of,
    tensors_from_checkpoints,
)
from .hifigan import Generator
from .onnx_graphs import GraphReport, write_graph
from .reference import Reference
from .sambert import FLEXIBLE_ROWS, Sambert
from .sambert_settings import DEFAULT_EMOTION
from .settings import VoiceSettings, settings_from_source
from .source import VoiceSource
from .stages import stage_modules

__all__ = ["ExportReport", "LoadedVoice", "StageReport", "export_voice", "load_voice"]

SYMBOLS_PER_SECOND = 15.0
"""Usual density of Mandarin symbols, to state work per second of audio."""

_FILLED_PAUSES = (("ge", "en_c"), ("ga", "a_c"), ("ge", "e_c"))
_LICENCES = ("LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "ATTRIBUTION.md", "NOTICE")

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many steps are done, and how many there are."""


@dataclass(frozen=True)
class StageReport:
    """One line of the export's table; `gflop` is work per second of audio."""

    stage: Stage
    graph: GraphReport
    gflop: float
    seconds: float


@dataclass(frozen=True)
class ExportReport:
    """What an export did; `stages` is empty where nothing had changed."""

    directory: Path
    manifest: VoiceManifest
    stages: tuple[StageReport, ...]
    seconds: float

    @property
    def unchanged(self) -> bool:
        """Whether the voice directory already was the export of these files."""
        return not self.stages


@dataclass(frozen=True)
class LoadedVoice:
    """A voice's modules with its weights, and what stands beside them."""

    settings: VoiceSettings
    model: Sambert
    generator: Generator
    f0: F0Rule | None
    pauses: NDArray[np.float32] | None

    def reference(self) -> Reference:
        """The torch reference of this voice."""
        return Reference(
            self.model,
            self.generator,
            speaker_vector=self.settings.speaker_vector,
            pauses=self.pauses,
            f0=self.f0,
        )


def load_voice(source: VoiceSource, *, language: str | None = None) -> LoadedVoice:
    """Reads configuration and checkpoints and loads the modules.

    Raises:
        SourceError: every problem of the configuration, or of the weights, at once.
    """
    settings = settings_from_source(source, language=language)
    model = Sambert(settings.sambert, settings.vocabulary)
    generator = Generator(settings.hifigan)
    checkpoints: list[tuple[Path, Part]] = [
        (source.am_checkpoint, "acoustic"),
        (source.voc_checkpoint, "vocoder"),
    ]
    for module, tensors in zip(
        (model, generator), tensors_from_checkpoints(checkpoints), strict=True
    ):
        load_tensors(module, tensors)
    return LoadedVoice(
        settings, model, generator, _f0_rule(settings), _filled_pauses(settings, model)
    )


def load_tensors(module: torch.nn.Module, tensors: dict[str, NDArray[np.float32]]) -> None:
    """Loads weights after comparing every name and shape with the module's own.

    Raises:
        SourceError: all missing, unexpected and wrongly shaped weights.
    """
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    flexible = [name for name in FLEXIBLE_ROWS if name in expected]
    check_tensors(expected, tensors, flexible=flexible)
    for name in flexible:
        owner = module.get_submodule(name.rpartition(".")[0])
        owner.register_buffer(name.rpartition(".")[2], torch.from_numpy(tensors[name]))
    module.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
    module.eval().requires_grad_(False)


def export_voice(
    source: VoiceSource,
    target: Path,
    *,
    language: str | None = None,
    force: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> ExportReport:
    """Writes the voice directory `target`, or finds that it already is what it would write.

    Raises:
        SourceError: the voice cannot be exported.
        GraphError: a graph fails its checks.
        OutputError: the directory cannot be written.
    """
    start = time.perf_counter()
    progress("reading", 0, len(Stage) + 2)
    provenance = _provenance(source, language)
    if not force and (existing := _unchanged(target, provenance)) is not None:
        return ExportReport(target, existing, (), time.perf_counter() - start)
    with replaced_directory(target) as directory, _one_thread():
        voice = load_voice(source, language=language)
        reports = []
        (directory / "onnx").mkdir()
        stages = stage_modules(voice.model, voice.generator)
        for done, (stage, module) in enumerate(stages.items(), start=1):
            progress(stage.value, done, len(Stage) + 2)
            begun = time.perf_counter()
            report = write_graph(module, directory / "onnx" / f"{stage.value}.onnx")
            gflop = 2e-9 * report.macs * _runs_per_second(voice, stage, module.graph.axes)
            reports.append(StageReport(stage, report, gflop, time.perf_counter() - begun))
        progress("weights and manifest", len(Stage) + 1, len(Stage) + 2)
        weights = _write_weights(voice, provenance, directory)
        _copy_licences(source, directory)
        np.savez(directory / "styles.npz", **_styles(voice))  # type: ignore[arg-type]
        records = {
            report.stage: StageRecord(
                file_record(directory, f"onnx/{report.stage.value}.onnx"),
                stages[report.stage].graph,
                report.graph.parameters,
            )
            for report in reports
        }
        manifest = _manifest(source, voice, directory, records, weights, provenance)
        (directory / MANIFEST).write_text(manifest.as_json(), encoding="utf-8")
    progress("done", len(Stage) + 2, len(Stage) + 2)
    return ExportReport(target, manifest, tuple(reports), time.perf_counter() - start)


@contextmanager
def _one_thread() -> Iterator[None]:
    """torch on one thread: its many small operations wait for each other more than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _unchanged(target: Path, provenance: dict[str, Any]) -> VoiceManifest | None:
    try:
        manifest = manifest_from_directory(target)
        for record in (*manifest.files, *manifest.weights.values()):
            checked_bytes(target, record)
    except SambertError:
        return None
    return manifest if manifest.provenance == json.loads(json.dumps(provenance)) else None


def _provenance(source: VoiceSource, language: str | None) -> dict[str, Any]:
    roles = {field.name: getattr(source, field.name) for field in dataclasses.fields(source)}
    facts = {n: v for n, v in roles.items() if v is None or isinstance(v, str | int)}
    return {
        "files": _source_files(roles),
        "source": facts | {"language_option": language},
        "exporter": importlib.metadata.version("sambert-trt"),
        "exporter_sha256": _exporter_digest(),
        "licences": sorted(path.name for path in _licence_files(source)),
    }


def _source_files(roles: Mapping[str, object]) -> dict[str, dict[str, str]]:
    files = {}
    for role, path in roles.items():
        if not isinstance(path, Path) or role == "root":
            continue
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in inside:
            key = role if file == path else f"{role}/{file.relative_to(path).as_posix()}"
            files[key] = {"name": file.name, "sha256": sha256_of(file)}
    return files


def _exporter_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _licence_files(source: VoiceSource) -> list[Path]:
    folders = dict.fromkeys((source.root, source.am_config.parent.parent))
    found = {name: folder / name for folder in folders for name in _LICENCES}
    return [path for path in found.values() if path.is_file()]


def _copy_licences(source: VoiceSource, directory: Path) -> None:
    for path in _licence_files(source):
        shutil.copyfile(path, directory / path.name)


def _write_weights(
    voice: LoadedVoice, provenance: dict[str, Any], directory: Path
) -> dict[str, FileRecord]:
    metadata = {"source_sha256": json.dumps(provenance["files"], sort_keys=True)}
    for name, module in (("acoustic", voice.model), ("vocoder", voice.generator)):
        tensors = {key: value.numpy() for key, value in module.state_dict().items()}
        save_safetensors(directory / f"source/{name}.safetensors", tensors, metadata)
    names = ("acoustic", "vocoder")
    return {name: file_record(directory, f"source/{name}.safetensors") for name in names}


def _styles(voice: LoadedVoice) -> dict[str, NDArray[np.float32]]:
    model, settings = voice.model, voice.settings
    speaker = settings.speaker_vector
    if speaker is None:
        speaker = model.spk_tokenizer.weight.numpy()
    adaptor = model.variance_adaptor
    arrays = {
        "emotion": model.emo_tokenizer.weight.numpy(),
        "speaker": speaker,
        "duration_timescales": adaptor.dur_position_encoder.inv_timescales.numpy(),
    }
    if voice.pauses is not None:
        arrays["filled_pauses"] = voice.pauses
    if voice.f0 is not None:
        weights = voice.generator.source_module.layer.state_dict()
        arrays["source_weight"] = weights["weight"][0, :, 0].numpy()
        arrays["source_bias"] = weights["bias"].numpy()
    return arrays


def _filled_pauses(settings: VoiceSettings, model: Sambert) -> NDArray[np.float32] | None:
    if not settings.sambert.fp:
        return None
    names = settings.vocabulary.units
    columns = list(names.values())
    rows = []
    for first, second in _FILLED_PAUSES:
        symbols = (
            (first, "tone5", "s_begin", "word_begin"),
            (second, "tone5", "s_end", "word_end"),
            ("#3", "tone_none", "s_none", "word_none"),
        )
        ids = [
            [column.index(unit) for column, unit in zip(columns, s, strict=True)] for s in symbols
        ]
        with torch.no_grad():
            rows.append(model.text_encoder(torch.tensor(ids)).numpy())
    return np.stack(rows)


def _f0_rule(settings: VoiceSettings) -> F0Rule | None:
    config, nsf = settings.sambert, settings.hifigan.nsf
    if not config.nsf or nsf is None:
        return None
    least, most = config.nsf_f0_global_minimum, config.nsf_f0_global_maximum
    offset, scale, dtype = least, most - least, "float32"
    if settings.f0_statistics is not None:
        offset, scale, dtype = settings.f0_statistics
    return F0Rule(
        scale=float(scale),
        offset=float(offset),
        dtype=dtype,
        floor=30.0,
        voiced_from=0.6,
        harmonics=nsf.nb_harmonics,
        sampling_rate=nsf.sampling_rate,
    )


def _manifest(
    source: VoiceSource,
    voice: LoadedVoice,
    directory: Path,
    stages: dict[Stage, StageRecord],
    weights: dict[str, FileRecord],
    provenance: dict[str, Any],
) -> VoiceManifest:
    settings, sambert = voice.settings, voice.settings.sambert
    terms = settings.vocabulary
    real = [name for name in terms.speakers if name not in ("_", "~", "[MASK]")]
    return VoiceManifest(
        name=source.name,
        language=terms.language,
        sample_rate=settings.sample_rate,
        hop=settings.hop,
        frame_channels=sambert.num_mels,
        mel_channels=settings.hifigan.in_channels,
        frames_per_step=sambert.outputs_per_step,
        projection_width=sambert.encoder_projection_units,
        speaker_width=sambert.speaker_units,
        emotion_width=sambert.emotion_units,
        decoder_layers=sambert.decoder_num_layers,
        decoder_heads=sambert.decoder_num_heads,
        decoder_head_width=sambert.decoder_num_units // sambert.decoder_num_heads,
        units=dict(terms.units),
        speakers=terms.speakers if not sambert.se else ("",),
        emotions=terms.emotions,
        default_speaker=_default_speaker(real) if not sambert.se else "",
        default_emotion=DEFAULT_EMOTION,
        filled_pauses=sambert.fp,
        f0=voice.f0,
        styles=file_record(directory, "styles.npz"),
        stages=stages,
        weights=weights,
        provenance=provenance,
        untrained=terms.untrained,
    )


def _default_speaker(speakers: list[str]) -> str:
    """F7, which ModelScope's front end always asks for; else the first, as KAN-TTS takes it."""
    if "F7" in speakers or not speakers:
        return "F7"
    return speakers[0]


def _runs_per_second(voice: LoadedVoice, stage: Stage, axes: Mapping[str, AxisRange]) -> float:
    frames = voice.settings.sample_rate / voice.settings.hop
    steps = frames / voice.settings.sambert.outputs_per_step
    rates = {
        Stage.TEXT_ENCODER: SYMBOLS_PER_SECOND,
        Stage.PROSODY: SYMBOLS_PER_SECOND,
        Stage.DURATION_STEP: SYMBOLS_PER_SECOND,
        Stage.MEMORY_KV: steps,
        Stage.DECODER_STEP: steps,
        Stage.POSTNET: frames,
        Stage.VOCODER: frames,
    }
    per_run = 1 if stage in (Stage.DURATION_STEP, Stage.DECODER_STEP) else None
    usual = per_run or next(iter(axes.values())).usual
    return rates[stage] / float(usual)
