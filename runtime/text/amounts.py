"""Rules for money, percentages, fractions, units, ranges, ordinals and counted things."""

from __future__ import annotations

import re

from .numerals import read_digits, read_number, shift_point
from .patterns import (
    NUM,
    SEP,
    Rule,
    Start,
    after,
    before,
    cardinal,
    counted,
    digits,
    followed,
    preceded,
    saying,
)
from .units import (
    CURRENCIES,
    CURRENCY_CODES,
    MAGNITUDES,
    MEASURE,
    PER,
    UNITS,
    alternatives,
)

__all__ = [
    "AMOUNT_RULES",
    "LATE_UNIT",
    "NUMBER_RULES",
    "RANGE_RULES",
    "read_money",
    "read_quantity",
    "read_unit",
]

_PARTS_OF = {"%": "百分之", "‰": "千分之", "‱": "万分之"}
_WATTS = re.compile(
    "功率[为是达约]{0,2}$| ?(?:功率|快充|充电|超充|灯|电机|适配|插头|音箱|喇叭|电源)"
)
_CROWD = re.compile(
    "(?:年薪|月薪|销量|粉丝|播放量?|身家|存款|阅读量?|预算|DAU|GMV|用户|[日月]活)[为是达约超破过]{0,2}$"
    r"| ?\+|粉|[元块人]|年薪|预算|播放|阅读|点赞|浏览|销量|存款"
)
_SIDES = {"N": "北纬", "S": "南纬", "E": "东经", "W": "西经"}
_WARM = re.compile("温|室外|最低|最高|夜间|白天|早晨|体感|天气")
_SPEED = re.compile("时速[为是达约]?$")
_BY_UNIT = re.compile(r"[\d零一二两三四五六七八九十百千万亿萬億几] ?[\u4e00-\u9fff]{1,3}$|[%‰] ?$")
_NAME_BEFORE = re.compile("(?<![AD]C)(?<=[A-Za-z]) ?$")
_POWER_BEFORE = re.compile(r"(?:\^-?\d{1,3}|[⁰¹²³⁴-⁹])$")
_HASHED = re.compile(r"#\d{1,12}$")
_AMOUNT = re.compile(r"(\d+) ?(\D+)")
_LISTED = frozenset("号日班级楼栋座排路")
_NO_FRACTION = re.compile("(?:第|血压[为是约达至：: ]{0,2})$")
_CODE_BEFORE = re.compile(r"(?<![A-Za-z])([A-Z])\d{1,3}$")
_NUMBERED = re.compile(r"(?:第|[图表式例题])[\d、]*$")
_LOW_END = re.compile(
    r"(?:[\d%‰°¥$€²³]|°[CF]|[AaPp]\.?[Mm]\.?|"
    r"\d[A-Za-z]{1,3}|[\d万亿萬億千百][\u4e00-\u9fff]{1,3}) ?$"
)


def read_money(number: str, magnitude: str, currency: str) -> str:
    """An amount: (`3.50`, `万`, `美元`) -> 三点五万美元; `3.5` and `M` are 三百五十万."""
    if magnitude in MAGNITUDES:
        number, magnitude = shift_point(number, MAGNITUDES[magnitude]), ""
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return counted(number) + magnitude + currency


def read_unit(unit: str) -> str | None:
    """A unit in words, one per another with a stroke: `mg/L` -> 毫克/升; None where unknown."""
    if unit in UNITS:
        return UNITS[unit]
    whole, stroke, per = unit.partition("/")
    below = _below(per)
    return f"{UNITS[whole]}/{below}" if whole in UNITS and stroke and below else None


def read_quantity(number: str, unit: str) -> str:
    """A number in words of a unit in words: (五, 毫克/升) -> 每升五毫克."""
    whole, _, below = unit.partition("/")
    return (f"每{below}" if below else "") + number + whole


def _below(unit: str) -> str | None:
    amount = _AMOUNT.fullmatch(unit)
    if amount and unit not in UNITS:
        name = UNITS.get(amount[2])
        return counted(amount[1]) + name if name else None
    return UNITS.get(unit, unit if unit in PER else None)


def _money(m: re.Match[str]) -> str:
    sign, low, high, magnitude = m[1].strip(), m[2], m[3], m[4] or ""
    currency = CURRENCIES.get(sign) or CURRENCY_CODES[sign]
    if currency == "人民币":
        return "人民币" + _span(low, high, magnitude, "元")
    return _span(low, high, magnitude, currency)


