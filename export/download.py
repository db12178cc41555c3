"""Model repositories from the ModelScope hub, through the optional `modelscope` package.

The package resumes what an interrupted download left, checks sha256 and shows progress bars; this
file turns its many errors into one sentence. Imports no torch.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from sambert_trt.engines.errors import SourceError

__all__ = ["IGNORED", "model_directory"]

_log = logging.getLogger(__name__)

# The closed text front end and recordings: no export needs them.
IGNORED = ("resource.zip", "*.wav", "*.mp4")

_OFFLINE = frozenset({"ConnectionError", "NetworkError", "Timeout", "RequestTimeoutError"})
_ABSENT = frozenset({"NotExistError", "NotFoundError"})
_FORBIDDEN = frozenset({"AuthenticationError", "PermissionDeniedError"})


def model_directory(
    model_id: str, *, revision: str | None = None, cache: Path | None = None
) -> Path:
    """Downloads a model repository, or what is new in it, and returns its folder.

    A download that was interrupted goes on where it stopped when called again.

    Args:
        model_id: `owner/name`, such as iic/speech_sambert-hifigan_tts_zhitian_emo_zh-cn_16k.
        revision: a branch or tag; the repository's main one if None.
        cache: where to keep it; the package's own cache if None.

    Raises:
        SourceError: a malformed id, no `modelscope` package, no connection, or no such repository.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", model_id, re.ASCII):
        raise SourceError(
            f"{model_id!r} is no ModelScope id; it is owner/name, such as "
            "iic/speech_sambert-hifigan_tts_zhitian_emo_zh-cn_16k"
        )
    if revision is not None and not re.fullmatch(r"[A-Za-z0-9][\w./-]*", revision, re.ASCII):
        raise SourceError(f"{revision!r} is no revision; it is a branch or tag, such as v1.0.0")
    try:
        from modelscope.hub.snapshot_download import snapshot_download
    except ImportError as error:
        raise SourceError(
            f"downloading {model_id} needs the modelscope package ({error}): "
            'pip install "sambert-trt[modelscope]", or download the repository yourself and give '
            "its folder"
        ) from error
    _log.info("fetching %s from ModelScope", model_id)
    try:
        folder = snapshot_download(
            model_id,
            revision=revision,
            cache_dir=None if cache is None else str(cache),
            ignore_patterns=list(IGNORED),
        )
    except Exception as error:  # the package raises its own, requests' and the system's errors
        raise SourceError(_explained(model_id, revision, error)) from error
    path = Path(folder)
    if not path.is_dir():
        raise SourceError(f"the modelscope package reports {path}, which is no folder; try again")
    return path


def _explained(model_id: str, revision: str | None, error: Exception) -> str:
    kinds = {kind.__name__ for one in _chain(error) for kind in type(one).__mro__}
    status = {getattr(getattr(one, "response", None), "status_code", None) for one in _chain(error)}
    what = f"{model_id} at {revision}" if revision else model_id
    said = " ".join(str(error).split())[:300]
    if kinds & _FORBIDDEN or status & {401, 403}:
        return f"{what} may not be downloaded without logging in to ModelScope ({said})"
    if kinds & _ABSENT or 404 in status:
        return f"ModelScope has no {what}; check the id and the revision ({said})"
    if kinds & _OFFLINE:
        return (
            f"{what} cannot be downloaded: no connection to ModelScope ({said}). Call again to "
            "go on where it stopped, or give the folder of a repository that is already here"
        )
    return (
        f"downloading {what} failed ({type(error).__name__}: {said}); call again to go on where "
        "it stopped"
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and the errors of single files it carries."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        files = getattr(one, "failed_files", None)
        inner = list(files.values()) if isinstance(files, dict) else []
        waiting += [
            e for e in (*inner, one.__cause__, one.__context__) if isinstance(e, BaseException)
        ]
