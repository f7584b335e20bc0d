"""How LR images are made from HR ones: the same everywhere."""

from torch import Tensor
from torch.nn import functional as F


def downscale(hr: Tensor, scale: int) -> Tensor:
    """Antialiased bicubic, rounded to 8 bits: `(N, 3, H, W) uint8` to `(N, 3, H/scale, W/scale)`.

    Within one level of Pillow's BICUBIC. Raises `ValueError` where a side is no multiple of
    `scale`.
    """
    height, width = hr.shape[-2:]
    if height % scale or width % scale:
        raise ValueError(f"{width}×{height} is no multiple of {scale}")
    size = (height // scale, width // scale)
    if hr.device.type == "cpu":
        return F.interpolate(hr, size, mode="bicubic", antialias=True)
    smooth = F.interpolate(hr.float(), size, mode="bicubic", antialias=True)
    return smooth.round().clamp(0, 255).to(hr.dtype)
