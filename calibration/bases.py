"""How stages are written where nothing is treated: fp32, or fp16 where it is good enough.

No imports beyond the contracts and the planner's own parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sambert_trt.engines.errors import DeviceLostError
from sambert_trt.engines.graphs import Placement, Precision, Stage

from .assessment import Cost
from .bench import is_plain
from .recipe import StagePlan, Treatment
from .savings import FAILURES, Task
from .search import Pick
from .sensitivity import StageStudy, base_used
from .trials import Draft
from .verdicts import saving_of, verdict_of
from .whole import Plans, Whole

__all__ = ["BASES", "Bases", "State"]

BASES = {Placement.CPU: Precision.FP32, Placement.TENSORRT: Precision.FP16}


@dataclass
class State:
    """A search under way.

    Attributes:
        bases: how stages are written where nothing is treated; treatments asked for included.
        used: the share of the budget that each base uses alone.
        before: the share that they use together.
        picks: what is treated so far.
    """

    bases: Plans
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


class Bases:
    """Finds the bases of a voice's stages, and takes them back.

    Args:
        usual: the precision of a base that is good enough.
    """

    def __init__(self, task: Task, whole: Whole, usual: Precision) -> None:
        self._task, self._whole, self._usual = task, whole, usual

    def found(self, keep: Mapping[Stage, Mapping[str, Treatment]]) -> State:
        """The bases of all stages, with the treatments that are kept by name."""
        plans, used = Plans(), dict[Stage, float]()
        for stage in self._task.bench.stages():
            self._task.step(f"{stage.value} as it stands")
            plan = StagePlan(self._usual)
            plans[stage] = plan if is_plain(plan) else self._affordable(plan, stage)
            used[stage] = self._used_by(stage, plans[stage])
        state = State(plans, used)
        while self._whole.used(state.bases) > 1 and self.fall_back(state):
            pass
        for stage, treatments in keep.items():
            self._rebase(state, stage, replace(plans[stage], groups=dict(treatments)))
        return state

    def fall_back(self, state: State) -> bool:
        """One stage's base becomes fp32, the one that uses most; says whether there was one."""
        open_stages = [
            stage for stage, plan in state.bases.items() if plan.base is not Precision.FP32
        ]
        if not open_stages:
            return False
        stage = max(open_stages, key=lambda stage: state.used[stage])
        self._rebase(state, stage, StagePlan(Precision.FP32))
        return True

    def _affordable(self, plan: StagePlan, stage: Stage) -> StagePlan:
        """The plan, or fp32 where it sounds worse than the limits allow or gains nothing."""
        plain = StagePlan(Precision.FP32)
        try:
            candidate = self._task.bench.candidate(stage, plan)
            judgement = self._task.judged(candidate)
            cost = self._task.bench.cost(candidate)
        except DeviceLostError:
            raise
        except FAILURES as error:
            refusal = f"cannot be made: {error}"
            self._task.notebook.add(Draft(stage, plan, self._plain_cost(stage), refusal=refusal))
            return plain
        before = self._plain_cost(stage)
        saving = saving_of(self._task.goal, cost, before, self._task.bench.sentence_seconds(stage))
        verdict = verdict_of(judgement, self._task.limits)
        refusal = "; ".join(verdict.violations)
        if saving.harmful:
            refusal = refusal or f"gains nothing: {saving.words}"
        merit = f"{saving.words}, {verdict.words}"
        self._task.notebook.add(Draft(stage, plan, cost, judgement, merit, refusal))
        return plain if refusal else plan

    def _plain_cost(self, stage: Stage) -> Cost:
        return self._task.bench.cost(self._task.bench.candidate(stage, StagePlan(Precision.FP32)))

    def _rebase(self, state: State, stage: Stage, plan: StagePlan) -> None:
        state.bases[stage] = plan
        state.used[stage] = self._used_by(stage, plan)

    def _used_by(self, stage: Stage, plan: StagePlan) -> float:
        return base_used(self._task, self._task.bench.candidate(stage, plan))
