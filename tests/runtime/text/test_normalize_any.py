"""What normalisation promises for any text at all."""

from __future__ import annotations

import re
from itertools import pairwise, product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.runtime.text import rules as rules_module
from sambert_trt.runtime.text.marks import MARK, is_mark
from sambert_trt.runtime.text.normalize import ALL_RULES, normalize, normalize_text, rules_without
from sambert_trt.runtime.text.patterns import Rule, Start
from sambert_trt.runtime.text.readings import HANZI
from sambert_trt.runtime.text.signs import SIGNS, TRIGGER

TABLE = Path(__file__).parent / "data" / "normalisation.tsv"
ROWS = [line.split("\t")[1] for line in TABLE.read_text(encoding="utf-8").splitlines()]
PRONOUNCEABLE = re.compile(
    rf"(?:[A-Za-z，、；：。！？…— ]|{HANZI}|{MARK}|(?<={HANZI})\[[^\[\]0-9]+\])*"
)
DENSE = (
    "0123456789.,:-/%~+=¥$年月日点个第拨打至a[]IVXkmgLKM万亿℃²³⁻①Ⅲ½#@&*_|\\^√×－１ 　\n"
    "😀\u200d\ufe0f\u20e3\U000f0001\U0010fffd\ud800()（）《》“”'’路易期°′€Qv零〇○两"
)
PIECES = st.one_of(
    st.sampled_from(ROWS),
    st.sampled_from(["[chong2]", "[de5]", "重[chóng]", "[[", "]", "[重庆](chong2 qing4)"]),
    st.sampled_from(DENSE),
)
WRITTEN = st.one_of(
    st.text(max_size=80),
    st.text(alphabet=st.characters(categories=["N", "S", "C", "P", "M"]), max_size=40),
    st.lists(PIECES, max_size=12).map("".join),
)
RULES = st.one_of(
    st.just(ALL_RULES), st.sets(st.sampled_from(sorted(ALL_RULES))).map(rules_without)
)


@settings(max_examples=375, deadline=None)
@given(WRITTEN, RULES)
def test_any_text_becomes_pronounceable_and_normal(text: str, rules: frozenset[str]) -> None:
    said = normalize(text, rules).text
    assert PRONOUNCEABLE.fullmatch(said)
    assert "  " not in said
    assert not any(c.isdigit() for c in said)
    assert normalize_text(said, rules) == said


@settings(max_examples=200, deadline=None)
@given(WRITTEN, RULES)
def test_any_text_keeps_its_origins_and_marks(text: str, rules: frozenset[str]) -> None:
    said = normalize(text, rules)
    assert len(said.origins) == len(said.text)
    assert all(0 <= o.start < o.end <= len(text) for o in said.origins)
    assert all(a.start <= b.start and a.end <= b.end for a, b in pairwise(said.origins))
    assert [c for c in said.text if is_mark(c)] == [c for c in text if is_mark(c)]


@settings(max_examples=75, deadline=None)
@given(st.text(alphabet="0123456789.,:-/~ ", min_size=1, max_size=30), RULES)
def test_a_number_is_never_silent(text: str, rules: frozenset[str]) -> None:
    has_digit = any(c.isdigit() for c in text)
    assert bool(re.search(HANZI, normalize_text(text, rules))) == has_digit


@settings(max_examples=60, deadline=None)
@given(WRITTEN)
def test_rules_that_are_not_tried_would_not_have_matched(text: str) -> None:
    rules = _rules()
    for found in TRIGGER.finditer(text):
        tried = set(map(id, rules_module._rules_tried(rules, rules_module._start(text, found))))
        left = (rule for rule in rules if id(rule) not in tried and _begins(found, rule))
        matches = (re.compile(rule.pattern).match(text, found.start()) for rule in left)
        assert not any(matches)


def _begins(found: re.Match[str], rule: Rule) -> bool:
    """Whether a rule is one for numbers, or for words, as what was found is."""
    if found[0][0] in ".0123456789":
        numbers = {Start.DIGIT, Start.OPEN_DIGIT}
        return any(s in numbers or (isinstance(s, str) and len(s) > 1) for s in rule.starts)
    word = found[0].isascii() and found[0].isalpha()
    return word and not {Start.LETTER, Start.OPEN_LETTER}.isdisjoint(rule.starts)


def test_rules_that_name_their_signs_match_at_no_other() -> None:
    around = ("3", "a", "好", "(", " ", "")
    for rule in _rules():
        named = {s for s in rule.starts if not isinstance(s, Start)}
        if not named or Start.SIGN in set(rule.starts):
            continue
        matches = re.compile(rule.pattern).match
        for sign, before, after in product(SIGNS - named, around, around):
            assert matches(f"{before}{sign}{after}", len(before)) is None


@settings(max_examples=75, deadline=None)
@given(st.text(max_size=40))
def test_copied_characters_are_those_of_the_text(text: str) -> None:
    said = normalize(text)
    copied = [(c, o) for c, o in zip(said.text, said.origins, strict=True) if not o.rule]
    assert all(text[o.start : o.end] == c for c, o in copied)


@pytest.mark.parametrize("stray", ["好[\U0010fffd]", "[重庆](chong2 \U0010fffd)", "\U0010fffd"])
def test_what_stands_for_readings_inside_means_nothing_from_outside(stray: str) -> None:
    said = normalize_text(f"重[chong2]{stray}好[hao4]")
    assert "\U0010fffd" not in said
    assert said.startswith("重[chóng]")
    assert said.endswith("好[hào]")


def _rules() -> list[Rule]:
    return [*rules_module.EARLY_RULES, *rules_module.LATE_RULES]


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: f"{rule.name}:{rule.pattern[:20]}")
def test_patterns_repeat_nothing_without_bound(rule: Rule) -> None:
    """So a rule that fails has looked at a bounded stretch of text, whatever the text is."""
    bare = re.sub(r"\\.|\[(?:\\.|[^\]])*\]", "x", rule.pattern)
    assert not re.search(r"[*+]|\{\d*,\}", bare)
    assert all(int(most) <= 2000 for most in re.findall(r"\{(?:\d+,)?(\d+)\}", bare))


@pytest.mark.parametrize(
    "unit", ["1", "a", "1.", "1 ", "a.", "1-", "1,", "好1", "@a", "[", "好[", " "]
)
def test_a_hundred_thousand_of_anything_are_read(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    said = normalize(text)
    assert len(said.origins) == len(said.text)
    assert not re.search(r"\d", said.text)
