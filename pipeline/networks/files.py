"""Model files: generators as safetensors files, with architecture and config as metadata."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from pipeline.errors import ArgumentError, PipelineError, UsageError
from pipeline.files import atomic_path
from pipeline.networks import GENERATORS, Generator
from pipeline.networks.generators.from_config import generator_from_config
from pipeline.networks.generators.onnx_generator import OnnxGenerator
from pipeline.networks.spandrel_files import spandrel_generator
from pipeline.networks.tensor_files import DamagedFileError, error_line, machine_fault, read_tensors
from pipeline.shipped import check_model, missing_text, other_content

ONNX_SUFFIX = ".onnx"
CHECKPOINT_KIND = "anime-sr-pipeline checkpoint"
"""The value of the key `kind` in training checkpoints."""


@dataclass(frozen=True)
class LoadedGenerator:
    """A generator in eval mode, and the metadata of its file."""

    generator: Generator
    metadata: Mapping[str, str]


def save_generator(
    path: Path,
    generator: Generator,
    metadata: Mapping[str, str],
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write `generator` in `dtype`, with `metadata` and that of its architecture."""
    own = {"format": "pt"} | architecture_metadata(generator)
    tensors = weights_in(generator, dtype)
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    content = _sort_metadata(save(contiguous, dict(metadata) | own))
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def weights_in(generator: Generator, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return the weights by their names in a model file, on the CPU, floats in `dtype`."""
    return {
        name: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else None)
        for name, tensor in generator.weights.items()
    }


def architecture_metadata(generator: Generator) -> dict[str, str]:
    """Return the metadata from which `load_generator` constructs the network."""
    return {
        "architecture": generator.architecture,
        "config": json.dumps(dict(generator.config), sort_keys=True),
        "scale": str(generator.scale),
    }


def _sort_metadata(content: bytes) -> bytes:
    """Return a safetensors file with its metadata sorted.

    The safetensors library writes them in random order, and DVC would take each file for new.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    # Tensors start at a multiple of 8 bytes; the format pads its header with spaces.
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


def load_generator(path: Path, device: torch.device | str = "cpu") -> LoadedGenerator:
    """Load a file of `save_generator`, a training checkpoint, any that spandrel opens, or an ONNX
    file.

    Of a checkpoint, load the averaged generator. The file may be untrusted: no code in it is run,
    and loading takes memory in proportion to the file's bytes. Raises `DamagedFileError` where it
    is at fault, another `PipelineError` where it is missing or the machine is at fault; both name
    it.
    """
    if path.suffix.lower() == ONNX_SUFFIX:
        return _load_onnx(path)
    saved, metadata = _read(path)
    if not isinstance(saved, Mapping):
        raise DamagedFileError(f"{path}: holds no weights by their names")
    try:
        if saved.get("kind") == CHECKPOINT_KIND:
            saved, metadata = _averaged_generator(saved)
        if metadata.get("architecture") in GENERATORS and "config" in metadata:
            generator = _from_metadata(saved, metadata)
        else:
            generator = spandrel_generator(saved)
        generator = generator.to(device).eval()
    except PipelineError:
        raise
    except Exception as error:  # an untrusted file raises nearly any exception
        if (fault := machine_fault(error)) is not None:
            raise PipelineError(f"{path}: cannot be loaded: {fault}") from None
        problem = f"its weights fit no network: {error_line(error)}"
        raise DamagedFileError(f"{path}: {problem}") from None
    own = {"architecture": generator.architecture, "scale": str(generator.scale)}
    return LoadedGenerator(generator, dict(metadata) | own)


def load_named_generator(
    name: str, path: Path, device: torch.device | str = "cpu"
) -> LoadedGenerator:
    """Load the generator that the argument, or param, `name` names, as `load_generator` does.

    Raises `ArgumentError` where the file does not exist or is at fault.
    """
    try:
        return load_generator(check_model(name, path), device)
    except DamagedFileError as error:
        raise ArgumentError(name, str(error)) from None


def _load_onnx(path: Path) -> LoadedGenerator:
    if not path.exists():
        raise PipelineError(missing_text(path))
    if problem := other_content(path, "a model"):
        raise DamagedFileError(f"{path}: {problem}")
    try:
        generator = OnnxGenerator(path)
    except UsageError:
        raise
    except Exception as error:  # an untrusted file raises nearly any exception
        raise DamagedFileError(f"{path}: no network for pictures: {error_line(error)}") from None
    return LoadedGenerator(generator, architecture_metadata(generator))


def _read(path: Path) -> tuple[object, Mapping[str, str]]:
    """Return a file's content and metadata. Raises `PipelineError`."""
    try:
        return read_tensors(path)
    except FileNotFoundError:
        raise PipelineError(missing_text(path)) from None


def _averaged_generator(
    checkpoint: Mapping[str, object],
) -> tuple[Mapping[str, object], Mapping[str, str]]:
    """Return the weights of a checkpoint's averaged generator, and its metadata."""
    state, metadata = checkpoint.get("state"), checkpoint.get("metadata")
    average = state.get("average") if isinstance(state, Mapping) else None
    if not isinstance(average, Mapping) or not isinstance(metadata, Mapping):
        raise ValueError("it is a checkpoint without an averaged generator")
    return average, {str(name): str(value) for name, value in metadata.items()}


def _from_metadata(saved: Mapping[str, object], metadata: Mapping[str, str]) -> Generator:
    """Return the generator that the metadata describe."""
    architecture = GENERATORS[metadata["architecture"]]
    return generator_from_config(architecture, json.loads(metadata["config"]), saved)
