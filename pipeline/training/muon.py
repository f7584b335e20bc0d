"""Muon: momentum, orthogonalised, for the kernels of convolutions.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks". PyTorch's own takes
only matrices; here a convolution's kernel is a matrix with one row per output channel.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

# Five iterations of x → ax + bx³ + cx⁵ map (0.002, 1] into (0.7, 1.2); the paper found no gain in
# coming nearer to 1.
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
# The root mean square of Adam's updates, so that both optimisers take the same learning rate
# (Liu et al. 2025, "Muon is Scalable for LLM Training", equation 4).
ADAM_RMS = 0.2


class Muon(Optimizer):
    """Nesterov momentum, orthogonalised, for kernels `(out, in, h, w)` of convolutions.

    A group's `lr` may be a tensor. Where `found_inf`, `() float`, is 1, a step changes nothing.
    """

    found_inf: Tensor | None = None

    def __init__(self, kernels: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(kernels, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every kernel that has a gradient, those of one shape together.

        Return what `closure` returns, which PyTorch's optimisers call first.
        """
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for kernel in group["params"]:
                if kernel.grad is not None:
                    by_shape[kernel.shape].append(kernel)
            for kernels in by_shape.values():
                self._update(kernels, group["lr"], group["momentum"])
        return loss

    def _update(self, kernels: list[Tensor], lr: float | Tensor, momentum: float) -> None:
        """Update kernels of one shape `(out, in, h, w)`."""
        matrices = torch.stack(self._momenta(kernels, momentum)).flatten(2)
        length = lr * ADAM_RMS * math.sqrt(max(matrices.shape[1:]))
        if self.found_inf is not None:
            length = length * (1 - self.found_inf)
        updates = orthogonal(matrices)
        if isinstance(length, Tensor):
            updates, length = updates * length, 1.0
        directions = [
            direction.view_as(kernel) for kernel, direction in zip(kernels, updates, strict=True)
        ]
        torch._foreach_sub_(kernels, directions, alpha=length)

    def _momenta(self, kernels: list[Tensor], momentum: float) -> tuple[Tensor, ...]:
        """Update the momentum of each kernel; return Nesterov's, of the kernels' shapes."""
        gradients, averages = [], []
        for kernel in kernels:
            gradient, state = kernel.grad, self.state[kernel]
            assert gradient is not None
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(gradient)
            average = state["momentum"]
            if self.found_inf is not None:
                # An average's mean with itself leaves it as it is.
                gradient = torch.where(self.found_inf == 0, gradient, average)
            gradients.append(gradient)
            averages.append(average)
        # All kernels at once, as PyTorch's own optimisers do: a GPU takes as long for one.
        torch._foreach_lerp_(averages, gradients, 1 - momentum)
        return torch._foreach_lerp(gradients, averages, momentum)


def orthogonal(matrices: Tensor) -> Tensor:
    """Return `(N, rows, columns)` with singular values near 1: for UΣVᵀ about UVᵀ.

    The Newton-Schulz iteration x ← (a + b·xxᵀ + c·(xxᵀ)²)x, in single precision. Kernels are much
    longer on one side than on the other, so it iterates on the small square xxᵀ, and multiplies x
    by the product of the factors once: a quarter of the time.
    """
    rows, columns = matrices.shape[1:]
    x = matrices.mT if rows > columns else matrices
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=1e-7)
    a, b, c = QUINTIC
    square = x @ x.mT
    product = torch.eye(square.shape[1], dtype=square.dtype, device=square.device)
    for iteration in range(ITERATIONS):
        factor = torch.baddbmm(square, square, square, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        product = factor @ product
        if iteration < ITERATIONS - 1:
            square = factor @ square @ factor
    result: Tensor = product @ x
    return result.mT if rows > columns else result
