"""Params of the generator's optimiser: `train.optimiser`."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field

from pipeline.params.kinds import own_params_only
from pipeline.params.section import Section

_Beta1 = Annotated[float, Field(ge=0, lt=1, description="Adam's β1, the discriminator's too")]
_Beta2 = Annotated[float, Field(ge=0, lt=1, description="Adam's β2, the discriminator's too")]


class AdamParams(Section):
    """Adam for all weights."""

    kind: Literal["adam"] = "adam"
    beta1: _Beta1 = 0.5
    beta2: _Beta2 = 0.999


class MuonParams(Section):
    """Muon for the kernels of convolutions, Adam for all other weights."""

    kind: Literal["muon"] = "muon"
    beta1: _Beta1 = 0.5
    beta2: _Beta2 = 0.999
    momentum: float = Field(0.95, ge=0, lt=1, description="Muon's momentum")


_Kinds = AdamParams | MuonParams
OptimiserParams = Annotated[_Kinds, Discriminator("kind"), own_params_only(_Kinds)]
