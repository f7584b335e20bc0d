"""The text of a params file, from the schema."""

from pathlib import Path

import pytest

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
            "evaluate": {"models": {"a": text}},
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
