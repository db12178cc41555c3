"""Rules for dates, years, decades, times of day, scores and ratios.

Some dates can be read in two ways. `1/2/2024` is 一月二日, month first, unless only the other
order makes a date; `2010-12` is a month, but two years where a season, a school year or 年 follows;
`May 1, 2024` is read in Chinese order unless the sentence around it is English.
"""

from __future__ import annotations

import re

from .numerals import read_digits, read_number
from .patterns import NUM, SEP, Rule, Start, after, before, cardinal, digits, followed
from .readings import HANZI
from .units import MEASURE, UNITS, alternatives, words

__all__ = [
    "DATE_RULES",
    "SCORE_RULES",
    "TIME_RULES",
    "half_and_hour",
    "read_clock",
    "read_date",
]

_MONTH, _DAY = r"(1[0-2]|0?[1-9])", r"(3[01]|[12]\d|0?[1-9])"
_MONTHS = words(
    "January February March April May June July August September October November December"
)
_SHORT_MONTHS = (*(name[:3] for name in _MONTHS), "Sept")
_HAN = re.compile(HANZI)
_LETTER = re.compile("[A-Za-z]")
_SPORT = re.compile(
    "比分|战胜|击败|战平|领先|落后|逆转|险胜|大胜|完胜|横扫|惜败|不敌|力克|获胜|取胜|夺冠|淘汰|负于|"
    "输给|输掉|赢|憾负|战成|胜出|小胜|拿下|战绩|扳平"
)
_RATIO = re.compile("比例|比率|比值|配比|赔率|之比|宽比|横比|比为|比是|稀释|缩放|地图")
_LASTED = re.compile("用时|时长|耗时|历时|成绩|片长")
_DAY_NAMES = frozenset("日号號")
_RUN = re.compile("(?:的成绩)?(?:完赛|冲线|完成比赛|夺冠)|的成绩")
_DATED = re.compile(r"(?:日期|出生|生日|截至|截止|时间|预计|[于自从到至])[:：为是在到 ]{0,2}$")
_DAY_FOLLOWS = re.compile(
    " ?(?:[号日起]|当天|上午|下午|晚|凌晨|放假|送达|发货|到货"
    "|情人|妇女|劳动|儿童|教师|国庆|圣诞|平安夜|元旦|愚人|植树|青年)"
)
_SPAN_FOLLOWS = re.compile(rf"{SEP}{_MONTH}/{_DAY}(?![\d/])")
_SPAN_BEFORE = re.compile(rf"(?<!\d)(\d\d?)/(\d\d?){SEP}$")
_SET_FOLLOWS = re.compile(r"[、，,/ ] ?(\d{1,3})[-—](\d{1,3})(?![-\d])")
_SET_BEFORE = re.compile(r"(?<![-\d])(\d{1,3})[-—](\d{1,3})[、，,/ ] ?$")
_PAST = re.compile(r"年(?:的?历史|[前来间])")
_LASTS = re.compile(r"年(?:[前后来间以内多代级历里]|过|的(?:历史|时间|光阴|经验|努力|发展|奋斗))")
_SPANNED = re.compile(r"(?:[第了近约过共整达满有长用前后]|历时)$")


def read_date(year: str, month: str = "", day: str = "") -> str:
    """A date in words; the year digit by digit, month and day as quantities."""
    spoken = f"{read_digits(year)}年" if year else ""
    spoken += f"{cardinal(month)}月" if month else ""
    return spoken + (f"{cardinal(day)}日" if day else "")


def read_clock(hour: str, minute: str, second: str = "") -> str:
    """A time of day in words: `8:05` -> 八点零五分."""
    spoken = _hour(hour) + "点"
    if minute != "00" or second:
        spoken += f"{_two_digits(minute)}分"
    return spoken + (f"{_two_digits(second)}秒" if second else "")


def _hour(digits: str) -> str:
    return "两" if int(digits) == 2 else cardinal(digits)


def _two_digits(digits: str) -> str:
    value = cardinal(digits)
    return f"零{value}" if digits[0] == "0" and digits != "00" else value


def _full_date(m: re.Match[str]) -> str:
    return read_date(m[1], m[3], m[4]) + (" " if m[5] else "")


def _year_last(m: re.Match[str]) -> str | None:
    """The month comes first where it can: undecided dates are mostly from American programs."""
    first, second = int(m[1]), int(m[2])
    if not (0 < min(first, second) <= 12 and max(first, second) <= 31):
        return None
    return read_date(m[3], *((m[1], m[2]) if first <= 12 else (m[2], m[1])))


