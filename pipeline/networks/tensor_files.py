"""Reading of untrusted files of tensors: safetensors and torch.save's, without running their code.

Reading a file takes no more memory than the file has bytes, whatever sizes it claims.
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
from pipeline.shipped import other_content

TORCH_SUFFIXES = (".pth", ".pt")
ZIP_MAGIC = b"PK\3\4"
# Globals that torch.save writes for tensors in dicts, lists and sets. torch.load with weights_only
# accepts more, such as bytearray, with which a file of 350 bytes allocates any amount of memory.
ALLOWED_GLOBALS = re.compile(
    r"collections (OrderedDict|Counter)|(__builtin__|builtins) set"
    r"|torch (Size|device|\w+Storage|bool|b?float\d+|complex\d+|u?int\d+)"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|parameter)|torch\.nn\.parameter Parameter"
    r"|torch\.storage (Typed|Untyped)Storage|torch\.serialization _get_layout"
)
# 100 bytes per tensor, and the curves in a checkpoint of a long training. Checking takes seconds.
MAX_PICKLE_BYTES = 16_000_000
# Opcodes of values that torch.save writes once and refers to often, under Python 2 too: keys of
# dicts, and names of types.
TEXT_OPCODES = {"BINUNICODE", "BINSTRING", "SHORT_BINSTRING", "GLOBAL"}
# References to other values: layers that share weights, optimisers' groups that share their betas.
MAX_REFERENCES = 16
# torch.save's format before version 1.6: magic number, version, sizes of types, content, names of
# storages.
LEGACY_PICKLES = 5
MAX_LINE = 200


class DamagedFileError(PipelineError):
    """A file of tensors is damaged, cut off, of another format, or holds no network."""


class DamagedArchiveError(ValueError):
    """A file is no whole archive of torch.save; the text says what is wrong, in one line."""


def read_tensors(path: Path) -> tuple[object, Mapping[str, str]]:
    """Return a file's content and metadata. Tensors may be views of the mapped file.

    Raises `FileNotFoundError`, `DamagedFileError` where the file is at fault, and another
    `PipelineError` where the machine is.
    """
    kind = "safetensors file"
    try:
        with path.open("rb") as file:
            head = file.read(9)
        # A safetensors file begins with eight bytes of a length, which may be any, and a header.
        is_torch = head[8:] != b"{" and head.startswith((ZIP_MAGIC, b"\x80\2"))
        if path.suffix in TORCH_SUFFIXES or is_torch:
            kind = "file of weights and nothing else"
            return load_torch_file(path), {}
        with safe_open(path, "pt") as tensors:
            names = list(tensors.keys())
            return {name: tensors.get_tensor(name) for name in names}, tensors.metadata() or {}
    except FileNotFoundError:
        raise
    except Exception as error:  # untrusted bytes raise nearly any exception
        if not path.is_dir() and (fault := machine_fault(error)) is not None:
            raise PipelineError(f"{path}: cannot be read: {fault}") from None
        problem = other_content(path, "a model")
        raise DamagedFileError(
            f"{path}: {problem or f'no whole {kind}: {error_line(error)}'}"
        ) from None


def machine_fault(error: BaseException) -> str | None:
    """Return the machine's fault that raised `error`, such as little memory, or None.

    PyTorch and safetensors raise errors of their own, with the system's message in them.
    """
    # A damaged file may make its reader seek to an invalid position.
    if is_machine_fault(error) and getattr(error, "errno", None) != errno.EINVAL:
        return fault_text(error)
    numbers = (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO)
    faults = [OSError(number, os.strerror(number)) for number in numbers]
    return next((fault_text(fault) for fault in faults if str(fault.strerror) in str(error)), None)


def error_line(error: BaseException) -> str:
    """Return an error as one printable line, whatever names from a file it contains."""
    return printable_line(str(error)) or type(error).__name__


def printable_line(text: str) -> str:
    """Return a text as one line without control characters, truncated where it is long."""
    words = " ".join(text.split())
    line = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in words
    )
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}..."


@torch.no_grad()
def checked_state_dict(
    expected: Mapping[str, Tensor], state: Mapping[str, object]
) -> dict[str, Tensor]:
    """Return copies of the tensors in `state`, in the dtypes of `expected`, which may be on meta.

    Raises `ValueError` where names, shapes or kinds of numbers differ, before memory is allocated,
    and where values are not finite.
    """
    tensors = {name: _checked_tensor(name, tensor, state) for name, tensor in expected.items()}
    if surplus := state.keys() - expected.keys():
        raise ValueError(f"{min(map(str, surplus))} belongs to no such network")
    if exceeds_storage(tensors):
        raise ValueError("its weights share their values")
    copies = {
        name: tensor.to(expected[name].dtype, copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    for name, tensor in copies.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} is not finite")
    return copies


def exceeds_storage(content: object) -> bool:
    """Return whether the tensors in dicts and lists have more bytes than their storages.

    Expanded views can give a file of few bytes any shape.
    """
    tensors = list(tensors_in(content))
    if any(tensor.layout != torch.strided or tensor.is_meta for tensor in tensors):
        return True
    storages = {tensor.untyped_storage().data_ptr(): tensor for tensor in tensors}
    stored_bytes = sum(tensor.untyped_storage().nbytes() for tensor in storages.values())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) > stored_bytes


def tensors_in(content: object) -> Iterator[Tensor]:
    """Yield the tensors with values in dicts, lists, tuples and sets, at any depth."""
    visited, pending = set[int](), [content]
    while pending:
        value = pending.pop()
        if isinstance(value, Tensor):
            if value.numel() or value.is_meta:  # an empty one may have the address of another
                yield value
        elif isinstance(value, Mapping | list | tuple | set) and id(value) not in visited:
            visited.add(id(value))
            pending += value.values() if isinstance(value, Mapping) else value


def _checked_tensor(name: str, expected: Tensor, state: Mapping[str, object]) -> Tensor:
    tensor = state.get(name)
    if tensor is None:
        raise ValueError(f"{name} is missing")
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_meta:
        raise ValueError(f"{name} is no tensor with values")
    if tensor.shape != expected.shape:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not {tuple(expected.shape)}")
    if tensor.is_floating_point() != expected.is_floating_point() or tensor.is_complex():
        raise ValueError(f"{name} holds {tensor.dtype}, not {expected.dtype}")
    return tensor


def load_archive(path: Path) -> object:
    """Return the content of an archive of torch.save, copied from the file.

    Raises `DamagedArchiveError` for any other file, `ValueError` for an archive that torch.save did
    not write, any exception of torch.load, and `OSError` and `MemoryError` where the machine is at
    fault.
    """
    with path.open("rb") as file:
        _check_archive(file)
    return _load(path, mmap=False)


def load_torch_file(path: Path) -> object:
    """Return the content of a file of torch.save; tensors may be views of it.

    Raises `ValueError` for a file that torch.save did not write, and any exception of torch.load.
    """
    with path.open("rb") as file:
        is_zip = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
        file.seek(0)
        if is_zip:
            _check_archive(file)
        else:
            pickles = io.BytesIO(file.read(MAX_PICKLE_BYTES))
            for _ in range(LEGACY_PICKLES):
                _check_pickle(pickles)
    return _load(path, mmap=is_zip)


def _load(path: Path, mmap: bool) -> object:
    with warnings.catch_warnings():
        # They concern the file's author, not its reader.
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)


def _damage(file: IO[bytes]) -> str | None:
    """Return what differs from an archive as PyTorch writes it: wrong checksums, which torch.load
    does not check, and compressed or overlapping entries, which may be larger than the file.
    """
    try:
        size = file.seek(0, os.SEEK_END)
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
            if not stored or sum(entry.file_size for entry in entries) > size:
                raise ValueError("it is compressed")
            if damaged := archive.testzip():
                raise ValueError(f"wrong checksum of {damaged}")
    except Exception as error:  # damaged bytes make zipfile raise nearly any exception
        if machine_fault(error) is not None:
            raise
        return error_line(error)
    return None


def _check_archive(file: IO[bytes]) -> None:
    """Raise `DamagedArchiveError`, or `ValueError` for pickles that PyTorch did not write."""
    if (damage := _damage(file)) is not None:
        raise DamagedArchiveError(damage)
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".pkl"):
                if entry.file_size > MAX_PICKLE_BYTES:
                    raise ValueError("it holds too many things")
                _check_pickle(io.BytesIO(archive.read(entry)))


def _check_pickle(pickled: io.BytesIO) -> None:
    """Raise `ValueError` for a pickle with other globals than those of tensors, or cut off.

    Also for one whose lists and tuples refer to each other many times: forty of them, each twice in
    the next, take 2^40 steps to hash or to print.
    """
    texts, references, previous = set[object](), 0, ""
    for opcode, argument, _ in pickletools.genops(pickled):
        is_global = opcode.name in ("GLOBAL", "STACK_GLOBAL", "INST")
        if is_global and not ALLOWED_GLOBALS.fullmatch(str(argument)):
            raise ValueError(f"it holds {argument}")
        if opcode.name.endswith("PUT"):
            (texts.add if previous in TEXT_OPCODES else texts.discard)(argument)
        elif opcode.name.endswith("GET"):
            references += argument not in texts
        if opcode.name == "DUP" or references > MAX_REFERENCES:
            raise ValueError("its parts hold each other too often")
        previous = opcode.name
