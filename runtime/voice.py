"""Opening a voice directory and speaking with it: the class users hold.

Numpy and one backend.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from threading import BoundedSemaphore
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError, VoiceError
from sambert_trt.engines.graphs import Precision, Stage
from sambert_trt.engines.manifest import StageRecord, VoiceManifest
from sambert_trt.engines.voice import manifest_from_directory

from .audio import Audio, AudioChunk
from .backend import Backend, Session
from .checks import checked_tables
from .clock import Stopwatch
from .ids import Ids, sentence_from_ids
from .joining import Joined, Piece, record_arrays
from .memory import MemoryReport
from .overlap import ReadAhead, overlapped
from .stream import OFFLINE, STREAMING, ChunkPolicy
from .styles import Style, is_number
from .synthesizer import Synthesizer
from .text.sentence import Sentence
from .text.symbols import fields_from_units, sentences_from_symbol_text

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .text import MandarinFrontend
    from .text.options import ReadingKeywords

__all__ = ["DEFAULT_GAP", "Voice", "open_voice"]

DEFAULT_GAP = 0.28
"""Seconds of silence between sentences, as the KAN-TTS command line joins them."""

_MOST_THREADS = 4
_MOST_WORKERS = 256

P = ParamSpec("P")
Result = TypeVar("Result")


def open_voice(
    path: str | os.PathLike[str],
    *,
    threads: int | None = None,
    backend: Backend | None = None,
    precision: Precision | str | None = None,
) -> Voice:
    """Opens a voice directory.

    Args:
        path: the directory that holds voice.json.
        threads: how many to work with; None takes the machine's, up to four.
        backend: how graphs are run; None is ONNX Runtime on the CPU. It may serve several voices,
            and whoever made it closes it after them.
        precision: of the graphs; None is what the backend prefers.

    Raises:
        VoiceMissingError, SchemaError, IntegrityError, VoiceError: the directory cannot be used.
        BackendError: the backend is not installed.
    """
    directory = Path(path)
    manifest = manifest_from_directory(directory)
    workers = min(os.cpu_count() or 1, _MOST_THREADS) if threads is None else threads
    if not isinstance(workers, int) or not 1 <= workers <= _MOST_WORKERS:
        raise InputError(f"{workers!r} threads asked for: needs 1 to {_MOST_WORKERS}")
    if backend is None:
        from .onnx_backend import OnnxBackend

        backend = OnnxBackend()
    wanted = backend.preferred(directory, manifest) if precision is None else _precision(precision)
    return Voice(directory, manifest, backend, workers, wanted)


def _precision(name: Precision | str) -> Precision:
    try:
        return Precision(name)
    except ValueError:
        known = ", ".join(precision.value for precision in Precision)
        raise InputError(f"the precision {name!r} is none of {known}") from None


class Voice:
    """A voice ready to speak. Use it as a context manager, or call `close`."""

    def __init__(
        self,
        directory: Path,
        manifest: VoiceManifest,
        backend: Backend,
        threads: int,
        precision: Precision,
    ) -> None:
        self._directory, self._manifest, self._threads = directory, manifest, threads
        self._backend = backend
        styles = checked_tables(directory, manifest)
        records = {stage: manifest.record(stage, precision, backend.placement) for stage in Stage}
        self._slots, self._closed = BoundedSemaphore(threads), False
        pool = ThreadPoolExecutor(threads + 1, thread_name_prefix="sambert-tts-open")
        try:
            self._frontend = pool.submit(_warm_frontend, manifest)
            self._sessions = self._opened(backend, records, pool)
        finally:
            pool.shutdown(wait=False)
        self._synthesizer = Synthesizer(manifest, self._sessions, styles)

    @property
    def manifest(self) -> VoiceManifest:
        """What the voice is."""
        return self._manifest

    @property
    def synthesizer(self) -> Synthesizer:
        """The steps of a sentence, one by one."""
        return self._synthesizer

    def say(
        self,
        text: str | Iterable[str] | None = None,
        style: Style | None = None,
        *,
        symbols: str | Iterable[str] | None = None,
        ids: Ids | None = None,
        gap: float = DEFAULT_GAP,
        seed: int | None = 0,
        policy: ChunkPolicy = OFFLINE,
        trace: dict[str, NDArray[Any]] | None = None,
        **reading: Unpack[ReadingKeywords],
    ) -> Audio:
        """Speaks a text, symbol lines, or ids; see `stream` for the arguments.

        Returns:
            The whole speech with the seconds of work by stage.
        """
        clock: dict[str, float] = {}
        pieces = [np.zeros(0, np.float32)]
        for chunk in self.stream(
            text,
            style,
            symbols=symbols,
            ids=ids,
            gap=gap,
            seed=seed,
            policy=policy,
            trace=trace,
            **reading,
        ):
            pieces.append(chunk.samples)
            for name, seconds in chunk.timings.items():
                clock[name] = clock.get(name, 0.0) + seconds
        return Audio(np.concatenate(pieces), self._manifest.sample_rate, clock)

    def stream(
        self,
        text: str | Iterable[str] | None = None,
        style: Style | None = None,
        *,
        symbols: str | Iterable[str] | None = None,
        ids: Ids | None = None,
        gap: float = DEFAULT_GAP,
        seed: int | None = 0,
        policy: ChunkPolicy = STREAMING,
        trace: dict[str, NDArray[Any]] | None = None,
        **reading: Unpack[ReadingKeywords],
    ) -> Iterator[AudioChunk]:
        """Yields speech chunk by chunk; concatenated, the chunks are what `say` returns.

        Args:
            text: Mandarin text, or pieces of it such as the lines of a file. They are read as
                speech goes on, a little ahead, by a thread of their own.
            style: speaker, emotion, speed and so on.
            symbols: instead of text, lines of `{phone$tone$...}` symbols, or an iterable of lines.
            ids: instead of text, a sentence as ids.
            gap: seconds of silence between sentences.
            seed: of the noise in NSF voices; None makes all random parts zero.
            policy: how large the chunks are.
            trace: filled with every stage's arrays under `<n>/<name>`.
            reading: how text is read: `ssml`, `strict`, `lexicon`, `rules`, `breaks`, `english`, as
                `text.options.ReadingOptions` says.

        Raises:
            InputError: nothing to speak, an unknown symbol, speaker or emotion, too long a
                sentence, SSML that is none.
        """
        self._check_open()
        if not is_number(gap) or not 0 <= gap <= 60:
            raise InputError(f"a gap of {gap!r} seconds: needs 0 to 60")
        if seed is not None and not (isinstance(seed, int) and seed >= 0):
            raise InputError(f"the seed {seed!r}: needs a whole number from 0 on, or None")
        vocoder = self._sessions[Stage.VOCODER].graph
        widest = vocoder.axes["frames"].most - sum(vocoder.context)
        if policy.most > widest:
            raise InputError(
                f"chunks of up to {policy.most} frames: this voice's vocoder takes {widest} and "
                "its context at once; choose a smaller ChunkPolicy"
            )
        sentences = self._sentences(text, symbols, ids, reading)
        return self._chunks(sentences, style or Style(), gap, seed, policy, trace)

    def sentences(
        self, text: str | Iterable[str], **reading: Unpack[ReadingKeywords]
    ) -> Iterator[Sentence]:
        """The sentences of a text as this voice's symbols, without speaking them; see `stream`.

        Raises:
            InputError: the voice speaks a language whose text only symbols can give.
        """
        self._check_open()
        return self._frontend.result().sentences(text, **reading)

    def memory_report(self) -> MemoryReport:
        """Who holds how much memory right now, by engine, process and card."""
        return self._backend.memory_report()

    def close(self) -> None:
        """Gives the graphs back; a stream that is still open ends with an error."""
        if self._closed:
            return
        self._closed = True
        for _ in range(self._threads):
            self._slots.acquire()
        for session in self._sessions.values():
            session.close()
        for _ in range(self._threads):
            self._slots.release()

    def __enter__(self) -> Voice:
        """Returns itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the voice."""
        self.close()

    def _opened(
        self, backend: Backend, records: Mapping[Stage, StageRecord], pool: ThreadPoolExecutor
    ) -> dict[Stage, Session]:
        largest_first = sorted(Stage, key=lambda s: -records[s].file.bytes)
        futures = {
            stage: pool.submit(backend.open, self._directory, records[stage])
            for stage in largest_first
        }
        try:
            return {stage: futures[stage].result() for stage in Stage}
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            for future in futures.values():
                if not future.cancelled() and future.exception() is None:
                    future.result().close()
            raise

    def _sentences(
        self,
        text: str | Iterable[str] | None,
        symbols: str | Iterable[str] | None,
        ids: Ids | None,
        reading: ReadingKeywords,
    ) -> Iterator[Sentence]:
        from .text.options import options_from_keywords

        asked = options_from_keywords(**reading).asked
        given = [x for x in (text, symbols, ids) if x is not None]
        if len(given) != 1:
            raise InputError(f"give one of text, symbols or ids, not {len(given)} of them")
        if text is None and asked:
            raise InputError(f"{', '.join(asked)} is for text, which symbols and ids are not")
        if ids is not None:
            return iter([sentence_from_ids(ids, self._manifest)])
        if symbols is not None:
            fields = fields_from_units(self._manifest.units)
            return sentences_from_symbol_text(symbols, fields)
        if isinstance(text, bytes) or not isinstance(text, Iterable):
            raise InputError(f"the text is {type(text).__name__}: give str, or pieces of it")
        return self._text_sentences(text, reading)

    def _text_sentences(
        self, text: str | Iterable[str], reading: ReadingKeywords
    ) -> Iterator[Sentence]:
        yield from self.sentences(text, **reading)

    def _chunks(
        self,
        sentences: Iterator[Sentence],
        style: Style,
        gap: float,
        seed: int | None,
        policy: ChunkPolicy,
        trace: dict[str, NDArray[Any]] | None,
    ) -> Iterator[AudioChunk]:
        joined = Joined(self._manifest.sample_rate, gap)
        with ExitStack() as stack:
            pool = ThreadPoolExecutor(self._threads + 1, thread_name_prefix="sambert-tts")
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)
            source = stack.enter_context(closing(ReadAhead(sentences)))
            made = self._pieces(source, style, seed, policy)
            pieces = overlapped(made, self._vocoded, pool, self._threads + 1)
            stack.callback(pieces.close)
            for piece in pieces:
                if trace is not None:
                    record_arrays(trace, piece)
                yield from joined.chunks(piece)
            yield from joined.rest()

    def _pieces(
        self, source: ReadAhead[Sentence], style: Style, seed: int | None, policy: ChunkPolicy
    ) -> Iterator[Piece]:
        number, chunks = -1, 0
        for number, (sentence, seconds) in enumerate(source):
            front, size = {"text": seconds}, policy.after(chunks)
            spoken = self._synthesizer.speak(sentence, style, size, seed, number)
            while (step := self._worked(next, spoken, None)) is not None:
                utterance, window = step
                yield Piece(utterance, window, front | utterance.clock.taken())
                front, chunks = {}, chunks + 1
        if number < 0:
            raise InputError(
                "there is nothing to speak: the text is empty or holds only punctuation or signs"
            )

    def _vocoded(self, piece: Piece) -> Piece:
        if piece.window is None:
            return piece
        clock = Stopwatch()
        with clock("vocoder"):
            samples = self._worked(self._synthesizer.vocode, piece.window)
        timings = {**piece.timings, **clock.taken()}
        return Piece(piece.utterance, piece.window, timings, samples)

    def _worked(self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Calls a function as one of at most `threads` at once; waiting for text is not counted."""
        with self._slots:
            self._check_open()
            return function(*args, **kwargs)

    def _check_open(self) -> None:
        if self._closed:
            raise VoiceError("the voice was closed; open it again")


def _warm_frontend(manifest: VoiceManifest) -> MandarinFrontend:
    """The front end with its dictionaries read, while the graphs are being opened."""
    from .text import MandarinFrontend
    from .text.ssml_values import pitch_scale_from_rule

    pitch = pitch_scale_from_rule(manifest.f0)
    frontend = MandarinFrontend(manifest.trained_units, manifest.language, pitch=pitch)
    next(frontend.sentences("好"), None)
    return frontend
