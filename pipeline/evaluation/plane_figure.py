"""Draws the perception-distortion plane: as PNG and SVG files, and as inline SVG of the page."""

import io
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import textalloc
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from pipeline.evaluation.charts import padded_range
from pipeline.evaluation.plane import BOUND_DB, PERCEPTION, Plane, Point
from pipeline.files import atomic_path

MODEL_COLOUR = "#b3401f"
OTHER_COLOUR = "#5b6472"
INK = "#20242b"
GRID = "#e3e6ea"
CSS_COLOURS = {
    MODEL_COLOUR: "var(--accent)",
    OTHER_COLOUR: "var(--muted)",
    INK: "var(--ink)",
    GRID: "var(--line)",
}
"""The page's variables, which differ between light and dark mode."""
DPI = 120
MARKER_POINTS, SMALL_MARKER_POINTS = 8.0, 5.0
"""Diameters; the small one is of points without a label."""
SVG_DPI = 72
"""One unit of a matplotlib SVG is a point, 1/72 inch."""
PAGE_SIZE = (400, 330)
"""Width and height of an inline chart, in its units: CSS pixels at full size."""
PAGE_RADIUS, SMALL_PAGE_RADIUS = 5.5, 4
"""Of an inline chart's points, in its units: they are buttons, so larger than those in files."""
REACH = 13
"""Radius of the area around a point that reacts to the mouse."""


