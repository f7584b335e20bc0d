"""Checkpoints that anyone made: each is refused in one line, without the memory it asks for."""

import math
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from pipeline.networks.files import CHECKPOINT_KIND, architecture_metadata
from pipeline.params import TrainParams
from pipeline.params.generator import SRResNetParams
from pipeline.params.optimiser import AdamParams, MuonParams
from pipeline.training.checkpointed_state import CheckpointedState, new_checkpointed_state
from pipeline.training.checkpoints import CHECKPOINT_FORMAT, OtherContentError, load_checkpoint
from pipeline.training.curve_tables import to_tensors
from tests.networks.test_hostile_files import Make, archive, called, inside_itself, saved
from tests.platforms import limits_memory


@pytest.fixture
def training() -> CheckpointedState:
    return new_checkpointed_state(
        TrainParams(generator=SRResNetParams(blocks=1, features=8), adv_weight=0.0),
        torch.device("cpu"),
    )


HOSTILE = {
    "bytearray": archive(called("builtins bytearray", 4 * 10**9)),
    "storage": archive(called("torch FloatTensor", 4 * 10**9)),
    "views": saved(
        {
            "kind": CHECKPOINT_KIND,
            "format": CHECKPOINT_FORMAT,
            "state": torch.zeros(1).expand(10**6, 10**6),
        }
    ),
    "inside itself": saved(
        {"kind": CHECKPOINT_KIND, "format": CHECKPOINT_FORMAT, "state": inside_itself()}
    ),
}


@limits_memory
@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_one_line_and_takes_no_memory(
    make: Make, training: CheckpointedState, tmp_path: Path
) -> None:
    path = tmp_path / "given.pt"
    make(path)
    used = psutil.Process().memory_info().vms
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000, before[1]))
    try:
        problem = load_checkpoint(path, training)
    except OtherContentError as error:
        problem = str(error)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert problem is not None
    assert problem.startswith("is no checkpoint of this ")
    assert problem.isprintable()


PARAMS = TrainParams(
    generator=SRResNetParams(blocks=1, features=8, norm="batch"),
    adv_weight=0.0,
    optimiser=MuonParams(),
)
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def trained() -> CheckpointedState:
    """A training after one step, with all that a training records."""
    training = new_checkpointed_state(PARAMS, torch.device("cpu"))
    training.state.generator(torch.rand(2, 3, 8, 8)).mean().backward()
    for optimiser in training.state.optimisers.values():
        optimiser.step()
    training.state.step, training.best.step = 12, 10
    training.state.skips[0] = 1
    training.best.score, training.best.score_basis = 20.5, "psnr_y 0"
    training.history.devices.append("cuda (NVIDIA H100)")
    training.history.curve += [
        {"step": 10, "train/loss": 0.5},
        {"step": 10, "val/psnr_y": math.inf},
    ]
    training.history.samples.append(torch.zeros(3, 4, 8, dtype=torch.uint8))
    return training


def write(path: Path, training: CheckpointedState, change: Change) -> None:
    """Write a checkpoint with a change in its `state`."""
    content = {
        "kind": CHECKPOINT_KIND,
        "format": CHECKPOINT_FORMAT,
        "metadata": architecture_metadata(training.state.ema),
        "state": training.state_dict(),
    }
    change(content["state"])
    torch.save(content, path)


def put(value: object, *keys: object) -> Change:
    """Return a change that puts `value` where `keys` lead."""

    def change(content: dict[str, Any]) -> None:
        *way, last = keys
        for key in way:
            content = content[key]
        content[last] = value

    return change


def moment(optimiser: str, name: str, changed: Callable[[torch.Tensor], object]) -> Change:
    """Return a change of what an optimiser remembers of its first weight."""

    def change(content: dict[str, Any]) -> None:
        moments = content[optimiser]["state"][0]
        moments[name] = changed(moments[name])

    return change


def as_complex(content: dict[str, Any]) -> None:
    content["generator"] = {k: v.to(torch.complex64) for k, v in content["generator"].items()}


def as_floats(content: dict[str, Any]) -> None:
    content["best"] = {k: v.float() for k, v in content["best"].items()}


