"""The fault injector, compiled once a session, and a finished project to run `pipeline` in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.booru.app import Site
from pipeline.images.collection import collect_folder
from pipeline.wsgi import Server
from tests.faults.cases import draw_pictures
from tests.faults.shim import Shim, compile_shim, unavailable
from tests.faults.world import FaultyDriver, World


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Shim:
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("shim")
    return Shim(compile_shim(folder), folder / "control")


@pytest.fixture(scope="session")
def world(shim: Shim, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A project where all stages have run, and what `pipeline` does in copies of it."""
    folder: Path = tmp_path_factory.mktemp("world").resolve()
    draw_pictures(folder / "pictures")
    driver = FaultyDriver(shim, folder)
    try:
        with Server(Site(collect_folder(folder / "pictures"))) as booru:
            yield World.make(folder, driver, booru.url)
    finally:
        driver.close()
