import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pipeline.errors import PipelineError
from pipeline.networks import SRResNet
from pipeline.networks.files import load_generator, save_generator

METADATA = {"params": "{}", "step": "7", "vgg": "random"}


@pytest.fixture
def generator() -> SRResNet:
    torch.manual_seed(0)
    network = SRResNet(scale=2, blocks=1, features=8)
    network(torch.rand(2, 3, 8, 8))
    return network


def test_a_loaded_generator_gives_the_same_results(generator: SRResNet, tmp_path: Path) -> None:
    path = tmp_path / "new/generator.safetensors"
    save_generator(path, generator, METADATA)
    loaded = load_generator(path)
    lr = torch.rand(1, 3, 9, 9)
    assert torch.equal(loaded.generator(lr), generator.eval()(lr))
    assert not loaded.generator.training
    assert loaded.generator.config == generator.config
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_metadata_says_how_to_build_the_network(generator: SRResNet, tmp_path: Path) -> None:
    path = tmp_path / "generator.safetensors"
    save_generator(path, generator, METADATA)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata.pop("format") == "pt"
    assert metadata.pop("architecture") == "srresnet"
    assert metadata.pop("scale") == "2"
    assert json.loads(metadata.pop("config")) == {
        "scale": 2,
        "blocks": 1,
        "features": 8,
        "norm": "batch",
        "skip": "none",
        "upsampling": "stages",
    }
    assert metadata == METADATA
    assert load_generator(path).metadata["step"] == "7"


def test_weights_are_kept_in_fp32(generator: SRResNet, tmp_path: Path) -> None:
    path = tmp_path / "generator.safetensors"
    save_generator(path, generator.half(), METADATA)
    with safe_open(path, "pt") as file:
        kinds = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    assert kinds == {torch.float32, torch.int64}


def test_the_same_generator_gives_the_same_bytes(generator: SRResNet, tmp_path: Path) -> None:
    """Whatever the layout in memory: what DVC tracks must not change where nothing has."""
    save_generator(tmp_path / "a", generator, METADATA)
    save_generator(tmp_path / "b", generator.to(memory_format=torch.channels_last), METADATA)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_header_of_any_length_is_read(generator: SRResNet, tmp_path: Path) -> None:
    """Its length, the first bytes, may look like a pickle's start."""
    path = tmp_path / "generator.safetensors"
    save_generator(path, generator, METADATA)
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    start = b"\x80\2\1".ljust(8, b"\0")
    header = content[8:end].ljust(int.from_bytes(start, "little"))
    path.write_bytes(start + header + content[end:])
    assert load_generator(path).generator.config == generator.config


def damaged(path: Path, content: bytes) -> None:
    path.write_bytes(content[: len(content) // 2])


def pickled(path: Path, content: bytes) -> None:
    torch.save({"weight": torch.zeros(1)}, path)


def foreign(path: Path, content: bytes) -> None:
    save_file({"weight": torch.zeros(1)}, path)


def unknown_option(path: Path, content: bytes) -> None:
    tensors, config = {"weight": torch.zeros(1)}, json.dumps({"colour": "red"})
    save_file(tensors, path, {"architecture": "srresnet", "config": config})


def other_sizes(path: Path, content: bytes) -> None:
    tensors, config = {"weight": torch.zeros(1)}, json.dumps({"blocks": 1})
    save_file(tensors, path, {"architecture": "srresnet", "config": config})


def no_json(path: Path, content: bytes) -> None:
    metadata = {"architecture": "srresnet", "config": "3 blocks"}
    save_file({"weight": torch.zeros(1)}, path, metadata)


def missing(path: Path, content: bytes) -> None:
    path.unlink()


def folder(path: Path, content: bytes) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "spoil",
    [damaged, pickled, foreign, unknown_option, other_sizes, no_json, missing, folder],
)
def test_any_other_file_is_refused_with_one_line(
    spoil, generator: SRResNet, tmp_path: Path
) -> None:
    path = tmp_path / "generator.safetensors"
    save_generator(path, generator, METADATA)
    spoil(path, path.read_bytes())
    with pytest.raises(PipelineError) as raised:
        load_generator(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
