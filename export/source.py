"""Where a voice's files lie: every layout a Sambert-HiFiGAN voice was ever published in.

Only looks at names and small JSON files; reads no weights. Imports no torch.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sambert_trt.engines.errors import SourceError

from .mapping_files import mapping_from_file
from .voices_archive import unpacked_voices

__all__ = [
    "VoiceSource",
    "checkpoint_in_folder",
    "voice_source_from_files",
    "voice_sources_from_path",
]

_log = logging.getLogger(__name__)

_CONFIGURATION = "configuration.json"
_PERSONAL_VOICE = "F7"


@dataclass(frozen=True)
class VoiceSource:
    """The files of one voice.

    `am_config` and `voc_config` are YAML files, or both the repository's configuration.json for
    voices of 2022, whose hyper-parameters stand there. `language` is what the repository says
    about its voices, `has_mask` whether the id tables have mask rows.
    """

    name: str
    am_config: Path
    am_checkpoint: Path
    voc_config: Path
    voc_checkpoint: Path
    audio_config: Path | None
    mvn: Path | None
    se: Path | None
    dictionary: Path | None
    has_mask: bool
    sample_rate: int | None
    root: Path
    language: str | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file there is, each once."""
        paths = (
            self.am_config,
            self.am_checkpoint,
            self.voc_config,
            self.voc_checkpoint,
            self.audio_config,
            self.mvn,
            self.se,
        )
        return tuple(dict.fromkeys(path for path in paths if path is not None))


@dataclass
class _Finder:
    """Looks for files and keeps a line about each that was not there."""

    missing: list[str] = field(default_factory=list)

    def file(self, *choices: Path) -> Path:
        """The first that exists; the first choice, noted as missing, where none does."""
        found = _existing(*choices)
        if found is None:
            near = _names(choices[0].parent)
            self.missing.append(f"{' or '.join(map(str, choices))} (beside it: {near})")
        return found or choices[0]

    def checkpoint(self, folder: Path) -> Path:
        """The checkpoint of the highest number in a folder."""
        found = checkpoint_in_folder(folder)
        if found is None:
            self.missing.append(f"{folder / 'checkpoint_<number>.pth'} (there: {_names(folder)})")
        return found or folder / "checkpoint_0.pth"

    def checkpoint_at(self, path: Path) -> Path:
        """A checkpoint given as a file or as the folder that holds some."""
        return self.checkpoint(path) if path.is_dir() else self.file(path)

    def refuse_missing(self, what: str) -> None:
        """Raises SourceError when anything was missing."""
        if self.missing:
            lines = "".join(f"\n  missing: {line}" for line in self.missing)
            raise SourceError(f"{what} is incomplete; download or copy it again{lines}")


@dataclass(frozen=True)
class _Repository:
    """What configuration.json says about all voices of a repository."""

    path: Path | None = None
    has_mask: bool = True
    sample_rate: int | None = None
    language: str | None = None
    custom: Mapping[str, Any] | None = None
    framework: str = ""


def voice_sources_from_path(path: Path, *, voice: str | None = None) -> tuple[VoiceSource, ...]:
    """The voices at a path, in the repository's order; the first is its default.

    A path is a model repository of ModelScope (also one whose voices are still in voices.zip), a
    base model for training, the work folder of a personal voice, or one voice's folder (am/, voc/).

    Args:
        path: the folder.
        voice: the name of the only voice wanted.

    Raises:
        SourceError: nothing to export there; the message lists what was looked for and found.
    """
    if not path.is_dir():
        raise SourceError(_not_a_folder(path))
    repository = _repository(path)
    sources = tuple(_sources(path, repository, voice))
    if not sources:
        raise SourceError(_nothing_found(path, repository))
    return sources


def voice_source_from_files(
    *,
    am_checkpoint: Path,
    voc_checkpoint: Path,
    am_config: Path | None = None,
    voc_config: Path | None = None,
    audio_config: Path | None = None,
    mvn: Path | None = None,
    se: Path | None = None,
    dictionary: Path | None = None,
    name: str | None = None,
    has_mask: bool = True,
) -> VoiceSource:
    """A voice from files that lie anywhere.

    A checkpoint may be a file or a folder of them. What is not given is looked for where the
    training tools put it: config.yaml, mvn.npy and se.npy in the folder above the checkpoint's.

    Raises:
        SourceError: a file is missing.
    """
    finder = _Finder()
    am, voc = finder.checkpoint_at(am_checkpoint), finder.checkpoint_at(voc_checkpoint)
    above = am.absolute().parent.parent
    am_config = finder.file(am_config or above / "config.yaml")
    for given in (audio_config, mvn, se):
        if given is not None:
            finder.file(given)
    source = VoiceSource(
        name=name or above.name or "voice",
        am_config=am_config,
        am_checkpoint=am,
        voc_config=finder.file(voc_config or voc.absolute().parent.parent / "config.yaml"),
        voc_checkpoint=voc,
        audio_config=audio_config or _existing(above.parent / "audio_config.yaml"),
        mvn=mvn or _existing(above / "mvn.npy"),
        se=se or _existing(above / "se.npy"),
        dictionary=dictionary,
        has_mask=has_mask and _mask_in_yaml(am_config),
        sample_rate=None,
        root=above,
    )
    finder.refuse_missing(f"the voice {source.name!r}")
    return source


