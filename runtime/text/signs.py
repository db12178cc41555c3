"""Rules for mathematics, Roman and circled numbers, and signs that are said by name."""

from __future__ import annotations

import re
import unicodedata

from .numerals import read_cardinal, read_digits, read_number, read_roman, read_telephone
from .patterns import NUM, Rule, Start, after, before, behind, cardinal, followed, saying
from .units import CURRENCIES

__all__ = [
    "ALWAYS",
    "CIRCLED",
    "LATE_ROMAN",
    "MATHS_RULES",
    "SIGNS",
    "SIGN_NAMES",
    "SIGN_RULES",
    "TRIGGER",
]

SIGN_NAMES = {
    "&": "和",
    "@": "艾特",
    "%": "百分号",
    "‰": "千分号",
    "‱": "万分号",
    "+": "加",
    "=": "等于",
    "×": "乘",
    "÷": "除以",
    "±": "正负",
    "≠": "不等于",
    "≈": "约等于",
    "≡": "恒等于",
    "≤": "小于等于",
    "≥": "大于等于",
    "√": "根号",
    "∛": "三次根号",
    "∞": "无穷大",
    "∈": "属于",
    "∠": "角",
    "⊥": "垂直于",
    "∥": "平行于",
    "∵": "因为",
    "∴": "所以",
    "∑": "求和",
    "∫": "积分",
    "°": "度",
    "$": "美元",
    "¥": "元",
    "€": "欧元",
    "£": "英镑",
    "№": "号",
    "Ω": "欧姆",
    "α": "阿尔法",
    "β": "贝塔",
    "γ": "伽马",
    "δ": "德尔塔",
    "Δ": "德尔塔",
    "ε": "艾普西龙",
    "ζ": "泽塔",
    "η": "伊塔",
    "θ": "西塔",
    "λ": "兰姆达",
    "μ": "缪",
    "ν": "纽",
    "ξ": "克西",
    "π": "派",
    "ρ": "柔",
    "σ": "西格玛",
    "Σ": "西格玛",
    "τ": "陶",
    "φ": "斐",
    "χ": "希",
    "ψ": "普西",
    "ω": "欧米伽",
    "Γ": "伽马",
    "Θ": "西塔",
    "κ": "卡帕",
    "Λ": "兰姆达",
    "Π": "派",
    "Φ": "斐",
    "Ψ": "普西",
}
"""What a sign is called where no other rule reads it."""

_SUPERSCRIPT_SIGNS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺"
_SUPERSCRIPT = str.maketrans(_SUPERSCRIPT_SIGNS, "0123456789-+")
_POWERS = {"2": "平方", "3": "立方"}
_CONTRACTED = {"ll": "will", "re": "are", "d": "would"}
_FACES = r"(?:=_=|=\.=|>_<|-_-(?:\|\|)?|\^_\^|(?<=[:;])-[DPpOo])"
_AFTER_OPERAND = r"(?:(?<=[\dA-Za-z)\]])|(?<=[\dA-Za-z)\]] ))"
_AFTER_BRIEF = r"(?:(?<=[\d)\]] )|(?<=(?<![A-Za-z])[A-Za-z] ))"
_BRIEF = r"(?:-?\d|[A-Za-z](?![A-Za-z]))"
_STEP_AHEAD = re.compile(r"[\u4e00-\u9fff]{1,12}>")
_STEP_BEHIND = re.compile(r">[\u4e00-\u9fff]{1,12}$")
_EQUATION_AHEAD = re.compile(r"[-\dA-Za-z+*/×÷(). ]{1,40}=")
_EQUATION_BEHIND = re.compile(r"=[-\dA-Za-z+*/×÷(). ]{1,20}$")
_INLINE_BEFORE = "第图表式注见步例题条类项组和与及或至到、"
_INLINE_AFTER = "和与及或是的中为到至步号图表式组项类、，。；）"
CIRCLED = "①-⑳㉑-㉟㊱-㊿⓪⓫-⓿❶-➓⑴-⒇⒈-⒛"
_KINGS = (
    "路易|亨利|查理|查尔斯|爱德华|乔治|威廉|伊丽莎白|玛丽|保罗|本笃|约翰|拿破仑|腓特烈|菲利普|费利佩|詹姆斯|彼得|"
    "尼古拉|凯瑟琳|理查|弗朗西斯|庇护|格里高利|克莱门|利奥|阿方索|卡尔|古斯塔夫|亚历山大|弗里德里希|奥托"
)
_ROMAN_NOUNS = "期|级|类|型|章|节|部|卷|篇|世|区|代|阶段|等|档|册|幕|集"


def _dialled(m: re.Match[str]) -> str:
    return read_telephone(m[0]).replace("*", "星").replace("#", "井")


def _path(m: re.Match[str]) -> str | None:
    """A pause between the steps of a way through menus; a lone sign compares."""
    steps = _STEP_AHEAD.match(m.string, m.end()) or _STEP_BEHIND.search(before(m, 14))
    return "，" if steps else None


