"""`params.yaml`: the schema's defaults, and one clear line for each mistake."""

import json
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path

import pytest
from PIL import Image
from ruamel.yaml import YAML

from pipeline.errors import UsageError
from pipeline.networks import GENERATORS
from pipeline.params import EvaluateParams, Params, ScrapeParams, Section, TrainParams
from pipeline.params.file import load_params, override
from pipeline.params.generator import RRDBParams, SRResNetParams
from pipeline.params.optimiser import MuonParams
from pipeline.params.schema import schema_text
from pipeline.params.section import MAX_DECODED_PIXELS
from pipeline.params.text import params_text

ROOT = Path(__file__).parents[2]

KINDS = ", ".join([*GENERATORS, "file"])
NO_DAMAGE = (
    "train.degradation: at train.scale 1 LR made by none is HR itself, from which nothing is "
    "learnt; set this to another, as web, or give the LR of all images: train.lr_folders, "
    "train.val_lr_folder and 0 for manifest in train.folder_weights"
)
NOT_EVALUATED = (
    "evaluate.degradation: at train.scale 1 LR made by none is HR itself; set this to another, as "
    "web, or give LR images: evaluate.hr_folder, evaluate.lr_folder"
)
GIVEN_LR = """\
  scale: 1
  hr_folders: {a: hr}
  lr_folders: {a: lr}
  folder_weights: {manifest: 0}
  val_hr_folder: hr
"""


def test_a_params_file_holds_every_key_and_the_schemas_defaults() -> None:
    content = YAML(typ="safe").load(params_text(Params()))
    assert json.dumps(content) == json.dumps(json.loads(Params().model_dump_json()))


def comment_at(lines: list[str], index: int) -> str:
    """The comment of the key on a line: above it, or below and indented."""
    indent = lines[index][: -len(lines[index].lstrip())]
    above = takewhile(lambda line: line.startswith(f"{indent}# "), lines[index - 1 :: -1])
    below = takewhile(lambda line: line.startswith(f"{indent}  # "), lines[index + 1 :])
    own = list(below) or list(above)[::-1]
    return " ".join(line.strip().removeprefix("# ") for line in own)


def comments(text: str, names: Iterable[str]) -> Iterator[str]:
    """Yield the comment of each name, in the file's order."""
    lines = text.splitlines()
    index = 0
    for name in names:
        index = next(i for i in range(index + 1, len(lines)) if lines[i].strip().startswith(name))
        yield comment_at(lines, index)


def test_the_comment_of_every_key_is_its_description() -> None:
    described = list(descriptions(Params()))
    names = [f"{keys[-1]}:" for keys, _ in described]
    assert list(comments(params_text(Params()), names)) == [text for _, text in described]


