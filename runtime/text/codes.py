"""Rules for what is read sign by sign: addresses of the net, telephones, ids, versions, models."""

from __future__ import annotations

import re

from .numerals import read_digits, read_number, read_telephone
from .patterns import Rule, Start, after, before, behind, cardinal, digits, followed, saying
from .units import MEASURE, words

__all__ = [
    "CODE_RULES",
    "MODEL_RULES",
    "NET_RULES",
    "NET_SIGNS",
    "TELEPHONE_RULES",
    "read_address",
    "read_phone",
]

NET_SIGNS = {
    ".": "点",
    "/": "斜杠",
    "\\": "反斜杠",
    ":": "冒号",
    "-": "杠",
    "_": "下划线",
    "?": "问号",
    "=": "等于",
    "&": "和",
    "#": "井号",
    "%": "百分号",
    "~": "波浪号",
    "@": "艾特",
    "+": "加",
}
_DOMAINS = (
    "com|cn|org|net|gov|edu|io|ai|tv|cc|top|info|me|co|uk|us|jp|hk|tw|mo|de|fr|ru|eu|xyz|app|dev|"
    "shop|vip|site|online|club|wang|biz|mil|int"
)
_HOST = rf"(?:[A-Za-z0-9_-]{{1,63}}\.){{1,8}}(?:{_DOMAINS})(?![A-Za-z0-9])"
_FILES = (
    "txt|md|json|xml|ya?ml|csv|tsv|jpe?g|png|gif|bmp|svg|webp|mp[34]|wav|flac|avi|mkv|mov|pdf|docx?|"
    "xlsx?|pptx?|zip|rar|tar|gz|7z|exe|dll|apk|py|js|ts|css|html?|php|java|cpp|sh|bat|ini|log|cfg|conf|"
    "db|sql|psd|epub|onnx"
)
_PATH = r"(?:[/?#](?:[A-Za-z0-9/._?=&#%~+@:-]{0,500}[A-Za-z0-9/_=#~])?)?"
_LINES = re.compile(
    "(?:拨打|打通|打|电话|手机|热线|号码|致电|拨|呼叫|联系|客服|专线|传真|座机|短信|分机|转)"
    r"(?:号码?)?[是为：: ]{0,2}(?:\d{3,12}[、，,或和及与]){0,4}$"
)
_LINE_FOLLOWS = re.compile(
    " ?(?:热线|报警|报案|火警|急救|接警|指挥中心|民警|救护|服务台|电话|客服|专线|投诉|平台|订票|"
    "官网|网站|短信)"
)
_COUNTED = re.compile(rf" ?{MEASURE}")
_CODES = re.compile(
    "(?:房间|订单|编|账|帐|卡|学|工|单|身份证|证件?|运单|快递|流水|序列|批|车牌|座位|护照|合同|案|许可证|"
    "发票|税|门牌|房|微信|手机尾|型|货|款|番|代|会员|准考证|考|取件|取票|批准文|登记|信用|统一社会信用)"
    "(?:编|代)?(?:号码?|码)(?:为|是|[：: ]){0,2}(?:[A-Za-z_-]{0,12})$"
    "|(?:房间|订单|编号|验证码|校验码|动态码|密码|口令|邮编|邮政编码|尾号|QQ号?|ID|股票代码|代码|PIN码?|"
    "身份证|房号|编码|条形码|ISBN|ISSN|ICP备|QQ群|群号|公网安备|端口|频道|工号|学号|波音|空客|标致|歼|宝马|奔驰)(?:号码?)?"
    "(?:为|是|[：: ]){0,2}(?:[A-Za-z_-]{0,12})$"
)
_BUILDING = re.compile("(?:[座栋幢]|单元|号楼)$")
_ROOM = re.compile(r"(?:[、,]\d{3,4}){0,6} ?(?:室|房|号房|路公交|路车|路电车|路巴士)")
_FLIGHT = re.compile("航班|班机|飞往|起飞|机票|执飞|客机|乘机|值机|登机")
_TRAIN = re.compile("乘坐|乘|车次|高铁|动车|列车|换乘|车票")
_AIRLINES = frozenset(words("CA MU CZ HU ZH MF SC HO KN GS JD TV PN QW UQ DR MH KE OZ NH JL SQ CX"))
_CRAFT = behind(
    "歼|运|轰|直|强|教|苏|米格|安|伊尔|东风|红旗|长征|神舟|嫦娥|巨浪|鹰击|空警|翼龙|北斗"
)
_CARDS = behind("RTX |GTX |RX |Xeon |Ryzen |R5 |R7 |R9 |DDR4 |DDR5 ")
_STANDARDS = behind("GB/T |GB/T|GB |ISO |IEC |IEEE |DIN |ANSI |RFC ")
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_BRANDS = (
    "(?:163|126|139|189)(?=邮箱|号段)|360(?=公司|安全|浏览器|杀毒|搜索|软件)|58(?=同城)|4399(?=小?游戏)"
    "|1688(?=批发|网)"
)
_SCHOOLS = "(?:高校|院校|大学|工程|名校|硕士|本科|毕业|工作制|加班)"
_LAUGH = "23{2,9}|6{3,9}|5{3,9}"
_LAUGHING = re.compile(r"(?:^|[，。！!？?~\s太真都哈笑死]|老铁|操作)$")
_MOBILE = r"(?:\+(86)[- ]?)?(1[3-9]\d)[- ]?(\d{4})[- ]?(\d{4})"
_ODD_PHONE = r"\+(\d{1,3})[- ](\(?\d{1,4}\)?)[- ](\d{3,4})(?:[- ]?(\d{2,4}))?(?:[- ]?(\d{2,4}))?"
_DOTTED = r"\d{1,6}(?:\.\d{1,6})"


