"""Params of the train stage."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.params.section import Section, problem_at

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


class TrainParams(Section):
    generator: Literal["srresnet", "rrdb", "rcan"] = Field(
        "srresnet", description="network that is trained: SRGAN's, ESRGAN's or RCAN"
    )
    scale: Literal[2, 4, 8] = Field(4, description="enlargement of each side")
    blocks: int | None = Field(
        None,
        ge=1,
        description="residual blocks of the generator; null: 3 of srresnet, 23 of rrdb, 20 in each "
        "group of rcan",
    )
    features: int = Field(64, ge=1, description="channels of the generator")
    growth: int = Field(32, ge=1, description="rrdb: channels that a layer of a block adds")
    groups: int = Field(10, ge=1, description="rcan: groups of residual blocks")
    reduction: int = Field(16, ge=1, description="rcan: channels to one of the attention's")
    norm: Literal["batch", "none"] = Field(
        "none", description="srresnet: normalisation in the residual blocks"
    )
    skip: Literal["none", "bicubic"] = Field(
        "bicubic",
        description="srresnet: what the network's output is added to; bicubic: the enlarged input, "
        "so that training starts from bicubic's quality",
    )
    upsampling: Literal["stages", "direct"] = Field(
        "stages",
        description="srresnet: stages: the size is doubled step by step, then 9 × 9 pixels make "
        "one, as in SRGAN; direct: one convolution makes all pixels, as in ESPCN, and leaves the "
        "time to more blocks",
    )
    crop: int = Field(384, ge=16, description="side of a random HR crop, pixels")
    crop_candidates: int = Field(
        1,
        ge=1,
        description="crops drawn in an image, of which one is trained on, the likelier the more "
        "detail it has; 1: each is as likely",
    )
    turns: bool = Field(
        False,
        description="whether crops are turned by quarters, as in EDSR, beside being mirrored in "
        "half of the cases",
    )
    recolour: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of crops whose colours are exchanged and stretched beyond those that "
        "drawings have, so that saturated ones are learnt too",
    )
    degradation: Literal["none", "web"] = Field(
        "none",
        description="how LR is made; none: by bicubic; web: by a mix of filters, noise and JPEG, "
        "for pictures as sites have them",
    )
    batch: int = Field(2, ge=1, description="crops in one step")
    epochs: int = Field(10, ge=1, description="passes over the training images")
    steps: int | None = Field(
        None, ge=1, description="generator updates after which training ends; null: epochs decide"
    )
    init: str | None = Field(
        None,
        min_length=1,
        description="generator's file whose weights are trained further, of the same architecture, "
        "for srresnet also one of fewer blocks; null: weights are drawn",
    )
    resume: str | None = Field(
        None,
        min_length=1,
        description="checkpoint of another training, models/checkpoints/KEY/step-N.pt, that is "
        "continued with these params, discriminator, optimisers and step included; null: none",
    )
    optimiser: Literal["adam", "muon"] = Field(
        "adam",
        description="what moves the generator; muon: Muon its convolutions, which learn more in a "
        "step, and Adam the rest",
    )
    lr: float = Field(0.0002, gt=0, description="learning rate, both networks")
    lr_schedule: Literal["constant", "cosine"] = Field(
        "constant", description="cosine: lr falls to 0 along half a cosine, by the last step"
    )
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's β1")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's β2")
    max_grad_norm: float | None = Field(
        None,
        gt=0,
        description="norm to which the gradients of either network are scaled down; null: they "
        "are not",
    )
    adv_weight: float = Field(
        1.0, ge=0, description="weight of the adversarial term; 0: no discriminator is built"
    )
    discriminator: Literal["srgan", "unet"] = Field(
        "srgan",
        description="srgan: SRGAN's, a verdict a crop; unet: Real-ESRGAN's, a verdict a pixel, "
        "spectrally normalised",
    )
    relativistic: bool = Field(
        False,
        description="whether originals and results are judged against each other's mean, as in "
        "ESRGAN, rather than each by itself",
    )
    content_weight: float = Field(0.001, ge=0, description="weight of the VGG content term")
    content_layers: ContentLayers = Field(
        ("conv2_1", "conv3_1", "conv4_1"),
        description="VGG16 layers whose features, before ReLU, are compared",
    )
    pixel_weight: float = Field(
        0.0, ge=0, description="weight of an L1 term between pixels, beside the adversarial one"
    )
    loss_without_adv: Literal["mse", "l1", "psnr"] = Field(
        "mse",
        description="loss between pixels where adv_weight is 0, and of the pre-training; psnr: "
        "-PSNR in dB, to which every crop counts the same, flat ones too",
    )
    pretrain_steps: int | None = Field(
        None,
        ge=0,
        description="first steps on loss_without_adv alone, before the discriminator; null: a "
        "fifth of all",
    )
    warmup_steps: int = Field(
        0, ge=0, description="steps over which the adversarial weight grows to adv_weight"
    )
    ema: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="decay of the averaged generator that is validated and saved; 0: no average; "
        "null: 0.999, or none with norm batch, whose statistics do not fit averaged weights",
    )
    vgg: str = Field(
        "imagenet",
        min_length=1,
        description="VGG16 weights: imagenet, random, or the path of a safetensors file or folder",
    )
    seed: int = Field(0, ge=0, description="seed of the weights, crops and flips")
    processes: int = Field(
        1,
        ge=1,
        description="processes that train together, each on its part of every batch; on CUDA each "
        "has a card",
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto, cpu, cuda, cuda:N or mps",
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="auto: bf16 where the hardware computes in it"
    )
    log_every: int = Field(10, ge=1, description="steps between two rows of the curves")
    validate_every: int = Field(1000, ge=1, description="steps between two validations")
    validation_images: int = Field(16, ge=1, description="validation images looked at each time")
    checkpoint_seconds: float = Field(
        120.0, ge=0, description="least time between two checkpoints, seconds"
    )

    @model_validator(mode="after")
    def _crop_fits_scale(self) -> "TrainParams":
        if self.crop % self.scale:
            raise problem_at(("crop",), f"{self.crop} is no multiple of train.scale {self.scale}")
        return self

    @model_validator(mode="after")
    def _one_start(self) -> "TrainParams":
        if self.init is not None and self.resume is not None:
            raise problem_at(
                ("resume",), "train.init names another start: set one of the two to null"
            )
        return self

    @model_validator(mode="after")
    def _attention_has_channels(self) -> "TrainParams":
        if self.generator == "rcan" and self.features < self.reduction:
            raise problem_at(
                ("reduction",), f"{self.reduction} is more than train.features {self.features}"
            )
        return self

    @model_validator(mode="after")
    def _equal_parts(self) -> "TrainParams":
        if self.batch % self.processes:
            raise problem_at(
                ("processes",), f"{self.processes} cannot share a batch of {self.batch} equally"
            )
        return self

    @model_validator(mode="after")
    def _something_to_normalise(self) -> "TrainParams":
        # 16 pixels leave one place after the discriminator's strides.
        if self.adv_weight > 0 and self.crop == 16 and self.batch == 1:
            raise problem_at(
                ("batch",),
                "one crop of 16 pixels is too little for the discriminator's batch normalisation; "
                "raise batch or crop",
            )
        return self
