"""What each group of a stage gains and loses, each treatment alone and all of them together.

No imports beyond the contracts and the planner's own parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sambert_trt.engines.errors import BackendError, DeviceLostError, EngineError, GraphError
from sambert_trt.engines.graphs import Stage

from .assessment import Candidate, Cost, Goal, Judgement
from .bench import Bench, Depth, is_plain
from .figures import Limits
from .recipe import Group, Method, StagePlan, Treatment
from .search import Mix, Pick, efficient, frontier
from .trials import Draft, Notebook, with_picks
from .verdicts import Saving, Verdict, saving_of, share, verdict_of

__all__ = ["StageStudy", "Task"]

FAIR = 0.5
"""A stage that uses less of the budget as a whole is looked into with fewer sentences only."""

_AS_MUCH = 0.97
"""What is left of a saving is as much: measurements differ by that."""

LATE = "not tried: the time was up"
_INTEGER = frozenset({Treatment.W8A8, Treatment.W8A8_SUMS})
_FAILURES = (GraphError, EngineError, BackendError)


@dataclass(frozen=True)
class Task:
    """What a voice is planned for.

    Attributes:
        hurried: whether the time is up.
        step: called with what is done next.
    """

    bench: Bench
    goal: Goal
    limits: Limits
    notebook: Notebook
    hurried: Callable[[], bool]
    step: Callable[[str], None]

    def judged(self, candidate: Candidate, *, quick: bool = False, deep: bool = False) -> Judgement:
        """A candidate alone; `deep`: a mel through the vocoder, too."""
        depth = Depth.WAVE if candidate.stage is Stage.VOCODER else Depth.MEL
        depth = Depth.WHOLE if deep else depth
        return self.bench.judge({candidate.stage: candidate}, depth, quick=quick)


@dataclass(frozen=True)
class _Weighed:
    """A candidate whose cost is known."""

    picks: tuple[Pick, ...]
    candidate: Candidate
    cost: Cost
    saving: Saving


class StageStudy:
    """One stage: first what its treatments cost, then, where that pays, how they sound.

    Args:
        base: how the stage is written where nothing is tried, what was asked for by name included.
        used: the share of the budget that `base` uses.
    """

    def __init__(self, task: Task, stage: Stage, base: StagePlan, used: float) -> None:
        self.stage, self.base, self.used = stage, base, used
        self._task = task
        self.cost = task.bench.cost(task.bench.candidate(stage, base))
        self._seconds = task.bench.sentence_seconds(stage)
        self.groups = tuple(
            group
            for group in task.bench.groups(stage)
            if group.name not in base.groups and _treatments(group)
        )
        self._singles: dict[Pick, _Weighed] = {}
        self._full: _Weighed | None = None
        self._verdicts: dict[Pick, Verdict] = {}
        self._full_used = math.inf

    @property
    def trials(self) -> int:
        """How many treatments there are to try."""
        return sum(len(_treatments(group)) for group in self.groups)

    @property
    def eligible(self) -> tuple[Pick, ...]:
        """The treatments that save something beyond doubt, or perhaps, where all together do."""
        whole = self._full is not None and self._full.saving.proven
        return tuple(
            pick
            for pick, single in self._singles.items()
            if single.saving.proven or (whole and single.saving.possible)
        )

    @property
    def potential(self) -> float:
        """The most that the stage promises to save."""
        return self._full.saving.amount if self._full else 0.0

    def weigh(self) -> None:
        """Finds out what every treatment saves, each alone and all together."""
        for pick in self._picks():
            self._task.step(f"{self.stage.value}/{pick.group}")
            if self._task.hurried():
                self._refuse(pick, LATE)
            elif (found := self._weighed((pick,))) is not None:
                self._singles[pick] = found
        self._full, eligible = self._best_full(), self.eligible
        for pick, single in self._singles.items():
            if pick not in eligible:
                self._refuse(pick, f"{_NOTHING[self._task.goal]}: {single.saving.words}", single)

    def skip(self, reason: str) -> None:
        """Leaves the stage as it is."""
        if self.groups:
            self._note(self.base, self.cost, None, "", reason)
            self.groups = ()

    def listen(self) -> None:
        """Finds out what the treatments that save something lose."""
        if self._full is None:
            return
        self._full = self._best_method(self._full)
        self._full_used = self._judge_full(self._full)
        quick = self._full_used - self.used <= FAIR
        for pick in self.eligible:
            self._judge_single(pick, quick=quick)

    def listen_deeper(self) -> None:
        """Hears again, through the vocoder, what was admitted by its mel."""
        if self.stage is Stage.VOCODER or self._full is None:
            return
        base = self._task.bench.candidate(self.stage, self.base)
        self.used = base_used(self._task, base, deep=True)
        self._full_used = self._judge_full(self._full, deep=True)
        for pick in self.admitted:
            del self._verdicts[pick]
            self._judge_single(pick, quick=True, deep=True)

    def mixes(self) -> tuple[Mix, ...]:
        """What may be made of the stage: groups as they are alone, and all together as measured."""
        alternatives = [
            [self.mix(pick) for pick in self._verdicts if pick.group == group.name]
            for group in self.groups
        ]
        mixes, full = frontier(alternatives), self.full
        return (efficient((*mixes, full)) if full else mixes)[1:]

    @property
    def full(self) -> Mix | None:
        """All that pays together as measured; None where it is too much."""
        if self._full is None or self._full_used > 1:
            return None
        used = max(self._full_used - self.used, 0.0)
        return Mix(used, self._full.saving.amount, self._full.picks)

    def mix(self, pick: Pick) -> Mix:
        """A treatment alone as measured."""
        return Mix(self.distortion(pick), self.gain(pick), (pick,))

    def plan(self, picks: Iterable[Pick]) -> StagePlan:
        """The stage with treatments, in the method that suits it."""
        method = self._full.candidate.plan.method if self._full else self.base.method
        return replace(with_picks(self.base, picks), method=method)

    def distortion(self, pick: Pick) -> float:
        """The share of the budget that a treatment uses alone, or its part of what all use."""
        if pick in self._verdicts:
            return max(self._verdicts[pick].used - self.used, 0.0)
        return self._full_used / len(self._full.picks) if self._full else 0.0

    def share(self, pick: Pick, limits: Iterable[str]) -> float:
        """The largest share of one of these limits that a treatment uses alone."""
        verdict = self._verdicts.get(pick)
        return (
            max((verdict.shares.get(limit, 0.0) for limit in limits), default=0.0)
            if verdict
            else 0.0
        )

    def gain(self, pick: Pick) -> float:
        """What a treatment saves alone."""
        return self._singles[pick].saving.amount

    @property
    def admitted(self) -> tuple[Pick, ...]:
        """The treatments that gain and that alone stay within the limits."""
        return tuple(self._verdicts)

    def idle(self, picks: Sequence[Pick]) -> tuple[Pick, ...]:
        """Those of a stage's treatments that save nothing for sure, if the others save as much."""
        strong = [pick for pick in picks if self._singles[pick].saving.proven]
        if not strong or len(strong) == len(picks):
            return ()
        every, fewer = self._weighed(picks), self._weighed(strong)
        if every is None or fewer is None:
            return ()
        enough = fewer.saving.amount >= _AS_MUCH * every.saving.amount
        return tuple(pick for pick in picks if pick not in strong) if enough else ()

    def saving(self, cost: Cost) -> Saving:
        """What the stage saves at that cost."""
        return saving_of(self._task.goal, cost, self.cost, self._seconds)

    def _picks(self) -> Iterator[Pick]:
        for group in self.groups:
            for treatment in _treatments(group):
                yield Pick(self.stage, group.name, treatment)

    def _weighed(self, picks: Sequence[Pick]) -> _Weighed | None:
        plan = with_picks(self.base, picks)
        try:
            candidate = self._task.bench.candidate(self.stage, plan)
            cost = self._task.bench.cost(candidate, quick=True)
        except _FAILURES as error:
            self._fail(picks, plan, error)
            return None
        return _Weighed(tuple(picks), candidate, cost, self.saving(cost))

    def _best_full(self) -> _Weighed | None:
        """As many groups as pay, treated at once: the level that saves most."""
        levels = dict.fromkeys(self._level(treatment) for treatment in Treatment)
        fulls = [full for picks in levels if picks and (full := self._weighed(picks)) is not None]
        proven = [full for full in fulls if full.saving.proven]
        if proven:
            return max(proven, key=lambda full: full.saving.amount)
        for full in fulls:
            reason = f"{_NOTHING[self._task.goal]}: {full.saving.words}"
            self._note(full.candidate.plan, full.cost, None, "", reason)
        picks = self._proven_singles()
        return self._weighed(picks) if picks else None

    def _proven_singles(self) -> tuple[Pick, ...]:
        """Of each group that saves something beyond doubt, the treatment that saves most."""
        best = dict[str, Pick]()
        for pick, single in self._singles.items():
            known = best.get(pick.group)
            if single.saving.proven and (known is None or self.gain(pick) > self.gain(known)):
                best[pick.group] = pick
        return tuple(best.values())

    def _level(self, most: Treatment) -> tuple[Pick, ...]:
        """Every group with the strongest treatment up to one, unless it does harm."""
        order, chosen = list(Treatment), dict[str, Pick]()
        for pick, single in self._singles.items():
            if order.index(pick.treatment) <= order.index(most) and not single.saving.harmful:
                chosen[pick.group] = pick
        return tuple(chosen.values())

    def _best_method(self, full: _Weighed) -> _Weighed:
        """The method of ranges with which the whole stage loses least."""
        if _INTEGER.isdisjoint(full.candidate.plan.treated.values()):
            return full
        found = dict[Method, tuple[float, Candidate]]()
        for method in (full.candidate.plan.method, *Method):
            if method in found or (found and self._task.hurried()):
                continue
            self._task.step(f"{self.stage.value} {method.value}")
            plan = replace(full.candidate.plan, method=method)
            verdict = self._tried(full.picks, plan, quick=True)
            if verdict is not None:
                found[method] = verdict
        if not found:
            return full
        best = min(found.values(), key=lambda pair: pair[0])
        return replace(full, candidate=best[1])

    def _tried(
        self, picks: Sequence[Pick], plan: StagePlan, *, quick: bool
    ) -> tuple[float, Candidate] | None:
        try:
            candidate = self._task.bench.candidate(self.stage, plan)
            judgement = self._task.judged(candidate, quick=quick)
        except _FAILURES as error:
            self._fail(picks, plan, error)
            return None
        verdict = verdict_of(judgement, self._task.limits)
        words = f"ranges by {plan.method.value}: {share(verdict.used)}, {verdict.words}"
        cost = self._full.cost if self._full else self.cost
        refusal = "" if verdict.admitted else f"{words}; {'; '.join(verdict.violations)}"
        self._note(plan, cost, judgement, words, refusal)
        return verdict.used, candidate

    def _judge_full(self, full: _Weighed, *, deep: bool = False) -> float:
        self._task.step(f"{self.stage.value} as a whole")
        try:
            judgement = self._task.judged(full.candidate, deep=deep)
        except _FAILURES as error:
            self._fail(full.picks, full.candidate.plan, error)
            return math.inf
        verdict = verdict_of(judgement, self._task.limits)
        merit = f"{full.saving.words}, {verdict.words}"
        self._note(full.candidate.plan, full.cost, judgement, merit, _refusal(verdict))
        return verdict.used

    def _judge_single(self, pick: Pick, *, quick: bool, deep: bool = False) -> None:
        single, plan = self._singles[pick], self.plan((pick,))
        self._task.step(f"{self.stage.value}/{pick.group}")
        if self._task.hurried():
            self._refuse(pick, LATE, single)
            return
        try:
            candidate = self._task.bench.candidate(self.stage, plan)
            judgement = self._task.judged(candidate, quick=quick, deep=deep)
        except _FAILURES as error:
            self._fail((pick,), plan, error)
            return
        verdict = verdict_of(judgement, self._task.limits)
        merit = f"{single.saving.words}, {verdict.words}"
        self._note(plan, single.cost, judgement, merit, _refusal(verdict), pick)
        if verdict.admitted:
            self._verdicts[pick] = verdict

    def _refuse(self, pick: Pick, reason: str, single: _Weighed | None = None) -> None:
        cost = single.cost if single else self.cost
        self._note(with_picks(self.base, (pick,)), cost, None, "", reason, pick)

    def _fail(self, picks: Sequence[Pick], plan: StagePlan, error: Exception) -> None:
        if isinstance(error, DeviceLostError):
            raise error
        pick = picks[0] if len(picks) == 1 else None
        self._note(plan, self.cost, None, "", f"cannot be made: {error}", pick)

    def _note(
        self,
        plan: StagePlan,
        cost: Cost,
        judgement: Judgement | None,
        merit: str,
        refusal: str,
        pick: Pick | None = None,
    ) -> None:
        draft = Draft(self.stage, plan, cost, judgement, merit, refusal, pick)
        self._task.notebook.add(draft)


_NOTHING = {Goal.SPEED: "not faster", Goal.SIZE: "not smaller"}


def _treatments(group: Group) -> tuple[Treatment, ...]:
    return tuple(t for t in group.treatments if t is not Treatment.FLOAT)


def _refusal(verdict: Verdict) -> str:
    return "; ".join(verdict.violations)


def base_used(task: Task, candidate: Candidate, *, deep: bool = False) -> float:
    """The share of the budget that a stage's base uses alone."""
    if is_plain(candidate.plan):
        return 0.0
    return verdict_of(task.judged(candidate, deep=deep), task.limits).used
