"""Params of the resize stage."""

from typing import Literal

from pydantic import Field

from pipeline.params.section import Section


class ResizeParams(Section):
    size: int = Field(512, ge=16, description="width and height of every result, pixels")
    mode: Literal["crop", "detail", "cover", "pad", "squash", "tiles"] = Field(
        "crop",
        description="crop: short side to size, then the centre; detail: the same, but the part "
        "with the most detail; cover: the same, but as many parts as cover all; pad: long side to "
        "size, then a border; squash: both sides to size; tiles: several parts of that size, not "
        "scaled",
    )
    max_tiles: int = Field(
        4,
        ge=1,
        description="parts that modes cover and tiles take of one original at most: those with the "
        "most detail",
    )
    background: str = Field(
        "#ffffff",
        pattern=r"^#[0-9a-fA-F]{6}$",
        description="colour behind transparency and of pad's border, #rrggbb",
    )
    max_pixels: int = Field(
        100_000_000, ge=1, description="an original of more is refused unread, pixels"
    )
    max_refused: float = Field(
        0.05, ge=0, le=1, description="share of refused originals over which the stage fails"
    )
    shard_size: int = Field(
        1000, ge=1, description="originals of one tar shard, which holds those that were accepted"
    )
    executor: Literal["thread", "process", "dask"] = Field(
        "thread",
        description="where images are made: in threads, in processes with a shard each, or so on "
        "the workers of a Dask cluster",
    )
    scheduler: str = Field(
        "",
        description="address of a Dask scheduler, tcp://HOST:PORT; empty: workers on this machine",
    )
    workers: int = Field(0, ge=0, description="threads or processes here; 0: one a core")
