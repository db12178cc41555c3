"""What the documentation says can be done is done: commands, Python blocks and links."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
OPENING = re.compile(r"^```(\w*)\s*$")
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
SET_UP = ("git", "make", "pip", "python", "set", "export")  # checked, but not run: they are set-up


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the line of its fence, language, text, and why it is not run."""

    page: Path
    line: int
    language: str
    text: str
    not_run: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command of a shell block; each side of a pipe is a command."""
        lines = self.text.replace("\\\n", " ").splitlines()
        words = [shlex.split(line, comments=True) for line in lines]
        return [part for line in words for part in split_at_pipes(line) if part]


def split_at_pipes(words: list[str]) -> Iterator[list[str]]:
    """The commands of a pipeline, without redirections."""
    part: list[str] = []
    for word in words:
        if word in ("|", "&&"):
            yield part
            part = []
        else:
            part.append(word)
    yield part[: part.index(">")] if ">" in part else part


def blocks_of(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    lines = page.read_text(encoding="utf-8").splitlines()
    position = 0
    while position < len(lines):
        opening = OPENING.match(lines[position])
        if opening:
            end = lines.index("```", position + 1)
            above = next((line for line in reversed(lines[:position]) if line.strip()), "")
            reason = NOT_RUN.match(above)
            text = "\n".join(lines[position + 1 : end])
            why = reason.group(1) if reason else None
            yield Block(page, position + 1, opening.group(1), text, why)
            position = end
        position += 1


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
SHELL = [block for block in BLOCKS if block.language == "bash"]


def pages_with(language: str) -> list[Path]:
    """The pages with blocks of a language that are run."""
    runnable = [block for block in BLOCKS if block.language == language and not block.not_run]
    return sorted({block.page for block in runnable})


def blocks_to_run(page: Path, language: str) -> list[Block]:
    """The blocks of a page and language that are run, in order."""
    return [b for b in BLOCKS if b.page == page and b.language == language and not b.not_run]


@cache
def help_of(*command: str) -> str:
    """What a command prints for --help."""
    executable = Path(sysconfig.get_path("scripts")) / command[0]
    finished = subprocess.run(
        (str(executable), *command[1:], "--help"),
        capture_output=True,
        encoding="utf-8",
        env=environment(),
        check=False,
    )
    assert finished.returncode == 0, f"{' '.join(command)} --help failed: {finished.stderr}"
    return finished.stdout


def environment() -> dict[str, str]:
    """The variables of the documented commands: this Python's scripts first, UTF-8 everywhere."""
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", "")))
    return {**os.environ, "PATH": path, "PYTHONUTF8": "1", "COLUMNS": "200"}


def name_of(page: Path) -> str:
    """The test id of a page."""
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_every_command_is_known(block: Block) -> None:
    for words in block.commands:
        complaint = unknown_part(words)
        assert complaint is None, f"{block}: {' '.join(words)}: {complaint}"


def unknown_part(words: list[str]) -> str | None:  # noqa: PLR0911
    """What the project does not know about a command; None where it knows all of it."""
    command, arguments = words[0], words[1:]
    if command == "sambert-tts":
        if not arguments or not re.search(rf"\b{arguments[0]}\b", help_of(command)):
            return "no such subcommand"
        return unknown_option(help_of(command, arguments[0]), arguments)
    if command.startswith("sambert-"):
        return unknown_option(help_of(command), arguments)
    if command == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        return None if arguments[0] in targets else "no such target"
    if command in ("python", "python3") and arguments[0].startswith("scripts/"):
        return None if (ROOT / arguments[0]).is_file() else "no such script"
    if command == ".venv/bin/python" and arguments[0].startswith("scripts/"):
        return None if (ROOT / arguments[0]).is_file() else "no such script"
    if command == "pip":
        declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        extras = re.findall(r"\[([\w,]+)\]", " ".join(arguments))
        names = [name for listed in extras for name in listed.split(",")]
        missing = [name for name in names if not re.search(rf"^{name} = \[", declared, re.M)]
        return f"no extra {missing}" if missing else None
    return None if command in (*SET_UP, "cat", "echo", "printf", "ls") else "not a known command"


def unknown_option(help_text: str, arguments: list[str]) -> str | None:
    """The first option that a help text does not mention."""
    options = [word.partition("=")[0] for word in arguments if re.match(r"--?[a-z]", word)]
    missing = [name for name in options if not re.search(rf"(?<![\w-]){name}(?![\w-])", help_text)]
    return f"no option {missing[0]}" if missing else None


@pytest.fixture
def place(tmp_path: Path, demo_voice: Path) -> Path:
    """A folder with what the documentation assumes: VOICE_DIR, voice, and a text file."""
    shutil.copytree(ROOT / "scripts" / "demo_voice" / "voice", tmp_path / "VOICE_DIR")
    shutil.copytree(demo_voice, tmp_path / "voice")
    (tmp_path / "story.txt").write_text("今天天气真好。\n我们去公园。\n", encoding="utf-8")
    return tmp_path


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")
@pytest.mark.parametrize("page", pages_with("bash"), ids=name_of)
def test_the_commands_of_a_page_run(page: Path, place: Path) -> None:
    lines = [
        line
        for block in blocks_to_run(page, "bash")
        for line in block.text.replace("\\\n", " ").splitlines()
        if line.split()[:1] and line.split()[0] not in SET_UP and "/python" not in line.split()[0]
    ]
    script = "\n".join(lines)
    run_in(place, ("bash", "-euo", "pipefail", "-c", script), page)


@pytest.mark.parametrize("page", pages_with("python"), ids=name_of)
def test_the_python_of_a_page_runs(page: Path, place: Path) -> None:
    program = "\n\n".join(block.text for block in blocks_to_run(page, "python"))
    run_in(place, (sys.executable, "-c", program), page)


def run_in(place: Path, command: tuple[str, ...], page: Path) -> None:
    """Runs a command in the prepared folder; what it printed is the failure's message."""
    finished = subprocess.run(
        command,
        cwd=place,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if finished.returncode:
        output = finished.stdout.decode(errors="replace")[-3000:]
        pytest.fail(f"{name_of(page)}\n{command[-1]}\n--- ended with\n{output}", pytrace=False)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.is_file(), f"{name_of(page)} links to {target}, which is not there"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M)
            assert anchor in map(slug_of, titles), f"{name_of(page)}: no title for #{anchor}"


def slug_of(title: str) -> str:
    """The anchor that a Markdown page offers for a title."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_every_page_is_reachable_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = {(ROOT / target.partition("#")[0]).resolve() for target in LINK.findall(text)}
    missing = [name_of(page) for page in PAGES if page not in linked and page.name != "README.md"]
    assert missing == []
