"""The drawings keep their promises: size, sameness, difference, and something to learn from."""

import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

from pipeline.drawings import Drawing, draw, drawing_size
from pipeline.drawings.canvas import Canvas, Tone, tone_cell
from pipeline.drawings.geometry import Frame, ellipse, points, rectangle, ribbon, smooth

SEEDS = range(12)

PRINT_DIGESTS = """
import sys
from hashlib import sha256
from pipeline.drawings import draw
for seed in map(int, sys.argv[1:]):
    print(sha256(draw(seed).image.tobytes()).hexdigest())
"""


def digest(image: Image.Image) -> str:
    return sha256(image.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def drawings() -> dict[int, Drawing]:
    return {seed: draw(seed) for seed in SEEDS}


def test_a_drawing_is_rgb_and_as_large_as_promised(drawings: dict[int, Drawing]) -> None:
    for seed, drawing in drawings.items():
        assert drawing.image.mode == "RGB"
        assert drawing.image.size == drawing_size(seed)


def test_sizes_lie_within_the_bounds_and_vary() -> None:
    sizes = [drawing_size(seed) for seed in range(500)]
    assert all(min(size) >= 700 and max(size) <= 1600 for size in sizes)
    assert all(0.66 < width / height < 1.51 for width, height in sizes)
    assert len(set(sizes)) > 300
    assert {np.sign(width - height) for width, height in sizes} == {-1, 0, 1}


def test_the_same_seed_gives_the_same_pixels_and_tags(drawings: dict[int, Drawing]) -> None:
    again = draw(3)
    assert digest(again.image) == digest(drawings[3].image)
    assert again.tags == drawings[3].tags


def test_another_process_draws_the_same_pixels(drawings: dict[int, Drawing]) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", PRINT_DIGESTS, "1", "2"], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == [digest(drawings[seed].image) for seed in (1, 2)]


def test_different_seeds_give_different_pixels(drawings: dict[int, Drawing]) -> None:
    assert len({digest(drawing.image) for drawing in drawings.values()}) == len(SEEDS)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        draw(-1)


def test_tags_are_sorted_and_shaped_like_a_boorus(drawings: dict[int, Drawing]) -> None:
    for drawing in drawings.values():
        assert list(drawing.tags) == sorted(set(drawing.tags))
        assert all(tag and tag == tag.lower() and " " not in tag for tag in drawing.tags)
        counted = {"1girl", "2girls", "multiple_girls", "no_humans"}
        assert counted & set(drawing.tags)


def test_tags_tell_coloured_characters_hair_and_eyes(drawings: dict[int, Drawing]) -> None:
    seen: set[str] = set()
    for drawing in drawings.values():
        seen |= set(drawing.tags)
        if "1girl" in drawing.tags and "monochrome" not in drawing.tags:
            assert any(tag.endswith("_eyes") for tag in drawing.tags)
            assert any(tag.endswith("_hair") for tag in drawing.tags)
    assert {"monochrome", "comic", "1girl", "solo", "text"} <= seen


def test_monochrome_pages_are_grey_and_others_are_not(drawings: dict[int, Drawing]) -> None:
    for drawing in drawings.values():
        colour = np.ptp(np.asarray(drawing.image).astype(int), axis=2).mean()
        assert (colour < 2) == ("monochrome" in drawing.tags)


def test_no_drawing_is_flat(drawings: dict[int, Drawing]) -> None:
    for drawing in drawings.values():
        grey = np.asarray(drawing.image.convert("L")).astype(int)
        steep = (np.abs(np.diff(grey, axis=1)) > 24).mean()
        assert steep > 0.005
        assert len(np.unique(grey)) > 60


def test_a_curve_runs_through_its_control_points() -> None:
    control = points((0, 0), (2, 1), (3, -1), (5, 0))
    curve = smooth(control, steps=6)
    assert len(curve) == 3 * 6 + 1
    np.testing.assert_allclose(curve[::6], control)
    closed = smooth(control, closed=True, steps=6)
    np.testing.assert_allclose(closed[::6], control)


def test_a_ribbon_is_as_wide_as_asked() -> None:
    outline = ribbon(points((0, 0), (1, 0), (2, 0)), [1.0, 2.0, 1.0])
    np.testing.assert_allclose(np.abs(outline[:3, 1] - outline[3:, 1][::-1]), [1, 2, 1])


def test_a_frame_turns_scales_and_moves() -> None:
    frame = Frame(10, 20, 2, angle=np.pi / 2)
    np.testing.assert_allclose(frame([(1, 0), (0, 3)]), [[10, 22], [4, 20]])


def test_edges_are_anti_aliased_and_areas_exact() -> None:
    canvas = Canvas(64, 64, (0, 0, 0))
    canvas.fill(ellipse((32, 32), (20, 20), 200), (255, 255, 255))
    page = np.asarray(canvas.finish())[..., 0]
    assert page.sum() / 255 == pytest.approx(np.pi * 400, rel=0.03)
    assert len(np.unique(page)) >= 8


def test_a_clip_keeps_everything_else() -> None:
    canvas = Canvas(30, 30, (9, 9, 9))
    with canvas.clip(rectangle(10, 10, 20, 20)):
        canvas.cover((200, 0, 0))
        with canvas.clip(rectangle(0, 0, 15, 30)):
            canvas.cover((0, 200, 0))
    page = np.asarray(canvas.finish())
    assert tuple(page[12, 18]) == (200, 0, 0)
    assert tuple(page[12, 12]) == (0, 200, 0)
    assert (page[:9] == 9).all()
    assert (page[:, 22:] == 9).all()


def test_what_lies_outside_the_page_is_not_drawn() -> None:
    canvas = Canvas(20, 20, (7, 7, 7))
    outside = rectangle(-50, -50, -40, -40)
    canvas.gradient(outside, [(0, 0, 0), (255, 255, 255)])
    canvas.fill(outside, (255, 0, 0), opacity=0.5)
    with canvas.clip(outside):
        canvas.cover((255, 0, 0))
    assert (np.asarray(canvas.finish()) == 7).all()


@pytest.mark.parametrize("coverage", [0.1, 0.3, 0.5])
def test_a_tone_covers_its_share(coverage: float) -> None:
    cell = tone_cell(Tone((0, 0, 0), (255, 255, 255), 5.0, coverage))
    assert (cell == 0).mean() == pytest.approx(coverage, abs=0.05)
