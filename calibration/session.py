"""One calibration, from texts to graphs in the voice directory and a report.

    texts ─ record ─ plan for each placement ─ install ─ report

What is slow (recording, ranges, measurements) is kept in VOICE/.calibration until the end, so
that an interrupted calibration goes on where it stopped. This is the file to read first.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from sambert_trt.engines.errors import InputError, IntegrityError, OutputError, SambertError
from sambert_trt.engines.graphs import Placement, Precision, Stage
from sambert_trt.engines.locks import locked
from sambert_trt.engines.manifest import VoiceManifest
from sambert_trt.engines.voice import manifest_from_directory

from .assessment import Cost, Goal, Outcome
from .bench import Depth, Progress
from .figures import Limits
from .footprint import Footprint
from .helpers import Helpers, Place
from .install import install, recipe_path
from .judge import Judge
from .keep import Groups, kept_treatments
from .limits import LIMITS, unmeasured
from .material import Material, divided_texts
from .mel_figures import DB_PER_UNIT
from .phases import Phases
from .planner import plan_voice
from .recipe import Recipe, StagePlan, Treatment
from .recipes import check_recipe, recipe_from_text, recipe_text, voice_digest
from .recogniser import Recogniser, find_recogniser
from .recorder import record
from .recording import Recording
from .report import (
    Example,
    HalfVoice,
    Report,
    Skipped,
    Texts,
    listening_sentences,
    report_from_json,
    this_machine,
    verdict_sentences,
    write_report,
)
from .variants import write_variants
from .voice_bench import VoiceBench
from .workshop import Workshop, offered_groups

__all__ = ["GOALS", "CalibrationOptions", "calibrate", "report_of", "summary_text"]

GOALS: Mapping[Placement, Goal] = {Placement.CPU: Goal.SPEED, Placement.TENSORRT: Goal.SIZE}
"""What is sought where nobody says: a card's speed cannot be measured without the card."""

_REPORT, _WORK, _LOCK = "calibration", ".calibration", ".calibration.lock"
_LOCK_SECONDS = 5.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class CalibrationOptions:
    """What a user may decide.

    Attributes:
        texts: a file of sentences, one a line; None takes the project's own.
        symbols: the file holds symbol lines instead.
        keep: treatments kept though slower or worse, by `stage` or `stage/group`.
        recipe: a recipe file to follow instead of a search; `adopt` takes that of another voice.
        sentences: how many texts are recorded.
        judged: how many others are judged by.
        seconds: after so many nothing more is tried.
        examples: how many sentences are kept to listen to and to look at, for each placement.
        fresh: forget what an interrupted calibration left.
    """

    placements: tuple[Placement, ...] = tuple(Placement)
    texts: Path | None = None
    symbols: bool = False
    goal: Goal | None = None
    limits: Limits = field(default_factory=Limits)
    keep: Mapping[str, Treatment | None] = field(default_factory=dict)
    recipe: Path | None = None
    adopt: bool = False
    sentences: int = 200
    judged: int = 8
    threads: int = 2
    seconds: float | None = None
    examples: int = 3
    fresh: bool = False


@dataclass(frozen=True)
class _Planned:
    """What came out for one placement."""

    outcome: Outcome
    baseline: Mapping[Stage, Cost]
    half: HalfVoice | None
    examples: tuple[Example, ...]


def calibrate(
    directory: Path, options: CalibrationOptions, progress: Progress = lambda what, done: None
) -> Report:
    """Calibrates a voice: writes fp16 and int8 graphs into its directory, and a report.

    Raises:
        VoiceError: the directory is no voice, or one of its files is not the one it names.
        InputError: texts, a recipe or something to keep that do not fit the voice.
        GraphError: a graph or checkpoint that cannot be calibrated, such as one with NaN.
        OutputError: the directory cannot be written, or is being calibrated.
    """
    manifest = manifest_from_directory(directory)
    with _work_folder(directory, fresh=options.fresh) as work:
        with Footprint() as footprint:
            phases = Phases(progress, len(options.placements))
            report = _Session(directory, manifest, options, work, phases, footprint).run()
        write_report(directory / _REPORT, report)
        shutil.rmtree(work, ignore_errors=True)
    return report


def report_of(directory: Path) -> Report:
    """The report of a voice's last calibration.

    Raises:
        VoiceError: the directory is no voice.
        InputError: it was never calibrated, or the report cannot be read.
    """
    manifest_from_directory(directory)
    path = directory / _REPORT / "report.json"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read ({error}): calibrate the voice first, with: "
            f"sambert-calibrate {directory}"
        ) from error
    return report_from_json(text, str(path))


