"""What git is asked: which commit a revision is, how the checkout stands, the files of a commit.

Nothing in .git changes, and what a hook says of another repository does not count. Standard library
only.
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from sambert_trt.engines.errors import InputError

__all__ = ["check_repository", "commit_of", "extract_commit", "git"]

_NAMED = 12
"""Of existing revisions, as many stand in an error; and digits of a commit."""

_OF_HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


def check_repository(root: Path) -> None:
    """Looks whether `root` is the top of a repository: one further up is not of this project.

    Raises:
        InputError: it is not, or there is no git.
    """
    try:
        top = git(root, "rev-parse", "--show-toplevel")
    except InputError as error:
        raise InputError(f"{error}: a base needs a clone, or measure with: perf.py run") from error
    if not Path(top).samefile(root):
        raise InputError(
            f"{root} is no git repository of its own ({top} is one): a base needs a clone, "
            "not an unpacked archive"
        )


def commit_of(root: Path, revision: str) -> str:
    """The commit a revision names.

    Raises:
        InputError: none; the message says which there are.
    """
    with suppress(InputError):
        if revision and not revision.startswith("-"):
            return git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    names = git(
        root,
        *("for-each-ref", "--sort=-committerdate", f"--count={_NAMED}"),
        *("--format=%(refname:short)", "refs/heads", "refs/remotes", "refs/tags"),
    )
    known = ", ".join(names.split()) or "no branch or tag"
    advice = "name one of them, or a commit"
    if git(root, "rev-parse", "--is-shallow-repository") == "true":
        advice = f"this clone is shallow; {_deepening(revision)}"
    raise InputError(f"no revision {revision!r} in {root}, which has {known}: {advice}")


def _deepening(revision: str) -> str:
    """How to get a revision; one counted from another commit needs those between."""
    if re.search(r"[~^@]|^HEAD$", revision):
        return "get the commits before it with: git fetch --unshallow"
    name = revision.removeprefix("origin/") or "main"
    fetch = f"git fetch --depth=1 origin {name}:refs/remotes/origin/{name}"
    return f"get it with: {fetch} and give origin/{name}"


def git(root: Path, *words: str) -> str:
    """What git says, without spaces around it.

    Raises:
        InputError: git is not there, or says no.
    """
    try:
        finished = subprocess.run(
            _git_command(root, *words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=_git_environment(),
            check=False,
        )
    except OSError as error:
        raise InputError(f"git cannot be run, install it ({error})") from error
    if finished.returncode:
        raise InputError(f"git {words[0]} in {root}: {_last(finished.stderr)}")
    return finished.stdout.strip()


def _git_command(root: Path, *words: str) -> tuple[str, ...]:
    return ("git", "--no-optional-locks", "-C", str(root), *words)


def _git_environment() -> dict[str, str]:
    """Ours, without what a git hook says of another repository."""
    return {name: value for name, value in os.environ.items() if name not in _OF_HOOKS}


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1]


def extract_commit(root: Path, sha: str, folder: Path) -> None:
    """Unpacks a commit.

    Raises:
        InputError: git cannot give its content.
        OSError: it cannot be written.
    """
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            _git_command(root, "archive", "--format=tar", sha),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            env=_git_environment(),
        ) as process,
    ):
        broken = None
        try:
            assert process.stdout is not None
            _extract_tar(process.stdout, folder)
        except tarfile.TarError as error:
            broken = error
        except BaseException:
            process.kill()
            raise
        if process.wait() or broken:
            said.seek(0)
            words = _last(said.read().decode("utf-8", "replace"))
            raise InputError(f"git cannot give the files of {sha[:_NAMED]}: {words}") from broken


def _extract_tar(stream: IO[bytes], folder: Path) -> None:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)  # before Python 3.10.12; it is our own repository's