def _named_date(m: re.Match[str]) -> str | None:
    """With an English month; in an English sentence such a date keeps its order."""
    around = before(m) + after(m)
    if _LETTER.search(around) and not _HAN.search(around):
        return None
    parts = m.groupdict("")
    month = _SHORT_MONTHS.index(parts["month"][:3].title()) + 1
    until = f"到{cardinal(parts['until'])}日" if parts.get("until") else ""
    return read_date(parts.get("year", ""), str(month), parts.get("day", "")) + until


def _compact_date(m: re.Match[str]) -> str | None:
    return read_date(m[1], m[2], m[3]) if _DATED.search(before(m)) else None


def _short_date(m: re.Match[str]) -> str | None:
    """Month and day with a stroke, where they can hardly be a fraction."""
    dated = int(m[2]) == 1 or _DATED.search(before(m)) or _DAY_FOLLOWS.match(m.string, m.end())
    if not (dated or _in_span(m)):
        return None
    said = read_date("", m[1], m[2])
    return said[:-1] if after(m, 1) in _DAY_NAMES else said


def _in_span(m: re.Match[str]) -> bool:
    """Whether two such dates stand in a row and one of them is no proper fraction."""
    others = (
        _SPAN_FOLLOWS.match(m.string, m.end()),
        _SPAN_BEFORE.search(m.string, max(0, m.start() - 9), m.start()),
    )
    return any(other and any(int(d[1]) >= int(d[2]) for d in (m, other)) for other in others)


def _year(m: re.Match[str]) -> str | None:
    past = _PAST.match(m.string, m.end())
    if past and (m[0].endswith("00") or "历史" in past[0]):
        return None
    return read_digits(m[0])


def _short_year(m: re.Match[str]) -> str | None:
    if _LASTS.match(m.string, m.end()) or _SPANNED.search(before(m, 3)):
        return None
    return read_digits(m[0])


def _season(m: re.Match[str]) -> str:
    return f"{read_digits(m[1])}到{read_digits(m[2])}"


def _clock(m: re.Match[str]) -> str | None:
    around = before(m) + "|" + after(m)
    if not m[3] and (_SPORT.search(around) or _RATIO.search(before(m))):
        return None
    if _LASTED.search(before(m, 6)) or _RUN.match(m.string, m.end()):
        return _lasted(m[1], m[2], m[3] or "")
    half, hour = half_and_hour(m[1], m[4] or "")
    return half + read_clock(hour, m[2], m[3] or "")


def half_and_hour(hour: str, letter: str) -> tuple[str, str]:
    """The half of the day of `a` or `p`, and the hour in it: 12 am is the day's hour 0."""
    if int(hour) == 12 and letter:
        return ("凌晨", "0") if letter in "aA" else ("中午", hour)
    return {"a": "上午", "p": "下午", "": ""}[letter.lower()], hour


def _lasted(first: str, second: str, third: str) -> str:
    names = ("小时", "分", "秒") if third else ("分", "秒")
    parts = [p for p in (first, second, third) if p]
    return "".join(f"{_hour(p)}{name}" for p, name in zip(parts, names, strict=True))


def _long(m: re.Match[str]) -> str:
    """How long something takes: 分钟 where nothing follows, 分 before seconds."""
    hours = f"{_hour(m[1])}小时" if m[1] else ""
    minutes = _hour(m[2])
    return f"{hours}{minutes}分{cardinal(m[3])}秒" if m[3] else f"{hours}{minutes}分钟"


def _half_day(m: re.Match[str]) -> str | None:
    if not 1 <= int(m[1]) <= 12:
        return None
    half, hour = half_and_hour(m[1], m[2])
    return f"{half}{_hour(hour)}点"


def _ratio(m: re.Match[str]) -> str:
    return "比".join(read_number(part) for part in re.split(" ?[:：] ?", m[0]))


def _is_set_of_match(m: re.Match[str]) -> bool:
    """Whether such pairs stand in a row and one of them falls, as no range does."""
    others = (
        _SET_FOLLOWS.match(m.string, m.end()),
        _SET_BEFORE.search(m.string, max(0, m.start() - 10), m.start()),
    )
    return any(other and any(int(p[1]) > int(p[2]) for p in (m, other)) for other in others)


def _hyphen_score(m: re.Match[str]) -> str | None:
    if not (_SPORT.search(before(m) + "|" + after(m)) or _is_set_of_match(m)):
        return None
    return f"{read_number(m[1])}比{read_number(m[2])}"


