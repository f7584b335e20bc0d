"""The files that a training reads and writes, and the hashes of those that shape its weights."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError, UsageError
from pipeline.files import sha256_of
from pipeline.params import TrainParams
from pipeline.shipped import named_file, other_content, unknown_model
from pipeline.training.run_folders import recorded_resume_sha256
from pipeline.wording import did_you_mean

GENERATOR_FILE = "generator.safetensors"
BEST_FILE = "best.safetensors"
VGG_CHOICES = ("imagenet", "random")
"""Values of `train.vgg` that are no paths."""


@dataclass(frozen=True)
class TrainPaths:
    """Where a training reads and writes."""

    manifest: Path
    resized: Path
    models: Path
    project: Path
    """the folder of kept checkpoints, and of files that params name"""

    @property
    def checkpoints(self) -> Path:
        """The folder of all kept runs."""
        return self.project / self.models / "checkpoints"

    def resolve(self, name: str) -> Path:
        """Return the path of a file that the params name."""
        path = Path(name)
        return path if path.exists() else self.project / path

    def resolve_init(self, name: str) -> Path:
        """Return the path of `train.init`: the file of a shipped model, or of that name."""
        path = self.resolve(name)
        return path if path.exists() else named_file(name)

    def resolve_params(self, params: TrainParams) -> TrainParams:
        """Return `params` with the paths in them resolved."""
        vgg = None if params.vgg in VGG_CHOICES else params.vgg
        named = {"resume": params.resume, "vgg": vgg}
        paths = {key: str(self.resolve(name)) for key, name in named.items() if name is not None}
        if params.init is not None:
            paths["init"] = str(self.resolve_init(params.init))
        return params.model_copy(update=paths)


def input_hashes(params: TrainParams, paths: TrainPaths) -> dict[str, str | None]:
    """Return the SHA-256 of each file of weights to begin with, None where the params name none.

    Raises `UsageError` where the params name a file, `train.vgg` included, that does not exist, or
    that clearly holds no weights, and `PipelineError` where one cannot be read.
    """
    _check_vgg(params, paths)
    return {
        "init_sha256": _init_sha256(params, paths),
        "resume_sha256": _resume_sha256(params, paths),
    }


def _check_vgg(params: TrainParams, paths: TrainPaths) -> None:
    if params.adv_weight == 0 or params.vgg in VGG_CHOICES:
        return
    path = paths.resolve(params.vgg)
    if path.is_file():
        _check_content("vgg", path, "weights")
    elif not path.exists():
        raise UsageError(
            f"train.vgg: {params.vgg} is no file or folder, nor one of {', '.join(VGG_CHOICES)}"
            f"{did_you_mean(params.vgg, VGG_CHOICES)}"
        )


def _init_sha256(params: TrainParams, paths: TrainPaths) -> str | None:
    if params.init is None:
        return None
    path = paths.resolve_init(params.init)
    if not path.suffix and not path.exists():
        raise UsageError(f"train.init: {unknown_model(params.init)}")
    _check_content("init", path, "a model")
    try:
        return sha256_of(path)
    except FileNotFoundError:
        advice = "name another"
        if path.parent == paths.models and path.name in (GENERATOR_FILE, BEST_FILE):
            advice = (
                "it is a result of this stage, removed before it runs: put a copy into inputs/train"
            )
        raise UsageError(f"train.init: {params.init}: no such file; {advice}") from None
    except OSError as error:
        raise PipelineError(
            f"train.init: {params.init}: cannot be read: {error.strerror}"
        ) from None


def _resume_sha256(params: TrainParams, paths: TrainPaths) -> str | None:
    if params.resume is None:
        return None
    path = paths.resolve(params.resume)
    _check_content("resume", path, "a checkpoint")
    try:
        return sha256_of(path)
    except OSError as error:
        # Once the run has checkpoints of its own, the file is not read again.
        recorded = recorded_resume_sha256(paths.checkpoints, params.resume)
        if recorded is not None:
            return recorded
        if isinstance(error, FileNotFoundError):
            raise UsageError(f"train.resume: {params.resume}: no such file; name another") from None
        raise PipelineError(
            f"train.resume: {params.resume}: cannot be read: {error.strerror}"
        ) from None


def _check_content(param: str, path: Path, wanted: str) -> None:
    if problem := other_content(path, wanted):
        raise UsageError(f"train.{param}: {path}: {problem}; name another file")
