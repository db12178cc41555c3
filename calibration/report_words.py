"""What figures, treatments, costs and limits are called, with units and sensible digits.

Numpy-free; nothing beyond the contracts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from sambert_trt.engines.graphs import Placement, Precision, Stage

from .assessment import Candidate, Cost, Judgement, Outcome, Trial
from .figures import Figures, Limits
from .recipe import Method, StagePlan, Treatment

__all__ = [
    "LIMITS",
    "Bound",
    "Quantity",
    "Standing",
    "amount",
    "cost_of",
    "interval",
    "measured",
    "megabytes",
    "plan_words",
    "quantity",
    "seconds_words",
    "shortened",
    "size_of",
    "speedup",
    "standings",
    "trial_of",
    "where",
    "why",
]

DASH = "–"
_FEW = 3


@dataclass(frozen=True)
class Quantity:
    """A figure in words.

    Attributes:
        perfect: its value where nothing has changed.
    """

    name: str
    label: str
    unit: str = ""
    digits: int = 2
    percent: bool = False
    perfect: float = 0.0

    @property
    def high_is_good(self) -> bool:
        """Whether more of it is better."""
        return self.perfect > 0

    def words(self, value: float | None) -> str:
        """The value with its unit; a dash where it was not measured."""
        if value is None:
            return DASH
        if not math.isfinite(value):
            return "not finite"
        if self.percent:
            return f"{100 * value:.{self.digits}f} %"
        return f"{value:.{self.digits}f}" + (f" {self.unit}" if self.unit else "")


_QUANTITIES = (
    Quantity("mel_mae", "mel MAE", digits=4),
    Quantity("mel_max", "mel, largest error", digits=3),
    Quantity("mel_lsd", "mel LSD", "dB", 3),
    Quantity("mel_lsd_p99", "mel LSD p99", "dB"),
    Quantity("mcd", "MCD", "dB", 3),
    Quantity("lsd", "LSD", "dB"),
    Quantity("lsd_p99", "LSD p99", "dB"),
    Quantity("stft", "multi-resolution STFT", digits=3),
    Quantity("snr", "SNR", "dB", 1, perfect=math.inf),
    Quantity("pesq", "PESQ", perfect=4.64),
    Quantity("stoi", "STOI", digits=4, perfect=1.0),
    Quantity("f0_correlation", "f0 correlation", digits=4, perfect=1.0),
    Quantity("duration_changes", "durations changed", digits=2, percent=True),
    Quantity("duration_largest", "largest change of a duration", "frames", 0),
    Quantity("syllable_errors", "further syllable errors", digits=2, percent=True),
)
_BY_NAME = {item.name: item for item in _QUANTITIES}


def quantity(name: str) -> Quantity:
    """What a field of `Figures` is called; one that is not known here, by its own name."""
    return _BY_NAME.get(name) or Quantity(name, name.replace("_", " "), digits=4)


@dataclass(frozen=True)
class Bound:
    """A limit in words: which figure it is on, of what, and why it stands where it stands."""

    limit: str
    figure: str
    worst: bool
    reason: str


_REASONS = {
    "mel_mae": "fp16 gives 0.002; 0.02 gives an MCD of about 0.3 dB through the vocoder",
    "mel_lsd_p99": "the worst frame in a hundred, which a mean hides; fp16 gives 0.35 dB",
    "mcd": "speech envelopes that differ by 1 dB on average are not told apart (Paliwal and Atal "
    "1993); weights of 8 bits give 0.17 dB",
    "lsd": "noise between the harmonics, which the MCD does not hear",
    "pesq": "4.64 is identical, 4.05 a wave in 10 bits, 3.51 noise 40 dB below the speech",
    "stoi": "1 is identical; 0.95 keeps nearly all sentences intelligible",
    "f0_correlation": "in Mandarin another contour is another tone; rounding leaves more than "
    "0.999, a melody that comes 50 ms late 0.79",
    "duration_changes": "rounding tips durations that lie next to a half frame: fp16 0.6 %",
    "duration_largest": "durations that differ by 25 ms are just told apart (Klatt 1976)",
}
_WORST = "a mean must not hide one broken sentence"
LIMITS = (
    *(Bound(name, name, False, reason) for name, reason in _REASONS.items()),
    Bound("worst_mcd", "mcd", True, _WORST),
    Bound("worst_pesq", "pesq", True, _WORST),
)
"""The limits that there are, in words."""


@dataclass(frozen=True)
class Standing:
    """A figure beside its limit. `value` is None where it was not measured."""

    bound: Bound
    quantity: Quantity
    limit: float
    value: float | None

    @property
    def label(self) -> str:
        """The figure's name; whose it is where it is the worst sentence's."""
        return (
            f"worst sentence's {self.quantity.label}" if self.bound.worst else self.quantity.label
        )

    @property
    def within(self) -> bool | None:
        """Whether the limit is kept; None where nobody knows."""
        if self.value is None:
            return None
        high = self.quantity.high_is_good
        return self.value >= self.limit if high else self.value <= self.limit

    @property
    def limit_words(self) -> str:
        """`at most 0.30 dB`."""
        side = "at least" if self.quantity.high_is_good else "at most"
        return f"{side} {self.quantity.words(self.limit)}"

    @property
    def used(self) -> float | None:
        """The share of what is admitted that is used up: 1 is the limit itself."""
        perfect = self.quantity.perfect
        if self.value is None or not math.isfinite(self.value) or self.limit == perfect:
            return None
        return (self.value - perfect) / (self.limit - perfect)


def standings(judgement: Judgement, limits: Limits) -> list[Standing]:
    """Every limit that is set, with the figure that it is on."""
    found = []
    for bound in _bounds(limits):
        limit = getattr(limits, bound.limit)
        found.append(Standing(bound, quantity(bound.figure), limit, _value(judgement, bound)))
    return found


def _bounds(limits: Limits) -> list[Bound]:
    known = {bound.limit: bound for bound in LIMITS}
    names = [field.name for field in fields(limits) if getattr(limits, field.name) is not None]
    return [known.get(name) or _unknown(name) for name in names]


def _unknown(name: str) -> Bound:
    return Bound(name, name.removeprefix("worst_"), name.startswith("worst_"), "")


def _value(judgement: Judgement, bound: Bound) -> float | None:
    if bound.worst:
        worst = judgement.worst.get(bound.figure)
        return None if worst is None else worst.value
    value: float | None = getattr(judgement.figures, bound.figure, None)
    return value


def measured(figures: Figures) -> list[tuple[Quantity, float]]:
    """The figures that were measured, in their order."""
    names = [field.name for field in fields(figures) if field.name != "broken"]
    pairs = [(quantity(name), getattr(figures, name)) for name in names]
    return [(item, value) for item, value in pairs if value is not None]


def megabytes(size: int | None) -> str:
    """Millions of bytes, or thousands of millions, three digits."""
    if size is None:
        return DASH
    return f"{amount(size / 1e9)} GB" if size >= 1e9 else f"{amount(size / 1e6)} MB"


def amount(value: float) -> str:
    """Three digits or so, no exponent."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 or not size else 4
    return f"{value:.{digits}f}"


