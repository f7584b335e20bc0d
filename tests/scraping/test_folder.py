"""Scraping a folder of pictures instead of a site."""

import errno
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pipeline.errors import PipelineError, UsageError
from pipeline.evaluation.origins import file_name
from pipeline.images.records import POSTS_FILE, read_posts
from pipeline.params import ScrapeParams
from pipeline.scraping.folder import scrape_folder
from pipeline.scraping.run import ScrapeReport
from tests.images.files import png_file
from tests.scraping.site import picture
from tests.scraping.test_run import Notes


def run(folder: Path, notes: Notes | None = None, **values: object) -> ScrapeReport:
    params = {"site": str(folder / "my pictures"), "min_side": 8, "excluded_tags": ()}
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
        ({"site": "safeboru"}, UsageError, r" \(did you mean https://safebooru.org\?\)$"),
        ({"site": "file://host/x"}, UsageError, "names another computer; write file:///FOLDER"),
        (
            {"min_side": 500},
            PipelineError,
            r"my pictures: no picture is accepted \(rejected: min_side 5\); change scrape.min_side",
        ),
    ],
)
def test_what_cannot_be_scraped_is_reported(
    folder: Path, values: dict[str, object], error: type[PipelineError], problem: str
) -> None:
    with pytest.raises(error, match=problem):
        run(folder, **values)
    assert not (folder / "raw").exists()


def test_a_small_folder_is_taken_whole(folder: Path) -> None:
    notes = Notes()
    report = run(folder, notes, limit=6)
    assert (report.accepted, report.md5_mismatches) == (5, None)
    (line,) = [text for text in notes.messages if "scrape.limit" in text]
    assert line == (
        f"{folder / 'my pictures'}: 5 pictures fit, fewer than scrape.limit 6; all are taken"
    )
    run(folder, notes := Notes(), limit=5)
    assert not any("scrape.limit" in text for text in notes.messages)


def test_further_pages_are_said(folder: Path) -> None:
    own = folder / "my pictures"
    pages = [Image.new("RGB", (40, 32), colour) for colour in ("teal", "navy")]
    pages[0].save(own / "scan.tif", save_all=True, append_images=pages[1:])
    pages[1].save(own / "phone.mpo", save_all=True, append_images=pages[:1])
    data = (own / "scan.tif").read_bytes()
    # The second page's directory lies beyond the end.
    (own / "damaged.tif").write_bytes(_with_next_page_at(data, 2**31))
    notes = Notes()
    assert run(folder, notes).accepted == 8
    (line,) = [text for text in notes.messages if "further pictures" in text]
    assert line.endswith("such as pages, the first is taken: phone.mpo, scan.tif")


def _with_next_page_at(data: bytes, offset: int) -> bytes:
    """Return a little-endian TIFF whose first directory names another place of the next one."""
    first = int.from_bytes(data[4:8], "little")
    end = first + 2 + 12 * int.from_bytes(data[first : first + 2], "little")
    return data[:end] + offset.to_bytes(4, "little") + data[end + 4 :]


def test_rules_for_posts_alone_are_named(folder: Path) -> None:
    notes = Notes()
    run(folder, notes, until=5, min_score=None, ratings=("explicit",))
    assert "note: scrape.ratings, scrape.until: without effect on a folder" in notes.messages
    run(folder, notes := Notes())
    assert not any("without effect" in text for text in notes.messages)


def test_an_empty_folder_is_said_once(folder: Path) -> None:
    for path in (folder / "my pictures").glob("**/*.png"):
        path.unlink()
    notes = Notes()
    with pytest.raises(UsageError, match="holds no picture that can be read; name a folder"):
        run(folder, notes)
    assert notes.messages == [f"{folder / 'my pictures'}: files left out: 1 without a picture"]


