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
from ruamel.yaml.error import YAMLError

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
README_OF_PAIRS = Path(__file__).with_name("project_readme_of_pairs.md")
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

DATA_STAGES = ("scrape", "resize", "manifest")
"""Stages that a project of pairs does not have."""
SETTINGS_OF_PAIRS: Settings = {
    "train": {
        "hr_folders": {"pairs": "inputs/train/pairs/hr"},
        "lr_folders": {"pairs": "inputs/train/pairs/lr"},
        "folder_weights": {"manifest": 0.0},
        "val_hr_folder": "inputs/train/val/hr",
        "val_lr_folder": "inputs/train/val/lr",
    },
    "evaluate": {
        "hr_folder": "inputs/evaluate/test/hr",
        "lr_folder": "inputs/evaluate/test/lr",
    },
}
PLACES_OF_PAIRS = tuple(
    f"inputs/{folder}/{side}/.gitkeep"
    for folder in ("train/pairs", "train/val", "evaluate/test")
    for side in ("hr", "lr")
)
"""Files that keep the folders of `SETTINGS_OF_PAIRS` in git while they are empty."""


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


def create_project(
    folder: Path, settings: Settings, message: str, *, of_pairs: bool = False
) -> None:
    """Create or update a project in `folder`: the defaults with `settings` in their place.

    One `of_pairs` of images has no `DATA_STAGES`, and needs settings that read no manifest. It is
    a git repository with a commit, which DVC's experiments and DVCLive need. Raises
    `PipelineError` where git fails, `OSError`.
    """
    _write_files(folder, _program_files(of_pairs))
    shutil.copyfile(README_OF_PAIRS if of_pairs else README, folder / "README.md")
    shutil.copyfile(DVC_CONFIG, folder / ".dvc/config")
    places = PLACES_OF_PAIRS if of_pairs else ()
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).touch()
    write_text(folder / "params.yaml", params_text(with_changes(Params(), settings)))
    git(folder, "init", "--quiet")
    _name_author(folder)
    files = [*FILES, *places, ".dvc/config", "README.md", STAGES_FILE, "params.yaml"]
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
        for name, text in _program_files(_is_of_pairs(folder)).items()
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


def _is_of_pairs(folder: Path) -> bool:
    """Return whether a project trains on pairs alone: it has no stage that makes a manifest.

    Raises `UsageError`.
    """
    path = folder / STAGES_FILE
    try:
        stages = YAML(typ="safe").load(path)["stages"]
        return "train" in stages and "manifest" not in stages
    except (OSError, YAMLError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path}: cannot be read: {reason}; repair it") from None


def _is_committed(folder: Path, name: str) -> bool:
    """Return whether git's last commit has a file as it is."""
    committed = _run_git(folder, "rev-parse", "--verify", "--quiet", f"HEAD:./{name}")
    return committed.returncode == 0 and committed.stdout == git(folder, "hash-object", name)


def _program_files(of_pairs: bool) -> dict[str, str]:
    """Return the content of the files that a project has from the program, by their names."""
    source = WHEEL_FILES if WHEEL_FILES.is_dir() else CLONE
    texts = {name: (source / name).read_text(encoding="utf-8") for name in FILES}
    return texts | {STAGES_FILE: _stages_of_project(source / STAGES_FILE, of_pairs)}


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


def _stages_of_project(path: Path, of_pairs: bool) -> str:
    """Return `dvc.yaml` with fingerprints made in every run: a project has no code to watch."""
    yaml = YAML()
    yaml.width = 4096
    document = yaml.load(path.read_text(encoding="utf-8"))
    code = document["stages"]["code"]
    del code["deps"]
    code.insert(len(code) - 1, "always_changed", True)
    if of_pairs:
        _remove_data_stages(document)
    text = StringIO()
    yaml.dump(document, text)
    return text.getvalue()


def _remove_data_stages(document: dict[str, Any]) -> None:
    """Remove the stages that make a manifest, and what others read of them."""
    stages = document["stages"]
    outputs = {_path(out) for name in DATA_STAGES for out in stages.pop(name)["outs"]}
    for stage in stages.values():
        for index in reversed(range(len(stage.get("deps", ())))):
            if stage["deps"][index] in outputs:
                del stage["deps"][index]
    document["metrics"][:] = [path for path in document["metrics"] if path not in outputs]


def _path(output: str | Mapping[str, Any]) -> str:
    """Return the path of an output of a stage, which may have options."""
    return output if isinstance(output, str) else next(iter(output))
