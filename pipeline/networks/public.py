"""Weights that others have published: ESRGAN's generators and RCANs, under their several names."""

import re
from collections.abc import Mapping

from torch import Tensor

from pipeline.networks.generator import Generator
from pipeline.networks.rcan import RCAN
from pipeline.networks.rrdb import RRDBNet

WRAPPERS = ("params_ema", "params", "state_dict")
"""Keys under which training programs put the weights, the best first."""
# ESRGAN's first code, its second, and ours, which is BasicSR's.
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
# Constants of RCAN's first code, which shifts colours by DIV2K's mean.
SHIFTS = ("sub_mean.", "add_mean.")


def public_generator(saved: Mapping[str, object]) -> Generator | None:
    """The generator that a published file holds, or None where it is of no known kind.

    Raises `ValueError` where the kind is known and the weights do not fit it.
    """
    state = _unwrapped(saved)
    renamed = {_renamed(key): value for key, value in state.items()}
    if "body.0.rdb1.conv1.weight" in renamed:
        return _filled(_rrdb(renamed), renamed)
    if "body.0.body.0.body.3.conv_du.0.weight" in state:
        if any(key.startswith(SHIFTS) for key in state):
            raise ValueError("an RCAN that shifts colours, which is not supported here")
        return _filled(_rcan(state), state)
    return None


def _unwrapped(saved: Mapping[str, object]) -> dict[str, Tensor]:
    for wrapper in WRAPPERS:
        inner = saved.get(wrapper)
        if isinstance(inner, Mapping):
            return _unwrapped(inner)
    return {key: value for key, value in saved.items() if isinstance(value, Tensor)}


def _renamed(key: str) -> str:
    for pattern, ours in RENAMES:
        found, count = re.subn(pattern, ours, key)
        if count:
            return found
    return key


def _rrdb(state: Mapping[str, Tensor]) -> RRDBNet:
    growth, features = state["body.0.rdb1.conv1.weight"].shape[:2]
    doublings = sum(re.fullmatch(r"conv_up\d\.weight", key) is not None for key in state)
    given = state["conv_first.weight"].shape[1]
    if given != 3:
        raise ValueError(f"its first convolution is given {given} channels, not 3")
    return RRDBNet(2**doublings, _length(state, r"body\.(\d+)\."), features, growth)


def _rcan(state: Mapping[str, Tensor]) -> RCAN:
    reduced, features = state["body.0.body.0.body.3.conv_du.0.weight"].shape[:2]
    shufflers = sum(re.fullmatch(r"tail\.0\.\d+\.weight", key) is not None for key in state)
    # The last of each sequence is a convolution, not a group or a block.
    groups = _length(state, r"body\.(\d+)\.") - 1
    blocks = _length(state, r"body\.0\.body\.(\d+)\.") - 1
    return RCAN(2**shufflers, groups, blocks, features, features // reduced)


def _length(state: Mapping[str, Tensor], pattern: str) -> int:
    found = (re.match(pattern, key) for key in state)
    return 1 + max(int(match[1]) for match in found if match)


def _filled(generator: Generator, state: Mapping[str, Tensor]) -> Generator:
    try:
        generator.load_state_dict({key: value.float() for key, value in state.items()})
    except RuntimeError as error:
        raise ValueError(" ".join(str(error).split())) from None
    return generator
