"""Files of tensors from anyone: safetensors, and PyTorch's own, of which no code is run.

A file takes no more memory than it has bytes, whatever it says of itself.
"""

import errno
import io
import os
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import torch
from safetensors import safe_open
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.machine_errors import fault_text, is_machine_fault

PICKLED = (".pth", ".pt")
ZIP_MAGIC = b"PK\3\4"
# What torch.save writes for tensors in dicts, lists and sets. torch.load takes more with
# weights_only, bytearray for one, which takes as much memory as a file of 350 bytes asks for.
GLOBALS = re.compile(
    r"collections (OrderedDict|Counter)|(__builtin__|builtins) set"
    r"|torch (Size|device|\w+Storage|bool|b?float\d+|complex\d+|u?int\d+)"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|parameter)|torch\.nn\.parameter Parameter"
    r"|torch\.storage (Typed|Untyped)Storage|torch\.serialization _get_layout"
)
# 100 bytes a tensor, and a checkpoint's figures of a long training. Looking at as much takes
# seconds.
MAX_PICKLE_BYTES = 16_000_000
# What torch.save, under Python 2 too, writes once and refers to: keys, and names of types.
TEXTS = {"BINUNICODE", "BINSTRING", "SHORT_BINSTRING", "GLOBAL"}
# Of anything else: layers that share weights, optimisers' groups that share their betas.
MAX_REPEATED = 16
# PyTorch's first format: magic number, version, sizes of types, content, names of storages.
FIRST_PICKLES = 5
MAX_REASON = 200


class DamagedFileError(PipelineError):
    """The bytes of a file are no whole file of tensors."""


def read_tensors(path: Path) -> tuple[object, Mapping[str, str]]:
    """Return what a file holds, and its metadata if it has any. Tensors may be views of the file.

    Raises `FileNotFoundError`, `DamagedFileError` for what the file is to blame for, and another
    `PipelineError` for a fault of the machine.
    """
    kind = "safetensors file"
    try:
        with path.open("rb") as file:
            head = file.read(9)
        # A safetensors file begins with eight bytes of a length, which may be any, and its header.
        other = head[8:] != b"{" and head.startswith((ZIP_MAGIC, b"\x80\2"))
        if path.suffix in PICKLED or other:
            kind = "file of weights and nothing else"
            return unpickle(path), {}
        with safe_open(path, "pt") as tensors:
            names = list(tensors.keys())
            return {name: tensors.get_tensor(name) for name in names}, tensors.metadata() or {}
    except FileNotFoundError:
        raise
    except Exception as error:  # bytes that anyone made raise nearly anything
        if (fault := machine_fault(error)) is not None:
            raise PipelineError(f"{path}: cannot be read: {fault}") from None
        raise DamagedFileError(f"{path}: no whole {kind}: {reason(error)}") from None


def machine_fault(error: BaseException) -> str | None:
    """What the machine lacks, where that raised `error`; None where something else did.

    PyTorch and safetensors raise errors of their own with the system's words in them.
    """
    # A seek to where a damaged file points may be no valid one.
    if is_machine_fault(error) and getattr(error, "errno", None) != errno.EINVAL:
        return fault_text(error)
    numbers = (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO)
    faults = [OSError(number, os.strerror(number)) for number in numbers]
    return next((fault_text(fault) for fault in faults if str(fault.strerror) in str(error)), None)


def reason(error: BaseException) -> str:
    """An error in one line that a terminal can show, whatever names a file holds."""
    return printable(str(error)) or type(error).__name__


def printable(text: str) -> str:
    """Return a text in one line that a terminal can show, cut where it is long."""
    words = " ".join(text.split())
    shown = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in words
    )
    return shown if len(shown) <= MAX_REASON else f"{shown[:MAX_REASON]}..."


@torch.no_grad()
def fitting(wanted: Mapping[str, Tensor], given: Mapping[str, object]) -> dict[str, Tensor]:
    """Return copies of `given`, all of it, in the types of `wanted`, which may be without values.

    Raises `ValueError` where names, shapes or kinds of numbers differ, before memory is taken.
    """
    tensors = {name: _one(name, tensor, given) for name, tensor in wanted.items()}
    if surplus := given.keys() - wanted.keys():
        raise ValueError(f"{min(map(str, surplus))} belongs to no such network")
    if share_values(tensors):
        raise ValueError("its weights share their values")
    copies = {
        name: tensor.to(wanted[name].dtype, copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    for name, tensor in copies.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} is not finite")
    return copies


def share_values(content: object) -> bool:
    """Return whether tensors, in dicts and lists, are larger than what they are views of.

    Views may give a file of few bytes any shape.
    """
    tensors = list(_tensors_in(content))
    if any(tensor.layout != torch.strided or tensor.is_meta for tensor in tensors):
        return True
    storages = {tensor.untyped_storage().data_ptr(): tensor for tensor in tensors}
    held = sum(tensor.untyped_storage().nbytes() for tensor in storages.values())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) > held


