"""The environment of the tests' own process."""

import os

NAME = "PYTHONHASHSEED"


def test_a_variable_may_be_set() -> None:
    os.environ[NAME] = "6640"


def test_a_variable_ends_with_the_test_that_set_it() -> None:
    assert os.environ.get(NAME) != "6640"
