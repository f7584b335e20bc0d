"""The perception-distortion plane (Blau & Michaeli 2018): one point per method, two errors."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import write_table

PERCEPTION = {
    "lpips": "LPIPS (AlexNet)",
    "dists": "DISTS",
    "swd": "Sliced Wasserstein distance",
    "kvd": "Kernel distance (VGG16)",
}
"""Metrics of the vertical axis and their names on it; smaller is better for all."""
BOUND = math.sqrt(2)
"""Perfect perception costs at most this factor of the least RMSE (theorem 2: twice the mean squared
error)."""
BOUND_DB = 20 * math.log10(BOUND)
"""The same as a difference of PSNR."""


@dataclass(frozen=True)
class Point:
    """A method's means over the images."""

    method: str
    rmse: float
    """root of the mean squared error of Y over all images, levels of 255"""
    psnr_y: float
    perception: dict[str, float]
    """some of `PERCEPTION`'s keys → value"""
    is_model: bool

    @classmethod
    def from_scores(cls, method: str, scores: Mapping[str, float], is_model: bool) -> "Point":
        """Return the point of a method's means, given by their keys in `metrics.json`."""
        perception = {key: scores[key] for key in PERCEPTION if key in scores}
        return cls(method, scores["rmse_y"], scores["psnr_y"], perception, is_model)


@dataclass(frozen=True)
class Plane:
    """Points, and the curves that connect some of them."""

    points: Sequence[Point]
    curves: Sequence[Sequence[str]] = ()
    """methods' names in order: a blend of two generators, a sweep of a param"""

    @property
    def perception_keys(self) -> list[str]:
        """The keys of `PERCEPTION` that every point has."""
        return [key for key in PERCEPTION if all(key in point.perception for point in self.points)]

    @property
    def bound(self) -> float:
        """RMSE at which a method of perfect perception exists, by the least RMSE of all points."""
        return BOUND * min(point.rmse for point in self.points)

    def lines(self, key: str) -> list[list[tuple[float, float]]]:
        """Return each curve as pairs of RMSE and the perceptual distance `key`."""
        by_name = {point.method: point for point in self.points}
        return [
            [(by_name[name].rmse, by_name[name].perception[key]) for name in curve]
            for curve in self.curves
        ]

    @property
    def labelled(self) -> list[Point]:
        """The points with a label: all but the inner ones of curves, which their ends explain."""
        inner = {name for curve in self.curves for name in curve[1:-1]}
        return [point for point in self.points if point.method not in inner]

    def tip(self, point: Point, key: str) -> str:
        """Return a point's coordinates in words."""
        return (
            f"{point.method}: RMSE {point.rmse:.2f}, mean PSNR {point.psnr_y:.1f} dB, "
            f"{key.upper()} {point.perception[key]:.4f}"
        )


def write_points(path: Path, plane: Plane) -> None:
    """Write `plane.csv`: method, rmse, psnr_y, curve, then the perceptual distances."""
    curve_of = {name: number for number, curve in enumerate(plane.curves, 1) for name in curve}
    rows = [
        [
            point.method,
            point.rmse,
            point.psnr_y,
            curve_of.get(point.method, ""),
            *(point.perception[key] for key in plane.perception_keys),
        ]
        for point in plane.points
    ]
    write_table(path, ["method", "rmse", "psnr_y", "curve", *plane.perception_keys], rows)
