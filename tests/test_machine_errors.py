"""Which errors are the machine's, and which are damaged bytes."""

import errno
import os

import pytest
import torch
from PIL.ImageFile import _get_oserror
from safetensors import SafetensorError

from pipeline.machine_errors import fault_text, is_machine_fault
from pipeline.networks.tensor_files import machine_fault


def raised_by_torch() -> RuntimeError:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        # What Pillow makes of a decoder that could not allocate.
        _get_oserror(-9, encoder=False),
        raised_by_torch(),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        OSError("Insufficient memory (case 4)"),
    ],
)
def test_short_memory_is_the_machine_s_fault(error: Exception) -> None:
    assert is_machine_fault(error)
    assert fault_text(error) == machine_fault(error) == "not enough memory"


def test_safetensors_error_of_its_own_is_told_by_the_system_s_words() -> None:
    error = SafetensorError("Cannot allocate memory (os error 12)")
    assert machine_fault(error) == "not enough memory"


def test_a_system_s_error_is_told_in_its_words() -> None:
    error = OSError(errno.EIO, os.strerror(errno.EIO), "out of memory.png")
    assert is_machine_fault(error)
    assert fault_text(error) == machine_fault(error) == "Input/output error"


@pytest.mark.parametrize(
    "error",
    [
        _get_oserror(-2, encoder=False),
        OSError("image file is truncated (3 bytes not processed)"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("tensor 'out of memory' is unknown"),
    ],
)
def test_damaged_bytes_are_not(error: Exception) -> None:
    assert not is_machine_fault(error)
    assert machine_fault(error) is None
