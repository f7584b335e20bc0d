"""The console script `pipeline`: every stage and every hand-run command under one name."""

from stages.common import new_app, run_app


def main() -> None:
    """Run `pipeline`."""
    app = new_app()
    run_app(app)
