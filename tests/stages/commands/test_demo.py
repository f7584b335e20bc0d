"""What the demo does itself; the stages that it runs have tests of their own."""

from pathlib import Path

from PIL import Image

from pipeline.networks.files import save_generator
from stages.commands.demo import _enlarge_one
from tests.upscaling.small import generator


def test_a_drawing_is_enlarged_by_the_trained_generator(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    save_generator(tmp_path / "models/generator.safetensors", generator(), {})
    before, after = _enlarge_one(tmp_path)
    with Image.open(before) as small, Image.open(after) as large:
        assert large.size == (4 * small.width, 4 * small.height)
    assert _enlarge_one(tmp_path) == (before, after)