def summary_text(directory: Path, report: Report) -> str:
    """What a user reads at the end: the verdict, and where everything lies."""
    recipes = ", ".join(recipe_path(outcome.placement) for outcome in report.outcomes)
    return (
        "".join(f"{' '.join(verdict_sentences(report, outcome))}\n" for outcome in report.outcomes)
        + f"why:     sambert-calibrate {directory} --explain\n"
        + f"report:  {directory / _REPORT / 'report.html'}\n"
        + f"recipes: {recipes} in {directory}\n"
    )


class _Session:
    """One calibration of one voice."""

    def __init__(
        self,
        directory: Path,
        manifest: VoiceManifest,
        options: CalibrationOptions,
        work: Path,
        phases: Phases,
        footprint: Footprint,
    ) -> None:
        self._directory, self._manifest, self._options = directory, manifest, options
        self._work, self._phase, self._footprint = work, phases, footprint
        self._recogniser: Recogniser | None = None

    def run(self) -> Report:
        """All of it; the voice has its graphs at the end."""
        options, recipes = self._options, self._recipes()
        with self._phase("checks"):
            recipes = self._checked(recipes)
        with self._phase("texts"):
            material = divided_texts(
                self._directory,
                self._manifest,
                options.texts,
                symbols=options.symbols,
                recorded=options.sentences,
                judged=options.judged,
            )
        with self._phase("recording") as progress:
            recording = self._recorded(material, progress)
        if Placement.TENSORRT in options.placements:
            with self._phase("half precision") as progress:
                write_variants(
                    self._directory,
                    Precision.FP16,
                    progress=lambda what, done, total: progress(what, done / total),
                )
        with self._judge(material) as judge:
            planned = [
                self._planned(placement, recipes.get(placement), recording, material, judge)
                for placement in options.placements
            ]
        return self._report(material, recording, planned)

    def _recipes(self) -> dict[Placement, Recipe]:
        path = self._options.recipe
        if path is None:
            return {}
        try:
            recipe = recipe_from_text(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"the recipe {path} cannot be read: {getattr(error, 'strerror', None) or error}"
            ) from error
        if recipe.placement not in self._options.placements:
            raise InputError(
                f"{path} is a recipe for {recipe.placement.value}: add --target "
                f"{recipe.placement.value}"
            )
        return {recipe.placement: recipe}

    def _checked(self, recipes: Mapping[Placement, Recipe]) -> dict[Placement, Recipe]:
        """Finds out before the long work what would end it: what is asked for has to fit."""
        import tomli_w  # noqa: F401  # writes the recipes at the end

        self._recogniser = find_recogniser()
        offered = offered_groups(self._directory, self._manifest, self._options.placements)
        for placement in offered:
            self._check_kept(placement, offered)
        return {
            placement: check_recipe(
                recipe,
                self._manifest,
                offered[placement],
                placement,
                adopt=self._options.adopt,
            )
            for placement, recipe in recipes.items()
        }

    def _check_kept(self, placement: Placement, offered: Mapping[Placement, Groups]) -> None:
        try:
            kept_treatments(offered[placement], self._options.keep)
        except InputError as error:
            others = (other.value for other in offered if self._fits(offered[other]))
            alone = "".join(f"; for {name} alone, add --target {name}" for name in others)
            raise InputError(f"for {placement.value}, {error}{alone}") from error

    def _fits(self, groups: Groups) -> bool:
        with suppress(InputError):
            kept_treatments(groups, self._options.keep)
            return True
        return False

    def _recorded(self, material: Material, progress: Progress) -> Recording:
        parts = (voice_digest(self._manifest), self._manifest.styles.sha256, material.digest)
        name = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:8]
        recorded = partial(
            record,
            self._directory,
            material.recorded,
            self._work / f"recording-{name}",
            symbols=self._options.symbols,
            styles=material.styles,
            threads=self._options.threads,
            progress=lambda done, total: progress(f"{done} of {total}", done / total),
        )
        try:
            return recorded()
        except IntegrityError as error:
            _LOG.warning("%s: all texts are recorded anew", error)
            return recorded(fresh=True)

    def _planned(
        self,
        placement: Placement,
        recipe: Recipe | None,
        recording: Recording,
        material: Material,
        judge: Judge,
    ) -> _Planned:
        options = self._options
        with (
            self._phase(placement.value) as progress,
            closing(self._bench(placement, recording, material, judge)) as bench,
        ):
            bench.begin()
            outcome = plan_voice(
                bench,
                placement=placement,
                goal=options.goal or GOALS[placement],
                limits=options.limits,
                keep=options.keep,
                recipe=recipe,
                progress=progress,
                seconds=options.seconds,
            )
            install(self._directory, placement, outcome.candidates, recipe_text(outcome.recipe))
            half, examples = _half(bench, placement), _examples(judge, outcome, options.examples)
            return _Planned(outcome, _baseline(bench), half, examples)

    def _bench(
        self, placement: Placement, recording: Recording, material: Material, judge: Judge
    ) -> VoiceBench:
        return VoiceBench(
            self._directory,
            self._manifest,
            Workshop(self._directory, self._manifest, self._work, recording, placement),
            judge,
            recording,
            material.timed,
            self._work,
            judged_by=(material.judged, material.styles, self._recogniser is not None),
            timed_by=(material.digest, this_machine()),
            helpers=Helpers(
                Place(self._directory, self._work, recording.folder, placement),
                self._options.threads,
            ),
            symbols=self._options.symbols,
            threads=self._options.threads,
        )

    def _judge(self, material: Material) -> Judge:
        return Judge(
            self._directory,
            material.judged,
            material.styles,
            threads=self._options.threads,
            db_per_unit=DB_PER_UNIT,
            recogniser=self._recogniser,
        )

    def _report(
        self, material: Material, recording: Recording, planned: Sequence[_Planned]
    ) -> Report:
        outcomes = tuple(each.outcome for each in planned)
        return Report(
            voice=self._manifest.name,
            made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            machine=this_machine(),
            texts=Texts(
                source=material.source,
                recorded=len(material.recorded) - len(recording.skipped),
                judged=len(material.judged),
                skipped=tuple(
                    Skipped(material.recorded[number], reason)
                    for number, reason in sorted(recording.skipped.items())
                ),
            ),
            outcomes=outcomes,
            baseline={each.outcome.placement: each.baseline for each in planned},
            phases=self._phase.seconds,
            peak_bytes=self._footprint.most or None,
            unmeasured=_unmeasured(outcomes),
            half=next((each.half for each in planned if each.half is not None), None),
            examples=tuple(example for each in planned for example in each.examples),
        )


