"""What `gpu_acceptance.py` checks and measures on a machine with an NVIDIA card.

A section is a function that takes a `Card` and fills a `Result`; sections.py lists them. Nothing
here imports CUDA, TensorRT or ONNX Runtime at the top of a file.
"""
