"""Changes of the code, through DVC: other code gives another result, other comments give none."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.booru.app import Site
from pipeline.fingerprints import PACKAGES, ROOT
from pipeline.images.collection import collect_folder
from pipeline.shipped import shipped_models
from pipeline.wsgi import Server
from stages.project import Settings, commit, create_project
from tests.end_to_end.test_chain import SETTINGS, STAGES, Project, draw_pictures


def make_clone(folder: Path, settings: Settings) -> None:
    """Make a project with this program's code in it, as a clone of the repository is."""
    create_project(folder, settings, "Params")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    commit(folder, [*PACKAGES, "dvc.yaml"], "Code")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A finished, committed and pushed chain; the site that it is from is gone."""
    base = tmp_path_factory.mktemp("code")
    draw_pictures(base / "pictures")
    with pytest.MonkeyPatch.context() as patch:
        # The project's copy of the code runs, which the tests change.
        patch.setenv("PYTHONPATH", str(base / "project"))
        with Server(Site(collect_folder(base / "pictures"))) as booru:
            scrape = SETTINGS["scrape"] | {"site": booru.url, "retries": 0}
            make_clone(base / "project", SETTINGS | {"scrape": scrape})
            project = Project(base / "project")
            assert project.repro() == ["code", *STAGES]
        project.dvc("remote", "add", "--default", "shared", str(base / "remote"))
        project.dvc("push")
        project.commit()
        yield project


@pytest.fixture(autouse=True)
def _as_it_was(project: Project) -> Iterator[None]:
    yield
    subprocess.run(["git", "reset", "-q", "--hard"], cwd=project.folder, check=True)
    project.dvc("checkout")
    assert project.status() == {}


def change(project: Project, name: str, old: str, new: str) -> None:
    path = project.folder / name
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, name
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_docstring_or_a_comment_makes_no_stage_run_again(project: Project) -> None:
    before = project.generator()
    change(project, "pipeline/files.py", '"""Write `text` as', '"""Put `text` as')
    change(project, "pipeline/files.py", "# Some network file", "# Network file")
    change(project, "pipeline/errors.py", "a user can act on", "users can act on")
    assert list(project.status()) == ["code"]
    assert project.repro() == ["code"]
    assert project.status() == {}
    assert project.generator() == before


def test_another_loss_trains_from_the_first_step(project: Project) -> None:
    before = project.generator()
    change(project, "pipeline/training/losses.py", "F.mse_loss(sr, hr)", "-F.mse_loss(sr, hr)")
    assert project.repro() == ["code", "train", "evaluate"]
    after = project.generator()
    assert after[0]["step"] == before[0]["step"]
    assert after[1] != before[1]


def test_another_geometry_makes_other_images(project: Project) -> None:
    index = project.folder / "data/resized/index.jsonl"
    before = index.read_text()
    change(project, "pipeline/resizing/geometry.py", "def fit(", "SHIFT = 1\n\n\ndef fit(")
    assert project.repro() == ["code", "resize"]
    # Made anew, and the same: that line shapes nothing.
    assert index.read_text() == before
    change(
        project,
        "pipeline/resizing/shard.py",
        "fit(decoded.pixels, params)",
        "fit(255 - decoded.pixels, params)",
    )
    assert project.repro("resize") == ["code", "resize"]
    assert index.read_text() != before


def test_a_second_machine_neither_asks_the_site_nor_trains(
    project: Project, tmp_path: Path
) -> None:
    clone = Project(tmp_path / "clone")
    subprocess.run(["git", "clone", "-q", project.folder, clone.folder], check=True)
    clone.dvc("pull")
    assert clone.repro() == []
    assert clone.status() == {}
    assert clone.generator() == project.generator()
    for name in ("data/raw/posts.jsonl", "data/resized/index.jsonl"):
        assert (clone.folder / name).read_bytes() == (project.folder / name).read_bytes()


def test_another_file_under_the_name_of_an_input_is_seen(project: Project) -> None:
    other = project.folder / "inputs/evaluate/other.safetensors"
    other.write_bytes(shipped_models()["article-distortion"].read_bytes())
    change(project, "params.yaml", "  models: {}\n", f"  models:\n    other: {other}\n")
    try:
        assert project.repro() == ["evaluate"]
        assert project.status() == {}
        other.write_bytes(project.generator()[1])
        assert list(project.status()) == ["evaluate"]
    finally:
        other.unlink()
