"""What the treatments of a stage save: each alone, all together, and each beside the others.

A graph that changes between int8 and float pays for it. Where floats run in a layout of their own,
so dearly that one group alone makes a stage slower and all together make it faster: a stock vocoder
among ONNX Runtime's NCHWc kernels, 0.87x as fast with one group of four, 2.0x with all. There, a
group's part is what the whole loses without it. No imports beyond the contracts and the planner's
own parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sambert_trt.engines.errors import BackendError, DeviceLostError, EngineError, GraphError
from sambert_trt.engines.graphs import Stage

from .assessment import Candidate, Cost, Goal, Judgement
from .bench import Bench, Depth
from .figures import Limits
from .recipe import Group, StagePlan, Treatment
from .report_words import speedup
from .search import Pick
from .trials import Draft, Notebook, with_picks
from .verdicts import Saving, saving_of

__all__ = [
    "FAILURES",
    "LATE",
    "NOTHING",
    "StageSavings",
    "Task",
    "Weighed",
    "singles",
    "treatments",
]

FAILURES = (GraphError, EngineError, BackendError)
"""What may go wrong with a candidate without anything being wrong with the voice."""

LATE = "not tried: the time was up"
NOTHING = {Goal.SPEED: "not faster", Goal.SIZE: "not smaller"}

_AS_MUCH = 0.97
"""What is left of a saving is as much: measurements differ by that."""

_MORE = 0.2
"""All together save so much more, as a part of it, than the sum of each alone: they need others."""

_ROUNDS = 3


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

    def prepare(self, stage: Stage, plans: Iterable[StagePlan]) -> None:
        """Has candidates made that will most probably be asked for."""
        if not self.hurried():
            self.bench.prepare((stage, plan) for plan in plans)

    def judged(self, candidate: Candidate, *, quick: bool = False, deep: bool = False) -> Judgement:
        """A candidate alone; `deep`: a mel through the vocoder, too."""
        depth = Depth.WAVE if candidate.stage is Stage.VOCODER else Depth.MEL
        depth = Depth.WHOLE if deep else depth
        return self.bench.judge({candidate.stage: candidate}, depth, quick=quick)


@dataclass(frozen=True)
class Weighed:
    """A candidate whose cost is known."""

    picks: tuple[Pick, ...]
    candidate: Candidate
    cost: Cost
    saving: Saving


class StageSavings:
    """The costs of one stage.

    Attributes:
        cost: of the base, against which everything is compared.
        singles: every treatment alone.
        full: the treatments that together save most; None where nothing saves.
    """

    def __init__(self, task: Task, stage: Stage, base: StagePlan, groups: Sequence[Group]) -> None:
        self._task, self._stage, self._base, self._groups = task, stage, base, groups
        self.cost = task.bench.cost(task.bench.candidate(stage, base))
        self._seconds = task.bench.sentence_seconds(stage)
        self.singles: dict[Pick, Weighed] = {}
        self.full: Weighed | None = None
        self._beside: dict[Pick, float] = {}
        self._beside_words: dict[Pick, str] = {}
        self._overhead = 0.0

    def weigh(self) -> None:
        """Measures; writes down what saves nothing."""
        for pick in self._picks():
            self._task.step(f"{self._stage.value}/{pick.group}")
            if self._task.hurried():
                self.refuse(pick, LATE)
            elif (found := self.weighed((pick,))) is not None:
                self.singles[pick] = found
        self.full = self._best_full()
        eligible = self.eligible
        for pick in self.singles:
            if pick not in eligible:
                self.refuse(pick, f"{NOTHING[self._task.goal]}: {self.words(pick)}")

    @property
    def eligible(self) -> tuple[Pick, ...]:
        """Treatments that save something alone or beside others, or may do so in the noise."""
        whole = self.full is not None and self.full.saving.proven

        def counts(pick: Pick, single: Weighed) -> bool:
            if self._beside:
                return self._beside.get(pick, 0.0) > 0
            return whole and single.saving.possible

        return tuple(p for p, s in self.singles.items() if s.saving.proven or counts(p, s))

    def gain(self, pick: Pick) -> float:
        """What a treatment saves: beside the others where it needs them, or else alone."""
        return self._beside.get(pick, self.alone(pick))

    def alone(self, pick: Pick) -> float:
        """What a treatment saves alone."""
        return self.singles[pick].saving.amount

    def overhead(self, picks: Sequence[Pick]) -> float:
        """What a stage that is treated at all costs beyond the sum of its gains."""
        return self._overhead if any(pick in self._beside for pick in picks) else 0.0

    def words(self, pick: Pick) -> str:
        """`1.12× (1.08 to 1.15) as fast`."""
        alone = self.singles[pick].saving.words
        beside = self._beside_words.get(pick)
        return f"{alone} alone, {beside} beside the others" if beside else alone

    def saving(self, cost: Cost) -> Saving:
        """What the stage saves at that cost."""
        return saving_of(self._task.goal, cost, self.cost, self._seconds)

    def weighed(self, picks: Iterable[Pick]) -> Weighed | None:
        """The cost of some treatments together; None where they cannot be written."""
        chosen = tuple(picks)
        plan = with_picks(self._base, chosen)
        try:
            candidate = self._task.bench.candidate(self._stage, plan)
            cost = self._task.bench.cost(candidate, quick=True)
        except FAILURES as error:
            self.fail(chosen, plan, error)
            return None
        return Weighed(chosen, candidate, cost, self.saving(cost))

    def idle(self, picks: Sequence[Pick]) -> tuple[Pick, ...]:
        """Treatments of the stage that save nothing for sure, if the others save as much."""
        strong = [p for p in picks if self.singles[p].saving.proven or p in self._beside]
        if not strong or len(strong) == len(picks):
            return ()
        every, fewer = self.weighed(picks), self.weighed(strong)
        if every is None or fewer is None:
            return ()
        enough = fewer.saving.amount >= _AS_MUCH * every.saving.amount
        return tuple(pick for pick in picks if pick not in strong) if enough else ()

    def refuse(self, pick: Pick, reason: str) -> None:
        """Writes down why a treatment is not tried further."""
        plan, single = with_picks(self._base, (pick,)), self.singles.get(pick)
        cost = single.cost if single else self.cost
        self._task.notebook.add(Draft(self._stage, plan, cost, refusal=reason, pick=pick))

    def fail(self, picks: Sequence[Pick], plan: StagePlan, error: Exception) -> None:
        """Writes down that treatments cannot be written, timed or heard.

        Raises:
            DeviceLostError: where that is the reason.
        """
        if isinstance(error, DeviceLostError):
            raise error
        pick, reason = picks[0] if len(picks) == 1 else None, f"cannot be made: {error}"
        self._task.notebook.add(Draft(self._stage, plan, self.cost, refusal=reason, pick=pick))

    def _picks(self) -> Iterator[Pick]:
        for group in self._groups:
            for treatment in treatments(group):
                yield Pick(self._stage, group.name, treatment)

    def _best_full(self) -> Weighed | None:
        """As many groups treated at once as save most together."""
        also = (True, False) if self._task.goal is Goal.SPEED else (False,)
        levels = [self._level(treatment, harmful) for treatment in Treatment for harmful in also]
        levels += [self._best_singles(proven=False)] if len(also) > 1 else []
        self._task.prepare(self._stage, (with_picks(self._base, picks) for picks in levels))
        fulls = [f for picks in dict.fromkeys(levels) if picks and (f := self.weighed(picks))]
        best = max(fulls, key=lambda full: full.saving.amount, default=None)
        if best is not None and self._need_each_other(best):
            best = self._weighed_beside(best)
        if best is not None and best.saving.proven:
            return best
        for full in fulls:
            reason = f"{NOTHING[self._task.goal]}: {full.saving.words}"
            draft = Draft(self._stage, full.candidate.plan, full.cost, refusal=reason)
            self._task.notebook.add(draft)
        self._beside, self._overhead = {}, 0.0
        picks = self._best_singles(proven=True)
        return self.weighed(picks) if picks else None

    def _level(self, most: Treatment, harmful: bool) -> tuple[Pick, ...]:
        """Every group with the strongest treatment up to one; those that do harm alone, too?"""
        order, chosen = list(Treatment), dict[str, Pick]()
        for pick, single in self.singles.items():
            mild = order.index(pick.treatment) <= order.index(most)
            if mild and (harmful or not single.saving.harmful):
                chosen[pick.group] = pick
        return tuple(chosen.values())

    def _best_singles(self, *, proven: bool) -> tuple[Pick, ...]:
        """Of each group, or each that saves something beyond doubt, what saves most alone."""
        best = dict[str, Pick]()
        for pick, single in self.singles.items():
            known = best.get(pick.group)
            if proven and not single.saving.proven:
                continue
            if known is None or self.alone(pick) > self.alone(known):
                best[pick.group] = pick
        return tuple(best.values())

    def _need_each_other(self, full: Weighed) -> bool:
        """Whether treatments together are much better than the sum of each alone."""
        apart = sum(map(self.alone, full.picks))
        more = full.saving.amount - apart
        several = len(full.picks) > 1 and self._task.goal is Goal.SPEED
        return several and more > _MORE * abs(full.saving.amount) and not self._task.hurried()

    def _weighed_beside(self, full: Weighed) -> Weighed:
        """Finds out what each treatment adds to the others, and leaves out what adds nothing."""
        for _ in range(_ROUNDS):
            self._prepare_without(full)
            without = {pick: self._without(full, pick.group) for pick in full.picks}
            gains = {pick: full.saving.amount - saved for pick, (saved, _) in without.items()}
            rest = [pick for pick, gain in gains.items() if gain > 0]
            fewer = self.weighed(rest) if rest and len(rest) < len(full.picks) else None
            if fewer is None or fewer.saving.amount < _AS_MUCH * full.saving.amount:
                break
            full = fewer
        for pick in self.singles:
            if pick.group in {taken.group for taken in full.picks}:
                self._weigh_one_beside(full, pick)
        self._overhead = sum(self._beside.get(p, 0.0) for p in full.picks) - full.saving.amount
        return full

    def _weigh_one_beside(self, full: Weighed, pick: Pick) -> None:
        """What a treatment of a group adds to the treatments of all others."""
        others = [taken for taken in full.picks if taken.group != pick.group]
        chosen = full if pick in full.picks else self.weighed((*others, pick))
        if chosen is None:
            return
        saved, cost = self._without(full, pick.group)
        self._beside[pick] = chosen.saving.amount - saved
        if chosen.cost.ratio and cost.ratio:
            self._beside_words[pick] = speedup(chosen.cost.ratio / cost.ratio)

    def _prepare_without(self, full: Weighed) -> None:
        fewer = ([p for p in full.picks if p.group != pick.group] for pick in full.picks)
        self._task.prepare(self._stage, (with_picks(self._base, picks) for picks in fewer if picks))

    def _without(self, full: Weighed, group: str) -> tuple[float, Cost]:
        """What is saved, and the cost, with one group left in float."""
        others = [taken for taken in full.picks if taken.group != group]
        found = self.weighed(others) if others else None
        return (found.saving.amount, found.cost) if found else (0.0, self.cost)


def singles(base: StagePlan, groups: Iterable[Group]) -> Iterator[StagePlan]:
    """A base with one more treatment, for each that there is."""
    for group in groups:
        for treatment in treatments(group):
            yield replace(base, groups={**base.groups, group.name: treatment})


def treatments(group: Group) -> tuple[Treatment, ...]:
    """What can be done to a group, besides nothing."""
    return tuple(t for t in group.treatments if t is not Treatment.FLOAT)
