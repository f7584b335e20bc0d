"""Params of the train stage."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.params.degradation import CHAINS, Degradation, Strengths
from pipeline.params.generator import GeneratorParams, SRResNetParams
from pipeline.params.optimiser import AdamParams, OptimiserParams
from pipeline.params.section import (
    MAX_WORKERS,
    NULL_IS_EMPTY,
    Device,
    Paths,
    Scale,
    Section,
    Weight,
    Weights,
)
from pipeline.params.train_checks import CHECKS, MANIFEST_NAME

ContentLayer = Literal[
    "conv1_1",
    "conv1_2",
    "conv2_1",
    "conv2_2",
    "conv3_1",
    "conv3_2",
    "conv3_3",
    "conv4_1",
    "conv4_2",
    "conv4_3",
    "conv5_1",
    "conv5_2",
    "conv5_3",
]
ContentLayers = Annotated[tuple[ContentLayer, ...], Field(strict=False, min_length=1)]

ExtraLoss = Literal["ssim", "ms_ssim", "gradient", "colour", "artifacts", "lpips", "dists"]
ExtraLosses = Annotated[dict[ExtraLoss, Weight], NULL_IS_EMPTY]

ADVERSARIAL_PARAMS = frozenset(
    {
        "content_layers",
        "content_weight",
        "discriminator",
        "pixel_weight",
        "pretrain_steps",
        "relativistic",
        "vgg",
        "warmup_steps",
    }
)
"""Params that nothing reads without a discriminator."""

COMPILED_STEPS = 5000
"""The least steps for which networks are compiled by themselves.

