"""Graphs of a voice in other precisions than fp32, made from its fp32 graphs and checked.

`variants.write_variants` writes them into a voice directory; `half.half_graph` converts one graph.
"""
