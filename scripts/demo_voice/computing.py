"""Where a training computes: device, precision and threads, as the command line names them.

torch is imported where it is asked for something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sambert_trt.engines.errors import InputError

if TYPE_CHECKING:
    import torch

__all__ = ["Computing"]


@dataclass(frozen=True)
class Computing:
    """Where and how exactly to compute.

    Attributes:
        device: auto takes a GPU where torch has one.
        precision: bfloat16 is for what bears it; weights and optimisers stay float32.
        threads: of the processor; none leaves it to torch.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: int | None = None

    def prepare(self) -> tuple[torch.device, torch.dtype]:
        """Sets the threads; returns the device, and the type for torch.autocast.

        Raises:
            InputError: there is no such device, or it does not know the precision.
        """
        import torch

        if self.threads is not None:
            if self.threads < 1:
                raise InputError(f"--threads {self.threads}: needs 1 or more")
            torch.set_num_threads(self.threads)
        there = torch.cuda.is_available()
        if self.device == "cuda" and not there:
            raise InputError(
                "--device cuda: torch finds no GPU that it can use; give --device cpu, or install "
                "a torch that fits the GPU's driver"
            )
        device = torch.device("cuda" if there and self.device != "cpu" else "cpu")
        precision = torch.bfloat16 if self.precision == "bfloat16" else torch.float32
        if device.type == "cuda" and precision == torch.bfloat16:
            _check_bfloat16(torch.cuda.get_device_capability(device))
        return device, precision


def _check_bfloat16(capability: tuple[int, int]) -> None:
    if capability < (8, 0):
        raise InputError(
            f"--precision bfloat16: this GPU (compute capability {capability[0]}.{capability[1]}) "
            "has none, it takes 8.0; give --precision float32"
        )
