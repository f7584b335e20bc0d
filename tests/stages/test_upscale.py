"""`pipeline upscale` as a user types it."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from pipeline.networks.files import save_generator
from pipeline.networks.srresnet import SRResNet
from tests.stages.program import Finished, pipeline


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model of its own, and two pictures."""
    torch.manual_seed(0)
    network = SRResNet(scale=4, blocks=1, features=8, norm="none")
    save_generator(tmp_path / "small.safetensors", network, {})
    Image.new("RGB", (12, 9), "teal").save(tmp_path / "a.png")
    Image.new("RGB", (7, 5), "gold").save(tmp_path / "b.jpg")
    return tmp_path


def upscale(folder: Path, *arguments: str) -> Finished:
    return pipeline(folder, "upscale", "--model", "small.safetensors", *arguments)


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["a.png"], {"a_x4.png": (48, 36)}),
        (["a.png", "-o", "c.webp"], {"c.webp": (48, 36)}),
        (["a.png", "b.jpg", "-o", "out"], {"out/a_x4.png": (48, 36), "out/b_x4.png": (28, 20)}),
        (["a.png", "--tile", "16", "-o", "c.jpg"], {"c.jpg": (48, 36)}),
    ],
)
def test_pictures_come_out_where_they_should(
    folder: Path, arguments: list[str], written: dict[str, tuple[int, int]]
) -> None:
    result = upscale(folder, *arguments)
    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        f"{name}: {size[0]}×{size[1]}" for name, size in written.items()
    ]
    for name, size in written.items():
        assert Image.open(folder / name).size == size


def test_an_existing_file_is_kept_unless_told(folder: Path) -> None:
    (folder / "a_x4.png").write_text("mine")
    result = upscale(folder, "a.png")
    assert (result.code, (folder / "a_x4.png").read_text()) == (2, "mine")
    assert result.err == "a_x4.png: exists; --overwrite replaces it\n"
    assert upscale(folder, "a.png", "--overwrite").code == 0


def test_a_bad_picture_does_not_stop_the_others(folder: Path) -> None:
    (folder / "bad.png").write_text("no picture")
    result = upscale(folder, "bad.png", "a.png")
    assert result.code == 1
    assert "bad.png: no picture that can be read" in result.err
    assert (folder / "a_x4.png").is_file()
    assert not (folder / "bad_x4.png").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a.png", "b.jpg", "-o", "c.png"], 2, "name a folder"),
        (["a.png", "-o", "c.gif"], 2, "unknown ending"),
        (["a.png", "a.png"], 2, "two pictures would become"),
        (["absent.png"], 1, "absent.png: no such file"),
        (["a.png", "--model", "absent.safetensors"], 1, "absent.safetensors"),
        (["a.png", "--model", "a.png"], 1, "a.png"),
        (["a.png", "--model", "best"], 2, "best is no file, and no model that is here (distortion"),
    ],
)
def test_mistakes_are_named(folder: Path, arguments: list[str], code: int, message: str) -> None:
    result = upscale(folder, *arguments)
    assert (result.code, len(result.err.strip().splitlines())) == (code, 1)
    assert message in result.err


def test_without_any_set_up_the_shipped_model_is_used(folder: Path) -> None:
    results = [
        pipeline(folder, "upscale", "a.png", "-o", f"{name}.png", *model)
        for name, model in (
            ("default", []),
            ("perception", ["--model", "perception"]),
            ("distortion", ["--model", "distortion"]),
        )
    ]
    assert [result.code for result in results] == [0, 0, 0]
    default, perception, distortion = (
        (folder / f"{name}.png").read_bytes() for name in ("default", "perception", "distortion")
    )
    assert default == perception != distortion
