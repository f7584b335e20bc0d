"""Networks. `GENERATORS` maps architectures' names, as model files have them, to classes."""

from pipeline.networks.generators.base import Generator
from pipeline.networks.generators.compact import Compact
from pipeline.networks.generators.plksr import PLKSR
from pipeline.networks.generators.rcan import RCAN
from pipeline.networks.generators.rrdb import RRDBNet
from pipeline.networks.generators.span import SPAN
from pipeline.networks.generators.srresnet import SRResNet

GENERATORS: dict[str, type[Generator]] = {
    generator.architecture: generator
    for generator in (SRResNet, RRDBNet, RCAN, Compact, SPAN, PLKSR)
}

__all__ = ["GENERATORS", "PLKSR", "RCAN", "SPAN", "Compact", "Generator", "RRDBNet", "SRResNet"]
