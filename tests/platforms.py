"""What not every system can do."""

import sys

import pytest

limits_memory = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux keeps a limit on a process's memory"
)
