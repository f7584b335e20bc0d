"""All that a training run is made of between two steps."""

import copy
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pipeline.errors import UsageError
from pipeline.networks import GENERATORS, Generator
from pipeline.networks.discriminators.srgan import Discriminator
from pipeline.networks.discriminators.unet import UNetDiscriminator
from pipeline.networks.files import LoadedGenerator, architecture_metadata, load_generator
from pipeline.params import TrainParams
from pipeline.training.checkpoint_checks import (
    fits_optimiser,
    numbered_weights,
    same_tensors,
    wrong_record,
)
from pipeline.training.distributed import ALONE, Group, synced
from pipeline.training.muon import Muon

M = TypeVar("M", bound=nn.Module)

DISCRIMINATORS = {"srgan": Discriminator, "unet": UNetDiscriminator}
OWN_PARAMS = {
    "srresnet": ("norm", "skip", "upsampling"),
    "rrdb": ("growth",),
    "rcan": ("groups", "reduction"),
}
"""Generators → the params that shape them alone."""


@dataclass(frozen=True)
class Adversary:
    """The discriminator and what trains it."""

    network: nn.Module
    optimiser: Optimizer


@dataclass
class State:
    """Networks, optimisers, and what was recorded so far, after `step` generator updates."""

    generator: Generator
    average: Generator
    """the exponential moving average of `generator`: what is validated and saved"""
    optimisers: tuple[Optimizer, ...]
    """Adam, and Muon where it moves the convolutions"""
    adversary: Adversary | None
    best: Generator
    """the average that validated best so far, after `best_step` steps"""
    best_score: float = -math.inf
    best_step: int = 0
    best_measure: str = ""
    """the metric of `best_score` and the pictures that it was measured on"""
    step: int = 0
    skips: Tensor = field(default_factory=lambda: torch.zeros(2, dtype=torch.int64))
    """how many steps moved nothing: of all, and since the last one that did; on the device"""
    devices: list[str] = field(default_factory=list)
    """what computed the steps so far"""
    curve: list[dict[str, float]] = field(default_factory=list)
    samples: list[Tensor] = field(default_factory=list)
    """one strip of validation pictures a validation, `(3, h, w) uint8`"""

    @property
    def skipped(self) -> int:
        """How many of the steps moved nothing."""
        return int(self.skips[0])

    @torch.no_grad()
    def count_skipped(self, updated: Tensor) -> None:
        """Count one more step; `updated () bool` says whether it moved the generator."""
        skipped = (~updated).long()
        of_all, in_a_row = self.skips.unbind()
        of_all.add_(skipped)
        in_a_row.add_(1).mul_(skipped)

    def state_dict(self) -> dict[str, Any]:
        """Everything, as tensors and plain values that load without pickled code."""
        modules = _modules(self)
        return {name: _saved(module) for name, module in modules.items()} | {
            "step": self.step,
            "skipped": self.skipped,
            "best_score": self.best_score,
            "best_step": self.best_step,
            "best_measure": self.best_measure,
            "devices": self.devices,
            "curve": self.curve,
            "samples": self.samples,
        }

    @torch.no_grad()
    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Become what `state_dict` described, where `mismatch` finds nothing against it."""
        for name, module in _modules(self).items():
            if isinstance(module, Optimizer):
                module.load_state_dict(_with_own_settings(module, saved[name]))
            else:
                module.load_state_dict(saved[name])
        self.step = saved["step"]
        self.skips.copy_(torch.tensor([saved["skipped"], 0]))
        self.best_score, self.best_step = saved["best_score"], saved["best_step"]
        self.best_measure, self.devices = saved["best_measure"], saved["devices"]
        self.curve, self.samples = saved["curve"], saved["samples"]

    def note_device(self, name: str) -> None:
        """The next steps are computed by this device."""
        if name not in self.devices:
            self.devices.append(name)


def mismatch(state: State, checkpoint: Mapping[str, Any]) -> str | None:
    """Return why `state` cannot become what a checkpoint holds, or None where it can.

    `checkpoint` has the generator's `metadata` and the `state` of a training.
    """
    try:
        metadata = checkpoint["metadata"]
        theirs = {"generator": metadata["architecture"], **json.loads(metadata["config"])}
        name = architecture_metadata(state.generator)["architecture"]
        ours = {"generator": name, **state.generator.config}
        if theirs != ours:
            return f"was trained with {_other_params(theirs, ours)}"
        return _state_mismatch(state, checkpoint["state"])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        return f"is no checkpoint of this version of the program ({error!r})"


def _state_mismatch(state: State, saved: Mapping[str, Any]) -> str | None:
    ours = state.state_dict()
    if ours.keys() != saved.keys():
        lacking, more = sorted(ours.keys() - saved.keys()), sorted(saved.keys() - ours.keys())
        told = [f"lacks {', '.join(lacking)}"] if lacking else []
        told += [f"has {', '.join(more)}, which this training has not"] if more else []
        return " and ".join(told)
    for name, module in _modules(state).items():
        if isinstance(module, Optimizer):
            fits = fits_optimiser(module, saved[name])
        else:
            fits = same_tensors(ours[name], saved[name])
        if not fits:
            return f"has another {name.replace('_', ' ')} than this training"
    wrong = wrong_record(saved)
    return f"is no checkpoint of this version of the program (wrong {wrong})" if wrong else None


def _with_own_settings(optimiser: Optimizer, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return saved moments with the settings (β, ε, ...) that `optimiser` has now.

    They are those of the params; another run that is continued may have had others. Moments get
    the strides of their weights, which the fused Adam takes for granted.
    """
    weights = dict(numbered_weights(optimiser))
    moments = {
        number: {
            name: value if name == "step" else torch.empty_like(weights[number]).copy_(value)
            for name, value in kept.items()
        }
        for number, kept in saved["state"].items()
    }
    return {"state": moments, "param_groups": optimiser.state_dict()["param_groups"]}


