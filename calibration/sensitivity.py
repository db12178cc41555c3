"""How what is done to a stage sounds: each treatment alone and all of them together.

No imports beyond the contracts and the planner's own parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from sambert_trt.engines.graphs import Stage

from .assessment import Candidate, Cost, Judgement
from .bench import is_plain
from .recipe import Method, StagePlan, Treatment
from .savings import FAILURES, LATE, StageSavings, Task, Weighed, treatments
from .search import Mix, Pick, efficient, frontier
from .trials import Draft, with_picks
from .verdicts import Verdict, share, verdict_of

__all__ = ["StageStudy", "base_used"]


_INTEGER = frozenset({Treatment.W8A8, Treatment.W8A8_SUMS})


class StageStudy:
    """One stage: first what its treatments save, then, where that pays, how they sound.

    Args:
        base: how the stage is written where nothing is tried, what was asked for by name included.
        used: the share of the budget that `base` uses.

    Attributes:
        savings: what treatments save.
    """

    def __init__(self, task: Task, stage: Stage, base: StagePlan, used: float) -> None:
        self.stage, self.base, self.used = stage, base, used
        self._task = task
        self.groups = tuple(
            group
            for group in task.bench.groups(stage)
            if group.name not in base.groups and treatments(group)
        )
        self.savings = StageSavings(task, stage, base, self.groups)
        self._full: Weighed | None = None
        self._verdicts: dict[Pick, Verdict] = {}
        self._full_used = math.inf

    @property
    def trials(self) -> int:
        """How many treatments there are to try."""
        return sum(len(treatments(group)) for group in self.groups)

    @property
    def potential(self) -> float:
        """The most that the stage promises to save."""
        return self._full.saving.amount if self._full else 0.0

    @property
    def full(self) -> Mix | None:
        """All that pays together as measured; None where it is too much."""
        if self._full is None or self._full_used > 1:
            return None
        used = max(self._full_used - self.used, 0.0)
        return Mix(used, self._full.saving.amount, self._full.picks)

    @property
    def seen_in_mels(self) -> frozenset[str]:
        """The limits that its treatments were held against without a vocoder."""
        verdicts = () if self.stage is Stage.VOCODER else self._verdicts.values()
        return frozenset(limit for verdict in verdicts for limit in verdict.shares)

    @property
    def admitted(self) -> tuple[Pick, ...]:
        """The treatments that gain and that alone stay within the limits."""
        return tuple(self._verdicts)

    def weigh(self) -> None:
        """Finds out what every treatment saves."""
        self.savings.weigh()
        self._full = self.savings.full

    def skip(self) -> None:
        """Leaves the stage as it is."""
        self.groups = ()
        self.savings = StageSavings(self._task, self.stage, self.base, ())

    def prepare(self) -> None:
        """Has made what will be heard first: all that pays, with every method of ranges."""
        if self._full is not None and self._integer(self._full):
            plan = self._full.candidate.plan
            self._task.prepare(self.stage, (replace(plan, method=method) for method in Method))

    def listen(self) -> None:
        """Finds out what the treatments that save something lose."""
        if self._full is None:
            return
        self._full = self._best_method(self._full)
        eligible = self.savings.eligible
        self._task.prepare(self.stage, (self.plan((pick,)) for pick in eligible))
        self._full_used = self._judge_full(self._full)
        for pick in eligible:
            self._judge_single(pick)

    def listen_deeper(self) -> None:
        """Hears again, through the vocoder, what was admitted by its mel."""
        if self.stage is Stage.VOCODER or self._full is None:
            return
        base = self._task.bench.candidate(self.stage, self.base)
        self.used = base_used(self._task, base, deep=True)
        self._full_used = self._judge_full(self._full, deep=True)
        for pick in self.admitted:
            del self._verdicts[pick]
            self._judge_single(pick, deep=True)

    def mixes(self) -> tuple[Mix, ...]:
        """What may be made of the stage: by prediction, each treatment alone, all as measured."""
        alternatives = [
            [Mix(self.distortion(pick), self.savings.gain(pick), (pick,)) for pick in mine]
            for group in self.groups
            if (mine := [pick for pick in self._verdicts if pick.group == group.name])
        ]
        predicted = [
            replace(mix, gain=mix.gain - self.savings.overhead(mix.picks))
            for mix in frontier(alternatives)
        ]
        measured = [self.mix(pick) for pick in self._verdicts]
        found = (*predicted, *measured, *([self.full] if self.full else []))
        return efficient(mix for mix in found if mix.picks and mix.gain > 0)

    def mix(self, pick: Pick) -> Mix:
        """A treatment alone as measured."""
        return Mix(self.distortion(pick), self.savings.alone(pick), (pick,))

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
        shares = verdict.shares if verdict else {}
        return max((shares.get(limit, 0.0) for limit in limits), default=0.0)

    def _best_method(self, full: Weighed) -> Weighed:
        """The method of ranges with which the whole stage loses least."""
        if not self._integer(full):
            return full
        found = dict[Method, tuple[float, Candidate]]()
        for method in dict.fromkeys((full.candidate.plan.method, *Method)):
            if found and self._task.hurried():
                break
            self._task.step(f"{self.stage.value} {method.value}")
            verdict = self._tried(full, replace(full.candidate.plan, method=method))
            if verdict is not None:
                found[method] = verdict
        if not found:
            return full
        best = min(found.values(), key=lambda pair: pair[0])
        return replace(full, candidate=best[1])

    def _integer(self, full: Weighed) -> bool:
        """Whether there are ranges to choose."""
        return not _INTEGER.isdisjoint(full.candidate.plan.treated.values())

    def _tried(self, full: Weighed, plan: StagePlan) -> tuple[float, Candidate] | None:
        """What the stage uses of the budget in another method."""
        try:
            candidate = self._task.bench.candidate(self.stage, plan)
            judgement = self._task.judged(candidate, quick=True)
        except FAILURES as error:
            self.savings.fail(full.picks, plan, error)
            return None
        verdict = verdict_of(judgement, self._task.limits)
        words = f"ranges by {plan.method.value}: {share(verdict.used)}, {verdict.words}"
        refusal = "" if verdict.admitted else f"{words}; {_refusal(verdict)}"
        self._note(plan, full.cost, judgement, words, refusal)
        return verdict.used, candidate

    def _judge_full(self, full: Weighed, *, deep: bool = False) -> float:
        self._task.step(f"{self.stage.value} as a whole")
        try:
            judgement = self._task.judged(full.candidate, deep=deep)
        except FAILURES as error:
            self.savings.fail(full.picks, full.candidate.plan, error)
            return math.inf
        verdict = verdict_of(judgement, self._task.limits)
        merit = f"{full.saving.words}, {verdict.words}"
        self._note(full.candidate.plan, full.cost, judgement, merit, _refusal(verdict))
        return verdict.used

    def _judge_single(self, pick: Pick, *, deep: bool = False) -> None:
        single, plan = self.savings.singles[pick], self.plan((pick,))
        self._task.step(f"{self.stage.value}/{pick.group}")
        if self._task.hurried():
            self.savings.refuse(pick, LATE)
            return
        try:
            candidate = self._task.bench.candidate(self.stage, plan)
            judgement = self._task.judged(candidate, quick=True, deep=deep)
        except FAILURES as error:
            self.savings.fail((pick,), plan, error)
            return
        verdict = verdict_of(judgement, self._task.limits)
        merit = f"{self.savings.words(pick)}, {verdict.words}"
        self._note(plan, single.cost, judgement, merit, _refusal(verdict), pick)
        if verdict.admitted:
            self._verdicts[pick] = verdict

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


def base_used(task: Task, candidate: Candidate, *, deep: bool = False) -> float:
    """The share of the budget that a stage's base uses alone."""
    if is_plain(candidate.plan):
        return 0.0
    return verdict_of(task.judged(candidate, deep=deep), task.limits).used


def _refusal(verdict: Verdict) -> str:
    return "; ".join(verdict.violations)
