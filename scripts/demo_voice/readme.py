"""The texts that lie beside a voice's weights: what it is, whose, how well it speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .scores import Evaluation
from .tables import markdown_from_evaluation
from .voice_files import Heard, TrainedVoice

__all__ = ["attribution_of_voice", "readme_of_voice"]

_FIELDS = {
    "sy": "phones and breaks",
    "tone": "tones",
    "syllable_flag": "syllable flags",
    "word_segment": "word positions",
    "emo_category": "emotions",
}


def attribution_of_voice(voice: TrainedVoice) -> str:
    """The text of ATTRIBUTION.md."""
    return f"This voice is synthetic speech. It was trained on: {voice.attribution.strip()}\n"


def readme_of_voice(
    voice: TrainedVoice,
    contents: Mapping[str, bytes],
    evaluation: Evaluation | None,
    doubt: str,
) -> str:
    """The text of README.md.

    Args:
        voice: what was trained.
        contents: the other files by their paths.
        evaluation: of these very checkpoints; None where they were not measured.
        doubt: why the voice was packaged only because somebody asked for it; or empty.
    """
    blocks = [
        "# A small Mandarin voice in the KAN-TTS layout",
        f"**Packaged although {doubt}.**" if doubt else "",
        "**Synthetic speech.** Its licence is in [LICENSE](LICENSE), with the "
        "[attribution](ATTRIBUTION.md) it asks for. scripts/train_voice.py made it; "
        "docs/demo-voice.md of the project says how.",
        "## Files\n\n" + _files(contents),
        "## Training\n\n" + _training(voice),
        "## Measured\n\n" + _measured(evaluation),
        "## Units without training\n\n" + _untrained(voice.untrained),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _files(contents: Mapping[str, bytes]) -> str:
    rows = [f"| `{path}` | {len(content):,} |" for path, content in sorted(contents.items())]
    return "\n".join(("| file | bytes |", "|---|---|", *rows))


def _training(voice: TrainedVoice) -> str:
    kind = "with a harmonic source (NSF)" if voice.sambert.nsf else "without a harmonic source"
    return (
        f"{voice.steps[0]:,} steps of the acoustic model and {voice.steps[1]:,} of the vocoder; "
        f"both {kind}, averaged over their last steps, stored in half precision. "
        f"{voice.rate} Hz, frames of {voice.hifigan.hop} samples, "
        f"{voice.hifigan.in_channels} mel bands. The encoder's positions are computed by their "
        "formula: to train on with KAN-TTS, set max_len to 800 and leave position_enc out of the "
        "checkpoint." + "".join(map(_met, voice.heard)) + _began(voice.began_with)
    )


def _began(voices: tuple[str | None, str | None]) -> str:
    models = zip(("acoustic model", "vocoder"), voices, strict=True)
    named = [f"the {model} with those of {voice}" for model, voice in models if voice]
    if not named:
        return ""
    told = " and ".join(named)
    return f" Training began with weights of others: {told}, whose licence binds this voice, too."


def _met(heard: Heard) -> str:
    share = f"{100 * heard.spoken:.0f} %"
    return (
        f" In the vocoder's steps {heard.first:,} to {heard.last:,}, {share} of what it learned "
        f"from had mels of the acoustic model as it was after {heard.spoken_by:,} steps."
    )


def _measured(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return "Nothing was measured of these checkpoints."
    page = markdown_from_evaluation(evaluation)
    _, _, rest = page.partition("\n\n")  # its own title
    return rest.replace("\n## ", "\n### ").strip()


def _untrained(untrained: Mapping[str, Sequence[str]]) -> str:
    lines = [
        f"* {_FIELDS.get(field, field)}: {', '.join(names)}"
        for field, names in untrained.items()
        if names
    ]
    if not lines:
        return "None: training had them all."
    return (
        "Less than one symbol of the training in ten thousand had these. Text is not read with "
        "them: English is said with Chinese syllables. Such emotions are refused.\n\n"
    ) + "\n".join(lines)
