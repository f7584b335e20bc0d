"""`pipeline code`: fingerprints that are DVC's dependencies in place of the code itself."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pipeline.files import sha256_of, write_text
from pipeline.fingerprints import (
    code_of,
    evaluation_versions,
    image_versions,
    public,
    training_versions,
)
from pipeline.params import Params, section_type
from pipeline.params.file import load_params
from pipeline.shipped import named_file
from stages.runner import PARAMS_FILE

FOLDER = Path("reports/code")
# Not scrape: which pictures a site has does not depend on the code that fetches them.
VERSIONS: Mapping[str, Callable[[Params], dict[str, str]]] = {
    "resize": lambda _: image_versions(),
    "manifest": lambda _: image_versions(),
    "train": lambda params: training_versions(params.train),
    "evaluate": lambda params: evaluation_versions(params.evaluate),
}
STAGES = tuple(VERSIONS)


def code() -> None:
    """Write the fingerprint of each stage's code into reports/code, for DVC.

    A stage runs again when its fingerprint changes: with the code, not with its comments, and with
    the versions of the libraries that its results depend on. It includes the params' defaults,
    because DVC sees only the values in params.yaml, and the shipped models that params name.
    """
    params = load_params(PARAMS_FILE) if PARAMS_FILE.exists() else Params()
    init = [] if params.train.init is None else [params.train.init]
    models = {"train": init, "evaluate": params.evaluate.models.values()}
    for stage in STAGES:
        content = {
            "code": code_of(f"stages.{stage}"),
            "versions": {name: public(text) for name, text in VERSIONS[stage](params).items()},
            "defaults": section_type(stage)().model_dump(mode="json"),
            "models": _shipped_hashes(models.get(stage, ())),
        }
        text = json.dumps(content, indent=1, sort_keys=True) + "\n"
        write_text(FOLDER / f"{stage}.json", text)


def _shipped_hashes(names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of the shipped models among the files that params name."""
    files = {name: named_file(name) for name in names}
    return {name: sha256_of(path) for name, path in files.items() if path != Path(name)}