def test_what_cannot_be_decoded_is_left_out_by_name(folder: Path) -> None:
    """A PNG that breaks off, a JPEG that decoders would fill with grey, and text."""
    own = folder / "my pictures"
    (own / "0.png").write_bytes(picture(0)[:-400])
    cut = picture(5, 200, 200, "JPEG")
    (own / "00.jpg").write_bytes(cut[: len(cut) // 2] + b"\xff\xd9")
    (own / "text.png").write_text("no picture")
    notes = Notes()
    report = run(folder, notes)
    assert (report.accepted, report.listed, report.rejected) == (4, 7, {"undecodable": 3})
    why = "Corrupt JPEG data: premature end of data segment"
    assert notes.messages[:-1] == [
        f"{own}: files left out: 1 without a picture",
        f"{own}/0.png: cannot be decoded: ends too early; get it again; left out",
        f"{own}/00.jpg: cannot be decoded: {why}; left out",
        f"{own}/text.png: cannot be decoded: no image of a known format; left out",
    ]


def test_every_format_that_is_read_is_taken(folder: Path) -> None:
    """Whatever files are called; but neither animations nor high dynamic range: resize has none."""
    own = folder / "my pictures"
    formats = {
        "a.avif": "AVIF",
        "b.bmp": "BMP",
        "c.tif": "TIFF",
        "d.gif": "GIF",
        "e.jp2": "JPEG2000",
    }
    for number, (name, format) in enumerate(formats.items()):
        (own / name).write_bytes(picture(20 + number, kind=format))
    (own / "f.jpg").write_bytes(picture(30, kind="AVIF"))
    (own / "g").write_bytes(picture(31, kind="TIFF"))
    frames = [Image.new("RGB", (40, 32), colour) for colour in ("red", "blue")]
    frames[0].save(own / "moving.gif", save_all=True, append_images=frames[1:])
    bright = png_file(np.zeros((32, 40, 3), np.uint8), (b"cICP", bytes((9, 16, 0, 1))))
    (own / "bright.png").write_bytes(bright)
    (own / "h.jxl").write_bytes(b"\xff\x0a")
    notes = Notes()
    report = run(folder, notes)
    assert report.accepted == 12
    assert report.rejected == {"animated": 1, "unsupported": 1, "unread_format": 1}
    assert f"{own}: left out, as JPEG XL is not read: h.jxl" in notes.messages
    sources = {str(post["source"]): Path(str(post["file"])).suffix for post in lines(folder)}
    assert {name: sources[name] for name in (*formats, "f.jpg", "g")} == {
        **{name: Path(name).suffix for name in formats},
        "f.jpg": ".avif",
        "g": ".tif",
    }


def test_types_of_files_are_those_of_their_contents(folder: Path) -> None:
    (folder / "my pictures" / "photo.jpeg").write_bytes(picture(20, kind="JPEG"))
    report = run(folder, file_types=("jpg",))
    assert (report.accepted, report.rejected) == (2, {"file_types": 4})
    assert {Path(str(post["file"])).suffix for post in lines(folder)} == {".jpg", ".jpeg"}


def add_to_subfolders(folder: Path) -> None:
    for number in range(20):
        subfolder = folder / "my pictures" / str(number % 4)
        subfolder.mkdir(exist_ok=True)
        (subfolder / f"{number}.png").write_bytes(picture(100 + number))


def test_of_more_files_a_sample_of_all_folders_is_taken(folder: Path) -> None:
    add_to_subfolders(folder)
    notes = Notes()
    assert run(folder, notes, limit=8).accepted == 8
    assert (
        "25 files, more than scrape.limit 8: checked in a mixed order, the same each time, until "
        "so many fit"
    ) in notes.messages
    chosen = [post["source"] for post in lines(folder)]
    assert len({str(Path(str(source)).parent) for source in chosen}) >= 4
    shutil.copytree(folder / "my pictures", folder / "moved")
    run(folder, limit=8, site=str(folder / "moved"))
    assert [post["source"] for post in lines(folder)] == chosen


def test_the_report_ends_with_the_limit_whatever_the_threads(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_to_subfolders(folder)
    for number in range(20):
        Image.new("RGB", (7, 40)).save(folder / "my pictures" / f"thin{number}.png")
    reports = []
    for threads in (1, 9):
        monkeypatch.setattr("pipeline.scraping.folder.usable_cores", lambda count=threads: count)
        reports.append(run(folder, limit=3))
    assert reports[0] == reports[1]
    assert reports[0].accepted + reports[0].rejected["min_side"] < 45


def test_odd_names_become_text(folder: Path) -> None:
    """Bytes of Shift-JIS, and a file whose name has lines."""
    own = os.fsencode(folder / "my pictures")
    os.mkdir(own + b"/\x83e")  # noqa: PTH102
    names = (b"\x83X.png", b"\x83e/a.png", b"a\r\nb.png", "絵　\u3000.png".encode())
    for number, name in enumerate(names):
        Path(os.fsdecode(own + b"/" + name)).write_bytes(picture(20 + number))
    assert run(folder).accepted == 9
    posts = {str(post["source"]): post for post in lines(folder)}
    expected = {r"\x83X.png", r"\x83e/a.png", r"a\r\nb.png", "絵　\u3000.png"}
    assert expected <= posts.keys()
    assert r"\x83e" in cast("list[str]", posts[r"\x83e/a.png"]["tags"])
    assert str(posts[r"\x83X.png"]["file_url"]).endswith("/my%20pictures/%83X.png")
    assert [post.source for post in read_posts(folder / "raw") if post.source in expected]


@pytest.mark.parametrize(
    "name",
    [
        *("a#b.png", "a?b.png", "#1.png", "a%23b.png", "a;b.png", "c:d.png", "http:[x.png"),
        *("title #3.png", "#?%.png", "x.png#1", "a.png.", "a .PNG ", "~.png"),
    ],
)
def test_signs_of_addresses_are_signs_of_names(tmp_path: Path, name: str) -> None:
    own = tmp_path / "my pictures"
    own.mkdir()
    (own / name).write_bytes(picture(1))
    report = run(tmp_path)
    assert (report.accepted, report.rejected) == (1, {})
    (post,) = lines(tmp_path)
    assert post["source"] == name
    assert str(post["file"]) == f"{post['id']}.png"
    assert post["file_url"] == post["post_url"]
    address = urlsplit(str(post["file_url"]))
    assert (address.query, address.fragment) == ("", "")
    assert unquote(address.path) == str(own / name)
    assert file_name(str(post["post_url"])) == name


SCRIPT = """
import sys
from pathlib import Path
from pipeline.params import ScrapeParams
from pipeline.scraping.folder import scrape_folder
for site in (sys.argv[1], "\\u7d75"):
    params = ScrapeParams(site=site, min_side=8, excluded_tags=())
    scrape_folder(params, Path("raw"), Path("scrape.json"))
    print(sys.getfilesystemencoding(), Path("raw/posts.jsonl").read_text())
"""


def test_names_are_the_same_in_every_locale(folder: Path) -> None:
    """Of the folder, as an option and in the params file, and of a file that is no UTF-8."""
    (folder / "my pictures").rename(folder / "絵")
    Path(os.fsdecode(os.fsencode(folder / "絵") + b"/\x83e.png")).write_bytes(picture(20))
    run(folder, site=str(folder / "絵"))
    expected = (folder / "raw" / POSTS_FILE).read_text()
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, folder / "絵"],
        cwd=folder,
        env=os.environ
        | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        | {"PYTHONPATH": os.environ.get("PYTHONPATH", str(Path.cwd()))},
        capture_output=True,
        text=True,
    )
    assert result.stdout == f"ascii {expected}\n" * 2, result.stderr


def test_linked_folders_are_followed_once(folder: Path) -> None:
    own, other = folder / "my pictures", folder / "other"
    other.mkdir()
    (other / "x.png").write_bytes(picture(20))
    (own / "linked").symlink_to(other)
    (own / "again").symlink_to("Blue Hair")
    (other / "loop").symlink_to(own)
    report = run(folder)
    assert (report.accepted, report.listed, report.rejected) == (6, 6, {})
    assert "linked/x.png" in [post["source"] for post in lines(folder)]


def test_the_folder_of_the_set_is_not_scraped(folder: Path) -> None:
    raw = folder / "raw"
    (folder / "my pictures").rename(raw)
    with pytest.raises(UsageError, match="raw: is the folder that the set is written to; move "):
        run(folder, site=str(raw))
    assert len(list(raw.iterdir())) > 1


def test_the_set_is_not_taken_for_pictures(folder: Path) -> None:
    run(folder)
    report = run(folder, site=str(folder))
    assert (report.accepted, report.listed) == (5, 5)


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    with (folder / "my pictures" / "1.png").open("ab") as file:
        file.truncate(2**40)
    assert run(folder).rejected == {"max_bytes": 1}


@pytest.mark.parametrize("name", ["1.png", "Blue Hair"])
@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_left_out_by_name(folder: Path, name: str) -> None:
    path = folder / "my pictures" / name
    path.chmod(0)
    notes = Notes()
    report = run(folder, notes)
    path.chmod(stat.S_IRWXU)
    assert (report.accepted, report.rejected) == (4, {"unreadable": 1})
    assert any(f"{path}: cannot be read: Permission denied" in text for text in notes.messages)


@pytest.mark.parametrize("error", [errno.EACCES, errno.ENOENT])
def test_a_file_that_cannot_be_read_ends_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    fail_to_open(monkeypatch, folder / "my pictures" / "1.png", error)
    notes = Notes()
    assert run(folder, notes).rejected == {"unreadable": 1}
    assert notes.messages[-2].endswith(f"1.png: cannot be read: {os.strerror(error)}; left out")


class Changing(Notes):
    """Changes a file after it was checked, before it is copied."""

    def __init__(self, path: Path, data: bytes) -> None:
        super().__init__()
        self.path, self.data = path, data

    def start(self, label: str, *arguments: Any, **options: Any) -> None:
        if label == "writing the set":
            self.path.write_bytes(self.data)


@pytest.mark.parametrize("data", [picture(1)[:200], picture(77)])
def test_what_is_kept_is_what_was_checked(folder: Path, data: bytes) -> None:
    run(folder)
    before = {path.name: path.read_bytes() for path in (folder / "raw").iterdir()}
    changing = folder / "my pictures" / "1.png"
    with pytest.raises(PipelineError) as error:
        run(folder, Changing(changing, data))
    assert str(error.value) == (
        f"{changing}: was changed since it was checked, so no new set was made; run the same "
        "command again, when nothing writes to it"
    )
    assert {path.name: path.read_bytes() for path in (folder / "raw").iterdir()} == before
    assert not list(folder.glob(".raw*"))


def test_a_file_that_vanishes_after_its_check_ends_the_run(folder: Path) -> None:
    gone = folder / "my pictures" / "1.png"

    class Removing(Notes):
        def start(self, label: str, *arguments: Any, **options: Any) -> None:
            if label == "writing the set":
                gone.unlink()

    with pytest.raises(PipelineError, match=r"1\.png: No such file or directory, so the new set"):
        run(folder, Removing())
    assert not (folder / "raw").exists()


def test_size_and_hash_are_of_the_copied_bytes(folder: Path) -> None:
    run(folder)
    for post in lines(folder):
        data = (folder / "raw" / str(post["file"])).read_bytes()
        assert (post["bytes"], post["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert post["id"] == int(hashlib.md5(data).hexdigest()[:15], 16)


@pytest.mark.parametrize(("memory", "threads"), [(0, 1), (2**40, 3)])
def test_pictures_are_decoded_at_once_as_far_as_memory_allows(
    folder: Path, monkeypatch: pytest.MonkeyPatch, memory: int, threads: int
) -> None:
    """Every decoder waits for the others, where there are any."""
    monkeypatch.setattr("pipeline.scraping.folder.usable_cores", lambda: 3)
    monkeypatch.setattr("pipeline.scraping.folder.available_memory", lambda: memory)
    at_work = set[int]()
    all_at_work = threading.Barrier(threads)

    def decode(*arguments: object) -> None:
        if threading.get_ident() not in at_work:
            at_work.add(threading.get_ident())
            all_at_work.wait(timeout=30)

    monkeypatch.setattr("pipeline.scraping.folder.decode", decode)
    assert run(folder).accepted == 5
    assert len(at_work) == threads


def fail_to_open(monkeypatch: pytest.MonkeyPatch, bad: Path, error: int) -> None:
    open_file = Path.open

    def failing_open(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == bad:
            raise OSError(error, os.strerror(error))
        return open_file(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", failing_open)


def test_a_fault_of_the_machine_ends_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the disk while headers are read, of memory while pictures are decoded."""
    load = PngImagePlugin.PngImageFile.load

    def failing_load(image: PngImagePlugin.PngImageFile) -> Any:
        raise MemoryError

    with monkeypatch.context() as patched:
        fail_to_open(patched, folder / "my pictures" / "1.png", errno.EIO)
        with pytest.raises(PipelineError, match=r"1\.png: cannot be read or .*Input/output error"):
            run(folder)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", failing_load)
    with pytest.raises(PipelineError, match=r"\.png: cannot be read or decoded: not enough memory"):
        run(folder)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    assert run(folder).accepted == 5
