"""Two processes on one card take the step that one takes; gloo joins them, as NCCL cannot."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from pipeline.networks.perceptual.vgg import VGG16Features
from pipeline.networks.perceptual.weights import backbone_state
from pipeline.training.crops import Batch
from pipeline.training.distributed import SINGLE_PROCESS, Group, launch
from pipeline.training.state import new_state
from pipeline.training.step import TrainStep
from tests.training.test_distributed import BATCH, PARAMS, part

pytestmark = pytest.mark.cuda

CUDA = torch.device("cuda", 0)


def gradients(group: Group) -> Mapping[str, Tensor]:
    """Return the generator's gradients after one SRGAN step."""
    params = PARAMS.model_copy(update={"device": "cuda", "precision": "fp32"})
    torch.backends.cudnn.allow_tf32 = False
    vgg = VGG16Features(params.content_layers, backbone_state("vgg16", "random")).to(CUDA)
    state = new_state(params, CUDA, group)
    TrainStep(params, 1, state, vgg, CUDA, "fp32", group)(Batch(part(BATCH, group)))
    return {
        name: parameter.grad.cpu()
        for name, parameter in state.generator.named_parameters()
        if parameter.grad is not None
    }


def work(folder: Path) -> None:
    dist.init_process_group("gloo")
    group = Group(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    torch.save(gradients(group), folder / f"{group.rank}.pt")
    dist.destroy_process_group()


def test_step_of_two_is_that_of_one(tmp_path: Path) -> None:
    assert launch(2, work, tmp_path) == 0
    of_two = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    torch.testing.assert_close(of_two[0], of_two[1], rtol=0, atol=0)
    for name, expected in gradients(SINGLE_PROCESS).items():
        # A bias before a normalisation has no gradient but rounding.
        size = expected.abs().max().item()
        torch.testing.assert_close(of_two[0][name], expected, rtol=1e-3, atol=1e-4 * size + 5e-6)
