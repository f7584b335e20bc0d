"""`pipeline code`: what DVC watches in place of the files of this program."""

import json
from pathlib import Path

from pipeline.files import write_text
from pipeline.fingerprints import code_of, image_versions, public, training_versions
from pipeline.params import section_type

FOLDER = Path("reports/code")
# Not scrape: which pictures a site has does not depend on the code that fetches them.
VERSIONS = {
    "resize": image_versions,
    "manifest": image_versions,
    "train": training_versions,
    "evaluate": training_versions,
}
STAGES = tuple(VERSIONS)


def code() -> None:
    """Write the fingerprint of each stage's code into reports/code, for DVC.

    A stage runs again where its fingerprint changes: with the code, not with its comments, and with
    the versions of the libraries that shape its results. The params' defaults are in it, because
    DVC knows those alone that params.yaml names.
    """
    for stage in STAGES:
        content = {
            "code": code_of(f"stages.{stage}"),
            "versions": {name: public(text) for name, text in VERSIONS[stage]().items()},
            "defaults": section_type(stage)().model_dump(mode="json"),
        }
        text = json.dumps(content, indent=1, sort_keys=True) + "\n"
        write_text(FOLDER / f"{stage}.json", text)
