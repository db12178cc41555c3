"""Plans a voice: the fastest or smallest assignment of treatments that stays inside the budget.

    bases ─ costs ─ sensitivity of each group ─ joint choice ─ the whole voice ─▶ Outcome

Costs are measured before anything is judged, because they are cheaper; every choice is judged as a
whole before it stands. May import the contracts and the planner's own parts only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from sambert_trt.engines.graphs import Placement, Precision, Stage

from .assessment import Goal, Judgement, Outcome
from .bases import BASES, Bases, State
from .bench import Bench, Progress, WholeCost, is_plain
from .choice import Choice
from .figures import Limits
from .keep import Keep, kept_treatments
from .phases import Steps
from .recipe import Recipe, StagePlan, Treatment
from .savings import Task, singles
from .sensitivity import StageStudy
from .settling import Settlement
from .trials import Draft, Notebook
from .verdicts import FASTER, saving_of, share, verdict_of
from .whole import Plans, Whole

__all__ = ["plan_voice"]

_PROBABLY = 8
"""How many steps the end takes, for a progress bar."""


def plan_voice(
    bench: Bench,
    *,
    placement: Placement,
    goal: Goal,
    limits: Limits,
    keep: Keep | None = None,
    recipe: Recipe | None = None,
    progress: Progress = lambda what, fraction: None,
    seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Finds what is done to each part of a voice, or follows a recipe.

    Args:
        bench: makes, judges and weighs candidates.
        keep: treatments kept though they are slower or worse: by `stage` or `stage/group`; None is
            the strongest that there is.
        recipe: is followed to the letter; nothing is sought.
        seconds: after so many nothing more is tried; what was found is judged even so.
        clock: seconds.

    Raises:
        InputError: `keep` names a stage, group or treatment that there is not.
        SambertError: the voice cannot be judged at all.
    """
    planner = _Planner(bench, placement, goal, limits, progress, seconds, clock)
    if recipe is not None:
        return planner.followed(recipe)
    groups = {stage: bench.groups(stage) for stage in bench.stages()}
    return planner.searched(kept_treatments(groups, keep or {}))


