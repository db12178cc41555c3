"""One sentence in time: decoder steps, postnet and vocoder windows, each with exactly its context.

Offline speech is the stream, concatenated. Numpy only; the graphs come in as sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.graphs import GraphSpec, Stage
from sambert_trt.engines.manifest import VoiceManifest

from .backend import Session, StepRun
from .clock import Stopwatch
from .envelope import Shape
from .excitation import Excitation, denormalised
from .length import LengthPlan

__all__ = ["OFFLINE", "STREAMING", "ChunkPolicy", "MelStream", "VocoderWindow", "chunk_ends"]

_MASKED = np.float32(-1e4)
"""Added to masked attention logits: real voices reach 128, and half precision holds it."""
_WINDOW_STEP = 16
_BURST = 32
"""Decoder steps in one call: long enough that calls cost nothing, short enough to be left soon."""


@dataclass(frozen=True)
class ChunkPolicy:
    """Sizes of chunks in mel frames: the first, then `growth` times larger ones, up to `most`."""

    first: int
    growth: float
    most: int

    def __post_init__(self) -> None:
        whole = isinstance(self.first, int) and isinstance(self.most, int)
        if not (whole and 0 < self.first <= self.most and 1 <= self.growth <= 100):
            raise InputError(
                f"chunks of {self.first} to {self.most} frames growing by {self.growth}: "
                "needs whole numbers, 0 < first <= most, and growth from 1 to 100"
            )

    def after(self, chunks: int) -> ChunkPolicy:
        """The policy once so many chunks are out: a listener has that much to hear already."""
        grown = self.first * self.growth ** min(chunks, 64)
        return replace(self, first=int(min(grown, self.most)))


STREAMING = ChunkPolicy(first=24, growth=2.0, most=240)
OFFLINE = ChunkPolicy(first=80, growth=1.5, most=240)


@dataclass(frozen=True)
class VocoderWindow:
    """A chunk's mel [T, mel channels] with context, its excitation [T * hop] for NSF voices, and
    which `count` samples from `skip` on belong to the chunk. `last` marks the sentence's end,
    `shape` says how loud they are and where silence stands between them."""

    mel: NDArray[np.float32]
    excitation: NDArray[np.float32] | None
    skip: int
    count: int
    last: bool = False
    shape: Shape | None = None


def chunk_ends(frames: int, policy: ChunkPolicy) -> Iterator[int]:
    """Where the chunks of a sentence of so many frames end; a short rest joins the last one."""
    size, start = float(policy.first), 0
    while start < frames:
        rest = frames - start
        take = min(int(size), policy.most)
        if rest <= policy.most and rest - take < take / 2:
            take = rest
        start += take
        size = min(size * policy.growth, float(policy.most))
        yield start


class MelStream:
    """The frames and the mel of one sentence, computed as far as they are asked for.

    Attributes:
        decoded: decoder frames [L * r, C], valid up to `decoded_frames`.
        mel: postnet output [F, C], f0 in hertz for NSF voices, valid up to `mel_frames`.
        postnet: the same before f0 is denormalised.
        excitation: [F * hop] for NSF voices.
    """

    def __init__(
        self,
        plan: LengthPlan,
        manifest: VoiceManifest,
        memory_kv: Session,
        decoder: Session,
        postnet: Session,
        source: Excitation | None,
        clock: Stopwatch,
    ) -> None:
        self._plan, self._manifest, self._source = plan, manifest, source
        self._clock, self._postnet_graph = clock, postnet.graph
        window = decoder_window(plan, manifest.frames_per_step, decoder.graph)
        self._decoder = decoder.steps({"window": window})
        self._keys_values = _KeysValues(plan, window, memory_kv, self._decoder, clock)
        self._postnet = postnet.steps({})
        self._window = window
        channels, r = manifest.frame_channels, manifest.frames_per_step
        self.decoded = np.zeros((plan.steps * r, channels), np.float32)
        self.postnet = np.zeros((plan.frames, channels), np.float32)
        self.mel = np.zeros((plan.frames, channels), np.float32)
        self.excitation = None
        if source is not None:
            self.excitation = np.zeros(plan.frames * manifest.hop, np.float32)
        self.decoded_steps = self.mel_frames = 0

    def close(self) -> None:
        """Drops the state of decoder and postnet; what was computed stays."""
        self._decoder.close()
        self._postnet.close()

    def arrays(self) -> dict[str, NDArray[np.float32] | None]:
        """The arrays under the names of `--trace`; rows of pad frames are zero."""
        pad = len(self.decoded) - self._plan.frames
        decoded = self.decoded.copy()
        decoded[self._plan.frames :] = 0
        return {
            "dec_outputs": decoded,
            "postnet_outputs": np.pad(self.postnet, ((0, pad), (0, 0))),
            "mel_final": self.mel,
            "excitation": self.excitation,
        }

    def decode_until(self, frame: int) -> None:
        """Runs decoder steps until frames [0, frame) are there."""
        plan, r = self._plan, self._manifest.frames_per_step
        end = -(-frame // r)
        while self.decoded_steps < end:
            start, stop = self.decoded_steps, min(end, self.decoded_steps + _BURST)
            self._keys_values.cover(stop - 1)
            inputs = {
                "memory": plan.memory[start:stop, None],
                "mask": _band_masks(start, stop, plan, self._window),
            }
            with self._clock("decoder_step"):
                outputs = self._decoder.advance(inputs)
            frames = outputs["frames"].reshape((stop - start) * r, -1)
            self.decoded[start * r : stop * r] = frames
            self.decoded_steps = stop

    def refine_until(self, frame: int) -> None:
        """Runs the postnet until the mel of frames [0, frame) is there."""
        _, lookahead = self._postnet_graph.context
        most = self._postnet_graph.axes["frames"].most
        while self.mel_frames < frame:
            start, end = self.mel_frames, min(frame, self.mel_frames + most)
            self.decode_until(min(end + lookahead, self._plan.frames))
            with self._clock("postnet"):
                outputs = self._postnet.advance(self._postnet_inputs(start, end))
            mel = outputs["mel"][0, 0]
            self.postnet[start:end] = mel
            self.mel[start:end] = denormalised(mel, self._manifest.f0)
            self._excite(start, end)
            self.mel_frames = end

    def windows(self, policy: ChunkPolicy) -> Iterator[VocoderWindow]:
        """The vocoder's inputs, chunk by chunk, computing only what each needs."""
        manifest, frames = self._manifest, self._plan.frames
        before, after = manifest.stages[Stage.VOCODER].graph.context
        hop, start, envelope = manifest.hop, 0, self._plan.envelope
        for end in chunk_ends(frames, policy):
            first, last = max(start - before, 0), min(end + after, frames)
            self.refine_until(last)
            excitation = None
            if self.excitation is not None:
                excitation = self.excitation[first * hop : last * hop]
            mel = self.mel[first:last, : manifest.mel_channels]
            skip, count = (start - first) * hop, (end - start) * hop
            shape = None if envelope is None else envelope.shape(start * hop, count)
            yield VocoderWindow(mel, excitation, skip, count, end == frames, shape)
            start = end

    def _excite(self, start: int, end: int) -> None:
        if self._source is None or self.excitation is None:
            return
        hop, rows = self._manifest.hop, self.mel[start:end]
        with self._clock("excitation"):
            samples = self._source.chunk(rows[:, -2], rows[:, -1])
        self.excitation[start * hop : end * hop] = samples

    def _postnet_inputs(self, start: int, end: int) -> dict[str, NDArray[np.float32]]:
        frames, (before, after) = self._plan.frames, self._postnet_graph.context
        first, last = start - before, end + after
        outside = (max(-first, 0), max(last - frames, 0))
        inside = self.decoded[max(first, 0) : min(last, frames)]
        mask = np.pad(np.ones((len(inside), 1), np.float32), (outside, (0, 0)))
        return {"frames": np.pad(inside, (outside, (0, 0)))[None, None], "mask": mask[None, None]}


