"""`pipeline code`: what DVC watches in place of the files of this program."""

import json
from pathlib import Path

from pipeline.files import write_text
from pipeline.fingerprints import code_of

# Not scrape: which pictures a site has does not depend on the code that fetches them.
STAGES = ("resize", "manifest", "train", "evaluate")
FOLDER = Path("reports/code")


def code() -> None:
    """Write the fingerprint of each stage's code into reports/code, for DVC.

    A stage runs again where its fingerprint changes: with the code, not with its comments.
    """
    for stage in STAGES:
        text = json.dumps(code_of(f"stages.{stage}"), indent=1, sort_keys=True) + "\n"
        write_text(FOLDER / f"{stage}.json", text)
