"""Read and write `data/manifest.csv`: the images for training and evaluation, one per row."""

import csv
import hashlib
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import PipelineError, some_of
from pipeline.fields import FileName, Finite, Index, Int64, Size, WebpLength, first_problem
from pipeline.files import write_table
from pipeline.wording import counted

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
_ENLARGING: dict[Split, str] = {
    "train": "lower manifest.val_fraction and manifest.test_fraction",
    "val": "raise manifest.val_fraction",
    "test": "raise manifest.test_fraction",
}


def read_manifest(path: Path) -> list[Row]:
    """Read a manifest, of one row or more, none of them of the image of another.

    Raises `PipelineError` with file and line where it is missing or damaged, or has a
    picture twice.
    """
    rows: dict[int, Row] = {}
    try:
        # Spreadsheets begin a file with a byte order mark.
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            if (header := next(lines, [])) != HEADER:
                problem = "no manifest's header" if header else "blank"
                raise PipelineError(
                    f"{path}:1: {problem}; the line should be {','.join(HEADER)}: restore it, or "
                    "run pipeline manifest again"
                )
            for line in lines:
                # Editors leave blank lines.
                if any(map(str.strip, line)):
                    rows[lines.line_num] = _row(path, lines.line_num, line)
    except FileNotFoundError:
        raise PipelineError(
            f"{path}: not found; run pipeline manifest first, or name "
            "folders of images: train.hr_folders, evaluate.hr_folder"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PipelineError(
            f"{path}: cannot be read: {error}; mend that, or run pipeline manifest again"
        ) from None
    if not rows:
        raise PipelineError(f"{path}: lists no images; run pipeline manifest again")
    if repeats := _repeats(rows):
        raise PipelineError(
            f"{path}: {some_of(repeats, most=3)}; a picture may stand in one split alone, and "
            "once: remove the other rows, or run pipeline manifest again"
        )
    return list(rows.values())


def rows_of_split(path: Path, rows: Iterable[Row], split: Split, otherwise: str) -> Sequence[Row]:
    """Return those of a manifest's `rows` that are in `split`.

    Raises `PipelineError` where there are none; `otherwise` is what else one may do than make the
    split larger.
    """
    in_split = [row for row in rows if row.split == split]
    if not in_split:
        raise PipelineError(
            f"{path}: no image in the split {split}; {_ENLARGING[split]}, or {otherwise}"
        )
    return in_split


def measured_rows(path: Path, split: Split) -> Sequence[Row]:
    """Return the rows of a manifest that an evaluation of `split` measures.

    Raises `PipelineError` where there are none, and what `read_manifest` raises.
    """
    return rows_of_split(path, read_manifest(path), split, "choose another split (evaluate.split)")


def write_manifest(path: Path, rows: Iterable[Row]) -> None:
    """Write `rows` in their order, atomically."""
    write_table(path, HEADER, (_texts(row) for row in rows))


def _repeats(rows: Mapping[int, Row]) -> list[str]:
    """Describe the rows, by line, that repeat an image, or are of an original of another split.

    `pipeline manifest` writes none: training would see what evaluation measures.
    """
    firsts: dict[str | int, int] = {}
    repeats = []
    for line, row in rows.items():
        for key in (row.sha256, row.name, row.id):
            first = firsts.setdefault(key, line)
            is_tile = key == row.id and row.split == rows[first].split
            if first != line and not is_tile:
                repeats.append(
                    f"{_place(line, row)} has the picture of {_place(first, rows[first])}"
                )
                break
    return repeats


def _place(line: int, row: Row) -> str:
    return f"line {line} (id {row.name}, {row.split})"


def _texts(row: Row) -> list[object]:
    values = vars(row) | {
        "crop_box": " ".join(str(side) for side in row.crop_box),
        "tags": " ".join(row.tags),
    }
    return [values[name] for name in HEADER]


def _row(path: Path, number: int, line: list[str]) -> Row:
    if len(line) != len(HEADER):
        problem = f"{counted(len(line), 'column')}, not {len(HEADER)}"
    else:
        value = dict(zip(HEADER, line, strict=True))
        lists = {name: value[name].split() for name in ("crop_box", "tags")}
        try:
            return _ROW.validate_python(value | lists)
        except ValidationError as error:
            name = error.errors()[0]["loc"][0]
            problem = f"{first_problem(error)}, not {reprlib.repr(value[str(name)])}"
    raise PipelineError(
        f"{path}:{number}: not a manifest's row ({problem}); correct it, or run pipeline manifest "
        "again"
    )
