"""What a training makes public of its params, and which networks it loads for its losses."""

from pathlib import Path

import pytest
import torch

from pipeline.networks.perceptual.weights import WeightsUnavailableError
from pipeline.params import TrainParams
from pipeline.training.perceptual import load_content_network, load_extra_losses
from pipeline.training.run_setup import public_params
from tests.training.runs import RecordedProgress

HOME = "/home/name/pictures"


def test_published_params_have_no_paths() -> None:
    named = {name: f"{HOME}/{name}" for name in ("val_hr_folder", "val_lr_folder", "vgg", "init")}
    folders = {f"{side}_folders": {"mine": f"{HOME}/{side}"} for side in ("hr", "lr")}
    params = TrainParams(**named, **folders)
    public = public_params(params)
    assert HOME not in str(public)
    assert {name: public[name] for name in named} == {name: name for name in named}
    resumed = public_params(TrainParams(resume=f"{HOME}/step-1.pt"))
    assert (resumed["init"], resumed["resume"]) == (None, "step-1.pt")


@pytest.mark.parametrize(
    ("vgg", "name"),
    [("imagenet", "imagenet"), ("random", "random"), (f"{HOME}/random", "./random")],
)
def test_a_choice_of_vgg_is_told_from_a_file(vgg: str, name: str) -> None:
    assert public_params(TrainParams(vgg=vgg))["vgg"] == name


def test_names_of_shipped_models_stay() -> None:
    assert public_params(TrainParams(init="distortion"))["init"] == "distortion"


def test_random_weights_are_advised_for_the_content_loss_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIPELINE_WEIGHTS", str(tmp_path))
    params, progress = TrainParams(extra_losses={"dists": 1.0}), RecordedProgress()
    lacks = rf"^PIPELINE_WEIGHTS: {tmp_path}: holds no vgg16\*\.safetensors; "
    with pytest.raises(WeightsUnavailableError, match=lacks) as content:
        load_content_network(params, torch.device("cpu"), "fp32", progress)
    with pytest.raises(WeightsUnavailableError, match=lacks) as extra:
        load_extra_losses(params, torch.device("cpu"), progress)
    advice = "; or ask for random weights by name: train.vgg=random"
    assert str(content.value) == f"{extra.value}{advice}"
    assert progress.messages == []
