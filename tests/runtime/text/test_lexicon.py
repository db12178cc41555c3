"""The lists of words and the rules: what every line of the data must be."""

from __future__ import annotations

import re
from itertools import chain

from sambert_trt.runtime.text.lexicon import OPEN_SYLLABLE, data_lines, lexicon
from sambert_trt.runtime.text.phones import phones_from_syllable
from sambert_trt.runtime.text.polyphones import REACH, Rule, choose_reading, polyphones
from sambert_trt.runtime.text.readings import HANZI, readings


def test_every_own_reading_can_be_said() -> None:
    for word, syllables in lexicon().read.items():
        assert len(word) == len(syllables.split()), word
        for syllable in syllables.split():
            assert syllable in ("r5", OPEN_SYLLABLE) or phones_from_syllable(syllable), word


def test_no_word_is_read_twice() -> None:
    words = [line.split()[0] for line in data_lines("readings")]
    assert len(words) == len(set(words)), sorted(w for w in words if words.count(w) > 1)


def test_lists_hold_words() -> None:
    lists = (lexicon().neutral, lexicon().light, lexicon().own_er, lexicon().counting)
    assert all(lists)
    assert all(re.fullmatch(f"{HANZI}{{2,5}}", word) for word in chain.from_iterable(lists))
    assert not lexicon().neutral & lexicon().light


def test_the_costs_are_sound() -> None:
    costs = lexicon().costs
    assert costs["的"] < costs["银行"] < costs["重楼"]
    assert {"，", "a"}.isdisjoint(costs)


def test_every_rule_can_be_reached() -> None:
    for character, rules in polyphones().items():
        assert character in readings().characters
        assert rules[-1].plain, f"{character} has no last resort"
        assert not any(rule.plain for rule in rules[:-1]), f"rules of {character} are never reached"


def test_every_rule_can_be_said_and_looks_no_farther_than_it_sees() -> None:
    for rule in chain.from_iterable(polyphones().values()):
        phones_from_syllable(rule.reading)
        sides = (rule.before, rule.after, rule.not_before, rule.not_after)
        sides += (rule.near, rule.not_near)
        assert all(0 < len(text) <= REACH for text in chain.from_iterable(sides)), rule


def test_a_rule_asks_for_both_sides() -> None:
    rule = Rule("a1", "x", before=("左",), after=("右",), not_before=("不左",), not_after=("右手",))
    assert rule.fits("左", "右")
    assert not rule.fits("左", "左")
    assert not rule.fits("右", "右")
    assert not rule.fits("不左", "右")
    assert not rule.fits("左", "右手")


def test_a_rule_may_ask_for_a_place_in_the_word() -> None:
    rule = Rule("a1", "x", place="end")
    assert [rule.fits("", "", place) for place in ("", "in", "end")] == [False, False, True]
    assert not rule.plain
    first, inner = Rule("a1", "x", place="start"), Rule("a1", "x", place="in")
    places = ("", "start", "in", "end")
    assert [first.fits("", "", place) for place in places] == [False, True, False, False]
    assert [inner.fits("", "", place) for place in places] == [False, True, True, False]


def test_a_rule_may_ask_for_what_stands_farther_before() -> None:
    rule = Rule("a1", "x", near=("以",), not_near=("所以",))
    assert [rule.fits(before, "") for before in ("以他", "他以", "所以他", "他")] == [
        True,
        True,
        False,
        False,
    ]
    assert not rule.plain


def test_a_character_without_rules_has_none() -> None:
    assert choose_reading("猫", "", "") is None
