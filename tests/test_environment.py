"""The environment of the tests' own process."""

import os

from tests.conftest import restore_environment

NAME = "PYTHONHASHSEED"


def test_what_a_test_sets_ends_with_it() -> None:
    before = dict(os.environ)
    os.environ[NAME] = "6640"
    del os.environ["PATH"]
    restore_environment(before)
    assert dict(os.environ) == before
