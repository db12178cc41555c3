"""Whole assignments: heard, weighed, and written down where they fail.

No imports beyond the contracts and the planner's own parts.
"""

from __future__ import annotations

from collections.abc import Sequence

from sambert_trt.engines.graphs import Stage

from .assessment import Candidate, Judgement
from .bench import Depth, WholeCost, depth_of, is_plain
from .recipe import StagePlan
from .savings import Task
from .search import Pick
from .trials import Draft
from .verdicts import Verdict, verdict_of

__all__ = ["Plans", "Whole"]

Plans = dict[Stage, StagePlan]


class Whole:
    """Judges and weighs what is done to all stages of a voice together."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def candidates(self, plans: Plans) -> dict[Stage, Candidate]:
        """The graph of every stage."""
        return {stage: self._task.bench.candidate(stage, plan) for stage, plan in plans.items()}

    def used(self, plans: Plans) -> float:
        """The share of the budget that an assignment uses."""
        if all(map(is_plain, plans.values())):
            return 0.0
        return verdict_of(self.judged(plans), self._task.limits).used

    def judged(self, plans: Plans) -> Judgement:
        """What is heard of the stages that are changed."""
        candidates = self.candidates(plans)
        changed = {stage: c for stage, c in candidates.items() if not is_plain(c.plan)}
        return self._task.bench.judge(changed, depth_of(set(changed)))

    def final(self, plans: Plans) -> Judgement:
        """What is heard of the voice from end to end."""
        self._task.step("the whole voice")
        return self._task.bench.judge(self.candidates(plans), Depth.WHOLE)

    def cost(self, plans: Plans) -> WholeCost | None:
        """See `Bench.whole_cost`."""
        self._task.step("the whole voice's speed")
        return self._task.bench.whole_cost(self.candidates(plans))

    def joint(self, plans: Plans, picks: Sequence[Pick]) -> Verdict:
        """What is heard of some treatments together; a refusal is written down."""
        self._task.step(f"{len(picks)} treatments together")
        judgement = self.judged(plans)
        verdict = verdict_of(judgement, self._task.limits)
        if not verdict.admitted:
            self.note(plans, picks, judgement, verdict)
        return verdict

    def note(
        self, plans: Plans, picks: Sequence[Pick], judgement: Judgement, verdict: Verdict
    ) -> None:
        """A choice of several stages is written down under the last of them."""
        if not picks:
            return
        stage = picks[-1].stage
        refusal = f"{len(picks)} treatments together: {'; '.join(verdict.violations)}"
        cost = self._task.bench.cost(self._task.bench.candidate(stage, plans[stage]), quick=True)
        self._task.notebook.add(Draft(stage, plans[stage], cost, judgement, "", refusal))