def seconds_words(seconds: float | None) -> str:
    """`4.21 ms`, `38 s`, `4 min 12 s`."""
    if seconds is None:
        return DASH
    if seconds < 1e-3:
        return f"{amount(seconds * 1e6)} µs"
    if seconds < 1:
        return f"{amount(seconds * 1e3)} ms"
    if seconds < 60:
        return f"{amount(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def speedup(ratio: float | None, low: float | None = None, high: float | None = None) -> str:
    """`1.62x (1.58 to 1.66)`: how many times as fast as fp32; the interval holds it with 95 %."""
    if ratio is None or not ratio > 0:
        return DASH
    between = interval(low, high)
    return f"{1 / ratio:.2f}×" + (f" ({between})" if between else "")


def interval(low: float | None, high: float | None) -> str:
    """`1.58 to 1.66`: speeds between two ratios; empty where they are not known."""
    if low is None or high is None or not 0 < low <= high:
        return ""
    return f"{1 / high:.2f} to {1 / low:.2f}"


def where(placement: Placement) -> str:
    """`On the processor`."""
    return {
        Placement.CPU: "On the processor (ONNX Runtime)",
        Placement.TENSORRT: "On a graphics card (TensorRT)",
    }[placement]


def plan_words(plan: StagePlan) -> str:
    """How a graph is written: `fp32, 3 groups w8a8+sums (percentile 99.99)`."""
    if not plan.treated:
        return plan.base.value
    named = [_treated(plan, treatment) for treatment in Treatment]
    groups = ", ".join(text for text in named if text)
    ranged = any(t is not Treatment.W8 for t in plan.treated.values())
    return f"{plan.base.value}, {groups}" + (f" ({method_words(plan)})" if ranged else "")


def _treated(plan: StagePlan, treatment: Treatment) -> str:
    names = [name for name, found in plan.treated.items() if found is treatment]
    if not names:
        return ""
    few = len(names) <= _FEW
    return f"{treatment.value}: " + (", ".join(names) if few else f"{len(names)} groups")


def method_words(plan: StagePlan) -> str:
    """`percentile 99.99`, `mse`."""
    words = f" {plan.percentile:g}" if plan.method is Method.PERCENTILE else ""
    return f"{plan.method.value}{words}"


def trial_of(outcome: Outcome, candidate: Candidate) -> Trial | None:
    """The trial that this candidate came from: the last with its plan."""
    stage = [trial for trial in outcome.trials if trial.stage is candidate.stage]
    same = [trial for trial in stage if trial.plan == candidate.plan]
    return same[-1] if same else None


def why(trial: Trial) -> str:
    """The reason without the word that says whether it was kept, which stands beside it."""
    return trial.reason.removeprefix("kept: " if trial.kept else "dropped: ")


def shortened(text: str, most: int = 24) -> str:
    """A sentence's beginning."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def cost_of(outcome: Outcome, candidate: Candidate, baseline: Cost | None = None) -> Cost:
    """What a stage's graph costs; one that stayed as it was costs what fp32 costs."""
    trial = trial_of(outcome, candidate)
    if trial is not None:
        return trial.cost
    if candidate.plan.precision is Precision.FP32 and baseline is not None:
        return baseline
    return Cost(candidate.record.file.bytes)


def stage_words(stages: Sequence[Stage]) -> str:
    """`postnet and vocoder`."""
    names = [stage.value for stage in stages]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def size_of(cost: Cost | None, plans: bool) -> int | None:
    """Bytes of a plan, or else of a graph; None where they are unknown."""
    if cost is None:
        return None
    return cost.plan_bytes if plans else cost.graph_bytes
