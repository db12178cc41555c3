"""The id tables of the linguistic units: phones and tones per language, flags, emotions, speakers.

A position is an id. The rows are those of the KAN-TTS symbol lists: `#1` to `#4`, `_` (pad),
`~` (end) and, with mask rows, `[MASK]` follow the phones of a language. Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from xml.etree import ElementTree

from sambert_trt.engines.errors import SourceError

from .config import Vocabulary

__all__ = [
    "BREAKS",
    "EMOTIONS",
    "MASK",
    "PHONE_SETS",
    "RESERVED",
    "SYLLABLE_FLAGS",
    "WORD_POSITIONS",
    "PhoneSet",
    "known_language",
    "phone_set_from_directory",
    "unit_lists_from_directory",
    "vocabulary",
    "vocabulary_from_lists",
]

MASK = "[MASK]"
RESERVED = ("_", "~")
BREAKS = ("#1", "#2", "#3", "#4")
SYLLABLE_FLAGS = ("s_begin", "s_end", "s_none", "s_both", "s_middle")
WORD_POSITIONS = ("word_begin", "word_end", "word_middle", "word_both", "word_none")

_FEELINGS = (
    "none neutral angry disgust fear happy sad surprise calm gentle relax lyrical serious "
    "disgruntled satisfied disappointed excited anxiety jealousy hate pity pleasure arousal "
    "dominance"
)
EMOTIONS = (
    *(f"emotion_{name}" for name in _FEELINGS.split()),
    *(f"emotion_placeholder{number}" for number in range(1, 10)),
)

_ENGLISH = (
    "aa ae ah ao aw ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw "
    "v w y z zh"
)
_PINYIN = (
    "a_c ai_c an_c ang_c ao_c b_c c_c ch_c d_c e_c ei_c en_c eng_c er_c f_c g_c h_c i_c ia_c "
    "ian_c iang_c iao_c ie_c ih_c ii_c in_c ing_c io_c iong_c iou_c j_c k_c l_c m_c n_c o_c "
    "ong_c ou_c p_c q_c r_c s_c sh_c t_c u_c ua_c uai_c uan_c uang_c uei_c uen_c ueng_c uo_c "
    "v_c van_c ve_c vn_c xx_c z_c zh_c w_c y_c ga ge go"
)
_ERHUA = (
    "air_c angr_c anr_c aor_c ar_c eir_c engr_c enr_c iangr_c ianr_c iaor_c iar_c ier_c ihr_c "
    "iir_c ingr_c inr_c iongr_c iour_c ir_c ongr_c or_c our_c uair_c uangr_c uanr_c uar_c ueir_c "
    "uenr_c uor_c ur_c vanr_c ver_c vnr_c vr_c"
)
_SICHUAN = (
    "a_c ai_c an_c ang_c ao_c b_c c_c ch_c d_c e_c ei_c en_c eng_c er_c f_c g_c h_c i_c ia_c "
    "ian_c iang_c iao_c ie_c ih_c ii_c in_c ing_c ioo_c iong_c iou_c j_c k_c l_c m_c n_c o_c "
    "ong_c ou_c p_c q_c r_c s_c sh_c t_c u_c ua_c uai_c uan_c uang_c uei_c uen_c ueng_c uo_c "
    "v_c van_c ve_c vn_c xx_c z_c zh_c w_c y_c ng_c iai_c io_c ue_c ga ge go"
)
_SHANGHAI = (
    "p ph b m f v t th d n l ts tsh s z c ch j ny sh zh k kh g ng h gh a ah an aon au e eh en eu "
    "i ia iah ian iaon iau ie ieu ih in ioe ioh ion iu iuih iun o oe oh on r u ua uah uan uaon "
    "ue ueh uen uoe y ghan ghau gheh ghiah ghuoe ghen ghia ghie ghuaon ghian gheu ghih ghiau "
    "ghin ghiu ghoe ghieu ghoh ghon ghua ghioe ghue ghioh ghion ghiaon ghiun gha ghuah ghe ghaon "
    "ghi ghuan ghng ghm ghn ghiuih gho ghueh ghr ghu ghuen ghy ghah"
)
_CANTONESE = (
    "b c d f g gw h j k kw l m n ng p s t w z aa aai aak aam aan aang aap aat aau ai ak am an "
    "ang ap at au e ei ek eng i ik in ing it iu o ok ong ou ui uk un ung ut eoi eon eot im ip "
    "oek oeng oi yu yun yut eu oe u ep on ot em mm ngng ae ah ao aw ay ch dh eh er ey hh ih iy "
    "jh ow oy r sh th uh uw v y zh pau"
)
_DICTIONARY_BYTES = 4 << 20
_LIST_FIELDS = ("sy", "tone", "syllable_flag", "word_segment", "emo_category", "speaker_category")


@dataclass(frozen=True)
class PhoneSet:
    """The phones and tones of one language in id order, without breaks and reserved rows."""

    phones: tuple[str, ...]
    tones: tuple[str, ...]


def _tones(order: str) -> tuple[str, ...]:
    return tuple("tone_none" if mark == "-" else f"tone{mark}" for mark in order)


PHONE_SETS: Mapping[str, PhoneSet] = MappingProxyType(
    {
        "PinYin": PhoneSet(
            (*_PINYIN.split(), *_ENGLISH.split(), *_ERHUA.split(), "pau"), _tones("1-42350")
        ),
        "Sichuan": PhoneSet((*_SICHUAN.split(), *_ENGLISH.split(), "pau"), _tones("1-42350")),
        "WuuShanghai": PhoneSet(
            (*(f"{phone}_sh" for phone in _SHANGHAI.split()), *_ENGLISH.split(), "pau"),
            _tones("603425178-"),
        ),
        "ZhHK": PhoneSet(tuple(_CANTONESE.split()), _tones("6034257189-")),
    }
)

# Names the front ends use for the same tables.
_ALIASES = {
    "zh-cn": "PinYin",
    "zhcn": "PinYin",
    "hk_cantonese": "ZhHK",
    "cantonese": "ZhHK",
    "shanghai": "WuuShanghai",
}


def known_language(name: str) -> str | None:
    """The table a language name stands for, in its own spelling, or None where there is none.

    Case does not matter, and the front end's own names (`zh-cn`, `hk_cantonese`, ...) are known.
    """
    wanted = name.strip().lower()
    for language in PHONE_SETS:
        if language.lower() == wanted:
            return language
    return _ALIASES.get(wanted)


def vocabulary(
    language: str,
    speakers: Iterable[str],
    has_mask: bool = True,
    using_byte: bool = False,
    *,
    phone_set: PhoneSet | None = None,
) -> Vocabulary:
    """The id tables of a voice.

    Args:
        language: a name of `PHONE_SETS`, or any name when `phone_set` is given.
        speakers: the entries of `speaker_list`, in its order.
        has_mask: whether the tables end in a `[MASK]` row. The byte table always does.
        using_byte: one field `byte_index` of 259 rows instead of phones, tones and flags.
        phone_set: the phones and tones of a language that is not in `PHONE_SETS`.

    Raises:
        SourceError: an unknown language, or a name that stands twice in one table.
    """
    if using_byte:
        numbers = (str(number) for number in range(256))
        return _vocabulary(language, {"byte_index": numbers}, EMOTIONS, speakers, has_mask)
    known = known_language(language)
    if phone_set is None:
        if known is None:
            raise SourceError(_unknown_language(language))
        language, phone_set = known, PHONE_SETS[known]
    units = {
        "sy": (*phone_set.phones, *BREAKS),
        "tone": phone_set.tones,
        "syllable_flag": SYLLABLE_FLAGS,
        "word_segment": WORD_POSITIONS,
    }
    return _vocabulary(language, units, EMOTIONS, speakers, has_mask)


def vocabulary_from_lists(
    language: str, lists: Mapping[str, tuple[str, ...]], has_mask: bool = True
) -> Vocabulary:
    """The id tables of a 2022 voice, whose six lists are text files (`unit_lists_from_directory`).

    Raises:
        SourceError: a name stands twice in one list.
    """
    units = {name: lists[name] for name in _LIST_FIELDS[:4]}
    return _vocabulary(language, units, lists["emo_category"], lists["speaker_category"], has_mask)


def _vocabulary(
    language: str,
    units: Mapping[str, Iterable[str]],
    emotions: Iterable[str],
    speakers: Iterable[str],
    has_mask: bool,
) -> Vocabulary:
    tail = (*RESERVED, MASK) if has_mask else RESERVED
    tails = {"byte_index": (*RESERVED, MASK)}
    tables = {name: (*names, *tails.get(name, tail)) for name, names in units.items()}
    result = Vocabulary(language, tables, (*emotions, *tail), (*speakers, *tail))
    for field, names in {
        **tables,
        "emotion": result.emotions,
        "speaker": result.speakers,
    }.items():
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SourceError(f"the {field} list names {', '.join(twice[:5])} more than once")
    return result


def phone_set_from_directory(directory: Path, language: str) -> PhoneSet | None:
    """The tables a model repository carries for a language, or None where it carries none.

    `directory` is the voice's `dict` folder; PhoneSet.xml and tonelist.txt may lie at any depth
    below `directory/<language>`, or below `directory` when it holds only one pair.

    Raises:
        SourceError: a file that is too large, not UTF-8, or not what its name says.
    """
    folder = _language_folder(directory, language)
    xml = _only_file(folder, "PhoneSet.xml")
    tones = _only_file(folder, "tonelist.txt")
    if xml is None or tones is None:
        return None
    return PhoneSet(tuple(_phones_from_xml(xml)), tuple(_tones_from_file(tones)))


def unit_lists_from_directory(
    directory: Path, names: Mapping[str, object]
) -> dict[str, tuple[str, ...]] | None:
    """The six symbol lists of a 2022 voice, or None unless all six files are there.

    `names` is `linguistic_unit` of the configuration, where each field names a text file with one
    entry per line.
    """
    lists = {}
    for field in _LIST_FIELDS:
        name = names.get(field)
        if not isinstance(name, str) or not name or Path(name).name != name:
            return None
        path = directory / name
        if not path.is_file():
            return None
        lists[field] = tuple(_lines(path))
    return lists


def _language_folder(directory: Path, language: str) -> Path:
    if directory.is_dir():
        for child in sorted(directory.iterdir()):
            if child.is_dir() and child.name.lower() == language.strip().lower():
                return child
    return directory


def _only_file(folder: Path, name: str) -> Path | None:
    found = sorted(folder.rglob(name)) if folder.is_dir() else []
    return found[0] if len(found) == 1 and found[0].is_file() else None


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > _DICTIONARY_BYTES:
            raise SourceError(f"{path} has {size} bytes: too large for a symbol table")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8 text; copy the model repository again") from error


def _lines(path: Path) -> Iterator[str]:
    lines = _text(path).replace("\r\n", "\n").split("\n")
    return iter(lines[:-1] if lines and not lines[-1] else lines)


def _tones_from_file(path: Path) -> Iterator[str]:
    for line in _lines(path):
        yield f"tone{line.strip()}" if line.strip() else "tone_none"


def _phones_from_xml(path: Path) -> Iterator[str]:
    text = _text(path)
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise SourceError(f"{path} declares a document type or entities, which no phone set needs")
    try:
        root = ElementTree.fromstring(text.encode())
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise SourceError(f"{path} is not XML: {error}; copy the model repository again") from error
    names = [_phone_name(item) for item in root.iter() if _tag(item) == "phone"]
    if not names or not all(names):
        raise SourceError(f"{path} names no phones (or a phone without a name)")
    return iter(names)


def _phone_name(item: ElementTree.Element) -> str:
    for child in item:
        if _tag(child) == "name":
            return (child.text or "").strip()
    return ""


def _tag(item: ElementTree.Element) -> str:
    return str(item.tag).rpartition("}")[2]


def _unknown_language(language: str) -> str:
    return (
        f"the language {language!r} has no phone table here; known are {', '.join(PHONE_SETS)}. "
        "Choose one of them with --language, or export from a model repository whose dict folder "
        "holds PhoneSet.xml and tonelist.txt of the language"
    )
