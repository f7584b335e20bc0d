"""Fingerprints of the code and the libraries that shape a result.

The keys of checkpoints and cached shards include them, and they are DVC's dependencies in place of
the files: other code gives another fingerprint, another comment or docstring does not.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pipeline.params import EvaluateParams, TrainParams
from pipeline.params.degradation import CHAINS

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipeline", "stages")

# Messages, checks, logs, and the handling of processes: a better message must not cost a week of
# training.
NOT_IN_FINGERPRINT = frozenset(
    {
        "pipeline/errors.py",
        "pipeline/fingerprints.py",
        "pipeline/named_files.py",
        "pipeline/locks.py",
        "pipeline/model_header.py",
        "pipeline/processes.py",
        # Files that names lead to are hashed themselves.
        "pipeline/shipped/__init__.py",
        "pipeline/progress.py",
        "stages/options.py",
        "stages/runner.py",
        "stages/console.py",
        "stages/streams.py",
        # Exports `Upscaler`, which no stage imports from here.
        "pipeline/__init__.py",
    }
)
FOLDERS_NOT_IN_FINGERPRINT = (
    # The values of params are tracked as params.
    "pipeline/params",
    # Logs are no outputs.
    "stages/loggers",
)
# Decoders and colour conversion: other versions may give other pixels.
PILLOW_FEATURES = ("avif", "jpg_2000", "libjpeg_turbo", "libtiff", "littlecms2", "webp")


def code_of(module: str, root: Path = ROOT) -> dict[str, str]:
    """Return a hash of every file that `module`'s results depend on, by its path below `root`.

    The files are the module (`stages.train`), all of this program's modules that it imports, at
    their top or inside a function, and the templates that they render. A Python file counts by its
    syntax tree without docstrings and comments, any other by its bytes. Raises `FileNotFoundError`.
    """
    files = _all_files(root, root.joinpath(*module.split(".")).with_suffix(".py"))
    return {path.relative_to(root).as_posix(): _file_hash(path) for path in sorted(files)}


def short_hash(parts: Mapping[str, object]) -> str:
    """Return a hash of `parts` (of JSON's types) in 16 hex digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def training_versions(params: TrainParams) -> dict[str, str]:
    """Return the versions of the libraries that a trained generator's weights depend on.

    Pillow and its JPEG encoder degrade LR images with `train.degradation`; spandrel has the code of
    published architectures, for `train.generator.kind` file.
    """
    decodes = bool(params.hr_folders) or params.val_hr_folder is not None
    return _network_versions() | _versions_of_images(params.degradation, decodes)


def evaluation_versions(params: EvaluateParams) -> dict[str, str]:
    """Return the versions of the libraries that an evaluation's figures and pictures depend on."""
    packages = ("DISTS-pytorch", "lpips", "matplotlib", "pytorch-msssim", "scipy", "textalloc")
    decodes = params.hr_folder is not None or bool(params.results)
    of_images = _versions_of_images(params.degradation, decodes)
    return _network_versions() | of_images | _versions(packages, ())


def _network_versions() -> dict[str, str]:
    return _versions(("numpy", "pillow", "spandrel", "torch"), ("libjpeg_turbo",))


def _versions_of_images(degradation: str, decodes: bool) -> dict[str, str]:
    """Return the versions of what only a chain, or files of one's own, need.

    Others are left out, so that runs without them are kept where these libraries change.
    """
    chain = _versions(("scipy",), ("avif", "webp")) if degradation in CHAINS else {}
    return chain | (_versions((), PILLOW_FEATURES) if decodes else {})


def image_versions() -> dict[str, str]:
    """Return the versions of the libraries that a resized image's bytes and facts depend on."""
    packages = ("imagehash", "numpy", "pillow", "scipy", "simplejpeg", "torch")
    return _versions(packages, PILLOW_FEATURES)


def public(version: str) -> str:
    """Return a version without its build, such as `+cpu`: projects move to GPUs."""
    return version.partition("+")[0]


def _versions(packages: Iterable[str], pillow_features: Iterable[str]) -> dict[str, str]:
    # `pipeline --help` imports this module, but is not to load Pillow.
    from PIL import features

    versions = {name: version(name) for name in packages}
    return versions | {name: features.version(name) or "none" for name in pillow_features}


def _all_files(root: Path, start: Path) -> set[Path]:
    files: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in files or _is_ignored(path.relative_to(root)):
            continue
        files.add(path)
        if path.suffix == ".py":
            waiting += imported_files(path, root)
    return files


def _is_ignored(name: Path) -> bool:
    folders = FOLDERS_NOT_IN_FINGERPRINT
    return name.as_posix() in NOT_IN_FINGERPRINT or any(map(name.is_relative_to, folders))


def imported_files(path: Path, root: Path = ROOT) -> list[Path]:
    """Return the files that the module at `path` imports by name, and the templates it renders.

    Of the imports only this program's modules below `root` count, with the packages above them.
    """
    module = _module(path.read_bytes())
    modules = [file for name in module.imports for file in _module_files(root, name)]
    return modules + _templates(root, module)


@dataclass(frozen=True)
class _Module:
    """What a Python file says: a hash of its syntax tree, and the names of what it needs.

    `imports` are this program's modules, and what is imported from them; `template_packages` are
    passed to Jinja's `PackageLoader`.
    """

    syntax_hash: str
    imports: tuple[str, ...]
    template_packages: tuple[str, ...]


# The stages share most of their files, and a training hashes its own more than once.
@cache
def _module(content: bytes) -> _Module:
    tree = ast.parse(content)
    imports, packages = [], []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports += [name for name in _imports(node) if name.split(".")[0] in PACKAGES]
        elif isinstance(node, ast.Call):
            packages += _template_packages(node)
    syntax = json.dumps(_syntax(tree), sort_keys=True).encode()
    return _Module(_short_sha256(syntax), tuple(imports), tuple(packages))


def _imports(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the names of imported modules, and of what is imported from them."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not node.module:
        return []
    return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]


def _template_packages(node: ast.Call) -> list[str]:
    is_loader = isinstance(node.func, ast.Name) and node.func.id == "PackageLoader"
    if is_loader and isinstance(node.args[0], ast.Constant):
        return [str(node.args[0].value)]
    return []


def _module_files(root: Path, name: str) -> list[Path]:
    """Return the files that `import name` runs: the module, and packages above it."""
    parts = name.split(".")
    packages = [root.joinpath(*parts[:end], "__init__.py") for end in range(1, len(parts) + 1)]
    files = [*packages, root.joinpath(*parts).with_suffix(".py")]
    return [path for path in files if path.is_file()]


def _templates(root: Path, module: _Module) -> list[Path]:
    return [
        path
        for package in module.template_packages
        for path in root.joinpath(*package.split("."), "templates").iterdir()
        if path.is_file()
    ]


def _file_hash(path: Path) -> str:
    content = path.read_bytes()
    return _module(content).syntax_hash if path.suffix == ".py" else _short_sha256(content)


def _short_sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _syntax(node: object) -> object:
    """Return a syntax tree as JSON, without docstrings and what differs between Python versions.

    Python versions disagree on whether an empty field is None, an empty list or absent.
    """
    if isinstance(node, list):
        return [_syntax(part) for part in node if not _is_text(part)]
    if isinstance(node, ast.AST):
        fields = {
            name: _syntax(value)
            for name, value in ast.iter_fields(node)
            if value is not None and value != [] and name not in ("ctx", "kind")
        }
        return {"": type(node).__name__} | {key: part for key, part in fields.items() if part != []}
    if isinstance(node, str | int):
        return node
    return [type(node).__name__, repr(node)]


def _is_text(node: object) -> bool:
    """Return whether a statement is a string alone: a docstring, of a module to an attribute."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
