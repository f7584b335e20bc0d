"""Results of other programs: missing files, and results of another task."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.restoration import denoise_bilateral

from pipeline.drawings import draw
from pipeline.errors import PipelineError, UsageError
from pipeline.evaluation.folder_pairs import FolderPairs
from pipeline.evaluation.other_programs import check_results, find_results
from pipeline.evaluation.pairs import PairedImages, SplitPairs
from pipeline.evaluation.result_files import ResultFiles
from pipeline.images.interpolation import interpolate
from pipeline.networks.files import load_generator
from pipeline.params.degradation import Degradation
from pipeline.progress import Silent
from pipeline.shipped import shipped_models
from tests.evaluation.world import make_world

METHODS = ("nearest", "bilinear", "perception", "web")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> SplitPairs:
    root = tmp_path_factory.mktemp("world")
    make_world(root, {"test": 4}, side=128)
    return SplitPairs.from_split(root / "data/manifest.csv", root / "data/resized", "test", 4)


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawings")
    for seed in range(910, 913):
        drawing = draw(seed).image
        left, top = (side // 2 - 192 for side in drawing.size)
        drawing.crop((left, top, left + 384, top + 384)).save(folder / f"{seed}.png")
    return folder


MISTAKES = {
    "grey": lambda sr: sr.double().mean(0).round().byte().expand(3, -1, -1),
    "channels": lambda sr: sr.flip(0),
    "one colour": lambda sr: torch.full_like(sr, 128),
    "half white": lambda sr: ((sr.double() + 255) / 2).round().byte(),
}


def enlarge(lr: torch.Tensor, method: str) -> torch.Tensor:
    if method in MISTAKES:
        return MISTAKES[method](interpolate(lr, 4, "bicubic"))
    if method == "denoised":
        pixels = denoise_bilateral(lr.numpy() / 255, sigma_color=0.08, channel_axis=0)
        return enlarge(torch.from_numpy((pixels * 255).round().astype(np.uint8)), "web")
    if method not in shipped_models():
        return interpolate(lr, 4, method)
    return load_generator(shipped_models()[method], torch.device("cpu")).generator.enlarge(
        lr[None]
    )[0]


def write_results(folder: Path, images: PairedImages, method: str) -> None:
    folder.mkdir()
    for index, image in enumerate(images.images):
        result = enlarge(images.pair(index)[0], method)
        Image.fromarray(result.permute(1, 2, 0).numpy()).save(folder / f"{image.name}.png")


def check(folder: Path, images: PairedImages) -> list[str]:
    return check_results(find_results({"theirs": str(folder)}, images).values(), images, Silent())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("made_of", ["none", "light", "web", "heavy"])
def test_results_are_of_the_measured_task(
    clean: SplitPairs, tmp_path: Path, method: str, made_of: Degradation
) -> None:
    write_results(tmp_path / "theirs", replace(clean, degradation=made_of), method)
    kind = "clean LR images" if made_of == "none" else f"LR images damaged as by {made_of}"
    tasks: tuple[Degradation, ...] = ("none", "light", "web", "heavy")
    for task in tasks:
        images = replace(clean, degradation=task)
        if task == made_of:
            check(tmp_path / "theirs", images)
            continue
        problem = (
            f"enlarged {kind}, not those of evaluate.degradation {task}; let it enlarge those that "
            f"`pipeline pairs --degradation {task}` writes"
        )
        if made_of == "none":
            [doubt] = check(tmp_path / "theirs", images)
            assert f"results of theirs look as if it had {problem}" in doubt
            continue
        with pytest.raises(UsageError) as caught:
            check(tmp_path / "theirs", images)
        assert str(caught.value) == (
            f"evaluate.results.theirs: {tmp_path / 'theirs'}: the program {problem}"
        )


@pytest.mark.parametrize(
    ("degradation", "method"),
    [
        *((degradation, "denoised") for degradation in ("none", "light", "web", "heavy")),
        *(("none", method) for method in MISTAKES),
    ],
)
def test_what_differs_in_other_ways_is_not_doubted(
    drawings: Path, tmp_path: Path, degradation: Degradation, method: str
) -> None:
    """What a program that denoises leaves of a damage looks somewhat like another damage."""
    images = FolderPairs.from_folders(str(drawings), None, 4, None, degradation, Silent())
    write_results(tmp_path / "theirs", images, method)
    assert check(tmp_path / "theirs", images) == []


def test_results_of_few_images_are_not_refused(clean: SplitPairs, tmp_path: Path) -> None:
    images = replace(clean, rows=clean.rows[:3])
    write_results(tmp_path / "theirs", replace(images, degradation="web"), "nearest")
    [doubt] = check(tmp_path / "theirs", images)
    assert "look as if it had enlarged LR images damaged as by web, not those of" in doubt


def test_images_without_damage_say_nothing(clean: SplitPairs, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(
        "pipeline.evaluation.pairs.make_lr",
        lambda hr, scale, kind, seeds: hr[..., ::scale, ::scale],
    )
    write_results(tmp_path / "theirs", clean, "nearest")
    for task in ("none", "web"):
        check(tmp_path / "theirs", replace(clean, degradation=task))


def test_flat_images_say_nothing(tmp_path: Path) -> None:
    """They have nothing that blur changes, but JPEG does change their colour."""
    (tmp_path / "hr").mkdir()
    Image.new("RGB", (64, 64), (201, 33, 90)).save(tmp_path / "hr/flat.png")
    images = FolderPairs.from_folders(str(tmp_path / "hr"), None, 4, None, "none", Silent())
    check(tmp_path / "hr", images)


def test_what_is_not_measured_is_reported(clean: SplitPairs, tmp_path: Path) -> None:
    write_results(tmp_path / "theirs", clean, "nearest")
    assert check(tmp_path / "theirs", clean) == []
    (tmp_path / "theirs/100.jpg").touch()
    [text] = check(tmp_path / "theirs", clean)
    assert text.endswith("lossless before lossy: 100.png, not 100.jpg")


@pytest.mark.parametrize(
    ("present", "problem"),
    [
        (["100", "102"], "no result of 2 of 4 images: 101, 103; .* as 101.png$"),
        (["100_x4", "101_x4"], "no result of 2 of 4 images: 102, 103; .* as 102_x4.png$"),
        (["100_a", "101_x4", "102_x4"], "no result of 2 of 4 images: 100, 103; .* as 100_x4.png$"),
        (["100", *(f"{number}_x4" for number in range(100, 104))], "of 3 of 4 images: "),
        ([f"{number}0" for number in range(100, 104)], ", and 1000.png is no image's name$"),
    ],
)
def test_missing_results_are_counted(
    clean: SplitPairs, tmp_path: Path, present: list[str], problem: str
) -> None:
    for name in present:
        (tmp_path / f"{name}.png").touch()
    with pytest.raises(UsageError, match=problem) as caught:
        check(tmp_path, clean)
    assert str(caught.value).startswith(f"evaluate.results.theirs: {tmp_path} has no result")
    assert "a file with the name of lr/ of `pipeline pairs`" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda folder: None, "does not exist"),
        (Path.touch, "is a file"),
        (Path.mkdir, "holds no file that ends in .png, "),
        (lambda folder: (folder / ".100.png").mkdir(parents=True), "holds no file that ends in"),
    ],
)
def test_a_folder_without_results_is_named(
    clean: SplitPairs, tmp_path: Path, make: Callable[[Path], None], problem: str
) -> None:
    folder = tmp_path / "theirs [x2]"
    make(folder)
    with pytest.raises(UsageError) as caught:
        check(folder, clean)
    assert str(caught.value).startswith(f"evaluate.results.theirs: {folder} {problem}")
    assert str(caught.value).endswith("; name the folder that holds the results")


NAMES = ("100", "101", "102", "103")


@pytest.mark.parametrize("form", ["{}_x4.png", "{}x4.PNG", "{}-a (4x).webp", "{}.TIF", "{}.bmp"])
def test_results_are_found_as_programs_name_them(tmp_path: Path, form: str) -> None:
    for name in NAMES:
        (tmp_path / form.format(name)).touch()
    files = ResultFiles.find("theirs", tmp_path, NAMES, "the HR images")
    assert files.paths == {name: tmp_path / form.format(name) for name in NAMES}


def test_of_several_kinds_of_results_none_is_chosen(tmp_path: Path) -> None:
    for name in NAMES:
        for suffix in ("_a", "_b"):
            (tmp_path / f"{name}{suffix}.png").touch()
    with pytest.raises(PipelineError, match="several results of each image, with _a and _b after"):
        ResultFiles.find("theirs", tmp_path, NAMES, "the HR images")


def test_of_several_files_of_an_image_the_measured_one_is_named(tmp_path: Path) -> None:
    for name in ("100.png", "101.JPG", "101.webp", "101_x4.png", "102.png", "1020.png", ".102.png"):
        (tmp_path / name).touch()
    for name in ("100_old.png", "100_old.png.txt", "other.png", "103.bmp", "103.png", "103.tif"):
        (tmp_path / name).touch()
    # A longer name's result is no second one.
    names = (*NAMES, "100_old")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/100.png").touch()
    files = ResultFiles.find("theirs", tmp_path, names, "the HR images")
    assert {path.name for path in files.paths.values()} == {
        "100.png",
        "100_old.png",
        "101.webp",
        "102.png",
        "103.png",
    }
    assert files.unread_text() == (
        "results of theirs: 2 of 5 images have several files; measured is the image's name before "
        "longer ones, lossless before lossy: 101.webp, not 101.JPG and 101_x4.png; "
        "103.png, not 103.bmp and 103.tif"
    )


def test_what_is_converted_is_reported(tmp_path: Path) -> None:
    grey = np.arange(24 * 24, dtype=np.uint16).reshape(24, 24) * 113
    clear = np.full((24, 24, 4), (255, 0, 0, 0), np.uint8)
    Image.fromarray(grey).save(tmp_path / "deep.png")
    Image.fromarray(clear).save(tmp_path / "clear.png")
    Image.fromarray(clear[..., :3]).save(tmp_path / "lossy.jpg", quality=95)
    Image.fromarray(clear[..., :3]).save(tmp_path / "lossy-too.webp")
    Image.fromarray(clear[..., :3]).save(tmp_path / "lossless.webp", lossless=True)
    names = ("deep", "clear", "lossy", "lossy-too", "lossless")
    files = ResultFiles.find("theirs", tmp_path, names, "the HR images")
    results = {name: files.read(name, (24, 24)) for name in names}
    assert {name: result.conversions for name, result in results.items()} == {
        "deep": ("of 16 bits, rounded to 8",),
        "clear": ("transparent, over white",),
        "lossy": ("lossy JPEG, whose damage is measured too",),
        "lossy-too": ("lossy WEBP, whose damage is measured too",),
        "lossless": (),
    }
    expected = torch.from_numpy(np.round(grey / 257).astype(np.uint8)).expand(3, -1, -1)
    assert torch.equal(results["deep"].pixels, expected)
    assert results["clear"].pixels.min() == 255