def read_address(text: str) -> str:
    """A URL or e-mail address: letters stay, digits one by one, signs by name."""
    text = re.sub(r"^[A-Za-z]{2,8}://", "", text)
    return "".join(NET_SIGNS.get(c, c if c.isalnum() else " ") for c in read_digits(text))


def read_phone(digits: str) -> str:
    """A telephone number in groups of three and four: `13812345678` -> 幺三八，幺二三四，…."""
    return "，".join(read_telephone(group) for group in _groups(digits))


def _groups(digits: str) -> list[str]:
    size = len(digits)
    if size <= 5:
        return [digits]
    if size == 11 and digits[0] == "1":
        return [digits[:3], digits[3:7], digits[7:]]
    if size == 10 and digits[0] in "48":
        return [digits[:3], digits[3:6], digits[6:]]
    first = size % 4 or 4
    return [digits[:first], *(digits[i : i + 4] for i in range(first, size, 4))]


def _parts(m: re.Match[str]) -> str:
    lead = "加" if m[0].startswith("+") else ""
    return lead + "，".join(read_telephone(g.strip("()")) for g in m.groups() if g)


def _landline(m: re.Match[str]) -> str:
    line = f"{read_telephone(m[1])}，{read_phone(re.sub('[- ]', '', m[2]))}"
    return line + (f"，转{read_telephone(m[3])}" if m[3] else "")


def _masked(m: re.Match[str]) -> str:
    return f"{read_telephone(m[1])}，星星星星，{read_telephone(m[2])}"


def _line(m: re.Match[str]) -> str | None:
    said = _LINES.search(before(m, 24)) or _LINE_FOLLOWS.match(m.string, m.end())
    if not said or _COUNTED.match(m.string, m.end()):
        return None
    return read_phone(m[0])


def _service(m: re.Match[str]) -> str | None:
    other = _COUNTED.match(m.string, m.end()) or _CODES.search(before(m, 24))
    return None if other else read_telephone(m[0])


def _code(m: re.Match[str]) -> str | None:
    return read_digits(m[0]) if _CODES.search(before(m, 24)) else None


def _hyphened_code(m: re.Match[str]) -> str:
    return re.sub("[-—/]", "杠", read_digits(m[0])).replace(".", "点")


def _room(m: re.Match[str]) -> str | None:
    room = _ROOM.match(m.string, m.end()) or _BUILDING.search(before(m, 2))
    return read_digits(m[0]) if room else None


def _stock(m: re.Match[str]) -> str:
    return f"{m[1]}{read_digits(m[2])} {m[3]}"


def _laughed(m: re.Match[str]) -> str | None:
    return read_digits(m[0]) if _LAUGHING.search(before(m, 2)) else None


def _flight(m: re.Match[str]) -> str | None:
    known = m[1] in _AIRLINES or _FLIGHT.search(before(m, 6) + "|" + after(m, 6))
    return m[1] + read_telephone(m[2]) if known else None


def _train(m: re.Match[str]) -> str | None:
    if not (after(m, 1) == "次" or after(m, 2) == "列车" or _TRAIN.search(before(m, 5))):
        return None
    return m[1] + (read_telephone(m[2]) if len(m[2]) > 2 else cardinal(m[2]))


