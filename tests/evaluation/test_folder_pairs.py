"""The evaluation of images in a folder of one's own."""

import csv
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image

from pipeline.errors import PipelineError, UsageError
from pipeline.evaluation.folder_pairs import FolderPairs
from pipeline.evaluation.methods import MODEL
from pipeline.evaluation.notices import input_notices
from pipeline.evaluation.other_programs import check_results, find_results
from pipeline.evaluation.perceptual import PerceptualMetrics
from pipeline.evaluation.provenance import Inputs
from pipeline.evaluation.results import Evaluation
from pipeline.evaluation.run import evaluate
from pipeline.images.interpolation import interpolate
from pipeline.images.resample import downscale
from pipeline.params import EvaluateParams
from pipeline.params.degradation import Degradation
from pipeline.progress import Silent
from tests.evaluation.world import drawing, make_world

SIZES = {"a": (97, 62), "b": (40, 130), "sub/c": (64, 64)}
"""Width and height in pixels, before they are cut to multiples of 4."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model, and folders of HR and LR images; neither manifest nor shards."""
    root = tmp_path_factory.mktemp("own")
    make_world(root, {"test": 1})
    for path in (root / "data/manifest.csv", *(root / "data/resized").iterdir()):
        path.unlink()
    for number, (name, (width, height)) in enumerate(SIZES.items()):
        hr = drawing(number, 140).crop((0, 0, width, height))
        lr = np.asarray(hr)[: height // 4 * 4 : 4, : width // 4 * 4 : 4]
        write(root / "pictures/hr" / f"{name}.png", hr)
        write(root / "pictures/lr" / f"{name}x4.png", Image.fromarray(lr))
    return root


def write(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def pairs(
    root: Path, lr: bool = False, degradation: Degradation = "none", max_images: int | None = None
) -> FolderPairs:
    folder = root / "pictures"
    given = str(folder / "lr") if lr else None
    return FolderPairs.from_folders(str(folder / "hr"), given, 4, max_images, degradation, Silent())


def run(root: Path, reports: str, lr: bool = False, **params: object) -> Evaluation:
    folders = {"hr_folder": str(root / "pictures/hr")}
    if lr:
        folders["lr_folder"] = str(root / "pictures/lr")
    defaults = {"device": "cpu", "detail": 32, "lpips": "off", "dists": "off"}
    return evaluate(
        EvaluateParams.model_validate({**defaults, **folders, **params}),
        Inputs(
            root / "data/manifest.csv", root / "data/resized", root / "models/generator.safetensors"
        ),
        root / reports,
    )


def soup(folder: Path) -> BeautifulSoup:
    return BeautifulSoup((folder / "index.html").read_text(encoding="utf-8"), "html.parser")


def notices(evaluation: Evaluation) -> Mapping[str, str]:
    return {notice.title: notice.text for notice in evaluation.notices}


@pytest.fixture(scope="module")
def evaluated(root: Path) -> Evaluation:
    return run(root, "reports")


def test_images_have_their_own_sizes_and_names(root: Path) -> None:
    images = pairs(root)
    assert [(image.name, image.width, image.height) for image in images.images] == [
        ("a", 96, 60),
        ("b", 40, 128),
        ("sub/c", 64, 64),
    ]
    assert images.smallest.name == "b"
    for index, image in enumerate(images.images):
        lr, hr = images.pair(index)
        assert hr.shape == (3, image.height, image.width)
        assert torch.equal(lr, downscale(hr[None], 4)[0])
        path = root / f"pictures/hr/{image.name}.png"
        assert image.address == path.as_uri()
        assert image.sha256 == sha256(path.read_bytes()).hexdigest()


def test_given_lr_images_are_used_as_they_are(root: Path) -> None:
    for degradation in ("none", "web"):
        images = pairs(root, lr=True, degradation=degradation)
        assert images.lr_is_given
        for index, image in enumerate(images.images):
            expected = np.asarray(Image.open(root / f"pictures/lr/{image.name}x4.png"))
            np.testing.assert_array_equal(images.pair(index)[0].permute(1, 2, 0), expected)


def test_damage_depends_on_the_name_alone(root: Path) -> None:
    everything, one = pairs(root, degradation="web"), pairs(root, degradation="web", max_images=1)
    assert [image.name for image in one.images] == ["b"]
    lr, hr = one.pair(0)
    assert torch.equal(lr, everything.pair(1)[0])
    assert not torch.equal(lr, downscale(hr[None], 4)[0])


def test_a_damaged_image_is_found_before_anything_is_measured(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"pictures/hr/{name}.png", drawing(1))
    path = tmp_path / "pictures/hr/b.png"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(PipelineError, match=r"b\.png: .*; replace it, or remove it"):
        pairs(tmp_path)


def test_each_size_is_measured_and_shown_whole(root: Path, evaluated: Evaluation) -> None:
    with (root / "reports/evaluate/per_image.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows if row["method"] == "model"] == list(SIZES)
    assert all(float(row["psnr_y"]) > 0 for row in rows)
    # Levels are named by the smallest image.
    assert {key for key in evaluated.means["model"] if key.startswith("swd_")} == {
        "swd_40",
        "swd_20",
    }
    shown = {example.name: example.original.shape for example in evaluated.examples}
    assert shown == {"a": (3, 60, 96), "b": (3, 128, 40), "sub/c": (3, 64, 64)}
    stages = soup(root / "reports").select("#pictures .stage")
    ratios = {stage["style"] for stage in stages}
    assert ratios == {f"--ratio: calc({size})" for size in ("96 / 60", "40 / 128", "64 / 64")}
    assert all(cost.seconds for cost in evaluated.costs.values())


def test_the_page_says_which_folder_was_measured(root: Path, evaluated: Evaluation) -> None:
    page = soup(root / "reports")
    text = " ".join(page.get_text(" ", strip=True).split())
    assert "3 pictures of the folder hr were measured, with LR images made of them." in text
    assert "Over 3 images of the folder hr, the trained generator" in text
    assert "images measured, SHA-256 " + pairs(root).sha256 in text
    assert "folder of HR images hr folder of LR images none: made of HR" in text
    assert str(root) not in page.decode()
    for absent in ("split", "manifest measured", "data sheet", "safebooru"):
        assert absent not in text
    assert notices(evaluated)["Images of a folder."].startswith(
        "The images are those of the folder hr, the LR images were made of them."
    )
    assert page.select_one("#data") is None


def test_given_lr_images_are_named_on_the_page(root: Path) -> None:
    evaluation = run(root, "given", lr=True, degradation="web")
    text = " ".join(soup(root / "given").get_text(" ", strip=True).split())
    assert "were measured, with the LR images of the folder lr." in text
    assert "folder of HR images hr folder of LR images lr" in text
    assert pairs(root, lr=True).sha256 in text
    assert "degradation" not in evaluation.background.used_params
    assert list(notices(evaluation)) == [
        "Images of a folder.",
        "Few images.",
        "Not measured: LPIPS.",
        "Not measured: DISTS and KVD.",
    ]


def test_damaged_lr_images_of_a_folder_are_another_task(root: Path) -> None:
    evaluation = run(root, "web", degradation="web", max_images=2)
    assert [image.name for image in evaluation.images] == ["a", "sub/c"]
    assert "Another task." in notices(evaluation)


def test_strengths_that_the_model_was_trained_with_are_named(root: Path) -> None:
    images = pairs(root, degradation="heavy")
    inputs = Inputs(root / "manifest.csv", root / "resized", root / "models/generator.safetensors")

    def titles(trained: Mapping[str, object], degradation: Degradation) -> list[str]:
        params = EvaluateParams(hr_folder="hr", degradation=degradation)
        perceptual = PerceptualMetrics()
        found = input_notices(inputs, {MODEL: {}}, trained, params, perceptual, images)
        return [notice.title for notice in found if notice.title != "Few images."]

    own = {"degradation": "light", "degradation_strengths": {"noise_prob": 0}}
    usual = ["Images of a folder.", "Another task."]
    assert titles(own, "heavy") == [*usual, "Other strengths."]
    assert titles(own, "web") == usual
    assert titles(own | {"degradation": "web"}, "heavy") == usual
    assert titles(own | {"degradation_strengths": {}}, "heavy") == usual


def test_summaries_of_the_data_stages_are_not_read(root: Path) -> None:
    (root / "damaged").mkdir()
    (root / "damaged/scrape.json").write_text("{")
    run(root, "damaged", max_images=1)


def test_a_border_too_wide_for_the_smallest_image_names_it(root: Path) -> None:
    problem = r"crop_border: 15 leaves less than 11 pixels of the image b of 40×128, which SSIM"
    with pytest.raises(UsageError, match=problem):
        run(root, "none", crop_border=15)


def test_the_smallest_image_decides_what_is_measured(tmp_path: Path) -> None:
    make_world(tmp_path, {"test": 1})
    for name, size in (("large", (180, 200)), ("small", (200, 28))):
        write(tmp_path / f"pictures/hr/{name}.png", drawing(1, 200).crop((0, 0, *size)))
    evaluation = run(tmp_path, "reports", lpips="auto")
    assert not {"ms_ssim_y", "lpips"} & set(evaluation.means["model"])
    texts = notices(evaluation)
    assert texts["Not measured: LPIPS."].endswith(" 31 pixels or more; small has 200×28.")
    assert texts["Not measured: MS-SSIM."] == (
        "It needs images of 169 pixels or more; small has 200×28."
    )
    (tmp_path / "pictures/hr/small.png").unlink()
    assert "ms_ssim_y" in run(tmp_path, "reports").means["model"]


def check(folder: Path, images: FolderPairs) -> list[str]:
    return check_results(find_results({"theirs": str(folder)}, images).values(), images, Silent())


def write_results(root: Path, images: FolderPairs, names: str = "{}") -> Path:
    for index, image in enumerate(images.images):
        result = interpolate(images.pair(index)[0], 4, "bicubic")
        path = root / f"{names.format(image.name)}.png"
        write(path, Image.fromarray(result.permute(1, 2, 0).numpy()))
    return root


def test_other_programs_results_have_the_names_of_hr(root: Path, tmp_path: Path) -> None:
    folder = write_results(tmp_path / "theirs", pairs(root))
    evaluation = run(root, "theirs", results={"theirs": str(folder)})
    assert evaluation.means["theirs"]["psnr_y"] == evaluation.means["bicubic"]["psnr_y"]
    other = write_results(tmp_path / "a", pairs(root), "{}_x4")
    assert check(other, pairs(root)) == []
    (other / "sub/c_x4.png").unlink()
    with pytest.raises(PipelineError, match=r"no result of 1 of 3 images: .* the HR images"):
        check(other, pairs(root))


def test_results_of_given_lr_images_are_of_no_other_task(root: Path, tmp_path: Path) -> None:
    """Results of damaged LR images pass as those of given ones, and not of clean ones."""
    folder = write_results(tmp_path / "theirs", pairs(root, degradation="web"))
    check(folder, pairs(root, lr=True))
    [doubt] = check(folder, pairs(root))
    assert "LR images damaged as by web, not those of evaluate.degradation none" in doubt
    write(folder / "sub/c.png", drawing(1, 60))
    with pytest.raises(PipelineError, match=r"c\.png is 60×60, not 64×64; let it enlarge"):
        check(folder, pairs(root, lr=True))
