"""The source trees that are compared: this checkout, and a revision of it laid out beside it.

A revision is what `git archive` gives, so nothing in .git changes and no worktree is left to prune.
It is unpacked into a folder of its own that takes its final name when it is complete: runs side by
side or broken off leave a whole tree or none. Standard library, and tomli before Python 3.11.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from check import link_directory

from sambert_trt.engines.errors import InputError, OutputError, SambertError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "UNFINISHED",
    "Tree",
    "dependency_notes",
    "linked",
    "project_file",
    "remove_abandoned",
    "tree_of_revision",
    "working_tree",
]

_NAMED = 12
"""Of existing revisions, as many stand in an error; and digits of a commit in a folder's name."""

_ABANDONED = 86_400
"""Seconds after which a folder that was never completed is somebody's leftover."""

UNFINISHED = "unfinished-"

_OF_HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


@dataclass(frozen=True)
class Tree:
    """A source tree that can be measured: its build/ns holds `sambert_trt`.

    Attributes:
        path: its root.
        label: as the user named it.
        sha: the commit; "" where there is no repository.
        changed: files differ from that commit, or are unknown to it.
    """

    path: Path
    label: str
    sha: str
    changed: bool


def working_tree(root: Path, label: str = "working tree") -> Tree:
    """The checkout as it is; in an unpacked archive, without a commit.

    Raises:
        InputError: it is no source tree of this project.
        OutputError: build/ns cannot be written.
    """
    linked(root)
    try:
        _check_repository(root)
        sha = _git(root, "rev-parse", "--verify", "HEAD")
        changed = bool(_git(root, "status", "--porcelain", "--untracked-files=normal"))
    except InputError:
        return Tree(root, label, "", changed=False)
    return Tree(root, label, sha, changed)


def tree_of_revision(root: Path, revision: str, cache: Path) -> Tree:
    """A revision of the repository at `root`, under `cache`; one that is there already is reused.

    Raises:
        InputError: there is no git, no repository, no such revision, or its content is not there.
        OutputError: it cannot be written, e.g. because the disk is full.
    """
    _check_repository(root)
    sha = _commit(root, revision)
    path = cache.absolute() / sha[:_NAMED]
    if not path.is_dir():
        with _writing(path):
            cache.mkdir(parents=True, exist_ok=True)
            remove_abandoned(cache)
            _unpack(root, sha, path)
    linked(path)
    return Tree(path, revision, sha, changed=False)


def linked(tree: Path) -> None:
    """Makes build/ns/sambert_trt lead to the tree's packages, compiled, as an installed one's are.

    Raises:
        InputError: it is no source tree of this project.
        OutputError: build/ns cannot be written.
    """
    folders = _packages(tree)
    namespace = tree / "build" / "ns" / "sambert_trt"
    with _writing(namespace):
        namespace.mkdir(parents=True, exist_ok=True)
        for name, folder in folders.items():
            _link(namespace / name, folder)
    for folder in folders.values():
        compileall.compile_dir(folder, quiet=2)


def dependency_notes(base: Tree, candidate: Tree) -> tuple[str, ...]:
    """What the two declare differently: both are measured with what is installed here."""
    theirs, ours = _declared(base.path), _declared(candidate.path)
    notes = []
    for key in sorted(set(theirs) | set(ours)):
        before, after = theirs.get(key, "nothing"), ours.get(key, "nothing")
        if before != after:
            where, name = key
            notes.append(
                f"{where}: {base.label} declares {before} of {name}, {candidate.label} {after}"
            )
    return tuple(notes)


def _link(link: Path, folder: Path) -> None:
    if _leads(link, folder):
        return
    if link.is_symlink():
        link.unlink(missing_ok=True)
    elif link.exists():
        shutil.rmtree(link)
    try:
        link_directory(link, folder)
    except OSError:  # another run has just made it
        if not _leads(link, folder):
            raise


def _leads(link: Path, folder: Path) -> bool:
    return link.exists() and link.samefile(folder)


