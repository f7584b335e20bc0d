"""Networks and optimisers as the params describe them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import nn
from torch.optim import Adam, Optimizer

from pipeline.errors import ArgumentError, UsageError
from pipeline.networks import GENERATORS, Generator
from pipeline.networks.discriminators.srgan import SRGANDiscriminator
from pipeline.networks.discriminators.unet import UNetDiscriminator
from pipeline.networks.files import LoadedGenerator, load_named_generator
from pipeline.networks.generators.spandrel_generator import SpandrelGenerator
from pipeline.params import TrainParams
from pipeline.params.generator import FileParams
from pipeline.params.optimiser import MuonParams
from pipeline.training.checkpoint_checks import same_tensors
from pipeline.training.muon import Muon
from pipeline.wording import counted

DISCRIMINATORS = {"srgan": SRGANDiscriminator, "unet": UNetDiscriminator}
BLOCKS_PARAM = "generator.blocks"


def build_generator(params: TrainParams) -> Generator:
    """Return the generator that the params describe, with the weights of `params.init`, if any.

    Raises `UsageError` where those are of another generator.
    """
    generator = new_generator(params)
    if params.init is not None and not isinstance(params.generator, FileParams):
        initial = _load_named("init", params.init)
        _check_initial(initial, generator, params)
        generator.start_from(initial.generator)
    return generator


def new_generator(params: TrainParams) -> Generator:
    """Return the generator that the params describe, with weights drawn anew, or that of a file."""
    if isinstance(params.generator, FileParams):
        return _generator_of_file(params)
    sizes = params.generator.model_dump(exclude={"kind"}, exclude_none=True)
    return GENERATORS[params.generator.kind](scale=params.scale, **sizes)


def _generator_of_file(params: TrainParams) -> Generator:
    name, path = ("init", params.init) if params.resume is None else ("resume", params.resume)
    generator = _load_named(name, str(path)).generator
    if generator.scale != params.scale:
        raise UsageError(
            f"train.{name}: {path} enlarges {counted(generator.scale, 'time')}, not "
            f"{params.scale}; set train.scale to that, or name another model"
        )
    return generator.train()


def _load_named(name: str, path: str) -> LoadedGenerator:
    """Load the generator that the param `name` names.

    Raises `UsageError` where the file holds none, or none that can be trained.
    """
    try:
        loaded = load_named_generator(name, Path(path))
    except ArgumentError as error:
        raise UsageError(f"train.{error}; name another file") from None
    if not list(loaded.generator.parameters()):
        raise UsageError(
            f"train.{name}: {path}: holds no weights that can be trained; name another file"
        )
    return loaded


def build_discriminator(params: TrainParams) -> nn.Module:
    """Return the discriminator that the params name."""
    return DISCRIMINATORS[params.discriminator]()


def build_optimisers(generator: Generator, params: TrainParams) -> dict[str, Optimizer]:
    """Return the generator's optimisers by their keys in a checkpoint."""
    if not isinstance(params.optimiser, MuonParams):
        return {"adam": build_adam(generator.parameters(), params)}
    # The first and the last convolution too, as in all runs of docs/experiments.md; of a language
    # model the paper leaves the first and the last matrix to Adam.
    kernels = [weight for weight in generator.parameters() if weight.ndim == 4]
    others = [weight for weight in generator.parameters() if weight.ndim != 4]
    return {
        "adam": build_adam(others, params),
        "muon": Muon(kernels, params.lr, params.optimiser.momentum),
    }


def build_adam(weights: Iterable[nn.Parameter], params: TrainParams) -> Adam:
    """Return Adam for `weights`, which must be on their device already."""
    weights = list(weights)
    device_type = weights[0].device.type
    return Adam(
        weights,
        lr=params.lr,
        betas=(params.optimiser.beta1, params.optimiser.beta2),
        fused=device_type in ("cpu", "cuda"),
        capturable=device_type == "cuda",
    )


def generator_params(kind: object, config: Mapping[str, object]) -> dict[str, object]:
    """Return the params of `train` that describe a generator of this `config`."""
    sizes = {f"generator.{name}": value for name, value in config.items() if name != "scale"}
    return {"generator.kind": kind, "scale": config.get("scale"), **sizes}


def differing_params(theirs: Mapping[str, object], ours: Mapping[str, object]) -> str:
    """Return the `generator_params` in which `theirs` are not `ours`, with their values."""
    differing = sorted(theirs.items() - ours.items())
    return ", ".join(f"train.{name} {value}" for name, value in differing) or "other params"


def _check_initial(initial: LoadedGenerator, generator: Generator, params: TrainParams) -> None:
    theirs = generator_params(initial.metadata["architecture"], initial.generator.config)
    ours = generator_params(params.generator.kind, generator.config)
    if theirs == ours or (generator.accepts_fewer_blocks and _has_fewer_blocks(theirs, ours)):
        return
    if isinstance(initial.generator, SpandrelGenerator):
        if same_tensors(generator.state_dict(), initial.generator.weights):
            return
        raise UsageError(
            f"train.init: {params.init} holds {initial.generator.architecture}; set "
            "train.generator.kind to file to train that"
        )
    raise UsageError(
        f"train.init: {params.init} was trained with {differing_params(theirs, ours)}; set that"
    )


def _has_fewer_blocks(theirs: Mapping[str, object], ours: Mapping[str, object]) -> bool:
    """Return whether `theirs` are `ours` but for a smaller number of blocks."""
    blocks = BLOCKS_PARAM
    if {**theirs, blocks: None} != {**ours, blocks: None}:
        return False
    return int(str(theirs[blocks])) < int(str(ours[blocks]))
