"""The text of a params file, from the schema."""

from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides

from pipeline.params import Params
from pipeline.params.file import load_params
from pipeline.params.text import params_text

TEXTS = ["", "1", "null", "#a", "a #b", "a: b", "[x", "é", "a\nb", " a", "'", "true", "a,b", "- a"]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_reads_back(text: str, tmp_path: Path) -> None:
    params = Params.model_validate(
        {
            "scrape": {"tags": [text, "b"]},
            "train": {"vgg": text or "random"},
            "evaluate": {"models": {"a": text or "b"}},
        }
    )
    (tmp_path / "params.yaml").write_text(params_text(params), encoding="utf-8")
    assert load_params(tmp_path / "params.yaml") == params


@pytest.mark.parametrize(
    "name", ["4", "2019", "null", "true", "1e5", "+1", "0x1f", "1_0", "a-b", "-"]
)
def test_any_name_reads_back(name: str, tmp_path: Path) -> None:
    params = Params.model_validate({"evaluate": {"models": {name: "a"}}})
    (tmp_path / "params.yaml").write_text(params_text(params))
    assert load_params(tmp_path / "params.yaml") == params


def test_another_kind_reads_back(tmp_path: Path) -> None:
    changes = {"generator": {"kind": "rcan", "groups": 2}, "optimiser": {"kind": "muon"}}
    params = Params.model_validate({"train": changes})
    text = params_text(params)
    assert "\n    # groups of residual blocks\n    groups: 2\n" in text
    (tmp_path / "params.yaml").write_text(text)
    assert load_params(tmp_path / "params.yaml") == params


def after_exp_run(path: Path, *settings: str) -> list[str]:
    """Return the lines of a params file as `dvc exp run -S` changes it."""
    apply_overrides(path, list(settings))
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train": {"generator": {"kind": "rcan"}, "optimiser": {"kind": "muon"}, "lr": 1e-5}},
        {"evaluate": {"models": {"a": "c d"}, "results": {"1": "a"}, "blend": "a"}},
        *({"scrape": {"tags": [text]}, "train": {"vgg": text or "a"}} for text in TEXTS),
        {"scrape": {"contact": "a b " * 40}},
    ],
)
def test_an_experiment_changes_the_lines_of_its_params_only(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(params_text(Params.model_validate(changes)), encoding="utf-8")
    before = path.read_text(encoding="utf-8").splitlines()
    after = after_exp_run(path, "train.epochs=1", "train.steps=5")
    assert [line for line in after if line not in before] == ["  epochs: 1", "  steps: 5"]
    assert [line for line in before if line not in after] == ["  epochs: 10", "  steps:"]
    assert len(before) == len(after)


def test_an_experiment_with_other_lists_keeps_every_comment(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(params_text(Params()), encoding="utf-8")
    before = path.read_text(encoding="utf-8").splitlines()
    for settings in (
        ["scrape.tags=[a,b]", "scrape.excluded_tags=[]", "train.content_layers=[conv1_1]"],
        ["scrape.tags=[]", "scrape.excluded_tags=[c]", "manifest.excluded_tags=[d]"],
        ["manifest.phash_distance=null", "scrape.file_types=[png]"],
    ):
        after = after_exp_run(path, *settings)
        assert [line for line in before if "#" in line and line not in after] == []
    params = load_params(path)
    assert (params.scrape.tags, params.scrape.excluded_tags) == ((), ("c",))
    assert (params.scrape.file_types, params.manifest.phash_distance) == (("png",), None)
