"""Files that commands write where the user says."""

from pathlib import Path

from pipeline.errors import UsageError


def check_output(path: Path, overwrite: bool) -> None:
    """Raise `UsageError` where a file to write is a folder, or exists and is not to be replaced.

    Also where a folder of its path is a file.
    """
    for parent in path.parents:
        if parent.exists() and not parent.is_dir():
            raise UsageError(f"{path}: {parent} is a file, and no folder; name another file")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; name a file")
    if path.exists() and not overwrite:
        raise UsageError(f"{path}: exists; --overwrite replaces it")