NETWORKS_AND_OPTIMISERS: dict[str, tuple[Change, str]] = {
    "complex": (as_complex, "generator"),
    "counts as floats": (as_floats, "best"),
    "network list": (put([], "average"), "average"),
    "no tensors": (lambda c: c.update(average=dict.fromkeys(c["average"], 1.0)), "average"),
    "short exp_avg": (moment("adam", "exp_avg", lambda t: torch.zeros(1)), "adam"),
    "short exp_avg_sq": (moment("adam", "exp_avg_sq", lambda t: torch.zeros(1)), "adam"),
    "exp_avg double": (moment("adam", "exp_avg", torch.Tensor.double), "adam"),
    "exp_avg integers": (moment("adam", "exp_avg", torch.Tensor.int), "adam"),
    "exp_avg number": (moment("adam", "exp_avg", lambda t: 0.5), "adam"),
    "step vector": (moment("adam", "step", lambda t: torch.ones(2)), "adam"),
    "step number": (moment("adam", "step", lambda t: 1), "adam"),
    "step below 0": (moment("adam", "step", lambda t: torch.tensor(-1.0)), "adam"),
    "short momentum": (moment("muon", "momentum", lambda t: torch.zeros(1)), "muon"),
    "momentum half": (moment("muon", "momentum", torch.Tensor.half), "muon"),
    "moments number": (put({0: 5}, "adam", "state"), "adam"),
    "moments lack one": (lambda c: c["adam"]["state"][0].pop("exp_avg"), "adam"),
    "moments of Adam": (put(torch.zeros(1), "muon", "state", 0, "exp_avg"), "muon"),
    "weight unknown": (lambda c: c["adam"]["state"].update({999: {}}), "adam"),
    "weight named": (put({}, "adam", "state", "0"), "adam"),
    "state list": (put([1], "adam", "state"), "adam"),
    "groups list": (put([5], "adam", "param_groups"), "adam"),
    "groups none": (put([], "adam", "param_groups"), "adam"),
    "group of tensors": (put([torch.ones(2)], "adam", "param_groups", 0, "params"), "adam"),
    "optimiser list": (put([], "muon"), "muon"),
}
TWO = torch.zeros(1, 2, dtype=torch.float64)


def curve(**changes: object) -> dict[str, object]:
    """Return the curve of a checkpoint, one row, with changes."""
    return to_tensors([{"step": 10, "train/loss": 0.5}]) | changes


RECORDS: dict[str, tuple[object, str]] = {
    "step below 0": (-5, "step"),
    "step huge": (2**1000, "step"),
    "step bool": (True, "step"),
    "skipped below 0": (-1, "skipped"),
    "skipped more than all": (13, "skipped"),
    "best step below 0": (-1, "best_step"),
    "best step later": (13, "best_step"),
    "best score text": ("20", "best_score"),
    "best score NaN": (math.nan, "best_score"),
    "best measure number": (1.0, "best_measure"),
    "devices numbers": ([1, 2], "devices"),
    "devices surrogate": (["\ud800"], "devices"),
    "curve list": ([{"step": 10, "train/loss": 0.5}], "curve"),
    "curve empty": ({}, "curve"),
    "curve of floats": (curve(steps=torch.tensor([10.0])), "curve"),
    "curve later": (curve(steps=torch.tensor([13])), "curve"),
    "curve before": (curve(steps=torch.tensor([-1])), "curve"),
    "curve shorter": (curve(steps=torch.tensor([], dtype=torch.int64)), "curve"),
    "curve of one number": (curve(steps=torch.tensor(10)), "curve"),
    "curve wider": (curve(values=torch.zeros(1, 2, dtype=torch.float64)), "curve"),
    "curve in half": (curve(values=torch.zeros(1, 1, dtype=torch.float16)), "curve"),
    "curve numbered": (curve(names=[1]), "curve"),
    "curve twice": (curve(names=["train/loss"] * 2, values=TWO, present=TWO.bool()), "curve"),
    "curve elsewhere": (curve(names=["train/../../../mine"]), "curve"),
    "samples texts": (["x"], "samples"),
    "samples floats": ([torch.zeros(3, 4, 8)], "samples"),
    "samples flat": ([torch.zeros(3, 4, dtype=torch.uint8)], "samples"),
    "samples grey": ([torch.zeros(1, 4, 8, dtype=torch.uint8)], "samples"),
    "samples empty": ([torch.zeros(3, 0, 8, dtype=torch.uint8)], "samples"),
}


