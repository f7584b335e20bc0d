"""Params as they were used: what `auto` and null stood for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import PipelineError
from pipeline.evaluation.origins import shown_folder
from pipeline.evaluation.perceptual import PerceptualMetrics
from pipeline.networks.files import LoadedGenerator
from pipeline.params import EvaluateParams, TrainParams
from pipeline.params.train import ADVERSARIAL_PARAMS
from pipeline.training.schedules import resolved_ema_decay, resolved_pretrain_steps


@dataclass(frozen=True)
class TrainedWith:
    """The params of a model's training."""

    params: Mapping[str, Any]
    is_resolved: bool = False
    """else they are as written: another version of the program trained the model"""
    adversarial_from: int | None = None
    """first step with a discriminator; None if there was none, or it is not known"""


def read_train_params(trained: LoadedGenerator, model_file: Path) -> TrainedWith:
    """Return the params that `model_file` was trained with; raises `PipelineError` if damaged."""
    metadata = trained.metadata
    text = metadata.get("params", "{}")
    try:
        written = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PipelineError(f"{model_file}: damaged JSON ({error}); make it again") from None
    if not isinstance(written, dict):
        raise PipelineError(f"{model_file}: its params are no mapping; make it again")
    try:
        params = TrainParams.model_validate_json(text) if written else None
    except ValidationError:
        params = None
    return TrainedWith(written) if params is None else _resolved(params, trained)


def _resolved(params: TrainParams, trained: LoadedGenerator) -> TrainedWith:
    """Return params with what the model's file says of network, steps, device and precision.

    Params that nothing read are left out: those of the discriminator where there was none, and
    `epochs` beside `steps`.
    """
    metadata = trained.metadata
    named = {name: metadata[name] for name in ("device", "precision") if name in metadata}
    resolved = params.model_dump(mode="json") | named | {"ema": resolved_ema_decay(params)}
    network = {name: value for name, value in trained.generator.config.items() if name != "scale"}
    resolved["generator"] = {"kind": metadata.get("architecture"), **network}
    steps = params.steps
    if steps is None:
        # Not `step`, which is that of the best generator in its file.
        steps = int(text) if (text := metadata.get("steps", "")[:12]).isdecimal() else None
        resolved["steps"] = steps
    else:
        del resolved["epochs"]
    if metadata.get("adversarial") != "true":
        kept = {key: value for key, value in resolved.items() if key not in ADVERSARIAL_PARAMS}
        return TrainedWith(kept, is_resolved=True)
    if steps is None:
        return TrainedWith(resolved, is_resolved=True)
    resolved["pretrain_steps"] = resolved_pretrain_steps(params, steps)
    return TrainedWith(resolved, True, resolved["pretrain_steps"])


def resolved_evaluate_params(
    params: EvaluateParams, images: int, device: str, perceptual: PerceptualMetrics
) -> dict[str, Any]:
    """Return the params of an evaluation of so many `images`, on the device of that name.

    Params that nothing read are left out.
    """
    resolved = params.model_dump(mode="json") | {"max_images": images, "device": device}
    for name, folder in (("hr_folder", params.hr_folder), ("lr_folder", params.lr_folder)):
        resolved |= {name: None if folder is None else shown_folder(folder)}
    unread = ["hr_folder", "lr_folder"] if params.hr_folder is None else [*params.without_effect]
    for name, network in (("lpips", perceptual.lpips), ("dists", perceptual.dists)):
        resolved[name] = "off" if network is None else "measured"
    if params.blend is None:
        unread.append("blend_steps")
    return {name: value for name, value in resolved.items() if name not in unread}