def _money_per(m: re.Match[str]) -> str | None:
    below = _below(m[5])
    return f"每{below}{_money(m)}" if below else None


def _span(low: str, high: str | None, magnitude: str, currency: str) -> str:
    if not high:
        return read_money(low, magnitude, currency)
    return f"{read_money(low, '', '')}到{read_money(high, magnitude, currency)}"


def _money_after(m: re.Match[str]) -> str:
    currency = CURRENCIES.get(m[3]) or CURRENCY_CODES[m[3]]
    name = "元人民币" if currency == "人民币" else currency
    return read_money(m[1], m[2] or "", name)


def _percent(m: re.Match[str]) -> str:
    if m[1] == "100" and m[2] == "%":
        return "百分之百"
    return _PARTS_OF[m[2]] + read_number(m[1])


def _percent_range(m: re.Match[str]) -> str:
    part = _PARTS_OF[m[4]]
    second = part if m[2] else ""
    return f"{part}{read_number(m[1])}到{second}{read_number(m[3])}"


def _mixed_fraction(m: re.Match[str]) -> str | None:
    if int(m[2]) >= int(m[3]):
        return None
    return f"{read_number(m[1])}又{read_number(m[3])}分之{read_number(m[2])}"


def _fraction(m: re.Match[str]) -> str | None:
    if _NO_FRACTION.search(before(m, 6)) or after(m, 1) in _LISTED:
        return None
    return f"{read_number(m[2])}分之{read_number(m[1])}" + ("秒" if m[3] else "")


def _unit(m: re.Match[str]) -> str | None:
    unit = read_unit(m[3])
    if unit is None or (len(m[3]) == 1 and _NAME_BEFORE.search(before(m, 3))):
        return None
    if m[1] and "/" not in unit:
        return None
    if unit.endswith("/小时") and _SPEED.search(before(m, 4)):
        unit = unit.partition("/")[0]
    return read_quantity(_low_high(m), unit)


def _per_unit(m: re.Match[str]) -> str | None:
    below = _below(m[4])
    return f"每{below}{_low_high(m)}{m[3]}" if below else None


def _low_high(m: re.Match[str]) -> str:
    low = f"{counted(m[1])}到" if m[1] else ""
    return low + counted(m[2])


def _ten_thousands(m: re.Match[str]) -> str | None:
    """A `w` is 万, a `W` watts, unless what stands around says otherwise."""
    said = _WATTS if m[3] == "w" else _CROWD
    other = said.search(before(m, 6)) or said.match(m.string, m.end())
    if m[3] == "w":
        return _low_high(m) + ("瓦" if other else "万")
    return f"{_low_high(m)}万" if other else None


def _angle(m: re.Match[str]) -> str:
    parts = zip(m.groups()[:3], ("度", "分", "秒"), strict=True)
    side = _SIDES.get(m[4] or "", "")
    spoken = "".join(read_number(part) + name for part, name in parts if part)
    return spoken if before(m, 2) == side else side + spoken


def _per(m: re.Match[str]) -> str | None:
    ahead = before(m, 8)
    counts = _BY_UNIT.search(ahead) or _POWER_BEFORE.search(ahead)
    below = _below(m[1]) if counts else None
    return f"每{below}" if below else None


def _below_zero(m: re.Match[str]) -> str | None:
    degrees = m[1] or _WARM.search(before(m))
    return "零下" if degrees else None


def _same_letter(m: re.Match[str]) -> str | None:
    first = _CODE_BEFORE.search(before(m, 4))
    return "到" if first and first[1] == m[1] else None


def _to(m: re.Match[str]) -> str | None:
    return "到" if _LOW_END.search(before(m, 6)) else None


def _two(m: re.Match[str]) -> str | None:
    return None if _NUMBERED.search(before(m, 8)) else "两"


def _about(m: re.Match[str]) -> str | None:
    low, high = int(m[1]), int(m[2])
    if preceded(m, "第、") or not (high == low + 1 or (low, high) == (3, 5)):
        return None
    return ("两" if low == 2 else read_digits(m[1])) + read_digits(m[2])


def _english_ordinal(m: re.Match[str]) -> str:
    return f"第{cardinal(m[1])}"


def _numero(m: re.Match[str]) -> str:
    return f"第{cardinal(m[1])}" if len(m[1]) < 4 else f"编号{read_digits(m[1])}"


def _hash(m: re.Match[str]) -> str:
    number = cardinal(m[1]) if len(m[1]) < 4 else read_digits(m[1])
    return number + ("" if after(m, 1) in ("号", "號") else "号")


