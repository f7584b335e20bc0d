"""Weights of the backbones VGG16 and AlexNet: from files, torchvision's download, or random."""

import hashlib
import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.error import URLError

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.networks.perceptual import lpips, vgg
from pipeline.networks.tensor_files import (
    DamagedFileError,
    checked_state_dict,
    error_line,
    machine_fault,
    read_tensors,
)

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

Backbone = Literal["vgg16", "alexnet"]

FOLDER_VARIABLE = "PIPELINE_WEIGHTS"
# File names of torchvision's downloads, without the import of torchvision, which is slow.
DOWNLOAD_NAMES = {"vgg16": "vgg16-397923af.pth", "alexnet": "alexnet-owt-7be5be79.pth"}
_DOWNLOAD_MEGABYTES = {"vgg16": 528, "alexnet": 233}
SOCKET_TIMEOUT_SECONDS = 10.0


class WeightsUnavailableError(PipelineError):
    """Weights of a backbone are not available."""


def backbone_state(
    name: Backbone, choice: str, seed: int = 0, report: Callable[[str], None] | None = None
) -> dict[str, Tensor]:
    """Return the convolutions of `name` by `choice`: `imagenet`, `random`, or a file or folder.

    They are fp32 tensors `features.N.weight` and `features.N.bias`. `imagenet` searches the folder
    in `PIPELINE_WEIGHTS`, then torchvision's cache, then downloads where no folder is named. Raises
    `WeightsUnavailableError` that says what to do. `report` is called before a download, with a
    line that tells of it.
    """
    if choice == "random":
        return _random_state(name, seed)
    if choice != "imagenet":
        return _read(name, _find_file(name, Path(choice)))
    path = find_backbone(name)
    if path is not None:
        return _read(name, path)
    if report is not None:
        size = _DOWNLOAD_MEGABYTES[name]
        report(f"{name}: no ImageNet weights here; trying to download them, {size} MB, once")
    return _download(name)


def backbone_shapes(name: Backbone) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the convolutions of `name`, by their keys in torchvision's layout."""
    shapes: dict[str, tuple[int, ...]] = {}
    for index, *weight in vgg.SHAPES if name == "vgg16" else lpips.SHAPES:
        shapes[f"features.{index}.weight"] = tuple(weight)
        shapes[f"features.{index}.bias"] = (weight[0],)
    return shapes


def sha256_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors' names and values, which does not depend on their file."""
    return sha256_of_named_tensors(tensors, tensors.__getitem__)


def sha256_of_named_tensors(names: Iterable[str], read: Callable[[str], Tensor]) -> str:
    """Return the same of tensors that are read one after the other, by their names."""
    digest = hashlib.sha256()
    for name in sorted(names):
        # Passed on at once, so that none is in memory while the next is read.
        _add_tensor(digest, name, read(name))
    return digest.hexdigest()


def _add_tensor(digest: "hashlib._Hash", name: str, tensor: Tensor) -> None:
    digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(tensor.detach().cpu().contiguous().numpy().data)


def find_backbone(name: Backbone) -> Path | None:
    """Return the local file of ImageNet weights, or None where they must be downloaded.

    Raises `WeightsUnavailableError` where neither the named folder nor torchvision's cache has it.
    """
    cached = Path(torch.hub.get_dir(), "checkpoints", DOWNLOAD_NAMES[name])
    found = cached if cached.is_file() else None
    if not (folder := os.environ.get(FOLDER_VARIABLE)):
        return found
    try:
        return _find_file(name, Path(folder))
    except WeightsUnavailableError as error:
        if found is None or not Path(folder).is_dir():
            raise WeightsUnavailableError(
                f"{FOLDER_VARIABLE}: {error}; where the variable is not set, they are downloaded"
            ) from None
        return found


def has_backbone(name: Backbone) -> bool:
    """Return whether ImageNet weights are available without a download."""
    try:
        return find_backbone(name) is not None
    except WeightsUnavailableError:
        return False


def imagenet_weights(name: Backbone) -> "WeightsEnum":
    """Return torchvision's entry for the ImageNet weights of `name`."""
    from torchvision.models import AlexNet_Weights, VGG16_Weights

    return VGG16_Weights.IMAGENET1K_V1 if name == "vgg16" else AlexNet_Weights.IMAGENET1K_V1


def _find_file(name: Backbone, path: Path) -> Path:
    """Return `path`, or the backbone's file in the folder `path`.

    Raises `WeightsUnavailableError`.
    """
    if path.is_file():
        return path
    files = sorted(path.glob(f"{name}*.safetensors"))
    if not path.exists():
        raise WeightsUnavailableError(f"{path}: no such file or folder; name another")
    if not files:
        raise WeightsUnavailableError(
            f"{path}: holds no {name}*.safetensors; name a folder that does, or the file itself"
        )
    return files[0]


def _read(name: Backbone, path: Path) -> dict[str, Tensor]:
    try:
        loaded, _ = read_tensors(path)
    except FileNotFoundError:
        raise WeightsUnavailableError(
            f"{path}: no such file; name another file or folder"
        ) from None
    except DamagedFileError as error:
        raise WeightsUnavailableError(
            f"{error}; name another, or put a whole file of weights there"
        ) from None
    expected = {
        key: torch.empty(shape, device="meta") for key, shape in backbone_shapes(name).items()
    }
    try:
        if not isinstance(loaded, Mapping):
            raise ValueError("it holds no weights by their names")
        return checked_state_dict(expected, {key: loaded.get(key) for key in expected})
    except ValueError as error:
        raise WeightsUnavailableError(
            f"{path}: {error_line(error)}, as {name} in torchvision's layout has it; name another "
            "file or folder, or remove this one"
        ) from None
    except (MemoryError, RuntimeError) as error:
        if (fault := machine_fault(error)) is None:
            raise
        raise PipelineError(f"{path}: cannot be loaded: {fault}") from None


def _convolutions(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.float() for key, value in state.items() if key.startswith("features.")}


def _download(name: Backbone) -> dict[str, Tensor]:
    weights = imagenet_weights(name)
    try:
        # torchvision prints an address among the results of a command.
        with _socket_timeout(), redirect_stdout(sys.stderr):
            state = weights.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise WeightsUnavailableError(
            f"{weights.url}: ImageNet weights of {name} cannot be downloaded ({error}); put "
            f"{name}.safetensors into a folder and name it in {FOLDER_VARIABLE}"
        ) from None
    return _convolutions(dict(state))


@contextmanager
def _socket_timeout() -> Iterator[None]:
    """Limit waits on sockets: torchvision sets no timeout, and firewalls may drop packets."""
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SOCKET_TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)


def _random_state(name: Backbone, seed: int) -> dict[str, Tensor]:
    """Return random weights as torchvision initialises VGG16 (He et al. 2015), and zero biases."""
    generator = torch.Generator().manual_seed(seed)
    state = {key: torch.zeros(shape) for key, shape in backbone_shapes(name).items()}
    for key, tensor in state.items():
        if key.endswith(".weight"):
            nn.init.kaiming_normal_(
                tensor, mode="fan_out", nonlinearity="relu", generator=generator
            )
    return state
