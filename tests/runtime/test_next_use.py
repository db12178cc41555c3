"""When an engine is expected again, told from the past."""

from __future__ import annotations

from sambert_trt.runtime.next_use import uses_ahead


def test_the_future_is_what_followed_the_longest_context() -> None:
    names = ["text", "memory", "decoder", "vocoder"]
    cycle_of = ["memory", "decoder", "vocoder"]
    sentence = ["text", *cycle_of * 2]
    assert uses_ahead([], names) == {"text": 1, "memory": 2, "decoder": 3, "vocoder": 4}
    assert uses_ahead(["memory"], names) == {"decoder": 1, "vocoder": 2, "text": 3, "memory": 4}
    first = uses_ahead([*sentence, "text", *cycle_of], names)
    assert first == {"memory": 1, "decoder": 2, "vocoder": 3, "text": 4}
    last = uses_ahead([*sentence, *sentence], names)
    assert min(last, key=lambda name: last[name]) == "text"


def test_engines_that_were_closed_have_no_future() -> None:
    assert uses_ahead(["a", "gone", "b", "a"], ["a", "b"]) == {"b": 1, "a": 2}
    assert uses_ahead(["a", "gone"], ["a", "b"]) == {"a": 1, "b": 2}