def new_state(params: TrainParams, device: torch.device, group: Group = ALONE) -> State:
    """Fresh networks, drawn from `params.seed`; a discriminator only where its loss has weight.

    Their batch normalisations look at the batches of the whole `group`.

    Raises `UsageError` where the generator of `params.init` is another than the params describe.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(params.seed)
        generator = _new_generator(params)
        build = DISCRIMINATORS[params.discriminator]
        discriminator = build() if params.adv_weight > 0 else None
    for network in (generator, discriminator):
        synced(network, group)
    average = copy.deepcopy(generator).requires_grad_(False)
    adversary = None
    if discriminator is not None:
        discriminator = _placed(discriminator, device)
        adversary = Adversary(discriminator, _adam(discriminator.parameters(), params))
    generator = _placed(generator, device)
    optimisers, best = _optimisers(generator, params), copy.deepcopy(average)
    skips = torch.zeros(2, dtype=torch.int64, device=device)
    return State(
        generator,
        _placed(average, device),
        optimisers,
        adversary,
        _placed(best, device),
        skips=skips,
    )


def _new_generator(params: TrainParams) -> Generator:
    sizes = {"scale": params.scale, "features": params.features}
    if params.blocks is not None:
        sizes["blocks"] = params.blocks
    own = {name: getattr(params, name) for name in OWN_PARAMS[params.generator]}
    generator = GENERATORS[params.generator](**sizes, **own)
    if params.init is not None:
        given = load_generator(Path(params.init))
        _refuse_another(given, generator, params)
        generator.start_from(given.generator)
    return generator


def _refuse_another(given: LoadedGenerator, wanted: Generator, params: TrainParams) -> None:
    theirs = {"generator": given.metadata["architecture"], **given.generator.config}
    ours = {"generator": params.generator, **wanted.config}
    other = dict(theirs.items() - ours.items())
    deepens = wanted.accepts_fewer_blocks and set(other) == {"blocks"}
    if theirs != ours and not (deepens and int(other["blocks"]) < int(wanted.config["blocks"])):
        raise UsageError(
            f"train.init: {params.init} was trained with {_other_params(theirs, ours)}; set that"
        )


def _other_params(theirs: Mapping[str, object], ours: Mapping[str, object]) -> str:
    other = sorted(theirs.items() - ours.items())
    return ", ".join(f"train.{name} {value}" for name, value in other) or "other params"


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, weight: float | Tensor) -> None:
    """Move the weights of `average` towards those of `network`, all the way with a `weight` of 1.

    Statistics of batch normalisation are averages already and are copied.
    """
    means: list[Tensor] = list(average.parameters())
    weights: list[Tensor] = list(network.parameters())
    if isinstance(weight, Tensor):
        changes = torch._foreach_sub(weights, means)
        torch._foreach_mul_(changes, weight)
        torch._foreach_add_(means, changes)
    else:
        torch._foreach_lerp_(means, weights, weight)
    for kept, statistic in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(statistic)


def _saved(module: nn.Module | Optimizer) -> dict[str, Any]:
    """Return the state of a module or an optimiser; learning rates as numbers."""
    saved = module.state_dict()
    if isinstance(module, Optimizer):
        for group in saved["param_groups"]:
            group["lr"] = float(group["lr"])
    return saved


def _modules(state: State) -> dict[str, Any]:
    modules: dict[str, Any] = {
        "generator": state.generator,
        "average": state.average,
        "best": state.best,
    }
    for optimiser in state.optimisers:
        modules[type(optimiser).__name__.lower()] = optimiser
    if state.adversary is not None:
        modules["discriminator"] = state.adversary.network
        modules["discriminator_optimiser"] = state.adversary.optimiser
    return modules


def _placed(network: M, device: torch.device) -> M:
    network.to(device)
    network.to(memory_format=torch.channels_last)
    return network


def _optimisers(generator: Generator, params: TrainParams) -> tuple[Optimizer, ...]:
    if params.optimiser == "adam":
        return (_adam(generator.parameters(), params),)
    kernels = [weight for weight in generator.parameters() if weight.ndim == 4]
    others = [weight for weight in generator.parameters() if weight.ndim != 4]
    return _adam(others, params), Muon(kernels, params.lr)


def _adam(weights: Iterable[nn.Parameter], params: TrainParams) -> Adam:
    weights = list(weights)
    kind = weights[0].device.type
    return Adam(
        weights,
        lr=params.lr,
        betas=(params.beta1, params.beta2),
        fused=kind in ("cpu", "cuda"),
        capturable=kind == "cuda",
    )
