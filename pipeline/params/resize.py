"""Params of the resize stage."""

from typing import Literal

from pydantic import Field

from pipeline.params.section import MAX_DECODED_PIXELS, MAX_WORKERS, Section


class ResizeParams(Section):
    """How `pipeline resize` makes squares of the originals."""

    size: int = Field(512, ge=16, description="width and height of every image, pixels")
    mode: Literal["crop", "detail", "cover", "pad", "squash", "tiles"] = Field(
        "crop",
        description="crop: scale the short side to size, keep the centre; detail: the same, but "
        "keep the part with the most detail; cover: the same, but keep as many parts as cover the "
        "original; pad: scale the long side to size, add a border; squash: scale both sides to "
        "size; tiles: cut parts of that size, without scaling",
    )
    max_tiles: int = Field(
        4,
        ge=1,
        description="modes cover and tiles: largest number of parts per original; those with "
        "the most detail are kept",
    )
    background: str = Field(
        "#ffffff",
        pattern=r"^#[0-9a-fA-F]{6}$",
        description="colour behind transparency and of the border of mode pad, #rrggbb",
    )
    max_pixels: int = Field(
        100_000_000,
        ge=1,
        le=MAX_DECODED_PIXELS,
        description="larger originals are refused before they are decoded, pixels",
    )
    max_refused: float = Field(
        0.05,
        ge=0,
        le=1,
        description="the stage fails where a larger share of the originals is refused",
    )
    shard_size: int = Field(
        1000, ge=1, description="originals per tar shard, refused ones included"
    )
    executor: Literal["thread", "process", "dask"] = Field(
        "thread",
        description="what makes the images: threads, processes with one shard each, or the workers "
        "of a Dask cluster with one shard each",
    )
    scheduler: str = Field(
        "",
        description="address of a Dask scheduler, tcp://HOST:PORT; empty: workers on this machine",
    )
    workers: int = Field(
        0,
        ge=0,
        le=MAX_WORKERS,
        description="threads or processes on this machine; 0: one per core",
    )
