"""Our time beside others', in one process and in turn: the torch reference, and other programs.

The torch reference runs on the processor, and on a card where torch finds one; both sides speak the
same symbols with the same number of threads. A ratio is another's time over ours: above 1 ours is
the faster. That of a program is of seconds of work for a second of speech.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import ids_of, time_reference, time_runtime, time_stages

from ..opening import opened_voice
from ..record import NotMeasured
from ..suite import Settings
from ..systems import OURS, OtherSystem, opened_systems, systems_from_texts
from ..text import SHORT

if TYPE_CHECKING:
    from sambert_trt.export.reference import Conditioning, Reference
    from sambert_trt.runtime import Voice
    from sambert_trt.runtime.text.sentence import Sentence

__all__ = ["rounds"]

_TOTAL = "total"
_MAKERS = ("arange", "from_numpy", "tensor", "zeros")
"""Functions of torch by which the reference makes tensors."""

Values = dict[str, float]
Ratios = Callable[[bool], Values]
"""Measures another's time and ours, which comes first or last; gives ratios by stage."""


def rounds(settings: Settings) -> Iterator[Mapping[str, float]]:
    """`against.{system}.{stage}.ratio`, whole sentences as the stage `total`; of all in each round.

    Raises:
        InputError: `--against` is none.
        NotMeasured: there is neither a reference nor a program to compare with.
        OtherSystemError: a program failed.
        SambertError: the voice or the backend cannot be used.
    """
    systems = systems_from_texts(settings.extra.get("against", ()))
    if not systems:
        _check_reference(settings)
    folder = settings.extra.get("folder")
    with ExitStack() as stack:
        voice = stack.enter_context(opened_voice(settings))
        (sentence,) = voice.sentences(SHORT)
        others = dict(_references(settings, voice, sentence))
        programs = opened_systems(systems, folder and Path(folder))
        for program in stack.enter_context(programs):
            others[program.name] = partial(_beside_program, settings, voice, sentence, program)
        _round(others, ours_first=True)
        for ours_first in itertools.cycle((True, False)):
            yield _round(others, ours_first=ours_first)


def _round(others: Mapping[str, Ratios], *, ours_first: bool) -> Values:
    return {
        f"against.{name}.{stage}.ratio": ratio
        for name, measure in others.items()
        for stage, ratio in measure(ours_first).items()
    }


def _check_reference(settings: Settings) -> None:
    """Looks whether there is a torch reference.

    Raises:
        NotMeasured: there is not.
    """
    if settings.source is None:
        raise NotMeasured("the torch reference needs the voice's checkpoints: give --source")
    if find_spec("torch") is None:
        raise NotMeasured("torch is not installed: pip install 'sambert-trt[export]'")


def _references(
    settings: Settings, voice: Voice, sentence: Sentence
) -> Iterator[tuple[str, Ratios]]:
    """The torch reference on the processor and on the card, as far as they are there."""
    try:
        _check_reference(settings)
    except NotMeasured:
        return  # programs were named, and are enough
    import torch

    assert settings.source is not None
    torch.set_num_threads(settings.threads)
    ids = ids_of(voice, sentence)
    for name, device in zip(OURS, ("cpu", "cuda"), strict=True):
        if device == "cpu" or torch.cuda.is_available():
            reference = _reference(settings.source, device)
            ask = partial(_timed_on, device, reference, ids)
            yield name, partial(_beside_torch, voice, sentence, ids, ask)


def _reference(source: Path, device: str) -> Reference:
    from sambert_trt.export.source import voice_sources_from_path
    from sambert_trt.export.voice_export import load_voice

    reference = load_voice(voice_sources_from_path(source)[0]).reference()
    for name in ("model", "generator", "speaker_vector", "pauses"):
        part = getattr(reference, name)
        setattr(reference, name, part if part is None else part.to(device))
    return reference


def _timed_on(device: str, reference: Reference, ids: Conditioning) -> dict[str, Any]:
    if device == "cpu":
        return time_reference(reference, ids)
    with _made_on(device):
        return time_reference(reference, ids)


@contextmanager
def _made_on(device: str) -> Iterator[None]:
    """What the reference makes lies on the device, what it gives comes back: it knows of neither.

    Only what makes tensors and what gives them back is replaced; torch's own way, a mode, costs
    time in every call.
    """
    import torch

    owners: dict[str, Any] = {**dict.fromkeys(_MAKERS, torch), "numpy": torch.Tensor}
    before = {name: getattr(owner, name) for name, owner in owners.items()}

    def replaced(name: str) -> Callable[..., Any]:
        if name == "numpy":
            return lambda tensor: before[name](tensor.cpu())
        return lambda *args, **kwargs: before[name](*args, **kwargs).to(device)

    try:
        for name, owner in owners.items():
            setattr(owner, name, replaced(name))
        yield
    finally:
        for name, owner in owners.items():
            setattr(owner, name, before[name])


def _beside_torch(
    voice: Voice,
    sentence: Sentence,
    ids: Conditioning,
    reference: Callable[[], dict[str, Any]],
    ours_first: bool,
) -> Values:
    tasks: dict[str, Callable[[], dict[str, Any]]] = {
        "ours": partial(time_runtime, voice, ids),
        "alone": partial(time_stages, voice, sentence),
        "theirs": reference,
    }
    found = {name: tasks[name]() for name in (tasks if ours_first else reversed(tasks))}
    theirs, alone = found["theirs"]["stages"], found["alone"]["stages"]
    stages = {name: theirs[name] / alone[name] for name in theirs if alone.get(name)}
    return {_TOTAL: found["theirs"]["seconds"] / found["ours"]["seconds"], **stages}


def _beside_program(
    settings: Settings,
    voice: Voice,
    sentence: Sentence,
    program: OtherSystem,
    ours_first: bool,
) -> Values:
    from sambert_trt.runtime.text.explain import symbol_text

    line = " ".join(map(symbol_text, sentence.symbols))
    tasks: Sequence[Callable[[], float]] = (
        partial(_our_factor, voice),
        partial(program.factor, SHORT, [line], settings.threads),
    )
    if ours_first:
        ours, theirs = (task() for task in tasks)
    else:
        theirs, ours = (task() for task in reversed(tasks))
    return {_TOTAL: theirs / ours}


def _our_factor(voice: Voice) -> float:
    started = time.perf_counter()
    audio = voice.say(SHORT)
    return (time.perf_counter() - started) / audio.seconds