def descriptions(section: Section, *keys: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Keys and description of each param; the kind of a section has the section's."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            if "kind" in type(value).model_fields:
                yield (*keys, name, "kind"), str(field.description)
            yield from descriptions(value, *keys, name)
        elif name != "kind":
            yield (*keys, name), str(field.description)


def test_the_schema_for_editors_is_current() -> None:
    """`python -m pipeline.params.schema > params.schema.json` makes it so."""
    assert (ROOT / "params.schema.json").read_text(encoding="utf-8") == schema_text()
    first_line = params_text(Params()).splitlines()[0]
    assert first_line == "# yaml-language-server: $schema=params.schema.json"
    sections = json.loads(schema_text())["$defs"]
    scale = sections["TrainParams"]["properties"]["scale"]
    assert (scale["enum"], scale["default"]) == ([1, 2, 3, 4, 8], 4)


def test_the_limit_of_pixels_is_that_of_the_decoder() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert 2 * Image.MAX_IMAGE_PIXELS == MAX_DECODED_PIXELS


@pytest.mark.parametrize(
    "text",
    [
        "adv_weight: 0",
        "adv_weight: 0\n  discriminator: unet\n  pixel_weight: 1",
        # Without a discriminator all steps are on one loss.
        "adv_weight: 0\n  steps: 500\n  pretrain_steps: 500",
        "steps: 1",
        "steps: 501\n  pretrain_steps: 500",
        "adv_weight: 0.005\n  pixel_weight: 1",
        "generator: {kind: rrdb}\n  discriminator: unet\n  relativistic: true",
        "discriminator: unet\n  crop: 16\n  batch: 1",
    ],
)
def test_what_is_no_mistake_is_accepted(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(f"train:\n  {text}\n")
    load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "scrape: {max_pixels: 262144, min_side: 100}",
        "scrape: {max_pixels: 104858, min_side: 100, max_aspect: 2.5}\nresize: {mode: pad}",
        "scrape: {min_side: 100}\nresize: {max_pixels: 10000, mode: pad}",
    ],
)
def test_where_some_picture_fits_params_are_accepted(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    load_params(tmp_path / "params.yaml")


def test_another_kind_drops_the_defaults_of_the_former_one(tmp_path: Path) -> None:
    """`dvc exp run -S train.generator.kind=rrdb` leaves them in the file."""
    text = params_text(Params())
    (tmp_path / "params.yaml").write_text(text.replace("kind: srresnet", "kind: rrdb"))
    params = load_params(tmp_path / "params.yaml").train
    assert params == TrainParams(generator=RRDBParams())


def test_whole_numbers_may_be_written_with_an_exponent(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("train:\n  steps: 1e5\n  optimiser: {kind: adam, beta1: 0.0}\n  crop: 2.56e2\n")
    params = load_params(path).train
    assert (repr(params.steps), repr(params.crop)) == ("100000", "256")
    assert override(params, {"steps": "2e5"}).steps == 200_000


def test_params_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Params().train.lr = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "train:\n  adv_wieght: 0\n",
            ":2: train.adv_wieght: unknown key (did you mean adv_weight?)",
        ),
        ("trian: {}\n", ":1: trian: unknown key (did you mean train?)"),
        ("train:\n  batch: true\n", ":2: train.batch: True should be a valid integer"),
        ("train:\n  batch: 2.5\n", ":2: train.batch: 2.5 should be a valid integer"),
        ("train:\n  lr: false\n", ":2: train.lr: False should be a valid number"),
        ("train:\n  lr: fast\n", ":2: train.lr: 'fast' should be a valid number"),
        ("train:\n  lr: .inf\n", ":2: train.lr: inf should be a finite number"),
        ("train:\n  lr: 0\n", ":2: train.lr: 0 should be greater than 0"),
        ("scrape:\n  tags: a, b\n", ":2: scrape.tags: 'a, b' should be a list; write [a, b]"),
        ("scrape:\n  tags:\n    - a\n    - 1\n", ":4: scrape.tags.1: 1 should be a valid string"),
        (
            "train:\n  content_layers: []\n",
            ":2: train.content_layers: needs at least 1 entry",
        ),
        ("train:\n  crop: 386\n", ":2: train.crop: 386 is no multiple of train.scale 4"),
        (
            "train:\n  scale: 3\n  crop: 128\n",
            ":3: train.crop: 128 is no multiple of train.scale 3",
        ),
        ("train:\n  scale: 6\n", ":2: train.scale: 6 should be 1, 2, 3, 4 or 8"),
        ("train:\n  scale: 1\n", f":1: {NO_DAMAGE}"),
        (f"train:\n  degradation: none\n{GIVEN_LR}  val_lr_folder: null\n", f":2: {NO_DAMAGE}"),
        (
            f"train:\n{GIVEN_LR}  val_lr_folder: lr\nevaluate:\n  degradation: none\n",
            f":9: {NOT_EVALUATED}",
        ),
        ("\n\ntrain:\n  crop: 640\n", ":4: train.crop: 640 is larger than resize.size 512"),
        (
            "manifest:\n  val_fraction: 0.5\n  test_fraction: 0.5\n",
            ":3: manifest.test_fraction: val_fraction and test_fraction leave nothing to train on",
        ),
        (
            "evaluate:\n  models: []\n",
            ":2: evaluate.models: [] should be a valid mapping of names to",
        ),
        ("evaluate:\n  models:\n    a: 1\n", ":3: evaluate.models.a: 1 should be a valid string"),
        ("evaluate:\n  blend: a\n", ":2: evaluate.blend: 'a' is no name in evaluate.models"),
        (
            "train:\n  steps: 500\n  pretrain_steps: 500\n",
            ":2: train.steps: 500 steps would end in the pre-training of 500, before the "
            "discriminator; raise steps, lower pretrain_steps, or set adv_weight to 0",
        ),
        (
            "train:\n  content_layers: [conv1_1, conv2_1, conv1_1]\n",
            ":2: train.content_layers: conv1_1 is named twice; remove one",
        ),
        (
            "scrape:\n  tags: [1girl, solo, animated]\n",
            ":1: scrape.excluded_tags: animated is in scrape.tags too, so no picture fits; remove "
            "it from one of the two",
        ),
        (
            "scrape:\n  timeout: 1e300\n",
            ":2: scrape.timeout: 1e+300 should be less than or equal to 3600",
        ),
        (
            "scrape:\n  api_interval: 36000\n",
            ":2: scrape.api_interval: 36000 should be less than or equal to 3600",
        ),
        (
            "scrape:\n  file_interval: 36000\n",
            ":2: scrape.file_interval: 36000 should be less than or equal to 3600",
        ),
        (
            "scrape:\n  retries: 1000\n",
            ":2: scrape.retries: 1000 should be less than or equal to 100",
        ),
        (
            "scrape:\n  max_pixels: 178956971\n",
            ":2: scrape.max_pixels: 178956971 should be less than or equal to 178956970",
        ),
        (
            "resize:\n  max_pixels: 178956971\n",
            ":2: resize.max_pixels: 178956971 should be less than or equal to 178956970",
        ),
        (
            "resize:\n  workers: 4000\n",
            ":2: resize.workers: 4000 should be less than or equal to 1024",
        ),
        (
            "train:\n  generator: rrdb\n",
            ":2: train.generator: must be a section of keys; write {kind: rrdb}",
        ),
        (
            "train:\n  optimiser: 3\n",
            ":2: train.optimiser: must be a section of keys, not 3",
        ),
        (
            "train:\n  generator:\n    kind: esrgan\n",
            f":3: train.generator.kind: 'esrgan' should be one of {KINDS}",
        ),
        (
            "train:\n  generator:\n    kind: [rrdb]\n",
            f":3: train.generator.kind: ['rrdb'] should be one of {KINDS}",
        ),
        (
            "train:\n  generator:\n    norm: batch\n    kind: rrdb\n",
            ":3: train.generator.norm: rrdb has none; remove it, or choose another kind",
        ),
        (
            "train:\n  generator:\n    blocks: few\n    kind: rrdb\n",
            ":3: train.generator.blocks: 'few' should be a valid integer",
        ),
        (
            "train:\n  generator:\n    kind: rcan\n    features: 8\n",
            ":2: train.generator.reduction: 16 is more than the 8 features; lower it",
        ),
        (
            "train:\n  generator: {kind: plksr, kernel: 4}\n",
            ":2: train.generator.kernel: 4 is even; write an odd number",
        ),
        (
            "train:\n  generator: {kind: plksr, features: 10}\n",
            ":2: train.generator.features: 10 is no multiple of 4; the large kernel gets a quarter",
        ),
        (
            "train:\n  generator: {kind: span, blocks: 4}\n",
            ":2: train.generator.blocks: span has none; remove it, or choose another kind",
        ),
        (
            "train:\n  generator:\n    kind: rrdb\n    grwoth: 8\n",
            ":4: train.generator.grwoth: unknown key (did you mean growth?)",
        ),
        (
            "train:\n  blocks: 3\n",
            ":2: train.blocks: unknown key (did you mean generator.blocks?)",
        ),
        (
            "train:\n  beta1: 0.9\n",
            ":2: train.beta1: unknown key (did you mean optimiser.beta1?)",
        ),
        (
            "scrape:\n  max_pixels: 262143\n  min_side: 100\n",
            ":2: scrape.max_pixels: no picture of at most 262143 pixels has sides of resize.size "
            "512; raise it, or lower resize.size",
        ),
        (
            "scrape:\n  max_pixels: 2000000\n  min_side: 1500\n",
            ":3: scrape.min_side: no picture with sides of 1500 pixels has at most "
            "scrape.max_pixels 2000000; lower it, or raise max_pixels",
        ),
        (
            "resize:\n  max_pixels: 262143\n",
            ":2: resize.max_pixels: no picture with sides of at least 512 pixels is that small; "
            "raise it",
        ),
        ("train: 3\n", ":1: train: must be a section of keys, not 3"),
        ("- train\n", ":1: the file: must be a section of keys, not ['train']"),
        ("train:\n  lr: [\n", ":3: not valid YAML: "),
        ("train:\n  lr: 1\n  lr: 2\n", ":3: not valid YAML: found duplicate key"),
        ("train:\n  lr: 2026-13-45\n", ": not valid YAML: month must be in 1..12"),
        (f"train:\n  lr: {'9' * 5000}\n", ": not valid YAML: Exceeds the limit (4300 digits)"),
        ("[" * 600, ": not valid YAML: maximum recursion depth exceeded"),
        ("? [a, {b: c}]\n: 1\n", ": not valid YAML: unhashable type: 'dict'"),
        ("train:\n  lr: !!float x\n", ": not valid YAML: could not convert string to float: 'x'"),
        ("1: 2\n", ":1: 1: a key must be a text; quote it"),
        (
            "train:\n  lr: [&a0 [], "
            + ", ".join(f"&a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))
            + "]\n",
            ":2: train.lr: [[], [[], []], [[...], [...]], [[...], [...]], [[...], [...]], "
            "[[...], [...]], ...] should be a valid number",
        ),
    ],
)
def test_a_mistake_is_one_line_with_file_line_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_params(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("scrape:\n  limit: 0\ntrain:\n  betch: 1\n")
    with pytest.raises(UsageError) as caught:
        load_params(path)
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == [
        "scrape.limit",
        "train.betch",
    ]


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.yaml: not found in .*project's folder"):
        load_params(tmp_path / "absent.yaml")


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("# nothing yet\n")
    assert load_params(path) == Params()


def test_numbers_as_dvc_rewrites_them_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("train:\n  lr: 1e-05\n  adv_weight: 0\n")
    train = load_params(path).train
    assert (train.lr, train.adv_weight) == (0.00001, 0.0)
    assert isinstance(train.adv_weight, float)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"adv_weight": "0"}, TrainParams(adv_weight=0.0)),
        ({"lr": "1e-05", "batch": "16"}, TrainParams(lr=0.00001, batch=16)),
        ({"steps": "null"}, TrainParams(steps=None)),
        ({"generator.blocks": "16"}, TrainParams(generator=SRResNetParams(blocks=16))),
        (
            {"generator.kind": "rrdb", "generator.growth": "8"},
            TrainParams(generator=RRDBParams(growth=8)),
        ),
        ({"optimiser.kind": "muon"}, TrainParams(optimiser=MuonParams())),
        ({"vgg": "1"}, TrainParams(vgg="1")),
        ({"init": "null"}, TrainParams(init=None)),
        ({"content_layers": "conv1_1,conv2_1"}, TrainParams(content_layers=("conv1_1", "conv2_1"))),
        (
            {"content_layers": "[conv1_1, conv2_1]"},
            TrainParams(content_layers=("conv1_1", "conv2_1")),
        ),
    ],
)
def test_options_are_given_as_yaml(texts: dict[str, str], expected: TrainParams) -> None:
    assert override(TrainParams(), texts) == expected


