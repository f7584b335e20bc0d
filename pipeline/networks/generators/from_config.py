"""Generators built from what a file says of itself, which may be anything."""

from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import torch

from pipeline.networks.generators.base import Generator
from pipeline.networks.tensor_files import fitting

MAX_SIZE = 65_536
# Each block takes time before a weight of it is looked at; RCAN has 200.
MAX_BLOCKS = 1000
MAX_SCALE = 16


def built(kind: type[Generator], config: object, state: Mapping[str, object]) -> Generator:
    """A generator of that kind with the constructor's arguments `config` and the weights `state`.

    Raises `ValueError`, or what PyTorch does, where they do not fit, before memory is taken.
    """
    arguments = _checked(kind, config)
    with torch.device("meta"):
        generator = kind(**arguments)
    weights = fitting(generator.state_dict(), state)
    generator.load_state_dict(weights, assign=True)
    return generator


def _checked(kind: type[Generator], config: object) -> dict[str, Any]:
    if not isinstance(config, Mapping):
        raise ValueError("its config is no mapping")
    types = get_type_hints(kind.__init__)
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
