"""Small YAML and JSON files of others: read with the safe loader, refused with a reason."""

from __future__ import annotations

import json
import reprlib
from pathlib import Path
from typing import Any

from sambert_trt.engines.errors import SourceError

__all__ = ["mapping_from_file"]

_MOST_BYTES = 1 << 20


def mapping_from_file(path: Path) -> dict[str, Any]:
    """Reads a small YAML or JSON file whose top level is a mapping, with the safe loader only.

    Raises:
        SourceError: missing, larger than 1 MiB, not UTF-8, not YAML or JSON, or not a mapping.
    """
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise SourceError(f"{path} has {size} bytes: too large for a settings file")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8 text: {error.reason}") from error
    data = _json(text, path) if path.suffix == ".json" else _yaml(text, path)
    if not isinstance(data, dict):
        raise SourceError(f"{path} holds no settings but {reprlib.repr(data)}")
    return {str(key): value for key, value in data.items()}


def _json(text: str, path: Path) -> object:
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not JSON: {error}") from error
    return data


def _yaml(text: str, path: Path) -> object:
    import yaml

    class Loader(yaml.SafeLoader):
        """Safe, and without `<<` merges, which can grow a small file without bound."""

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
                raise yaml.constructor.ConstructorError(
                    None, None, "merge keys are not supported", node.start_mark
                )

    try:
        data: object = yaml.load(text, Loader)  # noqa: S506 - a subclass of SafeLoader
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
        RecursionError,
        OverflowError,
    ) as error:
        line = " ".join(str(error).split())[:300]
        raise SourceError(f"{path} is not plain YAML: {line}") from error
    return data