_D, _L, _S = (Start.DIGIT,), (Start.LETTER,), (Start.SIGN,)
_OD, _OL = (Start.OPEN_DIGIT,), (Start.OPEN_LETTER,)
_NOT_COUNTED = rf"(?! ?(?:{MEASURE}|(?:{alternatives(UNITS)})(?![A-Za-z]))(?<!年))"
_SEASON = "(?:年|赛季|学年|年度|财年|财季)"
_EVENTS = (
    "春晚|款|届|级|赛季|财年|学年|年度|世界杯|欧洲杯|亚洲杯|奥运|亚运|版|新年|元旦|春节|两会|高考|国庆|"
    "中国|全国|全球|世界"
)
_EVENTS_OF_A_DAY = (
    "(?:事件|事变|惨案|晚会|大促|购物节|年中|购物|预售|狂欢|促销|部队|恐怖|恐袭|大?地震|汶川)"
)
_CENTURY = r"(?:19|20)\d\d"
_NAMES = "|".join(
    f"{name}\\.?" if name in _SHORT_MONTHS else name
    for month in (*_MONTHS, *_SHORT_MONTHS[::-1])
    for name in dict.fromkeys((month, month.upper()))
)
_NAMED_MONTH = rf"(?P<month>{_NAMES})"
_NAMED_DAY = r"(?P<day>3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?"
_NAMED_YEAR = rf"(?P<year>{_CENTURY})(?!\d)年?"

DATE_RULES = (
    Rule(
        "date",
        followed("-/."),
        rf"(\d{{4}})([-/.]){_MONTH}\2{_DAY}(?![\d]|\.\d|-\d(?!\d{{3}}))(?:([T ])(?=\d\d?[:：]))?",
        _full_date,
    ),
    Rule(
        "date",
        followed("/."),
        rf"(\d{{4}})([/.]){_MONTH}\2{_DAY}{SEP}{_MONTH}\2{_DAY}(?![\d/.])",
        lambda m: f"{read_date(m[1], m[3], m[4])}到{read_date('', m[5], m[6])}",
    ),
    Rule(
        "date",
        followed("/"),
        rf"(1[3-9]|[23]\d)/{_MONTH}/{_DAY}(?![\d/])",
        lambda m: read_date(m[1], m[2], m[3]),
    ),
    Rule(
        "date",
        followed("."),
        rf"({_CENTURY})\.(0[1-9]|1[0-2])(?:(?={SEP}(?:{_CENTURY}\.|至今|今))|(?<=\d[-~—]\d{{4}}\.\d\d)(?![\d.]))",
        lambda m: read_date(m[1], m[2]),
    ),
    Rule(
        "date",
        followed("-"),
        r"(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(?= \d\d?[:：]\d\d)",
        lambda m: read_date("", m[1], m[2]),
    ),
    Rule(
        "date",
        followed("."),
        r"(5|10)\.1(?=假期|劳动节|国庆|小长假|黄金周)",
        lambda m: f"{cardinal(m[1])}一",
    ),
    Rule("date", followed("/"), r"(\d\d?)/(\d\d?)/(\d{4})(?![\d/])", _year_last),
    Rule(
        "date",
        _OL,
        rf"{_NAMED_MONTH} ?{_NAMED_DAY}(?:{SEP}(?P<until>3[01]|[12]\d|[1-9]))?"
        rf"(?:,? ?{_NAMED_YEAR}|(?![\dA-Za-z%]|[.:/,-]\d| ?{MEASURE}))",
        _named_date,
    ),
    Rule("date", _OL, rf"{_NAMED_MONTH},? ?{_NAMED_YEAR}", _named_date),
    Rule(
        "date",
        followed(" -a"),
        rf"{_NAMED_DAY}[ -]{_NAMED_MONTH}(?:[,-]? ?{_NAMED_YEAR})?(?![\dA-Za-z])",
        _named_date,
    ),
    Rule(
        "date",
        followed("-/"),
        rf"({_CENTURY})[-/](0[1-9]|1[0-2])(?![-/.]?\d|赛季|学年|财年|财季|年)",
        lambda m: read_date(m[1], m[2]),
    ),
    Rule("date", _D, rf"({_CENTURY})(0[1-9]|1[0-2])([0-2]\d|3[01])(?!\d)", _compact_date),
    Rule("date", followed("/"), rf"(?<!/){_MONTH}/{_DAY}(?![\d/.])", _short_date),
    Rule(
        "date",
        _OD,
        rf"(\d\d?)(?:·|\.(?=\d\d?{_EVENTS_OF_A_DAY}))(\d\d?)(?!\d)",
        lambda m: read_digits(m[1] + m[2]),
    ),
    Rule("date", _D, rf"\d{{3,4}}(?= ?{_EVENTS_OF_A_DAY})", digits),
    Rule("date", _D, r"(?:(?<=京东)|(?<=天猫)|(?<=淘宝)|(?<=年中))(?:618|1111|1212)", digits),
    Rule("date", _D, r"520(?=1314|(?:1314)? ?(?:快乐|告白|表白|情人))|(?<=520)1314", digits),
    Rule("date", _D, r"0([1-9])(?=[月日号號车集期章节回])", lambda m: cardinal(m[1])),
    Rule("year", _D, r"(?:(?<=公元)|(?<=公元前))\d{1,4}(?=年)", digits),
    Rule("year", _D, r"[12]\d{3}(?=年)", _year),
    Rule("year", _D, r"(\d\d)(?=年\d{1,2}月)", digits),
    Rule("year", _D, r"(?:0\d|[6-9][1-9])(?=年)", _short_year),
    Rule("year", followed(" -~—"), rf"([12]\d{{3}})(?={SEP}(?:\d\d|[12]\d{{3}}){_SEASON})", digits),
    Rule("year", followed(" -~—"), rf"({_CENTURY})(?={SEP}{_CENTURY}(?!\d){_NOT_COUNTED})", digits),
    Rule("year", _D, rf"(?<=\d{{4}}[-~—])({_CENTURY})(?!\d){_NOT_COUNTED}", digits),
    Rule("year", _D, rf"(?<=\d{{4}}[-~—/])(\d\d)(?={_SEASON})", digits),
    Rule("year", _D, rf"({_CENTURY})(?= ?(?:{_EVENTS}|Q[1-4]|H[12]|FY))", digits),
    Rule("year", followed("a"), r"(?<!\d)(\d\d)(?=(?:Q[1-4]|H[12])(?![A-Za-z\d]))", digits),
    Rule("year", _OD, r"(?:(?<=《)\d{4}(?=》)|(?<=[〔（(])(?:19|20)\d\d(?=[〕）)]))", digits),
    Rule("year", _D, rf"(?<=《){_CENTURY}(?=[\u4e00-\u9fff])(?! ?{MEASURE})", digits),
    Rule("decade", _OD, r"((?:19|20)\d0)'?s(?![A-Za-z])", lambda m: f"{digits(m)}年代"),
    Rule("decade", _OD, r"([2-9]0)'s(?![A-Za-z])", lambda m: f"{cardinal(m[1])}年代"),
    Rule("year", followed("/"), rf"({_CENTURY}|\d\d)/(\d\d)(?= ?(?:赛季|学年|财年|年度))", _season),
    Rule("decade", _D, r"((?:[5-9]0){2})(?=后)", digits),
    Rule("decade", _D, r"([5-9][05]|0[05])(?=[、和/](?:[5-9][05]|0[05]|10)后)", digits),
    Rule("decade", _D, r"([5-9][05]|0[05]|10)(?=后(?![续来面边期半悔退天]))", digits),
)

