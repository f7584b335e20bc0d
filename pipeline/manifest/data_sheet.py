"""Data sheet of a manifest: a contact sheet of images, and a page with it and the counts."""

import base64
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from pipeline.files import atomic_path, write_text, writing
from pipeline.images.records import Post
from pipeline.images.shards import read_image
from pipeline.manifest.rows import SPLITS, Row, read_manifest

COLUMNS = 12
MAX_IMAGES = 96
THUMBNAIL_SIDE = 128
MAX_TAGS = 30
# Not PyTorch's, as `resize` has it: loading that would take longer than the whole stage.
LANCZOS = Image.Resampling.LANCZOS
_SIDES = (512, 768, 1024, 1536, 2048, 4096)


@dataclass(frozen=True)
class Table:
    """A table of counts, in the order of the page."""

    title: str
    rows: Sequence[tuple[str, int]]

    @property
    def largest(self) -> int:
        """Return the count of the longest bar."""
        return max((count for _, count in self.rows), default=1) or 1


def write_datasheet(
    manifest: Path,
    resized: Path,
    left_out: Mapping[str, int],
    posts: Iterable[Post],
    folder: Path,
    random: np.random.Generator,
) -> None:
    """Write `contact.png` and `index.html` to `folder`.

    `left_out` counts what is not in the manifest, by reason; `posts` are those of the images, and
    maybe others; `random` draws the images to show.
    Raises `PipelineError` where an image cannot be read or a file be written.
    """
    rows = read_manifest(manifest)
    indices = random.choice(len(rows), min(MAX_IMAGES, len(rows)), replace=False)
    drawn = [rows[index] for index in indices]
    sheet = contact_sheet(resized, drawn)
    page = _page(sheet, len(drawn), tables(rows, left_out, posts), len(rows))
    with writing(folder):
        with atomic_path(folder / "contact.png") as temporary:
            sheet.save(temporary, "PNG")
        write_text(folder / "index.html", page)


def contact_sheet(resized: Path, rows: Sequence[Row]) -> Image.Image:
    """Return the images of `rows` as thumbnails, `COLUMNS` per line."""
    lines, side = -(-len(rows) // COLUMNS), THUMBNAIL_SIDE
    sheet = np.full((lines * side, COLUMNS * side, 3), 255, np.uint8)
    for number, row in enumerate(rows):
        top, left = number // COLUMNS * side, number % COLUMNS * side
        small = Image.fromarray(read_image(resized, row)).resize((side, side), LANCZOS)
        sheet[top : top + side, left : left + side] = np.asarray(small)
    return Image.fromarray(sheet)


def tables(
    rows: Sequence[Row], left_out: Mapping[str, int], posts: Iterable[Post] = ()
) -> list[Table]:
    """Return the tables of the page, those of categories of tags as far as `posts` have them."""
    splits = Counter(row.split for row in rows)
    tags = Counter(tag for row in rows for tag in row.tags)
    categories = {post.id: post.tag_categories or {} for post in posts}
    return [
        Table("Splits", [(split, splits[split]) for split in SPLITS]),
        Table("Left out", [(name, count) for name, count in left_out.items() if count]),
        Table("Short side of the original", _sides(rows)),
        Table("Format of the original", _counted(row.original_format for row in rows)),
        Table("Rating", _counted(row.rating for row in rows)),
        Table("Most frequent tags", tags.most_common(MAX_TAGS)),
        *(
            Table(
                f"Most frequent {category}s",
                _counted(
                    tag for row in rows for tag in categories.get(row.id, {}).get(category, ())
                )[:MAX_TAGS],
            )
            for category in ("artist", "character", "copyright")
        ),
    ]


def _sides(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """Count the originals' shorter sides by range; leave empty ranges out."""
    shorts = np.array([min(row.original_width, row.original_height) for row in rows])
    counts = np.bincount(np.searchsorted(_SIDES, shorts, side="right"), minlength=len(_SIDES) + 1)
    names = [
        f"under {_SIDES[0]}",
        *(f"{low} to {high - 1}" for low, high in pairwise(_SIDES)),
        f"{_SIDES[-1]} and more",
    ]
    return [(name, int(count)) for name, count in zip(names, counts, strict=True) if count]


def _counted(values: Iterable[str]) -> list[tuple[str, int]]:
    return Counter(values).most_common()


def _page(sheet: Image.Image, shown: int, tables: Sequence[Table], total: int) -> str:
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=85)
    templates = Environment(
        loader=PackageLoader("pipeline.manifest"), autoescape=True, undefined=StrictUndefined
    )
    return templates.get_template("datasheet.html.j2").render(
        total=total,
        shown=shown,
        sheet=base64.b64encode(file.getvalue()).decode(),
        tables=tables,
    )
