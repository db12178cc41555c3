"""Calibration of reduced-precision graphs. Empty so far: the recorder and the quantiser come here."""
