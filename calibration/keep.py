"""What is kept by name though it is slower or worse: `stage` or `stage/group`, and a treatment.

No imports beyond the contracts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sambert_trt.engines.errors import InputError
from sambert_trt.engines.graphs import Stage

from .recipe import Group, Treatment

__all__ = ["Groups", "Keep", "kept_treatments"]

Keep = Mapping[str, Treatment | None]
Groups = Mapping[Stage, Sequence[Group]]


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
