"""What is read from a builder's log: excerpts of real builds, and the other product's wording."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_layers import convolutions, host_reads, stream_syncs

from sambert_trt.engines.build_log import BuildLog, build_log_from_text
from sambert_trt.engines.engine import LayerRecord

DATA = Path(__file__).parent / "data"


def log_of(name: str) -> BuildLog:
    """An excerpt of a log as TensorRT for RTX 1.7 wrote it."""
    return build_log_from_text((DATA / f"rtx-1.7-{name}.log").read_text(encoding="utf-8"))


def test_memory_and_warnings() -> None:
    log = log_of("fp16")
    assert log.weights_bytes == 9_147_264
    assert log.scratch_bytes == 22_272_000
    assert log.activation_bytes == 22_272_000
    assert log.warnings == ("ModelImporter.cpp:1071: Make sure input ids has Int64 binding.",)
    assert log.errors == ()
    assert log.lacking_bytes is None


def test_each_line_of_the_dump_is_a_layer_and_the_tensors_after_it_are_none() -> None:
    layers = log_of("fp16").layers
    assert [layer.kind for layer in layers] == [
        *("shape_call", "kgen", "correlation", "correlation", "runtime_fusion", "runtime_fusion"),
        *("deconv", "ShapeHostToDevice", "memset", "copy", "cjmp", "signal", "wait"),
    ]
    kinds = {layer.kind: layer for layer in layers}
    assert kinds["kgen"] == LayerRecord("__myl_Cast_myl0_1", "kgen", ("Float",), ("Half",))
    assert kinds["correlation"].inputs == ("Half", "Half")
    assert kinds["cjmp"].inputs == ("Int32", "Int32")
    assert kinds["cjmp"].outputs == ()
    name = "[ShapeHostToDeviceCopy 0]"
    assert kinds["ShapeHostToDevice"] == LayerRecord(name, "ShapeHostToDevice", (), ("Int32",))


def test_layers_by_what_they_do() -> None:
    layers = log_of("fp16").layers
    assert [layer.name for layer in convolutions(layers)] == [
        "/Conv_myl0_2",
        "/Conv_10_myl0_7",
        "__myl_CorrMulMax_myl0_6",
        "__myl_CorrMulMax_myl0_9",
        "/upsamples.0/ConvTranspose_myl0_4",
    ]
    assert {layer.outputs for layer in convolutions(layers)} == {("Half",)}
    assert [layer.kind for layer in stream_syncs(layers)] == ["signal", "wait"]
    assert [layer.name for layer in host_reads(layers)] == ["copy_d2h___mye35966_myl1_6"]


@pytest.mark.parametrize(
    "name", ["__myl_FcAdd_myl0_3", "__myl_MoveConcReshResh_myl1_10", "__myl_SlicReshMul_myl0_1"]
)
def test_other_fusions_are_no_convolutions(name: str) -> None:
    assert convolutions([LayerRecord(name, "runtime_fusion", ("Half",), ("Half",))]) == ()


@pytest.mark.parametrize(
    ("words", "dtype"),
    [
        ("Channel major FP16 format where channel % 8 == 0", "Half"),
        ("Row major linear FP32", "Float"),
        ("Thirty-two wide channel vectorized row major Int8 format", "Int8"),
        ("Row major linear BF16 format", "BFloat16"),
        ("Row major linear INT64 format", "Int64"),
        ("something new", "unknown"),
    ],
)
def test_tensorrt_hides_the_type_in_the_format(words: str, dtype: str) -> None:
    tensor = f"{{ Name: a, Location: Device, Dimensions: [1,8,4], Format/Datatype: {words} }}"
    line = (
        f"Name: conv + relu, LayerType: CaskConvolution, Inputs: [ {tensor}], Outputs: [ {tensor}, "
        f"{tensor}], ParameterType: Convolution, Kernel: [3], Weights: "
        '{"Type": "Float", "Count": 36}, TacticName: t, StreamId: 0, Metadata: '
    )
    (layer,) = build_log_from_text(f"[V] Layers:\n{line}\n").layers
    assert layer == LayerRecord("conv + relu", "CaskConvolution", (dtype,), (dtype, dtype))
    assert convolutions([layer]) == (layer,)


def test_a_workspace_that_is_too_small_says_what_is_lacking() -> None:
    log = log_of("no-room")
    assert log.lacking_bytes == 39_872_000 - 22_479_744
    assert len(log.errors) == 1
    assert log_of("no-tactics").lacking_bytes == 0


def test_a_log_that_says_nothing() -> None:
    log = build_log_from_text("")
    assert log == BuildLog((), -1, -1, -1, (), (), None)


def test_a_message_is_kept_once_and_the_last_number_counts() -> None:
    text = (
        "[W] twice\n[W] twice\n[E] bad\n[F] worse\nMax Scratch Memory: 1 bytes\n"
        "[I] Max Scratch Memory: 2 bytes\n"
    )
    log = build_log_from_text(text)
    assert log.warnings == ("twice",)
    assert log.errors == ("bad", "worse")
    assert log.scratch_bytes == 2
