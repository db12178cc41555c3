"""What `perf.py` does: measures two trees side by side and says what became worse.

catalogue.py and metrics.toml say what is measured and how much may change, suite.py who measures
it; a worker (worker.py) measures one side in a process of its own, pairing.py lets both sides take
turns, gate.py judges. Nothing here imports torch, onnx or ONNX Runtime at the top of a file.
"""
