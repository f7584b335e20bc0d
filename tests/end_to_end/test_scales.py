"""Training, evaluation, use and export of generators that restore, or enlarge by three."""

import csv
from pathlib import Path

import pytest
from PIL import Image
from spandrel import ModelLoader

from tests.evaluation.world import make_world
from tests.stages.program import pipeline

PARAMS = """\
resize: {{size: 64}}
train:
  generator: {{kind: compact, blocks: 1, features: 8}}
  scale: {scale}
  crop: 24
  steps: 2
  adv_weight: 0
  degradation: {degradation}
  device: cpu
  validate_every: 1
  validation_images: 1
evaluate:
  {{device: cpu, lpips: 'off', dists: 'off', pictures: 1, detail: 16, degradation: {degradation}}}
"""


@pytest.mark.slow
@pytest.mark.parametrize(("scale", "side"), [(1, 64), (3, 63)])
def test_a_scale_goes_through_all_that_follows_training(
    scale: int, side: int, tmp_path: Path
) -> None:
    make_world(tmp_path, {"train": 2, "val": 1, "test": 2})
    degradation = "web" if scale == 1 else "none"
    (tmp_path / "params.yaml").write_text(PARAMS.format(scale=scale, degradation=degradation))
    model = "models/generator.safetensors"
    Image.new("RGB", (20, 13), "teal").save(tmp_path / "a.png")
    for arguments in (
        ["train"],
        ["evaluate"],
        ["pairs", "pairs"],
        ["upscale", "a.png", "--model", model],
        ["export", model, "--format", "pth"],
        ["card", model, "-o", "card.md"],
    ):
        result = pipeline(tmp_path, *arguments)
        assert result.code == 0, result.err
    with (tmp_path / "reports/evaluate/means.csv").open() as file:
        methods = dict.fromkeys(row["method"] for row in csv.DictReader(file))
    filters = ["input"] if scale == 1 else ["nearest", "bilinear", "bicubic", "lanczos"]
    assert list(methods) == [*filters, "model"]
    page = (tmp_path / "reports/index.html").read_text()
    assert ("interpolation" in page) == (scale > 1)
    assert f"Anime illustrations, {'restored' if scale == 1 else 'enlarged 3×'}</title>" in page
    for kind, expected in (("hr", side), ("lr", side // scale)):
        with Image.open(tmp_path / f"pairs/{kind}/104.png") as image:
            assert image.size == (expected, expected)
    with Image.open(tmp_path / f"a_x{scale}.png") as image:
        assert image.size == (20 * scale, 13 * scale)
    assert ModelLoader().load_from_file(tmp_path / f"{scale}x-generator.pth").scale == scale
    assert f"×{scale};" in (tmp_path / "card.md").read_text()
