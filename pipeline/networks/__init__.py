"""Networks. `GENERATORS` names those that can be trained and loaded."""

from pipeline.networks.generator import Generator
from pipeline.networks.rcan import RCAN
from pipeline.networks.rrdb import RRDBNet
from pipeline.networks.srresnet import SRResNet

GENERATORS: dict[str, type[Generator]] = {"srresnet": SRResNet, "rrdb": RRDBNet, "rcan": RCAN}

__all__ = ["GENERATORS", "RCAN", "Generator", "RRDBNet", "SRResNet"]
