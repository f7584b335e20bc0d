"""`pipeline code`: fingerprints that are DVC's dependencies in place of the code itself."""

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

    A stage runs again when its fingerprint changes: with the code, not with its comments, and with
    the versions of the libraries that its results depend on. It includes the params' defaults,
    because DVC sees only the values in params.yaml.
    """
    for stage in STAGES:
        content = {
            "code": code_of(f"stages.{stage}"),
            "versions": {name: public(text) for name, text in VERSIONS[stage]().items()},
            "defaults": section_type(stage)().model_dump(mode="json"),
        }
        text = json.dumps(content, indent=1, sort_keys=True) + "\n"
        write_text(FOLDER / f"{stage}.json", text)
