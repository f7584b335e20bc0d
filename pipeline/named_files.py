"""Check files that params name: whether they exist, and whether DVC tracks changes to them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.params import EvaluateParams
from pipeline.shipped import named_file, other_content, shipped_models
from pipeline.wording import did_you_mean

FOLDER = Path("inputs")
"""Its folders `train` and `evaluate` are dependencies of these stages in `dvc.yaml`."""
GENERATORS = (Path("models/generator.safetensors"), Path("models/best.safetensors"))
# DVC removes a stage's outputs before it runs the stage.
OUTPUTS = {"train": GENERATORS, "evaluate": ()}
# Outputs of an earlier stage are dependencies.
DEPENDENCIES = {"train": (), "evaluate": GENERATORS}


@dataclass(frozen=True)
class Input:
    """A file or folder that the param `key` of `stage` names."""

    stage: str
    key: str
    path: Path


def inputs_of(stage: str, paths: Mapping[str, str | Mapping[str, str] | None]) -> list[Input]:
    """Return the inputs that a stage's params name: param → path, or name → path, or None.

    Shipped models are none: they belong to the program, whose fingerprint covers those in use.
    """
    inputs = []
    for param, value in paths.items():
        named = value.items() if isinstance(value, Mapping) else [("", value)]
        for name, path in named:
            if path is not None and named_file(path) == Path(path):
                key = f"{stage}.{param}.{name}" if name else f"{stage}.{param}"
                inputs.append(Input(stage, key, Path(path)))
    return inputs


def evaluation_inputs(params: EvaluateParams) -> list[Input]:
    """Return the inputs that the params of `evaluate` name."""
    return inputs_of(
        "evaluate",
        {
            "models": params.models,
            "results": params.results,
            "hr_folder": params.hr_folder,
            "lr_folder": params.lr_folder,
        },
    )


def check_inputs(inputs: Iterable[Input], running: str | None = None) -> None:
    """Raise `UsageError` with one line per input that is missing, or clearly no model.

    `running` is the stage that runs, where that is another than the inputs' own: its outputs need
    not exist yet.
    """
    pending = OUTPUTS[running] if running is not None else ()
    checked = [one for one in inputs if not _is_any(one.path, pending)]
    if problems := [problem for one in checked if (problem := _problem(one)) is not None]:
        raise UsageError("\n".join(problems))


def unwatched(inputs: Sequence[Input]) -> list[Input]:
    """Return the inputs whose changes do not make DVC run the stage again."""
    return [one for one in inputs if not _is_watched(one)]


def _problem(one: Input) -> str | None:
    if not one.path.exists():
        return _missing(one)
    content = other_content(one.path, "a model") if _is_model(one) else None
    return content and f"{one.key}: {one.path}: {content}"


def _is_model(one: Input) -> bool:
    return one.key.startswith("evaluate.models.")


def _missing(one: Input) -> str:
    removed = os.environ.get("DVC_STAGE") and _is_any(one.path, OUTPUTS[one.stage])
    reason = (
        f"removed by DVC before this run, as an output of {one.stage}"
        if removed
        else "no such file or folder"
    )
    if _is_model(one):
        reason += did_you_mean(str(one.path), shipped_models())
    return f"{one.key}: {one.path}: {reason}; put a copy into {FOLDER / one.stage} and name that"


def _is_watched(one: Input) -> bool:
    folder = (FOLDER / one.stage).resolve()
    inside = one.path.resolve().is_relative_to(folder)
    return inside or _is_any(one.path, DEPENDENCIES[one.stage])


def _is_any(path: Path, others: Iterable[Path]) -> bool:
    return path.resolve() in {other.resolve() for other in others}
