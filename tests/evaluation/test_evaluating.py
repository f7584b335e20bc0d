"""The whole evaluation of a small world, from shards to the page."""

import csv
import json
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import alexnet

from pipeline.errors import PipelineError, UsageError
from pipeline.evaluation.evaluating import evaluate
from pipeline.networks.weights import FOLDER_VARIABLE
from pipeline.params import EvaluateParams
from tests.evaluation.world import make_world

METHODS = ["nearest", "bilinear", "bicubic", "lanczos", "model"]
DISTORTION = {"psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "rmse_y"}
SWD = {"swd", "swd_64", "swd_32", "swd_16"}
FILES = [
    "evaluate/comparison.png",
    "evaluate/per_image.csv",
    "evaluate/plane.csv",
    "evaluate/plane.png",
    "index.html",
    "metrics.json",
]


def run(root: Path, reports: str = "reports", **params):
    return evaluate(
        EvaluateParams(device="cpu", detail=32, **params),
        root / "data/manifest.csv",
        root / "data/resized",
        root / "models/generator.safetensors",
        root / reports,
        revision="0" * 40,
    )


def written(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def soup(folder: Path) -> BeautifulSoup:
    return BeautifulSoup((folder / "index.html").read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    make_world(root, {"train": 2, "val": 1, "test": 4})
    return root


@pytest.fixture(scope="module", autouse=True)
def backbone(tmp_path_factory: pytest.TempPathFactory):
    """A folder with an AlexNet of random weights: LPIPS is measured, and nothing downloaded."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(1)
    state = alexnet(weights=None).features.state_dict()
    save_file(
        {f"features.{key}": value for key, value in state.items()}, folder / "alexnet.safetensors"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(folder))
        yield folder


@pytest.fixture(scope="module")
def reports(world: Path, backbone: Path) -> Path:
    run(world, pictures=3)
    return world / "reports"


def test_writes_the_files_of_the_contract(reports):
    assert list(written(reports)) == FILES


def test_metrics_are_flat_and_complete(reports):
    metrics = json.loads((reports / "metrics.json").read_text())
    expected = {f"{method}.{key}" for method in METHODS for key in DISTORTION | SWD | {"lpips"}}
    assert set(metrics) == expected
    assert all(isinstance(value, float) for value in metrics.values())


def test_means_are_of_the_table(reports):
    metrics = json.loads((reports / "metrics.json").read_text())
    with (reports / "evaluate/per_image.csv").open() as file:
        rows = list(csv.DictReader(file))
    measured = ["psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "lpips"]
    assert list(rows[0]) == ["id", "tile", "method", *measured]
    assert [(row["id"], row["method"]) for row in rows] == [
        (str(number), method) for number in (103, 104, 105, 106) for method in METHODS
    ]
    for method in METHODS:
        values = [float(row["psnr_y"]) for row in rows if row["method"] == method]
        assert metrics[f"{method}.psnr_y"] == pytest.approx(sum(values) / 4, abs=1e-5)


def test_the_untrained_model_is_near_bicubic(reports):
    """Its network adds nothing yet to torch's bicubic, which is a little sharper than Pillow's."""
    metrics = json.loads((reports / "metrics.json").read_text())
    assert metrics["model.psnr_y"] == pytest.approx(metrics["bicubic.psnr_y"], abs=0.1)
    assert metrics["model.swd"] == pytest.approx(metrics["bicubic.swd"], abs=0.05)
    assert metrics["nearest.psnr_y"] < metrics["bicubic.psnr_y"] - 0.3


def test_the_plane_is_of_the_metrics(reports):
    metrics = json.loads((reports / "metrics.json").read_text())
    with (reports / "evaluate/plane.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == METHODS
    for row in rows:
        assert float(row["rmse"]) == metrics[f"{row['method']}.rmse_y"]
        assert float(row["swd"]) == metrics[f"{row['method']}.swd"]
        assert float(row["lpips"]) == metrics[f"{row['method']}.lpips"]


def test_figures_are_whole_images(reports):
    for name in ("plane.png", "comparison.png"):
        with Image.open(reports / "evaluate" / name) as image:
            image.load()
            assert image.format == "PNG"


def test_the_page_shows_pictures_and_provenance(world, reports):
    page = soup(reports)
    assert len(page.select(".compare")) == 3
    assert len(page.select("#per-image tbody tr")) == 4 * len(METHODS)
    provenance = page.select_one("#provenance").get_text(" ", strip=True)
    for path in ("data/manifest.csv", "models/generator.safetensors"):
        assert sha256((world / path).read_bytes()).hexdigest() in provenance
    assert "0" * 40 in provenance
    assert "adv weight" in provenance
    assert not page.select(".notice")


def test_the_same_again_is_the_same(world, reports):
    run(world, "again", pictures=3)
    assert written(world / "again") == written(reports)


def test_other_stages_reports_are_shown(world):
    reports = world / "whole"
    curves = reports / "train/plots/metrics/val"
    curves.mkdir(parents=True)
    (curves / "psnr_y.tsv").write_text("step\tpsnr_y\n0\t20\n10\t21\n")
    (reports / "scrape.json").write_text('{"accepted": 7}')
    run(world, "whole", max_images=1)
    page = soup(reports)
    assert page.select_one("#training figcaption").get_text(" ", strip=True) == "val/psnr_y last 21"
    assert page.select_one("#data").get_text(" ", strip=True) == "Data Scrape accepted 7"


def test_at_most_so_many_images_of_the_other_split(world):
    evaluation = run(world, "few", max_images=2)
    assert [row.id for row in evaluation.rows] == [103, 106]
    evaluation = run(world, "val", split="val")
    assert [row.id for row in evaluation.rows] == [102]


@pytest.mark.parametrize(
    ("params", "reason"),
    [({"lpips": "off"}, "evaluate.lpips is off"), ({}, "weights are not to be had")],
)
def test_without_lpips_the_page_says_why(world, tmp_path, monkeypatch, params, reason):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    evaluation = run(world, "bare", max_images=2, **params)
    assert set(evaluation.means["model"]) == DISTORTION | SWD
    assert "lpips" not in (world / "bare/evaluate/plane.csv").read_text()
    notice = soup(world / "bare").select_one(".notice").get_text(" ", strip=True)
    assert notice.startswith("LPIPS was not measured.")
    assert reason in notice


def test_random_vgg_weights_are_a_red_notice(tmp_path):
    make_world(tmp_path, {"test": 1}, vgg="random")
    run(tmp_path, lpips="off")
    assert "random weights" in soup(tmp_path / "reports").select_one(".notice.grave").get_text()


def test_another_manifest_is_a_red_notice(tmp_path):
    make_world(tmp_path, {"train": 1, "test": 1})
    manifest = tmp_path / "data/manifest.csv"
    manifest.write_text(manifest.read_text().replace("1girl", "1boy"))
    run(tmp_path, lpips="off")
    assert "Another manifest." in soup(tmp_path / "reports").select_one(".notice.grave").get_text()


def test_images_are_cropped_to_the_scale(tmp_path):
    make_world(tmp_path, {"test": 1}, side=50)
    evaluation = run(tmp_path, lpips="off")
    assert evaluation.pictures[0].versions["original"].shape == (3, 48, 48)


def test_tiny_images_have_no_lpips(tmp_path):
    make_world(tmp_path, {"test": 1}, side=28)
    assert "31 pixels" in run(tmp_path).without_lpips


def test_a_border_that_leaves_nothing_is_a_usage_error(world):
    with pytest.raises(UsageError, match=r"evaluate\.crop_border: 27 leaves less than 11 pixels"):
        run(world, "none", crop_border=27)
    assert not (world / "none").exists()


def test_an_empty_split_names_what_to_change(tmp_path):
    make_world(tmp_path, {"train": 1, "val": 1})
    with pytest.raises(PipelineError, match=r"no image in the split test; raise manifest\.test"):
        run(tmp_path)


@pytest.mark.parametrize("name", ["data/manifest.csv", "models/generator.safetensors"])
def test_missing_and_damaged_inputs_are_named(tmp_path, name):
    make_world(tmp_path, {"test": 1})
    (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(PipelineError, match=Path(name).name):
        run(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(PipelineError, match=Path(name).name):
        run(tmp_path)
    assert not (tmp_path / "reports").exists()


def test_a_damaged_summary_is_named(world):
    (world / "damaged").mkdir()
    (world / "damaged/resize.json").write_text("{")
    with pytest.raises(PipelineError, match=r"resize\.json: damaged JSON"):
        run(world, "damaged", max_images=1)
