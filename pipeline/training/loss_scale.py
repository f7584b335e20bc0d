"""The factor by which a loss is multiplied in fp16, so that small gradients are not lost.

fp16 has no numbers below 6e-8 (Micikevicius et al. 2018, "Mixed Precision Training", section 3.2).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

FIRST = 2.0**14
GROWTH, BACKOFF = 2.0, 0.5
GROWTH_INTERVAL = 1000
"""Updates with finite gradients after which the factor grows."""


class LossScale(nn.Module):
    """A factor that falls where gradients overflow, and grows where they long have not.

    As `torch.amp.GradScaler`, but all on the device: the host waits for no value, and the buffers
    are kept in checkpoints.
    """

    factor: Tensor
    updates: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("factor", torch.tensor(FIRST))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int32))

    def scaled(self, loss: Tensor) -> Tensor:
        """Return the loss to be differentiated."""
        return loss * self.factor

    @torch.no_grad()
    def unscale_(self, gradients: Sequence[Tensor]) -> None:
        """Replace gradients of the scaled loss by those of the loss itself."""
        torch._foreach_mul_(list(gradients), 1 / self.factor)

    @torch.no_grad()
    def update(self, finite: Tensor) -> None:
        """Adapt the factor, after gradients that were `finite () bool` or not."""
        torch._amp_update_scale_(
            self.factor, self.updates, (~finite).float(), GROWTH, BACKOFF, GROWTH_INTERVAL
        )
