"""The optimiser of convolutions, against PyTorch's of matrices."""

import pytest
import torch

from pipeline.params import TrainParams
from pipeline.params.generator import SRResNetParams
from pipeline.params.optimiser import MuonParams
from pipeline.training.muon import ITERATIONS, QUINTIC, Muon, orthogonal
from pipeline.training.state import new_state

CPU = torch.device("cpu")


@pytest.mark.parametrize(("rows", "columns"), [(8, 27), (27, 8), (16, 16)])
def test_singular_values_become_alike_and_directions_stay(rows: int, columns: int) -> None:
    random = torch.Generator().manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(2, rows, min(rows, columns), generator=random))
    right, _ = torch.linalg.qr(torch.randn(2, columns, min(rows, columns), generator=random))
    values = torch.logspace(-1, 1, min(rows, columns))
    made = left.mT @ orthogonal(left * values @ right.mT) @ right
    diagonal = made.diagonal(dim1=1, dim2=2)
    assert diagonal.min() > 0.6
    assert diagonal.max() < 1.3
    assert (made - torch.diag_embed(diagonal)).abs().max() < 0.05


@pytest.mark.parametrize(("rows", "columns"), [(8, 27), (27, 8), (16, 16)])
def test_iterations_on_the_small_square_equal_those_on_the_matrix(rows: int, columns: int) -> None:
    random = torch.Generator().manual_seed(0)
    matrices = torch.randn(3, rows, columns, generator=random)
    a, b, c = QUINTIC
    x = matrices.double() / matrices.double().norm(dim=(1, 2), keepdim=True)
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    torch.testing.assert_close(orthogonal(matrices), x.float(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("lr", [0.1, torch.tensor(0.1)])
def test_a_step_with_gradients_that_are_not_finite_changes_nothing(lr: float) -> None:
    kernels = [torch.randn(4, 4, 3, 3) for _ in range(2)]
    muon = Muon(kernels, 0.0)
    muon.param_groups[0]["lr"] = lr
    seen: list[list[torch.Tensor]] = []
    for bad in (False, True, False):
        for kernel in kernels:
            kernel.grad = torch.full_like(kernel, float("nan")) if bad else torch.randn(4, 4, 3, 3)
        muon.found_inf = torch.tensor(float(bad))
        muon.step()
        moments = [muon.state[kernel]["momentum"] for kernel in kernels]
        seen.append([tensor.clone() for tensor in (*kernels, *moments)])
    assert all(torch.equal(*pair) for pair in zip(seen[0], seen[1], strict=True))
    assert not any(torch.equal(*pair) for pair in zip(seen[1], seen[2], strict=True))
    assert all(tensor.isfinite().all() for tensor in seen[2])


def test_a_learning_rate_in_a_tensor_moves_kernels_as_far() -> None:
    kernel = torch.randn(4, 4, 3, 3)
    gradient = torch.randn(4, 4, 3, 3)
    moved = []
    for lr in (0.1, torch.tensor(0.1)):
        own = kernel.clone()
        own.grad = gradient
        muon = Muon([own], 0.0)
        muon.param_groups[0]["lr"] = lr
        muon.step()
        moved.append(own)
    torch.testing.assert_close(*moved)


def test_nothing_stays_nothing() -> None:
    assert not orthogonal(torch.zeros(1, 4, 9)).any()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_kernels_move_as_matrices_do(layout: torch.memory_format) -> None:
    random = torch.Generator().manual_seed(0)
    shapes = [(8, 4, 3, 3), (8, 4, 3, 3), (4, 8, 1, 1)]
    kernels = [torch.randn(*shape, generator=random).to(memory_format=layout) for shape in shapes]
    matrices = [torch.nn.Parameter(kernel.flatten(1).clone()) for kernel in kernels]
    theirs = torch.optim.Muon(matrices, 0.1, weight_decay=0, adjust_lr_fn="match_rms_adamw")
    ours = Muon(kernels, 0.1)
    for _ in range(3):
        for kernel, matrix in zip(kernels, matrices, strict=True):
            kernel.grad = torch.randn(kernel.shape, generator=random).to(memory_format=layout)
            matrix.grad = kernel.grad.flatten(1).clone()
        ours.step()
        theirs.step()
    for kernel, matrix in zip(kernels, matrices, strict=True):
        # Theirs rounds to bf16 on any machine.
        assert torch.allclose(kernel.flatten(1), matrix, atol=4e-3)


def test_a_kernel_without_gradient_stays() -> None:
    kernels = [torch.ones(2, 2, 3, 3), torch.ones(2, 2, 3, 3)]
    kernels[1].grad = torch.ones(2, 2, 3, 3)
    Muon(kernels, 0.1).step()
    assert torch.equal(kernels[0], torch.ones(2, 2, 3, 3))
    assert not torch.equal(kernels[1], torch.ones(2, 2, 3, 3))


def test_muon_moves_the_convolutions_and_adam_the_rest() -> None:
    params = TrainParams(
        generator=SRResNetParams(blocks=1, features=8, norm="batch"),
        optimiser=MuonParams(),
        lr=0.01,
    )
    state = new_state(params, CPU)
    adam, muon = (
        {id(weight) for group in optimiser.param_groups for weight in group["params"]}
        for optimiser in (state.optimisers["adam"], state.optimisers["muon"])
    )
    for weight in state.generator.parameters():
        assert (id(weight) in muon) == (weight.ndim == 4)
        assert (id(weight) in adam) == (weight.ndim < 4)
    assert state.adversary is not None
    assert isinstance(state.adversary.optimiser, torch.optim.Adam)
