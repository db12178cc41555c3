"""What decides a plan and its key, what may run it, and record.json there and back."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sambert_trt.engines.engine import (
    RECORD_SCHEMA,
    VERSION_COMPATIBLE,
    EngineRecord,
    EngineSpec,
    Flavour,
    LayerRecord,
    engine_record_from_json,
)
from sambert_trt.engines.errors import SchemaError
from sambert_trt.engines.graphs import AxisRange, Precision, Stage

SPEC = EngineSpec(
    stage=Stage.VOCODER,
    precision=Precision.FP16,
    graph_sha256="ab" * 32,
    recipe="半精度",
    profile={"frames": AxisRange(8, 80, 240)},
    flags=("tf32",),
    workspace=0,
    flavour=Flavour.RTX,
    version="1.7.1.116",
    targets=("sm_86", "sm_89"),
)
OTHERS: dict[str, Any] = {
    "stage": Stage.POSTNET,
    "precision": Precision.INT8,
    "graph_sha256": "cd" * 32,
    "recipe": "",
    "profile": {"frames": AxisRange(8, 80, 241)},
    "flags": (),
    "workspace": 1,
    "flavour": Flavour.TENSORRT,
    "version": "1.7.1.117",
    "targets": ("sm_86",),
}
RECORD = EngineRecord(
    spec=SPEC,
    plan_bytes=14_950_000,
    plan_sha256="01" * 32,
    weights_bytes=9_800_000,
    scratch_bytes=22_400_000,
    activation_bytes=-1,
    layers=(
        LayerRecord("conv_pre", "gemm", ("Half", "Half"), ("Half",)),
        LayerRecord("tanh", "kgen", ("Half",), ("Float",)),
        LayerRecord("copy", "kgen", ("Half",), ("Half", "Float")),
        LayerRecord("signal", "signal", (), ()),
    ),
    build_seconds=3.5,
    tools={"tensorrt_rtx": "1.7.1.116"},
    created="2026-11-22T10:00:00+00:00",
)
DATA: dict[str, Any] = json.loads(RECORD.as_json())


def portable(version: str) -> EngineSpec:
    return replace(SPEC, flavour=Flavour.TENSORRT, version=version, flags=(VERSION_COMPATIBLE,))


def test_every_field_has_a_say_in_the_key() -> None:
    assert set(OTHERS) == set(SPEC.as_dict())
    specs = [SPEC, *(replace(SPEC, **{name: value}) for name, value in OTHERS.items())]
    assert len({spec.key for spec in specs}) == len(specs)
    assert all(len(spec.key) == 64 for spec in specs)


def test_the_order_of_axes_has_none() -> None:
    axes = {"a": AxisRange(1, 2, 3), "b": AxisRange(4, 5, 6)}
    there, back = (
        replace(SPEC, profile=dict(order)) for order in (axes.items(), [*axes.items()][::-1])
    )
    assert there.key == back.key
    assert there.differences(back) == ()


@pytest.mark.parametrize("name", OTHERS)
def test_a_difference_names_its_field_and_both_values(name: str) -> None:
    other = replace(SPEC, **{name: OTHERS[name]})
    (difference,) = SPEC.differences(other)
    assert difference == f"{name}: {SPEC.as_dict()[name]} -> {other.as_dict()[name]}"


def test_a_plan_runs_where_card_flavour_and_version_are_its_own() -> None:
    assert SPEC.obstacles(Flavour.RTX, "1.7.1.116", "sm_86") == ()
    assert SPEC.obstacles(Flavour.RTX, "1.7.1.116", "sm_120") == (
        "targets: sm_86, sm_89 built, this card is sm_120",
    )
    assert SPEC.obstacles(Flavour.RTX, "1.8.0.1", "sm_75") == (
        "targets: sm_86, sm_89 built, this card is sm_75",
        "version: 1.7.1.116 built, 1.8.0.1 is here",
    )
    assert SPEC.obstacles(Flavour.LEAN, "1.7.1.116", "sm_86") == (
        "flavour: rtx built, lean is here",
    )


@pytest.mark.parametrize(
    ("flavour", "version", "runs"),
    [
        (Flavour.TENSORRT, "11.4.0.106", True),
        (Flavour.LEAN, "11.4.0.106", True),
        (Flavour.LEAN, "11.4.0.107", True),
        (Flavour.LEAN, "11.10.0.1", True),
        (Flavour.LEAN, "11.3.9.9", False),
        (Flavour.LEAN, "12.0.0.1", False),
        (Flavour.LEAN, "10.13.0.35", False),
        (Flavour.RTX, "11.4.0.106", False),
    ],
)
def test_version_compatible_plans_run_on_later_runtimes_of_the_same_major_version(
    flavour: Flavour, version: str, runs: bool
) -> None:
    assert (portable("11.4.0.106").obstacles(flavour, version, "sm_86") == ()) is runs


def test_other_plans_of_tensorrt_do_not() -> None:
    spec = replace(portable("11.4.0.106"), flags=())
    assert spec.obstacles(Flavour.TENSORRT, "11.4.0.107", "sm_86") != ()
    assert spec.obstacles(Flavour.LEAN, "11.4.0.106", "sm_86") != ()


@pytest.mark.parametrize("version", ["", "11.x", "²", "11..4", "latest"])
def test_a_version_of_something_else_is_an_obstacle_not_a_crash(version: str) -> None:
    (obstacle,) = portable("11.4.0.106").obstacles(Flavour.LEAN, version, "sm_86")
    assert obstacle.startswith("version: 11.4.0.106 built")


def test_what_a_record_sums_up() -> None:
    assert RECORD.kernels == 4
    assert RECORD.dtypes == {"Half": 2, "Float": 1}
    assert RECORD.device_bytes == 9_800_000 + 22_400_000
    silent = replace(RECORD, weights_bytes=-1, scratch_bytes=-1)
    assert silent.device_bytes == 0


def test_a_record_survives_json() -> None:
    assert engine_record_from_json(RECORD.as_json()) == RECORD
    assert DATA["key"] == SPEC.key


@pytest.mark.parametrize("name", OTHERS)
def test_a_record_changed_by_hand_is_refused(name: str) -> None:
    other = replace(SPEC, **{name: OTHERS[name]}).as_dict()
    with pytest.raises(SchemaError, match="carries a key that is not its own"):
        engine_record_from_json(json.dumps({**DATA, "spec": other}))


def test_another_schema_is_named() -> None:
    with pytest.raises(
        SchemaError, match=rf"here has schema 9, this version reads {RECORD_SCHEMA}"
    ):
        engine_record_from_json(json.dumps({**DATA, "schema": 9}), "here")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("plan_bytes", -1),
        ("plan_bytes", 1.5),
        ("plan_bytes", True),
        ("plan_bytes", float("inf")),
        ("plan_bytes", "7"),
        ("weights_bytes", -2),
        ("scratch_bytes", float("nan")),
        ("activation_bytes", None),
        ("plan_sha256", "AB" * 32),
        ("plan_sha256", "ab"),
        ("plan_sha256", 7),
        ("build_seconds", float("nan")),
        ("build_seconds", float("inf")),
        ("build_seconds", -1),
        ("build_seconds", "soon"),
        ("tools", []),
        ("layers", [{}]),
        ("layers", 3),
        ("spec", []),
    ],
)
def test_a_value_of_another_kind_is_refused(name: str, value: object) -> None:
    with pytest.raises(SchemaError, match=r"is not a plan's record .*build the plan again"):
        engine_record_from_json(json.dumps({**DATA, name: value}))


@pytest.mark.parametrize("name", DATA)
def test_a_missing_key_is_refused(name: str) -> None:
    data = {key: value for key, value in DATA.items() if key != name}
    with pytest.raises(SchemaError):
        engine_record_from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "null", "[]", "3", '"x"', "{", "[" * 100_000, "\x00"])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(SchemaError):
        engine_record_from_json(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.data())
@settings(max_examples=200)
def test_garbage_at_any_place_is_a_record_or_a_schema_error(data: st.DataObject) -> None:
    found = copy.deepcopy(DATA)
    place: Any = found
    key = data.draw(st.sampled_from(sorted(place)))
    while isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
        place = place[key]
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(keys))
    place[key] = data.draw(JSON)
    with suppress(SchemaError):
        record = engine_record_from_json(json.dumps(found))
        assert engine_record_from_json(record.as_json()) == record
