"""Which device computes, and in which precision."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pipeline.errors import UsageError


def pick_device(name: str) -> torch.device:
    """The device that `name` stands for: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    `auto` takes CUDA, then MPS, then the CPU. From then on CUDA computes the same twice, and single
    precision is IEEE's there, too. Raises `UsageError` where the device is not there.
    """
    # PyTorch rounds the factors of convolutions to TF32's 10 bits otherwise, which moves SSIM in
    # its second decimal.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device: torch.device | None = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"device {name}: unknown; use auto, cpu, cuda, cuda:N or mps")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise UsageError(f"device {name}: this machine has {found} CUDA devices")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device mps: not available on this machine")
    return device


def computes_in_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies in bfloat16, rather than imitating it more slowly."""
    if device.type == "cuda":
        # PyTorch's own answer is about the current card.
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # Older torch cannot be asked; there fp32 is right, if not fastest.
        capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False


def device_name(device: torch.device) -> str:
    """Return what a report calls a device, with the model of a CUDA card."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return device.type


def free_cuda_memory(device: torch.device) -> int:
    """Return the bytes of a card that are free, those included that PyTorch keeps for itself."""
    free: int = torch.cuda.mem_get_info(device)[0]
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Return `tensor` on a CUDA `device`; the host does not wait for the copy."""
    if tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
