"""HR images of a folder and the LR images of another one: matched, checked and read."""

import os
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import PipelineError, UsageError
from pipeline.images.paired_folders import (
    FolderNames,
    PairedFiles,
    list_pairs,
    read_hr,
    read_lr,
    sha256_of_pairs,
)

ORIENTATION = 0x0112


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))


def write(path: Path, width: int = 16, height: int = 8, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise(width, height, seed).save(path)
    return path


def listed(root: Path, with_lr: bool = True, scale: int = 4) -> list[PairedFiles]:
    lr = root / "lr" if with_lr else None
    return list_pairs(
        FolderNames(root / "hr", lr, "evaluate.hr_folder", "evaluate.lr_folder"), scale
    )


def problems(root: Path, with_lr: bool = True) -> list[str]:
    with pytest.raises(UsageError) as caught:
        listed(root, with_lr)
    return str(caught.value).replace(f"{root}{os.sep}", "").splitlines()


@pytest.mark.parametrize("lr_name", ["a/1.webp", "a/1x4.png", "a/1_x4.png"])
def test_lr_has_the_name_of_hr_or_that_with_the_scale(tmp_path: Path, lr_name: str) -> None:
    hr = write(tmp_path / "hr/a/1.png")
    lr = write(tmp_path / "lr" / lr_name, 4, 2)
    (pair,) = listed(tmp_path)
    assert (pair.name, pair.hr.path) == ("a/1", hr)
    assert pair.lr is not None
    assert pair.lr.path == lr
    assert pair.lr.sha256 == sha256(lr.read_bytes()).hexdigest()


def test_names_at_another_scale_are_no_match(tmp_path: Path) -> None:
    write(tmp_path / "hr/1.png")
    write(tmp_path / "lr/1x2.png", 8, 4)
    assert listed(tmp_path, scale=2)[0].name == "1"
    assert len(problems(tmp_path)) == 2


def test_numbers_in_names_are_ordered_as_numbers(tmp_path: Path) -> None:
    """As in a manifest, whose images `pipeline pairs` names by id and tile."""
    names = ["9", "9-1", "9-10", "10", "10-2", "1000", "a/2", "a/10", "b"]
    for name in reversed(names):
        write(tmp_path / "hr" / f"{name}.png")
    assert [pair.name for pair in listed(tmp_path, with_lr=False)] == names


def test_linked_folders_are_read_and_loops_end(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere/2.png")
    write(tmp_path / "hr/1.png")
    (tmp_path / "hr/sub").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/loop").symlink_to(tmp_path / "hr")
    assert [pair.name for pair in listed(tmp_path, with_lr=False)] == ["1", "sub/2"]


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    write(tmp_path / "hr/1.png")
    (tmp_path / "hr/2.png").symlink_to(tmp_path / "gone.png")
    (line,) = problems(tmp_path, with_lr=False)
    assert line.startswith(f"evaluate.hr_folder: {Path('hr/2.png')}: a link to nothing; remove")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path / "hr/1.png")
    write(tmp_path / "hr/sub/2.png")
    (tmp_path / "hr/sub").chmod(0)
    with pytest.raises(PipelineError, match=r"hr/sub: cannot be read: Permission denied"):
        listed(tmp_path, with_lr=False)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["tif", "jpg", "webp", "avif"])