def refused(path: Path, trained: CheckpointedState, change: Change) -> str:
    """Return why a checkpoint is refused, after a look that nothing of it was loaded."""
    write(path, trained, change)
    training = new_checkpointed_state(PARAMS.model_copy(update={"seed": 1}), torch.device("cpu"))
    weights = [weight.clone() for weight in training.state.generator.parameters()]
    problem = load_checkpoint(path, training)
    assert problem is not None
    assert all(map(torch.equal, weights, training.state.generator.parameters()))
    assert not any(optimiser.state for optimiser in training.state.optimisers.values())
    assert (training.state.step, training.history.curve, training.history.samples) == (0, [], [])
    return problem


@pytest.mark.parametrize(
    ("change", "name"), NETWORKS_AND_OPTIMISERS.values(), ids=NETWORKS_AND_OPTIMISERS
)
def test_other_tensors_are_refused_before_anything_is_loaded(
    change: Change, name: str, trained: CheckpointedState, tmp_path: Path
) -> None:
    problem = refused(tmp_path / "given.pt", trained, change)
    assert problem == f"has another {name} than this training"


@pytest.mark.parametrize(("value", "name"), RECORDS.values(), ids=RECORDS)
def test_other_records_are_refused_before_anything_is_loaded(
    value: object, name: str, trained: CheckpointedState, tmp_path: Path
) -> None:
    problem = refused(tmp_path / "given.pt", trained, put(value, name))
    assert problem == f"is no checkpoint of this version of the program (wrong {name})"


def test_the_files_own_names_break_no_line(trained: CheckpointedState, tmp_path: Path) -> None:
    problem = refused(tmp_path / "given.pt", trained, put(1, "more\n\x1b"))
    assert problem.startswith("has more ")
    assert problem.isprintable()


def test_a_format_that_is_no_number_is_refused(training: CheckpointedState, tmp_path: Path) -> None:
    path = tmp_path / "given.pt"
    torch.save({"kind": CHECKPOINT_KIND, "format": torch.ones(2)}, path)
    with pytest.raises(OtherContentError, match="is no checkpoint of this version of the program"):
        load_checkpoint(path, training)


def test_a_training_goes_on_from_what_it_wrote(trained: CheckpointedState, tmp_path: Path) -> None:
    write(tmp_path / "given.pt", trained, lambda content: None)
    training = new_checkpointed_state(PARAMS, torch.device("cpu"))
    assert load_checkpoint(tmp_path / "given.pt", training) is None
    assert (training.state.step, training.history.curve) == (12, trained.history.curve)


def test_moments_get_the_strides_of_their_weights(tmp_path: Path) -> None:
    """The fused Adam goes through the memory of both alike."""
    params = PARAMS.model_copy(update={"optimiser": AdamParams()})
    given = new_checkpointed_state(params, torch.device("cpu"))
    given.state.generator(torch.rand(2, 3, 8, 8)).mean().backward()
    given.state.optimisers["adam"].step()

    def contiguous(content: dict[str, Any]) -> None:
        for moments in content["adam"]["state"].values():
            for name, value in moments.items():
                moments[name] = value.contiguous()

    write(tmp_path / "given.pt", given, contiguous)
    training = new_checkpointed_state(params, torch.device("cpu"))
    assert load_checkpoint(tmp_path / "given.pt", training) is None
    pairs = zip(
        training.state.generator.parameters(), given.state.generator.parameters(), strict=True
    )
    for ours, theirs in pairs:
        moments = training.state.optimisers["adam"].state[ours]["exp_avg"]
        assert moments.stride() == ours.stride()
        assert torch.equal(moments, given.state.optimisers["adam"].state[theirs]["exp_avg"])
