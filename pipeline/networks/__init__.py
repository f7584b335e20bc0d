"""Networks. `GENERATORS` names those that can be trained and loaded."""

from pipeline.networks.generator import Generator
from pipeline.networks.srresnet import SRResNet

GENERATORS: dict[str, type[Generator]] = {"srresnet": SRResNet}

__all__ = ["GENERATORS", "Generator", "SRResNet"]
