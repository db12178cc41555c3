"""Units of measurement, currencies and measure words, as they are written and as they are said.

Tables and the pieces of patterns made of them. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = [
    "CURRENCIES",
    "CURRENCY_CODES",
    "MAGNITUDES",
    "MEASURE",
    "PER",
    "UNITS",
    "alternatives",
    "words",
]


def words(text: str) -> tuple[str, ...]:
    """The words of a table that is written as one text."""
    return tuple(text.split())


UNITS = {
    "km": "公里",
    "m": "米",
    "dm": "分米",
    "cm": "厘米",
    "mm": "毫米",
    "μm": "微米",
    "um": "微米",
    "nm": "纳米",
    "100km": "百公里",
    "100g": "百克",
    "100ml": "百毫升",
    "100mL": "百毫升",
    "km²": "平方公里",
    "km2": "平方公里",
    "km^2": "平方公里",
    "m²": "平方米",
    "m2": "平方米",
    "m^2": "平方米",
    "dm²": "平方分米",
    "cm²": "平方厘米",
    "cm2": "平方厘米",
    "mm²": "平方毫米",
    "m³": "立方米",
    "m3": "立方米",
    "m^3": "立方米",
    "dm³": "立方分米",
    "cm³": "立方厘米",
    "cm3": "立方厘米",
    "mm³": "立方毫米",
    "cc": "毫升",
    "ha": "公顷",
    "ft": "英尺",
    "mi": "英里",
    "mile": "英里",
    "miles": "英里",
    "mph": "英里/小时",
    "kph": "公里/小时",
    "m/s²": "米每二次方秒",
    "m/s2": "米每二次方秒",
    "m/s^2": "米每二次方秒",
    "kg": "千克",
    "KG": "千克",
    "Kg": "千克",
    "g": "克",
    "mg": "毫克",
    "μg": "微克",
    "ug": "微克",
    "ng": "纳克",
    "t": "吨",
    "lb": "磅",
    "lbs": "磅",
    "oz": "盎司",
    "L": "升",
    "l": "升",
    "dL": "分升",
    "mL": "毫升",
    "ml": "毫升",
    "ML": "毫升",
    "μL": "微升",
    "s": "秒",
    "sec": "秒",
    "ms": "毫秒",
    "μs": "微秒",
    "us": "微秒",
    "ns": "纳秒",
    "min": "分钟",
    "mins": "分钟",
    "h": "小时",
    "hr": "小时",
    "hrs": "小时",
    "Hz": "赫兹",
    "kHz": "千赫",
    "KHz": "千赫",
    "MHz": "兆赫",
    "GHz": "吉赫",
    "THz": "太赫",
    "W": "瓦",
    "kW": "千瓦",
    "KW": "千瓦",
    "MW": "兆瓦",
    "GW": "吉瓦",
    "kWh": "千瓦时",
    "KWh": "千瓦时",
    "MWh": "兆瓦时",
    "GWh": "吉瓦时",
    "Wh": "瓦时",
    "V": "伏",
    "kV": "千伏",
    "KV": "千伏",
    "mV": "毫伏",
    "mA": "毫安",
    "mAh": "毫安时",
    "Ah": "安时",
    "Ω": "欧姆",
    "kΩ": "千欧",
    "MΩ": "兆欧",
    "kJ": "千焦",
    "MJ": "兆焦",
    "cal": "卡",
    "kcal": "千卡",
    "Pa": "帕",
    "hPa": "百帕",
    "kPa": "千帕",
    "KPa": "千帕",
    "MPa": "兆帕",
    "GPa": "吉帕",
    "mmHg": "毫米汞柱",
    "dB": "分贝",
    "kN": "千牛",
    "lm": "流明",
    "lx": "勒克斯",
    "cd": "坎德拉",
    "mol": "摩尔",
    "mmol": "毫摩尔",
    "μmol": "微摩尔",
    "rpm": "转/分钟",
    "bpm": "次/分钟",
    "dpi": "点/英寸",
    "fps": "帧/秒",
    "MB": "兆",
    "bps": "比特/秒",
    "kbps": "千比特/秒",
    "Kbps": "千比特/秒",
    "Mbps": "兆比特/秒",
    "Gbps": "吉比特/秒",
    "MB/s": "兆/秒",
    "Mb/s": "兆比特/秒",
    "Gb/s": "吉比特/秒",
    "°C": "摄氏度",
    "°F": "华氏度",
    "°": "度",
}
"""Written form to words; a stroke is 每: three 公里/小时 are 每小时三公里."""

PER = words(
    "小时 时 分钟 分 秒 天 日 月 年 周 季度 季 人 次 个 件 台 辆 位 户 只 张 本 套 份 "
    "瓶 盒 箱 人次 股 吨 公斤 千克 斤 克 升 毫升 公里 千米 米 平方米 平米 平方公里 "
    "立方米 立方 平 亩 公顷 桶 盎司 度 千瓦时 晚 夜 间 课时 节 场 趟 杯 包 袋 条 支 颗 "
    "株 头 尾 栋 层 班 单 例 卷 学期 学年 课 盘 把 双 斗"
)
"""What something may be counted by: 元/月, 人/平方公里."""

CURRENCIES = {
    "US$": "美元",
    "HK$": "港元",
    "NT$": "新台币",
    "AU$": "澳元",
    "A$": "澳元",
    "CA$": "加元",
    "C$": "加元",
    "S$": "新加坡元",
    "NZ$": "新西兰元",
    "R$": "雷亚尔",
    "$": "美元",
    "¥": "元",
    "€": "欧元",
    "£": "英镑",
    "₩": "韩元",
    "₽": "卢布",
    "₹": "卢比",
    "฿": "泰铢",
    "₫": "越南盾",
    "¢": "美分",
    "₿": "比特币",
}
"""Signs before an amount (¢ stands after one)."""

CURRENCY_CODES = {
    "RMB": "人民币",
    "CNY": "人民币",
    "USD": "美元",
    "EUR": "欧元",
    "GBP": "英镑",
    "JPY": "日元",
    "HKD": "港元",
    "TWD": "新台币",
    "KRW": "韩元",
    "AUD": "澳元",
    "CAD": "加元",
    "CHF": "瑞士法郎",
    "SGD": "新加坡元",
    "RUB": "卢布",
    "THB": "泰铢",
}
"""Codes before or after an amount."""

MAGNITUDES = {
    "k": 3,
    "w": 4,
    "K": 3,
    "M": 6,
    "B": 9,
    "bn": 9,
    "million": 6,
    "billion": 9,
    "trillion": 12,
}
"""Powers of ten written after an amount of money."""

_MEASURES = words(
    "厅 室(?=[1-9一两二三四]厅) 卫(?![生士视]) "
    "个 個 只 隻 条 條 张 張 块 塊 件 位 本 种 種 天 小时 小時 分钟 分鐘 秒 周 星期 岁 "
    "歲 倍 杯 碗 瓶 名 辆 輛 家 点 點 时 時 元 美元 欧元 英镑 日元 角 毛 人 口 双 雙 "
    "把 台 臺 座 棵 句 首 场 場 间 間 套 片 份 颗 顆 支 枝 头 頭 匹 门 門 节 節 章 段 "
    "行 列 组 組 队 隊 对 對 副 幅 封 盒 包 袋 箱 轮 輪 届 屆 国 國 者 边 邊 侧 側 趟 "
    "遍 回 架 部 刻 里 斤 公斤 千克 克 公里 千米 米 厘米 毫米 英里 寸 英寸 尺 英尺 亩 "
    "畝 公顷 平方 立方 升 毫升 吨 噸 摄氏度 度 成 万 萬 亿 億 千 晚 夜 所(?![示述]) 栋 棟 幢 艘 "
    "枚 根 滴 笔 筆 批 项 項 样 樣 步 篇 页 頁 起 桌 餐 顿 頓 株 朵 盘 盤 桶 罐 道 串 "
    "堆 群 层 層 户 款 集 课时 局 球 票 字 瓦 伏 赫兹 磅 盎司 次(?![方元]) "
    "年(?![级級代底初终末]) 分(?![之校店行部公局]) 兆 站 杆 圈 勺 匙 汤匙 茶匙"
)


def alternatives(names: Iterable[str]) -> str:
    """A pattern of any of the names, the longest first."""
    return "|".join(map(re.escape, sorted(names, key=len, reverse=True)))


MEASURE = "(?:" + "|".join(_MEASURES) + ")"
"""A word that counts things, as a pattern: before it 2 is 两."""
