"""What makes two trainings the same run: the description of all that shapes the weights."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from pipeline.errors import some_of
from pipeline.images.degradation import degradation_of
from pipeline.networks.tensor_files import printable_line
from pipeline.params import TrainParams
from pipeline.params.degradation import ChainStrengths
from pipeline.params.train import ADVERSARIAL_PARAMS
from pipeline.params.train_checks import MANIFEST_NAME
from pipeline.training.build import generator_params
from pipeline.training.checkpoints import CHECKPOINT_FORMAT
from pipeline.training.schedules import resolved_ema_decay, resolved_pretrain_steps

# When and where training computes, what it reports, and what `describe_run` resolves.
NOT_IN_KEY = {
    "checkpoint_seconds",
    "compile",
    "degradation_strengths",
    "device",
    "epochs",
    "folder_weights",
    "generator",
    "hr_folders",
    "init",
    "log_every",
    "lr_folders",
    "optimiser",
    "pretrain_steps",
    "processes",
    "resume",
    "steps",
    "val_hr_folder",
    "val_lr_folder",
    "validate_every",
    "validation_images",
    "vgg",
}
INPUT_DIFFERENCES = {
    "train_images_sha256": "the manifest has other training images",
    "folders_sha256": "the images of train.hr_folders are others",
    "init_sha256": "train.init is another file",
    "resume_sha256": "train.resume is another file",
    "vgg_sha256": "VGG16 has other weights",
    "lpips_loss_sha256": "LPIPS has other weights",
    "dists_loss_sha256": "DISTS has other weights",
}

Description = Mapping[str, Any]

# Beside the generator's: what decides which tensors a checkpoint has, and their shapes.
_OF_TENSORS = ("scale", "discriminator", "optimiser.kind")


class DescriptionSchema(BaseModel):
    """The types of a description of this version's format."""

    model_config = ConfigDict(strict=True)

    params: dict[str, Any]
    inputs: dict[str, str | None]
    code: dict[str, str]
    versions: dict[str, str]


def describe_run(
    params: TrainParams,
    config: Mapping[str, object],
    steps: int,
    precision: str,
    compiled: bool,
    inputs: Mapping[str, str | None],
    code: Mapping[str, str],
    versions: Mapping[str, str],
) -> Description:
    """Return all that shapes the weights, as plain values.

    Params are resolved: `config` is the generator's, `precision` is fp32, bf16 or fp16, and
    `compiled` whether the networks are. `steps` counts only where weights depend on the number of
    steps to come.
    """
    shaping = params.model_dump(mode="json", exclude=NOT_IN_KEY)
    shaping |= generator_params(params.generator.kind, config)
    optimiser = params.optimiser.model_dump(mode="json")
    shaping |= {f"optimiser.{name}": value for name, value in optimiser.items()}
    shaping |= {"folder_weights": _weights(params)}
    shaping |= {"extra_losses": _above_zero(shaping["extra_losses"])}
    chain = degradation_of(params.degradation, params.degradation_strengths)
    if isinstance(chain, ChainStrengths):
        strengths = chain.by_name()
        shaping |= {f"degradation_strengths.{name}": value for name, value in strengths.items()}
    shaping |= {"ema": resolved_ema_decay(params), "precision": precision}
    shaping |= {"compile": compiled}
    if params.adv_weight > 0:
        shaping["pretrain_steps"] = resolved_pretrain_steps(params, steps)
    else:
        shaping = {key: value for key, value in shaping.items() if key not in ADVERSARIAL_PARAMS}
    if params.lr_schedule != "constant":
        shaping["steps"] = steps
    return {
        "format": CHECKPOINT_FORMAT,
        "params": shaping,
        "inputs": dict(inputs),
        "code": dict(code),
        "versions": dict(versions),
    }


def _weights(params: TrainParams) -> dict[str, float]:
    """Return name → weight of what is trained on."""
    names = (MANIFEST_NAME, *sorted(params.hr_folders))
    return _above_zero({name: params.weight(name) for name in names})


def _above_zero(weights: Mapping[str, float]) -> dict[str, float]:
    return {name: weight for name, weight in weights.items() if weight}


def differences(theirs: Description, ours: Description) -> list[str]:
    """Return the reasons why a run of `theirs` is not a run of `ours`."""
    if not is_of_this_format(theirs):
        return ["another version of the program wrote it"]
    reasons = [
        f"train.{name} {value}, here {ours['params'][name]}"
        for name, value in theirs["params"].items()
        if name in ours["params"] and value != ours["params"][name]
    ]
    inputs = theirs["inputs"]
    if None in (inputs.get("vgg_sha256"), ours["inputs"]["vgg_sha256"]):
        # One of the two has no discriminator; train.adv_weight is named for that already.
        inputs = {**inputs, "vgg_sha256": ours["inputs"]["vgg_sha256"]}
    reasons += [
        text for name, text in INPUT_DIFFERENCES.items() if inputs.get(name) != ours["inputs"][name]
    ]
    changed = _differing(theirs["code"], ours["code"])
    if changed:
        reasons.append(f"code: {some_of(changed, most=2)} changed")
    versions = theirs["versions"]
    reasons += [
        f"{name} {versions[name]}, here {ours['versions'][name]}"
        for name in _differing(versions, ours["versions"])
        # Other params need others; those are named already.
        if name in versions and name in ours["versions"]
    ]
    # Names and values in `theirs` are an untrusted file's.
    return [printable_line(reason) for reason in reasons]


def has_same_tensors(theirs: Description, ours: Description) -> bool:
    """Return whether `train.resume` can hand a checkpoint of a run of `theirs` to one of `ours`."""
    return is_of_this_format(theirs) and _of_tensors(theirs) == _of_tensors(ours)


def _of_tensors(description: Description) -> dict[str, Any]:
    params = description["params"]
    named = {
        name: value
        for name, value in params.items()
        if name in _OF_TENSORS or name.startswith("generator.")
    }
    # Only in fp16 losses have scales.
    return named | {"fp16": params.get("precision") == "fp16"}


def is_of_this_format(description: Description) -> bool:
    """Return whether this version of the program writes descriptions of that format."""
    return type(description.get("format")) is int and description["format"] == CHECKPOINT_FORMAT


def _differing(theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    return sorted(
        name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name)
    )
