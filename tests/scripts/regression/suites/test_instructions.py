"""Only what callgrind counts between the last two marks is taken; what fails is told."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from regression.record import NotMeasured
from regression.suite import Settings
from regression.suites import instructions

from sambert_trt.engines.errors import InputError

FAKE = """#!{python}
import json, os, sys
(out,) = [word.partition("=")[2] for word in sys.argv if word.startswith("--callgrind-out-file=")]
assert "--dump-before=getsid" in sys.argv
assert os.environ["PYTHONHASHSEED"] == "0"
settings, *passes = json.loads(sys.argv[-1])
assert settings["voice"].startswith("/")
for part, count in enumerate((999, *passes, 5)):
    name = out + (f".{{part + 1}}" if part < 3 else "")
    with open(name, "w") as file:
        file.write(f"events: Ir\\n\\ntotals: {{1000 * count}}\\n")
"""


@pytest.fixture
def valgrind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Settings]:
    """Puts a program in valgrind's place."""

    def placed(program: str) -> Settings:
        path = tmp_path / "bin" / "valgrind"
        path.parent.mkdir()
        path.write_text(program, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(path.parent))
        return Settings(tmp_path, tmp_path, tmp_path)

    return placed


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no valgrind")


def test_the_counted_passes_are_taken(valgrind: Callable[[str], Settings]) -> None:
    settings = valgrind(FAKE.format(python=sys.executable))
    assert list(instructions.rounds(settings)) == [{"instructions.text": 1000.0}]


def test_what_fails_says_why(valgrind: Callable[[str], Settings]) -> None:
    settings = valgrind(f"#!{sys.executable}\nraise SystemExit('no such voice')\n")
    with pytest.raises(InputError, match="callgrind counted nothing: no such voice"):
        next(iter(instructions.rounds(settings)))


def test_without_valgrind_nothing_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(NotMeasured, match="valgrind is not installed"):
        next(iter(instructions.rounds(Settings(tmp_path, tmp_path, tmp_path))))


def test_the_program_makes_its_passes_between_marks(
    tiny_voice: Callable[[str], Path], tmp_path: Path, root: Path
) -> None:
    told = "import os; os.getsid = lambda number: print('mark')\n"
    counts = "import regression.loops as l; l.reading_loop = lambda settings: print\n"
    program = f"import sys; sys.path.append({str(root / 'scripts')!r})\n{told}{counts}"
    settings = instructions.data_from_settings(Settings(tmp_path, tiny_voice("plain"), tmp_path))
    finished = subprocess.run(
        (
            *(sys.executable, "-X", "utf8", "-c", program + instructions._PROGRAM),
            json.dumps([settings, 2, 1]),
        ),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    lines = ["mark" if line == "mark" else "pass" for line in finished.stdout.splitlines()]
    assert lines == ["mark", "pass", "pass", "mark", "pass", "mark"]
