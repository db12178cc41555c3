"""SSML becomes text with marks, and what is none is refused with its place."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.manifest import F0Rule
from sambert_trt.runtime.text.marks import Boundary, Manner, Mark, Marks, Pause, is_mark
from sambert_trt.runtime.text.ssml import PARAGRAPH, begins_as_ssml, is_ssml, marked_pieces
from sambert_trt.runtime.text.ssml_values import PitchScale, pitch_scale_from_rule

Read = list[str | Mark]


def parted(text: str, marks: Marks) -> Read:
    """Runs of text and the meanings of the marks between them."""
    found: Read = []
    for character in text:
        if is_mark(character):
            found.append(marks[character])
        elif found and isinstance(found[-1], str):
            found[-1] += character
        else:
            found.append(character)
    return found


def marked(ssml: str, marks: Marks, *, strict: bool = False) -> str:
    """A whole document as text with marks."""
    return "".join(marked_pieces([ssml], marks, strict=strict))


def read(ssml: str, *, strict: bool = True) -> Read:
    marks = Marks()
    return parted(marked(ssml, marks, strict=strict), marks)


def inside(ssml: str) -> Read:
    return read(f"<speak>{ssml}</speak>")


def refused(ssml: str, *, strict: bool = False) -> str:
    with pytest.raises(InputError) as caught:
        marked(ssml, Marks(), strict=strict)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "<speak>",
        "<speak/>",
        '  \n\ufeff<speak version="1.1">',
        '<?xml version="1.0" encoding="utf-8"?>\n<speak>',
        "<!-- note --> <speak>",
        "<!DOCTYPE speak []><speak>",
        "<!DOCTYPE html><html>",
        "<!-- note --><!doctype html>",
        '<?xml version="1.0"?><rss/>',
        "<Speak>",
    ],
)
def test_what_is_ssml(text: str) -> None:
    assert is_ssml(text)


@pytest.mark.parametrize(
    "text", ["", "你好", "<speaker>", "a <speak>", "<!-- <speak>", "<p>", "speak"]
)
def test_what_is_not(text: str) -> None:
    assert not is_ssml(text)


@pytest.mark.parametrize("size", [1, 7, 5000])
@pytest.mark.parametrize(
    ("text", "ssml"),
    [
        ("\n" * 5000 + "<speak>好</speak>", True),
        ("<!--" + "x" * 1900 + "-->\n<speak>好</speak>", True),
        (("<!--" + "x" * 1900 + "-->") * 3 + "<speak>好</speak>", False),
        ("<speaker>好", False),
    ],
)
def test_it_begins_as_ssml_in_whatever_pieces_it_comes(text: str, ssml: bool, size: int) -> None:
    found, pieces = begins_as_ssml(text[i : i + size] for i in range(0, len(text), size))
    assert found is ssml
    assert "".join(pieces) == text


def test_text_alone_has_no_marks() -> None:
    assert inside("今天 天气\n   真好。") == ["今天 天气 真好。"]
    assert inside("  A&amp;B &lt;三&gt; <![CDATA[<四>]]> &#20116;<!-- 六 --> ") == [
        "A&B <三> <四> 五"
    ]


def test_a_manner_holds_inside_its_tag_and_ends_with_it() -> None:
    happy = Manner(emotion="happy", intensity=1.5)
    found = inside('一<emotion category="happy" intensity="1.5">二</emotion>三')
    assert found == ["一", happy, "二", Manner(), "三"]


def test_manners_compose_and_are_restored() -> None:
    found = inside(
        '<prosody rate="2" volume="50"><emotion category="sad">一'
        '<prosody rate="150%" pitch="+20Hz" volume="+100%">二</prosody>三'
        '<emotion category="happy">四</emotion></emotion>五</prosody>六'
    )
    outer = Manner(speed=2.0, volume=0.5)
    sad = Manner(speed=2.0, volume=0.5, emotion="sad")
    shift = 20 / PitchScale.unit
    inner = Manner(speed=3.0, volume=1.0, emotion="sad", pitch=pytest.approx(shift))
    happy = Manner(speed=2.0, volume=0.5, emotion="happy")
    assert found == [sad, "一", inner, "二", sad, "三", happy, "四", outer, "五", Manner(), "六"]


def test_an_inner_emotion_has_its_own_intensity() -> None:
    found = inside(
        '<emotion category="sad" intensity="2"><emotion category="happy">一</emotion></emotion>'
    )
    assert found == [Manner(emotion="happy"), "一"]


def test_a_tag_without_words_leaves_no_mark() -> None:
    assert inside('一<prosody rate="2"> <emotion category="sad"/></prosody>二') == ["一 二"]


def test_speak_and_voice() -> None:
    found = read('<speak voice="F7" rate="fast">一<voice name="M7">二</voice></speak>')
    assert found == [Manner("F7", speed=1.33), "一", Manner("M7", speed=1.33), "二"]


@pytest.mark.parametrize(
    ("attribute", "value", "manner"),
    [
        ("rate", "x-slow", Manner(speed=0.5)),
        ("rate", "x-fast", Manner(speed=2.0)),
        ("rate", "medium", Manner()),
        ("rate", "1.2", Manner(speed=1.2)),
        ("rate", " 80 % ", Manner(speed=0.8)),
        ("rate", "+10%", Manner(speed=1.1)),
        ("rate", "-20%", Manner(speed=0.8)),
        ("volume", "silent", Manner(volume=0.0)),
        ("volume", "x-loud", Manner(volume=2.0)),
        ("volume", "25", Manner(volume=0.25)),
        ("volume", "+6dB", Manner(volume=10 ** (6 / 20))),
        ("volume", "-6.0 dB", Manner(volume=10 ** (-6 / 20))),
        ("volume", "-50%", Manner(volume=0.5)),
        ("pitch", "default", Manner()),
        ("pitch", "+10%", Manner(pitch=210 * 0.1 / 55)),
        ("pitch", "-20Hz", Manner(pitch=-20 / 55)),
        ("pitch", "+12st", Manner(pitch=210 / 55)),
        ("pitch", "-12st", Manner(pitch=-105 / 55)),
    ],
)
def test_values_of_prosody(attribute: str, value: str, manner: Manner) -> None:
    found = inside(f'<prosody {attribute}="{value}">一</prosody>')
    if manner == Manner():
        assert found == ["一"]
        return
    assert isinstance(found[0], Manner)
    for name in ("speed", "pitch", "volume"):
        assert getattr(found[0], name) == pytest.approx(getattr(manner, name))


def test_labels_of_pitch_are_in_order() -> None:
    shifts = []
    for label in ("x-low", "low", "high", "x-high"):
        manner = inside(f'<prosody pitch="{label}">一</prosody>')[0]
        assert isinstance(manner, Manner)
        shifts.append(manner.pitch)
    assert shifts == sorted(shifts)
    assert shifts[1] < 0 < shifts[2]


def test_semitones_follow_the_voice() -> None:
    def shift(rule: F0Rule | None) -> float:
        marks = Marks()
        ssml = '<speak><prosody pitch="+2st">一</prosody></speak>'
        pieces = marked_pieces([ssml], marks, pitch=pitch_scale_from_rule(rule))
        manner = parted("".join(pieces), marks)[0]
        assert isinstance(manner, Manner)
        return manner.pitch

    rest = ("float32", 30.0, 0.6, 7, 16000)
    assert shift(F0Rule(25.0, 120.0, *rest)) == pytest.approx(120 * (2 ** (1 / 6) - 1) / 25)
    assert shift(F0Rule(700.0, 30.0, *rest)) == pytest.approx(210 * (2 ** (1 / 6) - 1) / 700)
    assert shift(None) == pytest.approx(210 * (2 ** (1 / 6) - 1) / 55)


@pytest.mark.parametrize(
    ("tag", "pause"),
    [
        ("<break/>", Pause("#3")),
        ('<break time="500ms"/>', Pause("#3", 0.5)),
        ('<break time="1.5s" strength="strong"/>', Pause("#4", 1.5)),
        ('<break time="0s"/>', Pause("#3", 0.0)),
        ('<break strength="none"/>', Pause("#1", 0.0)),
        ('<break strength="weak"/>', Pause("#2")),
        ('<break strength="x-strong"/>', Pause("#4", 1.0)),
        ('<break time="10s"/><break strength="strong" time="2s"/>', Pause("#4", 12.0)),
    ],
)
def test_breaks(tag: str, pause: Pause) -> None:
    assert inside(f"一{tag}二") == ["一", pause, "二"]
    assert inside(f"一{tag}") == ["一", pause]
    assert inside(f"{tag} 一") == [pause, "一"]


def test_sentences_and_paragraphs_are_parted_once() -> None:
    found = inside("<p><s>一</s> <s>二</s>\n</p>\n<p>三</p> 四<s>五</s>")
    assert found == [
        "一",
        Boundary(),
        "二",
        Boundary(PARAGRAPH),
        "三",
        Boundary(PARAGRAPH),
        "四",
        Boundary(),
        "五",
    ]


def test_a_break_at_a_boundary_is_the_silence_there() -> None:
    assert inside('<s>一</s><break time="2s"/><s>二</s>') == ["一", Boundary(2.0), "二"]
    assert inside('<s>一<break time="2s"/></s><s>二</s>') == ["一", Boundary(2.0), "二"]


def test_readings() -> None:
    assert inside('<phoneme alphabet="py" ph="chong2 qing4">重庆</phoneme>') == [
        "重[chong2]庆[qing4]"
    ]
    assert inside('<phoneme ph="chóng qìng">重庆</phoneme>') == ["重[chong2]庆[qing4]"]
    assert inside('<phoneme ph="wanr2">玩儿</phoneme>') == ["玩[wan2]儿"]
    assert inside('<phoneme ph="er2 zi5">“儿子”</phoneme>') == ["“儿[er2]子[zi5]”"]
    assert inside('<phoneme ph="lv4"><w>绿</w></phoneme>') == ["绿[lv4]"]


def test_sub_and_words() -> None:
    assert inside('去<sub alias="世界卫生组织">WHO</sub>，<w>人</w><token role="x">人</token>') == [
        "去世界卫生组织，人人"
    ]


def test_say_as_reads_what_it_holds() -> None:
    assert inside('第<say-as interpret-as="digits">120</say-as>号') == ["第一二零号"]
    assert "no-such-kind" in refused(
        '<speak><say-as interpret-as="no-such-kind">12</say-as></speak>'
    )


@pytest.mark.parametrize(
    ("kind", "form", "text", "said"),
    [
        ("date", "mdy", "05/06/2024", "二零二四年五月六日"),
        ("date", "dmy", "05/06/2024", "二零二四年六月五日"),
        ("date", "DMY", "6.5.24", "二四年五月六日"),
        ("date", "ymd", "20240506", "二零二四年五月六日"),
        ("date", "mdy", "05062024", "二零二四年五月六日"),
        ("date", "md", "5/6", "五月六日"),
        ("date", "dm", "5/6", "六月五日"),
        ("date", "ym", "2024-05", "二零二四年五月"),
        ("date", "my", "05/2024", "二零二四年五月"),
        ("date", "y", "2024", "二零二四年"),
        ("date", "m", "5", "五月"),
        ("date", "d", "6", "六日"),
        ("time", "hms12", "8:05pm", "下午八点零五分"),
        ("time", "hms12", "12:30 P.M.", "中午十二点三十分"),
        ("time", "hms12", "12:30am", "凌晨零点三十分"),
        ("time", "hms12", "2:00", "两点"),
        ("time", "hms24", "20:05:09", "二十点零五分零九秒"),
        ("time", "hms24", "0805", "八点零五分"),
        ("time", "hms24", "０８：０５", "八点零五分"),
        ("date", "dmy", "０５/０６/２０２４", "二零二四年六月五日"),
    ],
)
def test_a_format_says_in_which_order_parts_stand(
    kind: str, form: str, text: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert inside(f'<say-as interpret-as="{kind}" format="{form}">{text}</say-as>') == [said]
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("form", "text"),
    [("dmy", "昨天"), ("mdy", "13/01/2024"), ("ymd", "2024-05-32"), ("md", "2024-05-06")],
)
def test_a_date_that_is_not_of_its_format_is_read_as_any(
    form: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked = f'<say-as interpret-as="date" format="{form}">{text}</say-as>'
    assert inside(asked) == inside(f'<say-as interpret-as="date">{text}</say-as>')
    assert caplog.messages == [f"{text!r} is no date of the format {form}; it is read as any"]


@pytest.mark.parametrize(
    ("form", "text"), [("hms12", "13:00"), ("hms24", "25:00"), ("hms24", "8pm")]
)
def test_a_time_that_is_not_of_its_format_is_told(
    form: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    inside(f'<say-as interpret-as="time" format="{form}">{text}</say-as>')
    assert caplog.messages == [f"{text!r} is no time of the format {form}; it is read as any"]


@pytest.mark.parametrize(("kind", "form"), [("date", "yyyy"), ("digits", "ymd"), ("time", "ymd")])
def test_an_unknown_format_is_told_or_refused(
    kind: str, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    ssml = f'<speak><say-as interpret-as="{kind}" format="{form}">20240506</say-as></speak>'
    assert read(ssml, strict=False) == inside(f'<say-as interpret-as="{kind}">20240506</say-as>')
    told = f"the format {form} of <say-as> is not known"
    assert caplog.messages == [f"SSML, line 1: {told}; it is passed over"]
    assert told in refused(ssml, strict=True)


def test_what_is_another_document_is_refused_with_what_to_do() -> None:
    assert "(<!DOCTYPE …>) is not taken" in refused("<!DOCTYPE html><html>你</html>")
    assert "<rss> stands first: needs <speak>; for plain text" in refused(
        '<?xml version="1.0"?><rss/>'
    )
    assert "<Speak> stands first: needs <speak>" in refused("<Speak>你</Speak>")


def test_an_intensity_of_nothing_is_one() -> None:
    found = inside('<emotion category="sad" intensity="0">一</emotion>')
    assert found == [Manner(emotion="sad", intensity=0.0), "一"]


def test_an_unknown_tag_is_named_once_and_its_text_read(caplog: pytest.LogCaptureFixture) -> None:
    ssml = '<speak>\n<foo a="1">一</foo><foo>二</foo><s x="1">三</s><bar/></speak>'
    marks = Marks()
    text = marked(ssml, marks)
    assert parted(text, marks) == ["一二", Boundary(), "三"]
    assert caplog.messages == [
        "SSML, line 2: the tag <foo> is not known; its text is read",
        "SSML, line 2: the attribute x of <s> is not known; it is passed over",
        "SSML, line 2: the tag <bar> is not known; its text is read",
    ]
    assert "line 2, column 1: the tag <foo> is not known; remove it" in refused(ssml, strict=True)


def test_a_document_of_unknown_tags_is_told_in_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    read(f"<speak>{''.join(f'<t{i}>一</t{i}>' for i in range(500))}</speak>", strict=False)
    assert len(caplog.messages) == 21
    assert caplog.messages[-1] == "SSML: what else is not known goes unnamed from here on"


def test_declarations_of_a_speak_tag_are_no_surprise() -> None:
    head = '<speak version="1.1" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="zh-CN">'
    assert read(f"<?xml version='1.0' encoding='gb2312'?>{head}好</speak>") == ["好"]


BAD = [
    ("<speak>a<b></speak>", "column 14: mismatched tag: <b> of line 1 is open; close it with </b>"),
    ("\n <speak>\n 一", "line 3, column 3: no element found: <speak> of line 2 is open"),
    ("<speak>a & b</speak>", "column 11: not well-formed (invalid token): .*write & as &amp;"),
    ("<speak>&nbsp;</speak>", "column 8: undefined entity: only &lt; &gt;"),
    ("<speak></speak>一", "column 16: junk after document element: something follows </speak>"),
    ("", "the text has to stand in <speak>…</speak>"),
    ("<foo/>", "<foo> stands first: needs <speak>"),
    ("<speak>\n<emotion>一</emotion></speak>", "line 2, column 1: <emotion> has no category"),
    ("<speak><emotion category=' '>一</emotion></speak>", "category is empty: needs a name"),
    (
        "<speak><emotion category='sad' intensity='3'>一</emotion></speak>",
        "line 1, column 8: intensity '3': needs a number from 0 to 2",
    ),
    ("<speak><emotion category='sad' intensity='nan'/></speak>", "intensity 'nan': needs"),
    (
        "<speak>一<prosody rate='9'/></speak>",
        "column 9: rate '9' makes the speed 9: needs 0.25 to 4",
    ),
    (
        "<speak rate='2'><prosody rate='3'/></speak>",
        "column 17: rate '3' makes the speed 6: needs 0.25 to 4",
    ),
    ("<speak rate='quick'/>", "rate 'quick': needs a factor as 1.2, 80%, +10%, or x-slow"),
    ("<speak rate='1e1'/>", "rate '1e1': needs"),
    ("<speak pitch='200Hz'/>", "pitch '200Hz': needs +2st, +10%, +20Hz"),
    ("<speak pitch='+99999st'/>", "pitch '+99999st' makes the shift .*: needs -5 to 5"),
    ("<speak volume='101'/>", "volume '101': needs 0 to 100"),
    ("<speak volume='+20dB'/>", "volume '+20dB' makes the gain 10: needs 0 to 4"),
    ("<speak><break time='11s'/></speak>", "time '11s': needs 0s to 10s"),
    ("<speak><break time='-1s'/></speak>", "time '-1s': needs seconds or milliseconds"),
    ("<speak><break time='1'/></speak>", "time '1': needs seconds or milliseconds"),
    ("<speak><break strength='huge'/></speak>", "strength 'huge': needs none, x-weak"),
    ("<speak>" + "<break time='10s'/>" * 7 + "</speak>", "pauses of 70 seconds in one place"),
    (
        "<speak><phoneme ph='chong2'>重庆</phoneme></speak>",
        "ph 'chong2' gives 1 syllables, '重庆' has 2 Chinese characters",
    ),
    ("<speak><phoneme ph='xyz2'>重</phoneme></speak>", "'xyz2' is no pinyin syllable"),
    ("<speak><phoneme alphabet='ipa' ph='x'>重</phoneme></speak>", "alphabet 'ipa': needs py"),
    ("<speak><sub alias='x'>a<break/></sub></speak>", "<break> inside <sub>: only text"),
    ("<speak>" + "<s>" * 60, "column 155: tags stand more than 50 deep"),
    ("<speak><sub alias='" + "x" * 3000 + "'/></speak>", "alias of <sub> is longer than 2000"),
    ("<speak><sub alias='x'>" + "y" * 3000 + "</sub></speak>", "<sub> holds more than 2000"),
    ("<speak><!--" + "x" * 20000, "a tag or comment of more than 16000 bytes"),
]


@pytest.mark.parametrize(("ssml", "message"), BAD)
def test_what_is_wrong_is_said_with_its_place(ssml: str, message: str) -> None:
    error = refused(ssml)
    assert error.startswith("SSML, line ")
    pattern = ".*".join(re.escape(part) for part in message.split(".*"))
    assert re.search(pattern, error), error


LAUGHS = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 20))


@pytest.mark.parametrize(
    "declared",
    [
        f'<!DOCTYPE speak [<!ENTITY a0 "ha">{LAUGHS}]><speak>&a19;</speak>',
        '<!DOCTYPE speak [<!ENTITY x SYSTEM "file:///etc/passwd">]><speak>&x;</speak>',
        '<!DOCTYPE speak SYSTEM "http://localhost:9/x.dtd"><speak>一</speak>',
        '<!DOCTYPE speak [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><speak/>',
        "<!DOCTYPE speak><speak>一</speak>",
    ],
)
def test_document_types_are_refused_before_anything_is_declared(declared: str) -> None:
    assert is_ssml(declared)
    assert "a document type (<!DOCTYPE …>) is not taken" in refused(declared)


def test_too_long_a_document() -> None:
    assert "<b> of line 1 is open" in refused("<speak>" + "<b>一</b>" * 100_000 + "<b>")


def test_signs_that_are_none() -> None:
    assert read("<speak>一\x00\x07\ud800二\udfff\U000f0000&#xf0001;三</speak>") == ["一二三"]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([0.5, 0.8, 1.25, 2.0]), min_size=1, max_size=6),
    st.lists(st.sampled_from(["happy", "sad"]), min_size=6, max_size=6),
)
def test_nested_tags_restore_what_was_around_them(rates: list[float], names: list[str]) -> None:
    opened, closed, expected = "", "", [Manner()]
    for rate, name in zip(rates, names, strict=False):
        opened += f'<prosody rate="{rate}"><emotion category="{name}">一'
        closed += "二</emotion></prosody>"
        expected.append(Manner(emotion=name, speed=expected[-1].speed * rate))
    if not all(0.25 <= manner.speed <= 4 for manner in expected):
        assert "makes the speed" in refused(f"<speak>零{opened}{closed}三</speak>")
        return
    found = spans(inside(f"零{opened}{closed}三"))
    texts = ["零", *"一" * len(rates), *"二" * len(rates), "三"]
    manners = [*expected, *reversed(expected)]
    assert found == merged(zip(texts, manners, strict=True))
    assert found[-1][1] == Manner()


def spans(found: Read) -> list[tuple[str, Manner]]:
    """Each run of text with its manner."""
    manner, result = Manner(), []
    for item in found:
        if isinstance(item, Manner):
            manner = item
        else:
            assert isinstance(item, str)
            result.append((item, manner))
    return result


def merged(items: Iterable[tuple[str, Manner]]) -> list[tuple[str, Manner]]:
    result: list[tuple[str, Manner]] = []
    for text, manner in items:
        if result and result[-1][1] == manner:
            result[-1] = (result[-1][0] + text, manner)
        else:
            result.append((text, manner))
    return result


TAGS = [
    "speak",
    "s",
    "p",
    "break",
    "emotion",
    "prosody",
    "phoneme",
    "say-as",
    "sub",
    "voice",
    "w",
    "x",
]
ATTRIBUTES = [
    "time",
    "strength",
    "category",
    "intensity",
    "rate",
    "pitch",
    "volume",
    "ph",
    "alias",
    "q",
]
VALUES = st.one_of(
    st.sampled_from(["happy", "2", "80%", "1s", "+2st", "strong", "a5"]), st.text(max_size=6)
)
PIECES = st.one_of(
    st.builds(
        lambda tag, attributes, end: f"<{tag}{''.join(attributes)}{end}",
        st.sampled_from(TAGS),
        st.lists(
            st.builds(lambda n, v: f' {n}="{v}"', st.sampled_from(ATTRIBUTES), VALUES), max_size=2
        ),
        st.sampled_from([">", "/>", ""]),
    ),
    st.sampled_from([f"</{tag}>" for tag in TAGS]),
    st.sampled_from(["<!DOCTYPE x>", "<!--", "-->", "<![CDATA[", "]]>", "&amp;", "&x;", "<?a?>"]),
    st.text(max_size=5),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, max_size=12), st.booleans())
@example(["\ud800"], True)
def test_any_text_is_read_or_refused(pieces: list[str], strict: bool) -> None:
    for ssml in ("".join(pieces), "<speak>" + "".join(pieces) + "</speak>"):
        marks, error = Marks(), ""
        try:
            text = marked(ssml, marks, strict=strict)
        except InputError as refusal:
            text, error = "", str(refusal)
        assert error.startswith("SSML, line ") or not error
        for mark in parted(text, marks):
            if isinstance(mark, Manner):
                assert all(map(math.isfinite, (mark.speed, mark.pitch, mark.volume)))


DOCUMENT = """<?xml version="1.0"?>
<speak><!-- 注 --><p><s>今天<emotion category="happy">天气</emotion>真好。</s></p>
<break time="1s"/>去<phoneme ph="chong2 qing4">重庆</phoneme>&amp;<sub alias="二">2</sub></speak>
"""


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), max_size=20))
def test_pieces_are_read_as_the_whole(sizes: list[int]) -> None:
    ends = [0]
    for size in sizes:
        ends.append(ends[-1] + size)
    pieces = [DOCUMENT[a:b] for a, b in zip(ends, [*ends[1:], len(DOCUMENT)], strict=True)]
    marks, whole = Marks(), Marks()
    text = "".join(marked_pieces(pieces, marks))
    assert parted(text, marks) == parted(marked(DOCUMENT, whole), whole)


def test_pieces_are_read_as_they_come() -> None:
    def lines() -> Iterable[str]:
        yield "<speak><s>一</s>"
        yield "<s>二</s>"
        raise AssertionError

    marks = Marks()
    reader = iter(marked_pieces(lines(), marks))
    assert parted(next(reader), marks) == ["一"]
    assert parted(next(reader), marks) == [Boundary(), "二"]
