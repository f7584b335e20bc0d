"""Networks that compute what a generator does, of layers that every runtime has."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import UsageError
from pipeline.exported_files import Precision
from pipeline.networks.folding import fold
from pipeline.networks.generators.base import Generator
from pipeline.networks.generators.bicubic_conv import BicubicConv
from pipeline.networks.generators.onnx_generator import OnnxGenerator
from pipeline.networks.generators.spandrel_generator import SpandrelGenerator
from pipeline.networks.generators.srresnet import SRResNet, unshuffled


def portable(generator: Generator, precision: Precision = "fp32") -> nn.Module:
    """Return a network on the CPU, in eval mode, that computes what `generator` does.

    It is folded by `fold`, and the bicubic skip is a convolution. Input and output are float32.
    With `fp16` all between them is float16, but for the bicubic skip: it takes a hundredth of the
    time, and in half precision its rounding would be most of the result's. Raises `UsageError` for
    a network that is no PyTorch network.
    """
    if isinstance(generator, OnnxGenerator):
        raise UsageError("export: the model is an ONNX file, from which nothing else can be made")
    folded = fold(generator).float().cpu()
    network: nn.Module = folded
    if isinstance(folded, SRResNet):
        network = SRResNetLayers(folded)
    elif isinstance(folded, SpandrelGenerator):
        network = ForwardOnly(folded)
    computed: nn.Module = InHalf(network) if precision == "fp16" else network
    if isinstance(folded, SRResNet):
        skip = BicubicConv(folded.scale) if folded.config["skip"] == "bicubic" else None
        computed = Shuffled(computed, _last_factor(folded), skip)
    return computed.eval().requires_grad_(False)


class ForwardOnly(nn.Module):
    """A network without its measured properties, which tracing would read."""

    def __init__(self, generator: SpandrelGenerator) -> None:
        super().__init__()
        self.module = generator.module
        self._enlarge = generator.forward

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge `(N, 3, h, w) float in [0, 1]` to `(N, 3, h·scale, w·scale)`, not clamped."""
        return self._enlarge(lr)


class SRResNetLayers(nn.Module):
    """SRResNet up to its last pixel shuffle, without the skip."""

    def __init__(self, network: SRResNet) -> None:
        super().__init__()
        self.head, self.body = network.head, network.body
        shufflers = list(network.upsample)
        self.tail = nn.Sequential(network.tail)
        if shufflers and _last_factor(network) == 2:
            convolution, _, activation = shufflers.pop().children()
            self.tail = nn.Sequential(convolution, activation, _unshuffled_tail(network.tail))
        self.upsample = nn.Sequential(*shufflers)

    def forward(self, lr: Tensor) -> Tensor:
        """Return `(N, 3·factor², h·scale/factor, w·scale/factor)` of `(N, 3, h, w)`."""
        shallow = self.head(lr)
        return cast(Tensor, self.tail(self.upsample(shallow + self.body(shallow))))


class Shuffled(nn.Module):
    """The last pixel shuffle of a network, by `factor`, and the bicubic skip if it has one."""

    def __init__(self, network: nn.Module, factor: int, skip: BicubicConv | None) -> None:
        super().__init__()
        self.network, self.factor, self.skip = network, factor, skip

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge `(N, 3, h, w) float in [0, 1]` to `(N, 3, h·scale, w·scale)`, not clamped."""
        sr: Tensor = self.network(lr)
        if self.skip is None:
            return _shuffle(sr, self.factor)
        if self.skip.scale == self.factor:
            return _shuffle(sr + self.skip(lr), self.factor)
        return _shuffle(sr, self.factor) + _shuffle(self.skip(lr), self.skip.scale)


class InHalf(nn.Module):
    """A network in float16, whose input and output are float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.half()

    def forward(self, lr: Tensor) -> Tensor:
        """Return what the network makes of `lr`."""
        return cast(Tensor, self.network(lr.half())).float()


def _unshuffled_tail(tail: nn.Conv2d) -> nn.Conv2d:
    """Return the convolution before a ×2 shuffle that equals `tail` after it."""
    weight = unshuffled(tail.weight.detach())
    side = weight.shape[-1]
    result = nn.Conv2d(weight.shape[1], weight.shape[0], side, padding=side // 2)
    result.weight = nn.Parameter(weight)
    assert tail.bias is not None
    result.bias = nn.Parameter(tail.bias.detach().repeat_interleave(4))
    return result


def _last_factor(network: SRResNet) -> int:
    if network.config["upsampling"] == "direct":
        return network.scale
    return 1 if network.scale % 2 else 2


def _shuffle(x: Tensor, factor: int) -> Tensor:
    return x if factor == 1 else F.pixel_shuffle(x, factor)
