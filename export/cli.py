"""sambert-export: a PyTorch voice becomes a voice directory.

Exit codes: 0 exported or unchanged; 1 something failed (standard error says what); 2 wrong usage;
130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sambert_trt.engines.errors import InputError, SambertError

if TYPE_CHECKING:
    from .source import VoiceSource
    from .voice_export import ExportReport

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the export and returns its exit code."""
    options = _parser().parse_args(arguments)
    level = logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s", stream=sys.stderr)
    try:
        sources = _sources(options)
        for source in sources:
            target = Path(options.output)
            _export(source, target if len(sources) == 1 else target / source.name, options)
    except SambertError as error:
        print(f"sambert-export: {error}", file=sys.stderr)
        return 1
    except ImportError as error:
        lacking = f"{error.name} is not installed" if error.name else str(error)
        print(
            f"sambert-export: {lacking}; install it with: pip install 'sambert-trt[export]'",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("sambert-export: interrupted; nothing was left half-written", file=sys.stderr)
        return 130
    return 0


def _sources(options: argparse.Namespace) -> tuple[VoiceSource, ...]:
    from .source import voice_source_from_files, voice_sources_from_path

    explicit = (options.am_checkpoint, options.voc_checkpoint)
    configs = (options.am_config, options.voc_config)
    given = [options.source is not None, options.modelscope is not None, any(explicit + configs)]
    if sum(given) != 1:
        raise InputError("give one of SOURCE, --modelscope ID, or explicit files")
    if given[2]:
        if not all(explicit):
            raise InputError("explicit files need both --am-checkpoint and --voc-checkpoint")
        return (
            voice_source_from_files(
                am_checkpoint=Path(options.am_checkpoint),
                voc_checkpoint=Path(options.voc_checkpoint),
                am_config=_path(options.am_config),
                voc_config=_path(options.voc_config),
                name=options.voice or Path(options.output).resolve().name,
                audio_config=_path(options.audio_config),
                mvn=_path(options.mvn),
                se=_path(options.se),
                has_mask=not options.no_mask,
            ),
        )
    folder = options.source
    if options.modelscope is not None:
        from .download import model_directory

        folder = model_directory(
            options.modelscope, revision=options.revision, cache=_path(options.cache)
        )
    return voice_sources_from_path(Path(folder), voice=options.voice)


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)


def _export(source: VoiceSource, target: Path, options: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from .voice_export import export_voice

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"{source.name}: reading", total=None)

        def advance(what: str, done: int, total: int) -> None:
            progress.update(task, description=f"{source.name}: {what}", completed=done, total=total)

        report = export_voice(
            source, target, language=options.language, force=options.force, progress=advance
        )
    _print_report(report)


def _print_report(report: ExportReport) -> None:
    from rich.console import Console
    from rich.table import Table

    console, manifest = Console(), report.manifest
    if report.unchanged:
        console.print(f"{report.directory} is up to date: nothing has changed since its export")
        return
    table = Table(title=f"{manifest.name}: {manifest.sample_rate} Hz, {manifest.language}")
    table.add_column("stage", no_wrap=True)
    for name in ("parameters", "MB", "nodes", "GFLOP per s of audio", "largest error", "s"):
        table.add_column(name, justify="right")
    for stage in report.stages:
        graph = stage.graph
        table.add_row(
            stage.stage.value,
            f"{graph.parameters:,}",
            f"{graph.bytes / 1e6:.2f}",
            str(graph.nodes),
            f"{stage.gflop:.3f}",
            f"{graph.difference:.1e}",
            f"{stage.seconds:.1f}",
        )
    graphs = [stage.graph for stage in report.stages]
    table.add_section()
    table.add_row(
        "all",
        f"{sum(g.parameters for g in graphs):,}",
        f"{sum(g.bytes for g in graphs) / 1e6:.2f}",
        str(sum(g.nodes for g in graphs)),
        f"{sum(stage.gflop for stage in report.stages):.3f}",
        f"{max(g.difference for g in graphs):.1e}",
        f"{report.seconds:.1f}",
    )
    console.print(table)
    console.print(f"{report.directory} is ready in {report.seconds:.1f} s; speak with:")
    console.print(
        f'  sambert-tts say "今天天气真好" --voice {report.directory} -o out.wav', soft_wrap=True
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sambert-export",
        description="Export a ModelScope or KAN-TTS Sambert-HiFiGAN voice to a voice directory.",
    )
    parser.add_argument("source", nargs="?", help="a model repository or a voice folder")
    parser.add_argument("-o", "--output", required=True, help="the voice directory to write")
    parser.add_argument("--voice", metavar="NAME", help="one voice of a repository with several")
    parser.add_argument("--language", help="the phone set, where the configuration names none")
    parser.add_argument("--force", action="store_true", help="export even if nothing has changed")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more")
    hub = parser.add_argument_group("download")
    hub.add_argument("--modelscope", metavar="ID", help="a model's id, as in damo/speech_...")
    hub.add_argument("--revision", help="of the model")
    hub.add_argument("--cache", metavar="DIR", help="where downloads are kept")
    files = parser.add_argument_group("explicit files")
    files.add_argument("--am-checkpoint", metavar="FILE", help="the acoustic model, or its folder")
    files.add_argument("--voc-checkpoint", metavar="FILE", help="the vocoder, or its folder")
    for name in ("am-config", "voc-config"):
        files.add_argument(f"--{name}", metavar="FILE", help="config.yaml above the checkpoint")
    files.add_argument("--audio-config", metavar="FILE", help="audio_config.yaml")
    files.add_argument("--mvn", metavar="FILE", help="f0 mean and deviation of NSF voices")
    files.add_argument("--se", metavar="FILE", help="the speaker vector of SE voices")
    files.add_argument("--no-mask", action="store_true", help="tables without mask rows")
    return parser


if __name__ == "__main__":
    sys.exit(main())
