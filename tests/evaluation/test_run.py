"""The evaluation of a small project, from shards to the page."""

import csv
import json
import math
import platform
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import alexnet, vgg16

from pipeline.errors import PipelineError, UsageError
from pipeline.evaluation.load_methods import with_initial_model
from pipeline.evaluation.measurement import IMAGE_METRICS, METRIC_BY_KEY, PSNR_CEILING
from pipeline.evaluation.pairs import SplitPairs, write_pairs
from pipeline.evaluation.provenance import Inputs
from pipeline.evaluation.report import MAIN_METRICS
from pipeline.evaluation.run import evaluate
from pipeline.manifest.rows import read_manifest, train_images_sha256
from pipeline.networks import SRResNet
from pipeline.networks.files import save_generator
from pipeline.networks.perceptual.weights import FOLDER_VARIABLE
from pipeline.params import EvaluateParams
from pipeline.progress import Progress, Silent
from tests.evaluation.page_bytes import without_seconds
from tests.evaluation.world import make_world

METHODS = ["nearest", "bilinear", "bicubic", "lanczos", "model"]
# The images are too small for MS-SSIM.
MEASURED = [key for key in IMAGE_METRICS if key != "ms_ssim_y"]
SWD = {"swd", "swd_64", "swd_32", "swd_16"}
PERCEPTION = {"lpips", "dists", "kvd"}
DISTORTION = {*MEASURED, "rmse_y"} - PERCEPTION
FILES = [
    "evaluate/comparison.png",
    "evaluate/comparisons.csv",
    "evaluate/intervals.csv",
    "evaluate/means.csv",
    "evaluate/per_image.csv",
    "evaluate/plane.csv",
    "evaluate/plane.png",
    "evaluate/plane.svg",
    "evaluate/seeds.csv",
    "evaluate/worst.png",
    "index.html",
    "metrics.json",
]


def inputs(root: Path, model: Path) -> Inputs:
    return Inputs(root / "data/manifest.csv", root / "data/resized", model, "0" * 40)


class Messages(Silent):
    """A progress that records its messages."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


def run(root: Path, reports: str = "reports", progress: Progress | None = None, **params):
    return evaluate(
        EvaluateParams(device="cpu", detail=32, **params),
        inputs(root, root / "models/generator.safetensors"),
        root / reports,
        progress,
    )


def written(folder: Path) -> dict[str, bytes]:
    """The files, the page without its measured seconds."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): without_seconds(path.read_bytes()) for path in files
    }