def draw_plane(paths: Iterable[Path], plane: Plane) -> None:
    """Draw the plane once, as `paths`, PNG or SVG by their suffixes: a panel per distance."""
    keys = plane.perception_keys
    columns = min(2, len(keys))
    rows = -(-len(keys) // columns)
    with _style("plane", font_size=10):
        figure = Figure(figsize=(5.6 * columns, 4.8 * rows), dpi=DPI, layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes, key in zip(panels, keys, strict=False):
            draw_panel(axes, plane, key)
        for axes in panels[len(keys) :]:
            axes.set_axis_off()
        figure.suptitle("Distortion against perception")
        _fix_layout(figure)
        for axes, key in zip(panels, keys, strict=False):
            draw_labels(axes, plane, key)
        for path in paths:
            kind = path.suffix.removeprefix(".")
            with atomic_path(path) as temporary:
                metadata = {"Date": None} if kind == "svg" else None
                figure.savefig(temporary, format=kind, metadata=metadata)


def inline_svg(plane: Plane, key: str) -> Markup:
    """Return one panel as an `<svg>` for the page.

    Each point is a group of class `dot` with a `<title>`, the keyboard's role of a button and the
    method's name in `data-method`; colours are the page's variables.
    """
    buffer = io.StringIO()
    with _style(f"plane-{key}", font_size=13):
        width, height = (side / SVG_DPI for side in PAGE_SIZE)
        figure = Figure(figsize=(width, height), dpi=SVG_DPI, layout="constrained")
        axes = figure.subplots()
        draw_panel(axes, plane, key)
        _fix_layout(figure)
        draw_labels(axes, plane, key)
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    # Bytes: ElementTree refuses text with a declaration of its encoding.
    svg = _without_namespaces(ElementTree.fromstring(buffer.getvalue().encode()))  # noqa: S314
    for point in plane.points:
        _group_point(svg, point, plane.tip(point, key))
    _title_bound(svg)
    _leave_style_to_page(svg)
    svg.attrib = {
        "viewBox": svg.attrib["viewBox"],
        "role": "group",
        "aria-label": f"RMSE of Y against {PERCEPTION[key]}",
    }
    return Markup(ElementTree.tostring(svg, encoding="unicode"))  # noqa: S704  # escaped by it


@contextmanager
def _style(hash_salt: str, font_size: int) -> Iterator[None]:
    """Make SVG text stay text, and equal planes equal files."""
    with mpl.rc_context(
        {
            "svg.hashsalt": hash_salt,
            "svg.fonttype": "none",
            "text.parse_math": False,
            "font.size": font_size,
            "text.color": INK,
            "axes.titlesize": "medium",
        }
    ):
        yield


def _fix_layout(figure: Figure) -> None:
    """Give the panels their final sizes, since labels are placed by pixels.

    Each label's placement draws the figure: the layout would be computed anew each time.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def draw_panel(axes: Axes, plane: Plane, key: str) -> None:
    """Draw the points and curves over the perceptual distance `key`, without labels."""
    points = plane.points
    axes.set_xlim(*padded_range([point.rmse for point in points], 0.25))
    axes.set_ylim(*padded_range([point.perception[key] for point in points], 0.2))
    axes.set_title(f"↓ better: {PERCEPTION[key]}", loc="left", color=OTHER_COLOUR)
    axes.set_xlabel("← better: RMSE of Y, levels of 255", color=OTHER_COLOUR)
    axes.tick_params(color=OTHER_COLOUR, labelcolor=OTHER_COLOUR)
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(OTHER_COLOUR)
    if plane.bound < axes.get_xlim()[1]:
        axes.axvline(plane.bound, color=OTHER_COLOUR, linestyle="--", linewidth=0.8, gid="bound")
    for line in plane.lines(key):
        axes.plot(*zip(*line, strict=True), color=MODEL_COLOUR, linewidth=1.2, gid="curve")
    labelled = plane.labelled
    for point in points:
        colour = MODEL_COLOUR if point.is_model else OTHER_COLOUR
        size = MARKER_POINTS if point in labelled else SMALL_MARKER_POINTS
        position = (point.rmse, point.perception[key])
        axes.plot(*position, "o", color=colour, markersize=size, gid=f"point {point.method}")


def draw_labels(axes: Axes, plane: Plane, key: str) -> None:
    """Write the methods' names beside their points, clear of each other, of points and curves.

    The figure must have its final layout. Names further away have a line to their point.
    """
    labelled = plane.labelled
    lines = plane.lines(key)
    radius = MARKER_POINTS / 2 * axes.figure.dpi / 72
    radii: list[Any] = [radius] * len(plane.points)
    _, _, texts, leaders = textalloc.allocate(
        axes,
        [point.rmse for point in labelled],
        [point.perception[key] for point in labelled],
        [point.method for point in labelled],
        x_scatter=[point.rmse for point in plane.points],
        y_scatter=[point.perception[key] for point in plane.points],
        scatter_sizes=radii,
        text_scatter_sizes=radii[: len(labelled)],
        x_lines=[np.array([x for x, _ in line]) for line in lines],
        y_lines=[np.array([y for _, y in line]) for line in lines],
        textsize=mpl.rcParams["font.size"],
        textcolor=[MODEL_COLOUR if point.is_model else INK for point in labelled],
        fontweight=["bold" if point.is_model else "normal" for point in labelled],
        nbr_candidates=1000,
        margin=0.01,
        min_distance=0.015,
        max_distance=0.3,
        linecolor=OTHER_COLOUR,
        linewidth=0.6,
        avoid_label_lines_overlap=True,
        avoid_crossing_label_lines=True,
    )
    for text, point in zip(cast(list[Text], texts), labelled, strict=True):
        text.set_gid(f"label {point.method}")
    # A name that covers its point, for want of room elsewhere, has none.
    drawn = [leader for leader in cast(list[Line2D | None], leaders) if leader is not None]
    for leader in drawn:
        (x0, y0), (x1, y1) = axes.transData.transform(leader.get_xydata())
        if math.hypot(x1 - x0, y1 - y0) < 2.5 * radius:
            leader.remove()
    # Long names must not squeeze the panels.
    for artist in cast(list[Artist], [*texts, *drawn]):
        artist.set_in_layout(False)


def _without_namespaces(svg: ElementTree.Element) -> ElementTree.Element:
    for element in svg.iter():
        element.tag = element.tag.rpartition("}")[2]
    return svg


def _group_point(svg: ElementTree.Element, point: Point, tip: str) -> None:
    """Put a point's circle and label into one group that the page's script handles."""
    group = ElementTree.Element("g", _dot_attributes(point, tip))
    ElementTree.SubElement(group, "title").text = tip
    axes = _find(svg, "axes_1")
    drawn = _find(axes, f"point {point.method}")
    use = next(drawn.iter("use"))
    centre = {"cx": use.attrib["x"], "cy": use.attrib["y"]}
    label = _label(axes, point)
    radius = SMALL_PAGE_RADIUS if label is None else PAGE_RADIUS
    ElementTree.SubElement(group, "circle", {**centre, "r": str(REACH), "class": "reach"})
    ElementTree.SubElement(group, "circle", {**centre, "r": str(radius)})
    axes.remove(drawn)
    if label is not None:
        axes.remove(label)
        group.extend(label.iter("text"))
    axes.append(group)


def _dot_attributes(point: Point, tip: str) -> dict[str, str]:
    return {
        "class": "dot ours" if point.is_model else "dot",
        "data-method": point.method,
        "role": "button",
        "tabindex": "0",
        "aria-pressed": "false",
        "aria-label": tip,
    }


def _label(axes: ElementTree.Element, point: Point) -> ElementTree.Element | None:
    return next((child for child in axes if child.get("id") == f"label {point.method}"), None)


def _find(svg: ElementTree.Element, gid: str) -> ElementTree.Element:
    return next(element for element in svg.iter() if element.get("id") == gid)


def _title_bound(svg: ElementTree.Element) -> None:
    """Give the dashed line, where there is one, a tip."""
    bound = next((element for element in svg.iter() if element.get("id") == "bound"), None)
    if bound is not None:
        title = ElementTree.Element("title")
        title.text = f"{BOUND_DB:.2f} dB from the least error"
        bound.insert(0, title)


def _leave_style_to_page(svg: ElementTree.Element) -> None:
    """Remove references, fonts and fixed colours."""
    for element in list(svg.iter()):
        for child in list(element):
            if child.tag in ("metadata", "defs", "style", "use"):
                element.remove(child)
        gid = element.attrib.pop("id", "")
        if gid in ("bound", "curve"):
            element.set("class", gid)
        element.attrib.pop("clip-path", None)
        if "style" in element.attrib:
            style = re.sub(r"font: [^;]*;? ?", "", element.attrib["style"])
            for colour, variable in CSS_COLOURS.items():
                style = style.replace(colour, variable)
            element.set("style", style)
