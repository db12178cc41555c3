"""Measures a voice against its torch reference: paired and interleaved, on one machine, in one run.

    python scripts/bench.py VOICE_SOURCE [--voice EXPORTED_DIR] [--threads 2] [--rounds 9]

Speed is measured in this process, both sides on the same symbols and the same number of threads, in
an order that alternates. Start, first audio and memory are measured in fresh processes that hold
the runtime and no torch. OMP_WAIT_POLICY is PASSIVE unless it is set: torch's threads would else
spin while they wait, and where others use the cores too the reference then takes many times as
long. Needs the [cpu] and [export] extras.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processor import load_average, processor_facts

if TYPE_CHECKING:
    from sambert_trt.export.reference import Conditioning, Reference
    from sambert_trt.runtime import Voice
    from sambert_trt.runtime.text.sentence import Sentence

__all__ = ["SENTENCE", "TEXT", "Interval", "main", "median_interval", "probe"]

SENTENCE = "明天上午有空的话我们可以一起去图书馆学习。"
"""Twenty syllables."""

TEXT = (
    "清晨的山谷里飘着一层薄薄的雾气，河边的老人慢慢地收起了渔网。"
    "孩子们背着书包走过石桥，一边走一边讨论昨天晚上看到的流星。"
    "镇上的面包店刚刚开门，新鲜的香味顺着街道传得很远。"
    "有人停下来买两个热包子，有人坐在窗边安静地读报纸。"
    "到了中午太阳越来越高，屋檐下的猫换了一个地方继续睡觉。"
    "下午的课堂上老师讲起了古代的航海故事，大家听得非常认真。"
    "傍晚时分天空变成了橙色，广场上响起了熟悉的音乐。"
    "夜里下了一场小雨，第二天的空气特别清新。"
)

LENGTHS = (8, 46, 200, 400)
LONG = 100
"""Symbols above which a length takes part in every third round only, to keep a run short."""

CALM = 0.15
"""Cores that others may use in a round that counts as calm."""

REST = 0.05
"""Seconds between two measurements: a pool of threads that has just worked spins for a while."""

STAGE_OF_STEP = {
    "text_hid": "text_encoder",
    "pitch": "prosody",
    "energy": "prosody",
    "log_durations": "duration_step",
    "durations": "length",
    "memory": "length",
    "x_band_width": "length",
    "dec_outputs": "decoder",
    "postnet_outputs": "postnet",
    "mel_final": "postnet",
    "excitation": "excitation",
    "wav": "vocoder",
}
STAGE_OF_CLOCK = {"memory_kv": "decoder", "decoder_step": "decoder"}
"""The reference computes keys and values inside its decoder; both count as `decoder`."""


@dataclass(frozen=True)
class Interval:
    """The median of samples and where it lies with 95 % by bootstrap."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass
class Series:
    """Every measured second of one text length; all lists have one entry per round."""

    symbols: int
    frames: int = 0
    seconds_of_audio: float = 0.0
    difference: float = 0.0
    reference: list[float] = field(default_factory=list)
    runtime: list[float] = field(default_factory=list)
    reference_stages: dict[str, list[float]] = field(default_factory=dict)
    runtime_stages: dict[str, list[float]] = field(default_factory=dict)
    decoder_step_ms: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line, measures, prints the tables; returns the exit status."""
    options = _parser().parse_args(arguments)
    from sambert_trt.engines.errors import SambertError

    try:
        with contextlib.ExitStack() as stack:
            report = measure(options, stack)
    except SambertError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print("\n".join(tables(report)))
    if options.json is not None:
        text = json.dumps(report, ensure_ascii=False, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")
    return 0


def measure(options: argparse.Namespace, stack: contextlib.ExitStack) -> dict[str, Any]:
    """Everything that is measured, as a mapping for `tables` and for JSON."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    from sambert_trt.export.source import voice_sources_from_path
    from sambert_trt.export.voice_export import export_voice, load_voice
    from sambert_trt.runtime import open_voice

    source = voice_sources_from_path(options.source)[0]
    directory = options.voice
    if directory is None:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory())) / source.name
        export_voice(source, directory)
    begun = machine_facts()
    fresh = [_fresh_process(directory, options, "sentence") for _ in range(options.processes)]
    long = _fresh_process(directory, options, "text")
    torch.set_num_threads(options.threads)
    reference = load_voice(source).reference()
    voice = stack.enter_context(open_voice(directory, threads=options.threads))
    series = measure_speed(voice, reference, options.lengths, options.rounds)
    return {
        "omp_wait_policy": os.environ["OMP_WAIT_POLICY"],
        "threads": options.threads,
        "rounds": options.rounds,
        "machine": begun,
        "load_at_end": load_average(),
        "speed": [summary(item) for item in series],
        "fresh_processes": {
            name: _spread([process[name] for process in fresh]) for name in fresh[0]
        },
        "long_text": long,
        "samples": [asdict(item) for item in series],
    }