def soup(folder: Path) -> BeautifulSoup:
    return BeautifulSoup((folder / "index.html").read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    make_world(root, {"train": 2, "val": 1, "test": 4})
    return root


@pytest.fixture(scope="module", autouse=True)
def backbone(tmp_path_factory: pytest.TempPathFactory):
    """A folder with backbones of random weights: all is measured, and nothing downloaded."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(1)
    for network in (alexnet, vgg16):
        state = network(weights=None).features.state_dict()
        named = {f"features.{key}": value for key, value in state.items()}
        save_file(named, folder / f"{network.__name__}.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(folder))
        yield folder


@pytest.fixture(scope="module")
def reports(world: Path, backbone: Path) -> Path:
    run(world, pictures=3)
    return world / "reports"


def test_writes_the_files_of_the_contract(reports):
    assert list(written(reports)) == FILES


def read_means(reports):
    with (reports / "evaluate/means.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {f"{row['method']}.{row['metric']}": float(row["mean"]) for row in rows}


def test_means_are_of_all_methods_and_metrics(reports):
    expected = {f"{method}.{key}" for method in METHODS for key in DISTORTION | SWD | PERCEPTION}
    assert set(read_means(reports)) == expected


def test_metrics_are_the_generators_main_means(reports):
    metrics, means = json.loads((reports / "metrics.json").read_text()), read_means(reports)
    assert metrics == {name: means[name] for name in metrics}
    assert list(metrics) == [f"model.{name}" for name in MAIN_METRICS if f"model.{name}" in means]
    assert len(metrics) > 4


def test_means_are_of_the_table(reports):
    metrics = read_means(reports)
    with (reports / "evaluate/per_image.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "method", *MEASURED]
    assert [(row["image"], row["method"]) for row in rows] == [
        (str(number), method) for number in (103, 104, 105, 106) for method in METHODS
    ]
    for method in METHODS:
        values = [float(row["psnr_y"]) for row in rows if row["method"] == method]
        assert metrics[f"{method}.psnr_y"] == pytest.approx(sum(values) / 4, abs=1e-5)


def test_the_untrained_model_is_near_bicubic(reports):
    """Its network adds nothing yet to torch's bicubic, which is a little sharper than Pillow's."""
    metrics = read_means(reports)
    assert metrics["model.psnr_y"] == pytest.approx(metrics["bicubic.psnr_y"], abs=0.1)
    assert metrics["model.swd"] == pytest.approx(metrics["bicubic.swd"], abs=0.05)
    assert metrics["nearest.psnr_y"] < metrics["bicubic.psnr_y"] - 0.3


def test_the_plane_is_of_the_metrics(reports):
    metrics = read_means(reports)
    with (reports / "evaluate/plane.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == METHODS
    for row in rows:
        assert float(row["rmse"]) == metrics[f"{row['method']}.rmse_y"]
        assert float(row["swd"]) == metrics[f"{row['method']}.swd"]
        for key in PERCEPTION:
            assert float(row[key]) == metrics[f"{row['method']}.{key}"]


def test_figures_are_whole_images(reports):
    for name in ("plane.png", "comparison.png", "worst.png"):
        with Image.open(reports / "evaluate" / name) as image:
            image.load()
            assert image.format == "PNG"


def test_the_page_shows_pictures_and_provenance(world, reports):
    page = soup(reports)
    assert len(page.select("#pictures .compare")) == 3
    versions = [image["data-version"] for image in page.select_one(".compare").select(".stage img")]
    assert versions == ["nearest", "bilinear", "bicubic", "lanczos", "model", "original"]
    worst = [heading.string.partition(": worst by ")[2] for heading in page.select("#worst h3")]
    assert sorted(", ".join(worst).split(", ")) == sorted(
        METRIC_BY_KEY[key].name for key in MEASURED
    )
    assert len(page.select("#per-image tbody tr")) == 4 * len(METHODS)
    provenance = page.select_one("#provenance").get_text(" ", strip=True)
    for path in ("data/manifest.csv", "models/generator.safetensors"):
        assert sha256((world / path).read_bytes()).hexdigest() in provenance
    assert "0" * 40 in provenance
    for value in ("2.14.1+cu130", "cuda (NVIDIA H100)", "bf16", "c0de" * 4):
        assert value in provenance
    assert (
        f"PyTorch {torch.__version__} Python {platform.python_version()} device cpu" in provenance
    )
    assert "max images 4" in provenance
    assert "adv weight" in provenance
    (notice,) = page.select(".notice strong")
    assert notice.string == "Few images."


def test_the_same_again_is_the_same(world, reports):
    run(world, "again", pictures=3)
    assert written(world / "again") == written(reports)


def test_other_stages_reports_are_shown(world):
    reports = world / "complete"
    curves = reports / "train/plots/metrics/val"
    curves.mkdir(parents=True)
    (curves / "psnr_y.tsv").write_text("step\tpsnr_y\n0\t20\n10\t21\n")
    (reports / "scrape.json").write_text('{"accepted": 7}')
    run(world, "complete", max_images=1)
    page = soup(reports)
    caption = page.select_one("#training figcaption").get_text(" ", strip=True)
    assert caption == "Validation: PSNR of Y (dB), last 21, not smoothed"
    words = page.select_one("#data").get_text(" ", strip=True)
    assert words == "Data Counts of scrape Scrape accepted 7"


def test_at_most_so_many_images_of_the_other_split(world):
    evaluation = run(world, "few", max_images=2)
    assert [image.name for image in evaluation.images] == ["103", "106"]
    evaluation = run(world, "val", split="val")
    assert [image.name for image in evaluation.images] == ["102"]


@pytest.mark.parametrize(
    ("params", "reason"),
    [({"lpips": "off", "dists": "off"}, "is off."), ({}, "are not available")],
)
def test_what_is_not_measured_has_its_reason(world, tmp_path, monkeypatch, params, reason):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    messages = Messages()
    evaluation = run(world, "bare", messages, max_images=2, **params)
    told = [text.partition(":")[0] for text in messages.texts if "not measured" in text]
    assert told == ([] if params else ["LPIPS", "DISTS and KVD"])
    assert set(evaluation.means["model"]) == DISTORTION | SWD
    assert "lpips" not in (world / "bare/evaluate/plane.csv").read_text()
    notices = [
        notice.get_text(" ", strip=True) for notice in soup(world / "bare").select(".notice")
    ]
    assert notices.pop(0).startswith("Few images. These figures are of 2:")
    assert len(soup(world / "bare").select(".lead")) == 1
    assert [notice.partition(". ")[0] for notice in notices] == [
        "Not measured: LPIPS",
        "Not measured: DISTS and KVD",
    ]
    assert all(reason in notice for notice in notices)


def test_differences_and_intervals_are_of_the_table(reports):
    metrics = read_means(reports)
    with (reports / "evaluate/intervals.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(METHODS) * len(MEASURED)
    for row in rows:
        mean = metrics[f"{row['method']}.{row['metric']}"]
        assert float(row["mean"]) == pytest.approx(mean, abs=2e-5)
        assert float(row["low"]) <= float(row["mean"]) <= float(row["high"])
    with (reports / "evaluate/comparisons.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == math.comb(len(METHODS), 2) * len(MEASURED)
    for row in rows:
        method, other = (metrics[f"{row[key]}.{row['metric']}"] for key in ("method", "other"))
        assert float(row["difference"]) == pytest.approx(method - other, abs=2e-5)
        assert float(row["low"]) <= float(row["difference"]) <= float(row["high"])
        assert 0 < float(row["p"]) <= 1


def test_other_models_results_and_blends_stand_beside_the_trained_one(world):
    torch.manual_seed(3)
    other = SRResNet(scale=4, blocks=1, features=8, norm="none", skip="bicubic")
    save_generator(world / "other.safetensors", other, {})
    split = SplitPairs.from_split(world / "data/manifest.csv", world / "data/resized", "test", 4)
    write_pairs(split, world / "pairs", Silent())
    evaluation = run(
        world,
        "more",
        models={"other": str(world / "other.safetensors")},
        results={"copied": str(world / "pairs/hr")},
        blend="other",
        blend_steps=1,
    )
    assert list(evaluation.means) == [*METHODS, "other", "other 0.5", "copied"]
    assert evaluation.means["copied"]["psnr_y"] == PSNR_CEILING
    assert evaluation.means["copied"]["kvd"] == pytest.approx(0, abs=1e-5)
    with (world / "more/evaluate/plane.csv").open() as file:
        curve = [row["method"] for row in csv.DictReader(file) if row["curve"]]
    assert curve == ["model", "other", "other 0.5"]
    versions = soup(world / "more").select_one(".compare").select(".stage img")
    assert [image["data-version"] for image in versions][4:] == [
        "model",
        "other",
        "copied",
        "original",
    ]


def test_models_of_other_seeds_have_a_row_with_their_spread(world: Path, tmp_path: Path) -> None:
    models = {}
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = SRResNet(scale=4, blocks=1, features=8, norm="none", skip="bicubic")
        path = tmp_path / f"seed{seed}.safetensors"
        save_generator(path, model, {"params": json.dumps({"seed": seed, "lr": 1.0})})
        models[f"seed{seed}"] = str(path)
    evaluation = run(world, "seeds", lpips="off", dists="off", models=models)
    assert evaluation.seed_groups == [["seed0", "seed1"]]
    (row,) = soup(world / "seeds").select("#seeds tbody tr")
    assert row.th.string == "seed0, seed1"
    assert "±" in row.select("td")[1].string
    lines = (world / "seeds/evaluate/seeds.csv").read_text().splitlines()
    assert lines[1].startswith("seed0 seed1,2,psnr_y,")


@pytest.mark.parametrize(
    ("params", "error", "problem"),
    [
        (
            {"models": {"bicubic": "x"}},
            UsageError,
            r"\Aevaluate\.models\.bicubic: is the name of another",
        ),
        (
            {"models": {"a": "x"}, "results": {"a": "y"}},
            UsageError,
            r"\Aevaluate\.results\.a: is the name of another",
        ),
        (
            {"models": {"a": "x"}, "results": {"lr": "y"}},
            UsageError,
            r"\Aevaluate\.results\.lr: is the name of another",
        ),
        ({"models": {"a": "absent.safetensors"}}, UsageError, r"\Aevaluate\.models\.a: absent\."),
        ({"results": {"a": "absent"}}, UsageError, r"a: absent does not exist; name"),
    ],
)
def test_a_method_that_cannot_be_had_is_one_line(world, params, error, problem):
    with pytest.raises(error, match=problem) as caught:
        run(world, "none", **params)
    assert "\n" not in str(caught.value)
    assert not (world / "none").exists()


def test_the_shipped_model_that_training_began_with_is_compared() -> None:
    params = EvaluateParams(results={"web": "folder"}, models={"mine": "distortion"})
    assert with_initial_model(params, "perception").models == {
        "mine": "distortion",
        "perception": "perception",
    }
    for init in ("distortion", "web", "model.safetensors", None):
        assert with_initial_model(params, init) == params


def test_a_model_of_another_scale_is_refused(world):
    other = SRResNet(scale=2, blocks=1, features=8, norm="none", skip="bicubic")
    save_generator(world / "half.safetensors", other, {})
    with pytest.raises(
        UsageError, match=r"models\.half: enlarges 2 times, the trained generator 4 times"
    ):
        run(world, "none", models={"half": str(world / "half.safetensors")})


def test_random_vgg_weights_are_a_red_notice(tmp_path):
    make_world(tmp_path, {"test": 1}, vgg="random")
    run(tmp_path, lpips="off")
    assert "random weights" in soup(tmp_path / "reports").select_one(".notice").get_text()


def test_another_manifest_is_a_red_notice(tmp_path):
    make_world(tmp_path, {"train": 1, "test": 1})
    manifest = tmp_path / "data/manifest.csv"
    manifest.write_text(manifest.read_text().replace("1girl", "1boy"))
    run(tmp_path, lpips="off")
    assert not soup(tmp_path / "reports").select(".notice.grave")
    (row,) = [line for line in manifest.read_text().splitlines() if ",train," in line]
    manifest.write_text(manifest.read_text().replace(row.split(",train,")[1][:64], "0" * 64))
    run(tmp_path, lpips="off")
    assert "Another manifest." in soup(tmp_path / "reports").select_one(".notice.grave").get_text()


def test_another_manifest_of_another_model_is_a_notice(world: Path, tmp_path: Path) -> None:
    network = SRResNet(scale=4, blocks=1, features=8, norm="none", skip="bicubic")
    ours = train_images_sha256(read_manifest(world / "data/manifest.csv"))
    models = {"shipped": "distortion"}
    for name, manifest in (("same", ours), ("elsewhere", "0" * 64), ("unknown", None)):
        models[name] = str(tmp_path / f"{name}.safetensors")
        metadata = {} if manifest is None else {"train_images_sha256": manifest}
        save_generator(Path(models[name]), network, metadata)
    evaluation = run(world, "elsewhere", lpips="off", dists="off", max_images=1, models=models)
    notice = evaluation.notices[0]
    assert notice.title == "Other models, another manifest."
    assert notice.text.startswith("Not trained on this manifest's training images: elsewhere. They")


def test_a_model_that_makes_noise_is_a_red_notice(tmp_path):
    make_world(tmp_path, {"test": 1})
    noise = SRResNet(scale=4, blocks=1, features=8, norm="none", skip="none")
    save_generator(tmp_path / "models/generator.safetensors", noise, {})
    run(tmp_path, lpips="off", dists="off")
    (grave,) = soup(tmp_path / "reports").select("main > .notice.grave strong")
    assert grave.string == "The model has collapsed."


@pytest.fixture
def restored(tmp_path: Path) -> Path:
    """A project whose generator changes nothing, at the size of its input."""
    make_world(tmp_path, {"test": 2})
    network = SRResNet(scale=1, blocks=1, features=8, norm="none", skip="bicubic")
    save_generator(tmp_path / "models/generator.safetensors", network, {})
    return tmp_path


def test_a_generator_of_scale_1_is_compared_with_its_input(restored: Path) -> None:
    evaluation = run(restored, lpips="off", dists="off", degradation="web")
    assert list(evaluation.means) == ["input", "model"]
    assert evaluation.means["model"] == evaluation.means["input"]
    (test,) = {one.p for one in evaluation.paired_tests}
    assert test == 1
    page = soup(restored / "reports")
    assert page.title.string == page.h1.string == "Anime illustrations, restored"
    assert "; the input reaches " in page.select_one(".lead").get_text()
    assert "nterpolation" not in page.select_one("main").get_text()
    assert {image["data-version"] for image in page.select(".compare .before")} == {"input"}
    with Image.open(restored / "reports/evaluate/comparison.png") as figure:
        columns = ["picture", "input", "model", "original"]
        assert figure.width == len(columns) * (192 + 8) + 8


def test_results_of_other_programs_that_restore_are_measured(restored: Path) -> None:
    folders = restored / "data/manifest.csv", restored / "data/resized"
    write_pairs(
        SplitPairs.from_split(*folders, "test", 1, degradation="web"), restored / "out", Silent()
    )
    results = {"perfect": str(restored / "out/hr"), "nothing": str(restored / "out/lr")}
    evaluation = run(restored, lpips="off", dists="off", degradation="web", results=results)
    assert evaluation.means["perfect"]["psnr_y"] == PSNR_CEILING
    assert evaluation.means["nothing"] == evaluation.means["input"]


def test_lr_that_would_be_hr_is_refused(restored: Path) -> None:
    message = (
        r"\Aevaluate\.degradation: at scale 1 LR made by none is HR itself; set it to another, "
    )
    with pytest.raises(UsageError, match=message):
        run(restored)
    with pytest.raises(UsageError, match=message):
        run(restored, hr_folder="hr")


def test_only_at_scale_1_no_model_is_named_input(world: Path, restored: Path) -> None:
    model = str(restored / "models/generator.safetensors")
    with pytest.raises(
        UsageError, match=r"\Aevaluate\.models\.input: is the name of another method"
    ):
        run(restored, degradation="web", models={"input": model})
    other = {"input": str(world / "models/generator.safetensors")}
    assert "input" in run(world, "named", lpips="off", dists="off", models=other).means


def test_images_are_cropped_to_the_scale(tmp_path):
    make_world(tmp_path, {"test": 1}, side=50)
    evaluation = run(tmp_path, lpips="off")
    assert evaluation.examples[0].original.shape == (3, 48, 48)


def test_tiny_images_have_no_lpips_and_one_image_no_kvd(tmp_path):
    make_world(tmp_path, {"test": 1}, side=28)
    _, lpips, kvd = run(tmp_path).notices
    assert lpips.title == "Not measured: LPIPS."
    assert "31 pixels" in lpips.text
    assert kvd.title == "Not measured: KVD."


def test_every_method_but_other_programs_is_timed(world):
    evaluation = run(world, "timed", max_images=1, lpips="off", dists="off")
    assert list(evaluation.costs) == METHODS
    assert all(cost.seconds > 0 for cost in evaluation.costs.values())
    parameters = [cost.parameters for cost in evaluation.costs.values()]
    assert parameters[:-1] == [None] * 4
    assert parameters[-1] > 1000
    assert evaluation.seconds > 0


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


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image is measured: what is wrong is found first."""

    def measure(*_: object) -> None:
        raise AssertionError("an image was measured")

    monkeypatch.setattr("pipeline.evaluation.run.measure_image", measure)


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("content", [b"{", b"\xff"])
def test_a_damaged_summary_is_named(world, tmp_path, content):
    (tmp_path / "resize.json").write_bytes(content)
    with pytest.raises(PipelineError, match=r"resize\.json: damaged JSON"):
        run(world, str(tmp_path), max_images=1)


@pytest.mark.usefixtures("unmeasured")
def test_a_damaged_curve_is_named(world, tmp_path):
    path = tmp_path / "train/plots/metrics/loss.tsv"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff")
    with pytest.raises(PipelineError, match=r"loss\.tsv: no table of text"):
        run(world, str(tmp_path), max_images=1)


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda path: path.unlink(), r"hr has no result of 1 of 4 images: 106; "),
        (lambda path: path.write_bytes(path.read_bytes()[:-60]), r"106\.png: no complete image"),
        (lambda path: Image.new("RGB", (8, 4)).save(path), r"106\.png is 8×4, not 64×64"),
    ],
)
def test_another_programs_last_result_is_read_before_the_first_is_measured(
    world: Path, tmp_path: Path, damage: Callable[[Path], None], problem: str
) -> None:
    split = SplitPairs.from_split(world / "data/manifest.csv", world / "data/resized", "test", 4)
    write_pairs(split, tmp_path, Silent())
    damage(tmp_path / "hr/106.png")
    with pytest.raises(PipelineError, match=problem):
        run(world, "none", results={"other": str(tmp_path / "hr")})


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("params", ["[" * 100_000, "[1]", "null", "nothing"])
def test_a_model_whose_params_are_no_mapping_is_named(
    params: str, world: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model.safetensors"
    generator = SRResNet(blocks=1, features=8, norm="none", skip="bicubic")
    save_generator(model, generator, {"params": params})
    with pytest.raises(PipelineError, match=r"model\.safetensors: .*; make it again") as raised:
        evaluate(
            EvaluateParams(device="cpu", detail=32, max_images=1),
            inputs(world, model),
            tmp_path / "reports",
        )
    assert str(raised.value).isprintable()
