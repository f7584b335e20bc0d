"""Names of devices, as params and options take them; without PyTorch, which takes long to load."""

import re

from pipeline.errors import ArgumentError

DEVICE_NAMES = "auto, cpu, cuda, cuda:N or mps"
DEVICE_PATTERN = r"^(auto|cpu|mps|cuda(:\d+)?)$"
UNKNOWN_DEVICE = f"{{}} is unknown; use {DEVICE_NAMES}"
"""Problem of a name, to be filled in."""


def check_device_name(name: str) -> None:
    """Raise `ArgumentError` for what is no name of a device."""
    if not re.match(DEVICE_PATTERN, name):
        raise ArgumentError("device", UNKNOWN_DEVICE.format(name))
