"""Which layers of a graph are treated alike, and what a runtime can do with them in int8.

Layers are told apart by the names of their parameters, which an export keeps. May import onnx; no
runtime.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sambert_trt.engines.errors import GraphError, InputError
from sambert_trt.engines.graphs import GraphSpec, Placement, Stage

from .recipe import Group, StagePlan, Treatment

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["Layers", "groups", "nodes_by_treatment", "quantised_nodes"]

_FLOAT, _W8 = Treatment.FLOAT, Treatment.W8
_W8A8, _SUMS = Treatment.W8A8, Treatment.W8A8_SUMS
_WEIGHT_ONLY = (_FLOAT, _W8)
_ACTIVATIONS = (_FLOAT, _W8A8)
_BOTH = (_FLOAT, _W8, _W8A8)

_UPSAMPLED = "resblocks"
"""Followed by the number of the upsampling stage that the residual blocks stand behind."""


@dataclass(frozen=True)
class _Family:
    """Layers by the names of their parameters, and what each placement offers for them."""

    name: str
    parameters: str
    offers: Mapping[Placement, tuple[Treatment, ...]]

    def holds(self, label: str) -> bool:
        """Whether a layer whose parameters bear this name belongs to it."""
        return re.search(self.parameters, label) is not None


def _offers(
    cpu: tuple[Treatment, ...], tensorrt: tuple[Treatment, ...]
) -> Mapping[Placement, tuple[Treatment, ...]]:
    return {Placement.CPU: cpu, Placement.TENSORRT: tensorrt}


_STEPPED = _offers(_ACTIVATIONS, _WEIGHT_ONLY)
_WHOLE = _offers(_BOTH, _BOTH)
_PROJECTED = _offers(_BOTH, _WEIGHT_ONLY)

_FAMILIES: Mapping[Stage, tuple[_Family, ...]] = {
    Stage.TEXT_ENCODER: (
        _Family("attention", r"\.slf_attn\.(w_qkv|fc)\.", _PROJECTED),
        _Family("ffn", r"\.pos_ffn\.w_[12]\.", _WHOLE),
        _Family("pauses", r"^pauses\.(w_[12]|fc)\.", _PROJECTED),
        _Family("out", r"^/ling_proj/", _PROJECTED),
    ),
    Stage.PROSODY: (
        _Family("pitch_ffn", r"\.pitch_predictor\.fsmn\.ffn_lst\.", _WHOLE),
        _Family("pitch_out", r"\.pitch_predictor\.fc\.", _PROJECTED),
        _Family("energy_ffn", r"\.energy_predictor\.fsmn\.ffn_lst\.", _WHOLE),
        _Family("energy_out", r"\.energy_predictor\.fc\.", _PROJECTED),
    ),
    Stage.DURATION_STEP: (
        _Family("prenet", r"\.prenet\.fcs\.", _STEPPED),
        _Family("out", r"\.fc\.", _STEPPED),
    ),
    Stage.MEMORY_KV: (_Family("projection", r"^weight$", _PROJECTED),),
    Stage.DECODER_STEP: (
        _Family("prenet", r"^prenet\.fcs\.", _STEPPED),
        _Family("in", r"^in_weight$", _STEPPED),
        _Family("attention", r"^layers\.\d+\.(qkv|fc)_weight$", _STEPPED),
        _Family("ffn_1", r"^layers\.\d+\.w_1$", _STEPPED),
        _Family("ffn_2", r"^layers\.\d+\.w_2$", _STEPPED),
        _Family("out", r"^out\.", _STEPPED),
    ),
    Stage.POSTNET: (
        _Family("ffn", r"^fsmn\.ffn_lst\.", _WHOLE),
        _Family("out", r"^fc\.", _PROJECTED),
    ),
    Stage.VOCODER: (
        _Family(
            _UPSAMPLED,
            r"^generator\.conv_blocks\.\d+\.",
            _offers((_FLOAT, _W8A8, _SUMS), _BOTH),
        ),
    ),
}
"""Layers that can be quantised at all.

