"""Files that params name: missing ones are reported first, and which of them DVC watches."""

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.named_files import check_inputs, inputs_of, unwatched


@pytest.fixture(autouse=True)
def _in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    for name in ("inputs/train/a.safetensors", "inputs/evaluate/b.safetensors", "c.safetensors"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x80\2weights")


def test_paths_and_maps_of_paths_are_inputs() -> None:
    found = inputs_of("evaluate", {"models": {"a": "x", "b": "y"}, "results": {}})
    assert [(one.key, str(one.path)) for one in found] == [
        ("evaluate.models.a", "x"),
        ("evaluate.models.b", "y"),
    ]
    assert [one.key for one in inputs_of("train", {"init": "z", "vgg": None})] == ["train.init"]


def test_each_missing_input_is_a_line() -> None:
    models = {"a": "x", "b": "inputs/evaluate/b.safetensors", "c": "destortion"}
    inputs = inputs_of("evaluate", {"models": models})
    with pytest.raises(UsageError) as raised:
        check_inputs([*inputs, *inputs_of("train", {"init": "y"})])
    assert str(raised.value).splitlines() == [
        "evaluate.models.a: x: no such file or folder; put a copy into inputs/evaluate and name "
        "that",
        "evaluate.models.c: destortion: no such file or folder (did you mean distortion?); put a "
        "copy into inputs/evaluate and name that",
        "train.init: y: no such file or folder; put a copy into inputs/train and name that",
    ]


def test_what_is_no_model_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "notes.pth").write_text("notes")
    inputs = inputs_of("evaluate", {"models": {"a": str(tmp_path), "b": f"{tmp_path}/notes.pth"}})
    with pytest.raises(UsageError) as raised:
        check_inputs([*inputs, *inputs_of("evaluate", {"hr_folder": str(tmp_path)})])
    assert str(raised.value).splitlines() == [
        f"evaluate.models.a: {tmp_path}: is a folder, not a model",
        f"evaluate.models.b: {tmp_path}/notes.pth: is text, not a model; it begins: notes",
    ]


def test_an_output_that_dvc_has_removed_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = inputs_of("train", {"init": "models/generator.safetensors"})
    monkeypatch.setenv("DVC_STAGE", "train")
    with pytest.raises(UsageError, match="removed by DVC before this run, as an output of train"):
        check_inputs(inputs)


def test_what_the_running_stage_makes_need_not_be_there_yet() -> None:
    inputs = inputs_of("evaluate", {"models": {"best": "./models/best.safetensors"}})
    check_inputs(inputs, running="train")
    with pytest.raises(UsageError, match="no such file"):
        check_inputs(inputs)


@pytest.mark.parametrize(
    ("stage", "path", "watched"),
    [
        ("train", "inputs/train/a.safetensors", True),
        ("train", "inputs/evaluate/b.safetensors", False),
        ("train", "c.safetensors", False),
        ("evaluate", "inputs/evaluate/b.safetensors", True),
        ("evaluate", "models/best.safetensors", True),
        ("evaluate", "models/other.safetensors", False),
    ],
)
def test_dvc_sees_a_stage_s_own_folder(stage: str, path: str, watched: bool) -> None:
    inputs = inputs_of(stage, {"x": path})
    assert unwatched(inputs) == ([] if watched else inputs)
