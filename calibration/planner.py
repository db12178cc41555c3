"""Plans a voice: the fastest or smallest assignment of treatments that stays inside the budget.

    bases ─ costs ─ sensitivity of each group ─ joint choice ─ the whole voice ─▶ Outcome

Costs are measured before anything is judged, because they are cheaper; every choice is judged as a
whole before it stands. May import the contracts and the planner's own parts only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sambert_trt.engines.errors import DeviceLostError, InputError
from sambert_trt.engines.graphs import Placement, Precision, Stage

from .assessment import Candidate, Cost, Goal, Judgement, Outcome
from .bench import Bench, Depth, Progress, WholeCost, depth_of, is_plain
from .figures import Limits
from .phases import Steps
from .recipe import Group, Recipe, StagePlan, Treatment
from .savings import FAILURES, Task, singles
from .search import Mix, Pick, frontier, largest_admitted
from .sensitivity import StageStudy, base_used
from .trials import Draft, Notebook
from .verdicts import FASTER, Verdict, saving_of, share, verdict_of

__all__ = ["Groups", "kept_treatments", "plan_voice"]

Plans = dict[Stage, StagePlan]
Keep = Mapping[str, Treatment | None]
Groups = Mapping[Stage, Sequence[Group]]

_BASES = {Placement.CPU: Precision.FP32, Placement.TENSORRT: Precision.FP16}
_FILL = 4
"""How many single treatments are tried on top of what was found."""

_PROBABLY = 8
"""How many steps the end takes, for a progress bar."""

_GENTLE = 4
"""So many times one treatment is dropped; after that half of those that are left, each time."""


def plan_voice(
    bench: Bench,
    *,
    placement: Placement,
    goal: Goal,
    limits: Limits,
    keep: Keep | None = None,
    bases: Mapping[Stage, Precision] | None = None,
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
        bases: precisions of stages asked for by name, instead of fp32 (CPU) or fp16 where it stays
            within the limits (TENSORRT).
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
    return planner.searched(kept_treatments(groups, keep or {}), bases or {})


def kept_treatments(groups: Groups, keep: Keep) -> dict[Stage, dict[str, Treatment]]:
    """What `keep` names, by stage and group.

    Args:
        groups: what each stage of the voice offers.

    Raises:
        InputError: a stage, group or treatment that there is not.
    """
    found = dict[Stage, dict[str, Treatment]]()
    for name, treatment in keep.items():
        stage_name, _, group_name = name.partition("/")
        stage = next((stage for stage in groups if stage.value == stage_name), None)
        if stage is None:
            known = ", ".join(stage.value for stage in groups)
            raise InputError(f"nothing can be kept in {stage_name!r}; the stages are: {known}")
        named = [group for group in groups[stage] if group_name in ("", group.name)]
        chosen = {g.name: t for g in named if (t := _offered(g, treatment)) is not None}
        if not chosen:
            offers = _offers(stage, groups[stage])
            raise InputError(f"{_cannot_keep(name, treatment)}; there is: {offers}")
        found[stage] = {**found.get(stage, {}), **chosen}
    return found


def _offered(group: Group, treatment: Treatment | None) -> Treatment | None:
    if treatment is None:
        return group.treatments[-1] if len(group.treatments) > 1 else None
    return treatment if treatment in group.treatments else None


def _cannot_keep(name: str, treatment: Treatment | None) -> str:
    return f"{name} cannot be kept" + (f" in {treatment.value}" if treatment else "")


def _offers(stage: Stage, groups: Iterable[Group]) -> str:
    words = (
        f"{stage.value}/{group.name} ({', '.join(t.value for t in group.treatments)})"
        for group in groups
    )
    return ", ".join(words) or f"nothing to treat in {stage.value}"


def _without_group(picks: Iterable[Pick], pick: Pick) -> tuple[Pick, ...]:
    return tuple(p for p in picks if (p.stage, p.group) != (pick.stage, pick.group))


@dataclass
class _State:
    """A search under way.

    Attributes:
        bases: how stages are written where nothing is treated; treatments asked for included.
        fixed: stages whose base was asked for by name.
        used: the share of the budget that each base uses alone.
        before: the share that they use together.
        picks: what is treated so far.
    """

    bases: Plans
    fixed: frozenset[Stage]
    used: dict[Stage, float] = field(default_factory=dict)
    before: float = 0.0
    studies: dict[Stage, StageStudy] = field(default_factory=dict)
    picks: tuple[Pick, ...] = ()

    def plans(self, picks: Iterable[Pick]) -> Plans:
        """The plan of every stage with these treatments."""
        chosen, plans = tuple(picks), dict(self.bases)
        for stage, study in self.studies.items():
            mine = [pick for pick in chosen if pick.stage is stage]
            if mine:
                plans[stage] = study.plan(mine)
        return plans


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

    def followed(self, recipe: Recipe) -> Outcome:
        """A recipe's assignment, judged once."""
        base = StagePlan(_BASES[self._placement])
        plans = {stage: recipe.stages.get(stage, base) for stage in self._bench.stages()}
        self._steps.remain(2)
        whole = self._judged_whole(plans)
        return self._outcome(plans, whole, self._whole_cost(plans), "as the recipe says")

    def searched(
        self, keep: Mapping[Stage, Mapping[str, Treatment]], bases: Mapping[Stage, Precision]
    ) -> Outcome:
        """The best assignment that is found."""
        self._prepare(bases)
        state = self._state(keep, bases)
        self._weigh(state)
        state.before = self._used(state.bases)
        if state.before <= 1:
            self._listen(state)
            self._choose(state)
        whole, cost = self._settled(state)
        return self._outcome(state.plans(state.picks), whole, cost, "")

    def _prepare(self, bases: Mapping[Stage, Precision]) -> None:
        """Has single treatments made of what will probably be the base of each stage."""
        for stage in self._bench.stages():
            base = StagePlan(bases.get(stage, _BASES[self._placement]))
            if not self._quick(stage):
                self._task.prepare(stage, singles(base, self._bench.groups(stage)))

    def _state(
        self, keep: Mapping[Stage, Mapping[str, Treatment]], bases: Mapping[Stage, Precision]
    ) -> _State:
        plans, used = Plans(), dict[Stage, float]()
        self._steps.remain(8 * _PROBABLY)
        for stage in self._bench.stages():
            self._steps(f"{stage.value} as it stands")
            wanted = bases.get(stage, _BASES[self._placement])
            plan = StagePlan(wanted)
            if stage not in bases and wanted is not Precision.FP32:
                plan = self._affordable(plan, stage)
            plans[stage] = plan
            used[stage] = base_used(self._task, self._bench.candidate(stage, plan))
        state = _State(plans, frozenset(bases), used)
        while self._used(state.bases) > 1 and self._fall_back(state):
            pass
        for stage, treatments in keep.items():
            self._rebase(state, stage, replace(plans[stage], groups=dict(treatments)))
        return state

    def _affordable(self, plan: StagePlan, stage: Stage) -> StagePlan:
        """The plan, or fp32 where it sounds worse than the limits allow or gains nothing."""
        plain = StagePlan(Precision.FP32)
        try:
            candidate = self._bench.candidate(stage, plan)
            judgement = self._task.judged(candidate)
            cost = self._bench.cost(candidate)
        except DeviceLostError:
            raise
        except FAILURES as error:
            refusal = f"cannot be made: {error}"
            self._notebook.add(Draft(stage, plan, self._plain_cost(stage), refusal=refusal))
            return plain
        before = self._plain_cost(stage)
        saving = saving_of(self._goal, cost, before, self._bench.sentence_seconds(stage))
        verdict = verdict_of(judgement, self._limits)
        refusal = "; ".join(verdict.violations)
        if saving.harmful:
            refusal = refusal or f"gains nothing: {saving.words}"
        merit = f"{saving.words}, {verdict.words}"
        self._notebook.add(Draft(stage, plan, cost, judgement, merit, refusal))
        return plain if refusal else plan

    def _plain_cost(self, stage: Stage) -> Cost:
        return self._bench.cost(self._bench.candidate(stage, StagePlan(Precision.FP32)))

    def _fall_back(self, state: _State) -> bool:
        """One stage's base becomes fp32, of those not asked for: the one that uses most."""
        open_stages = [
            stage
            for stage, plan in state.bases.items()
            if plan.base is not Precision.FP32 and stage not in state.fixed
        ]
        if not open_stages:
            return False
        stage = max(open_stages, key=lambda stage: state.used[stage])
        self._rebase(state, stage, StagePlan(Precision.FP32))
        return True

    def _rebase(self, state: _State, stage: Stage, plan: StagePlan) -> None:
        state.bases[stage] = plan
        state.used[stage] = base_used(self._task, self._bench.candidate(stage, plan))

    def _weigh(self, state: _State) -> None:
        for stage, plan in state.bases.items():
            state.studies[stage] = StageStudy(self._task, stage, plan, state.used[stage])
        self._skip_quick_stages(state)
        studies = state.studies.values()
        self._steps.remain(sum(2 * study.trials for study in studies) + _PROBABLY)
        for study in studies:
            study.weigh()

    def _skip_quick_stages(self, state: _State) -> None:
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

    def _listen(self, state: _State) -> None:
        """The stages that promise most come first: time may run out."""
        studies = sorted(state.studies.values(), key=lambda study: -study.potential)
        self._steps.remain(
            sum(6 + len(s.savings.eligible) for s in studies if s.savings.eligible) + _PROBABLY
        )
        for study in studies:
            study.prepare()
        for study in studies:
            study.listen()

    def _choose(self, state: _State) -> None:
        """What gains most together: a place on the frontier, and what else has room."""
        self._steps.remain(_PROBABLY)
        mixes = self._frontier(state)
        if not self._task.hurried() and self._surprises(state, mixes[-1]):
            for study in state.studies.values():
                study.listen_deeper()
            mixes = self._frontier(state)
        place = largest_admitted(mixes, lambda mix: self._tried(state, mix), self._task.hurried)
        state.picks = mixes[place].picks
        if not self._task.hurried():
            self._try_one(state, mixes[place])
        if state.picks and not self._task.hurried():
            self._fill(state)
        self._drop_idle(state)

    def _surprises(self, state: _State, mix: Mix) -> bool:
        """Whether a mix passes limits that cannot be seen in the mels of its stages."""
        if all(pick.stage is Stage.VOCODER for pick in mix.picks):
            return False
        verdict = self._joint(state, mix.picks)
        passed = {limit for limit, used in verdict.shares.items() if used > 1}
        seen = {limit for study in state.studies.values() for limit in study.seen_in_mels}
        return not verdict.admitted and not (passed and passed <= seen)

    def _frontier(self, state: _State) -> tuple[Mix, ...]:
        """All mixes worth judging, behind the bases alone."""
        base = Mix(used=state.before)
        mixes = frontier([study.mixes() for study in state.studies.values()], [base])
        return (base, *(mix for mix in mixes if mix.picks))

    def _tried(self, state: _State, mix: Mix) -> float:
        """The share of the budget that a mix really uses."""
        return self._joint(state, mix.picks).used

    def _try_one(self, state: _State, mix: Mix) -> None:
        """Takes a single treatment, or a stage as a whole, that gains more than the mix.

        Predictions do not see it where several together are much worse than their sum.
        """
        alone = [study.mix(pick) for study in state.studies.values() for pick in study.admitted]
        alone += [study.full for study in state.studies.values() if study.full]
        best = max(alone, key=lambda other: other.gain, default=mix)
        if best.gain > mix.gain and self._joint(state, best.picks).admitted:
            state.picks = best.picks

    def _joint(self, state: _State, picks: Sequence[Pick]) -> Verdict:
        self._steps(f"{len(picks)} treatments together")
        plans = state.plans(picks)
        judgement = self._judged(plans)
        verdict = verdict_of(judgement, self._limits)
        if not verdict.admitted:
            self._note_joint(plans, picks, judgement, verdict)
        return verdict

    def _note_joint(
        self, plans: Plans, picks: Sequence[Pick], judgement: Judgement, verdict: Verdict
    ) -> None:
        """A choice of several stages is written down under the last of them."""
        if not picks:
            return
        stage = picks[-1].stage
        refusal = f"{len(picks)} treatments together: {'; '.join(verdict.violations)}"
        cost = self._bench.cost(self._bench.candidate(stage, plans[stage]), quick=True)
        self._notebook.add(Draft(stage, plans[stage], cost, judgement, "", refusal))

    def _fill(self, state: _State) -> None:
        """Tries what was left out, those that gain most first, where there may be room."""
        used = self._joint(state, state.picks).used
        tried = 0
        for gain, pick in self._left_out(state):
            others = _without_group(state.picks, pick)
            now, then = self._predicted(state, state.picks), self._predicted(state, (*others, pick))
            factor = used / now if now > 0 else 1.0
            if gain <= 0 or then * factor > 1 or tried == _FILL or self._task.hurried():
                continue
            tried += 1
            verdict = self._joint(state, (*others, pick))
            if verdict.admitted:
                state.picks, used = (*others, pick), verdict.used

    def _drop_idle(self, state: _State) -> None:
        """Leaves out what came with its stage as a whole and gains nothing there."""
        for stage, study in state.studies.items():
            mine = [pick for pick in state.picks if pick.stage is stage]
            idle = study.savings.idle(mine)
            self._notebook.refuse(idle, "because its stage saves as much without it")
            state.picks = tuple(pick for pick in state.picks if pick not in idle)

    def _predicted(self, state: _State, picks: Iterable[Pick]) -> float:
        return state.before + sum(state.studies[p.stage].distortion(p) for p in picks)

    def _left_out(self, state: _State) -> list[tuple[float, Pick]]:
        """Treatments that would gain more than what their groups have, and how much."""
        held = {(pick.stage, pick.group): pick for pick in state.picks}
        found = []
        for study in state.studies.values():
            for pick in study.admitted:
                now = held.get((pick.stage, pick.group))
                if pick != now:
                    before = study.savings.gain(now) if now else 0.0
                    found.append((study.savings.gain(pick) - before, pick))
        return sorted(found, key=lambda pair: (-pair[0], pair[1]))

    def _settled(self, state: _State) -> tuple[Judgement, WholeCost | None]:
        """Judges the whole voice, and drops treatments until it passes."""
        for attempt in range(10_000):
            plans = state.plans(state.picks)
            if self._drop_costly(state, plans):
                continue
            whole = self._judged_whole(plans)
            verdict = verdict_of(whole, self._limits)
            if not verdict.admitted:
                self._note_joint(plans, state.picks, whole, verdict)
                if self._drop_loud(state, verdict, attempt):
                    continue
                asked = any(plan.treated for plan in state.bases.values())
                if not asked and self._fall_back(state):
                    continue
            cost = self._whole_cost(plans)
            if cost is not None and cost.ratio > 1 and self._drop_least(state, cost):
                continue
            return whole, cost
        raise AssertionError("a search that drops something every time ends")

    def _drop_costly(self, state: _State, plans: Plans) -> bool:
        """Drops the treatments of stages that together save nothing; says whether there were."""
        dropped = set[Stage]()
        for stage in dict.fromkeys(pick.stage for pick in state.picks):
            mine = [pick for pick in state.picks if pick.stage is stage]
            if refusal := self._refusal_together(state.studies[stage], mine, plans[stage]):
                dropped.add(stage)
                self._notebook.refuse(mine, refusal)
        state.picks = tuple(pick for pick in state.picks if pick.stage not in dropped)
        return bool(dropped)

    def _refusal_together(self, study: StageStudy, picks: Sequence[Pick], plan: StagePlan) -> str:
        """Why treatments of a stage are no good together, though each alone was; "": they are."""
        try:
            cost = self._bench.cost(self._bench.candidate(study.stage, plan))
        except FAILURES as error:  # a plan is built only now
            study.savings.fail(picks, plan, error)
            return f"because together they cannot be made ({error})"
        saving = study.savings.saving(cost)
        return "" if saving.proven else f"because together they save nothing ({saving.words})"

    def _drop_loud(self, state: _State, verdict: Verdict, attempt: int) -> bool:
        """Drops what uses most of the limits that are passed; says whether there was anything."""
        if not state.picks:
            return False
        passed = [limit for limit, used in verdict.shares.items() if used > 1]

        def loudness(pick: Pick) -> tuple[float, float]:
            study = state.studies[pick.stage]
            return study.share(pick, passed), study.distortion(pick)

        loud = sorted(sorted(state.picks), key=loudness, reverse=True)
        dropped = loud[: 1 if attempt < _GENTLE else -(-len(loud) // 2)]
        reason = f"because with it the whole voice passes a limit ({verdict.violations[0]})"
        self._notebook.refuse(dropped, reason)
        state.picks = tuple(pick for pick in state.picks if pick not in dropped)
        return True

    def _drop_least(self, state: _State, cost: WholeCost) -> bool:
        """Drops the stage that saves least of a voice that became slower."""
        if self._goal is not Goal.SPEED or not state.picks:
            return False
        gains = dict[Stage, float]()
        for pick in state.picks:
            gains[pick.stage] = gains.get(pick.stage, 0.0) + state.studies[pick.stage].savings.gain(
                pick
            )
        least = min(gains, key=lambda stage: gains[stage])
        mine = [pick for pick in state.picks if pick.stage is least]
        reason = f"because the whole voice takes {cost.ratio:.2f} of fp32's time with it"
        self._notebook.refuse(mine, reason)
        state.picks = tuple(pick for pick in state.picks if pick.stage is not least)
        return True

    def _used(self, plans: Plans) -> float:
        """The share of the budget that an assignment uses."""
        if all(map(is_plain, plans.values())):
            return 0.0
        return verdict_of(self._judged(plans), self._limits).used

    def _judged(self, plans: Plans) -> Judgement:
        candidates = self._candidates(plans)
        changed = {stage: c for stage, c in candidates.items() if not is_plain(c.plan)}
        return self._bench.judge(changed, depth_of(set(changed)))

    def _judged_whole(self, plans: Plans) -> Judgement:
        self._steps("the whole voice")
        return self._bench.judge(self._candidates(plans), Depth.WHOLE)

    def _candidates(self, plans: Plans) -> dict[Stage, Candidate]:
        return {stage: self._bench.candidate(stage, plan) for stage, plan in plans.items()}

    def _whole_cost(self, plans: Plans) -> WholeCost | None:
        self._steps("the whole voice's speed")
        return self._bench.whole_cost(self._candidates(plans))

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
            candidates=self._candidates(plans),
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
