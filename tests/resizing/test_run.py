"""The resize stage's work: shards and index of any worker count, and what is refused."""

import errno
import hashlib
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pytest
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.images.records import read_index
from pipeline.images.resample import lanczos
from pipeline.images.shards import read_image
from pipeline.params import ResizeParams
from pipeline.resizing.run import ResizeReport, resize
from tests.images.originals import drawing, write_originals


def run(folder: Path, **params: Any) -> ResizeReport:
    return resize(
        ResizeParams(**({"size": 32, "shard_size": 4} | params)),
        folder / "raw",
        folder / "resized",
        folder / "resize.json",
        folder / "store",
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "resized").iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_originals(tmp_path / "raw", {id: drawing(id) for id in (12, 3, 40, 7, 9, 100, 8, 55, 2)})
    return tmp_path


def test_images_and_index_agree(folder: Path) -> None:
    report = run(folder)
    assert (report.originals, report.images, report.shards) == (9, 9, 3)
    index = read_index(folder / "resized")
    assert [image.id for image in index] == [2, 3, 7, 8, 9, 12, 40, 55, 100]
    assert [image.shard[-5] for image in index] == list("000011112")
    for image in index:
        pixels = read_image(folder / "resized", image)
        expected = lanczos(np.array(drawing(image.id))[4:44], 32, 32)
        assert np.array_equal(pixels, expected)
        assert image.sha256 == hashlib.sha256(pixels.tobytes()).hexdigest()
        assert image.phash == str(imagehash.phash(Image.fromarray(expected)))
        mirrored = Image.fromarray(expected[:, ::-1])
        assert image.phash_mirrored == str(imagehash.phash(mirrored))
        assert (image.scale, image.crop_box) == (0.8, (0, 4, 40, 44))
        assert (image.original_width, image.original_height) == (40, 48)
        assert image.original_format == "PNG"


def test_the_shards_json_is_the_index_without_places(folder: Path) -> None:
    run(folder)
    lines = (folder / "resized/index.jsonl").read_text().splitlines()
    with tarfile.open(folder / "resized/shard-000001.tar") as shard:
        member = shard.extractfile("000000012.json")
        assert member is not None
        facts = json.load(member)
    line = json.loads(lines[5])
    assert list(line) == sorted(line)
    assert set(line) - set(facts) == {"shard", "offset", "length"}
    assert facts == {key: line[key] for key in facts}


def test_workers_change_no_byte(folder: Path) -> None:
    run(folder, workers=1)
    one = contents(folder)
    run(folder, workers=2)
    assert contents(folder) == one
    run(folder, workers=7)
    assert contents(folder) == one


def test_what_earlier_runs_left_is_removed(folder: Path) -> None:
    run(folder, shard_size=1)
    assert len(contents(folder)) == 10
    (folder / "resized/.shard-000000.tar.abc.tmp").write_bytes(b"half")
    run(folder, shard_size=9)
    assert sorted(contents(folder)) == ["index.jsonl", "shard-000000.tar"]


def stored(folder: Path) -> list[Path]:
    return sorted((folder / "store").glob("*/*.tar"))


def test_nothing_is_decoded_twice(folder: Path) -> None:
    """The set grows and shrinks, DVC empties the outputs, the originals are even unreadable."""
    run(folder)
    whole = contents(folder)
    shutil.rmtree(folder / "resized")
    for original in (folder / "raw").glob("*.png"):
        original.write_bytes(b"unreadable")
    run(folder)
    assert contents(folder) == whole
    lines = (folder / "raw/posts.jsonl").read_text().splitlines(keepends=True)
    (folder / "raw/posts.jsonl").write_text("".join(lines[2:]))
    run(folder)
    assert [image.id for image in read_index(folder / "resized")] == [2, 3, 7, 8, 9, 12, 40]
    (folder / "raw/posts.jsonl").write_text("".join(lines[1:]))
    with pytest.raises(PipelineError, match=r"not what posts.jsonl lists \(sha256\): 55.png;"):
        run(folder)


