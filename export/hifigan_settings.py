"""The vocoder's configuration, as a voice's files give it."""

from __future__ import annotations

from .config import HifiganConfig, NsfConfig
from .config_reader import RATES, WIDTH, Reader, mapping_or_problem, parameters, whole_list
from .source import VoiceSource

__all__ = ["hifigan_settings"]

_PATH = ("Model", "Generator", "params")


def hifigan_settings(source: VoiceSource, problems: list[str]) -> HifiganConfig:
    """Hyper-parameters; `problems` takes what is wrong."""
    path = source.voc_config
    data = mapping_or_problem(path, problems)
    params = parameters(data, path, problems, part="vocoder", keys=_PATH, mark="upsample_scales")
    activation = params.mapping("nonlinear_activation_params")
    config = HifiganConfig(
        in_channels=params.integer("in_channels", most=4096),
        out_channels=params.integer("out_channels", most=64),
        channels=params.integer("channels"),
        kernel_size=params.integer("kernel_size", most=1024),
        upsample_scales=params.integers("upsample_scales", most=1024),
        upsample_kernel_sizes=params.integers("upsample_kernal_sizes", most=4096),
        resblock_kernel_sizes=params.integers("resblock_kernel_sizes", most=1024),
        resblock_dilations=_dilations(params),
        causal=params.flag("causal", True),
        negative_slope=activation.number("negative_slope", 0.1),
        nsf=_nsf(params),
    )
    _check_hifigan(config, params)
    return config


def _dilations(params: Reader) -> tuple[tuple[int, ...], ...]:
    value = params.data.get("resblock_dilations")
    if value is None:
        params.report("resblock_dilations", "is missing")
        return ()
    if not isinstance(value, list) or not all(whole_list(item, 1, 1024) for item in value):
        params.refuse("resblock_dilations", "must be a list of lists of whole numbers")
        return ()
    return tuple(tuple(item) for item in value)


def _nsf(params: Reader) -> NsfConfig | None:
    if params.data.get("nsf_params") is None:
        return None
    nsf = params.mapping("nsf_params")
    least, most = RATES
    return NsfConfig(
        nb_harmonics=nsf.integer("nb_harmonics", least=0, most=256),
        sampling_rate=nsf.integer("sampling_rate", least=least, most=most),
    )


def _check_hifigan(config: HifiganConfig, params: Reader) -> None:
    if params.text("nonlinear_activation", "LeakyReLU") != "LeakyReLU":
        params.refuse("nonlinear_activation", "only LeakyReLU is supported")
    if not 0 <= config.negative_slope < 1:
        params.report("negative_slope", f"is {config.negative_slope}, must be 0 to 1")
    if not params.flag("repeat_upsample", True):
        params.report("repeat_upsample", "is false; such vocoders do not run")
    if config.out_channels != 1:
        params.refuse("out_channels", "only 1 is supported (more need a synthesis filter bank)")
    if len(config.resblock_dilations) != len(config.resblock_kernel_sizes):
        params.report(
            "resblock_dilations",
            f"has {len(config.resblock_dilations)} entries for "
            f"{len(config.resblock_kernel_sizes)} resblock_kernel_sizes",
        )
    _check_upsampling(config, params)
    if not config.causal:
        _check_centred(config, params)


def _check_upsampling(config: HifiganConfig, params: Reader) -> None:
    scales, sizes = config.upsample_scales, config.upsample_kernel_sizes
    if len(scales) != len(sizes):
        params.report(
            "upsample_kernal_sizes", f"has {len(sizes)} entries for {len(scales)} upsample_scales"
        )
    if config.hop > WIDTH:
        params.report("upsample_scales", f"multiply to {config.hop} samples per frame")
    if len(scales) > 20 or config.channels >> len(scales) < 1:
        params.refuse("channels", f"too few to halve {len(scales)} times")
    for scale, size in zip(scales, sizes, strict=False):
        if size < scale + config.causal:
            params.report(
                "upsample_kernal_sizes", f"holds {size} for scale {scale}: the kernel is too short"
            )


def _check_centred(config: HifiganConfig, params: Reader) -> None:
    for size in (config.kernel_size, *config.resblock_kernel_sizes):
        if size % 2 == 0:
            params.report("kernel sizes", f"hold {size}; a non-causal vocoder needs odd ones")
    if config.nsf is None:
        return
    factor = 1
    for scale in reversed(config.upsample_scales[1:]):
        factor *= scale
        if factor > 1 and factor % 2:
            params.report(
                "upsample_scales", f"give an odd source factor {factor}; non-causal NSF needs even"
            )
