"""What every generator is: a network that knows its scale, its config and how far it looks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn


class Generator(nn.Module, ABC):
    """Enlarges `(N, 3, h, w)` in [0, 1] to `(N, 3, h·scale, w·scale)`, not clamped."""

    scale: int
    config: Mapping[str, int | str]
    """the constructor's arguments, so that a file can say how to build the network again"""

    @property
    @abstractmethod
    def receptive_radius(self) -> int:
        """LR pixels around a pixel that its result depends on: the overlap of exact tiles."""

    @abstractmethod
    def forward(self, lr: Tensor) -> Tensor: ...