def test_an_image_found_again_is_that_of_a_fresh_run(folder: Path, tmp_path: Path) -> None:
    """Another id with the same file gets its own facts."""
    run(folder)
    pictures = {id: drawing(seed) for id, seed in ((1, 55), (3, 3), (60, 1000), (2, 100))}
    for name in ("fresh", "again"):
        write_originals(tmp_path / name / "raw", pictures)
    shutil.copytree(folder / "store", tmp_path / "again/store")
    run(tmp_path / "fresh")
    run(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(tmp_path / "fresh")


def test_other_params_are_other_images(folder: Path) -> None:
    run(folder)
    before = stored(folder)
    assert len(before) == 3
    run(folder, mode="pad", size=16)
    assert not set(stored(folder)) & set(before)
    assert len(stored(folder)) == 3
    assert read_image(folder / "resized", read_index(folder / "resized")[0]).shape == (16, 16, 3)


def test_kept_shards_take_no_place_and_are_dropped_when_out_of_use(folder: Path) -> None:
    run(folder)
    inodes = {path.stat().st_ino for path in (folder / "resized").glob("*.tar")}
    assert {path.stat().st_ino for path in stored(folder)} == inodes
    run(folder, shard_size=9)
    assert len(stored(folder)) == 1


def test_tiles_are_images_of_one_post(folder: Path) -> None:
    pictures = {3: drawing(3, 70, 33), 11: drawing(11, 32, 32), 12: drawing(12, 31, 90)}
    write_originals(folder / "raw", pictures)
    report = run(folder, mode="tiles", max_tiles=2, max_refused=0.5)
    assert (report.originals, report.images, report.refused) == (3, 3, {"too_small": 1})
    index = read_index(folder / "resized")
    assert [image.key for image in index] == [(3, 0), (3, 1), (11, 0)]
    for image in index:
        left, top, right, bottom = image.crop_box
        expected = np.array(drawing(image.id, 70, 33) if image.id == 3 else pictures[11])
        pixels = read_image(folder / "resized", image)
        assert np.array_equal(pixels, expected[top:bottom, left:right])
    with tarfile.open(folder / "resized/shard-000000.tar") as shard:
        assert shard.getnames()[::2] == ["000000003.webp", "000000003-1.webp", "000000011.webp"]
    whole = contents(folder)
    (folder / "raw/3.png").write_bytes(b"unreadable")
    run(folder, mode="tiles", max_tiles=2, max_refused=0.5)
    assert contents(folder) == whole


def test_a_changed_byte_in_a_kept_shard_is_noticed(folder: Path) -> None:
    """The set's own shard changes with it: it is the same file."""
    run(folder)
    whole = contents(folder)
    kept = next(path for path in stored(folder) if path.read_bytes() == whole["shard-000000.tar"])
    image = read_index(folder / "resized")[1]
    with kept.open("r+b") as shard:
        shard.seek(image.offset + image.length // 2)
        shard.write(b"damage")
    assert contents(folder) != whole
    run(folder)
    assert contents(folder) == whole
    # Repaired, so that the next run has it.
    assert kept.read_bytes() == whole["shard-000000.tar"]


def test_changed_facts_in_a_kept_shard_are_noticed(folder: Path) -> None:
    run(folder)
    whole = contents(folder)
    kept = next(path for path in stored(folder) if path.read_bytes() == whole["shard-000000.tar"])
    damaged = kept.read_bytes().replace(b'"original_format": "PNG"', b'"original_format": "PNK"')
    assert damaged != whole["shard-000000.tar"]
    kept.write_bytes(damaged)
    shutil.rmtree(folder / "resized")
    run(folder)
    assert contents(folder) == whole
    assert kept.read_bytes() == whole["shard-000000.tar"]


def test_a_kept_shard_is_one_file_with_the_set_s_after_each_run(folder: Path) -> None:
    for _ in range(2):
        run(folder)
        inodes = {path.stat().st_ino for path in (folder / "resized").glob("*.tar")}
        assert {path.stat().st_ino for path in stored(folder)} == inodes


@pytest.mark.parametrize("length", [0, 700, 5000])
def test_a_damaged_kept_shard_costs_its_images_alone(folder: Path, length: int) -> None:
    run(folder)
    whole = contents(folder)
    damaged = stored(folder)[1]
    damaged.write_bytes(damaged.read_bytes()[:length])
    shutil.rmtree(folder / "resized")
    run(folder)
    assert contents(folder) == whole


def test_refusals_are_listed_and_stop_nothing(folder: Path) -> None:
    pictures: dict[int, Image.Image | bytes]
    pictures = {1: drawing(1), 2: b"", 3: drawing(3, 31, 90), 4: b"GIF", 5: drawing(5)}
    write_originals(folder / "raw", pictures)
    report = run(folder, max_refused=0.6)
    assert [image.id for image in read_index(folder / "resized")] == [1, 5]
    written = json.loads((folder / "resize.json").read_text())
    assert written["refused"] == report.refused == {"empty": 1, "not_an_image": 1, "too_small": 1}
    assert [(line["id"], line["file"], line["reason"]) for line in written["refusals"]] == [
        (2, "2.png", "empty"),
        (3, "3.png", "too_small"),
        (4, "4.png", "not_an_image"),
    ]
    assert "31×90" in written["refusals"][1]["text"]


def test_too_many_refusals_fail_after_the_report(folder: Path) -> None:
    write_originals(folder / "raw", {1: drawing(1), 2: b"", 3: drawing(3)})
    with pytest.raises(PipelineError, match=r"1 of 3 .*empty 1.*max_refused 0\.3 .*resize\.json"):
        run(folder, max_refused=0.3)
    assert json.loads((folder / "resize.json").read_text())["images"] == 2
    assert "index.jsonl" not in contents(folder)


def test_nothing_left_fails_whatever_is_allowed(folder: Path) -> None:
    write_originals(folder / "raw", {1: b""})
    with pytest.raises(PipelineError, match="every original is refused"):
        run(folder, max_refused=1.0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, r"posts\.jsonl: not found; run pipeline scrape first"),
        ("", r"posts\.jsonl: holds no post"),
        ("{", r"posts\.jsonl:1: not what pipeline scrape writes"),
        ('{"id": 1}', r"posts\.jsonl:1: not what pipeline scrape writes"),
        ("[1]", r"posts\.jsonl:1: not what pipeline scrape writes"),
        ("\xff", r"posts\.jsonl:1: not what pipeline scrape writes"),
    ],
)
def test_a_bad_list_of_posts_is_named(folder: Path, text: str | None, problem: str) -> None:
    posts = folder / "raw/posts.jsonl"
    if text is None:
        posts.unlink()
    else:
        posts.write_text(text, encoding="latin-1")
    with pytest.raises(PipelineError, match=problem):
        run(folder)


