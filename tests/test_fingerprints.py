"""Fingerprints of code: they follow what runs, and nothing that is only read by people."""

import json
from pathlib import Path

import pytest

from pipeline.fingerprints import (
    PILLOW_FEATURES,
    ROOT,
    code_of,
    evaluation_versions,
    image_versions,
    short_hash,
    training_versions,
)
from pipeline.params import EvaluateParams, TrainParams
from stages.commands.code import FOLDER, STAGES, code

STAGE = '''"""A stage."""

from pipeline.losses import loss


def run(x: float) -> float:
    """Return the loss."""
    from pipeline import late

    return loss(x) + late.VALUE
'''
LOSSES = '''"""Losses."""

from pipeline.errors import PipelineError

# A weight.
WEIGHT = 0.5
"""dB"""


class Loss:
    """A loss."""

    def __call__(self, x: float) -> float:
        """Return the squared error of `x`."""
        return WEIGHT * x**2  # the paper's equation 3


loss = Loss()
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "stages/train.py": STAGE,
        "pipeline/__init__.py": "",
        "pipeline/losses.py": LOSSES,
        "pipeline/late.py": "VALUE = 1\n",
        "pipeline/errors.py": "class PipelineError(Exception): ...\n",
        "pipeline/unused.py": "VALUE = 2\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_fingerprint_covers_what_a_stage_imports(root: Path) -> None:
    assert set(code_of("stages.train", root)) == {
        "pipeline/late.py",
        "pipeline/losses.py",
        "stages/train.py",
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Losses."""', '"""Loss functions."""'),
        ('"""A loss."""', '"""One of the losses."""'),
        ('"""Return the squared error of `x`."""', '"""Return an error."""'),
        ('        """Return the squared error of `x`."""\n', ""),
        ('"""dB"""\n', ""),
        ("# A weight.", "# Half."),
        ("  # the paper's equation 3", ""),
        ("x**2", "(x ** 2)"),
        ("\n\n\nclass", "\n\n\n\n\nclass"),
    ],
)
def test_comments_docstrings_and_layout_change_nothing(root: Path, old: str, new: str) -> None:
    before = code_of("stages.train", root)
    assert old in LOSSES
    (root / "pipeline/losses.py").write_text(LOSSES.replace(old, new))
    assert code_of("stages.train", root) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x**2", "-(x**2)"),
        ("0.5", "0.25"),
        ("0.5", '"0.5"'),
        ("0.5", "1"),
        ("0.5", "True"),
        ("x**2", "x**3"),
        ("loss = Loss()", "loss = abs"),
    ],
)
def test_other_code_is_another_fingerprint(root: Path, old: str, new: str) -> None:
    before = code_of("stages.train", root)
    (root / "pipeline/losses.py").write_text(LOSSES.replace(old, new))
    after = code_of("stages.train", root)
    assert {name for name in before if before[name] != after[name]} == {"pipeline/losses.py"}
    assert short_hash(before) != short_hash(after)


def test_templates_count_by_their_bytes(root: Path) -> None:
    (root / "stages/train.py").write_text(
        'from jinja2 import PackageLoader\nPackageLoader("pipeline")\n'
    )
    (root / "pipeline/templates").mkdir()
    (root / "pipeline/templates/page.css").write_text("a { }")
    before = code_of("stages.train", root)
    assert set(before) == {"stages/train.py", "pipeline/templates/page.css"}
    (root / "pipeline/templates/page.css").write_text("b { }")
    assert code_of("stages.train", root) != before


def test_this_program_s_stages_have_fingerprints() -> None:
    train, evaluate = code_of("stages.train"), code_of("stages.evaluate")
    assert "pipeline/training/losses.py" in train
    assert "pipeline/training/losses.py" not in evaluate
    assert {
        "pipeline/evaluation/templates/page.css",
        "pipeline/evaluation/pairs.py",
    } <= evaluate.keys()
    # It decides which originals become images.
    assert "pipeline/machine_errors.py" in code_of("stages.resize")
    assert not {"pipeline/errors.py", "stages/console.py"} & train.keys()
    # A log is no result, and training enlarges nothing for users.
    for folder in ("pipeline/params", "pipeline/upscaling", "stages/loggers"):
        assert not [name for name in train if name.startswith(folder)]
    assert not [name for name in evaluate if name.startswith("pipeline/params")]
    assert all((ROOT / name).is_file() for name in train | evaluate)


def test_libraries_that_shape_bytes_are_named() -> None:
    assert {"webp", "pillow", "torch", "libjpeg_turbo", "simplejpeg"} <= image_versions().keys()
    assert {"imagehash", "scipy"} <= image_versions().keys()
    evaluated = evaluation_versions(EvaluateParams())
    assert {"lpips", "torch", "scipy", "matplotlib"} <= evaluated.keys()
    assert all(image_versions().values())


CHAIN = {"scipy", "avif", "webp"}


@pytest.mark.parametrize(
    ("params", "further"),
    [
        ({}, set()),
        ({"degradation": "web"}, set()),
        ({"degradation": "light"}, CHAIN),
        ({"degradation": "heavy"}, CHAIN),
        ({"hr_folders": {"a": "hr"}}, {*PILLOW_FEATURES}),
        ({"val_hr_folder": "hr"}, {*PILLOW_FEATURES}),
    ],
)
def test_libraries_count_where_a_training_needs_them(
    params: dict[str, object], further: set[str]
) -> None:
    always = {"libjpeg_turbo", "numpy", "pillow", "spandrel", "torch"}
    assert training_versions(TrainParams(**params)).keys() == always | further


def test_libraries_count_where_an_evaluation_needs_them() -> None:
    always = evaluation_versions(EvaluateParams()).keys()
    assert not {"avif", "webp"} & always
    for degradation in ("light", "heavy"):
        assert always | CHAIN == evaluation_versions(EvaluateParams(degradation=degradation)).keys()
    for own in ({"hr_folder": "hr"}, {"results": {"theirs": "results"}}):
        assert always | {*PILLOW_FEATURES} == evaluation_versions(EvaluateParams(**own)).keys()


def test_the_fingerprint_for_dvc_is_of_the_project_s_degradation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("train: {degradation: heavy}\n")
    code()
    found = {stage: json.loads((FOLDER / f"{stage}.json").read_text()) for stage in STAGES}
    assert found["train"]["versions"].keys() >= CHAIN
    assert "avif" not in found["evaluate"]["versions"]


@pytest.mark.slow
def test_dvc_watches_versions_but_not_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that a GPU's build trained is not trained again where it is pulled to a CPU."""
    monkeypatch.chdir(tmp_path)
    written = []
    for torch_version in ("2.13.0+cpu", "2.13.0+cu130", "2.14.0+cpu"):
        installed = {"torch": torch_version}
        monkeypatch.setattr(
            "pipeline.fingerprints.version", lambda name, found=installed: found.get(name, "1.0")
        )
        code()
        written.append({stage: (FOLDER / f"{stage}.json").read_bytes() for stage in STAGES})
    assert written[0] == written[1]
    assert all(written[0][stage] != written[2][stage] for stage in STAGES)
