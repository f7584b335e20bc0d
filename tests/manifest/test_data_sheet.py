"""The page that shows what a manifest holds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.images.records import Post
from pipeline.images.shards import read_image
from pipeline.manifest.data_sheet import THUMBNAIL_SIDE, contact_sheet, tables, write_datasheet
from pipeline.manifest.rows import read_manifest
from tests.evaluation.world import make_world


def test_the_sheet_shows_the_images_in_order(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 14})
    resized = tmp_path / "data/resized"
    rows = read_manifest(tmp_path / "data/manifest.csv")
    sheet = np.asarray(contact_sheet(resized, rows))
    assert sheet.shape == (2 * THUMBNAIL_SIDE, 12 * THUMBNAIL_SIDE, 3)
    image = Image.fromarray(read_image(resized, rows[13]))
    expected = np.asarray(image.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS))
    assert np.array_equal(sheet[THUMBNAIL_SIDE:, THUMBNAIL_SIDE : 2 * THUMBNAIL_SIDE], expected)
    assert (sheet[THUMBNAIL_SIDE:, 2 * THUMBNAIL_SIDE :] == 255).all()


def test_counts(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 2, "val": 1})
    rows = read_manifest(tmp_path / "data/manifest.csv")
    sizes = ((400, 900), (512, 4000), (5000, 4096))
    rows = [
        replace(row, original_width=width, original_height=height, tags=("a", f"t{width}"))
        for row, (width, height) in zip(rows, sizes, strict=True)
    ]
    found = {table.title: list(table.rows) for table in tables(rows, {"flat": 3, "greyscale": 0})}
    assert found["Splits"] == [("train", 2), ("val", 1), ("test", 0)]
    assert found["Left out"] == [("flat", 3)]
    assert found["Short side of the original"] == [
        ("under 512", 1),
        ("512 to 767", 1),
        ("4096 and more", 1),
    ]
    assert found["Format of the original"] == [("PNG", 3)]
    assert found["Most frequent tags"][0] == ("a", 3)


def test_tags_are_counted_by_category_where_posts_have_them(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 3})
    rows = read_manifest(tmp_path / "data/manifest.csv")
    known = {"artist": ("ann",), "character": ("b", "c"), "copyright": (), "meta": ("d",)}
    posts = [
        Post(row.id, "1.png", "", 0, "general", row.tags, "", "", categories)
        for row, categories in zip(rows, (known, known | {"artist": ("eve",)}, None), strict=True)
    ]
    found = {table.title: list(table.rows) for table in tables(rows, {}, posts)}
    assert found["Most frequent artists"] == [("ann", 1), ("eve", 1)]
    assert found["Most frequent characters"] == [("b", 2), ("c", 2)]
    assert found["Most frequent copyrights"] == []
    assert all(not table.rows for table in tables(rows, {})[-3:])


def test_the_page_is_whole_and_the_same_each_time(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 3, "test": 1})
    data = tmp_path / "data"
    pages = []
    for name in ("one", "two"):
        folder = tmp_path / name
        write_datasheet(
            data / "manifest.csv",
            data / "resized",
            {"<b>flat": 2},
            (),
            folder,
            np.random.default_rng(5),
        )
        assert Image.open(folder / "contact.png").size == (12 * THUMBNAIL_SIDE, THUMBNAIL_SIDE)
        pages.append((folder / "index.html").read_text(encoding="utf-8"))
    assert pages[0] == pages[1]
    assert "The dataset: 4 images" in pages[0]
    assert "&lt;b&gt;flat" in pages[0]
    assert "http" not in pages[0]
