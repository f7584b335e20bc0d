"""What holds for every test."""

import os

from hypothesis import settings

# Tests run side by side, a process a core: threads of their own would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("thorough", max_examples=10_000)