def test_listed_sizes_are_those_of_the_pixels(
    ending: str, orientation: int, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    (tmp_path / "hr").mkdir()
    noise(16, 8).save(tmp_path / f"hr/1.{ending}", exif=exif)
    (pair,) = listed(tmp_path, with_lr=False)
    assert read_hr(pair).shape == (pair.height, pair.width, 3)
    assert (pair.width, pair.height) == ((8, 16) if orientation > 4 else (16, 8))


def test_images_without_a_counterpart_are_named_on_both_sides(tmp_path: Path) -> None:
    for name in ("1", "2"):
        write(tmp_path / f"hr/{name}.png")
    for name in ("2", "3"):
        write(tmp_path / f"lr/{name}.png", 4, 2)
    assert problems(tmp_path) == [
        f"evaluate.lr_folder: {Path('lr')}: no LR image for {Path('hr/1.png')}; add them, under "
        "the same names, or remove these",
        f"evaluate.hr_folder: {Path('hr')}: no HR image for {Path('lr/3.png')}; add them, under "
        "the same names, or remove these",
    ]


def test_two_lr_images_of_one_hr_image_are_named(tmp_path: Path) -> None:
    for hr in ("1", "2"):
        write(tmp_path / f"hr/{hr}.png")
        for name in (hr, f"{hr}x4"):
            write(tmp_path / f"lr/{name}.png", 4, 2)
    assert problems(tmp_path) == [
        "evaluate.lr_folder: lr: LR images of one HR image: 1 and 1x4, 2 and 2x4; remove all but "
        "one of each"
    ]


def test_one_lr_image_is_not_of_two_hr_images(tmp_path: Path) -> None:
    """`1x4` is both an HR image with its own LR image, and a name for LR of `1`."""
    for name in ("1", "1x4"):
        write(tmp_path / f"hr/{name}.png", seed=len(name))
        write(tmp_path / f"lr/{name}.png", 4, 2, seed=len(name))
    assert [(pair.name, pair.lr and pair.lr.path.stem) for pair in listed(tmp_path)] == [
        ("1", "1"),
        ("1x4", "1x4"),
    ]


def test_an_lr_image_that_is_named_for_another_hr_image_is_not_taken_twice(tmp_path: Path) -> None:
    for name in ("1", "1x4"):
        write(tmp_path / f"hr/{name}.png")
    write(tmp_path / "lr/1x4.png", 4, 2)
    assert problems(tmp_path) == [
        f"evaluate.lr_folder: lr: no LR image for {Path('hr/1.png')}; add them, under the same "
        "names, or remove these"
    ]


def test_two_files_of_one_name_are_named(tmp_path: Path) -> None:
    for name in ("1", "sub/2"):
        write(tmp_path / f"hr/{name}.png")
        write(tmp_path / f"hr/{name}.webp")
    assert problems(tmp_path, with_lr=False) == [
        f"evaluate.hr_folder: files of one name: {Path('hr/1.png')} and 1.webp, "
        f"{Path('hr/sub/2.png')} and 2.webp; remove one of each two"
    ]


def test_sizes_that_do_not_fit_are_named(tmp_path: Path) -> None:
    for name, lr_size in (("1", (4, 2)), ("2", (5, 2)), ("3", (4, 3))):
        write(tmp_path / f"hr/{name}.png", 17, 11)
        write(tmp_path / f"lr/{name}.png", *lr_size)
    assert problems(tmp_path) == [
        "evaluate.lr_folder: not all images have an LR image of scale 4; make these anew; "
        f"{Path('lr/2.png')} is 5×2, {Path('hr/2.png')} needs 4×2, "
        f"{Path('lr/3.png')} is 4×3, {Path('hr/3.png')} needs 4×2"
    ]


@pytest.mark.parametrize(
    ("hr", "lr", "advice"),
    [
        ((8, 4), (32, 16), "the LR images are larger than the HR images; exchange the two folders"),
        ((16, 8), (8, 4), "the images are of scale 2, not 4; set train.scale, or make LR anew"),
        ((17, 9), (5, 3), "the images are of scale 3, not 4; set train.scale, or make LR anew"),
        ((17, 9), (17, 9), "the images are of scale 1, not 4; set train.scale, or make LR anew"),
        ((16, 8), (8, 2), "not all images have an LR image of scale 4; make these anew"),
    ],
)
def test_what_is_wrong_with_the_sizes_is_said(
    hr: tuple[int, int], lr: tuple[int, int], advice: str, tmp_path: Path
) -> None:
    for name in ("1", "2"):
        write(tmp_path / f"hr/{name}.png", *hr)
        write(tmp_path / f"lr/{name}.png", *lr)
    (line,) = problems(tmp_path)
    assert line.startswith(f"evaluate.lr_folder: {advice}; ")


def test_an_image_smaller_than_one_lr_pixel_is_named(tmp_path: Path) -> None:
    write(tmp_path / "hr/1.png", 30, 3)
    (problem,) = problems(tmp_path, with_lr=False)
    assert problem.startswith(
        f"evaluate.hr_folder: smaller than one LR pixel: {Path('hr/1.png')}; "
    )


def test_what_exceeds_a_multiple_of_the_scale_is_cut_off_at_right_and_bottom(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "hr/1.png", 19, 11)
    write(tmp_path / "lr/1.png", 4, 2, seed=1)
    (pair,) = listed(tmp_path)
    assert (pair.width, pair.height) == (16, 8)
    assert (pair.hr.width, pair.hr.height) == (19, 11)
    np.testing.assert_array_equal(read_hr(pair), np.asarray(Image.open(path))[:8, :16])
    np.testing.assert_array_equal(read_lr(pair), np.asarray(noise(4, 2, 1)))


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "hr/1.png")
    (tmp_path / "hr/.DS_Store").write_bytes(b"\0")
    write(tmp_path / "hr/.thumbnails/1.png")
    assert [pair.name for pair in listed(tmp_path, with_lr=False)] == ["1"]


def test_folders_inside_a_hidden_one_are_read(tmp_path: Path) -> None:
    write(tmp_path / ".cache/hr/1.png")
    assert [pair.name for pair in listed(tmp_path / ".cache", with_lr=False)] == ["1"]


def animated(path: Path) -> None:
    noise(16, 8).save(path, save_all=True, append_images=[noise(16, 8, 1)])


def text(path: Path) -> None:
    path.write_text("notes")