def _numbered(m: re.Match[str]) -> str | None:
    return None if _HASHED.search(before(m, 14)) or after(m, 1) in ("号", "號") else "号"


def _quarter(m: re.Match[str]) -> str | None:
    if before(m, 2) in ("奥迪", "瑞驰"):
        return None
    return f"第{read_digits(m[1])}季度"


def _half_year(m: re.Match[str]) -> str:
    return "上半年" if m[1] == "1" else "下半年"


def _counted_number(m: re.Match[str]) -> str | None:
    """A long number is a quantity where a measure word says so."""
    spoken = counted(m[0], m.string, m.end())
    return spoken if len(m[0]) > 12 and "," not in m[0] else None


def _signed_unit(m: re.Match[str]) -> str | None:
    """After characters, what is written in letters alone is left for the last."""
    early = not (m[0].isascii() and m[0].isalpha()) or _POWER_BEFORE.search(before(m, 6))
    return _late_unit(m) if early else None


def _late_unit(m: re.Match[str]) -> str | None:
    unit = read_unit(m[0])
    return unit.replace("/", "每") if unit else None


_D, _L, _S = (Start.DIGIT,), (Start.LETTER,), (Start.SIGN,)
_OD, _OL = (Start.OPEN_DIGIT,), (Start.OPEN_LETTER,)
_SIGN = alternatives(CURRENCIES)
_SIGNS = "".join(sign for sign in CURRENCIES if len(sign) == 1)
_CODE = alternatives(CURRENCY_CODES)
_BIG = r"(百万|千万|万亿|[千万萬亿億]|(?:[kKMBw]|bn|[mb]illion|trillion)(?![A-Za-z]))?"
_LOW_HIGH = rf"({NUM})(?:{SEP}(?:{_SIGN})?({NUM}))?"
_PER = alternatives(PER)
_BELOW = rf"(\d{{1,4}} ?(?:k?g|m?[lL]|k?m)(?![A-Za-z])|[A-Za-zμ]{{1,4}}[²³23]?(?![A-Za-z])|{_PER})"
_WHOLE_SQUARE = r"[kdcm]?m(?:[²³]|\^?[23])"
_LONE_BELOW = r"(?:[hsLg]|min|kg|[md]L|[kcd]?m[²³23]?|s[²2])"
_WHOLE = r"[A-Za-zμΩ°]{1,6}(?:[²³]|\^?[23](?!\d))?"
_UNIT = rf"({_WHOLE}(?:/(?:100(?:km|g|m[lL])(?![A-Za-z])|[A-Za-zμ]{{1,4}}[²³23]?|{_PER}))?)"
_LONE_UNIT = rf"(?:{_WHOLE_SQUARE}|μ[msgLA]|(?:k?m|k?g|mg|μg|mm?ol|MB|kW)/{_LONE_BELOW})"
_ANY_UNIT = rf"(?:{alternatives(UNITS)})(?![A-Za-z])"
_ANGLE = (
    rf"({NUM})°(?:(\d{{1,2}}(?:\.\d{{1,6}})?)[′'])?(?:(\d{{1,2}}(?:\.\d{{1,6}})?)[″\"])?"
    r"(?: ?([NSEW])(?![A-Za-z]))?(?! ?[CF])"
)
_PURE_UNIT = alternatives(u for u in UNITS if u.isascii() and u.isalpha() and len(u) > 1)
LATE_UNIT = Rule(
    "unit",
    _L,
    rf"(?<=[万亿萬億千百多余几])(?:{_PURE_UNIT}|[mgtL])(?![A-Za-z])",
    _late_unit,
)
"""A unit after a number that is written in characters: 十万kg."""

