"""Params of the generator's optimiser: `train.optimiser`."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field

from pipeline.params.kinds import own_params_only
from pipeline.params.section import Section


class AdamParams(Section):
    """Adam for all weights."""

    kind: Literal["adam"] = "adam"
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's β1, the discriminator's too")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's β2, the discriminator's too")


class MuonParams(Section):
    """Muon for the kernels of convolutions, Adam for all other weights."""

    kind: Literal["muon"] = "muon"
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's β1, the discriminator's too")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's β2, the discriminator's too")
    momentum: float = Field(0.95, ge=0, lt=1, description="Muon's momentum")


_Kinds = AdamParams | MuonParams
OptimiserParams = Annotated[_Kinds, Discriminator("kind"), own_params_only(_Kinds)]