def decoder_window(plan: LengthPlan, frames_per_step: int, graph: GraphSpec) -> int:
    """The attention window a band needs, in steps, rounded up so that shapes repeat.

    Raises:
        InputError: wider than the graph allows.
    """
    extent = graph.axes["window"]
    if plan.band + 1 > extent.most:
        raise InputError(
            f"symbol {int(plan.durations.argmax()) + 1} would last {plan.durations.max()} frames, "
            f"this voice's decoder holds {(extent.most - 1) * frames_per_step}: raise the speed, "
            "or check that the symbols suit this voice"
        )
    rounded = -(-(plan.band + 1) // _WINDOW_STEP) * _WINDOW_STEP
    return min(max(rounded, extent.least), extent.most)


class _KeysValues:
    """The decoder's keys and values of the memory ahead, made in blocks as steps come near."""

    def __init__(
        self, plan: LengthPlan, window: int, session: Session, decoder: StepRun, clock: Stopwatch
    ) -> None:
        self._memory, self._window, self._decoder = plan.memory, window, decoder
        self._session, self._clock = session, clock
        axis = session.graph.axes["steps"]
        self._block = min(max(axis.usual, axis.least), axis.most)
        self._made = 0

    def cover(self, step: int) -> None:
        """Hands the decoder rows [0, step + window), zero beyond the memory's end."""
        while self._made < step + self._window:
            with self._clock("memory_kv"):
                rows = self._rows(self._memory[None, self._made : self._made + self._block])
            self._decoder.extend(rows)
            self._made += len(rows)

    def _rows(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        if block.shape[1]:
            rows: NDArray[np.float32] = self._session.run({"memory": block})["memory_kv"][0]
            return rows
        width = self._session.graph.outputs[0].shape[-1]
        return np.zeros((self._window, int(width)), np.float32)


def _band_masks(start: int, stop: int, plan: LengthPlan, window: int) -> NDArray[np.float32]:
    """[stop - start, 2, window]: which past steps (newest last) and which ahead the band shows."""
    step, offset = np.arange(start, stop)[:, None], np.arange(window)
    seen = window - 1 - offset <= np.minimum(step, plan.band)
    ahead = offset <= np.minimum(plan.steps - 1 - step, plan.band)
    masks: NDArray[np.float32] = np.where(np.stack([seen, ahead], axis=1), np.float32(0), _MASKED)
    return masks
