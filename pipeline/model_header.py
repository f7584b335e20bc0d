"""What the header of a model file says, read without loading PyTorch."""

import re
from pathlib import Path

from safetensors import SafetensorError, safe_open


def scale_in_header(path: Path) -> int | None:
    """Return the scale that a model file of ours states; None for any other file."""
    try:
        with safe_open(path, "numpy") as tensors:
            metadata = tensors.metadata() or {}
    except (OSError, SafetensorError):
        return None
    text = metadata.get("scale", "") if "config" in metadata else ""
    return int(text) if re.fullmatch("[1-9][0-9]?", text) else None
