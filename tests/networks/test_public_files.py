"""Published weights, under the names of every program."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.networks import RCAN, RRDBNet, SRResNet
from pipeline.networks.files import load_generator, save_generator

State = dict[str, Tensor]


def first_names(state: State) -> State:
    """As ESRGAN's first code had them."""
    blocks = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("body."))
    names = {
        "conv_first": "model.0",
        "conv_body": f"model.1.sub.{blocks}",
        "conv_up1": "model.3",
        "conv_up2": "model.6",
        "conv_hr": "model.8",
        "conv_last": "model.10",
    }
    renamed = {}
    for key, value in state.items():
        inner = r"body\.(\d+)\.rdb(\d)\.conv(\d)\.(\w+)"
        name = re.sub(inner, r"model.1.sub.\1.RDB\2.conv\3.0.\4", key)
        part, _, kind = name.rpartition(".")
        renamed[f"{names.get(part, part)}.{kind}"] = value
    return renamed


def second_names(state: State) -> State:
    """As ESRGAN's second code had them."""
    pairs = {
        r"body\.(\d+)\.rdb(\d)": r"RRDB_trunk.\1.RDB\2",
        "conv_body": "trunk_conv",
        r"conv_up(\d)": r"upconv\1",
        "conv_hr": "HRconv",
    }
    renamed = {}
    for key, value in state.items():
        for pattern, theirs in pairs.items():
            key = re.sub(f"^{pattern}", theirs, key)
        renamed[key] = value
    return renamed


@pytest.mark.parametrize("rename", [dict, first_names, second_names])
@pytest.mark.parametrize("kind", ["safetensors", "pth", "wrapped.pth"])
def test_esrgans_files_load(rename: Callable[[State], State], kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = RRDBNet(blocks=2, features=12, growth=6)
    state, path = rename(network.state_dict()), tmp_path / f"model.{kind}"
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save({"params_ema": state, "params": {}} if "wrapped" in kind else state, path)
    loaded = load_generator(path)
    assert loaded.generator.config == {"scale": 4, "blocks": 2, "features": 12, "growth": 6}
    assert loaded.metadata["architecture"] == "rrdb"
    lr = torch.rand(1, 3, 9, 7)
    assert torch.equal(loaded.generator(lr), network(lr))


@pytest.mark.parametrize("scale", [2, 4])
def test_rcans_files_load(scale: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = RCAN(scale=scale, groups=2, blocks=3, features=16, reduction=4)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    loaded = load_generator(tmp_path / "model.safetensors")
    assert loaded.generator.config == network.config
    lr = torch.rand(1, 3, 9, 7)
    assert torch.equal(loaded.generator(lr), network(lr))


def test_half_precision_becomes_fp32(tmp_path: Path) -> None:
    network = RRDBNet(blocks=1, features=8, growth=4).half()
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    loaded = load_generator(tmp_path / "model.safetensors").generator
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return (json.loads, ("[]",))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"weight": torch.zeros(1)}, "holds no generator that is known here"),
        ({"weight": Harmful()}, "no whole file of weights and nothing else"),
        (
            {**RCAN(groups=1, blocks=1).state_dict(), "sub_mean.bias": torch.zeros(3)},
            "an RCAN that shifts colours",
        ),
        (
            {**RRDBNet(blocks=1).state_dict(), "conv_hr.weight": torch.zeros(1)},
            "its weights fit no network: .*conv_hr.weight",
        ),
        (
            {**RRDBNet(blocks=1).state_dict(), "conv_first.weight": torch.zeros(64, 12, 3, 3)},
            "its first convolution takes 12 channels, not 3",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(content: object, problem: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(PipelineError, match=problem) as caught:
        load_generator(tmp_path / "model.pth")
    assert str(caught.value).startswith(f"{tmp_path / 'model.pth'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "network", [SRResNet(blocks=1, features=8), RRDBNet(blocks=1, features=8), RCAN(groups=1)]
)
def test_ours_say_what_they_are(network, tmp_path: Path) -> None:
    save_generator(tmp_path / "model.safetensors", network, {})
    loaded = load_generator(tmp_path / "model.safetensors")
    assert type(loaded.generator) is type(network)
    assert loaded.generator.config == network.config