def test_a_second_post_of_an_id_and_a_file_elsewhere_are_refused(folder: Path) -> None:
    posts = folder / "raw/posts.jsonl"
    line = posts.read_text().splitlines(keepends=True)[0]
    posts.write_text(line + line)
    with pytest.raises(PipelineError, match=r"posts\.jsonl:2: id 100 a second time"):
        run(folder)
    posts.write_text(line.replace("100.png", "../100.png"))
    with pytest.raises(PipelineError, match=r"posts\.jsonl:1: not what"):
        run(folder)


def test_an_interrupt_leaves_no_index_and_no_half_shard(folder: Path) -> None:
    run(folder)
    whole = contents(folder)

    class Interrupting:
        def start(self, label: str, total: int | None, unit: str) -> None: ...
        def message(self, text: str) -> None: ...
        def finish(self) -> None: ...
        def update(self, done: int, **figures: object) -> None:
            if done == 6:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resize(
            ResizeParams(size=32, shard_size=4),
            folder / "raw",
            folder / "resized",
            folder / "resize.json",
            folder / "store",
            Interrupting(),
        )
    assert {name: whole[name] for name in contents(folder)} == contents(folder)
    assert "index.jsonl" not in contents(folder)
    run(folder)
    assert contents(folder) == whole


def rotten(path: Path) -> None:
    """Change a file as a disk does: same length, same time."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_originals_that_changed_on_disk_are_named_and_make_no_image(
    folder: Path, executor: str
) -> None:
    for id in (3, 100):
        rotten(folder / f"raw/{id}.png")
    (folder / "raw/12.png").unlink()
    with pytest.raises(PipelineError) as error:
        run(folder, executor=executor, workers=2, max_refused=1)
    assert str(error.value) == (
        f"{folder}/raw: missing, or not what posts.jsonl lists (sha256): 3.png, 12.png, 100.png; "
        "run pipeline scrape --check, then pipeline scrape"
    )
    assert "index.jsonl" not in contents(folder)
    write_originals(folder / "raw", {id: drawing(id) for id in (3, 12, 100)})
    assert run(folder).images == 3


def test_many_changed_originals_fit_in_one_line(folder: Path) -> None:
    write_originals(folder / "raw", {id: drawing(id) for id in range(1, 15)})
    for path in (folder / "raw").glob("*.png"):
        rotten(path)
    with pytest.raises(PipelineError, match=r": 1.png, .*, 10.png and 4 more; run"):
        run(folder)


def test_a_fault_of_the_machine_refuses_no_original(folder: Path) -> None:
    (folder / "raw/7.png").unlink()
    (folder / "raw/7.png").mkdir()
    with pytest.raises(PipelineError) as error:
        run(folder, max_refused=1)
    assert str(error.value) == (
        f"{folder}/raw/7.png: cannot be read or decoded: Is a directory; fix this, "
        "then run pipeline resize again"
    )
    assert not (folder / "resize.json").exists()


@pytest.mark.parametrize("name", ["resized", "store"])
def test_a_folder_that_cannot_be_written_is_named(folder: Path, name: str) -> None:
    (folder / name).write_text("a file where the folder goes")
    with pytest.raises(PipelineError) as error:
        run(folder)
    assert str(error.value).startswith(f"{folder}/{name}: cannot be written: ")
    assert "resize.json" not in str(error.value)


def test_a_cached_shard_that_cannot_be_written_is_not_the_result_s_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.link", full)
    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(PipelineError) as error:
        run(folder)
    assert str(error.value) == f"{folder}/store: cannot be written: No space left on device"
    assert not (folder / "resized/index.jsonl").exists()


def test_a_report_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / "resize.json").mkdir()
    with pytest.raises(PipelineError) as error:
        run(folder)
    assert str(error.value) == f"{folder}/resize.json: cannot be written: Is a directory"