def _contracted(m: re.Match[str]) -> str:
    """Written out, since without its apostrophe it is another word: `well`, `were`, `shed`."""
    return f"{m[1]} {_CONTRACTED[m[2].lower()]}"


def _ion(m: re.Match[str]) -> str:
    return read_digits(m[1].translate(_SUPERSCRIPT)) + ("加" if m[2] == "⁺" else "减")


def _minus(m: re.Match[str]) -> str | None:
    text = m.string
    ahead = _EQUATION_AHEAD.match(text, m.end())
    return "减" if ahead or _EQUATION_BEHIND.search(before(m, 22)) else None


def _power(exponent: str) -> str:
    exponent = exponent.lstrip("+")
    if exponent in _POWERS:
        return f"的{_POWERS[exponent]}"
    sign = "负" if exponent.startswith("-") else ""
    return f"的{sign}{cardinal(exponent.lstrip('-'))}次方"


def _superscript(m: re.Match[str]) -> str | None:
    exponent = m[0].translate(_SUPERSCRIPT)
    return _power(exponent) if re.fullmatch(r"[-+]?\d{1,6}", exponent) else None


def _scientific(m: re.Match[str]) -> str:
    return f"{read_number(m[1])}乘以十{_power(m[2])}"


def _times(m: re.Match[str]) -> str:
    return "乘以" if re.match(r" ?10(?:\^|[⁰-⁹¹²³⁻])", after(m, 6)) else "乘"


def _roman(m: re.Match[str]) -> str | None:
    return read_roman(unicodedata.normalize("NFKD", m[0]))


def _ascii_roman(m: re.Match[str]) -> str | None:
    return read_roman(m[0])


def _circled(m: re.Match[str]) -> str:
    number = cardinal(str(int(unicodedata.numeric(m[0]))))
    previous, following = before(m, 1), after(m, 1)
    if (previous and previous in _INLINE_BEFORE) or (following and following in _INLINE_AFTER):
        return number
    return f"，{number}，" if following else number


def _item(m: re.Match[str]) -> str | None:
    head = before(m, 2).rstrip(" ")
    return f"{cardinal(m[1])}，" if not head or head[-1] in "\n。；，：" else None


def _sign(m: re.Match[str]) -> str | None:
    return SIGN_NAMES.get(m[0])


def _plain_digits(m: re.Match[str]) -> str:
    whole, *parts = m[0].rstrip(".").split(".")
    spoken = "点".join([read_cardinal(whole or "0"), *map(read_digits, parts)])
    return spoken + ("。" if m[0].endswith(".") else "")


def _plain_sign(m: re.Match[str]) -> str:
    value = unicodedata.normalize("NFKC", m[0])
    return read_digits(value) if value.isdecimal() else f" {value} "


_D, _L, _S = (Start.DIGIT,), (Start.LETTER,), (Start.SIGN,)
_OD, _OL = (Start.OPEN_DIGIT,), (Start.OPEN_LETTER,)

CODE_SIGN_RULES = (
    Rule("sign", "*", r"\*(?=号?键)", saying("星")),
    Rule("sign", "#", r"#(?=号?键)", saying("井")),
    Rule("sign", "*", r"(?<![\dA-Za-z])\*#?\d{1,8}(?:\*\d{1,11})?#(?![\dA-Za-z])", _dialled),
    Rule("sign", "=>-^", rf"{_FACES}(?![A-Za-z\d_])", saying(" ")),
    Rule("sign", _OL, r"(?:T_T|T\^T|o_O|O_o|O_O)(?![A-Za-z\d_])", saying(" ")),
    Rule("sign", "=", rf"{_AFTER_OPERAND}={{2,3}}(?= ?[\dA-Za-z(\[\"'-])", saying("等于")),
    Rule("sign", "=~", r"(?<!=)={2,3}(?!=)|(?<!~)~~(?!~)", saying(" ")),
    Rule("sign", "+", r"(?<![^\n])\+ (?=[\u4e00-\u9fff])", saying(" ")),
    Rule("sign", "&", r"&&", saying("和")),
    Rule("sign", "|", rf"{_AFTER_OPERAND}\|\|(?= ?[\dA-Za-z(!])", saying("或")),
    Rule("sign", ">", r"(?<=[\u4e00-\u9fff])>(?=[\u4e00-\u9fff])", _path),
    Rule("sign", _OL, r"([A-Za-z]{1,20})'(ll|re|d|LL|RE|D)(?![A-Za-z])", _contracted),
    Rule(
        "id",
        "-",
        r"(?:(?<=[图表式例]\d)|(?<=[图表式例]\d\d)|(?<=[图表式例][(（]\d))-(?=\d{1,3}(?![\d.]))",
        saying("杠"),
    ),
)
MATHS_RULES = (
    *CODE_SIGN_RULES,
    Rule("maths", "<", rf"{_AFTER_BRIEF}<(?= {_BRIEF})", saying("小于")),
    Rule("maths", ">", rf"{_AFTER_BRIEF}>(?= {_BRIEF})", saying("大于")),
    Rule("maths", _SUPERSCRIPT_SIGNS, r"(?<=[A-Za-z\d)])([⁰¹²³⁴-⁹]{0,2})([⁺⁻])(?![⁰¹²³⁴-⁹])", _ion),
    Rule("maths", "-", r"(?<=[\dA-Za-z)²³])-(?=[\dA-Za-z(])", _minus),
    Rule("maths", _OD, rf"(?<![A-Za-z])({NUM})[eE]([+-]?\d{{1,4}})(?![\dA-Za-z.])", _scientific),
    Rule("maths", _SUPERSCRIPT_SIGNS, r"[⁻⁺]?[⁰¹²³⁴-⁹]{1,6}", _superscript),
    Rule("maths", "^", r"\^([A-Za-z])(?![A-Za-z])", lambda m: f"的{m[1]}次方"),
    Rule("maths", "^", r"\^ ?\(?([-+]?\d{1,4})(?!\d)\)?", lambda m: _power(m[1])),
    Rule("maths", "×*", r"[×*](?= ?[\dA-Za-z(√π])(?<=[\dA-Za-z)²³π\u4e00-\u9fff].)", _times),
    Rule("maths", _L, r"(?<=\d)[xX](?=变焦|光学|放大|速)", saying("倍")),
    Rule("maths", _OL, r"(?<=\d)[xX](?=\d)(?<![^\d]0[xX])(?<!^0[xX])", saying("乘")),
    Rule(
        "maths",
        "<",
        r"<(?=-?\d)|(?<=[\dA-Za-z\u4e00-\u9fff)²³π])<(?=[-A-Za-z\u4e00-\u9fff])",
        saying("小于"),
    ),
    Rule(
        "maths",
        ">",
        r">(?=-?\d)|(?<=[\dA-Za-z\u4e00-\u9fff)²³π])>(?=[-A-Za-z\u4e00-\u9fff])",
        saying("大于"),
    ),
    Rule("maths", "<", r"<=", saying("小于等于")),
    Rule("maths", ">", r">=", saying("大于等于")),
    Rule("maths", "!", r"!=", saying("不等于")),
    Rule("maths", "→", r"→(?=.)(?<=.→)", saying("到")),
)

