"""The whole voice is heard, and treatments are dropped until it passes.

No imports beyond the contracts and the planner's own parts.
"""

from __future__ import annotations

from collections.abc import Sequence

from sambert_trt.engines.graphs import Stage

from .assessment import Goal, Judgement
from .bases import Bases, State
from .bench import WholeCost
from .recipe import StagePlan
from .savings import FAILURES, Task
from .search import Pick
from .sensitivity import StageStudy
from .verdicts import Verdict, verdict_of
from .whole import Plans, Whole

__all__ = ["Settlement"]

_GENTLE = 4
"""So many times one treatment is dropped; after that half of those that are left, each time."""


class Settlement:
    """Settles what a search has chosen."""

    def __init__(self, task: Task, whole: Whole, bases: Bases) -> None:
        self._task, self._whole, self._bases = task, whole, bases

    def settled(self, state: State) -> tuple[Judgement, WholeCost | None]:
        """Judges the whole voice, and drops treatments until it passes."""
        for attempt in range(10_000):
            plans = state.plans(state.picks)
            if self._drop_costly(state, plans):
                continue
            whole = self._whole.final(plans)
            verdict = verdict_of(whole, self._task.limits)
            if not verdict.admitted:
                self._whole.note(plans, state.picks, whole, verdict)
                if self._drop_loud(state, verdict, attempt):
                    continue
                asked = any(plan.treated for plan in state.bases.values())
                if not asked and self._bases.fall_back(state):
                    continue
            cost = self._whole.cost(plans)
            if cost is not None and cost.ratio > 1 and self._drop_least(state, cost):
                continue
            return whole, cost
        raise AssertionError("a search that drops something every time ends")

    def _drop_costly(self, state: State, plans: Plans) -> bool:
        """Drops the treatments of stages that together save nothing; says whether there were."""
        dropped = set[Stage]()
        for stage in dict.fromkeys(pick.stage for pick in state.picks):
            mine = [pick for pick in state.picks if pick.stage is stage]
            if refusal := self._refusal_together(state.studies[stage], mine, plans[stage]):
                dropped.add(stage)
                self._task.notebook.refuse(mine, refusal)
        state.picks = tuple(pick for pick in state.picks if pick.stage not in dropped)
        return bool(dropped)

    def _refusal_together(self, study: StageStudy, picks: Sequence[Pick], plan: StagePlan) -> str:
        """Why treatments of a stage are no good together, though each alone was; "": they are."""
        try:
            cost = self._task.bench.cost(self._task.bench.candidate(study.stage, plan))
        except FAILURES as error:  # a plan is built only now
            study.savings.fail(picks, plan, error)
            return f"because together they cannot be made ({error})"
        saving = study.savings.saving(cost)
        return "" if saving.proven else f"because together they save nothing ({saving.words})"

    def _drop_loud(self, state: State, verdict: Verdict, attempt: int) -> bool:
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
        self._task.notebook.refuse(dropped, reason)
        state.picks = tuple(pick for pick in state.picks if pick not in dropped)
        return True

    def _drop_least(self, state: State, cost: WholeCost) -> bool:
        """Drops the stage that saves least of a voice that became slower."""
        if self._task.goal is not Goal.SPEED or not state.picks:
            return False
        gains = dict[Stage, float]()
        for pick in state.picks:
            gains[pick.stage] = gains.get(pick.stage, 0.0) + state.studies[pick.stage].savings.gain(
                pick
            )
        least = min(gains, key=lambda stage: gains[stage])
        mine = [pick for pick in state.picks if pick.stage is least]
        reason = f"because the whole voice takes {cost.ratio:.2f} of fp32's time with it"
        self._task.notebook.refuse(mine, reason)
        state.picks = tuple(pick for pick in state.picks if pick.stage is not least)
        return True
