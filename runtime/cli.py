"""sambert-tts: say, stream, text, voices, info and doctor.

Exit codes: 0 done; 1 something failed (one sentence on standard error); 2 wrong usage; 3 the card
was lost to this process, and a new one may reach it again; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from sambert_trt.engines.errors import DeviceLostError, InputError, SambertError

from .cli_text import (
    READING_OPTIONS,
    add_reading_options,
    add_text_command,
    check_output,
    content_from_options,
    reading_from_options,
    ttsfrd_lines,
)

if TYPE_CHECKING:
    from sambert_trt.engines.manifest import VoiceManifest

    from .audio import AudioChunk, AudioWriter
    from .styles import Style
    from .voice import Voice

__all__ = ["command", "main"]

_LOST = 3
READER = "sambert-tts-text"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    for output in (sys.stdout, sys.stderr):
        if hasattr(output, "reconfigure"):
            output.reconfigure(errors="replace")
    options = _parser().parse_args(arguments)
    level = logging.DEBUG if options.verbose > 1 else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s", stream=sys.stderr)
    return _run(options)


def command() -> NoReturn:
    """The console command: `main`, then the end of the process.

    A thread may still wait for text from a pipe; Python would wait for it, or fail on the lock it
    holds, at an ordinary exit.
    """
    code = main()
    if any(thread.name == READER for thread in threading.enumerate()):
        for output in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                output.flush()
        os._exit(code)
    sys.exit(code)


def _run(options: argparse.Namespace) -> int:
    try:
        code: int = options.run(options)
    except SambertError as error:
        return _fail(str(error), _LOST if isinstance(error, DeviceLostError) else 1)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was left half-written", 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except MemoryError:
        return _fail("out of memory; speak less at once, or use fewer --threads", 1)
    except OSError as error:
        return _fail(str(error), 1)
    return code


def _say(options: argparse.Namespace) -> int:
    from .audio import FORMATS, audio_writer, replaced_file
    from .stream import OFFLINE

    output = Path(options.output)
    if output.suffix.lower() not in FORMATS:
        raise InputError(f"-o {options.output!r}: files end in {', '.join(FORMATS)}")
    started = time.perf_counter()
    trace: dict[str, Any] | None = None if options.trace is None else {}
    with ExitStack() as stack:
        voice = _voice(options, stack)
        ready = time.perf_counter()
        rate = voice.manifest.sample_rate
        writer = stack.enter_context(audio_writer(output, rate, rate=options.rate))
        traced = None if trace is None else stack.enter_context(replaced_file(Path(options.trace)))
        report = _write(_chunks(voice, options, stack, OFFLINE, trace), writer, options)
        if trace is not None and traced is not None:
            _save_trace(traced, trace)
        report["seconds"] = report["samples"] / rate
    finished = time.perf_counter()
    _report(options, output, report, ready - started, finished - ready)
    return 0


def _stream(options: argparse.Namespace) -> int:
    from .audio import int16_from_float
    from .stream import STREAMING

    check_output()
    if sys.stdout.isatty():
        raise InputError(
            "stream writes raw samples: send them to a file or a player, as in > a.raw"
        )
    with ExitStack() as stack:
        voice = _voice(options, stack)
        begun = time.perf_counter()
        for index, chunk in enumerate(_chunks(voice, options, stack, STREAMING, None)):
            sys.stdout.buffer.write(int16_from_float(chunk.samples).astype("<i2").tobytes())
            sys.stdout.buffer.flush()
            if options.verbose and index == 0:
                print(f"first audio {1e3 * (time.perf_counter() - begun):.0f} ms", file=sys.stderr)
            if options.verbose:
                print(_chunk_line(chunk), file=sys.stderr)
    return 0


def _voices(options: argparse.Namespace) -> int:
    from sambert_trt.engines.voice import manifest_from_directory, voice_directories

    folders = voice_directories(Path(options.folder))
    if not folders:
        raise InputError(
            f"{options.folder} holds no voice directory; make one with: sambert-export SOURCE -o "
            f"{Path(options.folder) / 'NAME'}"
        )
    for folder in folders:
        try:
            manifest = manifest_from_directory(folder)
        except SambertError as error:
            print(f"{folder}\tbroken: {error}")
            continue
        emotions = len(_real(manifest.trained_emotions))
        print(
            f"{folder}\t{manifest.name}\t{manifest.language}\t{manifest.sample_rate} Hz\t"
            f"{len(_real(manifest.speakers))} speakers\t{emotions} emotions"
        )
    return 0


def _info(options: argparse.Namespace) -> int:
    from sambert_trt.engines.voice import checked_bytes, manifest_from_directory

    directory = Path(options.voice)
    manifest = manifest_from_directory(directory)
    for record in manifest.files:
        checked_bytes(directory, record)
    facts = _facts(manifest)
    if options.json:
        print(json.dumps(facts, ensure_ascii=False, indent=1))
        return 0
    for name, value in facts.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for key, item in value.items():
                print(f"  {key}: {item['parameters']} parameters, {item['megabytes']} MB")
        else:
            print(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
    return 0


def _facts(manifest: VoiceManifest) -> dict[str, Any]:
    """What a voice is whose files were checked."""
    return {
        "name": manifest.name,
        "language": manifest.language,
        "sample_rate": manifest.sample_rate,
        "hop": manifest.hop,
        "mel_channels": manifest.mel_channels,
        "nsf": manifest.f0 is not None,
        "filled_pauses": manifest.filled_pauses,
        "speakers": list(_real(manifest.speakers)),
        "emotions": [n.removeprefix("emotion_") for n in _real(manifest.trained_emotions)],
        "default_speaker": manifest.default_speaker,
        "default_emotion": manifest.default_emotion.removeprefix("emotion_"),
        "stages": {
            stage.value: {"parameters": r.parameters, "megabytes": round(r.file.bytes / 1e6, 2)}
            for stage, r in manifest.stages.items()
        },
        "files_intact": True,
    }


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import report
    from .doctor_text import text_from_report

    found = report(None if options.voice is None else Path(options.voice))
    print(found.as_json() if options.json else text_from_report(found))
    return 0 if found.ok else 1


def _voice(options: argparse.Namespace, stack: ExitStack) -> Voice:
    """The voice; when the stack closes, so do the voice and what computes."""
    from .backends import backend_from_options
    from .voice import open_voice

    if not options.voice:
        raise InputError("--voice is empty: name a voice directory")
    backend = stack.enter_context(closing(backend_from_options(options)))
    voice = stack.enter_context(
        open_voice(
            options.voice, threads=options.threads, backend=backend, precision=options.precision
        )
    )
    if options.memory_report:
        stack.callback(lambda: print(voice.memory_report().as_text(), file=sys.stderr))
    return voice


def _chunks(
    voice: Voice,
    options: argparse.Namespace,
    stack: ExitStack,
    policy: Any,
    trace: dict[str, Any] | None,
) -> Iterator[AudioChunk]:
    kind, content, total = content_from_options(options, stack)
    progress = _progress(total, options)
    if progress is not None:
        stack.callback(progress.close)
    pieces: str | Iterable[str] = content
    if progress is not None and not isinstance(content, str):
        pieces = _counted(content, progress)
    given = _given(kind, pieces, voice, options)
    if options.gap is not None:
        given["gap"] = options.gap
    return voice.stream(
        style=_style(options),
        seed=_seed(options.noise),
        policy=policy,
        trace=trace,
        **given,
    )


def _given(
    kind: str, content: str | Iterable[str], voice: Voice, options: argparse.Namespace
) -> dict[str, Any]:
    """What the voice is to speak, and how text is to be read, as keyword arguments."""
    reading = reading_from_options(options)
    if kind == "symbols":
        if reading or options.front_end != "open":
            raise InputError(
                f"{READING_OPTIONS}, and --front-end are about text: symbols are spoken as they are"
            )
        return {kind: content}
    if options.front_end == "ttsfrd":
        return {"symbols": ttsfrd_lines(options, voice.manifest, content)}
    return {kind: content, **reading}


def _counted(blocks: Iterable[str], progress: Any) -> Iterator[str]:
    for block in blocks:
        for line in block.splitlines(keepends=True):
            yield line
            progress.update(len(line.encode("utf-8", "surrogatepass")))


def _progress(total: int | None, options: argparse.Namespace) -> Any:
    if total is None or options.quiet or not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    return tqdm(total=total, unit="B", unit_scale=True, desc="speaking", file=sys.stderr)


def _write(
    chunks: Iterator[AudioChunk], writer: AudioWriter, options: argparse.Namespace
) -> dict[str, Any]:
    report: dict[str, Any] = {"samples": 0, "sentences": 0, "stages": {}}
    stages: dict[str, float] = report["stages"]
    for chunk in chunks:
        writer.write(chunk.samples)
        report["samples"] += len(chunk.samples)
        report["sentences"] += chunk.last
        for name, seconds in chunk.timings.items():
            stages[name] = stages.get(name, 0.0) + seconds
        if options.verbose > 1:
            print(_chunk_line(chunk), file=sys.stderr)
    return report


def _report(
    options: argparse.Namespace, output: Path, report: Mapping[str, Any], load: float, work: float
) -> None:
    if options.quiet:
        return
    seconds = report["seconds"]
    count = report["sentences"]
    ratio = f", {seconds / work:.1f} times real time" if seconds else ""
    print(
        f"{output}: {count} sentence{'s' * (count != 1)}, {seconds:.2f} s of speech "
        f"in {work:.2f} s{ratio} (loaded in {load:.2f} s)"
    )
    if options.verbose:
        for name, spent in sorted(report["stages"].items(), key=lambda item: -item[1]):
            print(f"  {name:14} {1e3 * spent:9.1f} ms", file=sys.stderr)


def _chunk_line(chunk: AudioChunk) -> str:
    stages = ", ".join(f"{name} {1e3 * s:.0f}" for name, s in chunk.timings.items())
    length = len(chunk.samples) / chunk.sample_rate
    return f"  at {chunk.start_seconds:7.2f} s: {length:5.2f} s; ms: {stages}"


def _save_trace(path: Path, trace: Mapping[str, Any]) -> None:
    import numpy as np

    with path.open("wb") as file:
        np.savez(file, **trace)


def _style(options: argparse.Namespace) -> Style:
    from .styles import Style

    return Style(
        speaker=options.speaker,
        emotion=_emotion(options.emotion),
        intensity=options.intensity,
        speed=options.speed,
        pitch=options.pitch,
        energy=options.energy,
    )


def _emotion(text: str | None) -> str | dict[str, float] | None:
    if text is None or not ({":", ","} & set(text)):
        return text
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, mark, number = (piece.strip() for piece in part.partition(":"))
        if name in weights:
            raise InputError(f"--emotion {text!r} names {name} twice")
        try:
            weights[name] = float(number) if mark else 1.0
        except ValueError:
            raise InputError(
                f"--emotion {text!r}: {part!r} is not NAME:WEIGHT, as in happy:0.7,sad:0.3"
            ) from None
    return weights


def _seed(text: str) -> int | None:
    if text == "none":
        return None
    number = text.removeprefix("seed:")
    if not number.isdecimal() or len(number) > 18:
        raise InputError(f"--noise {text!r}: needs none, or seed:N with a whole number")
    return int(number)


def _real(names: Sequence[str]) -> list[str]:
    from .styles import RESERVED

    return [name for name in names if name and name not in RESERVED]


def _fail(message: str, code: int) -> int:
    print(f"sambert-tts: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sambert-tts", description="Speak with an exported Sambert-HiFiGAN voice."
    )
    parser.set_defaults(verbose=0)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    say = commands.add_parser("say", help="speak into a file", description="Speak into a file.")
    say.add_argument("-o", "--output", default="out.wav", help="WAV, FLAC or OGG (out.wav)")
    say.add_argument("--rate", type=int, help="resample the file to this many hertz")
    say.add_argument("--trace", metavar="FILE.npz", help="write every stage's arrays")
    say.set_defaults(run=_say)
    stream = commands.add_parser(
        "stream",
        help="speak to standard output as it is made",
        description="Speak to standard output as 16-bit little-endian mono samples, as they come.",
    )
    stream.set_defaults(run=_stream)
    for command in (say, stream):
        _add_speaking(command)
    add_text_command(commands)
    voices = commands.add_parser("voices", help="list the voice directories in a folder")
    voices.add_argument("folder", nargs="?", default=".", help="where to look (.)")
    voices.set_defaults(run=_voices)
    info = commands.add_parser("info", help="what a voice is, and whether its files are intact")
    info.add_argument("voice", help="a voice directory")
    info.add_argument("--json", action="store_true", help="for machines")
    info.set_defaults(run=_info)
    doctor = commands.add_parser(
        "doctor", help="what this machine and a voice have, what they lack, and what to run next"
    )
    doctor.add_argument("voice", nargs="?", help="a voice directory")
    doctor.add_argument("--json", action="store_true", help="for machines")
    doctor.set_defaults(run=_doctor)
    return parser


def _add_speaking(command: argparse.ArgumentParser) -> None:
    from .backends import add_backend_options

    command.add_argument("text", nargs="?", metavar="TEXT", help="what to say")
    command.add_argument("--voice", required=True, metavar="DIR", help="a voice directory")
    command.add_argument("--file", help="read the text from a UTF-8 file, - for standard input")
    command.add_argument(
        "--symbols", metavar="FILE", help="speak symbol lines, - for standard input"
    )
    add_reading_options(command)
    command.add_argument("--speaker", help="a speaker of the voice")
    command.add_argument("--emotion", help="an emotion, or a blend such as happy:0.7,sad:0.3")
    command.add_argument("--intensity", type=float, default=1.0, help="0 neutral to 2 (1)")
    command.add_argument("--speed", type=float, default=1.0, help="2 is twice as fast (1)")
    command.add_argument("--pitch", type=float, default=0.0, help="shift in standard deviations")
    command.add_argument("--energy", type=float, default=0.0, help="shift in standard deviations")
    command.add_argument("--gap", type=float, help="seconds between sentences (0.28)")
    command.add_argument(
        "--noise", default="seed:0", help="none or seed:N, for NSF voices (seed:0)"
    )
    command.add_argument("--threads", type=int, help="how many to work with")
    command.add_argument(
        "--memory-report", action="store_true", help="say at the end who holds how much memory"
    )
    command.add_argument("-v", "--verbose", action="count", default=0, help="time of each stage")
    command.add_argument("-q", "--quiet", action="store_true", help="no report, no progress")
    add_backend_options(command)


if __name__ == "__main__":
    command()