def measure_speed(
    voice: Voice, reference: Reference, lengths: Sequence[int], rounds: int
) -> list[Series]:
    """Rounds over all lengths, long ones in every third only; the first round warms up."""
    series = [Series(count) for count in lengths]
    for number in range(rounds + 1):
        for item in series:
            if item.symbols > LONG and number % 3 != min(number, 1):
                continue
            first = len(item.reference) % 2 == 0
            others = _Others()
            result = _round(voice, reference, item.symbols, reference_first=first)
            if number:
                _append(item, *result)
                item.others.append(others.cores())
        print(f"\rround {number} of {rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return series


class _Others:
    """How many cores everything but this process has kept busy since this was made."""

    def __init__(self) -> None:
        self._before = self._now()

    def cores(self) -> float:
        """Not a number where the system does not tell; the hypervisor's share counts too."""
        after = self._now()
        wall, busy, own = (b - a for a, b in zip(self._before, after, strict=True))
        return max(busy - own, 0.0) / wall

    @staticmethod
    def _now() -> tuple[float, float, float]:
        try:
            words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
            ticks = [int(word) for word in words[1:9]]
            busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        except (OSError, AttributeError):
            busy = float("nan")
        return time.perf_counter(), busy, time.process_time()


def _round(
    voice: Voice, reference: Reference, symbols: int, *, reference_first: bool
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    sentence = sentence_of(voice, symbols)
    ids = ids_of(voice, sentence)
    order = ["reference", "runtime", "alone"]
    if not reference_first:
        order.reverse()
    results = {}
    for side in order:
        time.sleep(REST)
        if side == "reference":
            results[side] = time_reference(reference, ids)
        elif side == "runtime":
            results[side] = time_runtime(voice, ids)
        else:
            results[side] = time_stages(voice, sentence)
    return results["reference"], results["runtime"], results["alone"]


def _append(
    item: Series, theirs: dict[str, Any], ours: dict[str, Any], alone: dict[str, Any]
) -> None:
    import numpy as np

    rate, hop = ours["rate"], ours["hop"]
    item.seconds_of_audio = len(ours["wave"]) / rate
    item.frames = len(ours["wave"]) // hop
    item.reference.append(theirs["seconds"])
    item.runtime.append(ours["seconds"])
    for stage, seconds in theirs["stages"].items():
        item.reference_stages.setdefault(stage, []).append(seconds)
    for stage, seconds in alone["stages"].items():
        item.runtime_stages.setdefault(stage, []).append(seconds)
    item.decoder_step_ms.append(1e3 * alone["decoder_step"] / alone["steps"])
    if len(theirs["wave"]) == len(ours["wave"]) and not ours["noisy"]:
        item.difference = float(np.abs(theirs["wave"] - ours["wave"]).max())


def sentence_of(voice: Voice, symbols: int) -> Sentence:
    """The first so many symbols of `TEXT`, read as often as needed."""
    from sambert_trt.runtime.text.sentence import Sentence

    read = [symbol for sentence in voice.sentences(TEXT) for symbol in sentence.symbols]
    return Sentence("", tuple(itertools.islice(itertools.cycle(read), symbols)))


def ids_of(voice: Voice, sentence: Sentence) -> Conditioning:
    """The ids of a sentence, with the voice's own speaker and emotion."""
    import numpy as np

    from sambert_trt.export.reference import Conditioning
    from sambert_trt.runtime.text.symbols import ids_from_sentence

    manifest, count = voice.manifest, len(sentence.symbols)
    rows, _, _ = ids_from_sentence(sentence, manifest.units, manifest.emotions, manifest.speakers)
    emotion = manifest.emotions.index(manifest.default_emotion)
    speaker = manifest.speakers.index(manifest.default_speaker)
    return Conditioning(
        np.array(rows, np.int64),
        np.full(count, emotion, np.int64),
        np.full(count, speaker, np.int64),
    )


def time_reference(reference: Reference, ids: Conditioning) -> dict[str, Any]:
    """One sentence through the reference: seconds in all and by stage."""
    import numpy as np

    stages: dict[str, float] = {}
    wave: Any = np.zeros(0)
    last = started = time.perf_counter()
    for name, array in reference.steps(ids, noise=np.random.default_rng(0)):
        now = time.perf_counter()
        stage = STAGE_OF_STEP[name]
        stages[stage] = stages.get(stage, 0.0) + now - last
        wave, last = array, now
    return {"seconds": last - started, "stages": stages, "wave": wave}


def time_runtime(voice: Voice, ids: Conditioning) -> dict[str, Any]:
    """One sentence through the runtime, as users speak it: seconds in all."""
    from sambert_trt.runtime import Ids

    manifest = voice.manifest
    started = time.perf_counter()
    audio = voice.say(ids=Ids(ids.ling, ids.emotion, ids.speaker))
    return {
        "seconds": time.perf_counter() - started,
        "wave": audio.samples,
        "rate": manifest.sample_rate,
        "hop": manifest.hop,
        "noisy": manifest.f0 is not None,
    }


def time_stages(voice: Voice, sentence: Sentence) -> dict[str, Any]:
    """One sentence through the runtime's steps, one after another, nothing side by side."""
    from sambert_trt.runtime.stream import OFFLINE
    from sambert_trt.runtime.styles import Style

    synthesizer, clock, steps = voice.synthesizer, {"vocoder": 0.0}, 0
    for utterance, window in synthesizer.speak(sentence, Style(), OFFLINE, 0, 0):
        for name, seconds in utterance.clock.taken().items():
            clock[name] = clock.get(name, 0.0) + seconds
        steps = utterance.plan.steps
        if window is not None:
            started = time.perf_counter()
            synthesizer.vocode(window)
            clock["vocoder"] += time.perf_counter() - started
    stages: dict[str, float] = {}
    for name, seconds in clock.items():
        stage = STAGE_OF_CLOCK.get(name, name)
        stages[stage] = stages.get(stage, 0.0) + seconds
    return {"stages": stages, "decoder_step": clock["decoder_step"], "steps": steps}


def summary(item: Series) -> dict[str, Any]:
    """Medians, minima, real-time factors and paired ratios of one length."""
    stages = {}
    for stage, theirs in item.reference_stages.items():
        ours = item.runtime_stages.get(stage, [])
        stages[stage] = {
            "reference_ms": 1e3 * statistics.median(theirs),
            "runtime_ms": 1e3 * statistics.median(ours) if ours else 0.0,
        }
    ratios = [a / b for a, b in zip(item.reference, item.runtime, strict=True)]
    calm = [ratio for ratio, cores in zip(ratios, item.others, strict=True) if cores < CALM]
    return {
        "symbols": item.symbols,
        "rounds": len(ratios),
        "others": statistics.median(item.others),
        "calm_rounds": len(calm),
        "calm_ratio": asdict(median_interval(calm)) if calm else None,
        "frames": item.frames,
        "seconds_of_audio": item.seconds_of_audio,
        "difference": item.difference,
        "reference": _spread(item.reference),
        "runtime": _spread(item.runtime),
        "ratio": asdict(median_interval(ratios)),
        "ratio_of_minima": min(item.reference) / min(item.runtime),
        "decoder_step_ms": _spread(item.decoder_step_ms),
        "stages": stages,
    }


def median_interval(samples: Sequence[float], draws: int = 4000, seed: int = 0) -> Interval:
    """The median and its 95 % interval from resampling with replacement."""
    import numpy as np

    values = np.asarray(samples, np.float64)
    picks = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    medians = np.median(values[picks], axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return Interval(float(np.median(values)), float(low), float(high))


def _spread(samples: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(samples), "least": min(samples), "most": max(samples)}


def probe(directory: str, threads: int, what: str) -> dict[str, float]:
    """What a fresh process sees: seconds to ready, seconds to first audio, megabytes.

    Called in a process of its own, which must not have loaded torch.
    """
    started = time.perf_counter()
    from sambert_trt.runtime import open_voice

    with open_voice(directory, threads=threads) as voice:
        ready = time.perf_counter() - started
        numbers = {"ready_s": ready, "ready_mb": _megabytes("VmRSS")}
        if what == "sentence":
            numbers["first_audio_cold_ms"] = _first_audio(voice)
            warm = [_first_audio(voice) for _ in range(7)]
            numbers["first_audio_warm_ms"] = statistics.median(warm)
            numbers["first_audio_warm_least_ms"] = min(warm)
            voice.say(SENTENCE)
        else:
            numbers["seconds_of_audio"] = voice.say(TEXT * 4).seconds
        numbers["rss_mb"] = _megabytes("VmRSS")
        numbers["peak_mb"] = _megabytes("VmHWM")
    if "torch" in sys.modules:
        raise RuntimeError("torch was loaded in a process that must not need it")
    return numbers


def _first_audio(voice: Voice) -> float:
    time.sleep(REST)
    started = time.perf_counter()
    with contextlib.closing(voice.stream(SENTENCE)) as chunks:  # type: ignore[type-var]
        next(chunks)
        return 1e3 * (time.perf_counter() - started)


def _fresh_process(directory: Path, options: argparse.Namespace, what: str) -> dict[str, float]:
    program = (
        f"import sys, json; sys.path.insert(0, {str(Path(__file__).parent)!r}); import bench; "
        f"print(json.dumps(bench.probe({str(directory)!r}, {options.threads}, {what!r})))"
    )
    finished = subprocess.run(
        (sys.executable, "-c", program), check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    found: dict[str, float] = json.loads(finished.stdout)
    return found


def _megabytes(name: str) -> float:
    """A memory line of /proc/self/status: ru_maxrss would begin with the parent's memory."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def machine_facts() -> dict[str, Any]:
    """Processor, cores, load, and versions."""
    from importlib.metadata import version

    names = ("sambert-trt", "onnxruntime", "numpy", "torch")
    return {
        **processor_facts(),
        "versions": {name: version(name) for name in names},
    }


def tables(report: dict[str, Any]) -> Iterator[str]:
    """The report as Markdown."""
    machine = report["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    yield f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"
    yield f"Python {machine['python']}, {versions}"
    yield f"load average {machine['load']} before, {report['load_at_end']} after"
    yield f"{report['threads']} threads, {report['rounds']} rounds"
    yield f"OMP_WAIT_POLICY {report['omp_wait_policy']}\n"
    yield (
        "| symbols | rounds | audio s | reference s | runtime s | RTF | ratio | of minima "
        "| calm rounds | calm ratio | cores of others |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for item in report["speed"]:
        ours, theirs, audio = item["runtime"], item["reference"], item["seconds_of_audio"]
        calm = Interval(**item["calm_ratio"]) if item["calm_ratio"] else ""
        yield (
            f"| {item['symbols']} | {item['rounds']} | {audio:.2f} | {theirs['median']:.3f} "
            f"| {ours['median']:.3f} | {ours['median'] / audio:.3f} "
            f"| {Interval(**item['ratio'])} | {item['ratio_of_minima']:.2f} "
            f"| {item['calm_rounds']} | {calm} | {item['others']:.2f} |"
        )
    yield from _stage_table(report["speed"])
    yield "\n| fresh process | median | least | most |\n|---|---|---|---|"
    for name, spread in report["fresh_processes"].items():
        yield f"| {name} | {spread['median']:.2f} | {spread['least']:.2f} | {spread['most']:.2f} |"
    for name, value in report["long_text"].items():
        yield f"| long text: {name} | {value:.2f} | | |"


def _stage_table(speed: Sequence[dict[str, Any]]) -> Iterator[str]:
    for item in speed:
        step = item["decoder_step_ms"]
        yield (
            f"\n{item['symbols']} symbols, {item['frames']} frames: decoder step "
            f"{step['median']:.2f} ms (least {step['least']:.2f}), largest difference between the "
            f"waves {item['difference']:.1e}\n"
        )
        yield "| stage | reference ms | runtime ms, alone, one thread | ratio |\n|---|---|---|---|"
        for name, stage in item["stages"].items():
            theirs, ours = stage["reference_ms"], stage["runtime_ms"]
            ratio = f"{theirs / ours:.1f}" if ours else ""
            yield f"| {name} | {theirs:.1f} | {ours:.1f} | {ratio} |"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="the PyTorch voice")
    parser.add_argument("--voice", type=Path, help="its export; made for the run if not given")
    parser.add_argument("--threads", type=int, default=2, help="for both sides (2)")
    parser.add_argument("--rounds", type=int, default=9, help="after one to warm up (9)")
    parser.add_argument("--processes", type=int, default=5, help="fresh processes (5)")
    parser.add_argument(
        "--lengths", type=int, nargs="+", default=LENGTHS, help="in symbols (8 46 200 400)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="every number, for machines")
    return parser


if __name__ == "__main__":
    sys.exit(main())