Compiling takes up to a minute, as much as this many steps gain on a fast GPU.
"""

# Those of them that one may expect to act without a discriminator all the same, or that ask for
# one. The names of the others say that they belong to the loss that is switched off.
_WARNED = ("discriminator", "relativistic", "warmup_steps", "pixel_weight")


class TrainParams(Section):
    """What `pipeline train` trains, on which crops, losses and device."""

    generator: GeneratorParams = Field(
        SRResNetParams(),
        description="architecture of the generator: srresnet, SRGAN's; rrdb, ESRGAN's; rcan, RCAN; "
        "compact, SRVGGNetCompact; span, SPAN; plksr, PLKSR; file, that of train.init, to train a "
        "published model further; each has params of its own",
    )
    scale: Scale = Field(
        4,
        description="scale factor of each side; 1: pictures are restored at their size, from LR "
        "images that are damaged",
    )
    crop: int = Field(384, ge=16, description="side of a random HR crop, pixels")
    crop_candidates: int = Field(
        1,
        ge=1,
        description="crops drawn per image, of which one is used; the more detail a crop has, the "
        "more probable it is; 1: uniform",
    )
    turns: bool = Field(
        False,
        description="whether crops are rotated by multiples of 90°, as in EDSR, in addition to "
        "horizontal flips",
    )
    recolour: float = Field(
        0.0,
        ge=0,
        le=1,
        description="probability that a crop's colour channels are permuted and stretched, beyond "
        "the colours of drawings, so that saturated ones are learnt too",
    )
    degradation: Degradation = Field(
        "none",
        description="how LR is made; none: by bicubic downscaling; web: by random filters, noise "
        "and JPEG, like pictures on the web; light, heavy: by a chain of more kinds of damage, as "
        "in Real-ESRGAN; `pipeline degrade` shows them",
    )
    degradation_strengths: Strengths = Field(
        {},
        description="values in place of those of light or heavy, named as in Real-ESRGAN's option "
        "files: name → number or list, such as jpeg_range2: [60, 95]",
    )
    sharpen: float = Field(
        0.0,
        ge=0,
        le=10,
        description="weight of an unsharp mask on HR crops, as in Real-ESRGAN, with 0.5, so that "
        "results get sharper edges than the pictures have; 0: none",
    )
    hr_folders: Paths = Field(
        {},
        description="folders of HR images of one's own to train on, beside those of the manifest: "
        "name → folder",
    )
    lr_folders: Paths = Field(
        {},
        description="folders of their LR images: a name in `hr_folders` → folder; of other HR "
        "images LR is made as `degradation` says",
    )
    folder_weights: Weights = Field(
        {},
        description="how often each image comes in an epoch: a name in `hr_folders`, or `manifest` "
        "→ number; 1 where nothing is named; manifest: 0 trains on the folders alone",
    )
    val_hr_folder: str | None = Field(
        None,
        min_length=1,
        description="folder of HR images to validate on; null: the manifest's",
    )
    val_lr_folder: str | None = Field(
        None,
        min_length=1,
        description="folder of their LR images; null: LR is made as `degradation` says",
    )
    batch: int = Field(2, ge=1, description="crops per step")
    accumulate: int = Field(
        1,
        ge=1,
        description="equal parts of each batch that are computed one after the other, to take less "
        "memory; their gradients are added; means of batch normalisation, and relativistic ones, "
        "are of a part",
    )
    epochs: int = Field(10, ge=1, description="passes over the training images")
    steps: int | None = Field(None, ge=1, description="generator updates in all; null: by epochs")
    init: str | None = Field(
        None,
        min_length=1,
        description="generator whose weights training starts from: a file, or the name of a "
        "shipped model; of the same architecture, for srresnet also one of fewer blocks; null: "
        "random weights",
    )
    resume: str | None = Field(
        None,
        min_length=1,
        description="checkpoint of another training, models/checkpoints/KEY/step-N.pt, to continue "
        "with these params, including discriminator, optimisers and step; null: none",
    )
    optimiser: OptimiserParams = Field(
        AdamParams(),
        description="optimiser of the generator; muon: Muon for its convolutions, which learn more "
        "per step, and Adam for the rest",
    )
    lr: float = Field(0.0002, gt=0, description="learning rate of both networks")
    lr_schedule: Literal["constant", "cosine"] = Field(
        "constant", description="cosine: lr falls to 0 along half a cosine until the last step"
    )
    max_grad_norm: float | None = Field(
        None,
        gt=0,
        description="norm to which the gradients of each network are clipped; null: no clipping",
    )
    adv_weight: float = Field(
        1.0, ge=0, description="weight of the adversarial loss; 0: no discriminator"
    )
    discriminator: Literal["srgan", "unet"] = Field(
        "srgan",
        description="srgan: SRGAN's, one output per crop; unet: Real-ESRGAN's, one output per "
        "pixel, with spectral normalisation",
    )
    relativistic: bool = Field(
        False,
        description="whether the adversarial loss is the relativistic average one, as in ESRGAN",
    )
    content_weight: float = Field(0.001, ge=0, description="weight of the VGG content loss")
    content_layers: ContentLayers = Field(
        ("conv2_1", "conv3_1", "conv4_1"),
        description="VGG16 layers whose features, before ReLU, are compared",
    )
    pixel_weight: float = Field(
        0.0, ge=0, description="weight of an L1 loss between pixels, beside the adversarial one"
    )
    extra_losses: ExtraLosses = Field(
        {},
        description="further terms of the generator's loss in all steps: name → weight; ssim, "
        "ms_ssim, gradient (edges), colour (blurred images), artifacts (LDL), lpips, dists",
    )
    loss_without_adv: Literal["mse", "l1", "psnr"] = Field(
        "mse",
        description="loss between pixels if adv_weight is 0, and in pre-training; psnr: -PSNR in "
        "dB, in which every crop has the same weight, flat ones too",
    )
    pretrain_steps: int | None = Field(
        None,
        ge=0,
        description="steps of pre-training on loss_without_adv, before the discriminator; null: a "
        "fifth of all steps",
    )
    warmup_steps: int = Field(
        0, ge=0, description="steps over which the adversarial weight rises to adv_weight"
    )
    ema: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="decay of the exponential moving average of the generator, which is validated "
        "and saved; 0: no average; null: 0.999, or 0 with norm batch, whose statistics do not fit "
        "averaged weights",
    )
    vgg: str = Field(
        "imagenet",
        min_length=1,
        description="weights of VGG16: imagenet, random, or path of a safetensors file or folder",
    )
    seed: int = Field(0, ge=0, description="seed of the weights and the crops")
    processes: int = Field(
        1,
        ge=1,
        le=MAX_WORKERS,
        description="processes that train together, each on its part of every batch; on CUDA each "
        "has a GPU",
    )
    device: Device = "auto"
    compile: Literal["auto", "off"] = Field(
        "auto",
        description="auto: on a CUDA GPU, networks are compiled by torch.compile where a training "
        f"has {COMPILED_STEPS:,} steps or more; the first steps then take a minute; a training "
        "that goes on keeps what it began with",
    )
    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        "auto",
        description="auto: bf16 if the hardware computes in it, else fp32; fp16: for GPUs without "
        "bf16, with a scaled loss",
    )
    log_every: int = Field(10, ge=1, description="steps between two points of the curves")
    validate_every: int = Field(1000, ge=1, description="steps between two validations")
    validation_images: int = Field(16, ge=1, description="images per validation")
    checkpoint_seconds: float = Field(
        120.0, ge=0, le=86_400, description="least time between two checkpoints, seconds"
    )

    @model_validator(mode="after")
    def _check_across_params(self) -> "TrainParams":
        for check in CHECKS:
            check(self)
        return self

    def weight(self, name: str) -> float:
        """Return how often each image of a folder, or of `manifest`, comes in an epoch."""
        return self.folder_weights.get(name, 1.0)

    @property
    def reads_manifest(self) -> bool:
        """Whether images of the manifest are trained or validated on."""
        return self.val_hr_folder is None or self.weight(MANIFEST_NAME) > 0

    @property
    def without_effect(self) -> Mapping[str, str]:
        """The params that differ from their defaults, but are not read: name → why, in words.

        Not an error: the ablations `adv_weight: 0` and `degradation: web` leave all other params as
        they are.
        """
        unread: dict[str, str] = {}
        if self.adv_weight == 0:
            unread |= dict.fromkeys(_WARNED, "train.adv_weight is 0")
        if self.degradation not in CHAINS:
            unread["degradation_strengths"] = f"train.degradation is {self.degradation}"
        fields = type(self).model_fields
        return {
            name: why for name, why in unread.items() if getattr(self, name) != fields[name].default
        }
