"""The console script `pipeline`: every stage and every hand-run command under one name."""

from stages.blend import blend
from stages.booru import booru
from stages.clean import clean
from stages.code import code
from stages.common import add_stages, new_app, run_app
from stages.demo import demo
from stages.evaluate import STAGE as EVALUATE
from stages.export import export
from stages.manifest import STAGE as MANIFEST
from stages.models import models
from stages.pairs import pairs
from stages.resize import STAGE as RESIZE
from stages.scrape import STAGE as SCRAPE
from stages.serve import serve
from stages.tradeoff import tradeoff
from stages.train import STAGE as TRAIN
from stages.upscale import upscale

STAGES = (SCRAPE, RESIZE, MANIFEST, TRAIN, EVALUATE)


def main() -> None:
    """Run `pipeline`."""
    app = new_app(
        "Scrape anime illustrations, train a 4× super-resolution GAN, measure and use it."
    )
    add_stages(app, STAGES)
    commands = (upscale, serve, export, models, blend, tradeoff, pairs, clean, booru, demo, code)
    for command in commands:
        app.command()(command)
    run_app(app)
