"""How many floating-point operations a training step takes, and how many a device could do."""

import time

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pipeline.devices import DTYPES
from pipeline.networks.perceptual.vgg import VGG16Features
from pipeline.networks.perceptual.weights import backbone_shapes
from pipeline.params import TrainParams
from pipeline.params.generator import FileParams
from pipeline.training.build import build_discriminator, new_generator

META = torch.device("meta")
PRODUCT_SIDE = 4096
"""Side of the matrices whose product measures a GPU: 0.14 TFLOP and 100 MB in bf16."""
PRODUCTS = 10


def step_operations(params: TrainParams, adversarial: bool) -> int:
    """Return the operations of one step's convolutions and matrix products.

    A multiplication and an addition are two. They are counted by PyTorch on tensors without data,
    forward and backward as `pipeline.training.step.TrainStep` computes them.
    """
    if isinstance(params.generator, FileParams):
        # The code of other architectures may read values, which tensors without data have not.
        return params.batch * _counted(params, 1, adversarial)
    with META:
        return _counted(params, params.batch, adversarial)


def _counted(params: TrainParams, batch: int, adversarial: bool) -> int:
    """Return the operations of a step of `batch` crops, on the device of the context."""
    side = params.crop // params.scale
    generator = new_generator(params)
    with FlopCounterMode(display=False) as counter:
        sr = generator(torch.empty(batch, 3, side, side))
        loss = sr.sum()
        if adversarial:
            hr = torch.empty(batch, 3, params.crop, params.crop)
            if params.accumulate > 1:
                # Its activations are not kept for the generator's loss.
                with torch.no_grad():
                    generator(torch.empty(batch, 3, side, side))
            loss = loss + _adversarial_part(params, hr, sr)
        loss.backward()
    operations: int = counter.get_total_flops()
    return operations


def _adversarial_part(params: TrainParams, hr: Tensor, sr: Tensor) -> Tensor:
    """Take the discriminator's update, and return the generator's loss without its values."""
    discriminator = build_discriminator(params)
    loss = _sum(discriminator(hr), discriminator(sr.detach()))
    loss.backward()  # type: ignore[no-untyped-call]
    discriminator.requires_grad_(False)
    vgg = VGG16Features(params.content_layers, _vgg_state())
    with torch.no_grad():
        vgg(hr)
        if params.relativistic:
            discriminator(hr)
    return _sum(discriminator(sr), *vgg(sr))


def _vgg_state() -> dict[str, Tensor]:
    return {key: torch.empty(shape) for key, shape in backbone_shapes("vgg16").items()}


def _sum(*tensors: Tensor) -> Tensor:
    return torch.stack([tensor.sum() for tensor in tensors]).sum()


def product_rate(device: torch.device, precision: str) -> float:
    """Return the operations per second of a large matrix product on a CUDA device."""
    kind = DTYPES[precision]
    left, right = (torch.randn(PRODUCT_SIDE, PRODUCT_SIDE, device=device).to(kind) for _ in "ab")
    product = nn.functional.linear(left, right)
    torch.cuda.synchronize(device)
    started = time.perf_counter()
    for _ in range(PRODUCTS):
        product = nn.functional.linear(left, right)
    torch.cuda.synchronize(device)
    return 2 * product.numel() * PRODUCT_SIDE * PRODUCTS / (time.perf_counter() - started)
