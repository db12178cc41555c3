"""Pictures show what they are given, also where that is little."""

from __future__ import annotations

import numpy as np
import pytest
from demo_voice.examination import MelPair
from demo_voice.pictures import mel_picture, pitch_picture

pytest.importorskip("matplotlib")

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def mel(value: float) -> MelPair:
    frames = np.linspace(-1, 1, 30 * 80, dtype=np.float32).reshape(30, 80)
    return MelPair("你好", frames, frames * np.float32(value))


def height(png: bytes) -> int:
    return int.from_bytes(png[20:24], "big")


def test_mels_of_the_voice_stand_below_those_of_the_recording() -> None:
    alike, other = mel_picture([mel(1)]), mel_picture([mel(-1)])
    assert alike.startswith(SIGNATURE)
    assert alike != other
    assert height(mel_picture([mel(1), mel(1)])) > 1.5 * height(alike)


def test_pitch_of_each_emotion() -> None:
    low, high = np.full(50, 120.0), np.full(50, 240.0)
    one = pitch_picture({"neutral": {"speech": [low], "teacher": [low]}})
    two = pitch_picture({"neutral": {"speech": [low]}, "happy": {"speech": [high]}})
    assert one.startswith(SIGNATURE)
    assert one != two


def test_without_anything_to_show_there_is_an_empty_picture() -> None:
    assert mel_picture([]).startswith(SIGNATURE)
    assert pitch_picture({}).startswith(SIGNATURE)
    assert pitch_picture({"neutral": {"speech": [np.zeros(0)]}}).startswith(SIGNATURE)
