"""Generators as safetensors files that say how to build the network they are for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save

from pipeline.errors import PipelineError
from pipeline.files import atomic_path
from pipeline.networks import GENERATORS, Generator
from pipeline.networks.generators.from_config import built
from pipeline.networks.public_files import public_generator
from pipeline.networks.tensor_files import machine_fault, read_tensors, reason

CHECKPOINT = "anime-sr-pipeline checkpoint"
"""What a checkpoint of a training calls itself."""


@dataclass(frozen=True)
class LoadedGenerator:
    """A generator in eval mode, and its file's metadata."""

    generator: Generator
    metadata: Mapping[str, str]


def save_generator(path: Path, generator: Generator, metadata: Mapping[str, str]) -> None:
    """Write `generator` in fp32, with `metadata` beside what is needed to build it again."""
    own = {"format": "pt"} | architecture_metadata(generator)
    tensors = {
        name: tensor.detach().to("cpu", torch.float32 if tensor.is_floating_point() else None)
        for name, tensor in generator.state_dict().items()
    }
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    content = _in_order(save(contiguous, dict(metadata) | own))
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def architecture_metadata(generator: Generator) -> dict[str, str]:
    """Return what is needed to build `generator` again, as a file's metadata has it."""
    return {
        "architecture": _name(generator),
        "config": json.dumps(dict(generator.config), sort_keys=True),
        "scale": str(generator.scale),
    }


def _in_order(content: bytes) -> bytes:
    """The same safetensors file with its metadata sorted.

    The format's library writes them in an order drawn anew each time; what DVC tracks must not
    change where nothing has changed.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    # Tensors start at a multiple of 8 bytes; spaces are the format's own padding.
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


def load_generator(path: Path, device: torch.device | str = "cpu") -> LoadedGenerator:
    """Read a file that `save_generator` wrote, or one of ESRGAN's or RCAN's that is public.

    Of a checkpoint of a training it is the averaged generator. The file may be anyone's: no code
    of it is run, and it takes no more memory than it has bytes. Raises `PipelineError` that names
    the file.
    """
    saved, metadata = _read(path)
    if not isinstance(saved, Mapping):
        raise PipelineError(f"{path}: holds no weights by their names")
    try:
        if saved.get("kind") == CHECKPOINT:
            saved, metadata = _averaged(saved)
        if "architecture" in metadata:
            generator = _built(saved, metadata)
        else:
            generator = public_generator(saved)
        if generator is not None:
            generator = generator.to(device).eval()
    except PipelineError:
        raise
    except Exception as error:  # a file that anyone made raises nearly anything
        if (fault := machine_fault(error)) is not None:
            raise PipelineError(f"{path}: cannot be loaded: {fault}") from None
        raise PipelineError(f"{path}: its weights fit no network: {reason(error)}") from None
    if generator is None:
        known = ", ".join(GENERATORS)
        raise PipelineError(f"{path}: holds no generator that is known here ({known})")
    own = {"architecture": _name(generator), "scale": str(generator.scale)}
    return LoadedGenerator(generator, dict(metadata) | own)


def _read(path: Path) -> tuple[object, Mapping[str, str]]:
    """What a file holds, and its metadata, if it has any."""
    try:
        return read_tensors(path)
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file; `pipeline train` makes a model") from None


def _averaged(
    checkpoint: Mapping[str, object],
) -> tuple[Mapping[str, object], Mapping[str, str]]:
    """Return a checkpoint's averaged generator and the metadata that its own file would have."""
    state, metadata = checkpoint.get("state"), checkpoint.get("metadata")
    average = state.get("average") if isinstance(state, Mapping) else None
    if not isinstance(average, Mapping) or not isinstance(metadata, Mapping):
        raise ValueError("it is a checkpoint without an averaged generator")
    return average, {str(name): str(value) for name, value in metadata.items()}


def _built(saved: Mapping[str, object], metadata: Mapping[str, str]) -> Generator | None:
    architecture = GENERATORS.get(metadata["architecture"])
    if architecture is None:
        return None
    if "config" not in metadata:
        raise ValueError("it does not tell its config")
    return built(architecture, json.loads(metadata["config"]), saved)


def _name(generator: Generator) -> str:
    names = {network: name for name, network in GENERATORS.items()}
    return names[type(generator)]