Not among them: transposed convolutions, the vocoder's first, last and source convolutions, the
depthwise memory blocks and LSTMs (int8 gains nothing, or nobody has kernels), embeddings and layer
norms (their values decide everything that follows).
"""


class Layers:
    """A graph's nodes by what they make and take."""

    def __init__(self, model: ModelProto) -> None:
        self.nodes: tuple[NodeProto, ...] = tuple(model.graph.node)
        self.parameters = {tensor.name: tensor for tensor in model.graph.initializer}

    @cached_property
    def by_name(self) -> dict[str, NodeProto]:
        """Nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def makers(self) -> dict[str, NodeProto]:
        """The node that makes a tensor."""
        return {name: node for node in self.nodes for name in node.output}

    @cached_property
    def takers(self) -> Mapping[str, tuple[NodeProto, ...]]:
        """The nodes that take a tensor, in order."""
        found: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                found[name].append(node)
        return defaultdict(tuple, {name: tuple(nodes) for name, nodes in found.items()})

    def weight(self, node: NodeProto) -> str | None:
        """The name of the weights of a convolution or matrix product, or None."""
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            return None
        found = node.input[1]
        return found if found in self.parameters else None

    def activations(self, node: NodeProto) -> tuple[str, ...]:
        """The inputs that are no parameters."""
        return tuple(name for name in node.input if name and name not in self.parameters)


def groups(model: ModelProto, graph: GraphSpec, placement: Placement) -> tuple[Group, ...]:
    """Splits the layers that can be quantised into groups a reader recognises.

    Args:
        model: the fp32 graph.
        graph: its signature.
        placement: whose kernels are to run it.

    Returns:
        Groups in the order of the stage's layers; none where nothing can be quantised.

    Raises:
        GraphError: a layer has no name, or shares it with another.
    """
    layers = Layers(model)
    _check_names(layers, graph)
    nodes, offers = defaultdict[str, list[str]](list), dict[str, tuple[Treatment, ...]]()
    for node, name, family in _members(layers, _FAMILIES[graph.stage]):
        nodes[name].append(node.name)
        offers[name] = family.offers[placement]
    return tuple(
        Group(graph.stage, name, tuple(found), _weights(layers, found), offers[name])
        for name, found in nodes.items()
    )


def nodes_by_treatment(
    plan: StagePlan, found: Collection[Group], stage: Stage
) -> dict[Treatment, tuple[str, ...]]:
    """The names of the layers that a plan treats, by treatment.

    Raises:
        InputError: the plan names a group that there is not, or a treatment not offered for it.
    """
    known, nodes = {group.name: group for group in found}, defaultdict[Treatment, list[str]](list)
    for name, treatment in plan.groups.items():
        if name not in known:
            there = ", ".join(known) or "none"
            raise InputError(f"{stage.value} has no group {name!r}: there is {there}")
        if treatment not in known[name].treatments:
            offered = ", ".join(t.value for t in known[name].treatments)
            raise InputError(
                f"{stage.value}/{name} cannot be {treatment.value} here: it can be {offered}"
            )
        if treatment is not _FLOAT:
            nodes[treatment] += known[name].nodes
    return {treatment: tuple(names) for treatment, names in nodes.items()}


def quantised_nodes(
    layers: Layers, treated: Mapping[Treatment, Iterable[str]], placement: Placement
) -> tuple[str, ...]:
    """The nodes whose inputs are int8: treated layers and what lies between them.

    TensorRT quantises right before each layer and fuses nothing else. ONNX Runtime has int8
    kernels for what follows a layer, too. There the activation between two layers is int8, but a
    residual sum only where that is asked for: eight bits of it cost a trained vocoder 12 dB of
    signal to noise, and make a stock one 2.2 times as fast as fp32 instead of 1.7 times.
    """
    whole = set(treated.get(_SUMS, ()))
    chosen = {*treated.get(_W8A8, ()), *whole}
    if placement is Placement.CPU:
        chosen |= {node.name for node in _between(layers, chosen, whole)}
    return tuple(node.name for node in layers.nodes if node.name in chosen)


def _between(layers: Layers, chosen: set[str], whole: set[str]) -> Iterator[NodeProto]:
    for node in layers.nodes:
        if node.op_type in ("LeakyRelu", "Relu"):
            after = layers.takers[node.output[0]]
            before = _made_by(layers, node, chosen)
            if (before and _any_of(after, chosen)) or _any_of(after, whole):
                yield node
        elif node.op_type == "Add" and _made_by(layers, node, whole):
            yield node


def _made_by(layers: Layers, node: NodeProto, names: set[str]) -> bool:
    makers = (layers.makers[tensor] for tensor in node.input if tensor in layers.makers)
    return _any_of((maker for maker in makers if maker.op_type == "Conv"), names)


def _any_of(nodes: Iterable[NodeProto], names: set[str]) -> bool:
    return any(node.name in names for node in nodes)


def _members(
    layers: Layers, families: Iterable[_Family]
) -> Iterator[tuple[NodeProto, str, _Family]]:
    """Each layer with its group's name.

    In any order that runs, the residual blocks of one upsampling stage stand after its transposed
    convolution and before the next.
    """
    upsampled = -1
    for node in layers.nodes:
        upsampled += node.op_type == "ConvTranspose"
        if layers.weight(node) is not None:
            for family in families:
                if any(map(family.holds, _labels(layers, node))):
                    number = f".{upsampled}" if family.name == _UPSAMPLED else ""
                    yield node, family.name + number, family
                    break


def _labels(layers: Layers, node: NodeProto) -> Iterator[str]:
    """What a layer may be known by: weights that the exporter changed have lost their name."""
    yield from (name for name in node.input if name in layers.parameters)
    yield node.name


def _weights(layers: Layers, names: Iterable[str]) -> int:
    weights = (layers.weight(layers.by_name[name]) for name in names)
    return sum(int(np.prod(layers.parameters[w].dims)) for w in weights if w is not None)


def _check_names(layers: Layers, graph: GraphSpec) -> None:
    if len(layers.by_name) != len(layers.nodes) or "" in layers.by_name:
        raise GraphError(
            f"nodes of the {graph.stage.value} graph have no name, or the same: export it again"
        )
