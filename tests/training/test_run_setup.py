"""What a training makes public of its params."""

import pytest

from pipeline.params import TrainParams
from pipeline.training.run_setup import public_params

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
