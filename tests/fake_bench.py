"""A bench whose sensitivities and costs are known, for the planner's tests."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sambert_trt.calibration.assessment import Candidate, Cost, Judgement, Worst
from sambert_trt.calibration.bench import Depth, WholeCost
from sambert_trt.calibration.figures import Figures
from sambert_trt.calibration.recipe import Group, Method, StagePlan, Treatment
from sambert_trt.engines.errors import GraphError
from sambert_trt.engines.graphs import GraphSpec, Precision, Stage
from sambert_trt.engines.manifest import FileRecord, StageRecord

Key = tuple[Stage, str, Treatment]

FP32_BYTES = 1_000_000


@dataclass(frozen=True)
class Effect:
    """What a treatment does.

    Attributes:
        mcd: it adds to the mel-cepstral distortion, dB.
        saved: the part of the stage's seconds that it saves.
        bytes: that it saves.
        broken: what it breaks, or "".
        through_vocoder: what multiplies `mcd` where the mel goes through the vocoder.
        error: it cannot be written.
    """

    mcd: float = 0.0
    saved: float = 0.0
    bytes: int = 0
    broken: str = ""
    error: str = ""
    through_vocoder: float = 1.0


def added(values: list[float]) -> float:
    return sum(values)


def in_quadrature(values: list[float]) -> float:
    return sum(value * value for value in values) ** 0.5


def worse_together(values: list[float]) -> float:
    """Each further treatment makes all others a fifth worse."""
    return sum(values) * 1.2 ** max(sum(value > 0 for value in values) - 1, 0)


@dataclass
class FakeBench:
    """See `Bench`.

    Attributes:
        effects: by stage, group and treatment.
        halves: what fp16 does to a stage.
        seconds: of a sentence, by stage in fp32.
        together: the distortion of several.
        noise: of a cost's ratio; its interval is twice as wide.
        methods: what a method of ranges multiplies distortions with.
        overhead: the part of a stage's seconds that any treatment costs, once.
        slower: the whole voice takes so many times as long as its stages say.
    """

    effects: Mapping[Key, Effect]
    halves: Mapping[Stage, Effect] = field(default_factory=dict)
    seconds: Mapping[Stage, float] = field(default_factory=dict)
    together: Callable[[list[float]], float] = added
    noise: float = 0.0
    methods: Mapping[Method, float] = field(default_factory=dict)
    overhead: float = 0.0
    slower: float = 1.0
    timed: bool = True
    calls: list[str] = field(default_factory=list)
    prepared: list[tuple[Stage, StagePlan]] = field(default_factory=list)
    voice: str = "fake"

    def stages(self) -> tuple[Stage, ...]:
        return tuple(Stage)

    def groups(self, stage: Stage) -> tuple[Group, ...]:
        names = dict.fromkeys(group for found, group, _ in self.effects if found is stage)
        return tuple(Group(stage, name, (), 1, self._treatments(stage, name)) for name in names)

    def _treatments(self, stage: Stage, name: str) -> tuple[Treatment, ...]:
        found = {t for s, g, t in self.effects if (s, g) == (stage, name)}
        return tuple(t for t in Treatment if t is Treatment.FLOAT or t in found)

    def prepare(self, tasks: Iterable[tuple[Stage, StagePlan]]) -> None:
        self.prepared += tasks

    def candidate(self, stage: Stage, plan: StagePlan) -> Candidate:
        for effect in self.effects_of(stage, plan):
            if effect.error:
                raise GraphError(effect.error)
        record = StageRecord(
            FileRecord(f"{stage.value}.onnx", self.bytes_of(stage, plan), "0" * 64),
            GraphSpec(stage, (), (), {}, plan.precision),
            1,
        )
        return Candidate(stage, plan, Path("nowhere"), record)

    def effects_of(self, stage: Stage, plan: StagePlan) -> list[Effect]:
        found = [self.effects[stage, name, t] for name, t in plan.treated.items()]
        half = plan.base is Precision.FP16
        return [*found, self.halves.get(stage, Effect(saved=0.5, bytes=FP32_BYTES // 2))][
            : len(found) + half
        ]

    def bytes_of(self, stage: Stage, plan: StagePlan) -> int:
        return FP32_BYTES - sum(effect.bytes for effect in self.effects_of(stage, plan))

    def mcd_of(self, plans: Mapping[Stage, StagePlan], depth: Depth = Depth.WHOLE) -> float:
        heard = depth is not Depth.MEL
        return self.together(
            [
                effect.mcd
                * self.methods.get(plan.method, 1.0)
                * (effect.through_vocoder if heard else 1.0)
                for stage, plan in plans.items()
                for effect in self.effects_of(stage, plan)
            ]
        )

    def saved_of(self, plans: Mapping[Stage, StagePlan]) -> float:
        """Seconds of a sentence."""
        saved = 0.0
        for stage, plan in plans.items():
            parts = [effect.saved for effect in self.effects_of(stage, plan)]
            overhead = self.overhead if plan.treated else 0.0
            saved += (sum(parts) - overhead) * self.sentence_seconds(stage)
        return saved

    def judge(
        self, candidates: Mapping[Stage, Candidate], depth: Depth, *, quick: bool = False
    ) -> Judgement:
        names = ",".join(stage.value for stage in candidates)
        self.calls.append(f"judge {depth.value} {names}{' quick' if quick else ''}")
        if depth is Depth.WAVE:
            assert set(candidates) <= {Stage.VOCODER}
        if depth is Depth.MEL:
            assert Stage.VOCODER not in candidates
        plans = {stage: candidate.plan for stage, candidate in candidates.items()}
        mcd = self.mcd_of(plans, depth)
        found = [e.broken for s, p in plans.items() for e in self.effects_of(s, p) if e.broken]
        name = "mel_mae" if depth is Depth.MEL else "mcd"
        figures = replace(Figures(broken=found[0] if found else ""), **{name: mcd})
        return Judgement(figures, {name: Worst(3, "你好", 2 * mcd)}, (figures,))

    def cost(self, candidate: Candidate, *, quick: bool = False) -> Cost:
        stage, plan = candidate.stage, candidate.plan
        self.calls.append(f"cost {stage.value} {plan.precision.value}")
        size = self.bytes_of(stage, plan)
        if not self.timed:
            return Cost(size)
        if plan.precision is Precision.FP32:
            return Cost(size, 1.0, 1.0, 1.0, 1.0)
        key = f"{stage} {plan.base} {sorted(plan.treated.items())}"
        ratio = 1 - self.saved_of({stage: plan}) / self.sentence_seconds(stage)
        ratio *= 1 + random.Random(key).uniform(-self.noise, self.noise)
        return Cost(size, ratio, ratio, ratio - 2 * self.noise, ratio + 2 * self.noise)

    def sentence_seconds(self, stage: Stage) -> float:
        return self.seconds.get(stage, 1.0)

    def whole_cost(self, candidates: Mapping[Stage, Candidate]) -> WholeCost | None:
        if not self.timed:
            return None
        plans = {stage: candidate.plan for stage, candidate in candidates.items()}
        if not any(plan.treated for plan in plans.values()):
            return WholeCost(1.0, 1.0, 1.0)
        total = sum(map(self.sentence_seconds, Stage))
        ratio = self.slower * (1 - self.saved_of(plans) / total)
        return WholeCost(ratio, ratio, ratio)
