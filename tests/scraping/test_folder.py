"""Scraping a folder of pictures instead of a site."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from pipeline.errors import PipelineError, UsageError
from pipeline.images.records import POSTS_FILE
from pipeline.params import ScrapeParams
from pipeline.scraping.folder import scrape_folder
from pipeline.scraping.run import ScrapeReport
from tests.scraping.site import picture
from tests.scraping.test_run import Notes


def run(folder: Path, notes: Notes | None = None, **values: object) -> ScrapeReport:
    params = {"site": (folder / "my pictures").as_uri(), "min_side": 8, "excluded_tags": ()}
    return scrape_folder(
        ScrapeParams(**(params | values)),  # type: ignore[arg-type]
        folder / "raw",
        folder / "scrape.json",
        notes or Notes(),
    )


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "raw" / POSTS_FILE).open()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    own = tmp_path / "my pictures"
    (own / "Blue Hair").mkdir(parents=True)
    for number in range(4):
        (own / f"{number}.png").write_bytes(picture(number))
    (own / "Blue Hair" / "wrong.png").write_bytes(picture(9, kind="JPEG"))
    (own / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folder_is_scraped_with_its_names_as_tags(folder: Path) -> None:
    report = run(folder, min_score=5)
    assert (report.accepted, report.listed, report.rejected) == (5, 5, {})
    posts = lines(folder)
    assert [post["id"] for post in posts] == sorted((post["id"] for post in posts), reverse=True)  # type: ignore[type-var]
    files = {post["file"]: (folder / "raw" / str(post["file"])).read_bytes() for post in posts}
    assert sorted(files.values()) == sorted(
        [*(picture(n) for n in range(4)), picture(9, kind="JPEG")]
    )
    (tagged,) = [post for post in posts if "blue_hair" in str(post["tags"])]
    assert str(tagged["file"]).endswith(".jpg")
    assert tagged["source"] == "Blue Hair/wrong.png"
    assert tagged["md5_matches"] is True
    assert json.loads((folder / "scrape.json").read_text())["accepted"] == 5


def test_a_picture_with_long_text_is_scraped(folder: Path) -> None:
    """Pillow refuses more than 1 MiB of compressed text."""
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "x" * 2_000_000, zip=True)
    with Image.open(folder / "my pictures" / "0.png") as image:
        image.save(folder / "my pictures" / "0.png", pnginfo=text)
    report = run(folder)
    assert (report.accepted, report.listed, report.rejected) == (5, 5, {})


def test_the_users_files_stay_their_own(folder: Path) -> None:
    run(folder)
    assert all(path.stat().st_nlink == 1 for path in (folder / "my pictures").glob("*.png"))


def test_more_pictures_change_no_id(folder: Path) -> None:
    run(folder)
    before = {post["sha256"]: post["id"] for post in lines(folder)}
    (folder / "my pictures" / "0-new.png").write_bytes(picture(77))
    run(folder)
    after = {post["sha256"]: post["id"] for post in lines(folder)}
    assert len(after) == 6
    assert before.items() <= after.items()


def test_the_rules_of_a_scrape_hold(folder: Path) -> None:
    own = folder / "my pictures"
    (own / "copy.png").write_bytes(picture(0))
    Image.new("RGB", (7, 40)).save(own / "thin.png")
    report = run(folder, excluded_tags=("blue_hair",), ratings=("explicit",))
    assert report.rejected == {"excluded_tags": 1, "duplicates": 1, "min_side": 1}
    assert run(folder, limit=2).accepted == 2
    assert len(lines(folder)) == 2


@pytest.mark.parametrize(
    ("values", "error", "problem"),
    [
        ({"site": "file:///nowhere"}, UsageError, "/nowhere: no such folder"),
        ({"site": "file://host/x"}, UsageError, "names another computer; write file:///FOLDER"),
        (
            {"min_side": 500},
            PipelineError,
            r"none of 5 pictures is accepted \(rejected: min_side 5",
        ),
    ],
)
def test_what_cannot_be_scraped_is_reported(
    folder: Path, values: dict[str, object], error: type[PipelineError], problem: str
) -> None:
    with pytest.raises(error, match=problem):
        run(folder, **values)
    assert not (folder / "raw").exists()


def test_damaged_pictures_are_replaced_by_the_next(folder: Path) -> None:
    """A PNG that breaks off, and a JPEG that decoders would fill with grey."""
    own = folder / "my pictures"
    (own / "0.png").write_bytes(picture(0)[:-400])
    cut = picture(5, 200, 200, "JPEG")
    (own / "00.jpg").write_bytes(cut[: len(cut) // 2] + b"\xff\xd9")
    notes = Notes()
    report = run(folder, notes, limit=4)
    assert (report.accepted, report.rejected) == (4, {"undecodable": 2})
    message = "cannot be decoded, and is left out"
    assert notes.messages[1:] == [f"{own}/{name}: {message}" for name in ("0.png", "00.jpg")]


def test_the_report_ends_with_the_limit_whatever_the_threads(folder: Path) -> None:
    for number in range(5, 9):
        Image.new("RGB", (7, 40)).save(folder / "my pictures" / f"{number}.png")
    assert run(folder, limit=4).rejected == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_no_other_picture(folder: Path) -> None:
    path = folder / "my pictures" / "1.png"
    path.chmod(0)
    with pytest.raises(PipelineError, match=r"1\.png: cannot be read: Permission denied"):
        run(folder)


def test_a_fault_of_the_machine_ends_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the disk while headers are read, of memory while pictures are decoded."""
    bad = folder / "my pictures" / "1.png"
    open_file, load = Path.open, PngImagePlugin.PngImageFile.load

    def failing_open(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return open_file(path, *arguments, **options)

    def failing_load(image: PngImagePlugin.PngImageFile) -> Any:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", failing_open)
        with pytest.raises(PipelineError, match=r"1\.png: cannot be read: Input/output error"):
            run(folder)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", failing_load)
    with pytest.raises(PipelineError, match=r"\.png: cannot be read or decoded: not enough memory"):
        run(folder)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    assert run(folder).accepted == 5
