"""Calibration of reduced-precision graphs: the place of the recorder and the quantiser to come."""