SIGN_RULES = (
    Rule("roman", _S, r"[Ⅰ-ⅿ]{1,12}", _roman),
    Rule("circled", _S, rf"[{CIRCLED}]", _circled),
    Rule("list", followed("."), r"(\d{1,3})\.(?= ?[A-Za-z\u4e00-\u9fff“《])", _item),
    Rule("sign", "=+&@%*_/~|\\-", r"([=+&@%*_/~|\\-])\1{3,2000}", saying(" ")),
    Rule("sign", "#", r"(?<=[A-Za-z])#(?![A-Za-z\d])", saying("井")),
    Rule("sign", "/", r"(?<=[A-Za-z\d\u4e00-\u9fff])/(?=[A-Za-z\d\u4e00-\u9fff])", saying("、")),
    Rule("sign", "_", r"(?<=[A-Za-z\d])_(?=[A-Za-z\d])", saying("下划线")),
    Rule("sign", "\\", r"\\(?=[A-Za-z])", saying("反斜杠")),
    Rule("sign", "Φφ", r"[Φφ](?=\d)", saying("直径")),
    Rule("sign", "°∠", r"(?<!\d)°|∠(?![A-Za-zα-ω\d])", saying(" ")),
    Rule("sign", _S, r"[^\d]", _sign),
)

LATE_ROMAN = (
    Rule("roman", _L, r"(?<=第)[IVX]{1,7}(?![A-Za-z])", _ascii_roman),
    Rule("roman", _L, r"(?<=[a-z] )(?:II|III|IV|VI{1,3}|IX|XI{1,3})(?![A-Za-z])", _ascii_roman),
    Rule("roman", _L, rf"{behind(_KINGS)} ?[IVX]{{1,7}}(?![A-Za-z])", _ascii_roman),
    Rule("roman", _L, rf"(?!XX)(?:[IVX]{{2,6}}|I)(?=(?:{_ROMAN_NOUNS}))", _ascii_roman),
)
"""Roman numbers in plain letters; they are looked for last, in the text as it is said."""

ALWAYS = (
    Rule("number", _D, NUM, lambda m: read_number(m[0])),
    Rule("number", _D, r"\.?\d[\d.]*", _plain_digits),
    Rule("number", _S, rf"[⁰¹²³⁴-⁹Ⅰ-ⅿ{CIRCLED}]", _plain_sign),
)
SIGNS = frozenset(
    [*SIGN_NAMES, *(c for c in CURRENCIES if len(c) == 1), *"-~—/\\_*^<>→#|", *_SUPERSCRIPT_SIGNS]
)
"""Signs that a rule may read, beside Roman and circled numbers."""

TRIGGER = re.compile(
    r"\d{1,24}|(?<![A-Za-z])[A-Za-z]+|(?<![A-Za-z\d])\.(?=[\dA-Za-z])|!(?==)"
    rf"|[Ⅰ-ⅿ{CIRCLED}{re.escape(''.join(sorted(SIGNS)))}]"
)
"""Where a rule is tried: a number, a word of Latin letters, a sign."""
