"""Watches the memory of long work: a thousand sentences in one process, or an hour of text.

    python scripts/soak.py VOICE --sentences 1000
    python scripts/soak.py VOICE --text-hours 1

The first speaks sentences of varied length in this process and fits a line to the resident memory
of the second half. The second feeds a text through `sambert-tts say --file` and compares the peak
of that process with the peak of one that speaks a single sentence. Linux; needs the [cpu] extra.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench import SENTENCE

from sambert_trt.engines.errors import SambertError

__all__ = ["generated_sentences", "main", "slope_per_step"]

SYLLABLES_PER_SECOND = 6.5

_WHEN = (
    "今天早上",
    "上个星期",
    "去年冬天",
    "下雨的时候",
    "吃过晚饭以后",
    "天还没有亮",
    "放假的第二天",
)
_WHO = (
    "我的邻居",
    "那位老师",
    "两个孩子",
    "村里的医生",
    "火车上的旅客",
    "一位年轻的画家",
    "她妹妹",
)
_HOW = ("慢慢地", "高高兴兴地", "一个人", "和朋友一起", "非常仔细地", "安安静静地", "急急忙忙地")
_WHAT = (
    "走到河边看船",
    "打扫了整个院子",
    "写完了一封很长的信",
    "去车站接远方来的客人",
    "买了三斤苹果和一把新雨伞",
    "把旧收音机修好了",
    "在图书馆里找到了那本地图",
)
_AND = (
    "后来大家都笑了",
    "所以没有人再问下去",
    "不过天气还是很冷",
    "然后就回家休息",
    "这件事很快传开了",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line, watches, prints one line of JSON; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.text_hours is not None:
            found = watch_text(options.voice, options.text_hours, options.threads)
        else:
            found = watch_sentences(options.voice, options.sentences, options.threads)
    except SambertError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=1))
    return 0


def generated_sentences(seed: int = 0) -> Iterator[str]:
    """Mandarin sentences of 8 to about 50 syllables, without end."""
    pick = random.Random(seed)
    for number in itertools.count():
        text = pick.choice(_WHO) + pick.choice(_HOW) + pick.choice(_WHAT)
        if number % 3:
            text = f"{pick.choice(_WHEN)}，{text}"
        for _ in range(number % 4):
            text = f"{text}，{pick.choice(_AND)}"
        yield f"{text}。"


def watch_sentences(voice: Path, count: int, threads: int) -> dict[str, Any]:
    """Speaks so many sentences in this process and follows its resident memory."""
    from sambert_trt.runtime import open_voice

    resident, seconds, started = [], 0.0, time.perf_counter()
    with open_voice(voice, threads=threads) as opened:
        for number, text in enumerate(itertools.islice(generated_sentences(), count), start=1):
            seconds += opened.say(text).seconds
            gc.collect()
            resident.append(_kilobytes("VmRSS"))
            if number % 20 == 0:
                print(f"\r{number} of {count}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {
        "sentences": count,
        "seconds_of_audio": seconds,
        "seconds": time.perf_counter() - started,
        "resident_mb_tenths": [round(resident[i] / 1024, 1) for i in _tenths(count)],
        "slope_kb_per_sentence": slope_per_step(resident[count // 2 :]),
        "peak_mb": _kilobytes("VmHWM") / 1024,
    }


def watch_text(voice: Path, hours: float, threads: int) -> dict[str, Any]:
    """Speaks a text of so many hours, and one sentence, each in a process of its own."""
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        text.write_text(SENTENCE, encoding="utf-8")
        single, _ = _peak_of_saying(voice, text, threads)
        syllables = round(hours * 3600 * SYLLABLES_PER_SECOND)
        text.write_text("\n".join(_sentences_of(syllables)), encoding="utf-8")
        peak, seconds = _peak_of_saying(voice, text, threads)
        spoken = soundfile.info(str(text.with_suffix(".wav"))).duration
    return {
        "seconds_of_audio": spoken,
        "seconds": seconds,
        "peak_mb": peak,
        "peak_of_one_sentence_mb": single,
        "above_mb": peak - single,
    }


def slope_per_step(values: Sequence[float]) -> float:
    """By how much values grow from one to the next, by least squares."""
    return float(np.polyfit(np.arange(len(values)), np.asarray(values, np.float64), 1)[0])


def _sentences_of(syllables: int) -> Iterator[str]:
    spoken = 0
    for sentence in generated_sentences(1):
        if spoken >= syllables:
            return
        spoken += sum(c not in "，。" for c in sentence)
        yield sentence


def _peak_of_saying(voice: Path, text: Path, threads: int) -> tuple[float, float]:
    """Megabytes at the peak and seconds of `sambert-tts say --file`."""
    program = Path(sysconfig.get_path("scripts")) / "sambert-tts"
    command = (str(program), "say", "-q", "--voice", str(voice), "--file", str(text))
    target = ("-o", str(text.with_suffix(".wav")), "--threads", str(threads))
    started = time.perf_counter()
    with subprocess.Popen((*command, *target)) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SambertError(f"sambert-tts say ended with {process.returncode}; see above")
    return usage.ru_maxrss / 1024, time.perf_counter() - started


def _tenths(count: int) -> list[int]:
    return [max(count * part // 10 - 1, 0) for part in range(1, 11)]


def _kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("voice", type=Path, help="an exported voice")
    parser.add_argument("--sentences", type=int, default=1000, help="how many to speak (1000)")
    parser.add_argument("--text-hours", type=float, help="speak a text of so many hours instead")
    parser.add_argument("--threads", type=int, default=2, help="how many to work with (2)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
