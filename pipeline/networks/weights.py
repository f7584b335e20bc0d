"""Where the weights of VGG16 and AlexNet come from: a folder, torchvision's download, or chance."""

import hashlib
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Literal
from urllib.error import URLError
from urllib.parse import urlsplit

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import AlexNet_Weights, VGG16_Weights, alexnet, vgg16

from pipeline.errors import PipelineError

Backbone = Literal["vgg16", "alexnet"]

FOLDER_VARIABLE = "PIPELINE_WEIGHTS"
IMAGENET = {"vgg16": VGG16_Weights.IMAGENET1K_V1, "alexnet": AlexNet_Weights.IMAGENET1K_V1}
BUILDERS = {"vgg16": vgg16, "alexnet": alexnet}
SILENCE_SECONDS = 10.0


class WeightsMissing(PipelineError):  # noqa: N818
    """Weights that were asked for are not to be had."""


def backbone_state(name: Backbone, choice: str, seed: int = 0) -> tuple[dict[str, Tensor], str]:
    """The convolutions of `name` by `choice`: `imagenet`, `random`, or a file or folder.

    Returns fp32 tensors `features.N.weight` and `.bias`, and what a report calls them. `imagenet`
    looks into the folder that `PIPELINE_WEIGHTS` names, then into torchvision's cache, then
    downloads. Raises `WeightsMissing` that says what to do.
    """
    if choice == "random":
        return _random_state(name, seed), "random"
    if choice != "imagenet":
        return _read(name, _file_in(name, Path(choice))), choice
    found = find_backbone(name)
    if found is None:
        return _download(name), "imagenet"
    return _read(name, found), "imagenet"


def sha256_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors by their names, whatever file they came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def find_backbone(name: Backbone) -> Path | None:
    """The file of ImageNet weights that is here already, without a download, or None."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        return _file_in(name, Path(folder))
    cached = Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(_url(name)).path).name)
    return cached if cached.is_file() else None


def has_backbone(name: Backbone) -> bool:
    """Whether ImageNet weights are here already, without a download."""
    try:
        return find_backbone(name) is not None
    except WeightsMissing:
        return False


def _url(name: Backbone) -> str:
    return str(IMAGENET[name].url)


def _file_in(name: Backbone, place: Path) -> Path:
    if place.is_file():
        return place
    files = sorted(place.glob(f"{name}*.safetensors"))
    if not files:
        raise WeightsMissing(
            f"{place}: holds no {name}*.safetensors; name a folder that does, or the file itself"
        )
    return files[0]


def _read(name: Backbone, path: Path) -> dict[str, Tensor]:
    try:
        loaded = load_file(path) if path.suffix == ".safetensors" else _load_pickled(path)
    except (OSError, RuntimeError, SafetensorError, UnpicklingError, EOFError) as error:
        kind = type(error).__name__
        raise WeightsMissing(
            f"{path}: damaged ({kind}); remove it or put a whole one there"
        ) from None
    with torch.device("meta"):
        expected = _convolutions(BUILDERS[name](weights=None).state_dict())
    state = _convolutions(loaded)
    for key, tensor in expected.items():
        if key not in state or state[key].shape != tensor.shape:
            raise WeightsMissing(
                f"{path}: holds no {key} of {tuple(tensor.shape)}, as {name} in torchvision's "
                "layout has it; name another file or folder, or remove this one"
            )
    return state


def _load_pickled(path: Path) -> dict[str, Tensor]:
    """A file of torchvision's cache, its tensors alone."""
    state: dict[str, Tensor] = torch.load(path, weights_only=True)
    return state


def _convolutions(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.float() for key, value in state.items() if key.startswith("features.")}


def _download(name: Backbone) -> dict[str, Tensor]:
    try:
        with _limited_silence():
            state = IMAGENET[name].get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise WeightsMissing(
            f"{_url(name)}: ImageNet weights of {name} cannot be downloaded ({error}); put "
            f"{name}.safetensors into a folder and name it in {FOLDER_VARIABLE}, or ask for random "
            "weights by name: train.vgg=random"
        ) from None
    return _convolutions(dict(state))


@contextmanager
def _limited_silence() -> Iterator[None]:
    """torchvision's download waits for ever where a firewall swallows its packets."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _random_state(name: Backbone, seed: int) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        features: nn.Module = BUILDERS[name](weights=None).features
    return {f"features.{key}": value for key, value in features.state_dict().items()}
