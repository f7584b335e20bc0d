"""`data/manifest.csv`: the images that are trained on and measured, a row an image."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.files import write_table

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Row:
    """One image: where its bytes lie, its split, and where it came from.

    `tile` numbers the images of one post, from 0. `scale` is result pixels an original pixel;
    `crop_box` is left, top, right and bottom in the oriented original.
    """

    id: int
    tile: int
    shard: str
    offset: int
    length: int
    split: str
    sha256: str
    phash: str
    original_width: int
    original_height: int
    original_format: str
    scale: float
    crop_box: tuple[int, int, int, int]
    rating: str
    tags: tuple[str, ...]
    post_url: str
    source: str

    @property
    def name(self) -> str:
        """What people call the image: its post's id, and its number where that has several."""
        return f"{self.id}-{self.tile}" if self.tile else str(self.id)


HEADER = [field.name for field in fields(Row)]


def read_manifest(path: Path) -> list[Row]:
    """Read a manifest. Raises `PipelineError` with file and line where it is missing or damaged."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            if next(lines, None) != HEADER:
                raise PipelineError(f"{path}:1: no manifest's header; run pipeline manifest again")
            return [_row(path, lines.line_num, line) for line in lines]
    except FileNotFoundError:
        raise PipelineError(f"{path}: not found; run pipeline manifest first") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PipelineError(f"{path}: cannot be read: {error}") from None


def write_manifest(path: Path, rows: Iterable[Row]) -> None:
    """Write `rows` in the order given, atomically."""
    write_table(path, HEADER, (_texts(row) for row in rows))


def _texts(row: Row) -> list[object]:
    values = vars(row) | {
        "crop_box": " ".join(str(side) for side in row.crop_box),
        "tags": " ".join(row.tags),
    }
    return [values[name] for name in HEADER]


def _row(path: Path, number: int, line: list[str]) -> Row:
    try:
        value = dict(zip(HEADER, line, strict=True))
        left, top, right, bottom = (int(side) for side in value["crop_box"].split())
        if value["split"] not in SPLITS:
            raise ValueError(value["split"])
        return Row(
            id=int(value["id"]),
            tile=int(value["tile"]),
            shard=value["shard"],
            offset=int(value["offset"]),
            length=int(value["length"]),
            split=value["split"],
            sha256=value["sha256"],
            phash=value["phash"],
            original_width=int(value["original_width"]),
            original_height=int(value["original_height"]),
            original_format=value["original_format"],
            scale=float(value["scale"]),
            crop_box=(left, top, right, bottom),
            rating=value["rating"],
            tags=tuple(value["tags"].split()),
            post_url=value["post_url"],
            source=value["source"],
        )
    except ValueError:
        raise PipelineError(
            f"{path}:{number}: not a manifest's row; run pipeline manifest again"
        ) from None
