"""The hot loops that are counted: a text is read, a sentence is said, a sentence is streamed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .opening import opened_voice
from .suite import Settings
from .text import SHORT

if TYPE_CHECKING:
    from sambert_trt.runtime.text import MandarinFrontend

__all__ = ["READ", "TEXTS_OF_LOOPS", "Loop", "loops_of_voice", "reading_loop"]

READ = (
    "清晨的山谷里飘着一层薄薄的雾气，河边的老人慢慢地收起了渔网。"
    "会议定于2024年5月1日上午9:30在三号楼201室开始，大约有120人参加，每人的费用是¥35.50。"
    "“你真的不去吗？”她问，“我们说好了一起去银行的，走得快一点儿还来得及。”"
    "今天的最高气温是28℃，比昨天高了3.5度，湿度60%，请大家多喝水、少出门。"
    "他在北京大学学习计算机和GPU编程，每天要坐1个小时的地铁，行程约25km。"
    "音乐会的票卖得很好，乐队长得高高的，还在调音，观众已经觉得有点儿着急了。"
    "这本书是他十年前重新写的，一共3卷，第2卷最长，有800多页。"
    "请拨打010-62345678，或者发邮件给王老师，他下午都在办公室里。"
)
"""Three hundred characters: numbers, dates, units, letters, polyphones, sandhi, erhua."""

Loop = Callable[[str], object]
"""One pass over a text."""

TEXTS_OF_LOOPS = {"text": READ, "say": SHORT, "stream": SHORT}
"""What each loop is given at every pass."""


@contextmanager
def loops_of_voice(settings: Settings) -> Iterator[Mapping[str, Loop]]:
    """The loops by name, on one voice that stays open for them.

    Raises:
        SambertError: the voice or the backend cannot be used.
    """
    read = reading_loop(settings)
    with opened_voice(settings) as voice:
        yield {
            "text": read,
            "say": voice.say,
            "stream": lambda text: _exhaust(voice.stream(text)),
        }


def reading_loop(settings: Settings) -> Loop:
    """The loop `text`: the front end alone, with the voice's own symbols.

    Raises:
        VoiceError: the voice cannot be read.
        InputError: its language has no text front end.
    """
    frontend = _frontend(settings)
    return lambda text: _exhaust(frontend.sentences(text))


def _frontend(settings: Settings) -> MandarinFrontend:
    from sambert_trt.engines.voice import manifest_from_directory
    from sambert_trt.runtime.text import MandarinFrontend

    manifest = manifest_from_directory(settings.voice)
    return MandarinFrontend(getattr(manifest, "trained_units", manifest.units), manifest.language)


def _exhaust(items: Iterator[object]) -> None:
    deque(items, maxlen=0)
