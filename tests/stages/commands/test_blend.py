"""`pipeline blend`, run as a user runs it."""

from pathlib import Path

import pytest
import torch

from pipeline.networks import SRResNet
from pipeline.networks.files import load_generator, save_generator
from tests.stages.program import pipeline


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a", "b")):
        torch.manual_seed(seed)
        network = SRResNet(blocks=1, features=8, norm="none", skip="bicubic")
        save_generator(tmp_path / f"{name}.safetensors", network, {})
    save_generator(tmp_path / "other.safetensors", SRResNet(blocks=2, features=8), {})
    return tmp_path


def test_the_file_lies_between_the_two(files: Path) -> None:
    result = pipeline(files, "blend", "--alpha", "0.25", "a.safetensors", "b.safetensors")
    assert result.code == 0, result.err
    assert result.out == "models/blend.safetensors: 0.75 of a.safetensors, 0.25 of b.safetensors\n"
    names = ("a.safetensors", "b.safetensors", "models/blend.safetensors")
    a, b, mixed = (load_generator(files / name) for name in names)
    assert mixed.metadata["blend_alpha"] == "0.25"
    for name, value in mixed.generator.state_dict().items():
        ends = (network.generator.state_dict()[name] for network in (a, b))
        torch.testing.assert_close(value, torch.lerp(*ends, 0.25))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a.safetensors", "other.safetensors"], 2, "weights of two kinds of generator"),
        (["a.safetensors", "absent.safetensors"], 2, "PERCEPTION: absent.safetensors: no"),
        (["a.safetensors", "b.safetensors", "--alpha", "2"], 2, "--alpha: 2 is more than 1"),
        (["a.safetensors", "b.safetensors", "-o", "b.safetensors"], 2, "--output: b.safetensors"),
        (["a.safetensors", "b.safetensors", "-o", "."], 2, ".: is a folder; name a file"),
        (
            ["a.safetensors", "b.safetensors", "-o", "other.safetensors"],
            2,
            "other.safetensors: exists; --overwrite replaces it",
        ),
    ],
)
def test_what_cannot_be_blended_is_one_line(
    files: Path, arguments: list[str], code: int, message: str
) -> None:
    before = sorted(files.rglob("*"))
    result = pipeline(files, "blend", *arguments)
    assert result.code == code
    assert len(result.problems) == 1
    assert result.problems[0].startswith(message)
    assert sorted(files.rglob("*")) == before
