"""Loads the compared methods that `evaluate`'s params name."""

from collections.abc import Mapping
from pathlib import Path

import torch

from pipeline.errors import ArgumentError, UsageError
from pipeline.evaluation.methods import MODEL, RESERVED_NAMES, UpscalingMethods
from pipeline.images.interpolation import baselines_of
from pipeline.networks import Generator
from pipeline.networks.blending import blend_generators
from pipeline.networks.files import LoadedGenerator, load_named_generator
from pipeline.params import EvaluateParams
from pipeline.shipped import named_file, shipped_models
from pipeline.wording import counted


def load_methods(
    params: EvaluateParams, trained: LoadedGenerator, device: torch.device
) -> UpscalingMethods:
    """Return interpolation, the trained generator, and the models that `params` name.

    Raises `UsageError` if two methods share a name or enlarge by different factors, if a model's
    file holds none, or if two are to be blended that cannot be.
    """
    _check_names(params, trained.generator.scale)
    loaded = _load_models(params, trained, device)
    models = {name: each.generator for name, each in loaded.items()}
    return UpscalingMethods(
        models | _blends(params, models),
        trained.generator.scale,
        metadata={name: each.metadata for name, each in loaded.items()},
    )


def with_initial_model(params: EvaluateParams, init: object) -> EvaluateParams:
    """Return `params` with the shipped model among its models that the training began with.

    `init` is the training's, as its model's file has it. Where it is no shipped model's name, or
    another method has that name, nothing is added.
    """
    taken = (*RESERVED_NAMES, *params.models, *params.results, *blend_names(params))
    if not isinstance(init, str) or init not in shipped_models() or init in taken:
        return params
    if init in params.models.values() or Path(init).exists():
        return params
    return params.model_copy(update={"models": {**params.models, init: init}})


def blend_names(params: EvaluateParams) -> list[str]:
    """Return the names of the networks between `params.blend` and the trained one."""
    return list(_alphas(params))


def _check_names(params: EvaluateParams, scale: int) -> None:
    taken = {*RESERVED_NAMES, *baselines_of(scale)}
    for param, names in (("models", params.models), ("results", params.results)):
        for name in names:
            if name in taken:
                raise UsageError(
                    f"evaluate.{param}.{name}: is the name of another method; take another one"
                )
        taken |= names.keys()


def _load_models(
    params: EvaluateParams, trained: LoadedGenerator, device: torch.device
) -> dict[str, LoadedGenerator]:
    models = {MODEL: trained}
    for name, path in params.models.items():
        try:
            other = load_named_generator(name, named_file(path), device)
        except ArgumentError as error:
            raise UsageError(f"evaluate.models.{error}") from None
        scale, ours = other.generator.scale, trained.generator.scale
        if scale != ours:
            raise UsageError(
                f"evaluate.models.{name}: enlarges {counted(scale, 'time')}, the trained generator "
                f"{counted(ours, 'time')}; their results cannot be compared"
            )
        models[name] = other
    return models


def _blends(params: EvaluateParams, models: Mapping[str, Generator]) -> dict[str, Generator]:
    """Return the networks between `params.blend` and the trained one, nearest to `blend` first."""
    try:
        return {
            name: blend_generators(models[str(params.blend)], models[MODEL], alpha).eval()
            for name, alpha in _alphas(params).items()
        }
    except UsageError as error:
        raise UsageError(
            f"evaluate.blend: {params.blend} and the trained generator: {error}"
        ) from None


def _alphas(params: EvaluateParams) -> dict[str, float]:
    if params.blend is None:
        return {}
    alphas = [step / (params.blend_steps + 1) for step in range(1, params.blend_steps + 1)]
    return {f"{params.blend} {alpha:.2g}": alpha for alpha in alphas}
