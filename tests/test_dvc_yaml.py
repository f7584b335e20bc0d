"""`dvc.yaml` against the code: every stage depends on just the code that shapes its results."""

import pytest
from ruamel.yaml import YAML

from pipeline.fingerprints import PACKAGES, ROOT, imported_files
from stages.commands.code import FOLDER
from stages.commands.code import STAGES as FINGERPRINTED

PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

STAGES = ["scrape", "resize", "manifest", "train", "evaluate"]


@pytest.mark.parametrize("stage", STAGES)
def test_code_is_a_dependency_by_its_fingerprint_alone(stage: str) -> None:
    """But not of scrape: what a site has does not depend on the code that fetches it."""
    found = [name for name in PIPELINE[stage].get("deps", []) if "code" in name or ".py" in name]
    assert found == ([] if stage == "scrape" else [f"reports/code/{stage}.json"])


def test_the_fingerprints_are_made_anew_where_any_file_of_the_program_changes() -> None:
    stage = PIPELINE["code"]
    assert stage["cmd"] == "pipeline code"
    assert stage["deps"] == list(PACKAGES)
    written = [name for out in stage["outs"] for name in out]
    assert written == sorted(f"{FOLDER}/{name}.json" for name in FINGERPRINTED)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_one_name_everywhere(stage: str) -> None:
    entry = PIPELINE[stage]
    assert entry["cmd"] == f"pipeline {stage}"
    assert entry["params"] == [stage]
    assert entry["desc"]


def test_the_stages_form_the_chain() -> None:
    assert list(PIPELINE) == ["code", *STAGES]


@pytest.mark.parametrize("folder", ["networks", "training", "evaluation", "images", "booru"])
def test_the_library_imports_no_stage(folder: str) -> None:
    for path in (ROOT / "pipeline" / folder).rglob("*.py"):
        imported = imported_files(path, ROOT)
        assert not any(file.is_relative_to(ROOT / "stages") for file in imported), path


def test_networks_read_no_params() -> None:
    for path in (ROOT / "pipeline" / "networks").rglob("*.py"):
        imported = imported_files(path, ROOT)
        assert not any(file.is_relative_to(ROOT / "pipeline/params") for file in imported), path
