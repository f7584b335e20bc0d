"""Published weights of ESRGAN and RCAN, under the names that several programs give them."""

import re
from collections.abc import Mapping

from torch import Tensor

from pipeline.networks.generators.base import Generator
from pipeline.networks.generators.from_config import generator_from_config
from pipeline.networks.generators.rcan import RCAN
from pipeline.networks.generators.rrdb import RRDBNet

WRAPPERS = ("params_ema", "params", "state_dict")
"""Keys under which training programs save the weights. Where a file has several, the first counts:
`params_ema` are the averaged ones."""
MAX_WRAPPERS = 8
"""Such keys in each other; a hostile file may have any number."""
# From the names of ESRGAN's first and second code to BasicSR's, which are ours.
RENAMES = (
    (r"^model\.0\.", "conv_first."),
    (r"^model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.", r"body.\1.rdb\2.conv\3."),
    (r"^model\.1\.sub\.\d+\.", "conv_body."),
    (r"^model\.3\.", "conv_up1."),
    (r"^model\.6\.", "conv_up2."),
    (r"^model\.8\.", "conv_hr."),
    (r"^model\.10\.", "conv_last."),
    (r"^RRDB_trunk\.(\d+)\.RDB(\d)\.", r"body.\1.rdb\2."),
    (r"^trunk_conv\.", "conv_body."),
    (r"^upconv(\d)\.", r"conv_up\1."),
    (r"^HRconv\.", "conv_hr."),
)
# Layers of RCAN's first code, which shift colours by DIV2K's mean.
MEAN_SHIFTS = ("sub_mean.", "add_mean.")


def public_generator(saved: Mapping[str, object]) -> Generator | None:
    """Return the generator of a published file, or None where the architecture is unknown.

    Raises `ValueError`, or an error of PyTorch, where the weights do not fit the architecture.
    """
    state = _unwrapped(saved)
    renamed = {_renamed(key): value for key, value in state.items()}
    if "body.0.rdb1.conv1.weight" in renamed:
        return generator_from_config(RRDBNet, _rrdb_config(renamed), renamed)
    if "body.0.body.0.body.3.conv_du.0.weight" in state:
        if any(key.startswith(MEAN_SHIFTS) for key in state):
            raise ValueError("an RCAN that shifts colours, which is not supported here")
        return generator_from_config(RCAN, _rcan_config(state), state)
    return None


def _unwrapped(saved: Mapping[str, object]) -> dict[str, Tensor]:
    """Return the tensors under the innermost of `WRAPPERS`. Raises `ValueError` if too deep."""
    for _ in range(MAX_WRAPPERS):
        inner = (saved.get(wrapper) for wrapper in WRAPPERS)
        wrapped = next((value for value in inner if isinstance(value, Mapping)), None)
        if wrapped is None:
            named = ((key, value) for key, value in saved.items() if isinstance(key, str))
            return {key: value for key, value in named if isinstance(value, Tensor)}
        saved = wrapped
    raise ValueError(f"its weights lie more than {MAX_WRAPPERS} dictionaries deep")


def _renamed(key: str) -> str:
    for pattern, ours in RENAMES:
        renamed, count = re.subn(pattern, ours, key)
        if count:
            return renamed
    return key


def _rrdb_config(state: Mapping[str, Tensor]) -> dict[str, int]:
    growth, features = _channels(state, "body.0.rdb1.conv1.weight")
    doublings = sum(re.fullmatch(r"conv_up\d\.weight", key) is not None for key in state)
    _, channels_in = _channels(state, "conv_first.weight")
    if channels_in != 3:
        raise ValueError(f"its first convolution takes {channels_in} channels, not 3")
    blocks = _sequence_length(state, r"body\.(\d+)\.")
    return {"scale": 2**doublings, "blocks": blocks, "features": features, "growth": growth}


def _rcan_config(state: Mapping[str, Tensor]) -> dict[str, int]:
    reduced, features = _channels(state, "body.0.body.0.body.3.conv_du.0.weight")
    shufflers = sum(re.fullmatch(r"tail\.0\.\d+\.weight", key) is not None for key in state)
    return {
        "scale": 2**shufflers,
        # The last of each sequence is a convolution, not a group or a block.
        "groups": _sequence_length(state, r"body\.(\d+)\.") - 1,
        "blocks": _sequence_length(state, r"body\.0\.body\.(\d+)\.") - 1,
        "features": features,
        "reduction": features // max(reduced, 1),
    }


def _channels(state: Mapping[str, Tensor], key: str) -> tuple[int, int]:
    """Return output and input channels of a convolution. Raises `ValueError` if there is none."""
    if key not in state:
        raise ValueError(f"{key} is missing")
    shape = state[key].shape
    if len(shape) != 4:
        raise ValueError(f"{key} has shape {tuple(shape)}, which is no convolution's")
    return shape[0], shape[1]


def _sequence_length(state: Mapping[str, Tensor], pattern: str) -> int:
    """Return one more than the largest index that `pattern` matches in the names."""
    matches = (re.match(pattern, key) for key in state)
    return 1 + max(int(match[1]) for match in matches if match)
