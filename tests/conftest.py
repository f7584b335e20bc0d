"""What holds for every test."""

import os

# Tests run side by side, a process a core: threads of their own would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
