"""The planner on benches whose sensitivities and gains are known."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import fake_bench
import pytest
from fake_bench import Effect, FakeBench, Key
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.calibration.assessment import Candidate, Cost, Goal, Outcome
from sambert_trt.calibration.bench import Depth, WholeCost
from sambert_trt.calibration.figures import Limits
from sambert_trt.calibration.planner import plan_voice
from sambert_trt.calibration.recipe import Method, Recipe, StagePlan, Treatment
from sambert_trt.calibration.recipes import recipe_from_text, recipe_text
from sambert_trt.engines.errors import EngineError, InputError
from sambert_trt.engines.graphs import Placement, Precision, Stage

FP32, FP16 = Precision.FP32, Precision.FP16
W8, W8A8, SUMS = Treatment.W8, Treatment.W8A8, Treatment.W8A8_SUMS
VOCODER, POSTNET, DECODER = Stage.VOCODER, Stage.POSTNET, Stage.DECODER_STEP
SIZE = Goal.SIZE
BUDGET = Limits(mcd=0.3)

EFFECTS = st.builds(
    Effect,
    mcd=st.integers(1, 400).map(lambda n: n / 1000),
    saved=st.integers(-50, 150).map(lambda n: n / 1000),
    bytes=st.integers(-1000, 100_000),
    broken=st.sampled_from(["", "", "", "", "NaN"]),
    error=st.sampled_from(["", "", "", "", "no rule"]),
)
KEYS = [
    (stage, group, treatment)
    for stage, groups in ((VOCODER, "abc"), (POSTNET, "d"))
    for group in groups
    for treatment in (W8A8, SUMS)
]
SEVERAL = st.dictionaries(st.sampled_from(KEYS), EFFECTS, max_size=7)
TOGETHER = st.sampled_from([fake_bench.added, fake_bench.in_quadrature, fake_bench.worse_together])


def planned(
    bench: FakeBench, limits: Limits = BUDGET, goal: Goal = Goal.SPEED, **options: object
) -> Outcome:
    asked = {"placement": Placement.CPU, **options}
    limits = replace(limits, mel_mae=limits.mcd)
    return plan_voice(bench, goal=goal, limits=limits, **asked)  # type: ignore[arg-type]


def plans_of(outcome: Outcome) -> dict[Stage, StagePlan]:
    return {stage: candidate.plan for stage, candidate in outcome.candidates.items()}


def treated(outcome: Outcome) -> dict[str, Treatment]:
    return {
        f"{stage.value}/{group}": treatment
        for stage, plan in plans_of(outcome).items()
        for group, treatment in plan.treated.items()
    }


def every_choice(effects: Mapping[Key, Effect]) -> Iterator[dict[Stage, StagePlan]]:
    """All assignments there are, of effects that can be written."""
    by_group = dict[tuple[Stage, str], list[Key | None]]()
    for stage, group, treatment in effects:
        by_group.setdefault((stage, group), [None]).append((stage, group, treatment))
    for chosen in itertools.product(*by_group.values()):
        groups = dict[Stage, dict[str, Treatment]]()
        for key in chosen:
            if key is not None:
                groups.setdefault(key[0], {})[key[1]] = key[2]
        yield {stage: StagePlan(FP32, found) for stage, found in groups.items()}


def best_gain(bench: FakeBench, limit: float) -> float:
    """What the best assignment saves of those that are in the budget."""
    sound = {k: e for k, e in bench.effects.items() if not e.broken and not e.error}
    choices = every_choice(sound)
    return max(bench.saved_of(plans) for plans in choices if bench.mcd_of(plans) <= limit)


@given(SEVERAL, TOGETHER, st.sampled_from([0.0, 0.02, 0.1]), st.sampled_from(Goal))
@settings(max_examples=80, deadline=None)
def test_what_comes_out_is_within_the_budget(
    effects: dict[Key, Effect], together: Callable[[list[float]], float], noise: float, goal: Goal
) -> None:
    bench = FakeBench(effects, together=together, noise=noise)
    outcome = planned(bench, goal=goal)
    assert bench.mcd_of(plans_of(outcome)) <= 0.3
    assert outcome.violations == ()
    assert outcome.whole.figures.mcd == bench.mcd_of(plans_of(outcome))
    for stage, plan in plans_of(outcome).items():
        assert not any(e.broken or e.error for e in bench.effects_of(stage, plan))
        if noise == 0 and plan.treated:
            assert bench.saved_of({stage: plan}) > 0.02 or goal is Goal.SIZE


@given(st.dictionaries(st.sampled_from(KEYS), EFFECTS, max_size=7), st.integers(50, 900))
@settings(max_examples=80, deadline=None)
def test_where_effects_add_up_it_is_the_best_there_is(
    effects: dict[Key, Effect], limit: int
) -> None:
    """Gains of less than 2 % of a stage are not worth a loss: the best of all may use them."""
    bench = FakeBench(effects)
    outcome = planned(bench, Limits(mcd=limit / 1000))
    gain = bench.saved_of(plans_of(outcome))
    margin = 0.02 * len(effects) + 1e-9
    assert best_gain(bench, limit / 1000 - 1e-9) - margin <= gain


GAINFUL = st.dictionaries(
    st.sampled_from(KEYS),
    st.builds(
        Effect,
        mcd=st.integers(1, 400).map(lambda n: n / 1000),
        saved=st.integers(30, 150).map(lambda n: n / 1000),
    ),
    max_size=7,
)


@given(GAINFUL, st.integers(50, 900))
@settings(max_examples=80, deadline=None)
def test_where_every_gain_counts_it_is_exactly_the_best(
    effects: dict[Key, Effect], limit: int
) -> None:
    bench = FakeBench(effects)
    outcome = planned(bench, Limits(mcd=limit / 1000))
    gain = bench.saved_of(plans_of(outcome))
    least, most = (best_gain(bench, limit / 1000 + edge) for edge in (-1e-9, 1e-9))
    assert least - 1e-9 <= gain <= most + 1e-9


@given(GAINFUL, st.sampled_from([fake_bench.in_quadrature, fake_bench.worse_together]))
@settings(max_examples=60, deadline=None)
def test_where_effects_do_not_add_up_it_is_not_far_from_the_best(
    effects: dict[Key, Effect], together: Callable[[list[float]], float]
) -> None:
    bench = FakeBench(effects, together=together)
    gain = bench.saved_of(plans_of(planned(bench)))
    assert gain >= 0.5 * best_gain(bench, 0.3 - 1e-9) - 1e-9


@given(GAINFUL, st.integers(50, 900), st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_looser_limits_never_give_less(effects: dict[Key, Effect], limit: int, more: int) -> None:
    bench = FakeBench(effects)
    tight, loose = (
        bench.saved_of(plans_of(planned(bench, Limits(mcd=mcd / 1000))))
        for mcd in (limit, limit + more)
    )
    assert loose >= tight - 1e-9


@given(SEVERAL, st.sampled_from([0.0, 0.05]))
@settings(max_examples=30, deadline=None)
def test_the_same_measurements_give_the_same_plan(effects: dict[Key, Effect], noise: float) -> None:
    bench = FakeBench(effects, noise=noise)
    assert planned(bench) == planned(bench)


def test_ties_go_to_the_first() -> None:
    effects = {(VOCODER, name, W8A8): Effect(mcd=0.2, saved=0.1) for name in "cab"}
    assert treated(planned(FakeBench(effects))) == {"vocoder/a": W8A8}


def test_everything_that_fits_is_judged_together_once() -> None:
    effects = {(VOCODER, name, W8A8): Effect(mcd=0.01, saved=0.1) for name in "abc"}
    bench = FakeBench(effects)
    outcome = planned(bench)
    assert len(treated(outcome)) == 3
    wave = [call for call in bench.calls if call == "judge wave vocoder"]
    singles = [call for call in bench.calls if call == "judge wave vocoder quick"]
    assert len(singles) == len(Method) + 3
    assert len(wave) <= 4


def test_what_is_not_faster_is_not_even_judged() -> None:
    effects = {(VOCODER, name, W8A8): Effect(mcd=0.01, saved=-0.02) for name in "ab"}
    bench = FakeBench(effects, noise=0.02)
    outcome = planned(bench)
    assert treated(outcome) == {}
    assert [call for call in bench.calls if call.startswith("judge")] == [
        "judge whole " + ",".join(stage.value for stage in Stage)
    ]
    reasons = [trial.reason for trial in outcome.trials if trial.name.startswith("vocoder/")]
    assert len(reasons) == 2
    assert all("not faster: 0.9" in reason and " to 1.0" in reason for reason in reasons)
    assert outcome.ratio == 1.0


def test_small_gains_that_noise_hides_count_where_the_whole_stage_gains() -> None:
    effects = {(VOCODER, f"g{n}", SUMS): Effect(mcd=0.01, saved=0.03) for n in range(10)}
    bench = FakeBench(effects, noise=0.01)
    assert len(treated(planned(bench))) >= 8


def test_what_is_faster_only_together_is_found() -> None:
    effects = {
        (VOCODER, name, treatment): Effect(mcd=mcd, saved=saved)
        for name in "abcd"
        for treatment, mcd, saved in ((W8A8, 0.04, 0.15), (SUMS, 0.05, 0.2))
    }
    bench = FakeBench(effects, overhead=0.3)
    outcome = planned(bench)
    assert treated(outcome) == dict.fromkeys(
        ["vocoder/a", "vocoder/b", "vocoder/c", "vocoder/d"], SUMS
    )
    (trial,) = [t for t in outcome.trials if t.plan.groups == {"a": SUMS}]
    assert trial.reason.startswith("kept: 0.91× (0.91 to 0.91) as fast alone, 1.40× beside")
    tight = planned(bench, Limits(mcd=0.195))
    assert sorted(treated(tight).values()) == [W8A8, SUMS, SUMS, SUMS]
    tighter = planned(bench, Limits(mcd=0.105))
    assert sorted(treated(tighter).values()) == [SUMS, SUMS]


def test_each_group_with_its_own_best_is_tried_together_too() -> None:
    effects = {
        (VOCODER, "a", W8A8): Effect(mcd=0.01, saved=0.03),
        (VOCODER, "a", SUMS): Effect(mcd=0.01, saved=0.1),
        (VOCODER, "b", W8A8): Effect(mcd=0.01, saved=0.1),
        (VOCODER, "b", SUMS): Effect(mcd=0.01, saved=0.03),
        (VOCODER, "c", W8A8): Effect(mcd=0.01, saved=0.051),
    }
    outcome = planned(FakeBench(effects, overhead=0.1))
    assert treated(outcome) == {"vocoder/a": SUMS, "vocoder/b": W8A8, "vocoder/c": W8A8}


def test_together_but_without_those_that_do_harm() -> None:
    effects = {(VOCODER, name, SUMS): Effect(mcd=0.01, saved=0.2) for name in "abc"}
    effects[VOCODER, "d", SUMS] = Effect(mcd=0.01, saved=-0.1)
    bench = FakeBench(effects, overhead=0.3)
    assert treated(planned(bench)) == dict.fromkeys(["vocoder/a", "vocoder/b", "vocoder/c"], SUMS)


@given(GAINFUL, st.integers(50, 900), st.sampled_from([0.05, 0.1, 0.2]))
@settings(max_examples=60, deadline=None)
def test_where_treating_a_stage_has_a_price_it_is_nearly_the_best(
    effects: dict[Key, Effect], limit: int, overhead: float
) -> None:
    bench = FakeBench(effects, overhead=overhead)
    gain = bench.saved_of(plans_of(planned(bench, Limits(mcd=limit / 1000))))
    assert gain >= best_gain(bench, limit / 1000 - 1e-9) - 0.05


def test_what_gains_nothing_does_not_come_along_with_its_stage() -> None:
    effects = {
        (VOCODER, "a", W8A8): Effect(mcd=0.1, saved=0.3),
        (VOCODER, "b", W8A8): Effect(mcd=0.1, saved=0.0),
    }
    outcome = planned(FakeBench(effects))
    assert treated(outcome) == {"vocoder/a": W8A8}


def test_a_broken_treatment_is_named_and_left() -> None:
    effects = {
        (VOCODER, "a", W8A8): Effect(mcd=0.01, saved=0.1),
        (VOCODER, "b", W8A8): Effect(mcd=0.01, saved=0.3, broken="NaN in the wave"),
    }
    outcome = planned(FakeBench(effects))
    assert treated(outcome) == {"vocoder/a": W8A8}
    (trial,) = [trial for trial in outcome.trials if trial.name == "vocoder/b"]
    assert not trial.kept
    assert trial.reason == "dropped: broken: NaN in the wave"


def test_what_cannot_be_written_is_named_and_left() -> None:
    effects = {
        (VOCODER, "a", W8A8): Effect(mcd=0.01, saved=0.1),
        (VOCODER, "b", W8A8): Effect(error="nothing was recorded of b"),
    }
    outcome = planned(FakeBench(effects))
    assert treated(outcome) == {"vocoder/a": W8A8}
    (trial,) = [trial for trial in outcome.trials if trial.name == "vocoder/b"]
    assert trial.reason == "dropped: cannot be made: nothing was recorded of b"


def test_what_fails_is_named_with_its_worst_sentence() -> None:
    effects = {
        (VOCODER, "a", W8A8): Effect(mcd=0.4, saved=0.5),
        (VOCODER, "b", W8A8): Effect(mcd=0.1, saved=0.1),
    }
    outcome = planned(FakeBench(effects))
    (trial,) = [trial for trial in outcome.trials if trial.name == "vocoder/a"]
    assert trial.judgement is not None
    for words in ("MCD 0.400 dB", "at most 0.300 dB", "worst sentence 3 (0.800 dB): 你好"):
        assert words in trial.reason


def test_what_is_kept_says_what_it_gains_and_loses() -> None:
    outcome = planned(FakeBench({(VOCODER, "a", W8A8): Effect(mcd=0.12, saved=0.5)}))
    (single,) = [trial for trial in outcome.trials if trial.name == "vocoder/a"]
    last = [trial for trial in outcome.trials if trial.name == "vocoder"][-1]
    for trial in (single, last):
        assert trial.kept
        assert trial.reason.startswith("kept: ")
        assert "2.00×" in trial.reason
        assert "MCD 0.120 dB" in trial.reason
    assert last.plan == outcome.candidates[VOCODER].plan
    assert "2.00×" in outcome.recipe.notes["vocoder/a"]
    assert recipe_from_text(recipe_text(outcome.recipe), "r") == outcome.recipe


def test_the_stronger_of_two_treatments_is_taken_only_if_there_is_room() -> None:
    effects = {
        (VOCODER, "a", W8A8): Effect(mcd=0.1, saved=0.2),
        (VOCODER, "a", SUMS): Effect(mcd=0.25, saved=0.4),
        (VOCODER, "b", W8A8): Effect(mcd=0.15, saved=0.3),
    }
    bench = FakeBench(effects)
    assert treated(planned(bench)) == {"vocoder/a": W8A8, "vocoder/b": W8A8}
    roomy = planned(bench, Limits(mcd=0.5))
    assert treated(roomy) == {"vocoder/a": SUMS, "vocoder/b": W8A8}
    (other,) = [trial for trial in roomy.trials if trial.plan.groups == {"a": W8A8}]
    assert "w8a8+sums is kept instead" in other.reason


def test_stages_are_weighed_by_the_seconds_they_take() -> None:
    effects = {
        (VOCODER, "a", W8A8): Effect(mcd=0.2, saved=0.1),
        (POSTNET, "d", W8A8): Effect(mcd=0.2, saved=0.4),
    }
    seconds = {VOCODER: 10.0, POSTNET: 0.1}
    assert treated(planned(FakeBench(effects, seconds=seconds))) == {"vocoder/a": W8A8}
    assert treated(planned(FakeBench(effects))) == {"postnet/d": W8A8}


def test_a_stage_that_takes_no_time_is_left_as_it_is() -> None:
    effects = {
        (VOCODER, "a", W8A8): Effect(mcd=0.1, saved=0.3),
        (POSTNET, "d", W8A8): Effect(mcd=0.0, saved=0.9),
    }
    seconds = dict.fromkeys(Stage, 0.0) | {VOCODER: 99.0, POSTNET: 1.0}
    outcome = planned(FakeBench(effects, seconds=seconds))
    assert treated(outcome) == {"vocoder/a": W8A8}
    reason = next(trial.reason for trial in outcome.trials if trial.stage is POSTNET)
    assert reason == "stays in fp32: it takes 1.0 % of the voice's time, no gain would be noticed"
    assert "1.0 % of the voice's time" in outcome.recipe.notes["postnet"]
    small = planned(
        FakeBench({(POSTNET, "d", W8A8): Effect(bytes=9_000)}, seconds=seconds), goal=SIZE
    )
    assert treated(small) == {"postnet/d": W8A8}


def test_a_few_bytes_are_not_worth_a_loss() -> None:
    effects = {
        (POSTNET, "a", W8): Effect(mcd=0.01, bytes=4_000),
        (POSTNET, "b", W8): Effect(mcd=0.01, bytes=6_000),
    }
    outcome = planned(FakeBench(effects), goal=SIZE)
    assert treated(outcome) == {"postnet/b": W8}
    (trial,) = [trial for trial in outcome.trials if trial.name == "postnet/a"]
    assert trial.reason.startswith("dropped: not smaller")


def test_what_a_mel_hides_is_heard_in_the_wave() -> None:
    effects = {
        (POSTNET, "d", W8A8): Effect(mcd=0.01, saved=0.3, through_vocoder=50.0),
        (DECODER, "e", W8A8): Effect(mcd=0.02, saved=0.2),
        (VOCODER, "a", W8A8): Effect(mcd=0.2, saved=0.1),
    }
    bench = FakeBench(effects)
    outcome = planned(bench)
    assert treated(outcome) == {"decoder_step/e": W8A8, "vocoder/a": W8A8}
    (trial,) = [trial for trial in outcome.trials if trial.name == "postnet/d"]
    assert "dropped: MCD 0.500 dB" in trial.reason


def test_the_method_that_loses_least_is_taken_for_its_stage() -> None:
    effects = {(VOCODER, "a", W8A8): Effect(mcd=0.2, saved=0.3)}
    bench = FakeBench(effects, methods={Method.ENTROPY: 0.5, Method.MSE: 0.7})
    outcome = planned(bench)
    assert outcome.candidates[VOCODER].plan.method is Method.ENTROPY
    assert outcome.candidates[POSTNET].plan.method is StagePlan(FP32).method
    assert sum("ranges by" in trial.reason for trial in outcome.trials) == len(Method)


def test_weights_alone_need_no_method() -> None:
    outcome = planned(FakeBench({(DECODER, "attention", W8): Effect(mcd=0.2, saved=0.3)}))
    assert treated(outcome) == {"decoder_step/attention": W8}
    assert not any("ranges by" in trial.reason for trial in outcome.trials)


KEPT = {
    (VOCODER, "a", W8A8): Effect(mcd=0.5, saved=-0.2),
    (VOCODER, "b", W8A8): Effect(mcd=0.01, saved=0.3),
    (VOCODER, "b", SUMS): Effect(mcd=0.02, saved=0.4),
}


def test_what_is_to_be_kept_is_kept_and_what_it_breaks_is_listed() -> None:
    outcome = planned(FakeBench(KEPT), keep={"vocoder/a": W8A8})
    assert treated(outcome) == {"vocoder/a": W8A8}
    (violation,) = outcome.violations
    assert "MCD 0.500 dB instead of at most 0.300 dB" in violation


def test_the_rest_is_sought_beside_what_is_kept() -> None:
    outcome = planned(FakeBench(KEPT), Limits(mcd=0.6), keep={"vocoder/a": W8A8})
    assert treated(outcome) == {"vocoder/a": W8A8, "vocoder/b": SUMS}
    assert outcome.violations == ()


def test_a_group_can_be_kept_in_float() -> None:
    assert treated(planned(FakeBench(KEPT), keep={"vocoder/b": Treatment.FLOAT})) == {}


def test_a_stage_name_keeps_every_group_that_takes_it() -> None:
    kept = planned(FakeBench(KEPT), keep={"vocoder": W8A8})
    assert treated(kept) == {"vocoder/a": W8A8, "vocoder/b": W8A8}
    strongest = planned(FakeBench(KEPT), keep={"vocoder": None})
    assert treated(strongest) == {"vocoder/a": W8A8, "vocoder/b": SUMS}


@pytest.mark.parametrize(
    ("name", "treatment", "words"),
    [
        ("vocodr", W8A8, "'vocodr'; the stages are: text_encoder"),
        ("vocoder/z", W8A8, "vocoder/z cannot be kept in w8a8; there is: vocoder/a (float, w8a8)"),
        ("vocoder/a", SUMS, "cannot be kept in w8a8+sums"),
        ("postnet", None, "postnet cannot be kept; there is: nothing to treat in postnet"),
    ],
)
def test_what_cannot_be_kept_is_refused(name: str, treatment: Treatment, words: str) -> None:
    with pytest.raises(InputError) as caught:
        planned(FakeBench(KEPT), keep={name: treatment})
    assert words in str(caught.value)


def test_a_recipe_is_followed_to_the_letter_and_judged_once() -> None:
    stages = {VOCODER: StagePlan(FP32, {"a": W8A8}, Method.MSE)}
    bench = FakeBench(KEPT)
    outcome = planned(bench, recipe=Recipe("fake", Placement.CPU, stages))
    assert outcome.candidates[VOCODER].plan == stages[VOCODER]
    assert len(outcome.violations) == 1
    assert sum(call.startswith("judge whole") for call in bench.calls) == 1
    (trial,) = [trial for trial in outcome.trials if trial.stage is VOCODER]
    assert trial.kept
    assert trial.reason.startswith("kept: as the recipe says, int8, 0.83×")


def test_a_card_computes_in_halves_where_that_is_good_enough() -> None:
    halves = {Stage.DURATION_STEP: Effect(mcd=0.4, bytes=1), POSTNET: Effect(mcd=0.01, bytes=-9)}
    bench = FakeBench({}, halves=halves, timed=False)
    outcome = planned(bench, goal=Goal.SIZE, placement=Placement.TENSORRT)
    bases = {stage: plan.base for stage, plan in plans_of(outcome).items()}
    assert [stage for stage in Stage if bases[stage] is FP32] == [Stage.DURATION_STEP, POSTNET]
    reasons = {trial.stage: trial.reason for trial in reversed(outcome.trials)}
    assert "mel MAE 0.4000" in reasons[Stage.DURATION_STEP]
    assert "gains nothing: 1.00 MB" in reasons[POSTNET]


def test_halves_that_are_too_much_together_are_taken_back_one_by_one() -> None:
    halves = {stage: Effect(mcd=0.05 + 0.001 * n, bytes=9_000) for n, stage in enumerate(Stage)}
    bench = FakeBench({}, halves=halves, timed=False)
    outcome = planned(bench, goal=Goal.SIZE, placement=Placement.TENSORRT)
    bases = [candidate.plan.base for candidate in outcome.candidates.values()]
    assert bases == [FP16] * 5 + [FP32] * 2


def test_speed_that_was_not_measured_is_no_gain() -> None:
    bench = FakeBench({(VOCODER, "a", W8A8): Effect(mcd=0.1, saved=0.5)}, timed=False)
    outcome = planned(bench, placement=Placement.TENSORRT)
    assert treated(outcome) == {}
    assert outcome.ratio is None
    (trial,) = [trial for trial in outcome.trials if trial.name == "vocoder/a"]
    assert "its speed was not measured here" in trial.reason


def test_int8_has_to_beat_halves_not_fp32() -> None:
    effects = {(VOCODER, "a", W8A8): Effect(mcd=0.1, saved=0.005)}
    assert treated(planned(FakeBench(effects), placement=Placement.TENSORRT)) == {}


def test_a_voice_that_becomes_slower_as_a_whole_is_left_as_it_was() -> None:
    effects = {(VOCODER, "a", W8A8): Effect(mcd=0.1, saved=0.5)}
    outcome = planned(FakeBench(effects, slower=1.5))
    assert treated(outcome) == {}
    (trial,) = [trial for trial in outcome.trials if trial.name == "vocoder/a"]
    assert "left out because the whole voice takes 1.39 of fp32's time with it" in trial.reason


class Doubtful(FakeBench):
    """The whole voice is rather slower, though noise does not rule out that it is faster."""

    def whole_cost(self, candidates: Mapping[Stage, Candidate]) -> WholeCost | None:
        found = super().whole_cost(candidates)
        return found if found == WholeCost(1.0, 1.0, 1.0) else WholeCost(1.02, 0.97, 1.06)


def test_a_voice_that_is_probably_slower_is_left_as_it_was() -> None:
    outcome = planned(Doubtful({(VOCODER, "a", W8A8): Effect(mcd=0.1, saved=0.5)}))
    assert treated(outcome) == {}
    assert outcome.ratio == 1.0


class Unbuildable(FakeBench):
    """Whatever is weighed in full and is not fp32 cannot be built in one stage."""

    def cost(self, candidate: Candidate, *, quick: bool = False) -> Cost:
        wrong = candidate.stage is VOCODER and candidate.plan.precision is not FP32
        if wrong and not quick:
            raise EngineError("TensorRT cannot build it")
        return super().cost(candidate, quick=quick)


def test_what_turns_out_not_to_be_buildable_is_named_and_left() -> None:
    effects = {
        (VOCODER, "a", W8A8): Effect(mcd=0.01, saved=0.5, bytes=90_000),
        (POSTNET, "d", W8A8): Effect(mcd=0.01, saved=0.3, bytes=90_000),
    }
    outcome = planned(Unbuildable(effects))
    assert treated(outcome) == {"postnet/d": W8A8}
    assert any("TensorRT cannot build it" in trial.reason for trial in outcome.trials)
    card = planned(Unbuildable(effects), goal=SIZE, placement=Placement.TENSORRT)
    assert plans_of(card)[VOCODER] == StagePlan(FP32)
    assert plans_of(card)[POSTNET] == StagePlan(FP16, {"d": W8A8})


def test_a_group_left_in_float_by_name_excuses_no_base_that_is_too_much() -> None:
    halves = {stage: Effect(mcd=0.01, bytes=9_000) for stage in Stage}
    bench = DeafAtFirst({(VOCODER, "a", W8): Effect(mcd=0.1)}, halves=halves, timed=False)
    keep = {"vocoder/a": Treatment.FLOAT}
    outcome = planned(bench, goal=SIZE, placement=Placement.TENSORRT, keep=keep)
    assert outcome.violations == ()


class DeafAtFirst(FakeBench):
    """Hears how much more halves are only with all stages written, as a whole voice is."""

    def mcd_of(self, plans: Mapping[Stage, StagePlan], depth: Depth = Depth.WHOLE) -> float:
        found = super().mcd_of(plans, depth)
        return 10 * found if len(plans) == len(Stage) and found < 0.5 else found


def test_what_there_was_no_time_for_is_not_said_to_gain_nothing() -> None:
    outcome = planned(FakeBench(KEPT), seconds=0, clock=lambda: 0.0)
    assert "of those that there was time to try" in outcome.recipe.notes["vocoder"]


def test_when_the_time_is_up_what_was_found_is_still_judged() -> None:
    effects = {(VOCODER, f"g{n}", W8A8): Effect(mcd=0.02, saved=0.05) for n in range(9)}
    late, found = list[bool](), list[int]()
    for most in range(0, 50, 3):
        bench, ticks = FakeBench(effects), itertools.count()
        outcome = planned(bench, seconds=most, clock=lambda ticks=ticks: next(ticks))
        assert any(call.startswith("judge whole") for call in bench.calls)
        late.append("time" in outcome.notes)
        found.append(len(treated(outcome)))
        if most == 0:
            assert all("time was up" in t.reason for t in outcome.trials if "/" in t.name)
    assert late[0]
    assert late == sorted(late, reverse=True)
    assert not late[-1]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0, 9)


def test_more_time_than_needed_is_not_mentioned() -> None:
    outcome = planned(FakeBench(KEPT), seconds=1e9)
    assert "time" not in outcome.notes


def test_progress_rises_to_its_end() -> None:
    shown = list[float]()
    planned(FakeBench(KEPT), progress=lambda what, fraction: shown.append(fraction))
    assert shown == sorted(shown)
    assert shown[-1] == 1.0
    assert max(shown[:-1]) < 1.0
