"""What is tried while a voice is planned, written down until it is known what is kept.

No imports beyond the contracts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sambert_trt.engines.graphs import Stage

from .assessment import Cost, Judgement, Trial
from .bench import is_plain
from .recipe import StagePlan, Treatment
from .search import Pick

__all__ = ["Draft", "Notebook"]


@dataclass(frozen=True)
class Draft:
    """Something that was tried.

    Attributes:
        merit: what it saves and loses, in words.
        refusal: why it is not admitted, in words; empty: it might have been kept.
        pick: where a single treatment was tried.
    """

    stage: Stage
    plan: StagePlan
    cost: Cost
    judgement: Judgement | None = None
    merit: str = ""
    refusal: str = ""
    pick: Pick | None = None

    @property
    def name(self) -> str:
        """`vocoder`, `vocoder/resblocks.0`."""
        return f"{self.stage.value}/{self.pick.group}" if self.pick else self.stage.value


class Notebook:
    """Drafts in the order in which things were tried."""

    def __init__(self) -> None:
        self._drafts: list[Draft] = []
        self._refusals: dict[Pick, str] = {}

    def add(self, draft: Draft) -> None:
        """Writes something down; a treatment that is tried again is written over."""
        before = [n for n, old in enumerate(self._drafts) if draft.pick and old.pick == draft.pick]
        if before:
            self._drafts[before[0]] = draft
        else:
            self._drafts.append(draft)

    def refuse(self, picks: Iterable[Pick], reason: str) -> None:
        """Says why treatments that might have been kept were left out in the end."""
        self._refusals |= dict.fromkeys(picks, reason)

    def trials(self, plans: Mapping[Stage, StagePlan]) -> tuple[Trial, ...]:
        """Everything that was tried, judged by the plans that came out of it."""
        return tuple(self._trial(draft, plans[draft.stage]) for draft in self._drafts)

    def notes(self, plans: Mapping[Stage, StagePlan]) -> dict[str, str]:
        """What became of each stage and group, by name: the last word on it."""
        notes = dict[str, dict[str, str]]()
        for draft in self._drafts:
            trial, pick = self._trial(draft, plans[draft.stage]), draft.pick
            about = notes.setdefault(trial.name, {})
            if trial.kept or pick is None:
                about.clear()
            if pick is None:
                about[""] = trial.reason
            elif trial.kept or plans[draft.stage].groups.get(pick.group) in _OPEN:
                about[pick.treatment.value] = trial.reason
        return {
            name: "; ".join(
                f"{what} {reason}" if what else reason for what, reason in about.items()
            )
            for name, about in sorted(notes.items())
            if about
        }

    def _trial(self, draft: Draft, plan: StagePlan) -> Trial:
        kept, reason = self._fate(draft, plan)
        judgement, cost = draft.judgement, draft.cost
        return Trial(draft.stage, draft.name, draft.plan, judgement, cost, kept, reason)

    def _fate(self, draft: Draft, plan: StagePlan) -> tuple[bool, str]:
        """Whether something is part of the plan that came out, and why."""
        if draft.pick is not None:
            return self._fate_of_pick(draft, draft.pick, plan.groups.get(draft.pick.group))
        if draft.refusal:
            return False, f"dropped: {draft.refusal}"
        if draft.plan == plan:
            return True, draft.merit if is_plain(plan) else f"kept: {draft.merit}"
        return False, f"not kept as a whole: {draft.merit}"

    def _fate_of_pick(self, draft: Draft, pick: Pick, now: Treatment | None) -> tuple[bool, str]:
        if now is pick.treatment:
            if draft.refusal:
                return True, f"kept with the rest of the stage; alone: {draft.refusal}"
            return True, f"kept: {draft.merit}"
        if draft.refusal:
            return False, f"dropped: {draft.refusal}"
        if now is not None and now is not Treatment.FLOAT:
            return False, f"left out, {now.value} is kept instead: {draft.merit}"
        why = self._refusals.get(pick, "because others gain more for what they lose")
        return False, f"left out {why}: {draft.merit}"


_OPEN = (None, Treatment.FLOAT)


def with_picks(base: StagePlan, picks: Iterable[Pick]) -> StagePlan:
    """A plan with further treatments."""
    more = {pick.group: pick.treatment for pick in sorted(picks)}
    return replace(base, groups={**base.groups, **more})