def _plate(m: re.Match[str]) -> str | None:
    return m[1] + read_digits(m[2]) if any(c.isdigit() for c in m[2]) else None


def _version(m: re.Match[str]) -> str:
    parts = (cardinal(p) if len(p) < 3 else read_digits(p) for p in m[2].split("."))
    return m[1] + "点".join(parts)


def _ip(m: re.Match[str]) -> str | None:
    if any(int(part) > 255 for part in m[1].split(".")):
        return None
    port = f"冒号{read_digits(m[2])}" if m[2] else ""
    net = f"斜杠{cardinal(m[3])}" if m[3] else ""
    return read_digits(m[1]).replace(".", "点") + port + net


def _hexadecimal(m: re.Match[str]) -> str | None:
    """An address of a network card, or of IPv6: it has letters or a gap where a time has none."""
    pairs = re.fullmatch(r"(?:[\dA-Fa-f]{2}[:-]){5}[\dA-Fa-f]{2}", m[0])
    if not (pairs or "::" in m[0] or (m[0].count(":") > 3 and re.search("[A-Fa-f]", m[0]))):
        return None
    return read_address(m[0])


def _processor(m: re.Match[str]) -> str:
    return f"{read_number(m[1])} {read_digits(m[2])}"


def _oil(m: re.Match[str]) -> str:
    return f"{cardinal(m[1])}W{cardinal(m[2])}"


def _model(m: re.Match[str]) -> str:
    return read_digits(m[0]) if len(m[0]) > 2 and "." not in m[0] else read_number(m[0])


_D, _L, _S = (Start.DIGIT,), (Start.LETTER,), (Start.SIGN,)
_OD, _OL = (Start.OPEN_DIGIT,), (Start.OPEN_LETTER,)

NET_RULES = (
    Rule(
        "email",
        (*_OD, *_OL),
        rf"[A-Za-z0-9._%+-]{{1,64}}@{_HOST}",
        lambda m: read_address(m[0]),
    ),
    Rule(
        "url",
        _OL,
        r"(?:https?|ftp)://[A-Za-z0-9/._?=&#%~+@:-]{0,2000}[A-Za-z0-9/_=#~]",
        lambda m: read_address(m[0]),
    ),
    Rule(
        "url",
        (*_OD, *_OL),
        rf"(?:{_HOST}|www(?:\.[A-Za-z0-9_-]{{1,63}}){{1,8}}|localhost)(?::\d{{1,5}})?{_PATH}",
        lambda m: read_address(m[0]),
    ),
    Rule(
        "ip",
        followed("."),
        r"(\d{1,3}(?:\.\d{1,3}){3})(?!\.?\d)(?::(\d{1,5})(?!\d))?(?:/(\d\d?)(?!\d))?",
        _ip,
    ),
    Rule(
        "ip",
        (*_OD, *_OL),
        r"(?:[\dA-Fa-f]{1,4}(?:::?|-)){1,7}[\dA-Fa-f]{1,4}(?![\dA-Za-z:.])",
        _hexadecimal,
    ),
    Rule(
        "url",
        (*_OD, *_OL),
        rf"[A-Za-z0-9_-]{{1,64}}(?:\.[A-Za-z0-9_-]{{1,16}}){{0,3}}\.(?:{_FILES})(?![A-Za-z0-9])",
        lambda m: read_address(m[0]),
    ),
    Rule("url", _OD, rf"\.(?=(?:{_FILES}|{_DOMAINS}|NET)(?![A-Za-z0-9]))", saying("点")),
    Rule(
        "url",
        "/~",
        r"(?<![A-Za-z0-9\u4e00-\u9fff<])~?(?:/[A-Za-z0-9._-]{1,64}){2,12}/?",
        lambda m: read_address(m[0]),
    ),
)

TELEPHONE_RULES = (
    Rule("telephone", (*_D, "+"), rf"{_MOBILE}(?!\d)", _parts),
    Rule("telephone", _OD, r"(1[3-9]\d)\*{4}(\d{4})(?!\d)", _masked),
    Rule(
        "telephone",
        followed("-) "),
        r"(0\d{2,3})[-) ]{1,2}(\d{7,8}|\d{3,4}[- ]\d{4})(?!\d)"
        r"(?:(?:-|转)(\d{1,5})(?!\d))?",
        _landline,
    ),
    Rule("telephone", _D, r"([48]00)[- ]?(\d{3})[- ]?(\d{4})(?!\d)", _parts),
    Rule("telephone", "+", rf"{_ODD_PHONE}(?!\d)", _parts),
    Rule("telephone", _D, r"(?:12306|12315|10086|10010|12345)(?!\.?\d)", _service),
    Rule("telephone", _D, r"\d{3,12}(?![\d.,])", _line),
)

