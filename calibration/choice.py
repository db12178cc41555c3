"""What gains most together inside the budget, chosen among what was heard stage by stage.

No imports beyond the contracts and the planner's own parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sambert_trt.engines.graphs import Stage

from .bases import State
from .savings import Task
from .search import Mix, Pick, frontier, largest_admitted
from .verdicts import Verdict
from .whole import Whole

__all__ = ["Choice"]

_FILL = 4
"""How many single treatments are tried on top of what was found."""


class Choice:
    """Chooses the treatments of a voice."""

    def __init__(self, task: Task, whole: Whole) -> None:
        self._task, self._whole = task, whole

    def choose(self, state: State) -> None:
        """What gains most together: a place on the frontier, and what else has room."""
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

    def _surprises(self, state: State, mix: Mix) -> bool:
        """Whether a mix passes limits that cannot be seen in the mels of its stages."""
        if all(pick.stage is Stage.VOCODER for pick in mix.picks):
            return False
        verdict = self._joint(state, mix.picks)
        passed = {limit for limit, used in verdict.shares.items() if used > 1}
        seen = {limit for study in state.studies.values() for limit in study.seen_in_mels}
        return not verdict.admitted and not (passed and passed <= seen)

    def _frontier(self, state: State) -> tuple[Mix, ...]:
        """All mixes worth judging, behind the bases alone."""
        base = Mix(used=state.before)
        mixes = frontier([study.mixes() for study in state.studies.values()], [base])
        return (base, *(mix for mix in mixes if mix.picks))

    def _tried(self, state: State, mix: Mix) -> float:
        """The share of the budget that a mix really uses."""
        return self._joint(state, mix.picks).used

    def _try_one(self, state: State, mix: Mix) -> None:
        """Takes a single treatment, or a stage as a whole, that gains more than the mix.

        Predictions do not see it where several together are much worse than their sum.
        """
        alone = [study.mix(pick) for study in state.studies.values() for pick in study.admitted]
        alone += [study.full for study in state.studies.values() if study.full]
        best = max(alone, key=lambda other: other.gain, default=mix)
        if best.gain > mix.gain and self._joint(state, best.picks).admitted:
            state.picks = best.picks

    def _joint(self, state: State, picks: Sequence[Pick]) -> Verdict:
        return self._whole.joint(state.plans(picks), picks)

    def _fill(self, state: State) -> None:
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

    def _drop_idle(self, state: State) -> None:
        """Leaves out what came with its stage as a whole and gains nothing there."""
        for stage, study in state.studies.items():
            mine = [pick for pick in state.picks if pick.stage is stage]
            idle = study.savings.idle(mine)
            self._task.notebook.refuse(idle, "because its stage saves as much without it")
            state.picks = tuple(pick for pick in state.picks if pick not in idle)

    def _predicted(self, state: State, picks: Iterable[Pick]) -> float:
        return state.before + sum(state.studies[p.stage].distortion(p) for p in picks)

    def _left_out(self, state: State) -> list[tuple[float, Pick]]:
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


def _without_group(picks: Iterable[Pick], pick: Pick) -> tuple[Pick, ...]:
    return tuple(p for p in picks if (p.stage, p.group) != (pick.stage, pick.group))
