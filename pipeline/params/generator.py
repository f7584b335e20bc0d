"""Params of the generator: `train.generator`."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, model_validator

from pipeline.params.kinds import own_params_only
from pipeline.params.section import Section, problem_at

# `blocks` is null, not each kind's number, and `features` is the same number for all: most kinds
# have them, so the file's values survive a change of kind.


_Features = Annotated[int, Field(ge=1, description="channels")]


class SRResNetParams(Section):
    """SRGAN's generator."""

    kind: Literal["srresnet"] = "srresnet"
    blocks: int | None = Field(None, ge=1, description="residual blocks (null: 3)")
    features: _Features = 64
    norm: Literal["batch", "none"] = Field(
        "none", description="normalisation in the residual blocks"
    )
    skip: Literal["none", "bicubic"] = Field(
        "bicubic",
        description="global skip connection; bicubic: the output is added to the input, enlarged "
        "by bicubic interpolation, so that training starts from that quality",
    )
    upsampling: Literal["stages", "direct"] = Field(
        "stages",
        description="stages: the size is doubled repeatedly (at scale 3 tripled), then a 9 × 9 "
        "convolution follows, as in SRGAN; direct: one convolution and pixel shuffle, as in ESPCN, "
        "which is faster and so allows more blocks",
    )


class RRDBParams(Section):
    """ESRGAN's generator."""

    kind: Literal["rrdb"] = "rrdb"
    blocks: int | None = Field(None, ge=1, description="residual blocks (null: 23)")
    features: _Features = 64
    growth: int = Field(32, ge=1, description="channels that each layer of a dense block adds")


class RCANParams(Section):
    """RCAN."""

    kind: Literal["rcan"] = "rcan"
    blocks: int | None = Field(None, ge=1, description="residual blocks per group (null: 20)")
    features: _Features = 64
    groups: int = Field(10, ge=1, description="groups of residual blocks")
    reduction: int = Field(
        16, ge=1, description="factor by which channel attention reduces the channels"
    )

    @model_validator(mode="after")
    def _check_attention_has_channels(self) -> "RCANParams":
        if self.features < self.reduction:
            raise problem_at(
                ("reduction",),
                f"{self.reduction} is more than the {self.features} features; lower it",
            )
        return self


class CompactParams(Section):
    """Real-ESRGAN's SRVGGNetCompact."""

    kind: Literal["compact"] = "compact"
    blocks: int | None = Field(
        None, ge=1, description="convolutions between the first and the last (null: 16)"
    )
    features: _Features = 64


class SPANParams(Section):
    """SPAN; in the paper with 48 features."""

    kind: Literal["span"] = "span"
    features: _Features = 64


class PLKSRParams(Section):
    """PLKSR: large kernels for a part of the channels."""

    kind: Literal["plksr"] = "plksr"
    blocks: int | None = Field(None, ge=1, description="residual blocks (null: 8)")
    features: _Features = 64
    kernel: int = Field(13, ge=1, description="side of the large kernels, odd")
    mixer: Literal["ccm", "dccm"] = Field(
        "ccm",
        description="the block's first two convolutions; ccm: 3 × 3 and 1 × 1; dccm: both 3 × 3",
    )
    attention: Literal["none", "element"] = Field(
        "none", description="element: a weight for each value, from a further convolution"
    )

    @model_validator(mode="after")
    def _check_sizes(self) -> "PLKSRParams":
        if self.kernel % 2 == 0:
            raise problem_at(("kernel",), f"{self.kernel} is even; write an odd number")
        if self.features % 4:
            raise problem_at(
                ("features",),
                f"{self.features} is no multiple of 4; the large kernel gets a quarter",
            )
        return self


class FileParams(Section):
    """The architecture of the file that `train.init` names, any that spandrel opens."""

    kind: Literal["file"] = "file"


_Kinds = (
    SRResNetParams | RRDBParams | RCANParams | CompactParams | SPANParams | PLKSRParams | FileParams
)
GeneratorParams = Annotated[_Kinds, Discriminator("kind"), own_params_only(_Kinds)]