@contextmanager
def _work_folder(directory: Path, *, fresh: bool) -> Iterator[Path]:
    """The folder in which a calibration can go on, held against others."""
    work = directory / _WORK
    try:
        with locked(directory / _LOCK, _LOCK_SECONDS, "calibrate"):
            if fresh:
                shutil.rmtree(work, ignore_errors=True)
            work.mkdir(exist_ok=True)
            yield work
    except SambertError:
        raise
    except OSError as error:
        raise OutputError(
            f"calibrating {directory} failed: {error.strerror or error}; the voice is whole, and "
            "the same command goes on where it stopped"
        ) from error


def _baseline(bench: VoiceBench) -> dict[Stage, Cost]:
    plain = StagePlan(Precision.FP32)
    return {stage: bench.cost(bench.candidate(stage, plain)) for stage in bench.stages()}


def _half(bench: VoiceBench, placement: Placement) -> HalfVoice | None:
    """The whole voice in fp16; nobody computes in it on the processor."""
    if placement is Placement.CPU:
        return None
    halves = {stage: bench.candidate(stage, StagePlan(Precision.FP16)) for stage in bench.stages()}
    return HalfVoice(
        judgement=bench.judge(halves, Depth.WHOLE),
        limits=LIMITS["transparent"],
        arithmetic="the result of every operator rounded to half, as a card does",
        graph_bytes=sum(candidate.record.file.bytes for candidate in halves.values()),
        fp32_bytes=sum(cost.graph_bytes for cost in _baseline(bench).values()),
    )


def _examples(judge: Judge, outcome: Outcome, count: int) -> tuple[Example, ...]:
    """Sentences to listen to and to look at, of an assignment that changes something."""
    if all(candidate.plan.precision is Precision.FP32 for candidate in outcome.candidates.values()):
        return ()
    found = []
    chosen = listening_sentences(outcome.whole, worst=count - count // 3, typical=count // 3)
    for sentence, why in chosen.items():
        rendering = judge.rendering(outcome.candidates, sentence)
        found.append(Example(outcome.placement, sentence, rendering.text, why, rendering))
    return tuple(found)


def _unmeasured(outcomes: Sequence[Outcome]) -> dict[str, str]:
    found = {}
    for outcome in outcomes:
        for name in unmeasured(outcome.whole.figures, outcome.limits):
            found[name] = _REASONS.get(name, "it could not be measured on these sentences")
        if outcome.whole.figures.syllable_errors is None:
            found["syllable_errors"] = _REASONS["syllable_errors"]
        if outcome.placement is Placement.TENSORRT:
            found["speed on a card"] = "plans are built without a card, and timed on none"
    return found


_REASONS = {
    "stoi": "the package pystoi is not installed: pip install 'sambert-trt[calibrate]'",
    "pesq": "the package pesq is not installed: pip install 'sambert-trt[pesq]'",
    "syllable_errors": "no offline recogniser is installed",
}
