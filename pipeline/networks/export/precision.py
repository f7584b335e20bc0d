"""Precisions of exported files."""

from typing import Literal

import torch

Precision = Literal["fp32", "fp16"]
DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16}
