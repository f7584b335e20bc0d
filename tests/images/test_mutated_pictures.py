"""Mutated pictures of every format: decoded or refused in one line, in time and little memory."""

import json
import subprocess
import sys

import pytest

from pipeline.upscaling.pictures import decode_picture
from tests.images.mutate import MAX_PIXELS, seeds

# Frames of a few passes, each of 4 to 8 bytes a pixel, and what decoders and encoders keep.
MAX_GROWN_BYTES = 100 * MAX_PIXELS


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_mutation_is_decoded_or_refused_in_one_line(count: int) -> None:
    """In a process of its own: a decoder may crash or hang, and its peak of memory counts."""
    command = [sys.executable, "-m", "tests.images.mutate", str(count)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    last = result.stderr.strip().splitlines()[-1:]
    assert result.returncode == 0, (result.stdout, last)
    report = json.loads(result.stdout)
    assert sum(report["counts"].values()) == count
    # They reach the pixels and behind: most would end at a checksum else.
    assert report["counts"]["decoded"] > count / 10
    assert report["grown_bytes"] < MAX_GROWN_BYTES


def test_what_is_mutated_would_pass_as_it_is() -> None:
    for name, data in seeds().items():
        assert decode_picture(data).frames, name