def cut_in_its_header(path: Path) -> None:
    write(path)
    path.write_bytes(path.read_bytes()[:20])


@pytest.mark.parametrize(
    ("name", "make", "problem"),
    [
        ("1.gif", animated, "2 frames"),
        ("1.webp", animated, "2 frames"),
        ("notes.txt", text, "no image of a known format"),
        ("1.png", Path.touch, "the file has no bytes"),
        ("1.png", cut_in_its_header, "ends too early; get it again"),
    ],
)
def test_a_file_that_is_no_picture_is_named(
    tmp_path: Path, name: str, make: Callable[[Path], None], problem: str
) -> None:
    (tmp_path / "hr").mkdir()
    make(tmp_path / "hr" / name)
    (line,) = problems(tmp_path, with_lr=False)
    assert line.startswith(f"evaluate.hr_folder: no images to be read: {Path('hr') / name}: ")
    assert problem in line
    assert line.endswith("; remove them from the folder")


def test_all_files_that_are_no_pictures_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "hr").mkdir()
    for name in ("1.txt", "2.txt"):
        text(tmp_path / "hr" / name)
    (line,) = problems(tmp_path, with_lr=False)
    assert line.count("no image of a known format") == 2


def test_a_damaged_file_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "hr/1.png", 64, 64)
    path.write_bytes(path.read_bytes()[:5000])
    (pair,) = listed(tmp_path, with_lr=False)
    with pytest.raises(PipelineError, match=r"1\.png: .*; replace it, or remove it from its fol"):
        read_hr(pair)


def test_a_file_that_changed_since_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "hr/1.png")
    (pair,) = listed(tmp_path, with_lr=False)
    write(path, seed=1)
    with pytest.raises(PipelineError, match=r"1\.png: changed since it was listed; put it back"):
        read_hr(pair)
    path.unlink()
    with pytest.raises(PipelineError, match=r"1\.png: cannot be read: No such file"):
        read_hr(pair)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_after_the_exif_orientation(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    (tmp_path / "hr").mkdir()
    noise(16, 8).save(tmp_path / "hr/1.png", exif=exif)
    (pair,) = listed(tmp_path, with_lr=False)
    assert read_hr(pair).shape == (pair.height, pair.width, 3)
    assert (pair.width, pair.height) == ((8, 16) if orientation > 4 else (16, 8))


def test_a_png_is_decoded_for_its_orientation_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[object] = []
    monkeypatch.setattr(
        "PIL.PngImagePlugin.PngImageFile.load_prepare", lambda image: decoded.append(image)
    )
    write(tmp_path / "hr/1.png")
    write(tmp_path / "hr/2.png")
    listed(tmp_path, with_lr=False)
    assert decoded == []


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_has_no_orientation(tmp_path: Path) -> None:
    (tmp_path / "hr").mkdir()
    noise(16, 8).save(tmp_path / "hr/1.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    (pair,) = listed(tmp_path, with_lr=False)
    assert (pair.width, pair.height) == (16, 8)
    assert read_hr(pair).shape == (8, 16, 3)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda folder: None, "hr: no such folder; name a folder that holds images"),
        (Path.touch, "hr: is a file; name a folder that holds images"),
        (Path.mkdir, "hr: holds no images; name a folder that does"),
    ],
)
def test_a_folder_without_images_is_named(
    tmp_path: Path, make: Callable[[Path], None], problem: str
) -> None:
    make(tmp_path / "hr")
    assert problems(tmp_path, with_lr=False) == [f"evaluate.hr_folder: {problem}"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode elsewhere")
def test_a_name_that_is_no_unicode_is_named(tmp_path: Path) -> None:
    write(tmp_path / "hr/1.png").rename(os.fsdecode(os.fsencode(tmp_path / "hr") + b"/\xff.png"))
    (problem,) = problems(tmp_path, with_lr=False)
    assert (
        problem
        == "evaluate.hr_folder: hr: '\\udcff.png' is no printable name in UTF-8; rename the file"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="names have no line breaks there")
def test_a_name_with_a_line_break_is_named(tmp_path: Path) -> None:
    write(tmp_path / "hr/a\nb.png")
    (problem,) = problems(tmp_path, with_lr=False)
    assert problem.startswith("evaluate.hr_folder: hr: 'a\\nb.png' is no printable name")


def test_one_hash_is_of_names_and_of_files(tmp_path: Path) -> None:
    for root, name, seed in (("a", "1", 0), ("b", "1", 0), ("c", "2", 0), ("d", "1", 1)):
        write(tmp_path / root / f"hr/{name}.png", seed=seed)
        write(tmp_path / root / f"lr/{name}.png", 4, 2)
    a, b, c, d = (sha256_of_pairs(listed(tmp_path / root)) for root in "abcd")
    assert a == b
    assert len({a, c, d, sha256_of_pairs(listed(tmp_path / "a", with_lr=False))}) == 4
