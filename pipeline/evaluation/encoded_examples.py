"""Example images as the report page holds them: as data URIs, together of a limited size."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

from pipeline.evaluation.example_images import Box, ExampleImage, to_image
from pipeline.spacing import evenly_spaced

MAX_CHARACTERS = 11_000_000
"""Of all examples together, so that the page with its tables stays under 15 MB."""
QUALITIES = (92, 85, 75, 60, 40)
"""Of JPEG, without chroma subsampling, which would blur the lines of all methods alike."""


@dataclass(frozen=True)
class PercentBox:
    """A part of an image, in percent of its width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class EncodedImage:
    """A method's result or the original, in full and in detail."""

    name: str
    uri: str
    """of the image, JPEG"""
    detail_uri: str
    """of the detail, lossless WebP"""
    caption: str


@dataclass(frozen=True)
class EncodedExample:
    """An example image with its results."""

    name: str
    captions: Sequence[str]
    """names of the metrics in the captions"""
    width: int
    height: int
    detail_side: int
    """pixels"""
    cut_from: str
    """width and height of the picture of which this is a part; empty where it is whole"""
    box: PercentBox
    """the detail"""
    images: Sequence[EncodedImage]

    @property
    def characters(self) -> int:
        """Length of all its data URIs."""
        return sum(len(image.uri) + len(image.detail_uri) for image in self.images)


def encode_examples(groups: Sequence[Sequence[ExampleImage]]) -> list[list[EncodedExample]]:
    """Encode groups of examples at the highest quality at which all of them fit the page.

    If they fit at none, only evenly spaced ones of each group are kept, at the lowest quality.
    """
    details = [[_detail_uris(example) for example in group] for group in groups]
    for quality in QUALITIES:
        encoded = [
            [_encode(*one, quality) for one in zip(*group, strict=True)]
            for group in zip(groups, details, strict=True)
        ]
        characters = sum(example.characters for group in encoded for example in group)
        if characters <= MAX_CHARACTERS:
            return encoded
    share = MAX_CHARACTERS / characters
    return [
        [group[index] for index in evenly_spaced(len(group), max(1, int(len(group) * share)))]
        for group in encoded
    ]


def _detail_uris(example: ExampleImage) -> dict[str, str]:
    return {
        name: _data_uri(to_image(example.detail(name)), "WEBP", lossless=True)
        for name in example.shown
    }


def _encode(example: ExampleImage, detail_uris: dict[str, str], quality: int) -> EncodedExample:
    height, width = example.original.shape[-2:]
    return EncodedExample(
        name=example.name,
        captions=[metric.name for metric in example.captions],
        width=width,
        height=height,
        detail_side=example.box.right - example.box.left,
        cut_from=example.cut_from,
        box=_percent_box(example.box, width, height),
        images=[
            EncodedImage(
                name,
                _data_uri(to_image(pixels), "JPEG", quality=quality, subsampling=0),
                detail_uris[name],
                _caption(example, name),
            )
            for name, pixels in example.shown.items()
        ],
    )


def _percent_box(box: Box, width: int, height: int) -> PercentBox:
    return PercentBox(
        left=round(100 * box.left / width, 2),
        top=round(100 * box.top / height, 2),
        width=round(100 * (box.right - box.left) / width, 2),
        height=round(100 * (box.bottom - box.top) / height, 2),
    )


def _caption(example: ExampleImage, name: str) -> str:
    scores = example.scores.get(name, {})
    shown = [metric for metric in example.captions if metric.key in scores]
    return ", ".join(f"{metric.name} {metric.format(scores[metric.key])}" for metric in shown)


def _data_uri(image: Image.Image, kind: Literal["JPEG", "WEBP"], **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{text}"
