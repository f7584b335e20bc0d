"""Muon, the optimiser that moves a convolution in all its directions alike.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks". PyTorch's own takes
matrices alone; a convolution's kernel is one here, an output channel a row.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

MOMENTUM = 0.95
# Five times x → ax + bx³ + cx⁵ takes what lies in (0.002, 1] to (0.7, 1.2): nearer to 1 gains
# nothing, as the paper found.
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
# As large a root mean square as Adam's updates have, so that both take one learning rate
# (Liu et al. 2025, "Muon is Scalable for LLM Training", equation 4).
ADAM_RMS = 0.2


class Muon(Optimizer):
    """Nesterov's momentum, made orthogonal, for the kernels `(out, in, h, w)` of convolutions.

    A group's `lr` may be a tensor. Where `found_inf`, `() float`, is 1, a step changes nothing.
    """

    found_inf: Tensor | None = None

    def __init__(self, kernels: Iterable[Tensor], lr: float) -> None:
        super().__init__(kernels, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every kernel that has a gradient, those of one shape together."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for kernel in group["params"]:
                if kernel.grad is not None:
                    alike[kernel.shape].append(kernel)
            for kernels in alike.values():
                self._move(kernels, group["lr"])
        return loss

    def _move(self, kernels: list[Tensor], lr: float | Tensor) -> None:
        matrices = torch.stack(self._momenta(kernels)).flatten(2)
        length = lr * ADAM_RMS * math.sqrt(max(matrices.shape[1:]))
        if self.found_inf is not None:
            length = length * (1 - self.found_inf)
        made = orthogonal(matrices)
        if isinstance(length, Tensor):
            made, length = made * length, 1.0
        directions = [
            direction.view_as(kernel) for kernel, direction in zip(kernels, made, strict=True)
        ]
        torch._foreach_sub_(kernels, directions, alpha=length)

    def _momenta(self, kernels: list[Tensor]) -> tuple[Tensor, ...]:
        gradients, momenta = [], []
        for kernel in kernels:
            gradient, state = kernel.grad, self.state[kernel]
            assert gradient is not None
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(gradient)
            momentum = state["momentum"]
            if self.found_inf is not None:
                # Nothing moves towards itself.
                gradient = torch.where(self.found_inf == 0, gradient, momentum)
            gradients.append(gradient)
            momenta.append(momentum)
        # All kernels at once, as PyTorch's own optimisers do it: a GPU takes as long for one.
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        return torch._foreach_lerp(gradients, momenta, MOMENTUM)


def orthogonal(matrices: Tensor) -> Tensor:
    """`(N, rows, columns)` with singular values near 1: for UΣVᵀ about UVᵀ, in single precision.

    The iteration of Newton and Schulz: x ← (a + b·xxᵀ + c·(xxᵀ)²)x. Kernels are much longer on one
    side than on the other, so it goes on with the small square xxᵀ alone, and what comes of its
    factors meets x once: a quarter of the time.
    """
    rows, columns = matrices.shape[1:]
    x = matrices.mT if rows > columns else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = QUINTIC
    square = x @ x.mT
    product = torch.eye(square.shape[1], dtype=square.dtype, device=square.device)
    for _ in range(ITERATIONS):
        factor = torch.baddbmm(square, square, square, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        product = factor @ product
        square = factor @ square @ factor
    made: Tensor = product @ x
    return made.mT if rows > columns else made
