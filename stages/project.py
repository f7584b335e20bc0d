"""A project: a folder with params, stages and data, whose program is the installed one."""

import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.errors import PipelineError, UsageError
from pipeline.files import write_text
from pipeline.params import Params
from pipeline.params.file import with_changes
from pipeline.params.text import params_text
from pipeline.processes import PARENT_VARIABLE

# The build copies the clone's files into the wheel (`pyproject.toml`).
WHEEL_FILES = Path(__file__).with_name("project_files")
CLONE = Path(__file__).parents[1]
README = Path(__file__).with_name("project_readme.md")
# Not the clone's, which may name a remote.
DVC_CONFIG = Path(__file__).with_name("project_dvc_config.ini")
STAGES_FILE = "dvc.yaml"
FILES = (
    ".dvc/.gitignore",
    ".dvc/plots/plane.json",
    ".dvcignore",
    ".gitignore",
    "data/.gitignore",
    "inputs/evaluate/.gitkeep",
    "inputs/train/.gitkeep",
    "models/.gitignore",
    "params.schema.json",
    "reports/.gitignore",
    "reports/evaluate/.gitignore",
    "reports/manifest/.gitignore",
    "reports/train/.gitignore",
)
"""Files that a project has from the program as they are."""

Settings = Mapping[str, Mapping[str, Any]]
"""Section → param → value."""


def check_is_new(folder: Path) -> None:
    """Raise `UsageError` where `folder` holds anything, or lies in another's git repository."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; name a folder")
    if folder.is_dir() and any(path.name != ".git" for path in folder.iterdir()):
        raise UsageError(f"{folder}: holds something already; name a new or an empty folder")
    existing = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    repository = repository_of(existing)
    if repository is not None and repository.resolve() != folder.resolve():
        raise UsageError(
            f"{folder}: lies in the git repository {repository}; a project is a repository of its "
            "own, so name a folder outside"
        )


def create_project(folder: Path, settings: Settings, message: str) -> None:
    """Create or update a project in `folder`: the defaults with `settings` in their place.

    It is a git repository with a commit, which DVC's experiments and DVCLive need. Raises
    `PipelineError` where git fails, `OSError`.
    """
    _write_files(folder, _program_files())
    shutil.copyfile(README, folder / "README.md")
    shutil.copyfile(DVC_CONFIG, folder / ".dvc/config")
    write_text(folder / "params.yaml", params_text(with_changes(Params(), settings)))
    git(folder, "init", "--quiet")
    _name_author(folder)
    files = [*FILES, ".dvc/config", "README.md", STAGES_FILE, "params.yaml"]
    # The user's own ignore file may match some of them.
    commit(folder, files, message, ignored_too=True)


def update_project(folder: Path) -> list[str]:
    """Replace the files that a project has from the program by those of this version.

    Params, README and DVC's config stay. Return the names of the files that changed; they are not
    committed. Raises `UsageError` where `folder` is no project, or where a file would be lost that
    is not committed as it is.
    """
    if not (folder / STAGES_FILE).is_file() or not (folder / "params.yaml").is_file():
        raise UsageError(f"{folder}: is no project: it has no dvc.yaml and params.yaml")
    if _is_clone(folder):
        raise UsageError(f"{folder}: is the program's own repository; update it by git pull")
    if repository_of(folder) is None:
        raise UsageError(f"{folder}: is no git repository, so nothing could be had back; git init")
    new = {
        name: text
        for name, text in _program_files().items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != text.encode()
    }
    lost = [name for name in new if (folder / name).is_file() and not _is_committed(folder, name)]
    if lost:
        raise UsageError(f"{folder}: {', '.join(lost)} would be lost; commit your changes first")
    _write_files(folder, new)
    return list(new)


def _is_clone(folder: Path) -> bool:
    """Return whether `folder` is a clone of the program, whose `dvc.yaml` watches its code."""
    try:
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        return bool(tomllib.loads(text)["project"]["name"] == "anime-sr-pipeline")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_committed(folder: Path, name: str) -> bool:
    """Return whether git's last commit has a file as it is."""
    committed = _run_git(folder, "rev-parse", "--verify", "--quiet", f"HEAD:./{name}")
    return committed.returncode == 0 and committed.stdout == git(folder, "hash-object", name)


def _program_files() -> dict[str, str]:
    """Return the content of the files that a project has from the program, by their names."""
    source = WHEEL_FILES if WHEEL_FILES.is_dir() else CLONE
    texts = {name: (source / name).read_text(encoding="utf-8") for name in FILES}
    return texts | {STAGES_FILE: _stages_of_installed_program(source / STAGES_FILE)}


def _write_files(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(folder / name, text)


def commit(folder: Path, paths: Sequence[str], message: str, *, ignored_too: bool = False) -> None:
    """Commit `paths`, if any of them changed. Raises `PipelineError`.

    Of folders only what git does not ignore, since DVC's outputs must not be git's, unless
    `ignored_too`.
    """
    git(folder, "add", *(["--force"] if ignored_too else []), "--", *paths)
    if git(folder, "diff", "--cached", "--name-only", "--", *paths):
        # Neither a key nor hooks of the user: they may ask, or refuse.
        options = ["--quiet", "--no-gpg-sign", "--no-verify", "-m", message]
        git(folder, "commit", *options, "--", *paths)


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder` and return its output. Raises `PipelineError`."""
    result = _run_git(folder, *arguments)
    if result.returncode:
        raise PipelineError(f"git {arguments[0]}: failed in {folder}: {result.stderr.strip()}")
    return result.stdout


def repository_of(folder: Path) -> Path | None:
    """Return the folder of the git repository that `folder` is in, or None.

    Raises `PipelineError` where there is no git.
    """
    result = _run_git(folder, "rev-parse", "--show-toplevel")
    return None if result.returncode else Path(result.stdout.strip())


def run_dvc(arguments: list[str], folder: Path) -> None:
    """Run DVC in `folder`, with this program on its path; raise `PipelineError` if it fails.

    The children get their own process group: DVC ignores Ctrl-C while a stage runs, so an interrupt
    is sent to all of them, and the stage saves its work. When this process is killed, the stage
    ends too, and with it DVC.
    """
    scripts = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",
        PARENT_VARIABLE: str(os.getpid()),
    }
    command = [sys.executable, "-m", "dvc", *arguments]
    process = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True)  # noqa: S603
    try:
        code = process.wait()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
        raise
    if code:
        raise PipelineError(f"dvc {' '.join(arguments)}: failed in {folder}; its output says why")


def _run_git(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["git", *arguments]
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        raise PipelineError("git: not found; install it, DVC needs it") from None


def _name_author(folder: Path) -> None:
    """Name an author of this repository's commits where git knows none: experiments commit."""
    for key, value in (("user.name", "pipeline"), ("user.email", "pipeline@localhost")):
        if _run_git(folder, "config", key).returncode:
            git(folder, "config", key, value)


def _stages_of_installed_program(path: Path) -> str:
    """Return `dvc.yaml` with fingerprints made in every run: a project has no code to watch."""
    yaml = YAML()
    yaml.width = 4096
    document = yaml.load(path.read_text(encoding="utf-8"))
    code = document["stages"]["code"]
    del code["deps"]
    code.insert(len(code) - 1, "always_changed", True)
    text = StringIO()
    yaml.dump(document, text)
    return text.getvalue()