def _packages(tree: Path) -> dict[str, Path]:
    """Folders by what they are called in `sambert_trt`, as the tree's own pyproject.toml says."""
    folders: Mapping[str, str] = (
        project_file(tree).get("tool", {}).get("setuptools", {}).get("package-dir", {})
    )
    found = {
        name.partition(".")[2]: tree / folder
        for name, folder in folders.items()
        if name.count(".") == 1 and (tree / folder).is_dir()
    }
    if "runtime" not in found:
        raise InputError(f"{tree} is no source tree of this project: it has no runtime package")
    return found


def project_file(tree: Path) -> dict[str, Any]:
    """A tree's pyproject.toml.

    Raises:
        InputError: it has none, or one that is no TOML.
    """
    path = tree / "pyproject.toml"
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{tree} is no source tree of this project: {error}") from error
    return found


def _declared(tree: Path) -> dict[tuple[str, str], str]:
    """Version ranges by extra and distribution."""
    project = project_file(tree).get("project", {})
    groups = {"": project.get("dependencies", ()), **project.get("optional-dependencies", {})}
    found: dict[tuple[str, str], str] = {}
    for extra, requirements in groups.items():
        for text in requirements:
            name = re.split(r"[^A-Za-z0-9._-]", text.strip(), maxsplit=1)[0]
            where = f"extra {extra}" if extra else "dependencies"
            found[where, name.lower()] = text
    return found


def _commit(root: Path, revision: str) -> str:
    """The commit a revision names.

    Raises:
        InputError: none; the message says which there are.
    """
    with suppress(InputError):
        if revision and not revision.startswith("-"):
            return _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    names = _git(
        root,
        *("for-each-ref", "--sort=-committerdate", f"--count={_NAMED}"),
        *("--format=%(refname:short)", "refs/heads", "refs/remotes", "refs/tags"),
    )
    known = ", ".join(names.split()) or "no branch or tag"
    advice = "name one of them, or a commit"
    if _git(root, "rev-parse", "--is-shallow-repository") == "true":
        name = re.sub(r"[~^@].*", "", revision).removeprefix("origin/") or "main"
        advice = (
            "this clone is shallow; get it with: "
            f"git fetch --depth=1 origin {name}:refs/remotes/origin/{name}"
            f" and give origin/{name}"
        )
    raise InputError(f"no revision {revision!r} in {root}, which has {known}: {advice}")


def _check_repository(root: Path) -> None:
    """Looks whether `root` is the top of a repository: one further up is not of this project.

    Raises:
        InputError: it is not, or there is no git.
    """
    try:
        top = _git(root, "rev-parse", "--show-toplevel")
    except InputError as error:
        raise InputError(f"{error}: a base needs a clone, or measure with: perf.py run") from error
    if not Path(top).samefile(root):
        raise InputError(
            f"{root} is no git repository of its own ({top} is one): a base needs a clone, "
            "not an unpacked archive"
        )


def _git(root: Path, *words: str) -> str:
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


def _unpack(root: Path, sha: str, path: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=path.parent))
    try:
        (folder / "tree").mkdir()
        _extract_archive(root, sha, folder / "tree")
        _rename(folder / "tree", path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rename(folder: Path, path: Path) -> None:
    """Gives a complete tree its name, unless another run was first."""
    try:
        folder.rename(path)
    except OSError:
        if not path.is_dir():
            raise


def _extract_archive(root: Path, sha: str, folder: Path) -> None:
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


def remove_abandoned(cache: Path, prefix: str = UNFINISHED) -> None:
    """Removes the folders that runs have left that were ended from outside, a day ago or more."""
    for folder in cache.glob(f"{prefix}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Says what could not be written, and why."""
    try:
        yield
    except SambertError:
        raise
    except OSError as error:
        free = ""
        with suppress(OSError):
            parent = next(place for place in path.parents if place.is_dir())
            free = f" ({shutil.disk_usage(parent).free / 1e6:.0f} MB are free there)"
        raise OutputError(f"{path} cannot be written: {error}{free}") from error
