"""PyTorch voices to voice directories. The only package that imports torch and onnx."""
