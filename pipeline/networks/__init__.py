"""Networks. `GENERATORS` maps architectures' names, as model files have them, to classes."""

from pipeline.networks.generators.base import Generator
from pipeline.networks.generators.rcan import RCAN
from pipeline.networks.generators.rrdb import RRDBNet
from pipeline.networks.generators.srresnet import SRResNet

GENERATORS: dict[str, type[Generator]] = {
    generator.architecture: generator for generator in (SRResNet, RRDBNet, RCAN)
}

__all__ = ["GENERATORS", "RCAN", "Generator", "RRDBNet", "SRResNet"]
