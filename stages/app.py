"""The console script `pipeline`. It imports little, so that signals are handled from early on."""

import os

from stages.interruption import end_on_signals


def main() -> None:
    """Run `pipeline`."""
    end_on_signals()
    # Threads that wait for each other by counting keep a core from those that encode or decode.
    # OpenMP reads it once, as PyTorch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from stages.program import program
    from stages.runner import run_app

    run_app(program())


if __name__ == "__main__":
    main()
