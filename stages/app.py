"""The console script `pipeline`. It imports little, so that signals are handled from early on."""

from stages.interruption import end_on_signals


def main() -> None:
    """Run `pipeline`."""
    end_on_signals()
    from stages.program import program
    from stages.runner import run_app

    run_app(program())


if __name__ == "__main__":
    main()
