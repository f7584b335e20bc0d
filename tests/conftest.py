"""What holds for every test."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# Tests run side by side, a process a core: threads of their own would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Weights of the machine would be measured with, and settings of its user's git would count.
if "PIPELINE_WEIGHTS" in os.environ:
    os.environ["PIPELINE_TEST_WEIGHTS"] = os.environ.pop("PIPELINE_WEIGHTS")
os.environ["TORCH_HOME"] = os.devnull
os.environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

# Under nohup it is ignored, in the programs that tests start and send it to as well.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("thorough", max_examples=10_000)


# Whole folders and files: a file's tests share what they set up.
SLOW = (
    "booru",
    "drawings",
    "end_to_end",
    "evaluation/test_browser.py",
    "evaluation/test_run.py",
    "faults",
    "networks/discriminators",
    "networks/export",
    "resizing/test_executors.py",
    "stages",
    "test_processes.py",
    "training/test_distributed.py",
    "training/test_run_folders.py",
    "training/test_trainer.py",
    "upscaling/test_app.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests."""
    tests = Path(__file__).parent
    for item in items:
        if any(item.path.is_relative_to(tests / name) for name in SLOW):
            item.add_marker("slow")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