TIME_RULES = (
    Rule(
        "time",
        followed(":："),
        r"([01]?\d|2[0-4])[:：]([0-5]\d)(?:[:：]([0-5]\d))?(?![\d:：]|\.\d)"
        r"(?: ?([AaPp])\.?[Mm](?![A-Za-z])\.?)?",
        _clock,
    ),
    Rule("time", followed(" a"), r"(\d\d?) ?([AaPp])\.?[Mm](?![A-Za-z])\.?", _half_day),
    Rule("time", _D, r"0(\d)(?=[时時点點])", lambda m: cardinal(m[1])),
    Rule(
        "time",
        followed("a"),
        r"(\d{1,3})h ?(\d{1,2}) ?m(?:in)?(?: ?(\d{1,2}) ?s(?:ec)?)?(?![A-Za-z\d])",
        _long,
    ),
    Rule(
        "time",
        _OD,
        r"()(\d{1,3})(?: ?m(?:in)? ?(?=\d\d? ?s)|['′](?=\d\d[\"″]))"
        r"(\d\d?) ?(?:s(?:ec)?(?![A-Za-z\d])|[\"″])",
        _long,
    ),
)

SCORE_RULES = (
    Rule("score", _OD, rf"{NUM} ?[:：] ?{NUM}(?: ?[:：] ?{NUM})?(?![:：]\d)", _ratio),
    Rule("score", followed("-—"), r"(\d{1,3})[-—](\d{1,3})(?![-\d])", _hyphen_score),
)
