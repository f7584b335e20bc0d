"""`params.yaml` as frozen, validated types: the program's only schema and its only defaults."""

from typing import Annotated, Literal, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

# YAML has lists only; strict mode would refuse them for a tuple.
Names = Annotated[tuple[str, ...], Field(strict=False)]

# Names as reports show them, and the paths of what they stand for.
Paths = dict[Annotated[str, Field(pattern=r"^[\w+-]+$")], str]

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


class Section(BaseModel):
    """One stage's params: frozen, strictly typed, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ScrapeParams(Section):
    site: str = Field(
        "https://safebooru.org",
        pattern=r"^(https?://[^/\s]+(/\S*)?|file://\S+)$",
        description="address of a Gelbooru 0.2 site, or file:///FOLDER for pictures of your own",
    )
    tags: Names = Field((), description="tags that every picture must have")
    excluded_tags: Names = Field(
        ("animated", "lowres", "jpeg_artifacts"), description="tags that no picture may have"
    )
    ratings: Names = Field(("general", "safe"), description="ratings that are taken")
    listing: Literal["auto", "json", "xml", "html"] = Field(
        "auto",
        description="how posts are listed: by the API in JSON or XML, or from web pages, two "
        "requests or more a post; auto: the first of them that the site gives",
    )
    limit: int = Field(18_000, ge=1, description="pictures accepted before the stage ends")
    min_side: int = Field(512, ge=1, description="shortest side that is taken, pixels")
    max_aspect: float = Field(2.5, ge=1, description="longest side over shortest side, at most")
    max_pixels: int = Field(50_000_000, ge=1, description="width × height, at most, pixels")
    max_bytes: int = Field(67_108_864, ge=1, description="size of one file, at most, bytes")
    file_types: Names = Field(("jpg", "jpeg", "png", "webp"), description="file name endings taken")
    md5: Literal["keep", "refuse"] = Field(
        "refuse",
        description="files that still differ from the announced md5 when they were asked for three "
        "times: keep: taken; refuse: replaced by older posts",
    )
    page_size: int = Field(1000, ge=1, le=1000, description="posts asked for in one API request")
    api_interval: float = Field(1.0, ge=0, description="least time between API requests, seconds")
    file_interval: float = Field(
        0.1, ge=0, description="least time between the starts of two file requests, seconds"
    )
    workers: int = Field(4, ge=1, le=32, description="downloads at the same time")
    retries: int = Field(5, ge=0, description="further tries of a request that failed")
    timeout: float = Field(30.0, gt=0, description="longest silence of the server, seconds")
    contact: str = Field(
        "", pattern=r"^[^\r\n]*$", description="e-mail or URL told to the site in the user agent"
    )


class ResizeParams(Section):
    size: int = Field(512, ge=16, description="width and height of every result, pixels")
    mode: Literal["crop", "detail", "cover", "pad", "squash", "tiles"] = Field(
        "crop",
        description="crop: short side to size, then the centre; detail: the same, but the part "
        "with the most detail; cover: the same, but as many parts as cover all; pad: long side to "
        "size, then a border; squash: both sides to size; tiles: several parts of that size, not "
        "scaled",
    )
    max_tiles: int = Field(
        4,
        ge=1,
        description="parts that modes cover and tiles take of one original at most: those with the "
        "most detail",
    )
    background: str = Field(
        "#ffffff",
        pattern=r"^#[0-9a-fA-F]{6}$",
        description="colour behind transparency and of pad's border, #rrggbb",
    )
    max_pixels: int = Field(
        100_000_000, ge=1, description="an original of more is refused unread, pixels"
    )
    max_refused: float = Field(
        0.05, ge=0, le=1, description="share of refused originals over which the stage fails"
    )
    shard_size: int = Field(
        1000, ge=1, description="originals of one tar shard, which holds those that were accepted"
    )
    executor: Literal["thread", "process", "dask"] = Field(
        "thread",
        description="where images are made: in threads, in processes with a shard each, or so on "
        "the workers of a Dask cluster",
    )
    scheduler: str = Field(
        "",
        description="address of a Dask scheduler, tcp://HOST:PORT; empty: workers on this machine",
    )
    workers: int = Field(0, ge=0, description="threads or processes here; 0: one a core")


class ManifestParams(Section):
    count: int = Field(18_000, ge=1, description="rows at most")
    min_count: int = Field(
        16_000, ge=1, description="rows under which the stage fails, where count is no less"
    )
    val_fraction: float = Field(0.01, ge=0, lt=1, description="share of groups for validation")
    test_fraction: float = Field(0.01, ge=0, lt=1, description="share of groups for testing")
    min_jpeg_quality: int | None = Field(
        None,
        ge=1,
        le=100,
        description="JPEG originals of a lower estimated quality are left out, unless they were "
        "shrunk to half or less; null: none is",
    )
    full_chroma: bool = Field(
        False,
        description="whether JPEG originals with halved chroma are left out, unless they were "
        "shrunk to half or less",
    )
    min_contrast: float = Field(
        3.0,
        ge=0,
        description="images of a lower standard deviation of brightness, 0 to 127.5, are left out "
        "as flat",
    )
    greyscale: bool = Field(True, description="whether pictures without colour are taken")
    text: bool = Field(
        True,
        description="whether pictures are taken that their tags call text: text_focus, "
        "text-only_page",
    )
    excluded_tags: Names = Field(
        (), description="pictures with any of these tags are left out: comic, sketch, ..."
    )
    phash_distance: int | None = Field(
        4,
        ge=0,
        le=64,
        description="perceptual hashes this near or nearer are one picture, bits of 64; null: only "
        "equal pixels are",
    )
    seed: int = Field(0, ge=0, description="seed of the choice and of the splits")

    @model_validator(mode="after")
    def _something_to_train_on(self) -> "ManifestParams":
        if self.val_fraction + self.test_fraction >= 1:
            raise _at(
                ("test_fraction",), "val_fraction and test_fraction leave nothing to train on"
            )
        return self


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
            raise _at(("crop",), f"{self.crop} is no multiple of train.scale {self.scale}")
        return self

    @model_validator(mode="after")
    def _one_start(self) -> "TrainParams":
        if self.init is not None and self.resume is not None:
            raise _at(("resume",), "train.init names another start: set one of the two to null")
        return self

    @model_validator(mode="after")
    def _attention_has_channels(self) -> "TrainParams":
        if self.generator == "rcan" and self.features < self.reduction:
            raise _at(
                ("reduction",), f"{self.reduction} is more than train.features {self.features}"
            )
        return self

    @model_validator(mode="after")
    def _equal_parts(self) -> "TrainParams":
        if self.batch % self.processes:
            raise _at(
                ("processes",), f"{self.processes} cannot share a batch of {self.batch} equally"
            )
        return self

    @model_validator(mode="after")
    def _something_to_normalise(self) -> "TrainParams":
        # 16 pixels leave one place after the discriminator's strides.
        if self.adv_weight > 0 and self.crop == 16 and self.batch == 1:
            raise _at(
                ("batch",),
                "one crop of 16 pixels is too little for the discriminator's batch normalisation; "
                "raise batch or crop",
            )
        return self


class EvaluateParams(Section):
    split: Literal["val", "test"] = Field("test", description="manifest's split that is measured")
    max_images: int | None = Field(
        None, ge=1, description="images measured at most; null: the whole split"
    )
    degradation: Literal["none", "web"] = Field(
        "none", description="how the LR images that are enlarged are made, as in train.degradation"
    )
    models: Paths = Field({}, description="generators measured beside the trained one: name → file")
    results: Paths = Field(
        {},
        description="other programs' results: name → folder with a PNG file an image; "
        "`pipeline pairs` writes what they have to enlarge",
    )
    blend: str | None = Field(
        None,
        description="name in `models` of a generator that gives way to the trained one, step by "
        "step, as a curve in the plane",
    )
    blend_steps: int = Field(3, ge=1, le=19, description="generators between those two")
    crop_border: int = Field(4, ge=0, description="pixels left out at each edge by PSNR and SSIM")
    lpips: Literal["auto", "off"] = Field(
        "auto", description="auto: measured where AlexNet's ImageNet weights are to be had"
    )
    dists: Literal["auto", "off"] = Field(
        "auto",
        description="DISTS and the kernel distance; auto: where VGG16's ImageNet weights are to be "
        "had",
    )
    pictures: int = Field(6, ge=1, description="images shown in the comparison and on the page")
    detail: int = Field(96, ge=16, description="side of the enlarged details, HR pixels")
    seed: int = Field(
        0, ge=0, description="seed of the sliced Wasserstein distance and of the bootstrap"
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto, cpu, cuda, cuda:N or mps",
    )

    @model_validator(mode="after")
    def _blend_is_a_model(self) -> "EvaluateParams":
        if self.blend is not None and self.blend not in self.models:
            raise _at(("blend",), f"{self.blend!r} is no name in evaluate.models")
        return self


class Params(Section):
    """All of `params.yaml`: a section a stage."""

    scrape: ScrapeParams = ScrapeParams()
    resize: ResizeParams = ResizeParams()
    manifest: ManifestParams = ManifestParams()
    train: TrainParams = TrainParams()
    evaluate: EvaluateParams = EvaluateParams()

    @model_validator(mode="after")
    def _crop_fits_images(self) -> "Params":
        if self.train.crop > self.resize.size:
            raise _at(
                ("train", "crop"),
                f"{self.train.crop} is larger than resize.size {self.resize.size}",
            )
        return self


def section_type(name: str) -> type[Section]:
    """The type of one section of `params.yaml`, by its key."""
    annotation = Params.model_fields[name].annotation
    assert isinstance(annotation, type)
    assert issubclass(annotation, Section)
    return annotation


def is_list(field: FieldInfo) -> bool:
    """Whether a param is a list of names."""
    return get_origin(field.annotation) is tuple


def is_mapping(field: FieldInfo) -> bool:
    """Whether a param maps names to paths."""
    return get_origin(field.annotation) is dict


def _at(location: tuple[str, ...], problem: str) -> PydanticCustomError:
    """A problem that a whole model found, laid at the door of one of its keys."""
    return PydanticCustomError("cross_check", "{problem}", {"at": location, "problem": problem})
