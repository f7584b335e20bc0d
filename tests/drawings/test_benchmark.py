"""The public benchmark: its drawings are those that the published table is of."""

import hashlib
import platform

import PIL
import pytest
import torch

from benchmarks.drawings import (
    FIRST,
    SEEDS,
    SHA256_OF_DRAWINGS,
    SHA256_OF_FIRST,
    SHA256_OF_IMAGES,
    settings,
    sha256_of_all,
)
from pipeline.drawings import draw
from pipeline.manifest.splits import draw as draw_split
from pipeline.params import Params
from pipeline.params.file import with_changes
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs/results/drawings.md").read_text(encoding="utf-8")
# Older versions of Pillow fill polygons otherwise, and without AVX2 NumPy rounds sines otherwise.
DRAWS_THE_SAME = (
    platform.system() == "Linux"
    and torch.backends.cpu.get_cpu_capability().startswith("AVX")
    and tuple(map(int, PIL.__version__.split(".")[:2])) >= (11, 2)
)


@pytest.mark.skipif(not DRAWS_THE_SAME, reason="another machine or Pillow: other pixels")
def test_the_first_drawings_are_as_published() -> None:
    """Whoever changes the drawings on purpose measures the table again, and pins new hashes."""
    images = [draw(seed).image for seed in SEEDS[:FIRST]]
    hashes = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
    assert sha256_of_all(hashes) == SHA256_OF_FIRST


@pytest.mark.parametrize("sha256", [SHA256_OF_DRAWINGS, SHA256_OF_IMAGES])
def test_the_page_has_the_hashes(sha256: str) -> None:
    assert f"`{sha256}`" in PAGE


def test_a_hundred_drawings_are_measured() -> None:
    manifest = with_changes(Params(), settings("http://127.0.0.1:8931")).manifest
    drawn = [draw_split(manifest.seed, "split", id) for id in range(1, len(SEEDS) + 1)]
    assert sum(value >= 1 - manifest.test_fraction for value in drawn) == 100
