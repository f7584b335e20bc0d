"""Files that commands write where the user says."""

from pathlib import Path

from pipeline.errors import UsageError


def check_output(path: Path, overwrite: bool) -> None:
    """Raise `UsageError` where a file to write is a folder, or exists and is not to be replaced."""
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; name a file")
    if path.exists() and not overwrite:
        raise UsageError(f"{path}: exists; --overwrite replaces it")
