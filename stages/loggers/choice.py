"""Which further loggers a training has.

A variable and no param: the log is no part of the result, and DVC runs a stage again whose params
change.
"""

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec

from pipeline.errors import UsageError
from stages.loggers.base import Logger
from stages.loggers.tensorboard import TensorBoard
from stages.loggers.wandb import WeightsAndBiases, check_variables

VARIABLE = "PIPELINE_LOGGERS"
_LOGGERS: Mapping[str, Callable[[Mapping[str, object]], Logger]] = {
    "tensorboard": lambda _: TensorBoard(),
    "wandb": WeightsAndBiases,
}
"""Package → its logger, which gets the params that it may show."""


def chosen_loggers() -> list[str]:
    """Return the names in `PIPELINE_LOGGERS`. Raises `UsageError` for one that cannot be used."""
    names = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    for name in names:
        if name not in _LOGGERS:
            raise UsageError(f"{VARIABLE}: {name!r} is unknown; use {', '.join(_LOGGERS)}")
        if find_spec(name) is None:
            raise UsageError(
                f"{VARIABLE}: {name} is not installed; pip install 'anime-sr-pipeline[{name}]'"
            )
    if "wandb" in names:
        check_variables()
    return list(dict.fromkeys(names))


def make_loggers(params: Mapping[str, object]) -> list[Logger]:
    """Return the chosen loggers, which may show `params`. Raises `UsageError`."""
    return [_LOGGERS[name](params) for name in chosen_loggers()]
