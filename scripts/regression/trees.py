"""The source trees that are compared: this checkout, and a revision of it laid out beside it.

A revision is what `git archive` gives, so no worktree is left to prune. It is unpacked into a
folder of its own that takes its final name when it is complete: runs side by side or broken off
leave a whole tree or none. Standard library, and tomli before Python 3.11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from sambert_trt.engines.errors import InputError

from .folders import fresh_folder
from .namespace import linked
from .project import declared, packages
from .repository import check_repository, commit_of, extract_commit, git

__all__ = [
    "Tree",
    "committed_tree",
    "dependency_notes",
    "edits",
    "tree_of_revision",
    "working_tree",
]

_DIGITS = 12
"""Of a commit in a folder's name."""

_NAMED = 5
"""Of changed files, as many are told."""


@dataclass(frozen=True)
class Tree:
    """A source tree that can be measured: its build/ns holds `sambert_trt`.

    Attributes:
        path: its root.
        label: as the user named it.
        sha: the commit; "" where there is no repository.
        changed: files differ from that commit, or are unknown to it.
        digests: by path, of the files that a measurement runs, as they were when the tree was
            taken; empty: `edits` has nothing to compare with.
    """

    path: Path
    label: str
    sha: str
    changed: bool
    digests: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


def working_tree(root: Path, label: str = "working tree") -> Tree:
    """The checkout as it is; in an unpacked archive, without a commit.

    Raises:
        InputError: it is no source tree of this project.
        OutputError: build/ns cannot be written.
    """
    linked(root)
    digests = _digests(root)
    try:
        check_repository(root)
        sha = git(root, "rev-parse", "--verify", "HEAD")
        changed = bool(git(root, "status", "--porcelain", "--untracked-files=normal"))
    except InputError:
        return Tree(root, label, "", changed=False, digests=digests)
    return Tree(root, label, sha, changed, digests)


def committed_tree(root: Path) -> Tree:
    """The checkout, of which all that is measured stands in its commit.

    Raises:
        InputError: there is no commit, or files differ from it; the message names them.
        OutputError: build/ns cannot be written.
    """
    tree = working_tree(root)
    if not tree.sha:
        raise InputError(f"{root} has no commit, so nothing would say what was measured: clone it")
    folders = [str(folder) for folder in packages(root).values()]
    paths = (*folders, str(root / "scripts"), str(root / "pyproject.toml"))
    changed = git(root, "status", "--porcelain", "--untracked-files=all", "--", *paths)
    if changed:
        names = ", ".join(line.split()[-1] for line in changed.splitlines()[:_NAMED])
        raise InputError(
            f"{root} has changes that are in no commit ({names}), so its revision would not say "
            "what was measured: commit or remove them"
        )
    return replace(tree, changed=False)


def tree_of_revision(root: Path, revision: str, cache: Path) -> Tree:
    """A revision of the repository at `root`, unpacked anew under `cache`.

    Raises:
        InputError: there is no git, no repository, no such revision, or its content is not there.
        OutputError: it cannot be written, e.g. because the disk is full.
    """
    check_repository(root)
    sha = commit_of(root, revision)

    def unpack(folder: Path) -> Path:
        whole = folder / "tree"
        whole.mkdir()
        extract_commit(root, sha, whole)
        return whole

    path = fresh_folder(cache.absolute() / sha[:_DIGITS], unpack)
    linked(path)
    return Tree(path, revision, sha, changed=False, digests=_digests(path))


def edits(tree: Tree) -> tuple[str, ...]:
    """The files of a tree that were written, added or removed since it was taken."""
    if not tree.digests:
        return ()
    try:
        now = _digests(tree.path)
    except InputError:  # which folders are its packages can be told no longer
        return ("pyproject.toml",)
    paths = sorted({*tree.digests, *now})
    return tuple(path for path in paths if tree.digests.get(path) != now.get(path))


def _digests(root: Path) -> dict[str, str]:
    """Of the packages, of what measures them, and of pyproject.toml."""
    found = {}
    for path in _measured_files(root):
        name = path.relative_to(root)
        hidden = path.name.startswith(".") or "__pycache__" in name.parts
        with suppress(OSError):  # a folder, or a file that has just gone
            if not hidden:
                found[name.as_posix()] = sha256(path.read_bytes()).hexdigest()
    return found


def _measured_files(root: Path) -> Iterator[Path]:
    yield root / "pyproject.toml"
    yield from (root / "scripts").glob("*.py")
    for folder in (*packages(root).values(), root / "scripts" / "regression"):
        yield from folder.rglob("*")


def dependency_notes(base: Tree, candidate: Tree) -> tuple[str, ...]:
    """What the two declare differently: both are measured with what is installed here."""
    theirs, ours = declared(base.path), declared(candidate.path)
    notes = []
    for key in sorted(set(theirs) | set(ours)):
        before, after = theirs.get(key, "nothing"), ours.get(key, "nothing")
        if before != after:
            where, name = key
            notes.append(
                f"{where}: {base.label} declares {before} of {name}, {candidate.label} {after}"
            )
    return tuple(notes)
