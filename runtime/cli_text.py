"""What sambert-tts does with text: where it comes from, how it is read, and the command `text`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from sambert_trt.engines.errors import InputError

if TYPE_CHECKING:
    from sambert_trt.engines.manifest import VoiceManifest

    from .text.options import ReadingKeywords
    from .text.reading import Reading
    from .text.sentence import Sentence

    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = [
    "READING_OPTIONS",
    "add_reading_options",
    "add_text_command",
    "check_output",
    "content_from_options",
    "reading_from_options",
    "ttsfrd_lines",
]

READING_OPTIONS = "--lexicon, --without, --ssml, --strict, --breaks and --english"
"""How the open front end reads text, as sentences name it."""
_BLOCK = 1 << 16
_FRONT_ENDS = ("open", "ttsfrd")


def add_text_command(commands: _Commands) -> None:
    """Adds `text` to the commands of sambert-tts."""
    command = commands.add_parser(
        "text",
        help="how a text is read: normalised, as pinyin, and as symbols",
        description="Show how a text is read, without speaking it.",
    )
    command.add_argument("text", nargs="?", metavar="TEXT", help="what to read")
    command.add_argument("--file", help="read it from a UTF-8 file, - for standard input")
    command.add_argument("--voice", metavar="DIR", help="a voice directory: for symbols")
    shown = command.add_mutually_exclusive_group()
    shown.add_argument("--explain", action="store_true", help="a table: a row for each character")
    shown.add_argument("--json", action="store_true", help="a JSON object for each sentence")
    add_reading_options(command)
    command.set_defaults(run=_text, symbols=None)


def add_reading_options(command: argparse.ArgumentParser) -> None:
    """Adds the options that decide how a text is read."""
    command.add_argument(
        "--lexicon",
        action="append",
        default=[],
        metavar="FILE",
        help="words with their pinyin, one a line; later files win",
    )
    command.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="RULE",
        help="switch a rule of the normalisation off, such as date",
    )
    command.add_argument(
        "--ssml",
        action=argparse.BooleanOptionalAction,
        help="the text is SSML, or is not; else what begins with <speak is",
    )
    command.add_argument(
        "--strict", action="store_true", help="what is unknown or not closed in marks is an error"
    )
    command.add_argument(
        "--breaks",
        choices=("phrases", "words"),
        help="breaks between phrases too (phrases), or after words and at pause marks alone",
    )
    command.add_argument(
        "--english",
        choices=("auto", "chinese"),
        help="Latin words with the voice's English phones (auto), or with Chinese syllables",
    )
    command.add_argument(
        "--front-end", choices=_FRONT_ENDS, default="open", help="who reads the text (open)"
    )
    command.add_argument(
        "--ttsfrd-resource", metavar="DIR", help="the resources of ttsfrd, unpacked"
    )


def reading_from_options(options: argparse.Namespace) -> ReadingKeywords:
    """The keyword arguments of a front end that the options ask for; none are as usual.

    Raises:
        InputError: an unknown rule, or a lexicon with errors.
    """
    from .text.rules import rules_without
    from .text.user_lexicon import UserLexicon, merge_lexicons

    given: ReadingKeywords = {}
    if options.ssml is not None:
        given["ssml"] = options.ssml
    if options.strict:
        given["strict"] = True
    if options.lexicon:
        given["lexicon"] = merge_lexicons(map(UserLexicon.from_file, options.lexicon))
    if options.without:
        given["rules"] = rules_without(options.without)
    if options.breaks is not None:
        given["breaks"] = options.breaks
    if options.english is not None:
        given["english"] = options.english
    return given


def ttsfrd_lines(
    options: argparse.Namespace, manifest: VoiceManifest, text: str | Iterable[str]
) -> Iterator[str]:
    """The lines of symbols that ttsfrd makes of a text.

    Raises:
        InputError: it is not installed or lacks its resources, or an option is not its own.
    """
    from .text.explain import symbol_text

    for sentence in _ttsfrd_sentences(options, manifest, text):
        yield " ".join(symbol_text(symbol) for symbol in sentence.symbols)


def content_from_options(
    options: argparse.Namespace, stack: ExitStack
) -> tuple[str, str | Iterable[str], int | None]:
    """Where a request's words are: `text` or `symbols`, the content, and its bytes if known.

    Raises:
        InputError: nothing is given, or several things are; a file that cannot be read.
    """
    given = [x is not None for x in (options.text, options.file, options.symbols)]
    if sum(given) > 1:
        raise InputError("give one of TEXT, --file or --symbols, not several")
    if options.text is not None:
        return "text", options.text, None
    name = options.symbols if options.symbols is not None else options.file
    if name == "":
        raise InputError("the name of the file is empty: name one, or - for standard input")
    if name in (None, "-"):
        if not sys.stdin or (name is None and sys.stdin.isatty()):
            closed = "" if sys.stdin else "standard input is closed, and there is "
            raise InputError(f"{closed}nothing to speak: give TEXT, --file FILE or --symbols FILE")
        source: TextIO = sys.stdin
        if hasattr(source, "reconfigure"):
            source.reconfigure(encoding="utf-8-sig", errors="strict")
        total = None
    else:
        source, total = _opened(Path(name), stack), Path(name).stat().st_size
    shown = "standard input" if name in (None, "-") else str(name)
    if options.symbols is not None:
        return "symbols", _pieces(source.readline, shown), total
    return "text", _pieces(partial(source.read, _BLOCK), shown), total


def _opened(path: Path, stack: ExitStack) -> TextIO:
    try:
        return stack.enter_context(path.open(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _pieces(read: Callable[[], str], name: str) -> Iterator[str]:
    try:
        while piece := read():
            yield piece
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name} is not UTF-8 (byte {error.object[error.start]:#x} in it): convert it first"
        ) from error
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error


def check_output() -> None:
    """Makes sure that there is a standard output.

    Raises:
        InputError: it was closed before the command began.
    """
    if not sys.stdout:
        raise InputError("standard output is closed: send it to a file, a terminal or a program")


def _text(options: argparse.Namespace) -> int:
    check_output()
    with ExitStack() as stack:
        _, text, _ = content_from_options(options, stack)
        manifest = _manifest(options)
        said = False
        for reading in _readings(options, manifest, text):
            said = said or bool(reading.spoken or reading.symbols)
            for line in _shown(reading, options, manifest):
                sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    if not said:
        raise InputError(
            "there is nothing to read: the text is empty or holds only punctuation or signs"
        )
    return 0


def _manifest(options: argparse.Namespace) -> VoiceManifest | None:
    from sambert_trt.engines.voice import manifest_from_directory

    if options.voice == "":
        raise InputError("--voice is empty: name a voice directory, or leave it out")
    return None if options.voice is None else manifest_from_directory(Path(options.voice))


def _readings(
    options: argparse.Namespace, manifest: VoiceManifest | None, text: str | Iterable[str]
) -> Iterator[Reading]:
    from .text.frontend import MandarinFrontend
    from .text.reading import Normalized, Reading

    if options.front_end == "ttsfrd":
        if manifest is None:
            raise InputError("ttsfrd makes symbols for a voice: name it with --voice DIR")
        for sentence in _ttsfrd_sentences(options, manifest, text):
            yield Reading(sentence.text, Normalized("", ()), (), (), sentence.symbols)
        return
    if manifest is None:
        frontend = MandarinFrontend()
    else:
        frontend = MandarinFrontend(manifest.trained_units, manifest.language)
    yield from frontend.readings(text, **reading_from_options(options))


def _ttsfrd_sentences(
    options: argparse.Namespace, manifest: VoiceManifest, text: str | Iterable[str]
) -> Iterator[Sentence]:
    from .text.ttsfrd import TtsfrdFrontend, open_ttsfrd

    if reading_from_options(options):
        raise InputError(
            f"{READING_OPTIONS} are the open front end's: leave them out, or --front-end ttsfrd"
        )
    if options.ttsfrd_resource is None:
        raise InputError(
            "ttsfrd needs its resources: --ttsfrd-resource DIR, the unpacked resource.zip of a "
            "ModelScope voice"
        )
    engine = open_ttsfrd(options.ttsfrd_resource, manifest.language)
    return TtsfrdFrontend(manifest.units, engine).sentences(text)


def _shown(
    reading: Reading, options: argparse.Namespace, manifest: VoiceManifest | None
) -> Iterator[str]:
    from .text.explain import lines_from_reading, record_from_reading, table_from_reading

    if options.json:
        yield json.dumps(record_from_reading(reading), ensure_ascii=False)
    elif options.explain:
        from .text.options import English

        phones = None if manifest is None else manifest.trained_units.get("sy")
        english = English(options.english or English.AUTO)
        yield from table_from_reading(reading, phones, english)
        yield ""
    else:
        yield from lines_from_reading(reading)
