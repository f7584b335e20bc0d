"""The library that fails file operations on purpose: compiled, and configured."""

import mmap
import os
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("faults.c")
_PATH, _LOGGED = 1024, 16384
# `struct control` of faults.c, without its log.
_CONTROL = struct.Struct(f"@llii{_PATH}s")


@dataclass(frozen=True)
class Fault:
    """Operation `at`, from 1, fails with `error`, or kills the process group where it is 0.

    `lasting`: so do all operations after it, as on a disk that stays full. 0 is no operation.
    """

    at: int = 0
    error: int = 0
    lasting: bool = False


NO_FAULT = Fault()


def unavailable() -> str | None:
    """Why the library cannot be used here, or None."""
    if sys.platform != "linux":
        return "file operations are failed by LD_PRELOAD, which needs Linux"
    if shutil.which("cc") is None:
        return "no C compiler (cc) to build tests/faults/faults.c"
    return None


def compile_shim(folder: Path) -> Path:
    """Build the library in `folder`."""
    library = folder / "faults.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"]
    subprocess.run(command, check=True)
    return library


class Shim:
    """The library for the processes that are started with `variables` in their environment."""

    def __init__(self, library: Path, control: Path) -> None:
        size = _CONTROL.size + _PATH * _LOGGED
        with control.open("wb") as file:
            file.truncate(size)
        with control.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), size)
        self.variables = {"LD_PRELOAD": str(library), "FAULTS_CONTROL": str(control)}

    def arm(self, folder: Path, fault: Fault = NO_FAULT) -> None:
        """Count operations below `folder` from 1 on, and let `fault` happen to them."""
        values = (0, fault.at, fault.error, fault.lasting, os.fsencode(folder.resolve()))
        _CONTROL.pack_into(self._memory, 0, *values)

    @property
    def operations(self) -> list[str]:
        """The operations since `arm`, each with its file's path in the folder."""
        (count, *_) = _CONTROL.unpack_from(self._memory)
        assert count <= _LOGGED
        starts = range(_CONTROL.size, _CONTROL.size + count * _PATH, _PATH)
        texts = (self._memory[start : start + _PATH] for start in starts)
        return [os.fsdecode(text.partition(b"\0")[0]) for text in texts]
