"""What networks are trained on: a network's processor is recorded and decides its bits, the processor's kind binds a zoo.

All CPUs are one kind. Their models round differently, so training drifts apart, first in the last digits and then beyond, as
it does between two seeds. So a grid may be shared out among any CPUs.
"""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

from nndynbench.errors import NndynbenchError

CPU = "cpu"


@cache
def gpu_name(device: str) -> str | None:
    """A GPU's name; None on a machine that has none, such as one that only hands out a cluster's work."""
    import torch

    return str(torch.cuda.get_device_name(device)) if torch.cuda.is_available() else None


@cache
def device_name(device: str = "cpu") -> str:
    """Name, family and model of the processor, such as ``AMD EPYC (family 25, model 17)``; of "cuda" the GPU's name.

    Raises
    ------
    NoDeviceError
        For a GPU that this machine does not have.
    """
    if device.startswith("cuda"):
        if (name := gpu_name(device)) is None:
            raise NoDeviceError(f"there is no GPU {device!r} on this machine")
        return name
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n", 1)[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    if "model name" not in facts:
        return platform.machine()
    return f"{facts['model name']} (family {facts.get('cpu family')}, model {facts.get('model')})"


def computes_bfloat16() -> bool:
    """Whether torch has fast kernels for bfloat16 on this CPU; without them it takes many times as long as float32."""
    import torch

    # On macOS torch may be built without them.
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def device_kind(device: str = CPU) -> str | None:
    """The kind of a device, of which a version never mixes two: "cpu", or a GPU's name (None on a machine without a GPU)."""
    return gpu_name(device) if device.startswith("cuda") else CPU


class NoDeviceError(NndynbenchError, RuntimeError):
    """A device that this machine does not have."""


def need_gpu(device: str) -> None:
    """Raise `NoDeviceError`, with what to do, if torch cannot train on ``device`` here."""
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        built = "is built without CUDA" if torch.version.cuda is None else "finds none"
        raise NoDeviceError(
            f"--device {device}: there is no GPU here (torch {built}): leave --device out to train on the CPU"
        )
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as reason:
        raise NoDeviceError(f"--device {device}: torch has no such device here: {str(reason).splitlines()[0]}") from reason
