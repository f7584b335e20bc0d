"""Read and write `data/manifest.csv`: the images for training and evaluation, one per row."""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import PipelineError
from pipeline.fields import FileName, Finite, Index, Int64, Size, WebpLength, first_problem
from pipeline.files import write_table

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class Row:
    """One image: the location of its bytes, its split, and its origin.

    `tile` is its number among the images of its original, from 0. `scale` is result pixels per
    original pixel; `crop_box` is left, top, right and bottom in the oriented original.
    """

    id: Int64
    tile: Index
    shard: FileName
    offset: Index
    length: WebpLength
    split: Split
    sha256: str
    phash: str
    original_width: Size
    original_height: Size
    original_format: str
    scale: Finite
    crop_box: tuple[Int64, Int64, Int64, Int64]
    rating: str
    tags: tuple[str, ...]
    post_url: str
    source: str

    @property
    def name(self) -> str:
        """Return the image's name in reports: its post's id, and its tile unless that is 0."""
        return f"{self.id}-{self.tile}" if self.tile else str(self.id)


def train_images_sha256(rows: Iterable[Row]) -> str:
    """Return the SHA-256 of the training images in their order: all that a training takes of rows.

    Tags and the other splits may change: the images that a model has seen stay the same.
    """
    hashes = "".join(f"{row.sha256}\n" for row in rows if row.split == "train")
    return hashlib.sha256(hashes.encode()).hexdigest()


HEADER = [field.name for field in fields(Row)]
_ROW = TypeAdapter(Row)


def read_manifest(path: Path) -> list[Row]:
    """Read a manifest. Raises `PipelineError` with file and line where it is missing or damaged."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            if next(lines, None) != HEADER:
                raise PipelineError(f"{path}:1: no manifest's header; run pipeline manifest again")
            return [_row(path, lines.line_num, line) for line in lines]
    except FileNotFoundError:
        raise PipelineError(
            f"{path}: not found; run pipeline manifest first, or name "
            "folders of images: train.hr_folders, evaluate.hr_folder"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PipelineError(f"{path}: cannot be read: {error}") from None


def write_manifest(path: Path, rows: Iterable[Row]) -> None:
    """Write `rows` in their order, atomically."""
    write_table(path, HEADER, (_texts(row) for row in rows))


def _texts(row: Row) -> list[object]:
    values = vars(row) | {
        "crop_box": " ".join(str(side) for side in row.crop_box),
        "tags": " ".join(row.tags),
    }
    return [values[name] for name in HEADER]


def _row(path: Path, number: int, line: list[str]) -> Row:
    if len(line) != len(HEADER):
        problem = f"{len(line)} columns, not {len(HEADER)}"
    else:
        value = dict(zip(HEADER, line, strict=True))
        lists = {name: value[name].split() for name in ("crop_box", "tags")}
        try:
            return _ROW.validate_python(value | lists)
        except ValidationError as error:
            problem = first_problem(error)
    raise PipelineError(
        f"{path}:{number}: not a manifest's row ({problem}); run pipeline manifest again"
    )