def _tensors_in(content: object) -> Iterator[Tensor]:
    seen, waiting = set[int](), [content]
    while waiting:
        found = waiting.pop()
        if isinstance(found, Tensor):
            yield found
        elif isinstance(found, Mapping | list | tuple | set) and id(found) not in seen:
            seen.add(id(found))
            waiting += found.values() if isinstance(found, Mapping) else found


def _one(name: str, wanted: Tensor, given: Mapping[str, object]) -> Tensor:
    tensor = given.get(name)
    if tensor is None:
        raise ValueError(f"{name} is missing")
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_meta:
        raise ValueError(f"{name} is no tensor with values")
    if tensor.shape != wanted.shape:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not {tuple(wanted.shape)}")
    if tensor.is_floating_point() != wanted.is_floating_point() or tensor.is_complex():
        raise ValueError(f"{name} holds {tensor.dtype}, not {wanted.dtype}")
    return tensor


def archive_damage(path: Path) -> str | None:
    """Return what is wrong with the bytes of a file of torch.save, or None where nothing is.

    Raises `OSError` and `MemoryError`, the machine's own faults.
    """
    with path.open("rb") as file:
        return _damage(file)


def unpickle(path: Path, mapped: bool = True) -> object:
    """Return what a file of torch.save holds; `mapped`: its tensors may be views of the file.

    Raises nearly anything, `ValueError` for what torch.save does not write.
    """
    with path.open("rb") as file:
        zipped = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
        file.seek(0)
        if zipped:
            _check_archive(file)
        else:
            start = io.BytesIO(file.read(MAX_PICKLE_BYTES))
            for _ in range(FIRST_PICKLES):
                _check_pickle(start)
    with warnings.catch_warnings():
        # They speak to those who wrote the file.
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped and zipped)


def _damage(file: IO[bytes]) -> str | None:
    """Return what PyTorch did not write: changed bytes, of which torch.load takes no notice, too.

    PyTorch compresses nothing. Entries that are compressed, or lie over each other, are larger
    than the file.
    """
    try:
        size = file.seek(0, os.SEEK_END)
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
            if not stored or sum(entry.file_size for entry in entries) > size:
                raise ValueError("it is compressed")
            if spoilt := archive.testzip():
                raise ValueError(f"wrong checksum of {spoilt}")
    except Exception as error:  # changed bytes make zipfile raise nearly anything
        if machine_fault(error) is not None:
            raise
        return reason(error)
    return None


def _check_archive(file: IO[bytes]) -> None:
    """Refuse an archive that is damaged, or whose pickles PyTorch did not write."""
    if (damage := _damage(file)) is not None:
        raise ValueError(damage)
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".pkl"):
                if entry.file_size > MAX_PICKLE_BYTES:
                    raise ValueError("it holds too many things")
                _check_pickle(io.BytesIO(archive.read(entry)))


def _check_pickle(pickled: io.BytesIO) -> None:
    """Refuse a pickle that names anything but parts of tensors, or that ends too early.

    Refuse one, too, whose lists and tuples hold each other again and again: forty of them, each
    twice in the next, take 2^40 steps to hash or to print.
    """
    texts, repeated, before = set[object](), 0, ""
    for opcode, argument, _ in pickletools.genops(pickled):
        named = opcode.name in ("GLOBAL", "STACK_GLOBAL", "INST")
        if named and not GLOBALS.fullmatch(str(argument)):
            raise ValueError(f"it holds {argument}")
        if opcode.name.endswith("PUT"):
            (texts.add if before in TEXTS else texts.discard)(argument)
        elif opcode.name.endswith("GET"):
            repeated += argument not in texts
        if opcode.name == "DUP" or repeated > MAX_REPEATED:
            raise ValueError("its parts hold each other too often")
        before = opcode.name