def checkpoint_in_folder(folder: Path) -> Path | None:
    """The checkpoint_<number>.pth of the highest number, compared as numbers; None without one.

    Names without a number, such as checkpoint.pth or the checkpoint-123.pth of an interrupted
    training, are passed over.
    """
    best: tuple[int, Path] | None = None
    for path in sorted(folder.glob("checkpoint*.pth")) if folder.is_dir() else ():
        match = re.fullmatch(r"checkpoint[^.]*_([0-9]{1,18})(\..*)?\.pth", path.name)
        if match is None or not path.is_file():
            _log.info("%s is passed over: its name carries no number", path)
        elif best is None or int(match[1]) > best[0]:
            best = (int(match[1]), path)
    return best[1] if best else None


def _sources(path: Path, repository: _Repository, voice: str | None) -> Iterator[VoiceSource]:
    if repository.custom is not None:
        yield _chosen(_from_custom(path, repository), voice)
    elif (path / "tmp_am").is_dir():
        yield _chosen(_from_work_folder(path), voice)
    elif (path / "am").is_dir() or _is_tensorflow(path):
        owner = _owner(path)
        source = _from_voice_folder(path, owner or repository)
        yield _chosen(source, voice)
    elif (folder := _voices_folder(path)) is not None:
        if repository.path is None and folder == path:
            repository = _repository(path.parent)
        for name in _voice_names(folder, voice):
            yield _from_voice_folder(folder / name, repository)
    elif (base := _base_model(path)) is not None:
        yield _chosen(_from_base_model(path, base, repository), voice)


def _chosen(source: VoiceSource, voice: str | None) -> VoiceSource:
    if voice not in (None, source.name):
        raise SourceError(
            f"{source.root} holds one voice, {source.name!r}, not {voice!r}; leave the name out"
        )
    return source


def _owner(folder: Path) -> _Repository | None:
    """The repository a bare voice folder lies in: <repository>/voices/<name>."""
    folder = folder.absolute()
    if folder.parent.name != "voices":
        return None
    owner = _repository(folder.parent.parent)
    return owner if owner.path is not None else None


