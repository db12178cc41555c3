"""voice.json there and back, other schemas, and garbage of every kind."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.engines.errors import SchemaError, VoiceError
from sambert_trt.engines.graphs import (
    AxisRange,
    GraphSpec,
    Placement,
    Precision,
    Stage,
    TensorSpec,
)
from sambert_trt.engines.manifest import (
    SCHEMA,
    F0Rule,
    FileRecord,
    StageRecord,
    VoiceManifest,
    manifest_from_json,
)

GRAPH = GraphSpec(
    Stage.PROSODY,
    (TensorSpec("x", "float32", (1, "symbols")),),
    (TensorSpec("y", "float32", (1, "symbols")),),
    {"symbols": AxisRange(1, 64, 512)},
)


EXPORTED = StageRecord(FileRecord("onnx/p.onnx", 5, "cd" * 32), GRAPH, 7)
QUANTISED = StageRecord(FileRecord("onnx/p.int8.onnx", 2, "0a" * 32), GRAPH, 7, "int8: by hand")
ASSIGNMENT = dict.fromkeys(Stage, EXPORTED) | {Stage.PROSODY: QUANTISED}


def manifest(f0: F0Rule | None = None) -> VoiceManifest:
    """A manifest with something in every place."""
    return VoiceManifest(
        name="安娜",
        language="PinYin",
        sample_rate=16000,
        hop=200,
        frame_channels=82,
        mel_channels=80,
        frames_per_step=3,
        projection_width=32,
        speaker_width=32,
        emotion_width=32,
        decoder_layers=12,
        decoder_heads=8,
        decoder_head_width=16,
        units={"sy": ("a_c", "~"), "tone": ("tone1",)},
        speakers=("F7", "_", "~"),
        emotions=("emotion_neutral", "_"),
        default_speaker="F7",
        default_emotion="emotion_neutral",
        filled_pauses=False,
        f0=f0,
        styles=FileRecord("styles.npz", 3, "ab" * 32),
        stages={Stage.PROSODY: EXPORTED},
        weights={"acoustic": FileRecord("source/a.safetensors", 9, "ef" * 32)},
        provenance={"files": {"am": "x"}, "language_option": None},
        assignments={Placement.CPU: ASSIGNMENT},
        untrained={"sy": ("a_c",), "emo_category": ("_",)},
    )


RULE = F0Rule(61.5, 210.25, "float64", 30.0, 0.6, 7, 16000)
DATA: dict[str, Any] = json.loads(manifest(RULE).as_json())


@pytest.mark.parametrize("f0", [None, RULE])
def test_a_manifest_survives_json(f0: F0Rule | None) -> None:
    found = manifest_from_json(manifest(f0).as_json())
    assert found == manifest(f0)
    paths = [record.path for record in found.files]
    assert paths == ["styles.npz", "onnx/p.onnx", "onnx/p.int8.onnx"]


def test_what_was_never_learned_keeps_its_place_and_is_not_spoken() -> None:
    found = manifest()
    assert found.units["sy"] == ("a_c", "~")
    assert found.trained_units == {"sy": ("~",), "tone": ("tone1",)}
    assert found.trained_emotions == ("emotion_neutral",)
    older = {name: value for name, value in DATA.items() if name != "untrained"}
    assert manifest_from_json(json.dumps(older)).trained_units == found.units


def test_int8_is_what_was_assigned_for_the_placement() -> None:
    found = manifest()
    assert found.record(Stage.PROSODY, Precision.FP32, Placement.CPU) == EXPORTED
    assert found.record(Stage.PROSODY, Precision.INT8, Placement.CPU) == QUANTISED
    assert found.record(Stage.VOCODER, Precision.INT8, Placement.CPU) == EXPORTED
    with pytest.raises(VoiceError, match=r"no int8 graph of prosody for tensorrt.*--target tens"):
        found.record(Stage.PROSODY, Precision.INT8, Placement.TENSORRT)
    with pytest.raises(VoiceError, match=r"no fp16 graph of prosody; .*--precision fp16"):
        found.record(Stage.PROSODY, Precision.FP16, Placement.CPU)


def test_an_assignment_names_every_stage() -> None:
    data = copy.deepcopy(DATA)
    del data["assignments"]["cpu"]["vocoder"]
    with pytest.raises(SchemaError, match="the assignment for cpu lacks stages"):
        manifest_from_json(json.dumps(data))


@pytest.mark.parametrize(
    ("schema", "advice"), [(SCHEMA + 1, "upgrade sambert-trt"), (0, "export the voice again")]
)
def test_another_schema_says_what_to_do(schema: int, advice: str) -> None:
    with pytest.raises(SchemaError, match=f"has schema {schema}.*{advice}"):
        manifest_from_json(json.dumps({**DATA, "schema": schema}), "here/voice.json")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", '"x"', "{}", '{"schema": "1"}', "NaN"]
)
def test_what_is_no_manifest(text: str) -> None:
    with pytest.raises(SchemaError, match=r"here/voice\.json"):
        manifest_from_json(text, "here/voice.json")


@pytest.mark.parametrize(
    "key", sorted(set(DATA) - {"schema", "variants", "assignments", "untrained"})
)
def test_a_missing_key_is_named(key: str) -> None:
    data = {name: value for name, value in DATA.items() if name != key}
    with pytest.raises(SchemaError, match=key):
        manifest_from_json(json.dumps(data))


def places(data: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401
    """The paths of all values in a JSON document."""
    found = [here] if here else []
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            found += places(value, (*here, key))
    return found


GARBAGE: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["../x", "/etc/passwd", -1, 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@given(place=st.sampled_from(places(DATA)), value=GARBAGE)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_a_changed_value_is_read_or_refused_in_one_sentence(
    place: tuple[Any, ...], value: object
) -> None:
    data = copy.deepcopy(DATA)
    holder: Any = data
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    with suppress(SchemaError):
        assert manifest_from_json(json.dumps(data)).as_json()


@given(text=st.text(max_size=200))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(SchemaError):
        manifest_from_json(text)


@pytest.mark.parametrize("value", [10**400, float("inf")])
def test_numbers_beyond_any_machine(value: float) -> None:
    with pytest.raises(SchemaError, match=r"voice\.json is not a voice manifest"):
        manifest_from_json(json.dumps({**DATA, "f0": {**DATA["f0"], "scale": value}}))
    axes = copy.deepcopy(DATA["stages"])
    axes["prosody"]["graph"]["axes"]["symbols"][2] = float("inf")
    with pytest.raises(SchemaError, match="export the voice again"):
        manifest_from_json(json.dumps({**DATA, "stages": axes}))


def test_a_document_nested_beyond_the_parser() -> None:
    with pytest.raises(SchemaError):
        manifest_from_json("[" * 100_000)
