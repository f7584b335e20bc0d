"""Time one SRGAN step: this program's and a straightforward one of the same networks and shapes.

python benchmarks/train_step.py [--crop 128] [--batch 4] [--steps 5] [--device cpu]

The straightforward step computes each of the paper's equations by itself: the generator runs once
per update, the discriminator's gradients are computed in the generator's update too, tensors are
contiguous, in fp32. The generator's tail is the 9 × 9 convolution behind the pixel shuffle. The
steps are timed in turns, and the fastest of each is printed: CPU seconds on the CPU, wall seconds
elsewhere.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.devices import computes_in_bf16, pick_device
from pipeline.networks import SRResNet
from pipeline.networks.discriminators.srgan import SRGANDiscriminator
from pipeline.networks.perceptual.vgg import VGG16Features
from pipeline.networks.perceptual.weights import backbone_state
from pipeline.params import TrainParams
from pipeline.training.crops import Batch
from pipeline.training.state import new_state
from pipeline.training.step import TrainStep

Step = Callable[[Tensor], object]


class PlainGenerator(SRResNet):
    """The same network, computed in the order of the paper's figure."""

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(lr)
        sr: Tensor = self.tail(self.upsample(shallow + self.body(shallow)))
        return sr


def main() -> None:
    arguments = _arguments()
    device = pick_device(arguments.device)
    side, batch = arguments.crop, arguments.batch
    hr = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8)
    params = TrainParams(crop=side, batch=batch, vgg="random")
    weights = backbone_state("vgg16", "random")
    vgg = VGG16Features(params.content_layers, weights).to(device)
    steps = {
        "straightforward, fp32": straightforward(params, vgg, device),
        "this program, fp32": ours(params, vgg, device, precision="fp32"),
    }
    if computes_in_bf16(device):
        steps["this program, bf16"] = ours(params, vgg, device, precision="bf16")
    seconds = {name: float("inf") for name in steps}
    for _ in range(arguments.steps + 1):
        for name, step in steps.items():
            seconds[name] = min(seconds[name], timed(step, hr, device))
    print(f"{batch} crops of {side} pixels, {torch.get_num_threads()} threads, {device}")
    for name, value in seconds.items():
        ratio = seconds["straightforward, fp32"] / value
        print(f"{name:<24}{1000 * value:>9.1f} ms{batch / value:>9.2f} images/s   ×{ratio:.2f}")


def straightforward(params: TrainParams, vgg: VGG16Features, device: torch.device) -> Step:
    """Return the step without any optimisation."""
    generator, discriminator = PlainGenerator().to(device), SRGANDiscriminator().to(device)
    adam = {"lr": params.lr, "betas": (params.optimiser.beta1, params.optimiser.beta2)}
    g_optimiser = torch.optim.Adam(generator.parameters(), **adam)
    d_optimiser = torch.optim.Adam(discriminator.parameters(), **adam)
    bce, mse = nn.BCEWithLogitsLoss(), nn.MSELoss()

    def step(levels: Tensor) -> None:
        hr = levels.to(device).float() / 255
        lr = F.interpolate(hr, scale_factor=1 / params.scale, mode="bicubic", antialias=True)
        real, fake = discriminator(hr), discriminator(generator(lr).detach())
        d_loss = bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))
        d_optimiser.zero_grad()
        d_loss.backward()
        d_optimiser.step()
        sr = generator(lr)
        logits = discriminator(sr)
        content = sum(mse(a, b) for a, b in zip(vgg(sr), vgg(hr), strict=True))
        adversarial = bce(logits, torch.ones_like(logits))
        loss = params.content_weight * content + params.adv_weight * adversarial
        g_optimiser.zero_grad()
        loss.backward()
        g_optimiser.step()

    return step


def ours(
    params: TrainParams,
    vgg: VGG16Features,
    device: torch.device,
    precision: str,
    graphed: bool = True,
    compiled: bool = False,
) -> Step:
    """Return the step that training takes, on CUDA as a graph unless `graphed` is False."""
    state = new_state(params, device)
    step = TrainStep(
        params, 1, state, vgg, device, precision, graphed=graphed, compiled=compiled, report=print
    )
    return lambda hr: step(Batch(hr))


def timed(step: Step, hr: Tensor, device: torch.device) -> float:
    """Return the seconds of one step: CPU seconds on the CPU, wall seconds elsewhere."""
    clock = time.process_time if device.type == "cpu" else time.monotonic
    started = clock()
    step(hr)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - started


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
