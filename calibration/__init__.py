"""Graphs of a voice in fp16 and int8, made from its fp32 graphs, judged by sound and by cost.

Start with `session.calibrate`: texts, recording, planning, installing, report. `variants` writes
fp16 graphs alone, `half` and `int8` convert one graph, `planner` decides what is kept.
"""