class _Planner:
    """Plans one voice; see `plan_voice`."""

    def __init__(
        self,
        bench: Bench,
        placement: Placement,
        goal: Goal,
        limits: Limits,
        progress: Progress,
        seconds: float | None,
        clock: Callable[[], float],
    ) -> None:
        self._bench, self._placement, self._goal, self._limits = bench, placement, goal, limits
        self._steps, self._notebook, self._late = Steps(progress), Notebook(), False
        self._reasons = dict[Stage, str]()
        started = clock()

        def hurried() -> bool:
            self._late = self._late or (seconds is not None and clock() - started >= seconds)
            return self._late

        self._task = Task(bench, goal, limits, self._notebook, hurried, self._steps)
        self._whole = Whole(self._task)

    def followed(self, recipe: Recipe) -> Outcome:
        """A recipe's assignment, judged once."""
        base = StagePlan(BASES[self._placement])
        plans = {stage: recipe.stages.get(stage, base) for stage in self._bench.stages()}
        self._steps.remain(2)
        whole = self._whole.final(plans)
        return self._outcome(plans, whole, self._whole.cost(plans), "as the recipe says")

    def searched(self, keep: Mapping[Stage, Mapping[str, Treatment]]) -> Outcome:
        """The best assignment that is found."""
        self._prepare()
        self._steps.remain(8 * _PROBABLY)
        bases = Bases(self._task, self._whole, BASES[self._placement])
        state = bases.found(keep)
        self._weigh(state)
        state.before = self._whole.used(state.bases)
        if state.before <= 1:
            self._listen(state)
            self._steps.remain(_PROBABLY)
            Choice(self._task, self._whole).choose(state)
        whole, cost = Settlement(self._task, self._whole, bases).settled(state)
        return self._outcome(state.plans(state.picks), whole, cost, "")

    def _prepare(self) -> None:
        """Has single treatments made of what will probably be the base of each stage."""
        base = StagePlan(BASES[self._placement])
        for stage in self._bench.stages():
            if not self._quick(stage):
                self._task.prepare(stage, singles(base, self._bench.groups(stage)))

    def _weigh(self, state: State) -> None:
        for stage, plan in state.bases.items():
            state.studies[stage] = StageStudy(self._task, stage, plan, state.used[stage])
        self._skip_quick_stages(state)
        studies = state.studies.values()
        self._steps.remain(sum(2 * study.trials for study in studies) + _PROBABLY)
        for study in studies:
            study.weigh()

    def _skip_quick_stages(self, state: State) -> None:
        for stage, study in state.studies.items():
            if reason := self._quick(stage):
                self._reasons[stage] = reason
                study.skip()

    def _quick(self, stage: Stage) -> str:
        """Why a stage cannot make the voice faster, only worse: it hardly takes any time."""
        if self._goal is not Goal.SPEED:
            return ""
        seconds = {stage: self._bench.sentence_seconds(stage) for stage in self._bench.stages()}
        total = sum(seconds.values())
        if not total or seconds[stage] >= (1 - FASTER) * total:
            return ""
        share_of_time = f"{100 * seconds[stage] / total:.1f} % of the voice's time"
        return f"it takes {share_of_time}, no gain would be noticed"

    def _listen(self, state: State) -> None:
        """The stages that promise most come first: time may run out."""
        studies = sorted(state.studies.values(), key=lambda study: -study.potential)
        self._steps.remain(
            sum(6 + len(s.savings.eligible) for s in studies if s.savings.eligible) + _PROBABLY
        )
        for study in studies:
            study.prepare()
        for study in studies:
            study.listen()

    def _outcome(
        self, plans: Plans, whole: Judgement, cost: WholeCost | None, asked: str
    ) -> Outcome:
        verdict = verdict_of(whole, self._limits)
        for stage, plan in plans.items():
            self._note_final(stage, plan, asked)
        notes = {"budget": f"the whole voice: {share(verdict.used)}, {verdict.words}"}
        if self._late:
            notes["time"] = "the time was up before everything was tried"
        recipe = Recipe(self._bench.voice, self._placement, plans, self._notebook.notes(plans))
        self._steps.end()
        return Outcome(
            placement=self._placement,
            goal=self._goal,
            limits=self._limits,
            recipe=recipe,
            candidates=self._whole.candidates(plans),
            trials=self._notebook.trials(plans),
            whole=whole,
            ratio=cost.ratio if cost else None,
            low=cost.low if cost else None,
            high=cost.high if cost else None,
            violations=verdict.violations,
            notes=notes,
        )

    def _note_final(self, stage: Stage, plan: StagePlan, asked: str) -> None:
        """What a stage is in the end, alone."""
        candidate = self._bench.candidate(stage, plan)
        cost = self._bench.cost(candidate)
        judgement, words = None, ["" if is_plain(plan) else plan.precision.value]
        if is_plain(plan):
            words = [f"stays in fp32{'' if asked else f': {self._why_plain(stage)}'}"]
        else:
            plain = self._bench.cost(self._bench.candidate(stage, StagePlan(Precision.FP32)))
            seconds = self._bench.sentence_seconds(stage)
            words.append(saving_of(self._goal, cost, plain, seconds).words)
            if not self._task.hurried():
                judgement = self._task.judged(candidate)
                words.append(verdict_of(judgement, self._limits).words)
        merit = ", ".join(word for word in (asked, *words) if word)
        self._notebook.add(Draft(stage, plan, cost, judgement, merit))

    def _why_plain(self, stage: Stage) -> str:
        treatable = any(len(group.treatments) > 1 for group in self._bench.groups(stage))
        usual = "no treatment gains enough within the limits"
        if self._late:
            usual += ", of those that there was time to try"
        return self._reasons.get(stage, usual) if treatable else "nothing in it can be treated"