AMOUNT_RULES = (
    Rule("money", (*_OL, *_SIGNS), rf"({_SIGN}) ?{_LOW_HIGH} ?{_BIG}元?/{_BELOW}", _money_per),
    Rule(
        "money",
        followed(".,"),
        r"(\d{1,3}(?:,\d{3}){1,6}|\d{1,24})(\.\d{0,9}0)(?= ?元(?!/))",
        lambda m: read_money(m[0], "", ""),
    ),
    Rule("money", (*_OL, *_SIGNS), rf"({_SIGN}) ?{_LOW_HIGH} ?{_BIG}元?", _money),
    Rule("money", _OL, rf"({_CODE}) ?{_LOW_HIGH} ?{_BIG}元?", _money),
    Rule("money", _D, rf"({NUM}) ?{_BIG} ?({_SIGN}|(?:{_CODE})(?![A-Za-z]))(?!\d)", _money_after),
    Rule("percent", _OD, rf"({NUM}) ?(%)?{SEP}({NUM}) ?([%‰‱])", _percent_range),
    Rule("percent", _OD, rf"({NUM}) ?([%‰‱])", _percent),
    Rule("percent", "+", rf"\+(?={NUM} ?[%‰‱])", saying("正")),
    Rule("fraction", followed("/"), r"24/7(?![\d/.])", saying("二十四七")),
    Rule("fraction", followed(" "), r"(\d{1,4}) (\d{1,3})/(\d{1,3})(?![\d/.])", _mixed_fraction),
    Rule(
        "fraction",
        followed("/"),
        r"(?<!/)(\d{1,9})/(\d{1,9})(?![\d/.]| ?mmHg)(s(?![A-Za-z]))?",
        _fraction,
    ),
    Rule("number", _OD, rf"(?:({NUM}){SEP})?({NUM}) ?([wW])(?![A-Za-z\d])", _ten_thousands),
    Rule("unit", _OD, _ANGLE, _angle),
    Rule("unit", _OD, rf"(?:({NUM}){SEP})?({NUM}) ?{_UNIT}(?![A-Za-z\d])", _unit),
    Rule("unit", _D, rf"(?:({NUM}){SEP})?({NUM})([\u4e00-\u9fff]{{1,5}})/{_BELOW}", _per_unit),
    Rule("unit", _L, rf"(?<=[万亿萬億千百多余几\d⁰¹²³⁴-⁹]){_UNIT}(?![A-Za-z\d])", _signed_unit),
    Rule("unit", _D, rf"(?:(?<=\d米)[1-9]\d|(?<=\d秒)\d\d)(?![\d.]| ?{MEASURE})", digits),
    Rule(
        "unit", (*_OL, "μ"), rf"(?<![-+=*/A-Za-z\d]){_LONE_UNIT}(?![-+=*/A-Za-z\d^²³])", _late_unit
    ),
    Rule("unit", (*_L, *_OL), r"(?<=\d)M(?=宽带|流量|网速|带宽|光纤|网口)", saying("兆")),
    Rule("unit", "/", rf"/([A-Za-z]{{1,4}}[²³]?|{alternatives(PER)})", _per),
)

RANGE_RULES = (
    Rule(
        "unit",
        "-",
        rf"(?<![\dA-Za-z])-(?= ?{NUM}(?:(?:{SEP}|[到至])-?{NUM})? ?(?:(°[CF]|摄氏|华氏)|度))",
        _below_zero,
    ),
    Rule(
        "range",
        "-~—",
        r"(?<=[年月日号])[-~—](?=公元|今(?!天)|现在)|(?<=[一二三四五六])[-~—](?=周|星期)",
        saying("到"),
    ),
    Rule("range", "-~—", r"[-~—](?=([A-Z])\d{1,3}(?![A-Za-z\d]))", _same_letter),
    Rule("range", "-~—", r" ?[-~—] ?(?=-?[¥$€£]?\d)", _to),
    Rule("negative", "-", rf"(?<![\dA-Za-z)）])-(?= ?(?:{_SIGN})?\.?\d)", saying("负")),
)

NUMBER_RULES = (
    Rule("two", _D, rf"2(?= ?{MEASURE})(?<![\d.,]2)", _two),
    Rule(
        "two",
        followed(" -~—"),
        rf"2(?={SEP}\d{{1,3}}(?:\.\d{{1,3}})? ?(?:{MEASURE}|{_ANY_UNIT}))",
        _two,
    ),
    Rule("about", followed("、,"), rf"([1-9])[、,]([1-9])(?= ?{MEASURE})(?!\d)", _about),
    Rule("ordinal", followed("a"), r"(\d{1,4})(?:st|nd|rd|th)(?![A-Za-z])", _english_ordinal),
    Rule("ordinal", (*_OL, "№"), r"(?:No\.|NO\.|no\.|№) ?(\d{1,12})(?![\d.])", _numero),
    Rule("ordinal", "#", r"#(\d{1,12})(?![\d.])", _hash),
    Rule("ordinal", "#", r"(?<=\d)#(?![\dA-Za-z])", _numbered),
    Rule("quarter", (*_L, *_OL), r"(?<=\d\d)H([12])(?![A-Za-z0-9])", _half_year),
    Rule("quarter", _OL, r"Q([1-4])(?![A-Za-z0-9.])", _quarter),
    Rule("number", _D, r"\d{13,24}(?!\.?\d)", _counted_number),
)
