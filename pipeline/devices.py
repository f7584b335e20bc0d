"""Which device computes, and in which precision."""

import logging
import re
from collections.abc import Mapping, Sequence

import psutil
import torch
from torch import Tensor

from pipeline.device_names import UNKNOWN_DEVICE
from pipeline.errors import ArgumentError
from pipeline.machine_limits import available_memory, usable_cores
from pipeline.wording import counted

_LOG = logging.getLogger(__name__)


def pick_device(name: str) -> torch.device:
    """Return the device of `name`, one of `DEVICE_NAMES` in `device_names`.

    `auto` takes CUDA, then MPS, then the CPU; it logs a warning where PyTorch has no code for the
    GPU. Also sets, for the whole process: no more threads than this process may use cores, and of
    cuDNN deterministic algorithms and IEEE's single precision in place of TF32. Raises
    `ArgumentError` where the device does not exist, or PyTorch has no code for it.
    """
    # PyTorch rounds the factors of convolutions to TF32's 10 bits otherwise, which moves SSIM in
    # its second decimal.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    # PyTorch sees neither a container's share of the cores nor, in some builds, affinity.
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    if name == "auto":
        if torch.cuda.is_available():
            problem = _missing_code(0)
            if problem is None:
                return torch.device("cuda")
            _LOG.warning("note: %s; the CPU computes", problem)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device: torch.device | None = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise ArgumentError("device", UNKNOWN_DEVICE.format(name))
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = counted(torch.cuda.device_count(), "CUDA device")
        raise ArgumentError("device", f"{name}: this machine has {count}")
    if device.type == "cuda" and (problem := _missing_code(device.index or 0)):
        raise ArgumentError(
            "device", f"{name}: {problem}; install a PyTorch that is, or choose the device cpu"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ArgumentError("device", "mps: not available on this machine")
    return device


def _missing_code(index: int) -> str | None:
    """Return why PyTorch's kernels cannot run on a CUDA device, or None where they can."""
    major, minor = torch.cuda.get_device_capability(index)
    architectures = torch.cuda.get_arch_list()
    if torch.version.hip is not None or _has_code(architectures, major, minor):
        return None
    name = torch.cuda.get_device_name(index)
    return (
        f"{name} has compute capability {major}.{minor}, and this PyTorch {torch.__version__} is "
        f"not built for it ({', '.join(architectures)})"
    )


def _has_code(architectures: Sequence[str], major: int, minor: int) -> bool:
    """Return whether kernels for `sm_XY` (machine code) or `compute_XY` (PTX) run on a GPU.

    Machine code runs on the same major version from its minor one on, PTX on any later GPU. Letters
    as in `sm_90a` bind it to that GPU alone (CUDA C++ Programming Guide, 6.1.2 and 6.1.3).
    """
    for name in architectures:
        kind, _, version = name.partition("_")
        match = re.fullmatch(r"(\d+)(\d)([a-z]?)", version)
        if match is None:
            continue
        built = (int(match[1]), int(match[2]))
        if match[3]:
            runs = built == (major, minor)
        elif kind == "sm":
            runs = built[0] == major and built[1] <= minor
        else:
            runs = built <= (major, minor)
        if runs:
            return True
    return False


def computes_in_bf16(device: torch.device) -> bool:
    """Return whether the hardware multiplies in bfloat16, rather than emulating it more slowly."""
    if device.type == "cuda":
        # PyTorch's own function answers for the current GPU.
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # Older versions of torch lack the function; there fp32 is right, if not fastest.
        capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False


DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Types of numbers by the names that params have for them."""


def uses_bf16(precision: str, device: torch.device) -> bool:
    """Return whether `auto`, `bf16` or `fp32` computes in bfloat16 on `device`."""
    return precision == "bf16" or (precision == "auto" and computes_in_bf16(device))


def is_slow(precision: str, device: torch.device) -> bool:
    """Return whether `device` is a CPU that takes longer in `fp32`, `bf16` or `fp16` than in fp32.

    fp16 is slow on all: with AVX512-FP16, PyTorch's convolutions took 185 times as long.
    """
    if device.type != "cpu" or precision == "fp32":
        return False
    return precision == "fp16" or not computes_in_bf16(device)


def device_name(device: torch.device) -> str:
    """Return a device's name in reports, with the model of a CUDA GPU."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return device.type


def free_memory(device: torch.device) -> int:
    """Return the free bytes of a GPU, with those that PyTorch holds unused, or of the machine."""
    if device.type != "cuda":
        return available_memory()
    free: int = torch.cuda.mem_get_info(device)[0]
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def memory_in_use(device: torch.device) -> int:
    """Return the bytes of a GPU that PyTorch's tensors took at most, or that this process takes."""
    if device.type != "cuda":
        return int(psutil.Process().memory_info().rss)
    return torch.cuda.max_memory_allocated(device)


def to_device_async(tensor: Tensor, device: torch.device) -> Tensor:
    """Return `tensor` on `device`; the host does not wait for a copy to CUDA."""
    if device.type != "cuda":
        return tensor.to(device)
    if tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
