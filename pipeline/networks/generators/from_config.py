"""Construction of generators from the config and weights of an untrusted file."""

from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import torch

from pipeline.networks.generators.base import Generator
from pipeline.networks.tensor_files import checked_state_dict

MAX_SIZE = 65_536
# Each block takes time to construct, before any weight is compared; RCAN has 200.
MAX_BLOCKS = 1000
MAX_SCALE = 16


def generator_from_config(
    architecture: type[Generator], config: object, state: Mapping[str, object]
) -> Generator:
    """Return `architecture(**config)` with the weights `state`.

    Raises `ValueError`, or an error of PyTorch, where they do not fit, before memory is allocated.
    """
    arguments = _checked_arguments(architecture, config)
    with torch.device("meta"):
        generator = architecture(**arguments)
    weights = checked_state_dict(generator.state_dict(), state)
    generator.load_state_dict(weights, assign=True)
    return generator


def _checked_arguments(architecture: type[Generator], config: object) -> dict[str, Any]:
    """Return `config` if its names and values are the constructor's. Raises `ValueError`."""
    if not isinstance(config, Mapping):
        raise ValueError("its config is no mapping")
    types = get_type_hints(architecture.__init__)
    for name, value in config.items():
        if name not in types:
            raise ValueError(f"its config has {name}, which no such network has")
        if types[name] is not int:
            if value not in get_args(types[name]):
                raise ValueError(f"its {name} is {value!r}, which is unknown")
        elif type(value) is not int or not 1 <= value <= MAX_SIZE:
            raise ValueError(f"its {name} is {value!r}, not a number from 1 to {MAX_SIZE}")
    blocks = config.get("groups", 1) * config.get("blocks", 1)
    if blocks > MAX_BLOCKS:
        raise ValueError(f"it has {blocks} blocks; up to {MAX_BLOCKS} are supported")
    if config.get("scale", 1) > MAX_SCALE:
        raise ValueError(f"it enlarges {config['scale']} times; up to {MAX_SCALE} are supported")
    return dict(config)
