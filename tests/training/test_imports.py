"""What a training loads before it needs it."""

import subprocess
import sys

MODULES = "import sys, pipeline.training.trainer; print(*sys.modules)"


def test_scipy_is_loaded_by_the_degradation_chain_alone() -> None:
    command = [sys.executable, "-c", MODULES]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in names
    assert not {"scipy", "matplotlib", "torch._dynamo", "torchvision"} & set(names)
