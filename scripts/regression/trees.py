"""The source trees that are compared: this checkout, and a revision of it laid out beside it.

A revision is what `git archive` gives, so no worktree is left to prune. It is unpacked into a
folder of its own that takes its final name when it is complete: runs side by side or broken off
leave a whole tree or none. Standard library, and tomli before Python 3.11.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sambert_trt.engines.errors import InputError

from .folders import kept_folder
from .namespace import linked
from .project import declared
from .repository import check_repository, commit_of, extract_commit, git

__all__ = ["Tree", "dependency_notes", "tree_of_revision", "working_tree"]

_DIGITS = 12
"""Of a commit in a folder's name."""


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
        check_repository(root)
        sha = git(root, "rev-parse", "--verify", "HEAD")
        changed = bool(git(root, "status", "--porcelain", "--untracked-files=normal"))
    except InputError:
        return Tree(root, label, "", changed=False)
    return Tree(root, label, sha, changed)


def tree_of_revision(root: Path, revision: str, cache: Path) -> Tree:
    """A revision of the repository at `root`, under `cache`; one that is there already is reused.

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

    path = kept_folder(cache.absolute() / sha[:_DIGITS], unpack)
    linked(path)
    return Tree(path, revision, sha, changed=False)


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
