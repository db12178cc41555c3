"""Makes the environment, exports the demo voice, and speaks a sentence into demo/hello.wav.

Standard library only.
"""

from __future__ import annotations

import subprocess
import sys
import time
import wave
from pathlib import Path

from setup_env import ROOT, SetupError, make_environment

SOURCE = ROOT / "scripts" / "demo_voice" / "voice"
DEMO = ROOT / "demo"
SENTENCE = "今天天气真好，我们一起去公园吧。"


def main() -> int:
    """Runs the three steps; returns the exit status."""
    try:
        python = make_environment(ROOT / ".venv")
    except SetupError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    voice, wav = DEMO / "voice", DEMO / "hello.wav"
    export = (str(python.with_name("sambert-export")), str(SOURCE), "-o", str(voice))
    say = (str(python.with_name("sambert-tts")), "say", SENTENCE, "--voice", str(voice))
    try:
        exported = seconds_of(export)
        spoken = seconds_of((*say, "-o", str(wav), "-v"))
    except subprocess.CalledProcessError as error:
        print(f"demo: {Path(error.cmd[0]).name} ended with {error.returncode}", file=sys.stderr)
        return 1
    report(wav, exported, spoken)
    return 0


def seconds_of(command: tuple[str, ...]) -> float:
    """Runs a command, showing it as a user would type it; returns its seconds."""
    shown = (Path(command[0]).name, *(shorten(part) for part in command[1:]))
    print("$", *shown, flush=True)
    started = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - started


def shorten(argument: str) -> str:
    """A path inside the checkout without the checkout's own path."""
    path = Path(argument)
    return str(path.relative_to(ROOT)) if ROOT in path.parents else argument


def report(wav: Path, exported: float, spoken: float) -> None:
    """Prints what was made and how long it took."""
    with wave.open(str(wav), "rb") as audio:
        rate = audio.getframerate()
        seconds = audio.getnframes() / rate
    print(f"\nthe voice   {shorten(str(DEMO / 'voice'))}, ready in {exported:.1f} s")
    print(f"the speech  {shorten(str(wav))}, {seconds:.2f} s at {rate} Hz, made in {spoken:.1f} s")
    print("            (that includes starting Python and loading the voice)")
    print(f"the text    {SENTENCE}")


if __name__ == "__main__":
    sys.exit(main())