@pytest.mark.parametrize("text", ["a=x.safetensors, b-c=y=z", "{a: x.safetensors, b-c: y=z}"])
def test_names_and_paths_are_given_as_an_option(text: str) -> None:
    expected = {"a": "x.safetensors", "b-c": "y=z"}
    assert override(EvaluateParams(), {"models": text}).models == expected


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"models": "a=x,a=y"}, "--models: a: is named twice; remove one"),
        ({"models": "x.safetensors"}, "--models: 'x.safetensors' has no path; write NAME=PATH"),
        ({"models": "{a: 1}"}, "--models: a: 1 should be a valid string"),
        ({"models": "{a/b: x}"}, "--models: 'a/b' is not allowed; a name has letters"),
        ({"results": "{[a"}, "--results: '{[a' is no YAML value"),
        ({"blend": "a"}, "--blend: 'a' is no name in evaluate.models"),
    ],
)
def test_a_bad_mapping_is_named(texts: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        override(EvaluateParams(), texts)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_tags_given_as_an_option_stay_text() -> None:
    assert override(ScrapeParams(), {"tags": "1girl, 2019"}).tags == ("1girl", "2019")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"adv_weight": "x"}, "--adv-weight: 'x' should be a valid number"),
        ({"adv_weight": "true"}, "--adv-weight: True should be a valid number"),
        ({"lr": "["}, "--lr: '[' is no YAML value"),
        (
            {"generator.growth": "8"},
            "--generator.growth: srresnet has none; remove it, or choose another kind",
        ),
        (
            {"generator.kind": "esrgan"},
            f"--generator.kind: 'esrgan' should be one of {KINDS}",
        ),
        ({"generator.blocks": "0"}, "--generator.blocks: 0 should be greater than or equal to 1"),
        ({"crop": "386"}, "--crop: 386 is no multiple of train.scale 4"),
        (
            {"device": "tpu"},
            "--device: 'tpu' is not allowed; wanted: auto, cpu, cuda, cuda:N or mps",
        ),
    ],
)
def test_a_bad_option_is_named(texts: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        override(TrainParams(), texts)
    assert str(caught.value) == message


def test_at_scale_1_lr_is_damaged_or_given(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(
        f"train:\n{GIVEN_LR}  val_lr_folder: lr\nevaluate:\n  hr_folder: hr\n  lr_folder: lr\n"
    )
    assert load_params(tmp_path / "params.yaml").train.scale == 1
    assert override(TrainParams(), {"scale": "1", "degradation": "web"}).scale == 1
    # A folder that is left out needs no LR.
    unused = {"hr_folders": "a=hr,b=own", "lr_folders": "a=lr", "folder_weights": "manifest=0,b=0"}
    given = {"scale": "1", "val_hr_folder": "hr", "val_lr_folder": "lr"}
    assert override(TrainParams(), unused | given).scale == 1
    with pytest.raises(UsageError, match=r"\A--degradation: at train\.scale 1 LR made by none is"):
        override(TrainParams(), unused | given | {"folder_weights": "manifest=0"})


def test_params_of_the_discriminator_have_no_effect_without_one() -> None:
    changes = {"pixel_weight": 1.0, "relativistic": True}
    assert TrainParams(**changes).without_effect == {}
    why = "train.adv_weight is 0"
    unread = {"relativistic": why, "pixel_weight": why}
    assert TrainParams(adv_weight=0, **changes).without_effect == unread


def test_a_mapping_whose_only_line_was_removed_is_empty(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("train:\n  lr_folders:\n  folder_weights:\n")
    params = load_params(tmp_path / "params.yaml")
    assert (params.train.lr_folders, params.train.folder_weights) == ({}, {})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hr_folders: {a: ''}", "train.hr_folders.a: "),
        ("hr_folders: {manifest: x}", "train.hr_folders.manifest: 'manifest' means the manifest's"),
        ("lr_folders: {a: x}", "train.lr_folders.a: 'a' is no name in train.hr_folders"),
        ("folder_weights: {a: 1}", "train.folder_weights.a: 'a' is no name in train.hr_folders"),
        ("folder_weights: {manifest: 1e300}", "train.folder_weights.manifest: "),
        ("folder_weights: {manifest: -1}", "train.folder_weights.manifest: "),
        ("folder_weights: {manifest: 0}", "train.folder_weights: leave no images to train on"),
        ("val_lr_folder: x", "train.val_lr_folder: needs train.val_hr_folder"),
    ],
)
def test_folders_that_do_not_fit_are_named(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(f"train:\n  {text}\n")
    with pytest.raises(UsageError) as raised:
        load_params(tmp_path / "params.yaml")
    assert str(raised.value).startswith(f"{tmp_path}/params.yaml:2: {problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("extra_losses: {l1: 1}", "train.extra_losses.l1"),
        ("extra_losses: {ssim: -1}", "train.extra_losses.ssim"),
        (
            "{crop: 160, extra_losses: {ms_ssim: 1}}",
            "train.extra_losses.ms_ssim: needs crops of 161 pixels or more, not 160; raise "
            "train.crop",
        ),
        ("{crop: 28, extra_losses: {lpips: 1}}", "train.extra_losses.lpips: needs crops of 31 "),
    ],
)
def test_losses_that_do_not_fit_are_named(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(f"train:\n  {text}\n")
    with pytest.raises(UsageError) as raised:
        load_params(tmp_path / "params.yaml")
    assert str(raised.value).startswith(f"{tmp_path}/params.yaml:2: {problem}")


def test_a_loss_of_weight_0_needs_no_crop(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("train: {crop: 160, extra_losses: {ms_ssim: 0}}\n")
    assert load_params(tmp_path / "params.yaml").train.extra_losses == {"ms_ssim": 0}


def test_a_text_of_a_wrong_form_is_answered_in_words() -> None:
    with pytest.raises(UsageError) as error:
        override(ScrapeParams(), {"contact": "a\nb"})
    assert str(error.value) == (
        "--contact: 'a\\nb' is not allowed; wanted: your e-mail address or URL, sent to the site "
        "in the user agent"
    )


def test_a_required_tag_that_a_pattern_excludes() -> None:
    with pytest.raises(UsageError, match=r"Solo is in scrape\.tags too"):
        override(ScrapeParams(), {"tags": "Solo,score:>5", "excluded_tags": "s*"})
