"""Recipes as text: what is written is read back; what is wrong or does not fit is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.calibration.recipe import Group, Method, Recipe, StagePlan, Treatment
from sambert_trt.calibration.recipes import (
    check_recipe,
    recipe_from_text,
    recipe_text,
    voice_digest,
)
from sambert_trt.engines.errors import InputError
from sambert_trt.engines.graphs import Placement, Precision, Stage
from sambert_trt.engines.manifest import FileRecord, VoiceManifest
from sambert_trt.engines.voice import manifest_from_directory

pytest.importorskip("tomli_w")

PLANS = st.builds(
    StagePlan,
    base=st.sampled_from([Precision.FP32, Precision.FP16]),
    groups=st.dictionaries(st.text(max_size=12), st.sampled_from(Treatment), max_size=4),
    method=st.sampled_from(Method),
    percentile=st.floats(50.0, 100.0, exclude_min=True),
)
RECIPES = st.builds(
    Recipe,
    voice=st.text(max_size=64),
    placement=st.sampled_from(Placement),
    stages=st.dictionaries(st.sampled_from(Stage), PLANS),
    notes=st.dictionaries(st.text(max_size=12), st.text(max_size=40), max_size=4),
)
SUMS = Treatment.W8A8_SUMS
RESBLOCKS = Group(Stage.VOCODER, "resblocks.0", ("conv",), 9, (Treatment.FLOAT, SUMS))
GROUPS = {Stage.VOCODER: (RESBLOCKS,)}


@pytest.fixture
def manifest(tiny_voice: Callable[[str], Path]) -> VoiceManifest:
    return manifest_from_directory(tiny_voice("plain"))


@pytest.fixture
def recipe(manifest: VoiceManifest) -> Recipe:
    """One that fits the tiny voice and GROUPS."""
    stages = {stage: StagePlan(Precision.FP32) for stage in Stage}
    stages[Stage.VOCODER] = StagePlan(Precision.FP32, {"resblocks.0": SUMS})
    return Recipe(voice_digest(manifest), Placement.CPU, stages)


@given(RECIPES)
@settings(deadline=None)
def test_what_is_written_is_read_back(recipe: Recipe) -> None:
    assert recipe_from_text(recipe_text(recipe), "r.toml") == recipe


@given(st.integers(0, 140), st.integers(0, 20), st.text(max_size=8))
@settings(deadline=None)
def test_whatever_is_mistyped_is_a_recipe_or_an_input_error(
    start: int, length: int, text: str
) -> None:
    try:
        read = recipe_from_text(GOOD[:start] + text + GOOD[start + length :], "r.toml")
    except InputError:
        return
    assert recipe_from_text(recipe_text(read), "again.toml") == read


def test_a_recipe_says_what_it_is_and_how_to_use_it(recipe: Recipe) -> None:
    text = recipe_text(recipe)
    head = [line for line in text.splitlines() if line.startswith("#")]
    assert any("sambert-calibrate VOICE --recipe FILE" in line for line in head)
    for value in (*Treatment, *Method):
        assert value.value in "".join(head)
    assert '[stages.vocoder.groups]\n"resblocks.0" = "w8a8+sums"\n' in text


def test_stages_stand_in_the_order_of_a_sentence(recipe: Recipe) -> None:
    shuffled = replace(recipe, stages=dict(reversed(recipe.stages.items())))
    assert recipe_text(shuffled) == recipe_text(recipe)


GOOD = """\
schema = 1
voice = "abc"
placement = "cpu"
[stages.vocoder]
base = "fp32"
percentile = 100
[stages.vocoder.groups]
"resblocks.0" = "w8a8"
"""


def test_what_is_not_said_has_the_usual_values() -> None:
    read = recipe_from_text(GOOD, "r.toml")
    plan = StagePlan(Precision.FP32, {"resblocks.0": Treatment.W8A8}, percentile=100.0)
    assert read == Recipe("abc", Placement.CPU, {Stage.VOCODER: plan})
    assert isinstance(read.stages[Stage.VOCODER].percentile, float)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("schema = 1", "schema = 2", ["schema 2", "reads 1", "upgrade"]),
        ("schema = 1", "schema = 0", ["schema 0", "reads 1", "again"]),
        ("schema = 1", "schema = true", ["schema = True", "a whole number"]),
        ("schema = 1\n", "", ["schema is missing"]),
        ('voice = "abc"', "voice = 3", ["voice = 3", "a text"]),
        ('"cpu"', '"gpu"', ["placement = 'gpu'", "cpu, tensorrt"]),
        ("[stages.vocoder]", "[stages.vocodr]", ["stages.vocodr", "text_encoder"]),
        ('"fp32"', '"int8"', ["stages.vocoder.base = 'int8'", "fp32, fp16"]),
        ('base = "fp32"\n', "", ["stages.vocoder.base is missing"]),
        ("percentile = 100", "percentile = 101", ["percentile = 101", "at most 100"]),
        ("percentile = 100", "percentile = nan", ["percentile = nan", "at most 100"]),
        ("percentile = 100", "percentile = true", ["percentile = True", "a number"]),
        ("percentile = 100", f"percentile = 1{'0' * 400}", ["percentile = 1000", "a number"]),
        ("percentile = 100", 'method = "max"', ["method = 'max'", "min-max, percentile"]),
        ("percentile = 100", "percentil = 99", ["stages.vocoder.percentil", "base, method"]),
        ('"w8a8"', '"w4"', ["stages.vocoder.groups.resblocks.0 = 'w4'", "w8a8+sums"]),
        ('"w8a8"', "8", ["groups.resblocks.0 = 8", "a text"]),
        ('voice = "abc"', "voice = ", ["not TOML", "line 2"]),
        ("[stages.vocoder]", "[notes]\na = 1\n[stages.vocoder]", ["notes.a = 1", "a text"]),
        ("[stages.vocoder]", "[other]\n[stages.vocoder]", ["other is not known"]),
    ],
)
def test_what_is_wrong_is_named(before: str, after: str, words: list[str]) -> None:
    assert before in GOOD
    with pytest.raises(InputError) as caught:
        recipe_from_text(GOOD.replace(before, after), "my.toml")
    for word in ("my.toml", *words):
        assert word in str(caught.value)


def test_the_digest_is_that_of_the_graphs(manifest: VoiceManifest) -> None:
    digest = voice_digest(manifest)
    other = FileRecord("onnx/vocoder.onnx", 1, "0" * 64)
    vocoder = replace(manifest.stages[Stage.VOCODER], file=other)
    assert voice_digest(replace(manifest, name="other", assignments={})) == digest
    backwards = dict(reversed(manifest.stages.items()))
    assert voice_digest(replace(manifest, stages=backwards)) == digest
    changed = {**manifest.stages, Stage.VOCODER: vocoder}
    assert voice_digest(replace(manifest, stages=changed)) != digest


def test_the_digest_tells_stages_apart(manifest: VoiceManifest) -> None:
    stages = dict(manifest.stages)
    a, b = Stage.POSTNET, Stage.VOCODER
    stages[a], stages[b] = (
        replace(stages[a], file=stages[b].file),
        replace(stages[b], file=stages[a].file),
    )
    assert voice_digest(replace(manifest, stages=stages)) != voice_digest(manifest)


def test_a_recipe_that_fits_passes(recipe: Recipe, manifest: VoiceManifest) -> None:
    assert check_recipe(recipe, manifest, GROUPS, Placement.CPU) == recipe


def test_a_recipe_for_another_voice_is_adopted_only_on_purpose(
    recipe: Recipe, manifest: VoiceManifest
) -> None:
    other = replace(recipe, voice="f" * 64)
    with pytest.raises(InputError, match=r"digest ffffffffffff, .*--adopt"):
        check_recipe(other, manifest, GROUPS, Placement.CPU)
    assert check_recipe(other, manifest, GROUPS, Placement.CPU, adopt=True) == recipe


def test_a_recipe_for_another_placement_is_refused(recipe: Recipe, manifest: VoiceManifest) -> None:
    with pytest.raises(InputError, match="is for cpu, asked for was tensorrt"):
        check_recipe(recipe, manifest, GROUPS, Placement.TENSORRT, adopt=True)


def test_everything_that_does_not_fit_is_said_at_once(
    recipe: Recipe, manifest: VoiceManifest
) -> None:
    groups = {"resblocks.0": Treatment.W8, "resblocks.7": Treatment.W8}
    stages = {
        Stage.VOCODER: StagePlan(Precision.FP32, groups),
        Stage.POSTNET: StagePlan(Precision.FP32, {"ffn": Treatment.W8}),
    }
    with pytest.raises(InputError) as caught:
        check_recipe(replace(recipe, stages=stages), manifest, GROUPS, Placement.CPU)
    for words in (
        "lacks the stages text_encoder, prosody",
        "vocoder/resblocks.0 takes float, w8a8+sums, not w8",
        "vocoder has no group 'resblocks.7': it has resblocks.0",
        "postnet has no group 'ffn': it has none",
    ):
        assert words in str(caught.value)


def test_a_mark_in_front_of_the_text_is_no_matter(recipe: Recipe) -> None:
    assert recipe_from_text("\ufeff" + recipe_text(recipe), "r") == recipe


def test_halves_that_the_processor_cannot_have_are_refused_at_once(
    recipe: Recipe, manifest: VoiceManifest
) -> None:
    stages = {
        **recipe.stages,
        Stage.VOCODER: StagePlan(Precision.FP16, {"resblocks.0": SUMS}),
        Stage.POSTNET: StagePlan(Precision.FP16),
    }
    wrong = replace(recipe, stages=stages)
    with pytest.raises(InputError) as caught:
        check_recipe(wrong, manifest, GROUPS, Placement.CPU)
    assert "vocoder has groups in int8: with them, its base has to be fp32" in str(caught.value)
    assert "postnet has no fp16 graph" in str(caught.value)
    card = replace(wrong, placement=Placement.TENSORRT)
    assert check_recipe(card, manifest, GROUPS, Placement.TENSORRT) == card
    halves = {Precision.FP16: dict(manifest.stages)}
    stages[Stage.VOCODER] = StagePlan(Precision.FP16)
    made = replace(manifest, variants=halves)
    assert check_recipe(replace(recipe, stages=stages), made, GROUPS, Placement.CPU)
