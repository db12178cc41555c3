"""The least and the most that speech may be asked for, by requests and texts. Imports nothing."""

from __future__ import annotations

__all__ = ["INTENSITY", "PAUSE", "SHIFT", "SPEED", "VOLUME"]

SPEED = (0.25, 4.0)
SHIFT = (-5.0, 5.0)
"""Of pitch and energy, in standard deviations of the voice."""
INTENSITY = (0.0, 2.0)
VOLUME = (0.0, 4.0)
"""What samples are multiplied with; 4 are 12 dB."""
PAUSE = (0.0, 60.0)
"""Seconds of silence in one place."""
