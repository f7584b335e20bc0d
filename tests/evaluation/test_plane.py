"""The perception-distortion plane as a table, a figure and a chart."""

import re
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from bs4 import BeautifulSoup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from pipeline.evaluation.plane import Plane, Point, write_points
from pipeline.evaluation.plane_figure import draw_labels, draw_panel, draw_plane, inline_svg


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
def test_the_figure_has_one_panel_per_distance(tmp_path, keys, columns, rows):
    draw_plane([tmp_path / "plane.png"], plane(*keys))
    assert Image.open(tmp_path / "plane.png").size == (672 * columns, 576 * rows)


def test_the_same_plane_is_the_same_files(tmp_path):
    """Together with the other format or without it."""
    lines = [["lanczos", "model"]]
    draw_plane([tmp_path / "one.png", tmp_path / "one.svg"], plane("swd", curves=lines))
    for kind in ("png", "svg"):
        draw_plane([tmp_path / f"two.{kind}"], plane("swd", curves=lines))
        one, two = (tmp_path / f"{name}.{kind}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_the_svg_names_the_methods(tmp_path):
    draw_plane([tmp_path / "plane.svg"], plane("swd"))
    text = (tmp_path / "plane.svg").read_text()
    assert all(name in text for name in ("bicubic", "lanczos", "model"))


def test_the_bound_is_twice_the_least_mean_squared_error():
    assert plane("swd").bound ** 2 == pytest.approx(2 * 9.9**2)
    assert not chart(plane("swd")).select(".bound")
    far = chart(Plane([*plane("swd").points, Point("far", 20.0, 22.1, {"swd": 0.2}, False)]))
    (bound,) = far.select(".bound path")
    bound_x = float(re.match(r"M (\S+)", bound["d"]).group(1))
    assert centre(far, "model")[0] < bound_x < centre(far, "far")[0]
    assert far.select_one(".bound title").string == "3.01 dB from the least error"


def test_a_curve_connects_its_methods_and_only_its_ends_are_labelled():
    curved = chart(plane("swd", curves=[["bicubic", "lanczos", "model"]]))
    (curve,) = curved.select(".curve path")
    vertices = [tuple(map(float, pair)) for pair in re.findall(r"[ML] (\S+) (\S+)", curve["d"])]
    expected = [centre(curved, name) for name in ("bicubic", "lanczos", "model")]
    assert vertices == [pytest.approx(pair) for pair in expected]
    labels = {dot["data-method"]: dot.find("text") for dot in curved.select(".dot")}
    assert labels["lanczos"] is None
    assert labels["bicubic"].string.strip() == "bicubic"
    assert labels["model"].string.strip() == "model"


def test_the_chart():
    lpips = chart(plane("lpips", "swd"), "lpips")
    assert lpips.svg["aria-label"] == "RMSE of Y against LPIPS (AlexNet)"
    bicubic, lanczos, model = (centre(lpips, name) for name in ("bicubic", "lanczos", "model"))
    assert lanczos[0] < bicubic[0] < model[0]
    assert bicubic[1] == lanczos[1] < model[1]
    dots = lpips.select(".dot")
    assert [dot["class"] for dot in dots] == [["dot"], ["dot"], ["dot", "ours"]]
    assert dots[2].title.string == "model: RMSE 12.00, mean PSNR 26.6 dB, LPIPS 0.1000"


def test_the_chart_has_the_pages_colours_and_no_references():
    svg = inline_svg(plane("swd", curves=[["lanczos", "model"]]), "swd")
    assert svg == inline_svg(plane("swd", curves=[["lanczos", "model"]]), "swd")
    assert not re.search(r"url\(|href|<style|<use| id=", svg)
    colours = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg))
    assert colours <= {"none", *(f"var(--{name})" for name in ("ink", "muted", "accent", "line"))}


def test_method_names_are_escaped():
    points = [*plane("swd").points, Point("<b> & 'c'", 11.0, 27.0, {"swd": 0.2}, False)]
    (dot,) = chart(Plane(points)).select(".dot:last-child")
    assert dot["data-method"] == "<b> & 'c'"
    assert dot.find("text").string.strip() == "<b> & 'c'"


@pytest.mark.parametrize("seed", range(10))
def test_labels_of_a_crowd_are_clear_of_each_other_and_inside(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.uniform((10, 0.2), (12, 0.3), (12, 2)).tolist()
    points = [
        Point(f"bicubic {number}", rmse, 27.0, {"swd": swd}, number == 0)
        for number, (rmse, swd) in enumerate(values)
    ]
    panel, labels = labelled_panel(Plane(points))
    assert not any(one.overlaps(other) for one, other in combinations(labels, 2))
    for x, y in panel.transData.transform(values):
        assert not any(box.contains(x, y) for box in labels)
    assert all(panel.bbox.count_contains(box.corners()) == 4 for box in labels)


def test_labels_of_equal_points_are_clear_of_each_other() -> None:
    points = [Point(f"method {number}", 10.0, 28.0, {"swd": 0.3}, False) for number in range(5)]
    _, labels = labelled_panel(Plane([*points, Point("model", 11.0, 27.0, {"swd": 0.2}, True)]))
    assert not any(one.overlaps(other) for one, other in combinations(labels, 2))


def test_a_name_that_finds_no_room_has_no_line_to_its_point() -> None:
    """One method equals the originals, so that the others are a crowd in a corner."""
    values = {
        "nearest": (25.93396, 0.16263),
        "area": (25.93396, 0.16263),
        "bilinear": (24.7898, 0.26448),
        "bicubic": (23.94374, 0.23053),
        "lanczos": (23.67203, 0.21518),
        "model": (23.80217, 0.22163),
        "other": (23.82467, 0.22304),
        "other 0.33": (23.80505, 0.22186),
        "copied": (0.0, 0.0),
    }
    points = [Point(name, x, 21.0, {"swd": y}, name == "model") for name, (x, y) in values.items()]
    crowd = Plane(points, [["other", "other 0.33", "model"]])
    assert len(chart(crowd).select(".dot text")) == 8


def test_a_label_is_clear_of_points_without_label() -> None:
    values = [(10.0, 0.2), (10.9, 0.3), (11.1, 0.3), (11.0, 0.3), (12.0, 0.4)]
    points = [Point(str(x), x, 27.0, {"swd": y}, False) for x, y in values]
    curve = ["10.0", "10.9", "11.1", "12.0"]
    panel, labels = labelled_panel(Plane(points, [curve]))
    assert len(labels) == 3
    for x, y in panel.transData.transform(values):
        assert not any(box.contains(x, y) for box in labels)


def chart(plane: Plane, key: str = "swd") -> BeautifulSoup:
    return BeautifulSoup(inline_svg(plane, key), "html.parser")


def centre(svg: BeautifulSoup, method: str) -> tuple[float, float]:
    circle = svg.select_one(f'.dot[data-method="{method}"] circle')
    return float(circle["cx"]), float(circle["cy"])


def labelled_panel(plane: Plane) -> tuple[Axes, list[Bbox]]:
    """A panel of the page's size and the boxes of its labels, in pixels."""
    figure = Figure(figsize=(400 / 72, 330 / 72), dpi=72, layout="constrained")
    panel = figure.subplots()
    draw_panel(panel, plane, "swd")
    figure.draw_without_rendering()
    draw_labels(panel, plane, "swd")
    figure.draw_without_rendering()
    return panel, [text.get_window_extent() for text in panel.texts]
