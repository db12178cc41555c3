"""How the vocoder learns: sizes, losses, and judges that take part late.

Spectral losses alone teach it to speak clearly but buzzing; small judges, once it does, take the
buzz out. Before that they only cost time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sambert_trt.engines.errors import InputError
from sambert_trt.export.config import HifiganConfig, NsfConfig
from sambert_trt.export.hifigan import Generator
from sambert_trt.export.signatures import vocoder_context

from .beginnings import begin_vocoder
from .discriminators import Discriminators, deceit_loss, detection_loss, likeness_loss
from .mel import MelRecipe
from .progress import shown
from .segments import Segments, SegmentSampler, Windows
from .spectral_losses import LogMel, MultiResolutionStft
from .spoken import Spoken, spoken_dataset
from .synthesis import Margins, Source, copy_synthesis, excitation, generate

if TYPE_CHECKING:
    from .dataset import Dataset

__all__ = ["VocoderLearning", "VocoderSizes", "VocoderTask", "copy_synthesis"]

_HARMONICS = 7
_MAY_CHANGE = ("judged", "spoken_by", "spoken")
_BETWEEN_MEASUREMENTS = 20
"""Steps from one measurement of how strongly judges pull at the weights to the next."""


@dataclass(frozen=True)
class VocoderSizes:
    """Of the vocoder; the rest is as in the stock configuration.

    Attributes:
        channels: before the first upsampling; each of the four stages has half of the one before.
        nsf: give it a source of harmonics made of f0.
        causal: look at no later frame, which streams soonest; otherwise as far ahead as back.
    """

    channels: int = 128
    nsf: bool = True
    causal: bool = True

    def config(self, sampling_rate: int = 16000) -> HifiganConfig:
        """The configuration of HiFi-GAN's `Generator`.

        Raises:
            InputError: the channels cannot be halved four times.
        """
        if self.channels < 16 or self.channels % 16:
            raise InputError(f"--channels {self.channels}: needs 16, 32, 48 or so")
        return HifiganConfig(
            in_channels=80,
            out_channels=1,
            channels=self.channels,
            kernel_size=7,
            upsample_scales=(10, 5, 2, 2),
            upsample_kernel_sizes=(20, 10 if self.causal else 11, 4, 4),
            resblock_kernel_sizes=(3, 7, 11),
            resblock_dilations=((1, 3, 5),) * 3,
            causal=self.causal,
            nsf=NsfConfig(_HARMONICS, sampling_rate) if self.nsf else None,
        )


@dataclass(frozen=True)
class VocoderLearning:
    """How the vocoder learns.

    Attributes:
        rate: largest learning rate of AdamW.
        mel: weight of the distance of logarithmic mels.
        stft: weight of the distance of spectra at four resolutions.
        judged_from: the step from which judges of waves learn and teach; before, they only cost.
        ramp: steps over which their word grows to its full weight.
        judged: their gradient on the weights, of that of the spectra. A run may go on with another.
        likeness: weight of looking alike to their inner layers, beside that of being taken for
            real.
        judges_rate: largest learning rate of the judges.
        gradient: norm to which gradients are cut.
        begin_with: a voice folder; the first weights are those of its vocoder. Judges begin anew.
        spoken_by: folder of an acoustic model's training: the vocoder meets its mels, too. A run
            may go on with it.
        spoken: share of windows that have its mels, the others have the recordings'.
    """

    rate: float = 1.2e-3
    mel: float = 20.0
    stft: float = 2.0
    judged_from: int = 12_000
    ramp: int = 1000
    judged: float = 0.5
    likeness: float = 4.0
    judges_rate: float = 8e-4
    gradient: float = 100.0
    begin_with: str | None = None
    spoken_by: str | None = None
    spoken: float = 0.7
    windows: Windows = field(default_factory=Windows)


class VocoderTask:
    """Teaches a `Generator`.

    Args:
        dataset: what it learns from.
        sizes: of the generator.
        learning: how it learns.
        device: where.
        precision: float32, or bfloat16 for what bears it (torch.autocast); losses are float32.

    Attributes:
        modules: `generator` and `discriminators`.
        optimisers: by the same names.
        averaged: the module whose moving average is the vocoder.

    Raises:
        InputError: sizes or windows do not fit, or not the dataset, or what the acoustic model
            learned from, or the vocoder to begin with.
        SourceError: there is no acoustic model in its folder, or the voice to begin with cannot be
            read.
        OutputError: its mels cannot be written there.
    """

    averaged = "generator"

    def __init__(
        self,
        dataset: Dataset,
        sizes: VocoderSizes,
        learning: VocoderLearning,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ) -> None:
        facts = dataset.settings
        self._dataset, self._sizes, self._learning = dataset, sizes, learning
        self._device, self._precision = device, precision
        config = sizes.config(facts.sampling_rate)
        if (facts.hop, facts.mels) != (config.hop, config.in_channels):
            raise InputError(
                f"the dataset has {facts.mels} mels every {facts.hop} samples, the vocoder takes "
                f"{config.in_channels} every {config.hop}: prepare it again"
            )
        self._generator = Generator(config)
        if learning.begin_with is not None:
            begin_vocoder(self._generator, Path(learning.begin_with))
        self._generator.to(device).train()
        self._judges = Discriminators().to(device).train()
        self._log_mel = LogMel(MelRecipe(facts.sampling_rate, facts.hop)).to(device)
        self._stft = MultiResolutionStft().to(device)
        self._spoken = self._asked_to_speak()
        self._sampler = SegmentSampler(
            dataset,
            learning.windows,
            Margins(*vocoder_context(config)),
            None if self._spoken is None else self._spoken.dataset,
            learning.spoken,
        )
        self.modules: Mapping[str, nn.Module] = {
            self.averaged: self._generator,
            "discriminators": self._judges,
        }
        rates = (learning.rate, learning.judges_rate)
        self.optimisers: Mapping[str, torch.optim.Optimizer] = {
            name: torch.optim.AdamW(
                module.parameters(), rate, betas=(0.8, 0.99), weight_decay=1e-3, fused=True
            )
            for (name, module), rate in zip(self.modules.items(), rates, strict=True)
        }

    def settings(self) -> Mapping[str, Any]:
        """What a training that goes on must have in common with this one."""
        learning = asdict(self._learning)
        return {
            "kind": "vocoder",
            "dataset": self._dataset.fingerprint,
            "sizes": asdict(self._sizes),
            "learning": {name: one for name, one in learning.items() if name not in _MAY_CHANGE},
        }

    def circumstances(self) -> Mapping[str, Any]:
        """Steps of the acoustic model whose mels the vocoder meets, and the share of windows."""
        if self._spoken is None:
            return {}
        return {"spoken_by": self._spoken.steps, "spoken": self._learning.spoken}

    def _asked_to_speak(self) -> Spoken | None:
        """The dataset as the acoustic model speaks it; None where the vocoder is not to meet it."""
        learning = self._learning
        if not 0 <= learning.spoken <= 1:
            raise InputError(f"--spoken {learning.spoken}: needs a share from 0 to 1")
        if learning.spoken_by is None or not learning.spoken:
            return None
        with shown("mels") as watcher:
            return spoken_dataset(Path(learning.spoken_by), self._dataset, self._device, watcher)

    def step(self, number: int, random: np.random.Generator) -> Mapping[str, float]:
        """One batch; returns its losses."""
        segments = self._sampler.draw(random).to(self._device)
        made = self._wave(segments, random)
        heard = made.detach().requires_grad_()
        losses = self._spectral(heard, segments.audio)
        total = torch.stack([*losses.values()]).sum()
        (gradient,) = torch.autograd.grad(total, heard)
        word = (number + 1 - self._learning.judged_from) / max(self._learning.ramp, 1)
        if word > 0:
            losses["detection"] = self._teach_judges(made.detach(), segments.audio)
            judged = self._judged(heard, segments.audio)
            gradient = gradient + min(word, 1.0) * self._balanced(
                number, made, gradient, judged, heard
            )
            losses |= judged
        losses["gradient"] = self._descend(self.averaged, made, gradient)
        return {name: float(loss.detach()) for name, loss in {"total": total, **losses}.items()}

    def _wave(self, segments: Segments, random: np.random.Generator) -> Tensor:
        """What the generator makes of a batch: float32 [B, 1, F * hop]."""
        source = self._source(segments, random)
        with self._cast():
            made = generate(self._generator, segments.mel, source, segments.margins)
        return made.float()

    def _source(self, segments: Segments, random: np.random.Generator) -> Tensor | None:
        """The excitation; no cast, since phases add up over many samples."""
        config = self._generator.config
        if config.nsf is None:
            return None
        batch, frames = segments.f0.shape
        count = config.nsf.nb_harmonics + 1
        phase = random.uniform(-np.pi, np.pi, (batch, count, 1)).astype(np.float32)
        noise = random.standard_normal((batch, count, frames * config.hop), dtype=np.float32)
        phases, noises = (torch.from_numpy(one).to(self._device) for one in (phase, noise))
        return excitation(self._generator, Source(segments.f0, segments.voiced, phases, noises))

    def _spectral(self, made: Tensor, real: Tensor) -> dict[str, Tensor]:
        made, real = made[:, 0], real[:, 0]
        return {
            "mel": self._learning.mel * F.l1_loss(self._log_mel(made), self._log_mel(real)),
            "stft": self._learning.stft * self._stft(made, real),
        }

    def _teach_judges(self, made: Tensor, real: Tensor) -> Tensor:
        """One step of the judges; returns their loss."""
        with self._cast():
            opinions = self._judges(torch.cat([real, made]))
        halves = [[layer.chunk(2) for layer in one] for one in opinions]
        loss = detection_loss(
            [[layer[0] for layer in one] for one in halves],
            [[layer[1] for layer in one] for one in halves],
        )
        self._descend("discriminators", loss)
        return loss

    def _judged(self, made: Tensor, real: Tensor) -> dict[str, Tensor]:
        """What the judges say of a batch."""
        with self._cast():
            with torch.no_grad():
                wanted = self._judges(real)
            found = self._judges(made)
        return {"deceit": deceit_loss(found), "likeness": likeness_loss(wanted, found)}

    def _balanced(
        self,
        number: int,
        made: Tensor,
        spectral: Tensor,
        judged: Mapping[str, Tensor],
        heard: Tensor,
    ) -> Tensor:
        """The judges' gradient on the wave, for weights a fixed share of the spectra's.

        As the balancer of EnCodec (Defossez et al., TMLR 2023, section 3.4), but for the weights:
        judges agree on neighbouring samples, and more so as they learn, so that a gradient which is
        small on the wave can be large there.
        """
        loss = judged["deceit"] + self._learning.likeness * judged["likeness"]
        (gradient,) = torch.autograd.grad(loss, heard)
        gradient = gradient * (spectral.norm() / gradient.norm().clamp(min=1e-12))
        pull = self._judges.pull
        if not pull or number % _BETWEEN_MEASUREMENTS == 0:
            now = self._on_weights(made, gradient) / self._on_weights(made, spectral)
            pull.copy_((pull * now).sqrt() if pull else now)
        balanced: Tensor = self._learning.judged / pull.clamp(min=1e-12) * gradient
        return balanced

    def _on_weights(self, made: Tensor, gradient: Tensor) -> Tensor:
        """The norm of the generator's gradient that a gradient on the wave gives."""
        weights = [*self._generator.parameters()]
        found = torch.autograd.grad(made, weights, gradient, retain_graph=True, allow_unused=True)
        norm: Tensor = torch.stack([one.norm() for one in found if one is not None]).norm()
        return norm

    def _descend(self, name: str, result: Tensor, gradient: Tensor | None = None) -> Tensor:
        """A step of an optimiser; returns the gradients' norm before it was cut.

        Args:
            result: a loss, or what has the gradient.
        """
        optimiser = self.optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        result.backward(gradient)  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.modules[name].parameters(), self._learning.gradient)
        optimiser.step()
        return norm

    def _cast(self) -> torch.autocast:
        enabled = self._precision != torch.float32
        return torch.autocast(self._device.type, self._precision, enabled=enabled)
