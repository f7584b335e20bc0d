"""What holds for every test."""

import os
import signal
from collections.abc import Iterator, Mapping
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
    "docs/test_commands.py",
    "drawings",
    "end_to_end",
    "evaluation/test_browser.py",
    "evaluation/test_folder_pairs.py",
    "evaluation/test_other_programs.py",
    "evaluation/test_plane.py",
    "evaluation/test_run.py",
    "faults",
    "images/test_damage.py",
    "images/test_jpeg_traces.py",
    "networks/discriminators",
    "networks/export",
    "networks/generators/test_public_networks.py",
    "networks/perceptual/test_dists.py",
    "networks/test_hostile_files.py",
    "networks/test_spandrel_files.py",
    "resizing/test_executors.py",
    "resizing/test_run.py",
    "scraping/test_client.py",
    "scraping/test_run.py",
    "stages",
    "test_processes.py",
    "training/test_checkpoints.py",
    "training/test_compiling.py",
    "training/test_data.py",
    "training/test_distributed.py",
    "training/test_extra_losses.py",
    "training/test_folders.py",
    "training/test_heartbeats.py",
    "training/test_hostile_checkpoints.py",
    "training/test_imports.py",
    "training/test_published_models.py",
    "training/test_run_folders.py",
    "training/test_step.py",
    "training/test_throughput.py",
    "training/test_trainer.py",
    "upscaling/test_app.py",
    "upscaling/test_arrays.py",
    "upscaling/test_pictures.py",
    "upscaling/test_seamless.py",
    "upscaling/test_upscaler.py",
)


@pytest.fixture(autouse=True)
def _environment_as_before() -> Iterator[None]:
    """Undo what libraries set in the environment of the tests' process, as Dask does.

    A program that a test starts would inherit it, and could not be forked from one without it.
    """
    before = dict(os.environ)
    yield
    restore_environment(before)


def restore_environment(before: Mapping[str, str]) -> None:
    """Set and remove only what differs: other threads may read the environment meanwhile."""
    for name in os.environ.keys() | before.keys():
        # pytest's own has the phase of the test.
        if name == "PYTEST_CURRENT_TEST" or os.environ.get(name) == before.get(name):
            continue
        if name in before:
            os.environ[name] = before[name]
        else:
            del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests, and put them first: short ones at the end keep all processes busy."""
    tests = Path(__file__).parent
    for item in items:
        if any(item.path.is_relative_to(tests / name) for name in SLOW):
            item.add_marker("slow")
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
