"""The perception-distortion plane as a table, a figure and a chart."""

import pytest
from PIL import Image

from pipeline.evaluation.plane import Point, chart_planes, draw_plane, write_points


def points(*keys: str) -> list[Point]:
    return [
        Point("bicubic", 10.0, 28.13, dict.fromkeys(keys, 0.4), False),
        Point("lanczos", 9.9, 28.22, dict.fromkeys(keys, 0.4), False),
        Point("model", 12.0, 26.55, dict.fromkeys(keys, 0.1), True),
    ]


def test_the_table(tmp_path):
    path = tmp_path / "plane.csv"
    write_points(path, points("lpips", "swd")[::2])
    assert path.read_text() == (
        "method,rmse,psnr_y,lpips,swd\nbicubic,10.0,28.13,0.4,0.4\nmodel,12.0,26.55,0.1,0.1\n"
    )


def test_the_table_without_lpips(tmp_path):
    path = tmp_path / "plane.csv"
    write_points(path, points("swd"))
    assert path.read_text().splitlines()[0] == "method,rmse,psnr_y,swd"


@pytest.mark.parametrize(("keys", "panels"), [(("swd",), 1), (("lpips", "swd"), 2)])
def test_the_figure_has_a_panel_a_distance_and_is_always_the_same(tmp_path, keys, panels):
    for name in ("one.png", "two.png"):
        draw_plane(tmp_path / name, points(*keys))
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    width, height = Image.open(tmp_path / "one.png").size
    assert round(width / height / 1.17) == panels


def test_the_chart():
    lpips, swd = chart_planes(points("lpips", "swd"))
    assert (lpips.title, swd.title) == ("LPIPS (AlexNet)", "Sliced Wasserstein distance")
    bicubic, lanczos, model = lpips.dots
    assert lanczos.x < bicubic.x < model.x
    assert bicubic.y == lanczos.y < model.y
    # Bicubic stands where Lanczos' name would be, and on its other side is the axis.
    assert [dot.label.moved for dot in lpips.dots] == [False, True, False]
    assert abs(bicubic.label.y - lanczos.label.y) >= 16
    assert [dot.ours for dot in lpips.dots] == [False, False, True]
    assert model.tip == "model: RMSE 12.00 (26.55 dB), LPIPS 0.1000"
