"""DVC's experiments with their params and metrics."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import PipelineError
from pipeline.params import Params, section_type
from pipeline.params.leaf_params import params_of
from stages.runner import PARAMS_FILE

if TYPE_CHECKING:
    from pipeline.evaluation.tradeoff import Experiment

MEANS = Path("reports/evaluate/means.csv")


def measured_experiments(revisions: list[str] | None) -> "list[Experiment]":
    """Return the experiments with metrics that start from `revisions`, None: from HEAD.

    Raises `PipelineError`.
    """
    from dvc.api import exp_show
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError

    try:
        rows = exp_show(revs=revisions)
    except (DvcException, SCMError) as error:
        raise PipelineError(
            f"dvc: {error}; it lists the experiments of the git repository of this folder"
        ) from None
    # It loads PyTorch, which takes long: not before DVC has answered.
    from pipeline.evaluation.tradeoff import Experiment

    params = param_names()
    rows = [row for row in rows if row["rev"] != "workspace"]
    for row in rows:
        # DVC lists an experiment that it cannot read without params.
        if not any(row.get(name) is not None for name in params):
            raise PipelineError(
                f"dvc: the experiment {_name(row)} cannot be read; `dvc exp show -v` says why"
            )
    experiments = [
        Experiment(
            _name(row),
            {name: row[name] for name in params if name in row},
            _metrics(row, params),
            str(row["rev"]),
        )
        for row in rows
    ]
    measured = [each for each in experiments if "model.rmse_y" in each.metrics]
    if not measured:
        raise PipelineError(
            "no experiment here has metrics; commit the reports of `dvc repro`, run some with "
            "`dvc exp run`, then try again"
        )
    return measured


def param_names() -> list[str]:
    """Return the names of all params, with their sections."""
    return [
        f"{section}.{param.name}"
        for section in Params.model_fields
        for param in params_of(section_type(section))
    ]


def with_all_means(experiment: "Experiment") -> "Experiment":
    """Return the experiment with the means of all methods in its commit, if it has them."""
    from dvc.api import read
    from dvc.exceptions import DvcException

    try:
        table = read(str(MEANS), rev=experiment.revision)
    except (DvcException, OSError):
        return experiment
    means = {
        f"{row['method']}.{row['metric']}": float(row["mean"])
        for row in csv.DictReader(table.splitlines())
    }
    return replace(experiment, metrics={**means, **experiment.metrics})


def params_changed_since(experiment: "Experiment") -> list[str]:
    """Return the params of an experiment's commit that differ from those of its results.

    They are in `params.yaml` and in `dvc.lock`. Empty where its commit has not both.
    """
    from dvc.api import read
    from dvc.exceptions import DvcException

    yaml = YAML(typ="safe")
    try:
        written = yaml.load(read(str(PARAMS_FILE), rev=experiment.revision))
        lock = yaml.load(read("dvc.lock", rev=experiment.revision))
    except (DvcException, OSError, YAMLError):
        return []
    now = dict(_flat(written))
    used: dict[str, Any] = {}
    for stage in lock["stages"].values():
        used |= _flat(stage.get("params", {}).get(str(PARAMS_FILE), {}))
    return sorted(name for name in now.keys() & used.keys() if now[name] != used[name])


def _flat(params: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested mappings, by their names with dots between."""
    if not isinstance(params, Mapping):
        yield prefix, params
        return
    for name, value in params.items():
        yield from _flat(value, f"{prefix}.{name}" if prefix else str(name))


def _name(row: Mapping[str, Any]) -> str:
    return str(row["Experiment"] or row["rev"])


def _metrics(row: Mapping[str, Any], params: Sequence[str]) -> dict[str, float]:
    """Return the metrics of a row, which DVC mixes with params; it names the file of some."""
    return {
        key.rpartition(":")[2]: value
        for key, value in row.items()
        if key not in params and isinstance(value, float | int)
    }
