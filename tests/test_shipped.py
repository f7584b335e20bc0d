"""The shipped generators: files, model cards, and flat pictures."""

import json
from pathlib import Path

import pytest
import torch

from pipeline.errors import UsageError
from pipeline.networks.files import load_generator
from pipeline.shipped import DEFAULT, model_file, other_content, shipped_models
from tests.stages.program import pipeline

MODELS = shipped_models()


def test_one_for_distortion_and_one_for_perception() -> None:
    assert {"distortion", "perception"} <= set(MODELS)
    assert DEFAULT in MODELS


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_card_with_its_figures(name: str) -> None:
    loaded = load_generator(MODELS[name])
    card = MODELS[name].with_suffix(".md").read_text(encoding="utf-8")
    for title in ("Data", "Recipe", "Figures", "Limits", "Licence"):
        assert f"\n## {title}\n" in card
    for value in json.loads(loaded.metadata["figures"]).values():
        assert value.removesuffix(" dB") in card


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("name", MODELS)
def test_flat_pictures_come_back_within_one_level(name: str, level: int) -> None:
    generator = load_generator(MODELS[name]).generator
    side = 2 * generator.receptive_radius + 8
    flat = torch.full((1, 3, side, side), level, dtype=torch.uint8)
    margin = generator.receptive_radius * generator.scale
    inside = generator.enlarge(flat)[..., margin:-margin, margin:-margin].int()
    assert (inside - level).abs().max() <= 1


def test_a_model_is_a_name_or_a_path(tmp_path: Path) -> None:
    assert model_file(DEFAULT) == MODELS[DEFAULT]
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"\x80\2")
    assert model_file(str(mine)) == mine
    with pytest.raises(UsageError) as error:
        model_file("best")
    names = ", ".join(MODELS)
    assert str(error.value) == f"model: best is no file, and no model that is here ({names})"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty, not a model"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "is a picture (PNG), not a model"),
        (b"\n<!DOCTYPE html>\n<p>", "is text, not a model; it begins: <!DOCTYPE html>"),
        (b"version https://x\noid 1", "is text, not a model; it begins: version https://x"),
        # A letter of two bytes is cut by the end of what is read.
        (b"a" * 63 + "ä".encode(), f"is text, not a model; it begins: {'a' * 63}"),
        (b"GGGGGGGG{}", None),  # a safetensors file may begin as text
        (b"PK\3\4text", None),
        (b"\x80\2text", None),
        (b"text\xff", None),
    ],
)
def test_what_is_clearly_no_model_is_named(
    tmp_path: Path, content: bytes, problem: str | None
) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    assert other_content(path, "a model") == problem


def test_folders_and_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert other_content(tmp_path, "a checkpoint") == "is a folder, not a checkpoint"
    assert other_content(tmp_path / "absent", "a model") is None


@pytest.mark.slow
def test_they_are_listed(tmp_path: Path) -> None:
    result = pipeline(tmp_path, "models")
    assert result.code == 0, result.err
    for name, path in MODELS.items():
        assert f"\n{name}" in f"\n{result.out}"
        assert str(path) in result.out
