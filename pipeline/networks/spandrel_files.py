"""Weights of other programs' files, opened by the library spandrel."""

import math
import re
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.networks.generators.spandrel_generator import SpandrelGenerator
from pipeline.networks.tensor_files import checked_state_dict, tensors_in

MAX_WRAPPERS = 8
"""Dictionaries around the weights; a hostile file may have any number."""
MAX_BLOCKS = 1000
"""Largest number in a weight's name, from which architectures count their blocks."""
MAX_TENSORS = 100_000
# A network may make masks and tables beside its weights.
VALUES_PER_WEIGHT = 4
MAX_OTHER_VALUES = 2**24


def spandrel_generator(saved: Mapping[str, object]) -> SpandrelGenerator:
    """Return the network whose weights `saved` are, possibly inside of other dictionaries.

    Raises `ValueError`, or any error of spandrel, for what is no network from pictures to pictures.
    """
    import spandrel  # a second of time, which only files of other programs take

    weights = _checked_weights(_unwrapped(saved))
    architecture = next(
        (
            support.architecture
            for support in spandrel.MAIN_REGISTRY.architectures("detection")
            if support.detect(weights)
        ),
        None,
    )
    if architecture is None:
        raise ValueError("no architecture that spandrel knows has such names")
    with warnings.catch_warnings(), _BoundedMemory(_values(weights)):
        # torch warns of spandrel's code.
        warnings.simplefilter("ignore")
        try:
            descriptor = architecture.load(weights)
        except Exception as error:  # shapes that do not fit raise nearly any exception
            raise ValueError(f"{architecture.name}: {error}") from error
    if not isinstance(descriptor, spandrel.ImageModelDescriptor) or descriptor.purpose not in (
        "SR",
        "Restoration",
    ):
        raise ValueError(f"{architecture.name} is for {descriptor.purpose}, not for any picture")
    return SpandrelGenerator(descriptor)


def _values(weights: Mapping[str, Tensor]) -> int:
    return sum(weight.numel() for weight in weights.values())


def _unwrapped(saved: Mapping[str, object]) -> dict[str, object]:
    """Return the innermost dictionary, without the prefixes that wrappers add to names."""
    from spandrel import canonicalize_state_dict

    content = dict(saved)
    for _ in range(MAX_WRAPPERS):
        inner = canonicalize_state_dict(content)
        if inner.keys() == content.keys():
            return content
        content = dict(inner)
    raise ValueError(f"its weights lie more than {MAX_WRAPPERS} dictionaries deep")


def _checked_weights(content: Mapping[str, object]) -> dict[str, Tensor]:
    """Return copies of the tensors. Raises `ValueError` for what could only be hostile."""
    weights = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if not weights or len(weights) > MAX_TENSORS:
        raise ValueError(f"it holds {len(weights)} weights by their names")
    for name in weights:
        if not isinstance(name, str) or not name.isprintable():
            raise ValueError(f"{name!r:.40} is no weight's name")
        if any(int(number[-9:]) > MAX_BLOCKS for number in re.findall(r"\d+", name)):
            raise ValueError(f"its {name} counts more than {MAX_BLOCKS} blocks")
    expected = {name: _as_computed(name, weight) for name, weight in weights.items()}
    return checked_state_dict(expected, weights)


def _as_computed(name: str, weight: Tensor) -> Tensor:
    """Return a tensor without data, of the weight's shape and in fp32 where it is of any floats."""
    if weight.is_complex() or weight.dtype is torch.bool:
        raise ValueError(f"its {name} holds {weight.dtype}")
    dtype = torch.float32 if weight.is_floating_point() else weight.dtype
    return torch.empty(weight.shape, dtype=dtype, device="meta")


class _BoundedMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses tensors beyond a multiple of the weights: shapes in a file can claim any size."""

    def __init__(self, weight_values: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._left = weight_values * VALUES_PER_WEIGHT + MAX_OTHER_VALUES

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function.overloadpacket in _FACTORIES:
            self._count(math.prod(args[0]))
            return function(*args, **(kwargs or {}))
        result = function(*args, **(kwargs or {}))
        given = {tensor.untyped_storage().data_ptr() for tensor in tensors_in(args)}
        made = [
            tensor
            for tensor in tensors_in(result)
            if tensor.untyped_storage().data_ptr() not in given
        ]
        self._count(sum(tensor.numel() for tensor in made))
        return result

    def _count(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise ValueError("its network is far larger than its weights")


_FACTORIES = {
    torch.ops.aten.empty,
    torch.ops.aten.full,
    torch.ops.aten.ones,
    torch.ops.aten.rand,
    torch.ops.aten.randn,
    torch.ops.aten.zeros,
}