def _repository(path: Path) -> _Repository:
    file = path / _CONFIGURATION
    if not file.is_file():
        return _Repository()
    data = mapping_from_file(file)
    model = _mapping(data.get("model"))
    rate, language, custom = (model.get(k) for k in ("sample_rate", "lang_type", "custom_ckpt"))
    unit = _mapping(_mapping(model.get("am")).get("linguistic_unit"))
    return _Repository(
        path=file,
        has_mask=unit.get("has_mask", True) is not False,
        sample_rate=rate if isinstance(rate, int) and not isinstance(rate, bool) else None,
        language=language if isinstance(language, str) else None,
        custom=custom if isinstance(custom, dict) else None,
        framework=str(data.get("framework", "")),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _from_voice_folder(folder: Path, repository: _Repository) -> VoiceSource:
    if _is_tensorflow(folder):
        raise SourceError(_tensorflow(folder))
    if (folder / "am" / "pytorch_model.bin").is_file() and not (folder / "am/config.yaml").exists():
        return _from_folder_of_2022(folder, repository)
    finder = _Finder()
    am_config = finder.file(folder / "am" / "config.yaml")
    source = VoiceSource(
        name=folder.absolute().name,
        am_config=am_config,
        am_checkpoint=finder.checkpoint(folder / "am" / "ckpt"),
        voc_config=finder.file(folder / "voc" / "config.yaml"),
        voc_checkpoint=finder.checkpoint(folder / "voc" / "ckpt"),
        audio_config=_existing(folder / "audio_config.yaml"),
        mvn=_existing(folder / "am" / "mvn.npy"),
        se=_existing(folder / "am" / "se.npy"),
        dictionary=_dictionary(folder),
        has_mask=repository.has_mask and _mask_in_yaml(am_config),
        sample_rate=repository.sample_rate,
        root=folder,
        language=repository.language,
    )
    finder.refuse_missing(f"the voice in {folder}")
    return source


def _from_folder_of_2022(folder: Path, repository: _Repository) -> VoiceSource:
    finder = _Finder()
    home = folder.absolute().parent.parent
    config = repository.path or finder.file(home / _CONFIGURATION)
    source = VoiceSource(
        name=folder.absolute().name,
        am_config=config,
        am_checkpoint=folder / "am" / "pytorch_model.bin",
        voc_config=config,
        voc_checkpoint=finder.file(
            folder / "vocoder" / "pytorch_model.bin", folder / "voc" / "pytorch_model.bin"
        ),
        audio_config=_existing(folder / "audio_config.yaml"),
        mvn=_existing(folder / "am" / "mvn.npy"),
        se=_existing(folder / "am" / "se.npy"),
        dictionary=_dictionary(folder),
        has_mask=repository.has_mask,
        sample_rate=repository.sample_rate,
        root=folder,
        language=repository.language,
    )
    finder.refuse_missing(f"the voice in {folder}")
    return source


def _from_custom(path: Path, repository: _Repository) -> VoiceSource:
    custom = repository.custom or {}
    needed = ("voice_name", "am_ckpt", "am_config", "voc_ckpt", "voc_config")
    wrong = [key for key in needed if not isinstance(custom.get(key), str)]
    if wrong:
        raise SourceError(
            f"custom_ckpt in {repository.path} lacks {', '.join(wrong)} (each a text)"
        )

    def place(key: str, default: str = "") -> Path:
        value = custom.get(key)
        return path / (value if isinstance(value, str) else default)

    finder = _Finder()
    for key in ("audio_config", "se_file", "mvn_file"):
        if isinstance(custom.get(key), str):
            finder.file(place(key))
    am_config = finder.file(place("am_config"))
    source = VoiceSource(
        name=custom["voice_name"],
        am_config=am_config,
        am_checkpoint=finder.checkpoint_at(place("am_ckpt")),
        voc_config=finder.file(place("voc_config")),
        voc_checkpoint=finder.checkpoint_at(place("voc_ckpt")),
        audio_config=_existing(place("audio_config", "audio_config.yaml")),
        mvn=_existing(place("mvn_file", "mvn.npy")),
        se=_existing(place("se_file", "se.npy")),
        dictionary=_dictionary(path),
        has_mask=repository.has_mask and _mask_in_yaml(am_config),
        sample_rate=repository.sample_rate,
        root=path,
        language=repository.language,
    )
    finder.refuse_missing(f"the custom_ckpt voice of {path}")
    return source


def _from_work_folder(path: Path) -> VoiceSource:
    """The folder a fine-tuning left: tmp_am, and the vocoder of tmp_voc or of orig_model."""
    finder = _Finder()
    original = path / "orig_model"
    repository = _repository(original)
    vocoder = _work_vocoder(path, original, finder)
    am_config = finder.file(path / "tmp_am" / "config.yaml")
    source = VoiceSource(
        name=_PERSONAL_VOICE,
        am_config=am_config,
        am_checkpoint=finder.checkpoint(path / "tmp_am" / "ckpt"),
        voc_config=finder.file(vocoder / "config.yaml"),
        voc_checkpoint=finder.checkpoint(vocoder / "ckpt"),
        audio_config=_existing(path / "data" / "audio_config.yaml"),
        mvn=_existing(path / "tmp_am" / "mvn.npy", path / "data" / "mvn.npy"),
        se=_existing(path / "data" / "se" / "se.npy", path / "tmp_am" / "se.npy"),
        dictionary=_dictionary(original),
        has_mask=repository.has_mask and _mask_in_yaml(am_config),
        sample_rate=repository.sample_rate,
        root=path,
        language=repository.language,
    )
    finder.refuse_missing(f"the work folder {path}")
    return source


def _work_vocoder(path: Path, original: Path, finder: _Finder) -> Path:
    if checkpoint_in_folder(path / "tmp_voc" / "ckpt") is not None:
        _log.info("the vocoder is the fine-tuned one in %s", path / "tmp_voc")
        return path / "tmp_voc"
    if (base := _base_model(original)) is not None:
        return base / "hifigan"
    found = sorted(folder for folder in original.glob("voices/*/voc") if folder.is_dir())
    if len(found) > 1:
        finder.missing.append(
            f"{path / 'tmp_voc'}, and {original / 'voices'} holds {len(found)} vocoders: "
            "name the files yourself"
        )
    return found[0] if found else original / "basemodel_16k" / "hifigan"


def _from_base_model(path: Path, base: Path, repository: _Repository) -> VoiceSource:
    finder = _Finder()
    am_config = finder.file(base / "sambert" / "config.yaml")
    embedding = base / "speaker_embedding" / "se.npy"
    source = VoiceSource(
        name=path.absolute().name,
        am_config=am_config,
        am_checkpoint=finder.checkpoint(base / "sambert" / "ckpt"),
        voc_config=finder.file(base / "hifigan" / "config.yaml"),
        voc_checkpoint=finder.checkpoint(base / "hifigan" / "ckpt"),
        audio_config=_existing(base / "audio_config.yaml", path / "audio_config.yaml"),
        mvn=_existing(base / "sambert" / "mvn.npy", path / "mvn.npy"),
        se=_existing(base / "sambert" / "se.npy", embedding, path / "se.npy"),
        dictionary=_dictionary(path),
        has_mask=repository.has_mask and _mask_in_yaml(am_config),
        sample_rate=repository.sample_rate,
        root=path,
        language=repository.language,
    )
    finder.refuse_missing(f"the base model in {base}")
    return source


def _base_model(path: Path) -> Path | None:
    found = sorted(folder.parent for folder in path.glob("basemodel_*/sambert") if folder.is_dir())
    return found[0] if found else None


def _voices_folder(path: Path) -> Path | None:
    """The folder that holds voices.json and one folder per voice."""
    for folder in (path / "voices", path):
        if (folder / "voices.json").is_file():
            return folder
    if (path / "voices").is_dir():
        return path / "voices"
    archive = path / "voices.zip"
    return unpacked_voices(archive) if archive.is_file() else None


def _voice_names(folder: Path, voice: str | None) -> list[str]:
    names = _listed_names(folder)
    there = [name for name in names if (folder / name).is_dir()]
    if voice is not None:
        if voice not in there:
            raise SourceError(
                f"{folder} holds no voice {voice!r}; choose one of: {', '.join(there) or 'none'}"
            )
        return [voice]
    for name in names:
        if name not in there:
            _log.warning("%s names %s, which has no folder: skipped", folder / "voices.json", name)
    return there


def _listed_names(folder: Path) -> list[str]:
    file = folder / "voices.json"
    if not file.is_file():
        _log.warning("%s is missing: the folders there are taken in order of their names", file)
        return sorted(path.name for path in folder.iterdir() if path.is_dir())
    names = mapping_from_file(file).get("voices")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SourceError(f"{file} needs a list of names under 'voices'")
    for name in names:
        if not name or name in (".", "..") or re.search(r"[/\\:\0]", name):
            raise SourceError(f"{file} names the voice {name!r}, which is no folder name")
    return list(dict.fromkeys(names))


def _mask_in_yaml(am_config: Path) -> bool:
    """`linguistic_unit.has_mask` of an acoustic model's YAML, true where it says nothing.

    A file that cannot be read is reported when its settings are.
    """
    try:
        unit = _mapping(mapping_from_file(am_config).get("linguistic_unit"))
    except SourceError:
        return True
    return unit.get("has_mask", True) is not False


def _dictionary(folder: Path) -> Path | None:
    return next((folder / n for n in ("dict", "dicts") if (folder / n).is_dir()), None)


def _existing(*choices: Path) -> Path | None:
    return next((path for path in choices if path.is_file()), None)


def _names(folder: Path) -> str:
    if not folder.is_dir():
        return "no such folder"
    names = sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return (", ".join(names[:12]) + more) if names else "nothing"


def _is_tensorflow(folder: Path) -> bool:
    return (folder / "tf_ckpts").is_dir() and not (folder / "am").is_dir()


def _tensorflow(folder: Path) -> str:
    return (
        f"{folder} is a TensorFlow voice of before October 2022, which cannot be exported; "
        "download the current revision of its model repository"
    )


def _not_a_folder(path: Path) -> str:
    if not path.exists():
        return f"{path} does not exist"
    return f"{path} is a file; give the folder that holds am/ and voc/, or a model repository"


def _nothing_found(path: Path, repository: _Repository) -> str:
    if repository.framework.lower() == "tensorflow":
        return _tensorflow(path)
    return (
        f"{path} holds no voice. Looked for: am/ and voc/ (one voice); voices/voices.json or "
        "voices.zip (model repository); basemodel_*/sambert (base model); tmp_am/ (fine-tuning); "
        f"custom_ckpt in {_CONFIGURATION}. Found: {_names(path)}"
    )
