"""Params as they were used."""

import json
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.evaluation.perceptual import PerceptualMetrics
from pipeline.evaluation.resolved_params import read_train_params, resolved_evaluate_params
from pipeline.networks import SRResNet
from pipeline.networks.files import LoadedGenerator
from pipeline.params import EvaluateParams, TrainParams

FILE = Path("models/generator.safetensors")


def trained(params: object, **metadata: str) -> LoadedGenerator:
    generator = SRResNet(scale=4, blocks=3, features=8, norm="none", skip="bicubic")
    named = {"architecture": "srresnet", "params": json.dumps(params), **metadata}
    return LoadedGenerator(generator, named)


def written(**params: object) -> dict[str, object]:
    return TrainParams.model_validate(params).model_dump(mode="json")


def test_epochs_and_null_are_what_they_stood_for():
    model = trained(
        written(epochs=7, adv_weight=0.1),
        step="300",
        steps="500",
        adversarial="true",
        device="cuda (A)",
        precision="bf16",
    )
    used = read_train_params(model, FILE)
    assert used.is_resolved
    assert used.adversarial_from == 100
    expected = {"steps": 500, "epochs": 7, "pretrain_steps": 100, "ema": 0.999}
    assert expected | {"device": "cuda (A)", "precision": "bf16"} == {
        name: used.params[name] for name in (*expected, "device", "precision")
    }
    assert used.params["generator"] == {"kind": "srresnet"} | {
        name: value for name, value in model.generator.config.items() if name != "scale"
    }


def test_what_nothing_read_is_left_out():
    used = read_train_params(trained(written(steps=9, adv_weight=0), step="4"), FILE)
    assert used.adversarial_from is None
    assert used.params["steps"] == 9
    assert not {"epochs", "discriminator", "content_layers"} & set(used.params)


@pytest.mark.parametrize("params", [{"generator": "srresnet", "beta1": 0.9}, {"lr": "much"}, {}])
def test_params_of_another_version_are_shown_as_written(params):
    used = read_train_params(trained(params, step="4", adversarial="true"), FILE)
    assert (used.params, used.is_resolved, used.adversarial_from) == (params, False, None)


def test_steps_that_are_not_known_mark_no_phase():
    used = read_train_params(trained(written(adv_weight=0.1), step="x", adversarial="true"), FILE)
    assert (used.params["steps"], used.adversarial_from) == (None, None)


def test_damaged_params_name_the_file():
    model = LoadedGenerator(trained({}).generator, {"params": "{"})
    with pytest.raises(PipelineError, match=r"generator\.safetensors: damaged JSON"):
        read_train_params(model, FILE)


def test_an_evaluations_auto_and_null_are_what_they_stood_for():
    used = resolved_evaluate_params(EvaluateParams(), 14, "cuda (A)", PerceptualMetrics())
    assert (used["max_images"], used["device"]) == (14, "cuda (A)")
    assert (used["lpips"], used["dists"]) == ("off", "off")
    assert not {"blend_steps", "hr_folder", "lr_folder"} & set(used)


def test_of_folders_elsewhere_the_name_alone_is_shown(tmp_path: Path) -> None:
    params = EvaluateParams(hr_folder=str(tmp_path / "hr"), lr_folder="data/lr")
    used = resolved_evaluate_params(params, 14, "cpu", PerceptualMetrics())
    assert (used["hr_folder"], used["lr_folder"]) == ("hr", "data/lr")
    assert not {"split", "degradation"} & set(used)
