"""The perception-distortion plane as a table, a figure and a chart."""

from collections.abc import Sequence

import pytest
from PIL import Image

from pipeline.evaluation.plane import Plane, Point, chart_planes, draw_plane, write_points


def plane(*keys: str, curves: Sequence[Sequence[str]] = ()) -> Plane:
    points = [
        Point("bicubic", 10.0, 28.13, dict.fromkeys(keys, 0.4), False),
        Point("lanczos", 9.9, 28.22, dict.fromkeys(keys, 0.4), False),
        Point("model", 12.0, 26.55, dict.fromkeys(keys, 0.1), True),
    ]
    return Plane(points, curves)


def test_the_table(tmp_path):
    path = tmp_path / "plane.csv"
    write_points(path, plane("lpips", "swd", curves=[["lanczos", "model"]]))
    assert path.read_text().splitlines() == [
        "method,rmse,psnr_y,curve,lpips,swd",
        "bicubic,10.0,28.13,,0.4,0.4",
        "lanczos,9.9,28.22,1,0.4,0.4",
        "model,12.0,26.55,1,0.1,0.1",
    ]


def test_the_table_without_lpips(tmp_path):
    path = tmp_path / "plane.csv"
    write_points(path, plane("swd"))
    assert path.read_text().splitlines()[0] == "method,rmse,psnr_y,curve,swd"


@pytest.mark.parametrize(
    ("keys", "columns", "rows"),
    [(("swd",), 1, 1), (("lpips", "swd"), 2, 1), (("lpips", "dists", "swd", "kvd"), 2, 2)],
)
def test_the_figure_has_a_panel_a_distance(tmp_path, keys, columns, rows):
    draw_plane(tmp_path / "plane.png", plane(*keys))
    assert Image.open(tmp_path / "plane.png").size == (672 * columns, 576 * rows)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_plane_is_the_same_file(tmp_path, kind):
    for name in ("one", "two"):
        draw_plane(tmp_path / f"{name}.{kind}", plane("swd", curves=[["lanczos", "model"]]))
    assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def test_the_svg_names_the_methods(tmp_path):
    draw_plane(tmp_path / "plane.svg", plane("swd"))
    text = (tmp_path / "plane.svg").read_text()
    assert all(name in text for name in ("bicubic", "lanczos", "model"))


def test_the_bound_is_twice_the_least_mean_squared_error():
    assert plane("swd").bound ** 2 == pytest.approx(2 * 9.9**2)
    (chart,) = chart_planes(plane("swd"))
    assert chart.bound is None
    far = Plane([*plane("swd").points, Point("far", 20.0, 22.1, {"swd": 0.2}, False)])
    (chart,) = chart_planes(far)
    assert chart.dots[2].x < chart.bound < chart.dots[3].x


def test_a_curve_leads_through_its_methods_and_only_its_ends_are_named():
    (chart,) = chart_planes(plane("swd", curves=[["bicubic", "lanczos", "model"]]))
    bicubic, lanczos, model = chart.dots
    assert chart.lines == [" ".join(f"{dot.x},{dot.y}" for dot in chart.dots)]
    assert lanczos.label is None
    assert bicubic.label is not None
    assert model.label is not None


def test_the_chart():
    lpips, swd = chart_planes(plane("lpips", "swd"))
    assert (lpips.title, swd.title) == ("LPIPS (AlexNet)", "Sliced Wasserstein distance")
    bicubic, lanczos, model = lpips.dots
    assert lanczos.x < bicubic.x < model.x
    assert bicubic.y == lanczos.y < model.y
    # Bicubic stands where Lanczos' name would be, and on its other side is the axis.
    assert [dot.label.moved for dot in lpips.dots] == [False, True, False]
    assert abs(bicubic.label.y - lanczos.label.y) >= 16
    assert [dot.ours for dot in lpips.dots] == [False, False, True]
    assert model.tip == "model: RMSE 12.00 (26.55 dB), LPIPS 0.1000"