CODE_RULES = (
    Rule("model", followed("a"), r"(\d{1,2})W-?(\d\d)(?![\dA-Za-z])", _oil),
    Rule("model", "-", rf"{_CRAFT}-(?=\d{{1,3}}(?![\d.°%度]))", saying("")),
    Rule("id", _D, r"[1-9]\d{16}[\dXx](?![A-Za-z0-9])", digits),
    Rule("id", followed("-"), r"\d{1,13}(?:-\d{1,13}){2,6}(?!\d)", _hyphened_code),
    Rule("id", _D, r"\d{3,32}(?![\d])", _code),
    Rule("id", _D, r"\d{3,4}(?!\d)", _room),
    Rule("id", "-", r"(?<=\d)-(?=0\d{2,12}(?![\d.]))|(?<=号)-(?=\d)", saying("杠")),
    Rule(
        "id",
        followed("/"),
        r"(\d{3})/(\d{2,3})(?: ?(?=R\d\d(?!\d))|(?=[A-C](?![A-Za-z\d])))",
        _hyphened_code,
    ),
    Rule("id", _D, rf"{_STANDARDS}\d{{3,5}}(?:\.\d{{1,2}})?(?:[-—]\d{{4}})?(?!\d)", _hyphened_code),
    Rule("id", (*_OD, *_OL), r"([A-Z]{2}|)(\d{5,6})\.(SH|SZ|BJ|HK|SS)(?![A-Za-z0-9])", _stock),
    Rule("id", _OD, r"(?<=[（(])(?:60|00|30|68|83|43|87)\d{4}(?=[）)])", digits),
    Rule("id", _D, rf"{_BRANDS}|(?:480|720|1080|1440|2160)(?=[pPi](?![A-Za-z]))", digits),
    Rule("id", followed("-"), r"(?<=[楼栋幢座元])\d{1,2}-\d{3,4}(?![-\d])", _hyphened_code),
    Rule("id", followed("."), r"802\.1\d?(?!\d)", _hyphened_code),
    Rule("model", _OL, r"M\.2(?![\d.])", saying("M点二")),
    Rule("id", _D, r"7-?11(?=便利|门店|店)", saying("七幺幺")),
    Rule("id", _D, rf"(?:985|211|996|955|007)(?=(?:[、/和与 ]?(?:985|211))?{_SCHOOLS})", digits),
    Rule("id", _D, r"(?:0\d|[5-9]\d)(?=[A-Z]{0,2}(?:式(?!太极)|坦克|主战|手枪|步枪))", digits),
    Rule("id", _D, rf"(?:{_LAUGH})(?=$|[，。！!~…了啊呀哈\s])", _laughed),
    Rule("flight", (*_OD, *_OL), r"([A-Z]{2}|3U|9C|8L|9H)(\d{3,4})(?![A-Za-z0-9])", _flight),
    Rule("flight", _OL, r"([GDCZTKYLS])(\d{1,4})(?![A-Za-z0-9.])", _train),
    Rule(
        "id",
        _OL,
        rf"(?<=[{_PROVINCES}])([A-HJ-NP-Z])[·•. -]?([A-HJ-NP-Z0-9]{{5,6}})(?![A-Za-z0-9])",
        _plate,
    ),
    Rule("version", _OL, rf"([vV])\.?({_DOTTED}{{1,4}})(?!\.?\d)", _version),
    Rule("version", followed("."), rf"()({_DOTTED}{{2,5}})(?!\.?\d)", _version),
)

MODEL_RULES = (
    Rule("model", "-", r"(?<=[A-Za-z])-(?=\d)", saying("")),
    Rule("model", followed("-"), r"(?<=[A-Za-z])(\d{1,2})-(\d{4,5})(?!\d)", _processor),
    Rule("model", _D, rf"{_CARDS}\d{{4}}(?!\d)", digits),
    Rule(
        "model",
        _D,
        r"(?:(?<=[A-Za-z])|(?<=[A-Za-z]-))(?<!\d[xX])\d{1,24}(?:\.\d{1,9})?(?!\.?\d)",
        _model,
    ),
)
